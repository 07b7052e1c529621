"""Total variation distance."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Bins, Counts, Floats, Statistic, counts_of


def tvd(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Share of rows that would have to move to another bin to make the samples alike.

    Args:
        reference: ``(n,)`` numbers, times, booleans or text, in any kind of column; it chooses the bins. Missing and
            infinite values have a bin of their own.
        current: ``(m,)`` of the same kind. ``m`` may differ from ``n``.
        bins: Quantile bins for numbers and times, or inner edges. Text has a bin for each value.

    Returns:
        Share from 0 to 1: 0 for equal shares, 1 when no bin holds rows of both.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If one sample holds numbers and the other text.
        InvalidArgumentError: If ``bins`` is below 2, or edges do not ascend.

    Example:
        >>> tvd(["AA"] * 50 + ["DL"] * 50, ["AA"] * 75 + ["DL"] * 25)
        0.25

    Source: Levin and Peres, "Markov chains and mixing times", 2017, section 4.1.
    """
    return float(tvd_from_counts(counts_of(reference, current, bins=bins))[0])


def tvd_from_counts(counts: Counts) -> Floats:
    """``(F,)`` from counts per bin."""
    return counts.known(np.abs(counts.current_share - counts.reference_share).sum(axis=1) / 2)


def tvd_noise(counts: Counts) -> Floats:
    """``(F,)`` mean when nothing changed: half the sum of the mean absolute values of normal differences."""
    q = counts.reference_share
    return counts.known(np.sqrt(q * (1 - q)).sum(axis=1) * np.sqrt(counts.per_row / (2 * np.pi)))


STATISTIC = Statistic(
    name="tvd",
    compute=tvd,
    unit="{fraction}",
    upper_bound=1.0,
    symmetric=True,
    binned=True,
    from_counts=tvd_from_counts,
    noise=tvd_noise,
)
