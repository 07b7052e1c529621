"""Where the bins of a feature are, and what the reference has in them."""

import hashlib
from collections.abc import Mapping

import numpy as np

from mlotel.drift._profile import Flags, Floats, Integers, Kind, Profile
from mlotel.drift.statistics._bins import decile_edges

BINS = 60
TAILS = (0.001, 0.005, 0.01, 0.99, 0.995, 0.999)
GROUPS = 10
TOP = 62
CHOOSING = 0.2
"""Share of the rows that choose bins where values repeat; the others are counted for the limits."""

FEWEST = 20
"""Rows below which the name of a category is not kept."""

NAMES_LENGTH = 4000
"""Bytes that the names of one feature may take together."""

_SHORT = 80
_HARMLESS = ({"True", "False"}, {"0", "1"}, {"yes", "no"}, {"true", "false"}, {"Y", "N"})


def choosers(rows: int, seed: int = 0) -> Flags:
    """``(rows,)`` a random fifth of them, at least one: the same for equal arguments."""
    chosen = np.zeros(rows, bool)
    chosen[np.random.default_rng(seed).permutation(rows)[: max(int(CHOOSING * rows), 1)]] = True
    return chosen


@np.errstate(
    over="ignore", invalid="ignore"
)  # near the largest double sums are infinite; counts are exact all the same
def number_profile(name: str, kind: Kind, values: Floats, chosen: Flags | None = None) -> Profile:
    """Bins of numbers: 60 of equal mass, finer ones in the tails, one beyond either end, one for what is missing.

    Without ties the edges are order statistics, the mass between two of them is Beta whatever the law, and all rows
    serve both purposes. With ties a fifth of the rows chooses the edges and the others are counted for the limits. A
    value that takes several quantiles, an atom, has a bin of its own; at most 60 distinct values have one each.

    Args:
        name: Of the feature.
        kind: Of the column.
        values: ``(n,)`` with at least one finite number.
        chosen: ``(n,)`` rows that choose, when there are ties; at random by default.
    """
    finite = np.isfinite(values)
    ordered = np.sort(values[finite])
    ordered += 0.0  # -0.0 and 0.0 are one value
    has_ties = bool((ordered[1:] == ordered[:-1]).any())
    choice, counted = ordered, np.ones(values.size, bool)
    if has_ties:
        chosen = choosers(values.size) if chosen is None else chosen
        if (finite & chosen).any():
            choice, counted = np.sort(values[finite & chosen]), ~chosen
    edges, late, deciles = merge_edges(betting_edges(choice), ordered)
    counts, sums, center, scale = fill(ordered, edges, values.size)
    limit = counts
    if has_ties:
        limit = fill(np.sort(values[finite & counted]), edges, int(counted.sum()))[0]
    scaled = (ordered - center) / scale
    moments = tuple(float((scaled**power).sum()) for power in (2, 3, 4))
    return Profile(
        name=name, kind=kind, column=name, rows=values.size, counts=counts, limit_counts=limit,
        limit_rows=int(limit.sum()), edges=edges, late=late, deciles=deciles, sums=sums, center=center, scale=scale,
        minimum=float(ordered[0]), maximum=float(ordered[-1]), median=float(np.median(ordered)),
        moments=(moments[0], moments[1], moments[2]),
    )  # fmt: skip


def betting_edges(ordered: Floats) -> Floats:
    """Edges from sorted finite values: quantiles that are values of the sample, none interpolated."""
    distinct = np.unique(ordered)
    if distinct.size <= BINS:
        edges = distinct
    else:
        shares = np.unique(np.concatenate([np.arange(BINS) / BINS, TAILS]))
        # the small addition keeps a product like 0.29 * 100 from falling below its integer
        at = np.minimum((shares * ordered.size + 1e-9).astype(np.int64), ordered.size - 1)
        edges, repeats = np.unique(ordered[at], return_counts=True)
        edges = np.concatenate([edges, np.nextafter(edges[repeats > 1], np.inf)])
    return np.unique(np.append(edges, np.nextafter(ordered[-1], np.inf)))


def merge_edges(betting: Floats, ordered: Floats) -> tuple[Floats, tuple[int, ...], Floats]:
    """Edges to bet on, with those that all rows ask for: the deciles and both ends.

    Returns:
        All edges; positions of those that only all rows asked for; the deciles.
    """
    deciles = group_edges(ordered)
    ends = [ordered[0], np.nextafter(ordered[-1], np.inf)]
    edges = np.unique(np.concatenate([betting, deciles, ends]))
    late = np.flatnonzero(~np.isin(edges, betting))
    return edges, tuple(late.tolist()), deciles


