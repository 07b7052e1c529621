"""Quantiles of the current sample from its counts."""

import numpy as np

from mlotel.drift.statistics._counts import Floats, Ordered


def quantile_from_counts(ordered: Ordered, share: float, minimum: Floats, maximum: Floats) -> Floats:
    """A quantile of the current sample, interpolated inside the bin that it falls into.

    Args:
        ordered: Counts of ``K`` features.
        share: 0.5 for the median.
        minimum: ``(K,)`` smallest finite value of the current sample.
        maximum: ``(K,)`` largest.

    Returns:
        ``(K,)`` in the unit of the data, at most the width of a bin from the exact quantile; NaN without rows. With the
        sums of the bins, a bin that holds one value only gives that value.
    """
    rows = np.arange(len(ordered.edges))
    target = share * ordered.current_rows
    above = np.cumsum(ordered.current, axis=1)
    place = np.minimum((above < target).sum(axis=1), ordered.current.shape[1] - 1)
    inside = ordered.current[rows, place]
    before = above[rows, place] - inside
    none, all_of_it = np.full((len(rows), 1), -np.inf), np.full((len(rows), 1), np.inf)
    ends = np.concatenate([none, ordered.edges, all_of_it], axis=1)
    low = np.clip(ends[rows, place], minimum, maximum)
    high = np.clip(ends[rows, place + 1], minimum, maximum)
    if ordered.current_sums is not None and ordered.center is not None and ordered.scale is not None:
        mean = ordered.center + ordered.scale * ordered.current_sums[rows, place] / np.maximum(inside, 1)
        alone = mean - low <= 1e-9 * ordered.scale  # nothing but the value at the lower end: integers, heavy values
        high = np.where(alone, low, high)
    part = np.clip((target[:, 0] - before) / np.maximum(inside, 1), 0.0, 1.0)
    return np.where(ordered.current_rows[:, 0] > 0, low + part * (high - low), np.nan)
