"""Counts per bin of many features at once: what the statistics of a running detector are computed from."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Positions: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Ordered:
    """Counts of finite numbers in bins that have an order, for the statistics that need one.

    Bin 0 is ``(-inf, edges[0])``, bin ``j`` is ``[edges[j - 1], edges[j])`` and the last one in use ends at infinity.
    Features with fewer bins pad their edges with ``inf`` and their counts and sums with 0.

    Attributes:
        features: ``(K,)`` rows of ``Counts`` that these features are.
        edges: ``(K, B - 1)`` ascending, in the unit of the data.
        reference: ``(K, B)`` counts of the reference.
        current: ``(K, B)`` counts of the current sample.
        reference_sums: ``(K, B)`` sums of ``(x - center) / scale`` over the reference's values in each bin.
        current_sums: The same of the current sample.
        center: ``(K,)``, usually the reference's means.
        scale: ``(K,)`` above 0, usually the reference's standard deviations.

    The sums, center and scale are needed by the Wasserstein distance alone; without them it is NaN.
    """

    features: Positions
    edges: Floats
    reference: Floats
    current: Floats
    reference_sums: Floats | None = None
    current_sums: Floats | None = None
    center: Floats | None = None
    scale: Floats | None = None

    @cached_property
    def reference_rows(self) -> Floats:
        """``(K, 1)`` finite values of the reference."""
        return rows_of(self.reference)

    @cached_property
    def current_rows(self) -> Floats:
        """``(K, 1)`` finite values of the current sample."""
        return rows_of(self.current)

    @cached_property
    def reference_below(self) -> Floats:
        """``(K, B)`` share of the reference below the upper end of each bin."""
        return np.cumsum(self.reference, axis=1, dtype=float) / np.maximum(self.reference_rows, 1)

    @cached_property
    def current_below(self) -> Floats:
        """``(K, B)`` share of the current sample below the upper end of each bin."""
        return np.cumsum(self.current, axis=1, dtype=float) / np.maximum(self.current_rows, 1)


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of many features, reference and current in the same bins.

    A bin that is empty on both sides does not count, so features with fewer bins are padded with zeros. Missing
    values are one of the bins, as are categories that the reference did not have.

    Attributes:
        reference: ``(F, G)`` counts of the reference.
        current: ``(F, G)`` counts of the current sample.
        ordered: Finer bins of the numeric features among them; None where there is no numeric feature.

    Example:
        >>> import numpy as np
        >>> from mlotel.drift.statistics import psi, tvd
        >>> counts = Counts(np.array([[50.0, 50.0], [900.0, 100.0]]), np.array([[10.0, 10.0], [50.0, 50.0]]))
        >>> tvd.STATISTIC.from_counts(counts)
        array([0. , 0.4])
        >>> psi.STATISTIC.noise(counts).round(3)
        array([0.06 , 0.011])
    """

    reference: Floats
    current: Floats
    ordered: Ordered | None = None

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """``(F, G)`` whether a bin holds anything."""
        return (self.reference + self.current) > 0

    @cached_property
    def bins(self) -> Floats:
        """``(F,)`` bins that hold anything."""
        return np.asarray(self.live.sum(axis=1, dtype=float))

    @cached_property
    def reference_rows(self) -> Floats:
        """``(F, 1)`` rows of the reference."""
        return rows_of(self.reference)

    @cached_property
    def current_rows(self) -> Floats:
        """``(F, 1)`` rows of the current sample."""
        return rows_of(self.current)

    @cached_property
    def reference_share(self) -> Floats:
        """``(F, G)`` share of the reference in each bin."""
        return self.reference / np.maximum(self.reference_rows, 1)

    @cached_property
    def current_share(self) -> Floats:
        """``(F, G)`` share of the current sample in each bin."""
        return self.current / np.maximum(self.current_rows, 1)

    @cached_property
    def per_row(self) -> Floats:
        """``(F,)`` ``1 / rows of the reference + 1 / rows of the current sample``: what sampling noise scales with."""
        return inverse_rows(self.reference_rows, self.current_rows)

    def known(self, values: Floats) -> Floats:
        """Replace by NaN what was computed for features without rows on either side."""
        return np.where(np.isfinite(self.per_row), values, np.nan)


def rows_of(counts: Floats) -> Floats:
    """``(F, 1)`` sum of the counts of each feature."""
    return np.asarray(counts.sum(axis=1, keepdims=True, dtype=float))


def inverse_rows(reference: Floats, current: Floats) -> Floats:
    """``(F,)`` ``1/n + 1/m`` of rows ``(F, 1)``; infinite where there are none."""
    with np.errstate(divide="ignore"):
        return (1 / reference + 1 / current)[:, 0]


def spread(counts: Counts, values: Floats) -> Floats:
    """``(F,)`` results for all features from those of the ordered ones, ``(K,)``; NaN for the others."""
    result = np.full(len(counts.reference), np.nan)
    if counts.ordered is not None:
        result[counts.ordered.features] = values
    return result
