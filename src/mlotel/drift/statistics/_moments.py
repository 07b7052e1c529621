"""Moments of many features at once, that can be merged."""

from dataclasses import dataclass

import numpy as np

from mlotel.drift.statistics._counts import Floats


@dataclass(frozen=True, eq=False)
class Moments:
    """Rows, mean, centred sums of powers and extremes of the finite values of ``F`` features.

    Merging compares means, so values far from 0, such as seconds since 1970, should lose a common origin first.

    Attributes:
        rows: ``(F,)`` finite values.
        mean: ``(F,)``; 0 where there are no rows, as all that follows but the extremes.
        m2: ``(F,)`` sum of the squared distances from the mean.
        m3: ``(F,)`` of the third powers.
        m4: ``(F,)`` of the fourth powers.
        minimum: ``(F,)``; ``inf`` where there are no rows.
        maximum: ``(F,)``; ``-inf`` where there are no rows.

    Source of the merge: Pébay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
    statistical moments", Sandia report SAND2008-6212, 2008.

    Example:
        >>> first, second = Moments.of(np.array([[1.0], [2.0]])), Moments.of(np.array([[6.0], [np.nan]]))
        >>> both = first.merge(second)
        >>> both.rows, both.mean, both.std.round(4)
        (array([3.]), array([3.]), array([2.1602]))
    """

    rows: Floats
    mean: Floats
    m2: Floats
    m3: Floats
    m4: Floats
    minimum: Floats
    maximum: Floats

    @classmethod
    def of(cls, values: Floats) -> "Moments":
        """Moments of ``(n, F)`` values; missing and infinite ones are left out."""
        finite = np.isfinite(values)
        rows = finite.sum(axis=0).astype(float)
        known = np.where(finite, values, 0.0)
        at_least_one = np.maximum(rows, 1)
        mean = known.sum(axis=0) / at_least_one
        away = np.where(finite, known - mean, 0.0)
        square = away * away
        m2, m3, m4 = square.sum(axis=0), (square * away).sum(axis=0), (square * square).sum(axis=0)
        off = away.sum(axis=0) / at_least_one  # the mean of these is not quite 0, by rounding
        return cls(
            rows=rows,
            mean=mean + off,
            m2=m2 - rows * off**2,
            m3=m3 - 3 * off * m2 + 2 * rows * off**3,
            m4=m4 - 4 * off * m3 + 6 * off**2 * m2 - 3 * rows * off**4,
            minimum=np.where(finite, values, np.inf).min(axis=0, initial=np.inf),
            maximum=np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf),
        )

    @classmethod
    def nothing(cls, features: int) -> "Moments":
        """Moments of no rows, from which merging starts."""
        return cls.of(np.empty((0, features)))

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the rows of both."""
        n, m = self.rows, other.rows
        total = n + m
        rows = np.maximum(total, 1)
        gap = other.mean - self.mean
        part = gap / rows
        m3 = self.m3 + other.m3 + gap * part**2 * n * m * (n - m) + 3 * part * (n * other.m2 - m * self.m2)
        m4 = (
            self.m4
            + other.m4
            + gap * part**3 * n * m * (n * n - n * m + m * m)
            + 6 * part**2 * (n * n * other.m2 + m * m * self.m2)
            + 4 * part * (n * other.m3 - m * self.m3)
        )
        return Moments(
            rows=total,
            mean=np.where(n > 0, self.mean + part * m, other.mean),
            m2=self.m2 + other.m2 + gap * part * n * m,
            m3=m3,
            m4=m4,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
        )

    @property
    def std(self) -> Floats:
        """``(F,)`` standard deviation of the rows at hand (divided by ``n``); NaN without rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(self.m2 / self.rows)

    @property
    def skewness(self) -> Floats:
        """``(F,)`` third standardised moment, 0 when symmetric; NaN when all values are equal."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._varied(np.sqrt(self.rows) * self.m3 / self.m2**1.5)

    @property
    def kurtosis(self) -> Floats:
        """``(F,)`` fourth standardised moment less 3, 0 for a normal law; NaN when all values are equal."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._varied(self.rows * self.m4 / self.m2**2 - 3)

    def _varied(self, values: Floats) -> Floats:
        return np.where(self.maximum > self.minimum, values, np.nan)