def group_edges(ordered: Floats) -> Floats:
    """The deciles, as the statistics of two samples have them, so that at most ten groups lie between them.

    Of five to ten distinct values each begins a group; values between them count with the one below.
    """
    edges = np.asarray(decile_edges(ordered), dtype=np.float64)
    if edges.size < GROUPS:
        return edges
    distinct = np.unique(ordered)
    if distinct.size < GROUPS - 1:
        distinct = np.append(distinct, np.nextafter(distinct[-1], np.inf))
    return distinct[1 - GROUPS :]


def fill(ordered: Floats, edges: Floats, rows: int) -> tuple[Integers, Floats, float, float]:
    """Counts and sums of sorted finite values in each bin, their mean and standard deviation.

    Args:
        ordered: ``(m,)`` sorted.
        edges: ``(E,)`` ascending.
        rows: All rows; those beyond ``m`` are missing.
    """
    place = np.concatenate([[0], ordered.searchsorted(edges, "left"), [ordered.size]])
    counts = np.append(np.diff(place), rows - ordered.size).astype(np.int64)
    if ordered.size == 0:
        return counts, np.zeros(counts.size), 0.0, 1.0
    center, scale = location(ordered)
    running = np.concatenate([[0.0], np.cumsum((ordered - center) / scale)])
    return counts, np.append(np.diff(running[place]), 0.0), center, scale


def location(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation of finite values; 1 in place of a deviation of 0."""
    largest = float(np.abs(values).max()) or 1.0
    if not 1e-100 < largest < 1e100:  # squares would not fit into a double
        center, scale = location(values / largest)
        return center * largest, (scale * largest) or 1.0
    scale = float(values.std())
    return float(values.mean()), scale if scale > 0 else 1.0


def category_profile(
    name: str, kind: Kind, choosing: Mapping[str | None, int], rest: Mapping[str | None, int]
) -> Profile:
    """Bins of categories: the most frequent by name, the others, unseen ones and what is missing.

    One fifth of the rows says which categories there are and ranks them; the others are counted. Names that the fifth
    has not seen count as unseen, since a sample never shows what a category has that it was found in: the mass of
    unseen categories, counted in the rows that define "seen", would be zero.

    Args:
        name: Of the feature.
        kind: Of the column.
        choosing: Rows of each label in the fifth; None for missing.
        rest: The same of the other rows.
    """
    total = {label: choosing.get(label, 0) + rest.get(label, 0) for label in {**choosing, **rest}}
    labels = {label for label in total if label is not None}
    if kind == "boolean" and any(labels <= known for known in _HARMLESS):
        known = next(known for known in _HARMLESS if labels <= known)
        ranked: list[str] = sorted(known, key=lambda label: (-choosing.get(label, 0), label))
        kept = ranked
    else:
        seen = ((count, label) for label, count in choosing.items() if label is not None)
        enough = [(count, label) for count, label in seen if count >= FEWEST * CHOOSING]
        ranked = _within_budget([label for _, label in sorted(enough, key=lambda pair: (-pair[0], pair[1]))])
        kept = [label for label in ranked if total[label] >= FEWEST]
    top = min(TOP, len(kept))
    place = {label: min(rank, top) for rank, label in enumerate(kept)}
    counts, limit = (np.zeros(top + 3, np.int64) for _ in range(2))
    for source, target in ((total, counts), (rest, limit)):
        for label, count in source.items():
            target[top + 2 if label is None else place.get(label, top + 1)] += count
    return Profile(
        name=name, kind=kind, column=name, rows=int(counts.sum()), counts=counts, limit_counts=limit,
        limit_rows=int(limit.sum()), labels=tuple(kept), top=top,
        # Those dropped for being rare were chosen by all rows: what they count as unseen is taken at its most.
        uncertain=FEWEST * (len(ranked) - len(kept)),
    )  # fmt: skip


def _within_budget(ranked: list[str]) -> list[str]:
    """The first names that fit into the space that one feature has."""
    room, kept = NAMES_LENGTH, 0
    for label in ranked:
        room -= len(label.encode("utf-8", "backslashreplace")) + 4
        if room < 0:
            break
        kept += 1
    return ranked[:kept]


def short(label: str) -> str:
    """A label as it is kept: of a long one the beginning, and a digest of the whole."""
    if len(label) <= _SHORT:
        return label
    digest = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{label[: _SHORT - 18]}…{digest}"
