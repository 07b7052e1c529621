"""Lines of the spool become the same protobuf requests that were written, whatever of OTLP/JSON they make use of."""

import base64
import json
import math
import time

import pytest
import spool_files
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from records import request_of

from mlotel.export._transcode import guess, signal_of, transcode

LARGE = st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=8)
DOUBLE = st.floats(allow_nan=False)
VALUE = st.recursive(
    st.one_of(
        st.builds(AnyValue),
        st.builds(AnyValue, string_value=TEXT),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
        st.builds(AnyValue, double_value=DOUBLE),
        st.builds(AnyValue, bytes_value=st.binary(max_size=5)),
    ),
    lambda inner: st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=2))),
        st.builds(
            AnyValue,
            kvlist_value=st.builds(
                KeyValueList, values=st.lists(st.builds(KeyValue, key=TEXT, value=inner), max_size=2)
            ),
        ),
    ),
    max_leaves=3,
)
ATTRIBUTES = st.lists(st.builds(KeyValue, key=TEXT, value=VALUE), max_size=3)
TRACE_ID, SPAN_ID = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)
SPAN = st.builds(
    Span,
    trace_id=TRACE_ID,
    span_id=SPAN_ID,
    parent_span_id=st.one_of(st.just(b""), SPAN_ID),
    trace_state=TEXT,
    flags=st.integers(0, 2**32 - 1),
    name=TEXT,
    kind=st.integers(0, 5),
    start_time_unix_nano=LARGE,
    end_time_unix_nano=LARGE,
    attributes=ATTRIBUTES,
    dropped_attributes_count=st.integers(0, 9),
    events=st.lists(st.builds(Span.Event, time_unix_nano=LARGE, name=TEXT, attributes=ATTRIBUTES), max_size=2),
    links=st.lists(st.builds(Span.Link, trace_id=TRACE_ID, span_id=SPAN_ID, attributes=ATTRIBUTES), max_size=2),
    status=st.builds(Status, code=st.integers(0, 2), message=TEXT),
)
LOG = st.builds(
    LogRecord,
    time_unix_nano=LARGE,
    observed_time_unix_nano=LARGE,
    severity_number=st.integers(0, 24),
    body=VALUE,
    attributes=ATTRIBUTES,
    trace_id=TRACE_ID,
    span_id=SPAN_ID,
    event_name=TEXT,
)
EXEMPLARS = st.lists(st.builds(Exemplar, as_double=DOUBLE, span_id=SPAN_ID, trace_id=TRACE_ID), max_size=1)
NUMBER = st.one_of(
    st.builds(NumberDataPoint, as_int=st.integers(-(2**63), 2**63 - 1), exemplars=EXEMPLARS, attributes=ATTRIBUTES),
    st.builds(NumberDataPoint, as_double=DOUBLE, time_unix_nano=LARGE),
)
HISTOGRAM = st.builds(
    HistogramDataPoint,
    count=LARGE,
    sum=st.one_of(st.none(), DOUBLE),
    bucket_counts=st.lists(LARGE, max_size=3),
    explicit_bounds=st.lists(DOUBLE, max_size=2),
    exemplars=EXEMPLARS,
)
BUCKETS = st.builds(
    ExponentialHistogramDataPoint.Buckets, offset=st.integers(-9, 9), bucket_counts=st.lists(LARGE, max_size=3)
)
EXPONENTIAL = st.builds(ExponentialHistogramDataPoint, count=LARGE, scale=st.integers(-10, 20), positive=BUCKETS)
SUMMARY = st.builds(
    SummaryDataPoint,
    quantile_values=st.lists(
        st.builds(SummaryDataPoint.ValueAtQuantile, quantile=st.floats(0, 1), value=DOUBLE), max_size=2
    ),
)


@st.composite
def metrics(draw):
    kind, points = draw(
        st.sampled_from(
            [
                ("gauge", NUMBER),
                ("sum", NUMBER),
                ("histogram", HISTOGRAM),
                ("exponential_histogram", EXPONENTIAL),
                ("summary", SUMMARY),
            ]
        )
    )
    metric = Metric(name=draw(TEXT), unit=draw(TEXT))
    getattr(metric, kind).data_points.extend(draw(st.lists(points, min_size=1, max_size=3)))
    if kind in ("sum", "histogram"):
        getattr(metric, kind).aggregation_temporality = draw(st.integers(0, 2))
    return metric


