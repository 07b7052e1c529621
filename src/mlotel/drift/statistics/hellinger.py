"""Hellinger distance."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Bins, Counts, Floats, Statistic, chi2_tail, counts_of


def hellinger(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Distance of the square roots of both samples' shares.

    Args:
        reference: ``(n,)`` numbers, times, booleans or text, in any kind of column; it chooses the bins. Missing and
            infinite values have a bin of their own.
        current: ``(m,)`` of the same kind. ``m`` may differ from ``n``.
        bins: Quantile bins for numbers and times, or inner edges. Text has a bin for each value.

    Returns:
        Distance from 0 to 1: 0 for equal shares, 1 when no bin holds rows of both.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If one sample holds numbers and the other text.
        InvalidArgumentError: If ``bins`` is below 2, or edges do not ascend.

    Example:
        >>> round(hellinger(["AA"] * 3 + ["DL"], ["AA"] + ["DL"] * 3), 4)
        0.366

    Source: Le Cam and Yang, "Asymptotics in statistics", 2000, section 3.1; with the factor that bounds it by 1.
    """
    return float(hellinger_from_counts(counts_of(reference, current, bins=bins))[0])


def hellinger_from_counts(counts: Counts) -> Floats:
    """``(F,)`` from counts per bin."""
    # Half the squared differences, not 1 - sum(sqrt(p q)): that would lose half the digits of a small distance.
    gap = np.sqrt(counts.current_share) - np.sqrt(counts.reference_share)
    return counts.known(np.sqrt(np.minimum((gap**2).sum(axis=1) / 2, 1.0)))


def hellinger_noise(counts: Counts) -> Floats:
    """``(F,)`` root of the mean square when nothing changed."""
    return counts.known(np.sqrt((counts.bins - 1) * counts.per_row / 8))


def hellinger_p_value(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Chance of so large a value when nothing changed: eight times the scaled square is then chi-square, nearly."""
    counts = counts_of(reference, current, bins=bins)
    return chi2_tail(counts, hellinger_from_counts(counts) ** 2 * 8 / counts.per_row)


STATISTIC = Statistic(
    name="hellinger",
    compute=hellinger,
    upper_bound=1.0,
    symmetric=True,
    binned=True,
    from_counts=hellinger_from_counts,
    noise=hellinger_noise,
    p_value=hellinger_p_value,
)
