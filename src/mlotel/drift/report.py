"""What a check found: who has changed, since when, by how much, and how sure that is."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mlotel.drift import _page, _table, statistics
from mlotel.drift._evidence import e_bh
from mlotel.drift._ladder import Standing
from mlotel.drift._profile import Floats, Integers, Profile
from mlotel.drift.statistics._counts import Counts
from mlotel.drift.statistics._moments import Moments
from mlotel.drift.statistics._quantiles import quantile_from_counts
from mlotel.errors import InvalidArgumentError, NotFoundError

__all__ = ["FeatureReport", "Report", "SchemaChange"]

SCORES = ("psi", "ks", "wasserstein", "js", "hellinger", "tvd", "chi2", "cramers_v")
FEWEST_ROWS = 500
"""Rows that scores are made of at least: below it, noise alone looks like drift."""


@dataclass(frozen=True)
class SchemaChange:
    """How the columns differ from those of the reference.

    Attributes:
        what: ``missing``, ``new``, ``type`` or ``unreadable``.
        column: Name of the column; empty when the whole table could not be read.
        detail: What was found, for people.
        rows: Rows that came so since the last check.
    """

    what: str
    column: str
    detail: str
    rows: int


@dataclass(frozen=True, eq=False)
class Found:
    """What a check hands to its report.

    Attributes:
        places: Place of each feature in the arrays below, in the order of the reference.
        profiles: Of the features, by place.
        standing: Of the decision.
        detectable: ``(F,)``.
        rows: ``(F,)`` rows since the last check.
        arrived: ``(F, 12)`` the same in each group of bins.
        scored_rows: ``(F,)`` rows behind scores and moments; below 500 there are none.
        counts: For the statistics.
        bins: ``(bins,)`` and ``starts`` the first bin of each feature.
        moments: ``(K,)`` of the features that are numbers, standardised; their extremes are not.
        center: ``(K,)`` and ``scale`` what they were standardised with.
        history: ``(F, n)`` evidence of the last checks, NaN before the first.
        words: Says for a feature what has become more or less frequent.
    """

    check: int
    places: Mapping[str, int]
    profiles: list[Profile]
    standing: Standing
    detectable: Floats
    rows: Integers
    arrived: Floats
    scored_rows: Integers
    counts: Counts
    bins: Integers
    starts: Integers
    moments: Moments
    center: Floats
    scale: Floats
    history: Floats
    words: Callable[[int], str]
    schema: tuple[SchemaChange, ...]
    alpha: float
    tolerances: tuple[float, ...]


class Report:
    """Result of one check: a mapping of feature names to ``FeatureReport``.

    Printed it is a table of the features; in a notebook it shows reference and current data on one axis.

    Attributes:
        check: Number of the check, from 1.
        alpha: Chance that any alarm, ever, is a false one.
        tolerances: Total variation that each level certifies to be exceeded.
        schema: Columns that were missing, new, or of another type.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self.check = found.check
        self.alpha = found.alpha
        self.tolerances = found.tolerances
        self.schema = found.schema
        self._features = {name: FeatureReport(name, place, found, self._scores) for name, place in found.places.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """All features, in the order of the reference."""
        return tuple(self._features)

    @property
    def alarms(self) -> list[str]:
        """Features with an alarm: level 1 or more."""
        return [name for name, feature in self._features.items() if feature.level > 0]

    @property
    def raised(self) -> list[str]:
        """Features whose alarm began at this check."""
        return [name for name, feature in self._features.items() if feature.raised]

    @property
    def risen(self) -> list[str]:
        """Features whose level is higher than at the last check; those in ``raised`` are among them."""
        return [name for name, feature in self._features.items() if feature.level > feature.level_before]

    @property
    def cleared(self) -> list[str]:
        """Features whose alarm ended at this check."""
        return [name for name, feature in self._features.items() if feature.cleared]

    @property
    def evidence(self) -> float:
        """Evidence that any feature has changed, whichever; 1 is an alarm, under the same alpha."""
        return self._found.standing.any_evidence

    def discoveries(self, rate: float = 0.1) -> list[str]:
        """Features with evidence now, of which a share of ``rate`` at most is expected to be false.

        More liberal than ``alarms``, for a list to look through once something has been found.

        Args:
            rate: False discovery rate, in (0, 1).

        Source: Wang and Ramdas, "False discovery rate control with e-values", JRSS-B 2022.
        """
        if not 0 < rate < 1:
            raise InvalidArgumentError(f"Got rate={rate!r}. Pass a share between 0 and 1, such as 0.1.")
        chosen = set(e_bh(self._found.standing.log_e, rate).tolist())
        return [name for name, place in self._found.places.items() if place in chosen]

    def __getitem__(self, name: str) -> "FeatureReport":
        try:
            return self._features[name]
        except KeyError:
            raise NotFoundError(f"The report has no feature {name!r}. It has {', '.join(self._features)}.") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "check": self.check,
            "alpha": self.alpha,
            "tolerances": list(self.tolerances),
            "evidence": self.evidence,
            "alarms": self.alarms,
            "raised": self.raised,
            "cleared": self.cleared,
            "schema": [vars(change) for change in self.schema],
            "features": {name: feature.to_dict() for name, feature in self._features.items()},
        }

    def __str__(self) -> str:
        return _table.table_of(self)

    def __repr__(self) -> str:
        return f"Report(check {self.check}, {len(self)} features, alarms: {', '.join(self.alarms) or 'none'})"

    def _repr_html_(self) -> str:
        return _page.page_of(self)

    def _scores(self, name: str, is_noise: bool) -> Floats | None:
        """``(F,)`` scores of a statistic, or its noise; None where there is none."""
        return self._computed(name, is_noise)

    @cached_property
    def _computed(self) -> Callable[[str, bool], Floats | None]:
        known: dict[tuple[str, bool], Floats | None] = {}

        def computed(name: str, is_noise: bool) -> Floats | None:
            if (name, is_noise) not in known:
                statistic = statistics.get(name)
                function = statistic.noise if is_noise else statistic.from_counts
                with np.errstate(all="ignore"):  # of features without rows, which are not shown
                    known[name, is_noise] = None if function is None else function(self._found.counts)
            return known[name, is_noise]

        return computed