LEVELS = {
    "traces": (ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans", SPAN),
    "metrics": (ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics", metrics()),
    "logs": (ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records", LOG),
}


@st.composite
def requests(draw):
    """``(signal, request)`` with at least one record."""
    signal = draw(st.sampled_from(sorted(LEVELS)))
    kind, resources, scopes, records, record = LEVELS[signal]
    request = kind()
    for _ in range(draw(st.integers(1, 2))):
        group = getattr(request, resources).add(schema_url=draw(TEXT))
        group.resource.attributes.extend(draw(ATTRIBUTES))
        for _ in range(draw(st.integers(1, 2))):
            scope = getattr(group, scopes).add()
            scope.scope.name = draw(TEXT)
            getattr(scope, records).extend(draw(st.lists(record, min_size=1, max_size=3)))
    return signal, request


def with_hex_ids(value):
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex()
            if key in ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
            else with_hex_ids(item)
            for key, item in value.items()
        }
    return value


def numbers_of(request):
    """Records of a request: spans, log records, data points."""
    found = 0
    for _, groups in request.ListFields():
        for group in groups:
            for _, scopes in ((f, v) for f, v in group.ListFields() if f.name.startswith("scope_")):
                for scope in scopes:
                    for field, records in scope.ListFields():
                        if field.name == "metrics":
                            found += sum(len(getattr(m, m.WhichOneof("data")).data_points) for m in records)
                        elif field.name in ("spans", "log_records"):
                            found += len(records)
    return found


@given(requests(), st.booleans(), st.booleans())
def test_every_request_survives_its_way_through_json(made, has_snake_case, has_numbers_for_enums):
    """Whatever a request holds, its line becomes the same request again, and its records are counted."""
    signal, request = made
    found = json_format.MessageToDict(
        request, preserving_proto_field_name=has_snake_case, use_integers_for_enums=has_numbers_for_enums
    )

    [read], left_out = transcode(json.dumps(with_hex_ids(found)).encode())

    assert (read.signal, left_out) == (signal, {})
    assert type(request).FromString(read.body()) == request
    assert read.records == numbers_of(request)


@given(requests(), st.data())
def test_the_parts_of_a_request_are_the_whole(made, data):
    """Cut anywhere, the parts hold the same records in the same order, with their resources and scopes."""
    _, request = made
    found = with_hex_ids(json_format.MessageToDict(request))
    [read], _ = transcode(json.dumps(found).encode())
    cut = data.draw(st.integers(0, read.records))

    parts = [read.part(0, cut), read.part(cut, read.records)]

    def flat(message):
        """Each record as a request of its own."""
        [whole], _ = transcode(json.dumps(with_hex_ids(json_format.MessageToDict(message))).encode())
        return [whole.part(number, number + 1).message for number in range(whole.records)]

    assert [part.records for part in parts] == [cut, read.records - cut]
    assert [numbers_of(part.message) for part in parts] == [cut, read.records - cut]
    assert [one for part in parts if part.records for one in flat(part.message)] == flat(request)
    for part in parts:
        assert len(part.body()) <= len(read.body())


def test_a_line_of_mlotel_is_what_protobufs_own_reader_makes_of_it():
    """The spool's own form, read by google.protobuf.json_format, is the same request."""
    line = spool_files.line(range(3), text="ä\n€", share=0.5, many=[1, 2])

    [read], _ = transcode(line)

    assert ("traces", read.message) == request_of(line)
    assert read.records == 3


def test_forms_of_other_writers_and_other_versions_are_read():
    """Snake case, numbers for 64-bit integers, names of enumerations, base64 ids, nulls; unknown fields are ignored."""
    ours = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":'
        b'"eee19b7ec3c1b174","kind":3,"startTimeUnixNano":"1544712660000000001","status":{"code":2},"attributes":'
        b'[{"key":"n","value":{"intValue":"9007199254740993"}}]}]}]}]}'
    )
    theirs = (
        b'{"schema_version":2,"resource_spans":[{"entity":{"a":1},"scope_spans":[{"scope":null,"spans":[{"trace_id":'
        b'"W47/95gDgQPSabYzgT/GDA==","span_id":"7uGbfsPBsXQ=","parent_span_id":"","kind":"SPAN_KIND_CLIENT",'
        b'"start_time_unix_nano":1544712660000000001,"status":{"code":"STATUS_CODE_ERROR","level":"X"},"attributes":'
        b'[{"key":"n","value":{"int_value":9007199254740993},"origin":{}}],"profile":[{}]}]}]}]}'
    )

    [[one], [other]] = [transcode(line)[0] for line in (ours, theirs)]

    assert other.body() == one.body()
    span = one.message.resource_spans[0].scope_spans[0].spans[0]
    assert (span.trace_id.hex(), span.span_id.hex()) == ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174")
    assert span.attributes[0].value.int_value == 9007199254740993


def test_an_enumeration_of_a_later_version_is_unspecified():
    """A name that is not known yet costs the field, not the record."""
    [read], left_out = transcode(
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","kind":"SPAN_KIND_NEW"}]}]}]}'
    )

    assert left_out == {}
    assert read.message.resource_spans[0].scope_spans[0].spans[0].kind == 0


def test_numbers_that_json_does_not_know():
    """NaN and the infinities come as text."""
    points = ",".join(f'{{"asDouble":"{text}"}}' for text in ("NaN", "Infinity", "-Infinity"))
    line = f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{points}]}}}}]}}]}}]}}'

    [read], _ = transcode(line.encode())

    found = [
        point.as_double for point in read.message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    ]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]
    assert read.records == 3


