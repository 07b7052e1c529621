"""When checks are made, how long gauges live, and what becomes of counters."""

import math
import os
import threading

import numpy as np
import pytest
from observed_rows import rows, wide
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import mlotel
from mlotel.drift import Detector
from mlotel.metrics import observables

GAUGES = {
    "ml.drift.score", "ml.drift.noise", "ml.drift.evidence", "ml.drift.level", "ml.drift.detectable",
    "ml.feature.statistic", "ml.feature.missing", "ml.feature.unseen", "ml.feature.out_of_range",
}  # fmt: skip


def total(capture, feature="delay"):
    points = capture.metrics("ml.feature.values")
    return sum(point.value for point in points if point.attributes["ml.feature.name"] == feature)


def test_a_collection_checks_when_there_are_rows(capture, reference):
    """One check a collection that finds 500 rows, none for fewer within a minute, none without rows."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta"):
        capture.metric_names()
        assert detector.checks == 0
        detector.update(rows(10, 1))
        capture.metric_names()
        assert detector.checks == 1  # the first rows are not kept waiting
        detector.update(rows(499, 2))
        capture.metric_names()
        assert detector.checks == 1
        detector.update(rows(1, 3))
        capture.metric_names()
        capture.metric_names()
        assert detector.checks == 2
        detector.update(rows(1, 4))
        capture.clock.advance(61)
        capture.metric_names()
        assert detector.checks == 3
        capture.clock.advance(61)
        capture.metric_names()
        assert detector.checks == 3
        assert capture.metric("ml.drift.age") == pytest.approx(61, abs=1)
        assert total(capture) == 511


def test_every_s_is_the_least_time_between_checks(capture, reference):
    """However many rows and collections come, a check is made once in `every_s`."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", every_s=3600, stale_after_s=7200):
        for seed in range(3):
            detector.update(rows(1000, seed))
            capture.metric_names()
        assert detector.checks == 1
        assert total(capture) == 1000  # counters move with checks
        capture.clock.advance(3600)
        assert capture.metric("ml.drift.level", ml_feature_name="delay") == 0
        assert detector.checks == 2
        assert total(capture) == 3000


def test_checks_of_the_program_are_reported(capture, reference):
    """With `every_s=inf` no collection checks; what the program checks is reported."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", every_s=math.inf):
        detector.update(rows(1000, 1))
        assert not capture.metric_names() & GAUGES
        report = detector.check()
        assert capture.metric("ml.drift.score", ml_feature_name="delay", ml_drift_statistic="psi") == report[
            "delay"
        ].score("psi")
    assert detector.checks == 1


def test_several_readers_make_no_more_checks(providers, reference):
    """Two readers of one provider see the same numbers, and the decision is made once."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    provider = MeterProvider(readers, shutdown_on_exit=False)
    providers(meter_provider=provider)
    detector = Detector(reference)
    with mlotel.observe(detector, "eta"):
        for seed in range(3):
            detector.update(rows(600, seed))
            seen = [_numbers(reader) for reader in readers]
            assert detector.checks == seed + 1
            assert seen[0] == seen[1]
            assert len(seen[0]) > 100
    provider.shutdown()


def _numbers(reader):
    [resource] = reader.get_metrics_data().resource_metrics
    return {
        (metric.name, tuple(sorted(point.attributes.items()))): point.value
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name != "ml.drift.age"
        for point in metric.data.data_points
    }


def test_scores_of_too_few_rows_are_not_made(capture, reference):
    """Below 500 rows rows gather and the last scores stand, while evidence moves on."""
    detector = Detector(reference)
    psi = {"ml_feature_name": "delay", "ml_drift_statistic": "psi"}
    with mlotel.observe(detector, "eta", every_s=1e-9, stale_after_s=1e6):
        detector.update(rows(200, 1))
        assert capture.metrics("ml.drift.score") == []
        assert capture.metrics("ml.drift.evidence") != []
        detector.update(rows(300, 2))
        first, evidence = capture.metric("ml.drift.score", **psi), capture.metric("ml.drift.evidence", **_delay)
        detector.update(rows(400, 3, shift=2.0))
        assert capture.metric("ml.drift.score", **psi) == first
        assert capture.metric("ml.drift.evidence", **_delay) > evidence
        detector.update(rows(100, 4, shift=2.0))
        assert capture.metric("ml.drift.score", **psi) > first + 1


