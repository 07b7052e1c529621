"""Metrics of a detector: every number is the report's, every bin is there from the start."""

import math

import numpy as np
import pytest
from observed_rows import rows
from opentelemetry.sdk.metrics.export import Gauge, Sum

import mlotel
from mlotel import _settings
from mlotel.drift import Detector
from mlotel.semconv import _types
from mlotel.testing import capturing

MODEL = {"ml.model.name": "eta", "ml.model.version": "7"}
GAUGES = {
    "ml.drift.score", "ml.drift.noise", "ml.drift.evidence", "ml.drift.level", "ml.drift.detectable",
    "ml.feature.statistic", "ml.feature.missing", "ml.feature.unseen", "ml.feature.out_of_range",
}  # fmt: skip


def values(capture, name, *keys):
    """``{key attributes: value}`` of all points of a metric."""
    return {tuple(point.attributes[key] for key in keys): point.value for point in capture.metrics(name)}


def predicted(size, seed):
    return np.random.default_rng(seed).choice(["late", "early", "on time"], size, p=[0.2, 0.3, 0.5])


def test_every_number_is_the_reports(capture, reference):
    """Scores, noise, evidence, levels, rates and moments are those that the report of the same check gives."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", "7", statistics=("psi", "ks", "wasserstein", "tvd"), every_s=math.inf):
        for seed in range(3):
            detector.update(rows(1000, seed, shift=0.3), predictions=predicted(1000, seed))
            report = detector.check()
            by_feature = "ml.feature.name"
            seen = [name for name in report if report[name].rows]
            for metric, attribute in (
                ("ml.drift.evidence", "evidence"),
                ("ml.drift.level", "level"),
                ("ml.drift.detectable", "detectable"),
                ("ml.feature.missing", "missing"),
                ("ml.feature.unseen", "unseen"),
                ("ml.feature.out_of_range", "out_of_range"),
            ):
                expected = {(name,): getattr(report[name], attribute) for name in seen}
                expected = {name: value for name, value in expected.items() if value is not None}
                assert values(capture, metric, by_feature) == expected
            for metric, method in (("ml.drift.score", "score"), ("ml.drift.noise", "noise")):
                expected = {
                    (name, statistic): getattr(report[name], method)(statistic)
                    for name in seen
                    for statistic in ("psi", "ks", "wasserstein", "tvd")
                }
                expected = {name: value for name, value in expected.items() if value is not None}
                assert values(capture, metric, by_feature, "ml.drift.statistic") == expected
            moments = {
                (name, moment): value
                for name in seen
                for moment, value in report[name].moments.items()
                if moment not in ("min", "max")
            }
            assert moments
            assert values(capture, "ml.feature.statistic", by_feature, "ml.statistic.name") == moments
    assert detector.checks == 3


def test_every_bin_is_there_from_the_start(capture, reference):
    """Before the first row all bins are reported with 0, and afterwards they add up to the rows."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", "7"):
        before = values(capture, "ml.feature.values", "ml.feature.name", "ml.feature.bin")
        assert set(before.values()) == {0}
        bins = {name: [b for n, b in before if n == name] for name in reference.names}
        assert bins["delay"] == [f"{place:02d}" for place in range(11)]
        assert bins["carrier"] == ["00", "01", "02", "03", "10", "11"]
        assert not capture.metric_names() & GAUGES

        data = rows(1500, 1)
        data["delay"][:100] = np.nan
        data["carrier"][:50] = "new"
        for part in (slice(0, 700), slice(700, 1500)):
            detector.update({name: column[part] for name, column in data.items()})
            capture.metric_names()
        after = values(capture, "ml.feature.values", "ml.feature.name", "ml.feature.bin")
    assert after.keys() == before.keys()
    for name in data:
        assert sum(value for (n, _), value in after.items() if n == name) == 1500
    assert after["delay", "10"] == 100
    assert after["carrier", "11"] == 50
    labels = reference["carrier"].labels
    for place, label in enumerate(labels):
        assert after["carrier", f"{place:02d}"] == (data["carrier"] == label).sum()
    edges = [-np.inf, *reference["delay"].deciles, np.inf]
    assert [after["delay", f"{place:02d}"] for place in range(10)] == np.histogram(data["delay"][100:], edges)[
        0
    ].tolist()


def test_the_reference_is_on_the_wire(capture, reference):
    """Shares of each bin add up to 1, and rows and kind of each feature stand beside them."""
    with mlotel.observe(Detector(reference), "eta", "7"):
        shares = values(capture, "ml.feature.reference.proportion", "ml.feature.name", "ml.feature.bin")
        kinds = values(capture, "ml.feature.reference.rows", "ml.feature.name", "ml.feature.kind")
    for name in reference.names:
        assert sum(value for (n, _), value in shares.items() if n == name) == pytest.approx(1, abs=1e-12)
    assert kinds == {(name, reference[name].kind): 20_000 for name in reference.names}


