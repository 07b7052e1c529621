"""Jensen-Shannon distance."""

from typing import Any

import numpy as np

from mlotel.drift.statistics._base import Bins, Counts, Floats, Statistic, chi2_tail, counts_of

_PER_BIN = 8 * np.log(2)  # of the squared distance in bits, by its second-order expansion


def js(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Root of the mean divergence, in bits, of both samples from their average.

    Args:
        reference: ``(n,)`` numbers, times, booleans or text, in any kind of column; it chooses the bins. Missing and
            infinite values have a bin of their own.
        current: ``(m,)`` of the same kind. ``m`` may differ from ``n``.
        bins: Quantile bins for numbers and times, or inner edges. Text has a bin for each value.

    Returns:
        The distance, base 2: 0 for equal shares, 1 when no bin holds rows of both.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If one sample holds numbers and the other text.
        InvalidArgumentError: If ``bins`` is below 2, or edges do not ascend.

    Example:
        >>> js(["AA", "AA"], ["DL"])
        1.0

    Source: Endres and Schindelin, "A new metric for probability distributions", IEEE Transactions on Information
    Theory 49, 2003.
    """
    return float(js_from_counts(counts_of(reference, current, bins=bins))[0])


def js_from_counts(counts: Counts) -> Floats:
    """``(F,)`` from counts per bin."""
    p, q = counts.current_share, counts.reference_share
    middle = np.where(counts.live, (p + q) / 2, 1.0)
    bits = _bits(p, middle) + _bits(q, middle)
    return counts.known(np.sqrt(np.clip(bits / 2, 0.0, 1.0)))


def _bits(share: Floats, middle: Floats) -> Floats:
    """``(F,)`` divergence of shares from the middle; an empty bin adds nothing."""
    return np.asarray((share * np.log2(np.where(share > 0, share / middle, 1.0))).sum(axis=1))


def js_noise(counts: Counts) -> Floats:
    """``(F,)`` root of the mean square when nothing changed."""
    return counts.known(np.sqrt((counts.bins - 1) * counts.per_row / _PER_BIN))


def js_p_value(reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """Chance of so large a value when nothing changed: the scaled square is then chi-square, nearly."""
    counts = counts_of(reference, current, bins=bins)
    return chi2_tail(counts, js_from_counts(counts) ** 2 * _PER_BIN / counts.per_row)


STATISTIC = Statistic(
    name="js",
    compute=js,
    upper_bound=1.0,
    symmetric=True,
    binned=True,
    from_counts=js_from_counts,
    noise=js_noise,
    p_value=js_p_value,
)