_delay = {"ml_feature_name": "delay"}


def test_gauges_end_when_rows_do(capture, reference):
    """Without rows for `stale_after_s` gauges end; counters, the reference and the age of the last check stay."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", stale_after_s=100):
        detector.update(rows(1000, 1), predictions=np.repeat(["late", "early"], 500))
        assert capture.metric_names() >= GAUGES
        capture.clock.advance(90)
        assert capture.metric_names() >= GAUGES
        capture.clock.advance(20)
        assert not capture.metric_names() & GAUGES
        assert {point.attributes["ml.data.role"] for point in capture.metrics("ml.class.proportion")} == {"reference"}
        assert total(capture) == 1000
        assert len(capture.metrics("ml.feature.reference.rows")) == 6
        assert capture.metric("ml.drift.age") == pytest.approx(110, abs=1)
        detector.update(rows(1000, 2))
        assert capture.metric_names() >= GAUGES
        assert total(capture) == 2000


def test_rows_keep_gauges_alive_between_checks(capture, reference):
    """Rows that are not decided on yet are rows: a monitor that is checked once an hour is not dead."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", stale_after_s=100, every_s=3600):
        for seed in range(5):
            detector.update(rows(50, seed))
            assert "ml.drift.level" in capture.metric_names()
            capture.clock.advance(80)
        capture.clock.advance(100)
        assert "ml.drift.level" not in capture.metric_names()
    assert detector.checks == 2  # the second one when it was closed


def test_gauges_of_a_column_that_is_gone_end(capture, reference):
    """A column that no longer comes does not keep its last level while the others go on."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", stale_after_s=100):
        detector.update(rows(1000, 1))
        capture.metric_names()
        for seed in (2, 3):
            capture.clock.advance(60)
            data = rows(1000, seed)
            del data["stops"]
            detector.update(data)
            features = {point.attributes["ml.feature.name"] for point in capture.metrics("ml.drift.level")}
        assert features == {"delay", "carrier", "held"}


def test_the_interval_of_collections_sets_the_default(capture, reference, monkeypatch):
    """Gauges end after two intervals between collections."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "5000")
    detector = Detector(reference)
    with mlotel.observe(detector, "eta"):
        detector.update(rows(1000, 1))
        assert "ml.drift.level" in capture.metric_names()
        capture.clock.advance(9)
        assert "ml.drift.level" in capture.metric_names()
        capture.clock.advance(2)
        assert "ml.drift.level" not in capture.metric_names()


def test_close_ends_the_series(capture, reference):
    """After `close` nothing is reported; closing twice is closing once."""
    detector = Detector(reference)
    handle = mlotel.observe(detector, "eta", "7")
    detector.update(rows(1000, 1))
    capture.metric_names()
    handle.close()
    handle.close()
    assert "closed" in repr(handle)
    assert capture.metric_names() == set()
    detector.update(rows(1000, 2, shift=2.0))
    detector.check()
    detector.check()
    assert capture.metric_names() == set()
    assert capture.events() == []