def test_classes_of_reference_and_predictions(capture, reference):
    """Shares and imbalance: of labels in the reference, and of what the model says and what came true now."""
    detector = Detector(reference)
    said, true = predicted(1000, 5), np.repeat([0, 1], [250, 750])
    with mlotel.observe(detector, "eta", "7"):
        detector.update(rows(1000, 1), predictions=said, labels=true)
        shares = values(capture, "ml.class.proportion", "ml.data.role", "ml.class.label")
        imbalance = values(capture, "ml.class.imbalance", "ml.data.role")
    assert {label: shares["prediction", label] for label in ("late", "early", "on time")} == {
        label: (said == label).mean() for label in ("late", "early", "on time")
    }
    assert (shares["label", "0"], shares["label", "1"]) == (0.25, 0.75)
    assert shares["reference", "0"] == reference.proportions["label"]["0"]
    assert imbalance[("label",)] == 3
    counts = [(said == label).sum() for label in ("late", "early", "on time")]
    assert imbalance[("prediction",)] == pytest.approx(max(counts) / min(counts))


def test_a_class_that_is_gone_has_share_zero(capture, reference):
    """Its share is 0; the imbalance would be infinite and is left out."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta"):
        detector.update(rows(1000, 1), predictions=np.repeat(["late", "early"], 500))
        assert capture.metric("ml.class.proportion", ml_data_role="prediction", ml_class_label="on time") == 0
        assert ("prediction",) not in values(capture, "ml.class.imbalance", "ml.data.role")


def test_extremes_leave_with_capture_only(reference):
    """The smallest and the largest value are data: without `capture_values` they stay."""
    for is_on in (False, True):
        detector, data = Detector(reference), rows(1000, 1)
        with capturing(capture_values=is_on) as capture, mlotel.observe(detector, "eta"):
            detector.update(data)
            found = values(capture, "ml.feature.statistic", "ml.feature.name", "ml.statistic.name")
        assert (("delay", "min") in found) is is_on
        if is_on:
            assert (found["delay", "min"], found["delay", "max"]) == (data["delay"].min(), data["delay"].max())


def test_redact_sees_every_name(reference):
    """Names of models, features and classes go through `redact=`."""
    detector = Detector(reference)
    with (
        capturing(redact=lambda text: text.replace("delay", "x").replace("late", "y")) as capture,
        mlotel.observe(detector, "delay-model", "late"),
    ):
        detector.update(rows(1000, 1), predictions=predicted(1000, 1))
        points = [point for name in capture.metric_names() for point in capture.metrics(name)]
    words = {value for point in points for value in point.attributes.values()}
    assert {"x-model", "y", "x"} <= words
    assert not [word for word in words if "delay" in word or "late" in word]


def test_metrics_are_those_of_the_registry(capture, reference):
    """Instrument, unit, description and attributes are what the registry says."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", "7"):
        detector.update(rows(1000, 1), predictions=predicted(1000, 1), labels=np.repeat([0, 1], 500))
        found = {metric.name: metric for metric in capture._metrics()}
    assert found.keys() > GAUGES
    for metric in found.values():
        spec = _types.METRICS[metric.name]
        assert (metric.unit, metric.description) == (spec.unit, spec.brief)
        assert isinstance(metric.data, Sum if spec.instrument == "counter" else Gauge)
        if spec.instrument == "counter":
            assert metric.data.is_monotonic
        for point in metric.data.data_points:
            assert MODEL.items() <= dict(point.attributes).items()
            assert set(point.attributes) <= set(spec.attributes)
            for key, value in point.attributes.items():
                assert value in _types.ENUM_VALUES.get(key, [value])


def test_without_a_name_it_is_the_model(capture, reference):
    """The name is `model` and there is no version."""
    with mlotel.observe(Detector(reference)):
        assert {tuple(p.attributes.items())[:1] for p in capture.metrics("ml.drift.detections")} == {
            (("ml.model.name", "model"),)
        }
        assert all("ml.model.version" not in point.attributes for point in capture.metrics("ml.feature.values"))


def test_nothing_is_recorded_when_disabled(capture, reference, monkeypatch):
    """With MLOTEL_DISABLED the handle does nothing, and the detector works on."""
    monkeypatch.setattr(_settings, "_disabled", True)
    detector = Detector(reference)
    with mlotel.observe(detector, "eta"):
        detector.update(rows(1000, 1))
        assert detector.check().check == 1
    assert capture.metric_names() == set()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"detector": 3}, TypeError, "got a detector of type int"),
        ({"model": 3}, TypeError, "got model of type int"),
        ({"model": ""}, ValueError, "got an empty model"),
        ({"version": 7}, TypeError, "got version of type int"),
        ({"statistics": "psi"}, TypeError, r"Pass a list of names, such as \['psi', 'ks'\]"),
        ({"statistics": ["psy"]}, LookupError, "psy"),
        ({"statistics": [3]}, TypeError, "got a statistic of type int"),
        ({"stale_after_s": 0}, ValueError, "got stale_after_s=0. Pass seconds above 0"),
        ({"every_s": -1.0}, ValueError, "got every_s=-1.0"),
        ({"every_s": math.nan}, ValueError, "got every_s=nan"),
        ({"every_s": True}, TypeError, "got every_s of type bool"),
    ],
)
def test_wrong_calls_say_what_is_wrong(reference, arguments, error, message):
    """A mistake raises at once, as an error of mlotel and as the built-in that fits."""
    with pytest.raises(error, match=message) as raised:
        mlotel.observe(**{"detector": Detector(reference), **arguments})
    assert isinstance(raised.value, mlotel.errors.MlotelError)
