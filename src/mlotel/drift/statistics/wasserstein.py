"""Wasserstein distance."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Counts, Floats, Statistic, finite_pair
from mlotel.drift.statistics._counts import spread

_LARGE = float(np.finfo(np.float64).max) / 4


def wasserstein(reference: Any, current: Any) -> float:
    """Area between the two empirical distribution functions: how far values move, on average, to make one the other.

    Args:
        reference: ``(n,)`` numbers, booleans or times, in any kind of column; missing and infinite ones are skipped.
        current: ``(m,)`` of the same kind, treated the same way. ``m`` may differ from ``n``.

    Returns:
        The distance of order 1, in the unit of the data, seconds for times: 0 for equal empirical distributions; when
        one is the other moved by ``d``, it is ``d``.

    Raises:
        EmptySampleError: If either sample has no finite value.
        InvalidTypeError: If a sample holds text, or times are compared with numbers.

    Example:
        >>> wasserstein([0, 1, 3], [5, 6, 8])
        5.0

    Source: Vallender, "Calculation of the Wasserstein distance between probability distributions on the line", Theory
    of Probability and its Applications 18, 1974.
    """
    a, b = (np.sort(sample) for sample in finite_pair(reference, current))
    points = np.sort(np.concatenate([a, b]))
    gap = (
        np.searchsorted(a, points[:-1], side="right") / a.size - np.searchsorted(b, points[:-1], side="right") / b.size
    )
    if max(points[-1], -points[0]) > _LARGE:  # differences of the largest floats overflow
        return float(np.abs(gap) @ np.diff(points * 2.0**-20)) * 2.0**20
    return float(np.abs(gap) @ np.diff(points))


def wasserstein_from_counts(counts: Counts) -> Floats:
    """``(F,)`` in units of ``Ordered.scale``: sum over bins of the absolute integral of the gap.

    Each integral is exact, from the sums of the values in the bin. The result is never more than the exact distance,
    and equal to it unless the gap changes its sign inside a bin. NaN for text and categories.
    """
    ordered = counts.ordered
    if ordered is None:
        return spread(counts, np.empty(0))
    reference_sums, current_sums = ordered.reference_sums, ordered.current_sums
    center, scale = ordered.center, ordered.scale
    if reference_sums is None or current_sums is None or center is None or scale is None:
        return spread(counts, np.full(len(ordered.edges), np.nan))
    gap = (ordered.current_below - ordered.reference_below)[:, :-1]
    inside = np.isfinite(ordered.edges)  # else padding, where the gap is 0
    edges = np.where(inside, ordered.edges, 0.0)
    # By parts: the integral of F over [a, b) is b F(b) - a F(a) less the mean of x there; nothing at the two ends.
    at_edge = np.where(inside, (edges - center[:, None]) / scale[:, None] * gap, 0.0)
    ends = np.zeros((len(edges), 1))
    change = np.diff(np.concatenate([ends, at_edge, ends], axis=1), axis=1)
    means = current_sums / np.maximum(ordered.current_rows, 1) - reference_sums / np.maximum(ordered.reference_rows, 1)
    area = np.abs(change - means).sum(axis=1)
    return spread(counts, np.where((ordered.reference_rows * ordered.current_rows)[:, 0] > 0, area, np.nan))


STATISTIC = Statistic(
    name="wasserstein",
    compute=wasserstein,
    unit="{value}",
    numbers_only=True,
    symmetric=True,
    from_counts=wasserstein_from_counts,
)
