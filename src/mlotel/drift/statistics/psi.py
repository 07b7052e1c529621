"""Population stability index."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Bins, Counts, Floats, Statistic, chi2_tail, counts_of


def psi(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Sum over bins of the change of the share, times the change of its logarithm.

    Args:
        reference: ``(n,)`` numbers, times, booleans or text, in any kind of column; it chooses the bins. Missing and
            infinite values have a bin of their own.
        current: ``(m,)`` of the same kind. ``m`` may differ from ``n``.
        bins: Quantile bins for numbers and times, or inner edges. Text has a bin for each value.

    Returns:
        0 for equal shares, no upper limit. Half a row is added to every bin, so that an empty one is no infinity.
        When nothing changed the value to expect is ``(bins - 1) (1/n + 1/m)``, not 0.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If one sample holds numbers and the other text.
        InvalidArgumentError: If ``bins`` is below 2, or edges do not ascend.

    Example:
        >>> round(psi(["AA"] * 50 + ["DL"] * 50, ["AA"] * 80 + ["DL"] * 20), 3)
        0.406

    Source: Yurdakul, "Statistical properties of the population stability index", Western Michigan University, 2018.
    """
    return float(psi_from_counts(counts_of(reference, current, bins=bins))[0])


def psi_from_counts(counts: Counts) -> Floats:
    """``(F,)`` from counts per bin."""
    bins = counts.bins[:, None]
    p = np.where(counts.live, (counts.current + 0.5) / (counts.current_rows + 0.5 * bins), 1.0)
    q = np.where(counts.live, (counts.reference + 0.5) / (counts.reference_rows + 0.5 * bins), 1.0)
    return counts.known(((p - q) * np.log(p / q)).sum(axis=1))


def psi_noise(counts: Counts) -> Floats:
    """``(F,)`` mean when nothing changed."""
    return counts.known((counts.bins - 1) * counts.per_row)


def adjusted_from_counts(counts: Counts) -> Floats:
    """``(F,)`` what is left of it above its noise, not below 0."""
    return np.maximum(psi_from_counts(counts) - psi_noise(counts), 0.0)


def psi_p_value(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Chance of so large a value when nothing changed: ``psi / (1/n + 1/m)`` is then chi-square, nearly."""
    counts = counts_of(reference, current, bins=bins)
    return chi2_tail(counts, psi_from_counts(counts) / counts.per_row)


STATISTIC = Statistic(
    name="psi",
    compute=psi,
    symmetric=True,
    binned=True,
    from_counts=psi_from_counts,
    noise=psi_noise,
    p_value=psi_p_value,
)
