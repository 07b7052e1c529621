"""OTLP/JSON becomes records: what OpenTelemetry's encoder writes, what the collector writes, and damage."""

import math

import pytest

from mlotel.store.otlp import records
from mlotel.types import EventRecord, LinkRecord, SpanRecord
from spool_recorder import NOON, RUN, Recorder, flights

TRACE = "5b8efff798038103d269b633813fc60c"
SPAN = "eee19b7ec3c1b174"


def request(span=None, resource=None, **changes):
    """An export request with one span, written by hand in the way of the collector's file exporter."""
    whole = {
        "traceId": TRACE, "spanId": SPAN, "name": "component clean", "kind": 1,
        "startTimeUnixNano": "1000", "endTimeUnixNano": "3000", "status": {},
    } | (span or {}) | changes  # fmt: skip
    whole = {key: value for key, value in whole.items() if value is not ...}
    return {"resourceSpans": [{"resource": resource or {}, "scopeSpans": [{"scope": {}, "spans": [whole]}]}]}


def only(found):
    [record] = found
    return record


def test_every_field_of_a_span_comes_back_as_the_sdk_had_it():
    """A span that the SDK recorded and OpenTelemetry encoded is read with all its fields, links and resource."""
    recorder = Recorder(**{"host.name": "box", "process.pid": 812})
    top = recorder.pipeline("nightly", 0, 9)
    written = recorder.artifact("write", "flights", 1, top, 336_776)
    values = {
        "text": "naïve 特徴", "yes": True, "whole": -3, "big": 2**62, "part": 0.25, "nan": math.nan, "inf": math.inf,
        "words": ["a", "b"], "numbers": [1, 2], "none": [],
    }  # fmt: skip
    made = recorder.span(
        "read flights", 1, 2.5, top, values, ("ValueError", "bad value"), [(written, {"ml.link.type": "consumed"})]
    )

    [traces] = recorder.requests()
    found = {record.name: record for record in records(traces)}

    span = found["read flights"]
    assert (span.trace_id, span.span_id) == (format(made.trace_id, "032x"), format(made.span_id, "016x"))
    assert span.parent_id == format(top.span_id, "016x")
    assert found["pipeline nightly"].parent_id is None
    assert (span.start_ns, span.end_ns) == (NOON + 10**9, NOON + 2_500_000_000)
    assert (span.status, span.message) == ("error", "bad value")
    assert math.isnan(span.attributes["nan"])
    assert {key: value for key, value in span.attributes.items() if key != "nan"} == {
        "text": "naïve 特徴", "yes": True, "whole": -3, "big": 2**62, "part": 0.25, "inf": math.inf,
        "words": ["a", "b"], "numbers": [1, 2], "none": [], "error.type": "ValueError",
    }  # fmt: skip
    assert span.links == (LinkRecord(span.trace_id, format(written.span_id, "016x"), {"ml.link.type": "consumed"}),)
    assert span.resource["service.name"] == "flights"
    assert (span.resource["host.name"], span.resource["process.pid"]) == ("box", 812)


def test_an_event_comes_back_with_its_context():
    """A named event of ours is read with time, body, attributes and the span it belongs to."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    recorder.event("ml.run.started", 0.5, top, "pipeline nightly started", **{"ml.run.id": RUN, "ml.param.rows": 12})

    _, logs = recorder.requests()

    event = only(records(logs))
    assert isinstance(event, EventRecord)
    assert (event.name, event.time_ns, event.body) == ("ml.run.started", NOON + 500_000_000, "pipeline nightly started")
    assert (event.trace_id, event.span_id) == (format(top.trace_id, "032x"), format(top.span_id, "016x"))
    assert event.attributes == {"ml.run.id": RUN, "ml.param.rows": 12}
    assert event.resource["service.name"] == "flights"


def test_log_records_of_others_are_passed_over():
    """Log records without a name of ours are neither events nor damage."""
    recorder = Recorder()
    recorder.event("gen_ai.choice", 1)
    recorder.event("", 1)

    assert [list(records(request)) for request in recorder.requests()] == [[]]


def test_an_event_named_by_an_attribute_is_one():
    """Older writers put the event's name into the attribute event.name."""
    log = {"attributes": [{"key": "event.name", "value": {"stringValue": "ml.run.started"}}], "timeUnixNano": 5}

    event = only(records({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}))

    assert (event.name, event.time_ns, event.trace_id) == ("ml.run.started", 5, "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"startTimeUnixNano": 1000, "endTimeUnixNano": 3000}, {"start_ns": 1000, "end_ns": 3000}),
        ({"endTimeUnixNano": ...}, {"start_ns": 1000, "end_ns": 1000}),
        ({"startTimeUnixNano": ...}, {"start_ns": 3000, "end_ns": 3000}),
        ({"endTimeUnixNano": "500"}, {"start_ns": 1000, "end_ns": 1000}),
        ({"traceId": TRACE.upper(), "spanId": SPAN.upper()}, {"trace_id": TRACE, "span_id": SPAN}),
        ({"parentSpanId": ""}, {"parent_id": None}),
        ({"parentSpanId": "0000000000000000"}, {"parent_id": None}),
        ({"parentSpanId": "EEE19B7EC3C1B175"}, {"parent_id": "eee19b7ec3c1b175"}),
        ({"name": ...}, {"name": ""}),
        ({"status": ...}, {"status": "unset"}),
        ({"status": None}, {"status": "unset"}),
        ({"status": {"code": 1}}, {"status": "ok"}),
        ({"status": {"code": "2", "message": "no"}}, {"status": "error", "message": "no"}),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, {"status": "error"}),
        ({"status": {"code": "STATUS_CODE_UNSET"}}, {"status": "unset"}),
        ({"attributes": [{"key": "n", "value": {"intValue": 3}}]}, {"attributes": {"n": 3}}),
        ({"attributes": [{"key": "n", "value": {"intValue": "-3"}}]}, {"attributes": {"n": -3}}),
        ({"attributes": [{"key": "x", "value": {"doubleValue": "-Infinity"}}]}, {"attributes": {"x": -math.inf}}),
        ({"attributes": [{"key": "x", "value": {"doubleValue": 2}}]}, {"attributes": {"x": 2.0}}),
        ({"attributes": [{"key": "b", "value": {"bytesValue": "aGk="}}]}, {"attributes": {"b": "aGk="}}),
        ({"attributes": [{"key": "e", "value": {}}]}, {"attributes": {"e": None}}),
        ({"attributes": [{"key": "e"}]}, {"attributes": {"e": None}}),
        ({"attributes": [{"key": "a", "value": {"arrayValue": {}}}]}, {"attributes": {"a": []}}),
        (
            {"attributes": [{"key": "m", "value": {"kvlistValue": {"values": [
                {"key": "k", "value": {"stringValue": "v"}}]}}}]},
            {"attributes": {"m": {"k": "v"}}},
        ),
    ],
)  # fmt: skip
def test_other_writers_spellings_are_read(changes, expected):
    """Numbers as text or number, enumerations by number or name, ids in any case, absent fields: all have a meaning."""
    record = only(records(request(**changes)))

    assert {name: getattr(record, name) for name in expected} == expected


