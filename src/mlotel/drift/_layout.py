"""Flat counts of all features as the arrays that statistics are computed from."""

from collections.abc import Sequence

import numpy as np

from mlotel.drift._profile import WIRE_GROUPS, Floats, Integers, Profile
from mlotel.drift.statistics._counts import Counts, Ordered


class Layout:
    """Where the bins of each feature are, and what the reference has in them.

    Args:
        profiles: Features, those that are numbers first, as their bins follow one another in flat counts.

    Attributes:
        starts: ``(F + 1,)`` first bin of each feature, and the number of all bins.
        ordered: How many features are numbers.
    """

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.profiles = profiles
        self.starts = np.cumsum([0, *(profile.counts.size for profile in profiles)])
        self.ordered = sum(profile.is_ordered for profile in profiles)
        feature = np.repeat(np.arange(len(profiles)), np.diff(self.starts))
        self._group = np.concatenate([profile.groups() for profile in profiles]) + feature * WIRE_GROUPS
        self.reference_groups = self.groups(np.concatenate([profile.counts for profile in profiles]))
        numbers = profiles[: self.ordered]
        widest = max((profile.counts.size - 1 for profile in numbers), default=0)
        self._take = np.zeros((self.ordered, widest), np.int64)
        self._is_bin = np.zeros((self.ordered, widest), bool)
        self._edges = np.full((self.ordered, max(widest - 1, 0)), np.inf)
        self._reference, self._reference_sums = np.zeros((2, self.ordered, widest))
        for place, profile in enumerate(numbers):
            bins = profile.counts.size - 1
            assert profile.edges is not None
            assert profile.sums is not None
            self._take[place, :bins] = self.starts[place] + np.arange(bins)
            self._is_bin[place, :bins] = True
            self._edges[place, : bins - 1] = profile.edges
            self._reference[place, :bins] = profile.counts[:-1]
            self._reference_sums[place, :bins] = profile.sums[:-1]
        self.center = np.array([profile.center for profile in numbers])
        self.scale = np.array([profile.scale for profile in numbers])

    def rows(self, counts: Integers) -> Integers:
        """``(F,)`` rows of each feature."""
        return np.asarray(np.add.reduceat(counts, self.starts[:-1]), dtype=np.int64)

    def groups(self, counts: Integers) -> Floats:
        """``(F, 12)`` rows in each group of bins."""
        size = len(self.profiles) * WIRE_GROUPS
        found = np.bincount(self._group, counts, minlength=size)
        return np.asarray(found, dtype=np.float64).reshape(-1, WIRE_GROUPS)

    def counts(self, counts: Integers, sums: Floats) -> Counts:
        """What statistics take.

        Args:
            counts: ``(bins,)`` of the current window.
            sums: Of the features that are numbers, of standardised values.
        """
        ordered = None
        if self.ordered:
            ordered = Ordered(
                features=np.arange(self.ordered),
                edges=self._edges,
                reference=self._reference,
                current=np.where(self._is_bin, counts[self._take], 0).astype(float),
                reference_sums=self._reference_sums,
                current_sums=np.where(self._is_bin, sums[self._take], 0.0),
                center=self.center,
                scale=self.scale,
            )
        return Counts(self.reference_groups, self.groups(counts), ordered)
