"""`ml.drift.detected` and `ml.drift.cleared`, and the span that they belong to."""

import math

from observed_rows import fitted, rows

import mlotel
from mlotel.drift import Detector, Reference
from mlotel.semconv import _types
from mlotel.testing import capturing


def run(detector, shifts, *, size=1000):
    """Update and check, with delay shifted by so many standard deviations."""
    reports = []
    for seed, shift in enumerate(shifts):
        detector.update(rows(size, seed, shift=shift))
        reports.append(detector.check())
    return reports


def test_an_alarm_is_told_once_and_cleared_once(capture, reference):
    """One event when it is raised, with all that a person asks next, and one when it is over."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", "7", every_s=math.inf):
        reports = run(detector, [0.0] * 5 + [1.0] * 4 + [0.0] * 12)
        detections = capture.metric("ml.drift.detections", ml_feature_name="delay")
    detected, cleared = capture.events("ml.drift.detected"), capture.events("ml.drift.cleared")

    [raised] = [report for report in reports if report.raised]
    assert len(detected) == len(cleared) == detections == 1
    attributes = capture.ml_attributes(detected[0])
    onset = attributes.pop("ml.drift.onset.time")
    found = raised["delay"]
    assert attributes == {
        "ml.model.name": "eta", "ml.model.version": "7", "ml.feature.name": "delay",
        "ml.drift.level": 3, "ml.drift.evidence": found.evidence, "ml.drift.detectable": found.detectable,
        "ml.drift.onset.checks": 2, "ml.data.row.count": 1000,
        "ml.drift.score.psi": found.score("psi"), "ml.drift.noise.psi": found.noise("psi"),
        "ml.drift.score.ks": found.score("ks"), "ml.drift.noise.ks": found.noise("ks"),
    }  # fmt: skip
    assert onset.startswith("2026-01-01T00:00:0")
    record = detected[0].log_record
    assert record.severity_text == "WARN"
    assert record.body == "delay of eta has changed: level 3, since 2 checks"
    assert capture.ml_attributes(cleared[0])["ml.drift.level"] == 0
    assert cleared[0].log_record.severity_text == "INFO"
    for event in [*detected, *cleared]:
        assert set(capture.ml_attributes(event)) <= {
            *_types.EVENTS[event.log_record.event_name], *attributes.keys(), "ml.drift.onset.time"
        }  # fmt: skip


def test_it_is_told_again_when_the_level_rises(capture, reference):
    """A small change is level 1; when it grows another event says level 3, and it is one detection."""
    detector = Detector(reference, min_windows=1)
    with mlotel.observe(detector, "eta", every_s=math.inf):
        run(detector, [0.12] * 25 + [1.0] * 3)
        assert capture.metric("ml.drift.detections", ml_feature_name="delay") == 1
    levels = [capture.ml_attributes(event)["ml.drift.level"] for event in capture.events("ml.drift.detected")]
    assert levels[0] == 1
    assert levels[-1] == 3
    assert levels == sorted(levels)


def test_onset_has_a_time(capture, reference):
    """Since when the rows came that the change is first seen in: after the last check before it."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta", every_s=math.inf):
        for seed, shift in enumerate([0.0] * 3 + [1.0] * 2):
            capture.clock.advance(3600)
            detector.update(rows(1000, seed, shift=shift))
            detector.check()
    [event] = capture.events("ml.drift.detected")
    attributes = capture.ml_attributes(event)
    assert (attributes["ml.drift.onset.checks"], attributes["ml.drift.onset.time"]) == (2, "2026-01-01T03:00:00Z")


def test_events_lead_to_the_training_run():
    """The events belong to a span `drift`, which links to the span that wrote the reference while it trained."""
    reference = fitted()
    with capturing() as capture:
        with mlotel.pipeline("train"), mlotel.component("profile"):
            mlotel.write(reference, name="reference")
        written = capture.span("write reference")
        reference = Reference.from_dict(reference.to_dict())  # as another process loads it
        detector = Detector(reference)
        with mlotel.observe(detector, "eta", "7", every_s=math.inf):
            run(detector, [1.0] * 2)
        span = capture.span("drift eta")
        [event] = capture.events("ml.drift.detected")

    assert (event.log_record.trace_id, event.log_record.span_id) == (span.context.trace_id, span.context.span_id)
    assert span.parent is None
    assert capture.ml_attributes(span) == {"ml.model.name": "eta", "ml.model.version": "7", "ml.drift.level": 3}
    [link] = span.links
    assert (link.context.trace_id, link.context.span_id) == (written.context.trace_id, written.context.span_id)
    assert set(link.attributes) == set(_types.GROUPS["ml.link"])
    assert link.attributes["ml.link.type"] == "consumed"
    assert link.attributes["ml.artifact.id"] == written.attributes["ml.artifact.id"]


def test_a_check_inside_a_run_belongs_to_it(capture, reference):
    """Where a pipeline checks itself, the span is part of its trace and knows the run."""
    detector = Detector(reference)
    observed = mlotel.observe(detector, "eta", every_s=math.inf)
    with observed, mlotel.pipeline("weekly", run_id="r1"), mlotel.component("check"):
        run(detector, [1.0] * 2)
    span, component = capture.span("drift eta"), capture.span("component check")
    assert span.parent.span_id == component.context.span_id
    assert span.attributes["ml.run.id"] == "r1"


def test_what_changed_is_told_with_capture_only(reference):
    """Limits of bins are data: they are in event and text only when `capture_values` is on."""
    for is_on in (False, True):
        with capturing(capture_values=is_on) as capture:
            detector = Detector(reference)
            with mlotel.observe(detector, "eta", every_s=math.inf):
                reports = run(detector, [1.0] * 2)
            [event] = capture.events("ml.drift.detected")
        words = reports[-1]["delay"].change
        assert words.startswith(("more", "fewer"))
        assert capture.ml_attributes(event).get("ml.drift.change") == (words if is_on else None)
        assert (words in event.log_record.body) is is_on


def test_collections_tell_too(capture, reference):
    """An alarm that a collection finds is an event like any other."""
    detector = Detector(reference)
    with mlotel.observe(detector, "eta"):
        for seed in range(2):
            detector.update(rows(1000, seed, shift=1.0))
            capture.metric_names()
    assert len(capture.events("ml.drift.detected")) == 1