class FeatureReport:
    """One feature in a report.

    Attributes:
        name: Of the feature.
        kind: ``numeric``, ``integer``, ``boolean``, ``category``, ``text`` (its length) or ``datetime`` (in seconds).
    """

    def __init__(self, name: str, place: int, found: Found, scores: Callable[[str, bool], Floats | None]) -> None:
        self.name = name
        self._place = place
        self._found = found
        self._scores = scores
        self.profile = found.profiles[place]
        self.kind = self.profile.kind

    @property
    def evidence(self) -> float:
        """Evidence of a change beyond the first tolerance; 1 is an alarm. It may be below 0."""
        return float(self._found.standing.evidence[self._place])

    @property
    def level(self) -> int:
        """How many of the tolerances the change certainly exceeds; 0 without an alarm."""
        return int(self._found.standing.level[self._place])

    @property
    def level_before(self) -> int:
        """The level at the check before this one."""
        return int(self._found.standing.before[self._place])

    @property
    def raised(self) -> bool:
        """Whether its alarm began at this check."""
        return self.level > 0 and self.level_before == 0

    @property
    def cleared(self) -> bool:
        """Whether its alarm ended at this check."""
        return self.level == 0 and self.level_before > 0

    @property
    def detectable(self) -> float:
        """Smallest change of probability that can be certified, with however many rows."""
        return float(self._found.detectable[self._place])

    @property
    def onset(self) -> int | None:
        """Checks since the change probably began, 1 for this one; None without an alarm."""
        return int(self._found.standing.onset[self._place]) or None

    @property
    def change(self) -> str | None:
        """What has become more frequent, or less, in words; None without an alarm."""
        return self._found.words(self._place) if self.level else None

    @property
    def rows(self) -> int:
        """Rows since the last check."""
        return int(self._found.rows[self._place])

    @property
    def scored_rows(self) -> int:
        """Rows that scores and moments are made of; 0 while there are fewer than 500."""
        rows = int(self._found.scored_rows[self._place])
        return rows if rows >= FEWEST_ROWS else 0

    @property
    def history(self) -> list[float]:
        """Evidence of the last checks, the oldest first, this one last."""
        values = self._found.history[self._place]
        return [float(value) for value in values[~np.isnan(values)]]

    def score(self, name: str) -> float | None:
        """A statistic of current rows against the reference.

        Args:
            name: ``psi``, ``ks``, ``wasserstein`` (in standard deviations of the reference), ``js``, ``hellinger``,
                ``tvd``, ``chi2``, ``cramers_v``, or that of a plugin.

        Returns:
            None with fewer than 500 rows, or for a statistic that does not apply to this kind of feature.

        Raises:
            NotFoundError: If there is no such statistic.
        """
        return self._value(self._scores(name, False))

    def noise(self, name: str) -> float | None:
        """What ``score`` is expected to be when nothing has changed; None where no formula is known.

        Raises:
            NotFoundError: If there is no such statistic.
        """
        if self.score(name) is None:
            return None
        return self._value(self._scores(name, True))

    def _value(self, values: Floats | None) -> float | None:
        if values is None or not self.scored_rows:
            return None
        value = float(values[self._place])
        return value if math.isfinite(value) else None

    @property
    def counts(self) -> Integers:
        """Rows in each bin of the reference, the last one for what is missing."""
        first, last = self._found.starts[self._place], self._found.starts[self._place + 1]
        return self._found.bins[first:last]

    @property
    def groups(self) -> tuple[Integers, Integers]:
        """Rows in the at most 12 groups that divergences are computed from: of the reference, and current ones.

        Groups 0 to 9 lie between deciles, or hold one category each and then the others; 10 is missing, 11 unseen.
        """
        counts = self._found.counts
        return counts.reference[self._place].astype(np.int64), counts.current[self._place].astype(np.int64)

    @property
    def arrived(self) -> Integers:
        """Rows since the last check in each of the 12 groups: over all checks they add up to all rows."""
        return np.asarray(self._found.arrived[self._place], dtype=np.int64)

    @property
    def missing(self) -> float | None:
        """Share of rows without a value."""
        return self._share(int(self.counts[-1]))

    @property
    def unseen(self) -> float | None:
        """Share of rows with a category whose name the reference does not keep; None for numbers."""
        return None if self.profile.is_ordered else self._share(int(self.counts[-2]))

    @property
    def out_of_range(self) -> float | None:
        """Share of rows below the smallest or above the largest number of the reference; None for categories."""
        return self._share(int(self.counts[0] + self.counts[-2])) if self.profile.is_ordered else None

    def _share(self, count: int) -> float | None:
        return count / self.scored_rows if self.scored_rows else None

    @property
    def moments(self) -> dict[str, float]:
        """``mean``, ``median``, ``std``, ``skewness``, ``kurtosis``, ``min`` and ``max`` of the current finite values.

        Empty for categories, and with fewer than 500 rows. The median is interpolated within its bin.
        """
        found, place = self._found, self._place
        if not self.profile.is_ordered or not self.scored_rows or not found.moments.rows[place]:
            return {}
        center, scale = found.center[place], found.scale[place]
        values = {
            "mean": center + scale * found.moments.mean[place],
            "median": self._median(),
            "std": scale * found.moments.std[place],
            "skewness": found.moments.skewness[place],
            "kurtosis": found.moments.kurtosis[place],
            "min": found.moments.minimum[place],
            "max": found.moments.maximum[place],
        }
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}

    def _median(self) -> float:
        ordered = self._found.counts.ordered
        assert ordered is not None
        moments = self._found.moments
        with np.errstate(all="ignore"):  # of features without rows
            return float(quantile_from_counts(ordered, 0.5, moments.minimum, moments.maximum)[self._place])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        found: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "kind", "level", "evidence", "detectable", "onset", "change", "raised", "cleared", "rows",
                "scored_rows", "missing", "unseen", "out_of_range", "moments",
            )
        }  # fmt: skip
        found["scores"] = {name: self.score(name) for name in SCORES}
        found["noise"] = {name: self.noise(name) for name in SCORES}
        return found

    def __repr__(self) -> str:
        return f"FeatureReport({self.name!r}, level {self.level}, evidence {self.evidence:.2f})"