def test_close_decides_on_what_is_left_and_the_last_flush_has_it(capture, reference):
    """A job that ends before any collection loses nothing: its rows are decided on, and reported once more."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", stale_after_s=100):
        detector.update(rows(300, 1))
    assert detector.checks == 1
    assert total(capture) == 300
    assert capture.metric("ml.drift.level", **_delay) == 0
    capture.clock.advance(101)
    assert capture.metric_names() == set()


def test_counters_never_fall(capture, reference):
    """Another handle for the same model goes on counting; two at once add up."""
    detectors = [Detector(reference), Detector(reference)]
    handle = mlotel.observe(detectors[0], "eta", "7")
    detectors[0].update(rows(1000, 1))
    assert total(capture) == 1000
    handle.close()
    with mlotel.observe(detectors[0], "eta", "7"), mlotel.observe(detectors[1], "eta", "7"):
        assert total(capture) == 1000
        detectors[0].update(rows(600, 2))
        detectors[1].update(rows(500, 3))
        assert total(capture) == 2100


def test_series_have_a_budget(capture, caplog):
    """A model has 200 features a metric, all models 1,800 series; the first stay and the others are counted."""
    first, second = wide(250), wide(30)
    handle = mlotel.observe(first, "wide")
    other = mlotel.observe(second, "other")

    points = capture.metrics("ml.feature.values")
    assert len(points) == 163 * 11  # of 11 bins each, and not one bin more
    assert {point.attributes["ml.feature.name"] for point in points} == {f"f{place:03d}" for place in range(163)}
    rows_of = [point.attributes["ml.model.name"] for point in capture.metrics("ml.feature.reference.rows")]
    assert (rows_of.count("wide"), rows_of.count("other")) == (200, 30)
    lost = {"ml_telemetry_signal": "metrics", "ml_telemetry_reason": "cardinality"}
    before = capture.metric("ml.telemetry.dropped", **lost)
    capture.metric_names()
    a_collection = 2 * (250 - 163 + 30) * 11 + 2 * 50  # two metrics by bin, two by feature
    assert capture.metric("ml.telemetry.dropped", **lost) - before == 2 * a_collection
    assert [record.getMessage()[:13] for record in caplog.records if "series" in record.getMessage()] == [
        "Drift of wide",
        "Drift of othe",
    ]
    handle.close()  # its series keep their places: the SDK never gives one back
    assert capture.metrics("ml.feature.values") == []
    assert {p.attributes["ml.model.name"] for p in capture.metrics("ml.feature.reference.rows")} == {"other"}
    other.close()
    assert capture.metric_names() == {"ml.telemetry.dropped"}


def test_undecided_rows_are_counted_however_they_come(reference):
    """Rows in a buffer, in counts or waiting one by one are undecided until a check; absent columns are no rows."""
    detector = Detector(reference)
    assert detector.undecided == 0
    detector.update([12.5, 3, "AA", False])
    detector.update([11.5, 2, "DL", True])
    assert detector.undecided == 2
    detector.update({"delay": np.zeros(3000), "carrier": ["AA"] * 3000})
    assert detector.undecided == 3002
    detector.check()
    assert detector.undecided == 0  # although "stops" has not been scored, and never came
    detector.update({"carrier": ["AA"] * 40})
    assert detector.undecided == 40
    detector.update(labels=np.zeros(70, int))
    assert detector.undecided == 70
    detector.forget()
    assert detector.undecided == 0
    assert detector.check()["carrier"].rows == 0


def test_threads_update_while_it_is_collected(capture, reference):
    """Rows from eight threads are all counted, once, whatever collections and checks come between."""
    detector = Detector(reference)
    errors, together = [], threading.Barrier(10)

    def serve(seed):
        try:
            together.wait()
            for step in range(40):
                detector.update(rows(50, 100 * seed + step))
        except Exception as error:
            errors.append(error)

    def collect():
        together.wait()
        while any(thread.is_alive() for thread in threads):
            capture.metric_names()

    with mlotel.observe(detector, "eta", every_s=1e-9):
        threads = [threading.Thread(target=serve, args=(seed,)) for seed in range(8)]
        collectors = [threading.Thread(target=collect) for _ in range(2)]
        for thread in [*threads, *collectors]:
            thread.start()
        for thread in [*threads, *collectors]:
            thread.join()
        assert errors == []
        assert {name: total(capture, name) for name in ("delay", "carrier")} == {"delay": 16_000, "carrier": 16_000}
    assert detector.checks > 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_its_own_rows(capture, reference):
    """Rows that the parent had counted, or not yet decided on, are the parent's; the child starts at zero."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", every_s=1e-9):
        detector.update(rows(1000, 1))
        assert total(capture) == 1000
        detector.update(rows(70, 2))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                detector.update(rows(30, 3))
                source = observables.attached()[-1]  # those of earlier tests come first
                source.begin()
                counted = [sum(value for _, value in group) for group in source.groups(source.specs[0])]
                os.write(writing, repr((counted[0], detector.checks)).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "(30, 2)"
        os.waitpid(child, 0)
        assert total(capture) == 1070


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_waits_for_updates(reference):
    """A child that is forked while other threads update can update at once: no lock is left behind."""
    detector = Detector(reference)
    stop = threading.Event()
    data = rows(20_000, 1)

    def serve():
        while not stop.is_set():
            detector.update(data)

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                done = threading.Thread(target=detector.update, args=(rows(10, 2),), daemon=True)
                done.start()
                done.join(10)
                os._exit(1 if done.is_alive() else 0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
