"""Chi-square statistic of two samples."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Bins, Counts, Floats, Statistic, chi2_tail, counts_of


def chi2(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Pearson's statistic for whether two samples have the same shares, without Yates' correction.

    Args:
        reference: ``(n,)`` numbers, times, booleans or text, in any kind of column; it chooses the bins. Missing and
            infinite values have a bin of their own.
        current: ``(m,)`` of the same kind. ``m`` may differ from ``n``.
        bins: Quantile bins for numbers and times, or inner edges. Text has a bin for each value.

    Returns:
        0 for equal shares, ``n + m`` when no bin holds rows of both. It grows with the number of rows; when nothing
        changed the value to expect is one less than there are bins.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If one sample holds numbers and the other text.
        InvalidArgumentError: If ``bins`` is below 2, or edges do not ascend.

    Example:
        >>> chi2(["AA"] * 50 + ["DL"] * 50, ["AA"] * 60 + ["DL"] * 40).__round__(4)
        2.0202

    Source: Pearson, "On the probability that two distributions of frequency are really samples from the same
    population", Biometrika 8, 1911.
    """
    return float(chi2_from_counts(counts_of(reference, current, bins=bins))[0])


def chi2_from_counts(counts: Counts) -> Floats:
    """``(F,)`` from counts per bin."""
    both = np.where(counts.live, counts.reference + counts.current, 1.0)
    gap = counts.current_share - counts.reference_share
    return counts.known((counts.reference_rows * counts.current_rows * gap**2 / both).sum(axis=1))


def chi2_noise(counts: Counts) -> Floats:
    """``(F,)`` mean when nothing changed: the degrees of freedom."""
    return counts.known(counts.bins - 1)


def chi2_p_value(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Chance of so large a value when nothing changed, by the chi-square law; each bin should expect 5 rows or more."""
    counts = counts_of(reference, current, bins=bins)
    return chi2_tail(counts, chi2_from_counts(counts))


STATISTIC = Statistic(
    name="chi2",
    compute=chi2,
    symmetric=True,
    binned=True,
    from_counts=chi2_from_counts,
    noise=chi2_noise,
    p_value=chi2_p_value,
)
