"""What the reports of a detector come to, in the points of each metric."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from mlotel import _settings
from mlotel.drift import Reference, Report
from mlotel.drift._profile import WIRE_GROUPS, Profile
from mlotel.drift.report import FeatureReport
from mlotel.metrics.observables import Group
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv._spec import MetricSpec
from mlotel.tracing.attributes import text

__all__ = ["SPECS", "Standing"]

SPECS = (
    specs.ML_FEATURE_VALUES, specs.ML_FEATURE_REFERENCE_PROPORTION, specs.ML_FEATURE_REFERENCE_ROWS,
    specs.ML_FEATURE_STATISTIC, specs.ML_FEATURE_MISSING, specs.ML_FEATURE_UNSEEN, specs.ML_FEATURE_OUT_OF_RANGE,
    specs.ML_DRIFT_SCORE, specs.ML_DRIFT_NOISE, specs.ML_DRIFT_EVIDENCE, specs.ML_DRIFT_LEVEL,
    specs.ML_DRIFT_DETECTABLE, specs.ML_DRIFT_DETECTIONS, specs.ML_DRIFT_AGE,
    specs.ML_CLASS_PROPORTION, specs.ML_CLASS_IMBALANCE,
)  # fmt: skip
"""Every metric of a detector; a collection begins with the first."""

MOST_CLASSES = 50
_EXTREMES = ("min", "max")
_CHECKS = 256  # whose times are known; a change that began before is dated by its number of checks alone

Points: TypeAlias = list[tuple[str, float]]
"""Value of the one attribute that tells the points of a feature apart, and the number."""


class _Feature:
    """One feature, as it stands.

    Attributes:
        bins: Those of the at most 12 bins that it has.
        reference: ``(bins,)`` their shares in the reference.
        values: ``(bins,)`` rows that were counted.
        detections: Alarms that were raised.
        seen_ns: When rows with it came last; None for never.
        began_ns: Wall-clock times since which the rows of the last checks came, of those that had some.
        gauges: By metric, the last points.
    """

    def __init__(self, profile: Profile) -> None:
        groups = profile.groups()
        self.name = profile.name
        self.kind = profile.kind
        self.rows = profile.rows
        self.bins = sorted(set(groups.tolist()))
        counts = np.bincount(groups, profile.counts, WIRE_GROUPS)
        self.reference = [float(counts[place] / max(profile.rows, 1)) for place in self.bins]
        self.values = [0] * len(self.bins)
        self.detections = 0
        self.seen_ns: int | None = None
        self.began_ns: deque[int] = deque(maxlen=_CHECKS)
        self.gauges: dict[str, Points] = {}

    def take(self, found: FeatureReport, statistics: Sequence[str], now_ns: int, began_ns: int) -> None:
        """Take a report into account."""
        if found.rows:
            self.seen_ns = now_ns
            self.began_ns.append(began_ns)
            arrived = found.arrived
            self.values = [known + int(arrived[place]) for known, place in zip(self.values, self.bins, strict=True)]
        self.detections += found.raised
        self._keep(specs.ML_DRIFT_EVIDENCE, found.evidence)
        self._keep(specs.ML_DRIFT_LEVEL, found.level)
        self._keep(specs.ML_DRIFT_DETECTABLE, found.detectable)
        if not found.scored_rows:  # too few rows: what was last said of enough of them still stands
            return
        self._keep(specs.ML_FEATURE_MISSING, found.missing)
        self._keep(specs.ML_FEATURE_UNSEEN, found.unseen)
        self._keep(specs.ML_FEATURE_OUT_OF_RANGE, found.out_of_range)
        self._keep_all(specs.ML_DRIFT_SCORE, {name: found.score(name) for name in statistics})
        self._keep_all(specs.ML_DRIFT_NOISE, {name: found.noise(name) for name in statistics})
        self._keep_all(specs.ML_FEATURE_STATISTIC, found.moments)

    def _keep(self, spec: MetricSpec, value: float | None) -> None:
        self._keep_all(spec, {"": value})

    def _keep_all(self, spec: MetricSpec, values: Mapping[str, float | None]) -> None:
        self.gauges[spec.name] = [
            (name, value) for name, value in values.items() if value is not None and math.isfinite(value)
        ]


class _Classes:
    """Shares of classes among current predictions, or labels.

    Args:
        profile: The feature that holds them.
        classes: Names of the classes, the most frequent in the reference first.
    """

    def __init__(self, profile: Profile, classes: Iterable[str]) -> None:
        self.feature = profile.name
        self.points: Points = []
        self._bins = {label: place for label in classes if (place := _bin_of(profile, label)) is not None}

    def take(self, found: FeatureReport) -> None:
        """Take a report into account."""
        if not found.scored_rows:
            return
        counts = found.counts
        present = int(counts.sum() - counts[-1])
        if present:
            self.points = [(label, int(counts[place]) / present) for label, place in self._bins.items()]


def _bin_of(profile: Profile, label: str) -> int | None:
    """The bin that holds a class and nothing else."""
    if profile.labels is not None:
        named = profile.labels[: profile.top]
        return named.index(label) if label in named else None
    try:
        number = float(label)
    except ValueError:
        return None
    edges = profile.edges
    assert edges is not None
    # Of at most 60 distinct numbers each begins a bin of its own: classes numbered from 0 have one each.
    found = np.flatnonzero(edges == number)
    return int(found[0]) + 1 if found.size else None


class Standing:
    """All features, as they stand.

    Args:
        reference: Of the detector.
        model: Name of the model.
        version: Of the model, or None.
        statistics: Names of the scores that are reported.
        stale_after_s: Seconds without a row after which gauges end.
    """

    def __init__(
        self, reference: Reference, model: str, version: str | None, statistics: Sequence[str], stale_after_s: float
    ) -> None:
        self._model, self._version = model, version
        self._statistics = statistics
        self._stale_ns = stale_after_s * 1e9
        self._features = [_Feature(profile) for profile in reference.profiles]
        self._reference_classes = _most(reference.proportions.get("label") or reference.proportions.get("prediction"))
        self._classes = {
            role: _Classes(reference[role], dict(_most(reference.proportions[role])))
            for role in ("prediction", "label")
            if role in reference.names and reference.proportions.get(role)
        }
        self._checked_ns: int | None = None
        self.rows_ns: int | None = None
        self._shown: tuple[object, dict[str, str], list[str]] | None = None
        self._of: dict[str, Callable[[int], Iterable[Group]]] = {
            specs.ML_FEATURE_VALUES.name: self._values,
            specs.ML_FEATURE_REFERENCE_PROPORTION.name: self._reference_proportion,
            specs.ML_FEATURE_REFERENCE_ROWS.name: self._reference_rows,
            specs.ML_DRIFT_DETECTIONS.name: self._detections,
            specs.ML_DRIFT_AGE.name: self._age,
            specs.ML_CLASS_PROPORTION.name: self._class_proportion,
            specs.ML_CLASS_IMBALANCE.name: self._class_imbalance,
        }

    def take(self, report: Report, now_ns: int, began_ns: int) -> None:
        """Take a report into account.

        Args:
            report: Of a check.
            now_ns: Monotonic time.
            began_ns: Wall-clock time since which its rows came.
        """
        self._checked_ns = now_ns
        for feature in self._features:
            feature.take(report[feature.name], self._statistics, now_ns, began_ns)
            if feature.seen_ns == now_ns:
                self.rows_ns = now_ns
        for classes in self._classes.values():
            classes.take(report[classes.feature])

    def began(self, name: str, checks: int) -> int | None:
        """Wall-clock time since which the rows came that a feature had so many checks ago, 1 for the last one."""
        for feature in self._features:
            if feature.name == name and checks <= len(feature.began_ns):
                return feature.began_ns[-checks]
        return None

    def start_at_zero(self) -> None:
        """In a forked child: what was counted is the parent's."""
        for feature in self._features:
            feature.values = [0] * len(feature.bins)
            feature.detections = 0

    def groups(self, spec: MetricSpec, now_ns: int) -> Iterable[Group]:
        """Points of one metric, a group for each feature in the order of the reference."""
        own = self._of.get(spec.name)
        if own is not None:
            return own(now_ns)
        return self._gauges(spec, now_ns)

    def _is_fresh(self, seen_ns: int | None, now_ns: int) -> bool:
        return seen_ns is not None and 0 <= now_ns - seen_ns < self._stale_ns

    def _gauges(self, spec: MetricSpec, now_ns: int) -> Iterator[Group]:
        if not self._is_fresh(self.rows_ns, now_ns):
            return
        key = {
            specs.ML_FEATURE_STATISTIC.name: names.ML_STATISTIC_NAME,
            specs.ML_DRIFT_SCORE.name: names.ML_DRIFT_STATISTIC,
            specs.ML_DRIFT_NOISE.name: names.ML_DRIFT_STATISTIC,
        }.get(spec.name)
        for feature, about in self._about():
            points = feature.gauges.get(spec.name, [])
            # A column may be gone while others go on coming; rows of the last check are as fresh as any.
            is_fresh = feature.seen_ns == self._checked_ns or self._is_fresh(feature.seen_ns, now_ns)
            if not is_fresh:
                points = []
            if spec is specs.ML_FEATURE_STATISTIC and not _settings.current.capture_values:
                points = [point for point in points if point[0] not in _EXTREMES]
            yield [(about if key is None else {**about, key: name}, value) for name, value in points]

    def _values(self, now_ns: int) -> Iterator[Group]:
        for feature, about in self._about():
            yield _by_bin(about, feature.bins, feature.values)

    def _reference_proportion(self, now_ns: int) -> Iterator[Group]:
        for feature, about in self._about():
            yield _by_bin(about, feature.bins, feature.reference)

    def _reference_rows(self, now_ns: int) -> Iterator[Group]:
        for feature, about in self._about():
            yield [({**about, names.ML_FEATURE_KIND: feature.kind}, feature.rows)]

    def _detections(self, now_ns: int) -> Iterator[Group]:
        for feature, about in self._about():
            yield [(about, feature.detections)]

    def _age(self, now_ns: int) -> Iterator[Group]:
        if self._checked_ns is not None:
            yield [(self._names()[0], max(now_ns - self._checked_ns, 0) / 1e9)]

    def _class_proportion(self, now_ns: int) -> Iterator[Group]:
        for role, points in self._shares(now_ns):
            about = {**self._names()[0], names.ML_DATA_ROLE: role}
            yield [({**about, names.ML_CLASS_LABEL: text(label)}, share) for label, share in points]

    def _class_imbalance(self, now_ns: int) -> Iterator[Group]:
        for role, points in self._shares(now_ns):
            shares = [share for _, share in points]
            if min(shares) > 0:  # with a class that is gone it is infinite, and no number on the wire
                yield [({**self._names()[0], names.ML_DATA_ROLE: role}, max(shares) / min(shares))]

    def _shares(self, now_ns: int) -> Iterator[tuple[str, Points]]:
        if self._reference_classes:
            yield "reference", self._reference_classes
        if self._is_fresh(self.rows_ns, now_ns):
            for role, classes in self._classes.items():
                if classes.points:
                    yield role, classes.points

    def _about(self) -> Iterator[tuple[_Feature, dict[str, str]]]:
        model, features = self._names()
        for feature, name in zip(self._features, features, strict=True):
            yield feature, {**model, names.ML_FEATURE_NAME: name}

    def _names(self) -> tuple[dict[str, str], list[str]]:
        """Names of the model and the features as they may leave now."""
        redact = _settings.current.redact
        if self._shown is None or self._shown[0] is not redact:
            model = {names.ML_MODEL_NAME: text(self._model)}
            if self._version is not None:
                model[names.ML_MODEL_VERSION] = text(self._version)
            self._shown = redact, model, [text(feature.name) for feature in self._features]
        return self._shown[1], self._shown[2]

    @property
    def model(self) -> dict[str, str]:
        """Attributes that say which model this is."""
        return dict(self._names()[0])


def _by_bin(about: Mapping[str, str], bins: Sequence[int], values: Sequence[float]) -> Group:
    return [({**about, names.ML_FEATURE_BIN: f"{place:02d}"}, value) for place, value in zip(bins, values, strict=True)]


def _most(shares: Mapping[str, float] | None) -> Points:
    return list((shares or {}).items())[:MOST_CLASSES]