def test_snake_case_is_read_like_camel_case():
    """Field names as in the .proto files are read as well."""
    span = {
        "trace_id": TRACE, "span_id": SPAN, "parent_span_id": "eee19b7ec3c1b175", "name": "check x",
        "start_time_unix_nano": "7", "end_time_unix_nano": "9",
        "attributes": [{"key": "k", "value": {"string_value": "v"}}],
    }  # fmt: skip
    log = {"trace_id": TRACE, "span_id": SPAN, "event_name": "ml.exception", "time_unix_nano": 8}
    mixed = {
        "resource_spans": [{"scope_spans": [{"spans": [span]}]}],
        "resource_logs": [{"scope_logs": [{"log_records": [log]}]}],
    }

    found = list(records(mixed))

    assert found == [
        SpanRecord(TRACE, SPAN, "eee19b7ec3c1b175", "check x", 7, 9, {"k": "v"}),
        EventRecord("ml.exception", 8, TRACE, SPAN, {}),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"traceId": "short"},
        {"traceId": ...},
        {"traceId": "W47/95A4gQPSabYzgT/GDA=="},
        {"spanId": 12},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": -1},
        {"endTimeUnixNano": 2**63},
        {"name": ["x"]},
        {"attributes": [{"value": {"stringValue": "no key"}}]},
        {"attributes": [{"key": "k", "value": {"stringValue": 3}}]},
        {"attributes": [{"key": "k", "value": {"intValue": "9" * 5000}}]},
        {"attributes": "text"},
        {"links": [{"traceId": TRACE}]},
        {"status": "fine"},
    ],
)
def test_a_span_that_cannot_be_read_is_counted_and_costs_no_other(changes):
    """Damage in one span leaves the others of its request readable."""
    broken = request(**changes)
    broken["resourceSpans"] += request(spanId="00000000000000aa")["resourceSpans"]

    found = list(records(broken))

    assert found[0] is None
    assert found[1].span_id == "00000000000000aa"


def test_a_list_in_a_list_without_end_is_damage():
    """Nesting beyond Python's own limit ends as a count, not as a RecursionError."""
    value = {"stringValue": "x"}
    for _ in range(5000):
        value = {"arrayValue": {"values": [value]}}

    assert list(records(request(attributes=[{"key": "deep", "value": value}]))) == [None]


@pytest.mark.parametrize(
    "foreign",
    [[], "text", 3, None, {}, {"spans": []}, {"resourceSpans": {}}, {"resourceSpans": "x", "resourceLogs": []}],
)
def test_what_is_no_export_request_is_refused(foreign):
    """JSON of another shape is said to be none of ours."""
    with pytest.raises(ValueError, match=r"export request|is not a list"):
        list(records(foreign))


def test_metrics_are_passed_over():
    """A request of metrics holds no records, and is no damage."""
    assert list(records({"resourceMetrics": [{"scopeMetrics": []}]})) == []


def test_only_the_traces_asked_for_are_decoded():
    """Spans of other traces are left out."""
    recorder = Recorder()
    top = flights(recorder)
    recorder.pipeline("other", 0, 1, "other-run")
    [traces] = recorder.requests()

    kept = list(records(traces, traces={format(top.trace_id, "032x")}))

    assert len(kept) == len(list(records(traces))) - 1
    assert {record.trace_id for record in kept} == {format(top.trace_id, "032x")}
