"""The fixed dictionary of sets of bins that evidence is gathered on: about 50 a feature.

A change of the law moves the probability of some set. Each set here stands for a way in which data change: one tail,
both tails, the middle, a tenth, a category, what is missing; two families have the sign pattern of a change of skewness
and of kurtosis alone.
"""

from dataclasses import dataclass

import numpy as np

from mlotel.drift._profile import Flags, Floats, Integers, Profile

_BELOW = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0)
_MIDDLE = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
_BETWEEN = ((0.05, 0.5), (0.5, 0.95), (0.1, 0.4), (0.6, 0.9), (0.2, 0.5), (0.5, 0.8))
_SKEWNESS = (0.02, 0.042, 0.08, 0.15)
_KURTOSIS = ((0.01, 0.23), (0.03, 0.3), (0.06, 0.35))
_LARGEST = (2, 4, 8, 16, 32)


@dataclass(frozen=True, eq=False)
class Directions:
    """Sets of bins of one feature, and their complements: whatever could have become more probable.

    Attributes:
        low: ``(S, R)`` first bin of each of the runs that a set consists of.
        high: ``(S, R)`` one past its last bin; equal to ``low`` where a set has fewer runs.
        share: ``(2 S,)`` share of the reference in each set, then in each complement.
        counts: ``(2 S,)`` rows behind the limits, counted so that a limit holds from above.
        rows: Of how many.
    """

    low: Integers
    high: Integers
    share: Floats
    counts: Floats
    rows: int


def directions(profile: Profile) -> Directions:
    """The sets of a feature with the counts behind their limits."""
    masks = _distinct(_of_numbers(profile) if profile.is_ordered else _of_categories(profile))
    inside = masks @ profile.counts
    limit = (masks @ profile.limit_counts).astype(float)
    if profile.is_ordered:  # every bin may have been miscounted
        above = below = np.full(len(masks), float(profile.uncertain))
    else:  # rows of categories that have lost their name count as unseen from now on
        has_unseen = masks[:, -2]
        above, below = profile.uncertain * has_unseen, profile.uncertain * ~has_unseen
    low, high = _runs(masks)
    return Directions(
        low,
        high,
        np.concatenate([inside, profile.rows - inside]) / profile.rows,
        np.concatenate([limit + above, profile.limit_rows - limit + below]),
        profile.limit_rows,
    )


def _of_numbers(profile: Profile) -> Flags:
    assert profile.edges is not None
    bins = profile.counts.size
    # The rows that chose the edges choose among them too: all rows, or those that the limits leave out.
    chose = profile.counts - profile.limit_counts if profile.limit_rows < profile.rows else profile.counts
    below = np.cumsum(chose[:-1])[:-1] / max(int(chose[:-1].sum()), 1)
    may_bet = np.ones(profile.edges.size, bool)
    may_bet[list(profile.late)] = False
    places = np.flatnonzero(may_bet)

    def cut(share: float) -> int:
        return int(places[np.abs(below[places] - share).argmin()])

    def half(edge: int) -> Flags:
        return np.arange(bins) <= edge

    def between(low: float, high: float) -> Flags:
        return half(cut(high)) & ~half(cut(low))

    found = [half(cut(p)) for p in _BELOW]
    found += [between(p, 1 - p) for p in _MIDDLE]
    found += [between(tenth / 10, (tenth + 1) / 10) for tenth in range(10)]
    found += [between(low, high) for low, high in _BETWEEN]
    found += [between(p, 0.5) | ~half(cut(1 - p)) for p in _SKEWNESS]
    found += [~between(outer, 1 - outer) | between(inner, 1 - inner) for outer, inner in _KURTOSIS]
    masks = np.array(found)
    masks[:, -1] = False
    return np.vstack([masks, np.arange(bins) == bins - 1])


def _of_categories(profile: Profile) -> Flags:
    bins = profile.counts.size
    largest = [np.arange(bins) < size for size in _LARGEST if size < profile.top]
    return np.vstack([np.eye(bins, dtype=bool), *largest])


def _distinct(masks: Flags) -> Flags:
    """Without empty and full sets, and with one of each set and its complement."""
    seen: set[bytes] = set()
    kept = []
    for mask in masks:
        key = min(mask.tobytes(), (~mask).tobytes())
        if mask.any() and not mask.all() and key not in seen:
            seen.add(key)
            kept.append(mask)
    return np.array(kept)


def _runs(masks: Flags) -> tuple[Integers, Integers]:
    """First bin and one past the last bin of the runs of each set, padded with empty runs."""
    padded = np.zeros((len(masks), masks.shape[1] + 2), np.int8)
    padded[:, 1:-1] = masks
    turns = np.diff(padded, axis=1)
    most = int((turns == 1).sum(axis=1).max())
    low, high = np.zeros((2, len(masks), most), np.int64)
    for place, turn in enumerate(turns):
        first, last = np.flatnonzero(turn == 1), np.flatnonzero(turn == -1)
        low[place, : first.size], high[place, : last.size] = first, last
    return low, high
