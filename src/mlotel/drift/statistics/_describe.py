"""What one sample looks like: mean, median, spread and shape."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlotel.drift.statistics._moments import Moments
from mlotel.drift.statistics._samples import finite_with_origin


@dataclass(frozen=True, slots=True)
class Description:
    """Moments of the finite values of one sample. Times are seconds since 1970, their spread is in seconds.

    Attributes:
        rows: Finite values.
        mean: Their mean.
        median: Middle value; the mean of both middle ones for an even number.
        std: Standard deviation, divided by ``rows``.
        skewness: Third standardised moment: 0 when symmetric. NaN when all values are equal.
        kurtosis: Fourth standardised moment less 3: 0 for a normal law. NaN when all values are equal.
        min: Smallest value.
        max: Largest value.
    """

    rows: int
    mean: float
    median: float
    std: float
    skewness: float
    kurtosis: float
    min: float
    max: float


def describe(values: Any) -> Description:
    """Mean, median, standard deviation, skewness, excess kurtosis and extremes of one sample.

    Args:
        values: ``(n,)`` numbers, booleans or times, in any kind of column; missing values and infinities are skipped.

    Raises:
        EmptySampleError: If there is no finite value.
        InvalidTypeError: If it holds text.

    Example:
        >>> describe([1, 2, 3, 10]).median, describe([1, 2, 3, 10]).std
        (2.5, 3.5355339059327378)

    Source: Joanes and Gill, "Comparing measures of sample skewness and kurtosis", The Statistician 47, 1998: their
    g1 and g2.
    """
    numbers, origin = finite_with_origin(values)
    median = float(np.median(numbers))
    moments = Moments.of((numbers - median)[:, None])  # an offset would cost the higher moments their digits
    return Description(
        rows=numbers.size,
        mean=origin + (median + float(moments.mean[0])),
        median=origin + median,
        std=float(moments.std[0]),
        skewness=float(moments.skewness[0]),
        kurtosis=float(moments.kurtosis[0]),
        min=origin + float(numbers.min()),
        max=origin + float(numbers.max()),
    )
