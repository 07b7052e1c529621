"""Rows of the open window: a buffer that is emptied into exact counts, sums and moments every 2,048 rows."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlotel.drift._profile import Flags, Floats, Integers, Profile
from mlotel.drift.statistics._moments import Moments

BLOCK = 2048
_LOWEST = np.finfo(np.float64).min
Copy: TypeAlias = Callable[[int, int, Floats], None]


class Window:
    """Counts of the features that are numbers.

    The rows are taken in blocks of 2,048 from the beginning of the window, so that every sum comes out the same to the
    last bit however the rows came: one by one, in batches, or with a save in between.

    Args:
        profiles: Features with edges.

    Attributes:
        counts: ``(bins,)`` rows in each bin, the features one after another; the last bin of each holds what is missing
            or infinite.
        sums: ``(bins,)`` sums of ``(x - center) / scale``.
        moments: Of ``(x - center) / scale``; the extremes are in the unit of the data.
        fill: Rows in the buffer.
        absent: ``(F,)`` rows that came without the feature at all.
    """

    def __init__(self, profiles: Sequence[Profile]) -> None:
        size = len(profiles)
        # From the lowest double up, so that minus infinity falls before the first edge and plus infinity on the last.
        self._edges = [np.concatenate([[_LOWEST], p.edges, [np.inf]]) for p in profiles if p.edges is not None]
        self._starts = np.cumsum([0, *(len(edges) for edges in self._edges)])
        self._places = np.empty(int(self._starts[-1]) + 1, np.int64)
        self._places[-1] = 0
        self._slices = [self._places[a:b] for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)]
        self._last = self._starts[1:] - 1
        # Bins as stretches of the buffer laid out flat, of which each feature has one place more than a block.
        self._shift = np.repeat(np.arange(size) * (BLOCK + 1), np.diff(self._starts))
        self._center = np.array([p.center for p in profiles])[:, None]
        self._scale = np.array([p.scale for p in profiles])[:, None]
        self.buffer = np.zeros((size, BLOCK + 1))
        self._square = np.empty((size, BLOCK))  # kept: memory fresh from the system costs more than the products
        self.fill = 0
        self.absent = np.zeros(size, np.int64)
        self.counts = np.zeros(int(self._starts[-1]), np.int64)
        self.sums = np.zeros(int(self._starts[-1]))
        self.moments = Moments.nothing(size)

    def add_rows(self, rows: NDArray[np.number]) -> None:
        """Add ``(n, F)`` rows."""
        self._add(len(rows), lambda first, last, at: np.copyto(at, rows[first:last].T, casting="unsafe"))

    def add_columns(self, columns: Sequence[NDArray[np.number] | None], rows: int) -> None:
        """Add ``(n,)`` values of each feature; None for a feature that did not come."""
        for place, column in enumerate(columns):
            if column is None:
                self.absent[place] += rows

        def copy(first: int, last: int, at: Floats) -> None:
            for place, column in enumerate(columns):
                at[place] = np.nan if column is None else column[first:last]

        self._add(rows, copy)

    def _add(self, rows: int, copy: Copy) -> None:
        done = 0
        while done < rows:
            size = min(BLOCK - self.fill, rows - done)
            copy(done, done + size, self.buffer[:, self.fill : self.fill + size])
            self.fill += size
            done += size
            if self.fill == BLOCK:
                self.empty()

    def empty(self) -> None:
        """Count what is in the buffer."""
        n, self.fill = self.fill, 0
        if n == 0 or not len(self.buffer):
            return
        block = self.buffer[:, :n]
        block.sort(axis=1)  # minus infinity first, plus infinity and NaN last
        for column, edges, at in zip(block, self._edges, self._slices, strict=True):
            at[:] = column.searchsorted(edges)
        places = self._places[:-1]
        first, last = places[self._starts[:-1]], places[self._last]
        counts = np.diff(self._places)
        counts[self._last] = n - (last - first)  # what is no finite number
        self.counts += counts
        lowest = block[np.arange(len(block)), np.minimum(first, n - 1)]
        highest = block[np.arange(len(block)), np.maximum(last - 1, 0)]
        some = last > first
        with np.errstate(over="ignore", invalid="ignore"):  # of infinities, which are left out below
            block -= self._center
            block /= self._scale
            sums = np.add.reduceat(self.buffer.ravel(), places + self._shift)
        is_counted = counts > 0  # an empty stretch is given the value at its place instead of 0
        is_counted[self._last] = False
        sums = np.where(is_counted, sums, 0.0)
        extremes = np.where(some, lowest, np.inf), np.where(some, highest, -np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._moments(block, np.add.reduceat(sums, self._starts[:-1]), first, last, extremes)
            self.sums += sums
            self.moments = self.moments.merge(found)

    def _moments(
        self, block: Floats, total: Floats, first: Integers, last: Integers, extremes: tuple[Floats, Floats]
    ) -> Moments:
        """Moments of a block of standardised values, whose sums are known; the block is used up."""
        n = block.shape[1]
        rows = (last - first).astype(float)
        mean = total / np.maximum(rows, 1)
        block -= mean[:, None]
        for place in np.flatnonzero((first > 0) | (last < n)):  # what is no finite number
            block[place, : first[place]] = 0.0
            block[place, last[place] :] = 0.0
        square = np.multiply(block, block, out=self._square[:, :n])
        m3, m4 = ((square[:, None, :] @ other[:, :, None])[:, 0, 0] for other in (block, square))
        return Moments(rows, mean, square.sum(axis=1), m3, m4, *extremes)

    def clear(self, features: Flags) -> None:
        """Begin anew for some features; the buffer must be empty."""
        bins = np.repeat(features, np.diff(self._starts))
        self.counts[bins] = 0
        self.sums[bins] = 0.0
        self.absent[features] = 0
        nothing = Moments.nothing(len(features))
        self.moments = Moments(*(
            np.where(features, getattr(nothing, field.name), getattr(self.moments, field.name))
            for field in fields(Moments)
        ))  # fmt: skip

    def present(self) -> Integers:
        """``(bins,)`` the counts, without the rows that came without the feature."""
        self.empty()
        return self.counted()

    def counted(self) -> Integers:
        """The same, of the rows that are no longer in the buffer."""
        counts = self.counts.copy()
        counts[self._last] -= self.absent
        return counts
