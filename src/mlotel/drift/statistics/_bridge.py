"""How far a Brownian bridge strays where somebody looks: the noise of the Kolmogorov-Smirnov distance."""

import functools
from dataclasses import dataclass

import numpy as np

from mlotel.drift.statistics._counts import Floats

_EVERYWHERE = float(np.sqrt(np.pi / 2) * np.log(2))
"""Mean of the largest absolute value of a Brownian bridge on [0, 1]."""

_OVERSHOOT = 0.5826
"""``-zeta(1/2) / sqrt(2 pi)``: by what a walk passes a level, in standard deviations of a step."""

_SMALL = 0.05
_GROUP = 0.02


def mean_of_largest(steps: Floats) -> float:
    """Mean of the largest absolute value of a Brownian bridge at the ends of given steps.

    Where no step is large it is the continuous mean less the overshoot. Else the probability of staying inside
    ``[-c, c]`` is integrated over ``c``; it comes from carrying the density from step to step, within 1 %.

    Args:
        steps: ``(B,)`` shares of the reference in each bin, adding up to 1.

    Source: Siegmund, "Sequential analysis", 1985, chapter X, for the overshoot.

    Example:
        >>> one_edge = mean_of_largest(np.array([0.5, 0.5]))
        >>> round(one_edge, 3), round(float(np.sqrt(2 / np.pi) / 2), 3)
        (0.399, 0.399)
    """
    steps = steps[steps > 0]
    if steps.size < 2:
        return 0.0
    if steps.max() <= _SMALL:
        return _EVERYWHERE - _OVERSHOOT * float((steps**1.5).sum())
    return _integrated(_grouped(steps))


@dataclass(frozen=True, slots=True)
class _Group:
    """Steps taken as one.

    Attributes:
        size: Their sum.
        root: Mean root of small steps between whose ends somebody looks; 0 for one step.
        beyond: By how much looks just before the end, too close to be a step, pass what is seen at the end.
    """

    size: float
    root: float = 0.0
    beyond: float = 0.0


def _grouped(steps: Floats) -> tuple[_Group, ...]:
    """Steps of some size; what is too small joins its neighbour."""
    groups: list[_Group] = []
    size = root = 0.0
    for step in steps.tolist():
        if step >= _GROUP:
            if size and groups:
                # The mean maximum of a walk of such steps, and of one step.
                before = max(np.sqrt(2 * size / np.pi) - _OVERSHOOT * root / size, np.sqrt(size / (2 * np.pi)))
                last = groups.pop()
                groups.append(_Group(round(last.size + size, 6), last.root, max(last.beyond, round(float(before), 4))))
                size = 0.0
            groups.append(_Group(round(size + step, 6)))
            size = root = 0.0
            continue
        size, root = size + step, root + step**1.5
        if size >= _GROUP:
            groups.append(_Group(round(size, 6), round(root / size, 6)))
            size = root = 0.0
    if size:
        last = groups.pop()
        groups.append(_Group(round(last.size + size, 6), last.root, last.beyond))
    return tuple(groups)


@functools.lru_cache(maxsize=4096)  # shares of a reference do not change from check to check
def _integrated(groups: tuple[_Group, ...]) -> float:
    ends = np.cumsum([group.size for group in groups])
    largest = float(np.sqrt(np.max(ends * np.maximum(ends[-1] - ends, 0.0))))
    if any(group.root for group in groups):
        largest = 0.5  # between the ends too
    nodes, weights = np.polynomial.legendre.leggauss(14)
    reach = 4.2 * largest  # standard deviations: beyond them nothing counts
    limits = (nodes[:, None] + 1) / 2 * reach
    places, place_weights = np.polynomial.legendre.leggauss(32)
    start = np.zeros((len(limits), 1))
    x, density = start, np.ones((len(limits), 1))  # density times the weight of its place
    for group in groups[:-1]:
        seen = np.maximum(limits - group.beyond, 1e-9)
        target = seen * places
        density = _carried(density, x, target, group, limits) * seen * place_weights
        x = target
    staying = _carried(density, x, start, groups[-1], limits)[:, 0] * np.sqrt(2 * np.pi * ends[-1])
    return float(((1 - staying) * weights).sum() * reach / 2)


def _carried(density: Floats, origin: Floats, target: Floats, group: _Group, limits: Floats) -> Floats:
    """Density at the end of a group of steps, ``(limits, targets)``, of what never left ``[-limit, limit]``."""
    gap = target[:, :, None] - origin[:, None, :]
    kernel = np.exp(-(gap**2) / (2 * group.size)) / np.sqrt(2 * np.pi * group.size)
    if group.root:
        wall = limits[:, :, None] + _OVERSHOOT * group.root
        for side in (1, -1):  # the chance of not passing the wall between the ends
            room = (wall - side * target[:, :, None]) * (wall - side * origin[:, None, :])
            kernel *= -np.expm1(-2 * room / group.size)
    return np.asarray((kernel * density[:, None, :]).sum(axis=2))
