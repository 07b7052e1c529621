"""Cramer's V of two samples."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Bins, Counts, Floats, Statistic, counts_of
from mlotel.drift.statistics.chi2 import chi2_from_counts, chi2_p_value


def cramers_v(reference: Any, current: Any, *, bins: Bins = 10, adjusted: bool = False) -> float:
    """Strength of the association between a value and the sample that it stands in.

    Args:
        reference: ``(n,)`` numbers, times, booleans or text, in any kind of column; it chooses the bins. Missing and
            infinite values have a bin of their own.
        current: ``(m,)`` of the same kind. ``m`` may differ from ``n``.
        bins: Quantile bins for numbers and times, or inner edges. Text has a bin for each value.
        adjusted: Whether to subtract what chance alone gives.

    Returns:
        From 0, for equal shares, to 1, when no bin holds rows of both.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If one sample holds numbers and the other text.
        InvalidArgumentError: If ``bins`` is below 2, or edges do not ascend.

    Example:
        >>> cramers_v(["AA"] * 50 + ["DL"] * 50, ["AA"] * 60 + ["DL"] * 40).__round__(4)
        0.1005

    Source: Cramér, "Mathematical methods of statistics", 1946; adjusted as by Bergsma, "A bias-correction for
    Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society 42, 2013.
    """
    counts = counts_of(reference, current, bins=bins)
    return float((adjusted_from_counts if adjusted else cramers_v_from_counts)(counts)[0])


def cramers_v_from_counts(counts: Counts) -> Floats:
    """``(F,)`` from counts per bin."""
    return np.sqrt(np.minimum(chi2_from_counts(counts) / _rows(counts), 1.0))


def adjusted_from_counts(counts: Counts) -> Floats:
    """``(F,)`` without what the degrees of freedom give by chance, not below 0."""
    return np.sqrt(np.clip((chi2_from_counts(counts) - (counts.bins - 1)) / _rows(counts), 0.0, 1.0))


def cramers_v_noise(counts: Counts) -> Floats:
    """``(F,)`` root of the mean square when nothing changed."""
    return counts.known(np.sqrt(np.maximum(counts.bins - 1, 0.0) / _rows(counts)))


def _rows(counts: Counts) -> Floats:
    return np.maximum((counts.reference_rows + counts.current_rows)[:, 0], 1.0)


def cramers_v_p_value(reference: Any, current: Any, *, bins: Bins = 10, adjusted: bool = False) -> float:
    """Chance of so large a value when nothing changed: that of the chi-square statistic behind it."""
    return chi2_p_value(reference, current, bins=bins)


STATISTIC = Statistic(
    name="cramers_v",
    compute=cramers_v,
    upper_bound=1.0,
    symmetric=True,
    binned=True,
    from_counts=cramers_v_from_counts,
    noise=cramers_v_noise,
    p_value=cramers_v_p_value,
)
