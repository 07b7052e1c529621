"""Metrics of pipelines, components, rows and checks: names, units, attributes, buckets and exemplars."""

import numpy as np
import pandas as pd
import pytest

import mlotel
from mlotel import Check, metrics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def metric(capture, name):
    """The whole metric, with its unit."""
    [found] = [one for one in capture._metrics() if one.name == name]
    return found


def labels(capture, name):
    return [dict(point.attributes) for point in capture.metrics(name)]


def test_duration_of_a_component(capture):
    """``ml.component.duration`` is a histogram in seconds with buckets from 1 ms to an hour."""
    with mlotel.component("clean", type="transform", owner="data"):
        capture.clock.advance(3.0)

    [point] = capture.metrics("ml.component.duration")
    assert metric(capture, "ml.component.duration").unit == "s"
    assert dict(point.attributes) == {"ml.component.name": "clean", "ml.component.type": "transform"}
    assert point.explicit_bounds == SECONDS
    assert point.count == 1
    span = capture.span("component clean")
    assert point.sum == (span.end_time - span.start_time) / 1e9
    assert 3.0 < point.sum < 3.1


def test_duration_of_a_failed_component_has_the_type_of_its_error(capture):
    """Failures are a series of their own, by ``error.type``; no other attribute is added."""
    with pytest.raises(KeyError), mlotel.pipeline("p", params={"a": 1}), mlotel.component("c"):
        raise KeyError

    assert labels(capture, "ml.component.duration") == [{"ml.component.name": "c", "error.type": "KeyError"}]
    assert labels(capture, "ml.pipeline.duration") == [{"ml.pipeline.name": "p", "error.type": "KeyError"}]


def test_duration_of_a_pipeline(capture):
    """``ml.pipeline.duration`` is a histogram in seconds with buckets up to a day."""
    with mlotel.pipeline("nightly", params={"a": 1}, tags={"b": 2}, run_id="r"):
        capture.clock.advance(100)

    [point] = capture.metrics("ml.pipeline.duration")
    assert metric(capture, "ml.pipeline.duration").unit == "s"
    assert dict(point.attributes) == {"ml.pipeline.name": "nightly"}
    assert point.explicit_bounds[0] == 0.01
    assert point.explicit_bounds[-1] == 86_400
    assert 100 < point.sum < 100.1


def test_cpu_time_and_memory(capture):
    """Processor seconds and bytes of memory are histograms by component, in ``s`` and ``By``."""
    with mlotel.component("c", memory="trace", type="t"):
        bytearray(2_000_000)

    assert metric(capture, "ml.component.cpu.time").unit == "s"
    assert metric(capture, "ml.component.memory.peak").unit == "By"
    for name in ("ml.component.cpu.time", "ml.component.memory.peak"):
        assert labels(capture, name) == [{"ml.component.name": "c"}]
    [memory] = capture.metrics("ml.component.memory.peak")
    assert memory.sum == capture.span("component c").attributes["ml.component.memory.peak"]
    assert memory.explicit_bounds[0] == 1_048_576


def test_without_a_new_peak_memory_is_not_recorded(capture):
    """A component that sets no new peak of memory adds no zero to the histogram."""
    with mlotel.component("c"):
        pass
    assert "ml.component.memory.peak" not in capture.metric_names()


def test_rows_read_and_written(capture):
    """``ml.data.rows`` counts rows of tables and arrays by component and role, also outside components."""
    with mlotel.component("c") as c:
        c.read(pd.DataFrame({"a": [1, 2, 3]}), name="x")
        c.read(np.zeros((4, 2)), name="y")
        c.read({"no": "rows"}, name="z")
        c.write(np.zeros(5), name="w")
    mlotel.write(np.zeros(2), name="alone")

    assert metric(capture, "ml.data.rows").unit == "{row}"
    assert capture.metric("ml.data.rows", ml_component_name="c", ml_artifact_role="input") == 7
    assert capture.metric("ml.data.rows", ml_component_name="c", ml_artifact_role="output") == 5
    assert {"ml.artifact.role": "output"} in labels(capture, "ml.data.rows")
    assert len(capture.metrics("ml.data.rows")) == 3


def test_rows_removed(capture):
    """``ml.data.rows.removed`` counts by component and reason."""
    with mlotel.component("c") as c:
        c.removed(3, reason="outlier")
        c.removed(4, reason="outlier")
        c.removed(1, reason="missing")

    assert metric(capture, "ml.data.rows.removed").unit == "{row}"
    assert capture.metric("ml.data.rows.removed", ml_component_name="c", ml_removal_reason="outlier") == 7
    assert capture.metric("ml.data.rows.removed", ml_component_name="c", ml_removal_reason="missing") == 1


def test_check_failures(capture):
    """``ml.check.failures`` counts failures by check and component; passed and skipped checks are not in it."""

    def bad():
        return False

    def good():
        return True

    def skipped():
        return Check("skipped")

    for _ in range(2):
        with mlotel.component("c", after=[bad, good, skipped]):
            pass

    assert metric(capture, "ml.check.failures").unit == "{failure}"
    assert labels(capture, "ml.check.failures") == [{"ml.check.name": "bad", "ml.component.name": "c"}]
    assert capture.metric("ml.check.failures", ml_check_name="bad") == 2


def test_the_duration_leads_to_the_span(capture):
    """The exemplar of a duration is the span of the component, or of the run; the other histograms need none."""
    with mlotel.pipeline("p"), mlotel.component("c"):
        pass

    points = {one.name: one.data.data_points[0] for one in capture._metrics()}  # a collection takes exemplars away
    for name, span in (("ml.component.duration", "component c"), ("ml.pipeline.duration", "pipeline p")):
        [exemplar] = points[name].exemplars
        context = capture.span(span).context
        assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
    assert not points["ml.component.cpu.time"].exemplars


def test_series_do_not_grow_with_runs(capture):
    """Run ids, artifacts and parameters are no attributes of metrics: many runs are one series."""
    for n in range(20):
        with mlotel.pipeline("p", params={"n": n}), mlotel.component("c") as c:
            c.read(np.arange(n), name=f"x{n}")
            c.param(n=n)

    for name in capture.metric_names():
        assert len(capture.metrics(name)) == 1


def test_instruments_follow_the_providers():
    """Instruments made for one provider are not used for the next: each gets all of its own."""
    from mlotel.testing import capturing

    for _ in range(2):
        with capturing() as capture:
            with mlotel.component("c"):
                pass
            assert capture.metrics("ml.component.duration")[0].count == 1


def test_a_missing_provider_is_asked_for_again():
    """Nothing is remembered while nobody listens to metrics, so a provider that comes later is used."""
    from mlotel.semconv import metrics as specs

    metrics.record(specs.ML_COMPONENT_DURATION, 1.0, {})
    metrics.add(specs.ML_DATA_ROWS, 1, {})
    assert metrics._instruments == {}