def test_several_signals_in_one_line():
    """Each becomes a request of its own."""
    found = (
        json.loads(spool_files.line([1])) | json.loads(spool_files.log_line(2)) | json.loads(spool_files.metric_line(3))
    )

    requests, left_out = transcode(json.dumps(found).encode())

    assert [(request.signal, request.records) for request in requests] == [("traces", 1), ("metrics", 1), ("logs", 1)]
    assert left_out == {}


@pytest.mark.parametrize(
    "damage",
    [
        {"traceId": "not hex"},
        {"spanId": "eee1"},
        {"startTimeUnixNano": "soon"},
        {"endTimeUnixNano": "-1"},
        {"name": 3},
        {"attributes": [{"key": "k", "value": {"intValue": str(2**64)}}]},
        {"attributes": {"k": 1}},
        {"status": []},
        {"name": "half \ud800"},
    ],
    ids=lambda damage: next(iter(damage)),
)
def test_a_damaged_record_is_left_out_and_counted(damage):
    """One record that is no span does not take the others of its line with it."""
    found = json.loads(spool_files.line(range(4)))
    spans = found["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[2] |= damage

    [read], left_out = transcode(json.dumps(found).encode())

    kept = [span.attributes[0].value.int_value for span in read.message.resource_spans[0].scope_spans[0].spans]
    assert (kept, read.records, left_out) == ([0, 1, 3], 3, {"traces": 1})
    assert read.message.resource_spans[0].resource.attributes[0].value.string_value == "test"


def test_a_damaged_metric_is_counted_by_its_points():
    """Data points are what is counted of metrics."""
    line = (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":7,"sum":{"dataPoints":[{},{},{}]}},'
        b'{"name":"b","sum":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}}]}]}]}'
    )

    [read], left_out = transcode(line)

    assert (read.records, left_out) == (2, {"metrics": 3})


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"7", b"{}", b'{"spans":[]}', b"\0" * 40, b"\xff\xfe{}", b'{"resourceSpans":' + b"[" * 100_000],
    ids=repr,
)
def test_what_is_no_request_is_refused(line):
    """A line that cannot be read at all is a ValueError, never another one."""
    with pytest.raises(ValueError):  # noqa: PT011 - json's own errors among them
        transcode(line)


@pytest.mark.parametrize(
    "groups", ["7", '"text"', "[7]", '[{"scopeSpans":7}]', '[{"scopeSpans":[{"spans":[7]}]}]', "{}"]
)
def test_a_frame_that_is_damaged_is_one_record_lost(groups):
    """Where nothing tells how many records there were, it is counted as one."""
    requests, left_out = transcode(f'{{"resourceSpans":{groups}}}'.encode())

    assert requests == []
    assert left_out in ({"traces": 1}, {})
    assert left_out or groups == "{}"


@given(st.integers(20, 100))
def test_what_is_left_of_a_torn_line_is_counted(share):
    """The signal is known from the first bytes on; the records that can be seen are counted, at least one."""
    line = spool_files.line(range(10))
    torn = line[: len(line) * share // 100 - 1]

    signal, records = guess(torn)

    assert signal == "traces"
    assert records == max(1, torn.count(b'"endTimeUnixNano":'))
    assert guess(spool_files.metric_line(3)[:-9]) == ("metrics", 1)
    assert guess(spool_files.log_line(3)[:-9]) == ("logs", 1)
    assert guess(b"\0\0\0") == ("traces", 1)


def test_the_signal_is_seen_without_decoding():
    """Only where a line surely has one signal."""
    assert signal_of(spool_files.line([1])) == "traces"
    assert signal_of(spool_files.metric_line(1)) == "metrics"
    assert signal_of(b'{"resourceLogs":[],"resourceSpans":[]}') is None
    assert signal_of(b'{"later":1,"resourceLogs":[]}') is None


def test_reading_costs_a_fraction_of_protobufs_own_reader():
    """The library's way costs several times as much: the reason for having one of our own."""
    line = spool_files.line(range(128), **{f"ml.attribute.{number}": f"value {number}" for number in range(9)})

    def cost(read):
        begin = time.thread_time()
        read(line)
        return time.thread_time() - begin

    ours, theirs = zip(*[(cost(transcode), cost(request_of)) for _ in range(7)], strict=True)

    assert min(ours) < min(theirs) / 2.5
