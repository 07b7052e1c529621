"""Kolmogorov-Smirnov distance."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Counts, Floats, Statistic, finite_pair
from mlotel.drift.statistics._bridge import mean_of_largest
from mlotel.drift.statistics._counts import inverse_rows, spread


def ks(reference: Any, current: Any) -> float:
    """Largest gap between the two empirical distribution functions.

    Args:
        reference: ``(n,)`` numbers, booleans or times, in any kind of column; missing and infinite ones are skipped.
        current: ``(m,)`` of the same kind, treated the same way. ``m`` may differ from ``n``.

    Returns:
        Distance from 0 to 1: 0 for equal empirical distributions, 1 when every
        value of one sample lies past every value of the other.

    Raises:
        EmptySampleError: If either sample has no finite value.
        InvalidTypeError: If a sample holds text, or times are compared with numbers.

    Example:
        >>> ks([1, 2, 3, 4], [3, 4, 4, 4])
        0.5

    Source: Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3, 1958.
    """
    a, b = (np.sort(sample) for sample in finite_pair(reference, current))
    points = np.concatenate([a, b])  # the gap can only change at an observed value
    below_a = np.searchsorted(a, points, side="right") / a.size
    below_b = np.searchsorted(b, points, side="right") / b.size
    return float(np.abs(below_a - below_b).max())


def ks_from_counts(counts: Counts) -> Floats:
    """``(F,)`` largest gap at the edges of bins: never more than the exact distance. NaN for text and categories."""
    ordered = counts.ordered
    if ordered is None:
        return spread(counts, np.empty(0))
    gap = np.abs(ordered.current_below - ordered.reference_below).max(axis=1)
    return spread(counts, _known(counts, gap))


def ks_upper_from_counts(counts: Counts) -> Floats:
    """``(F,)`` largest gap that the bins leave room for: never less than the exact distance."""
    ordered = counts.ordered
    if ordered is None:
        return spread(counts, np.empty(0))
    # Up to the end of its bin a value may be the first of the bin in one sample and the last in the other.
    current_start = _starts(ordered.current_below)
    reference_start = _starts(ordered.reference_below)
    gap = np.maximum(ordered.current_below - reference_start, ordered.reference_below - current_start).max(axis=1)
    return spread(counts, _known(counts, gap))


def ks_noise(counts: Counts) -> Floats:
    """``(F,)`` mean when nothing changed: about ``0.87 sqrt(1/n + 1/m)``, less where there are few bins or values."""
    ordered = counts.ordered
    if ordered is None:
        return spread(counts, np.empty(0))
    share = ordered.reference / np.maximum(ordered.reference_rows, 1)
    largest = np.array([mean_of_largest(steps) for steps in share])
    per_row = inverse_rows(ordered.reference_rows, ordered.current_rows)
    return spread(counts, _known(counts, largest * np.sqrt(per_row)))


def _starts(below: Floats) -> Floats:
    """``(K, B)`` share below the lower end of each bin, from that below the upper end."""
    return np.concatenate([np.zeros((len(below), 1)), below[:, :-1]], axis=1)


def _known(counts: Counts, values: Floats) -> Floats:
    ordered = counts.ordered
    assert ordered is not None
    return np.where((ordered.reference_rows * ordered.current_rows)[:, 0] > 0, values, np.nan)


def ks_p_value(reference: Any, current: Any) -> float:
    """Chance of so large a value when nothing changed: exact up to 10,000 rows, else by the limit law.

    With ties it is too large rather than too small.
    """
    # Loaded here: a second that only p-values cost.
    from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

    return float(stats.ks_2samp(*finite_pair(reference, current)).pvalue)


STATISTIC = Statistic(
    name="ks",
    compute=ks,
    unit="{score}",
    upper_bound=1.0,
    numbers_only=True,
    symmetric=True,
    from_counts=ks_from_counts,
    noise=ks_noise,
    p_value=ks_p_value,
)
