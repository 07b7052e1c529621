"""Lines of the spool say what the published encoder for OTLP/JSON says of the same records."""

import enum
import json
import math

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.json.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState, set_span_in_context

from mlotel.export._lines import request_of


class Colour(enum.IntEnum):
    RED = 3


VALUES = {
    "text": "ä\n\u2028\"'",
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "whole": -(2**63),
    "enum": Colour.RED,
    "fraction": 0.1,
    "nan": math.nan,
    "infinite": math.inf,
    "minus": -math.inf,
    "bytes": b"\x00\xff",
    "texts": ["a", ""],
    "numbers": (1, 2),
    "nothing": [],
}
LIMITS = SpanLimits(max_attributes=14, max_events=2, max_links=2)
RESOURCES = [
    Resource({}),
    Resource({"service.name": "flights", "list": [1.5, 2.0]}, "https://example.org/schema"),
]


def spans():
    """Spans of several resources and scopes, with everything a span can have."""
    exporter = InMemorySpanExporter()
    remote = SpanContext(2**127 + 5, 7, True, TraceFlags(1), TraceState([("vendor", "a=b"), ("other", "1")]))
    for resource in RESOURCES:
        provider = TracerProvider(
            resource=resource,
            shutdown_on_exit=False,
            span_limits=LIMITS,
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        plain = provider.get_tracer("plain")
        rich = provider.get_tracer("rich", "1.2", "https://example.org/other", {"a": "b"})
        for kind in SpanKind:
            plain.start_span(kind.name, kind=kind, start_time=1).end(2)
        with rich.start_as_current_span(
            "root", set_span_in_context(NonRecordingSpan(remote)), attributes=VALUES
        ) as root:
            links = [trace.Link(remote, {"ml.link.type": "consumed"}), trace.Link(root.get_span_context())]
            child = rich.start_span("", links=[*links, *links])
            for number in range(4):
                child.add_event(f"event {number}", VALUES if number == 3 else None)
            child.set_status(trace.StatusCode.ERROR, "it broke")
            child.end()
            root.set_status(trace.StatusCode.OK)
    return list(exporter.get_finished_spans())


def logs():
    """Log records with and without a span, with every kind of body."""
    exporter = InMemoryLogRecordExporter()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("plain")
    for resource in RESOURCES:
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        logger = provider.get_logger("scope", "1", "https://example.org/schema", {"a": 1})
        with tracer.start_as_current_span("current"):
            logger.emit(event_name="ml.run.started", body="started", timestamp=1_700_000_000_123_456_789)
        for body in (None, "", 0, 1.5, True, b"x", ["a", {"b": [None, 1]}], {"a": {}, "": 1}):
            logger.emit(body=body, severity_text="WARN", attributes={**VALUES, "nested": {"a": [1, {"b": None}]}})
    return list(exporter.get_finished_logs())


def metrics(temporality):
    """Every kind of metric, with exemplars."""
    preferred = dict.fromkeys((Counter, Histogram), temporality)
    reader = InMemoryMetricReader(preferred_temporality=preferred)
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider(
        [reader], RESOURCES[1], views=views, shutdown_on_exit=False, exemplar_filter=AlwaysOnExemplarFilter()
    )
    meter = provider.get_meter("scope", "1.2", None, {"a": "b"})
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("plain")
    counter = meter.create_counter("counter", "{row}", "Rows.")
    histogram = meter.create_histogram("histogram", "s", explicit_bucket_boundaries_advisory=[0.5, 1.0])
    exponential = meter.create_histogram("exponential")
    meter.create_observable_gauge("gauge", [lambda _: [Observation(0.0), Observation(0, VALUES)]])
    meter.create_up_down_counter("updown").add(-1.5, {"kind": "a"})
    with tracer.start_as_current_span("current"):
        counter.add(2**40, {"kind": "a"})
        for value in (0.0, 0.7, -2.5, 1e300):
            histogram.record(value)
            exponential.record(value)
    counter.add(1, {"kind": "b"})
    return [reader.get_metrics_data()]


def as_json(request):
    """What a reader of the line gets; what is said in another order is the same."""
    return json.loads(json.dumps(request, allow_nan=False))


def test_spans_are_written_as_the_published_encoder_writes_them():
    """Ids, kinds, flags, states, times, values, events, links and what was dropped are equal."""
    batch = spans()
    assert len(batch) == 14

    assert as_json(request_of("traces", batch)) == as_json(encode_spans(batch).to_dict())


def test_log_records_are_written_as_the_published_encoder_writes_them():
    """Bodies and attributes of every kind, nested too, and the span they belong to are equal."""
    batch = logs()
    assert len(batch) == 18

    assert as_json(request_of("logs", batch)) == as_json(encode_logs(batch).to_dict())


@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
def test_metrics_are_written_as_the_published_encoder_writes_them(temporality):
    """Sums, gauges and both kinds of histogram are equal, with their exemplars."""
    [data] = batch = metrics(temporality)
    names = {metric.name for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics}
    assert names == {"counter", "updown", "gauge", "histogram", "exponential"}

    request = as_json(request_of("metrics", batch))

    assert request == as_json(encode_metrics(data).to_dict())
    assert '"exemplars"' in json.dumps(request)


def test_nothing_is_nothing():
    """An empty batch is an empty request."""
    assert request_of("traces", []) == request_of("logs", []) == request_of("metrics", []) == {}


@pytest.mark.lenient
def test_a_value_that_has_no_form_costs_itself_only(caplog):
    """An attribute that cannot be said is left out, the others stay, and the log says so once."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("scope").emit(body="b", attributes={"good": 1})
    [record] = exporter.get_finished_logs()
    record.log_record.attributes = {"bad": object(), "good": 1}

    request = request_of("logs", [record, record])

    for found in request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        assert found["attributes"] == [{"key": "good", "value": {"intValue": "1"}}]
    assert caplog.text.count("could not write down the value of an attribute") == 1
