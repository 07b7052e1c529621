"""What a reference knows of one feature."""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["numeric", "integer", "boolean", "category", "text", "datetime"]
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

WIRE_GROUPS = 12
MISSING_GROUP = 10
UNSEEN_GROUP = 11
LARGEST = 9
"""Categories with a group of their own; the rest share the one after them."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One feature of a reference, counted in bins.

    Numbers: bin 0 is below ``edges[0]``, bin ``j`` is ``[edges[j - 1], edges[j])``, the one before the last is at or
    above the last edge. Categories: one bin for each of the first ``top`` labels, then "other" (the remaining labels)
    and "unseen" (every other name). The last bin holds what is missing, of numbers also what is infinite.

    Attributes:
        name: What reports call it.
        kind: Of the column; what is counted of a text is its length, of a datetime its seconds since 1970.
        column: Column of the table that it is read from.
        part: Which part of the column: 0 for the column itself; embeddings and hours have several.
        share: Its share of the weight that one column has.
        rows: Rows counted.
        counts: ``(B,)`` rows in each bin.
        limit_counts: ``(B,)`` of the rows that had no say in where the bins are.
        limit_rows: How many those were.
        uncertain: Rows that the limits take as possibly miscounted, on either side.
        edges: ``(B - 2,)`` ascending; None for categories.
        late: Positions of edges that all rows had a say in: no bet may use them.
        deciles: Those of the edges that bound the groups of divergences.
        sums: ``(B,)`` sums of ``(x - center) / scale``.
        center: Mean.
        scale: Standard deviation, 1 if that is 0.
        minimum: Smallest finite value.
        maximum: Largest finite value.
        median: Middle finite value.
        moments: Sums of the 2nd, 3rd and 4th power of ``(x - center) / scale``.
        labels: Names of categories, the most frequent first; None for numbers.
        top: How many of them have a bin of their own.
        design_effect: How many rows tell as much as one independent row.
        tolerance: Total variation by which the reference itself wanders.
    """

    name: str
    kind: Kind
    column: str
    rows: int
    counts: Integers
    limit_counts: Integers
    limit_rows: int
    part: int = 0
    share: float = 1.0
    uncertain: int = 0
    edges: Floats | None = None
    late: tuple[int, ...] = ()
    deciles: Floats | None = None
    sums: Floats | None = None
    center: float = 0.0
    scale: float = 1.0
    minimum: float = 0.0
    maximum: float = 0.0
    median: float = 0.0
    moments: tuple[float, float, float] = (0.0, 0.0, 0.0)
    labels: tuple[str, ...] | None = None
    top: int = 0
    design_effect: float = 1.0
    tolerance: float = 0.0

    @property
    def is_ordered(self) -> bool:
        """Whether it is counted as numbers."""
        return self.edges is not None

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return int(self.counts[-1])

    def groups(self) -> Integers:
        """``(B,)`` which of the at most 12 groups of divergences and of the wire each bin belongs to.

        Numbers: ``0`` to ``9`` between the deciles, 10 missing. Categories: ``0`` to ``8`` the largest, 9 the others,
        10 missing, 11 unseen.
        """
        bins = np.arange(self.counts.size)
        if self.edges is not None and self.deciles is not None:
            lower = np.concatenate([[-np.inf], self.edges])
            groups = np.searchsorted(self.deciles, lower, side="right")
            return np.append(groups, MISSING_GROUP).astype(np.int64)
        groups = np.minimum(bins, LARGEST)
        groups[-2:] = UNSEEN_GROUP, MISSING_GROUP
        return groups.astype(np.int64)

    def words(self, first: int, last: int) -> str:
        """The bins from ``first`` up to ``last``, not included, in words."""
        if first == self.counts.size - 1:
            return "missing"
        if self.edges is None:
            return " or ".join(self._label(place) for place in range(first, min(last, first + 3))) + (
                f" or {last - first - 3} more" if last - first > 3 else ""
            )
        if first == 0:
            return f"below {show(self.edges[last - 1])}" if last <= self.edges.size else "any number"
        if last > self.edges.size:
            return f"{show(self.edges[first - 1])} or more"
        low, high = self.edges[first - 1], self.edges[last - 1]
        if high == np.nextafter(low, np.inf):
            return f"equal to {show(low)}"
        return f"from {show(low)} to {show(high)}"

    def _label(self, place: int) -> str:
        if self.labels is not None and place < self.top:
            return self.labels[place]
        return ("other", "unseen", "missing")[place - self.top]

    def changed(self, **what: Any) -> "Profile":
        """The same profile with other values for some attributes."""
        return replace(self, **what)


def show(number: float) -> str:
    """A number in at most four significant digits."""
    return f"{number:.4g}" if abs(number) < 1e6 or not np.isfinite(number) else f"{number:,.0f}"
