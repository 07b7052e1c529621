"""Lines of the spool mean what was recorded, to protobuf's JSON decoder and to the collector's own."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from records import DECODE, request_of

from mlotel.export._records import count, encode, merge

RESOURCE = Resource({"service.name": "zürich ✓", "process.pid": 7})
VALUES = {
    "text": 'naïve 😀 \u2028 " \\ \n\t',
    "empty": "",
    "true": True,
    "false": False,
    "zero": 0,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "whole": 3.0,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "nan": math.nan,
    "inf": math.inf,
    "minus inf": -math.inf,
    "words": ("a", "b"),
    "numbers": (1, 2),
    "floats": (0.1, math.nan),
    "flags": (True, False),
    "nothing": (),
    "bytes": b"\x00\xff",
}


@pytest.fixture(scope="module")
def batches():
    """One batch of each signal, with every kind of value that OpenTelemetry has."""
    spans = InMemorySpanExporter()
    tracers = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    tracer = tracers.get_tracer("scope", "1.2")
    with tracer.start_as_current_span("parent", attributes=VALUES) as parent:
        link = trace.Link(parent.get_span_context(), {"ml.link.type": "consumed"})
        child = tracer.start_span("child", links=[link])
        child.set_status(trace.StatusCode.ERROR, "it broke")
        child.end()
        logs = InMemoryLogRecordExporter()
        loggers = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
        loggers.get_logger("scope").emit(
            event_name="ml.run.started", body="started", timestamp=1_700_000_000_123_456_789, attributes={"a": 1}
        )
    reader = InMemoryMetricReader()
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    meters = MeterProvider([reader], resource=RESOURCE, views=views, shutdown_on_exit=False)
    meter = meters.get_meter("scope")
    meter.create_counter("counter", "{row}").add(2**40, {"kind": "a"})
    meter.create_up_down_counter("updown").add(-1.5)
    meter.create_observable_gauge("gauge", [lambda _: [Observation(0.0), Observation(0, {"whole": True})]])
    histogram = meter.create_histogram("histogram", "s", explicit_bucket_boundaries_advisory=[0.5, 1.0])
    exponential = meter.create_histogram("exponential")
    for value in (0.0, 0.7, 2.5):
        histogram.record(value)
        exponential.record(value)
    return {
        "traces": list(spans.get_finished_spans()),
        "logs": list(logs.get_finished_logs()),
        "metrics": [reader.get_metrics_data()],
    }


def decoded(signal, batch):
    kind, request = request_of(encode(signal, batch).decode())
    assert kind == signal
    return DECODE[signal](request)


def same(value, expected):
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(value, float) and math.isnan(value)
    if isinstance(expected, tuple):
        return len(value) == len(expected) and all(map(same, value, expected))
    return value == expected and type(value) is type(expected)


def test_spans_survive_the_round_trip(batches):
    """Ids, times, status, links, and every value of every attribute come back equal and of the same type."""
    child, parent = decoded("traces", batches["traces"])
    made = {span.name: span for span in batches["traces"]}

    for span in (child, parent):
        context = made[span["name"]].context
        assert (span["trace_id"], span["span_id"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
        assert (span["start"], span["end"]) == (made[span["name"]].start_time, made[span["name"]].end_time)
        assert span["resource"] == {"service.name": "zürich ✓", "process.pid": 7}
        assert span["scope"] == "scope"
    assert (child["parent_id"], parent["parent_id"]) == (parent["span_id"], "")
    assert (child["status"], child["message"]) == (2, "it broke")
    [link] = child["links"]
    assert (link["span_id"], link["attributes"]) == (parent["span_id"], {"ml.link.type": "consumed"})
    assert parent["attributes"].keys() == VALUES.keys()
    assert [key for key, value in VALUES.items() if not same(parent["attributes"][key], value)] == []


def test_metrics_survive_the_round_trip(batches):
    """Every kind of metric, with whole numbers and fractions kept apart, zero too."""
    points = {point["name"]: point for point in decoded("metrics", batches["metrics"])}

    assert (points["counter"]["value"], points["counter"]["unit"]) == (2**40, "{row}")
    assert points["counter"]["attributes"] == {"kind": "a"}
    assert points["updown"]["value"] == -1.5
    gauges = [p["value"] for p in decoded("metrics", batches["metrics"]) if p["name"] == "gauge"]
    assert [repr(value) for value in gauges] == ["0.0", "0"]
    assert (points["histogram"]["count"], points["histogram"]["sum"]) == (3, 3.2)
    assert (points["histogram"]["bounds"], points["histogram"]["buckets"]) == ([0.5, 1.0], [1, 1, 1])
    assert (points["exponential"]["kind"], points["exponential"]["count"]) == ("exponential_histogram", 3)


def test_log_events_survive_the_round_trip(batches):
    """Event name, time to the nanosecond, body, attributes and the span it belongs to."""
    [event] = decoded("logs", batches["logs"])
    parent = batches["traces"][1].context

    assert (event["name"], event["body"], event["attributes"]) == ("ml.run.started", "started", {"a": 1})
    assert event["time"] == 1_700_000_000_123_456_789
    assert (event["trace_id"], event["span_id"]) == (f"{parent.trace_id:032x}", f"{parent.span_id:016x}")


def test_records_are_counted_in_spans_points_and_events(batches):
    """The unit of the counts: a metric collection is as many records as it has data points."""
    assert {signal: count(signal, batch) for signal, batch in batches.items()} == {"traces": 2, "metrics": 6, "logs": 1}
    assert count("metrics", batches["metrics"] * 2) == 12
    assert len(decoded("metrics", [merge(batches["metrics"] * 2)])) == 12


def odd_span():
    spans = InMemorySpanExporter()
    tracers = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    odd = {
        "wide": 2**70,
        "minus": -(2**63) - 1,
        "in a list": (1, 2**64),
        "lone": "a\ud800b",
        "looks": '"intValue":"' + "9" * 30,
    }
    tracers.get_tracer("t").start_span("name \udfff", attributes=odd).end()
    return spans.get_finished_spans()


def test_values_that_otlp_cannot_say_do_not_break_the_line():
    """Integers beyond 64 bits become strings, half surrogates question marks; the line can still be read."""
    line = encode("traces", odd_span())
    assert line.count(b"\n") == 1
    [span] = DECODE["traces"](request_of(line.decode())[1])

    assert span["name"] == "name ?"
    assert span["attributes"] == {
        "wide": str(2**70), "minus": str(-(2**63) - 1), "in a list": [1, str(2**64)], "lone": "a?b",
        "looks": '"intValue":"' + "9" * 30,
    }  # fmt: skip


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    """The collector's decoder of OTLP/JSON, as a command that reads lines and prints what it found."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed: the collector's own decoder cannot be built")
    binary = tmp_path_factory.mktemp("otlpjson") / "otlpjson"
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-o", binary, "."],
        cwd=Path(__file__).parent / "otlpjson",
        capture_output=True,
        text=True,
    )
    if built.returncode != 0 and "dial tcp" in built.stderr:
        pytest.skip("the modules of the collector's decoder cannot be downloaded")
    assert built.returncode == 0, built.stderr

    def decode(*lines):
        done = subprocess.run([binary], input=b"".join(lines), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    return decode


def go_value(value):
    """How the Go program prints a value."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        special = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(str(value))
        return {"double": special or value}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return [go_value(item) for item in value]


def normal(value):
    """Go's way of writing a fraction, as the number."""
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict) and "double" in value and value["double"] not in ("NaN", "+Inf", "-Inf"):
        return {"double": float(value["double"])}
    return value


def test_the_collector_reads_the_same(collector, batches):
    """The collector's decoder finds every record, id, link and value of the spool's lines."""
    lines = [encode(signal, batch) for signal, batch in batches.items()]
    found = collector(*lines, encode("traces", odd_span()))

    by_name = {record["name"]: record for record in found}
    for span in DECODE["traces"](request_of(lines[0].decode())[1]):
        theirs = by_name[span["name"]]
        assert [theirs[key] for key in ("trace_id", "span_id", "parent_id", "message", "scope")] == [
            span[key] for key in ("trace_id", "span_id", "parent_id", "message", "scope")
        ]
        assert (theirs["start"], theirs["end"]) == (str(span["start"]), str(span["end"]))
    attributes = {key: normal(value) for key, value in by_name["parent"]["attributes"].items()}
    assert attributes == {key: go_value(value) for key, value in VALUES.items()}
    assert by_name["parent"]["resource"]["service.name"] == "zürich ✓"
    assert by_name["child"]["status"] == "Error"
    [link] = by_name["child"]["links"]
    assert (link["span_id"], link["attributes"]) == (by_name["parent"]["span_id"], {"ml.link.type": "consumed"})
    assert (by_name["counter"]["value"], by_name["counter"]["kind"]) == (str(2**40), "sum")
    assert (by_name["histogram"]["buckets"], by_name["exponential"]["count"]) == ([1, 1, 1], "3")
    event = by_name["ml.run.started"]
    assert (event["time"], event["body"]) == ("1700000000123456789", "started")
    assert (event["trace_id"], event["span_id"]) == (by_name["parent"]["trace_id"], by_name["parent"]["span_id"])
    assert by_name["name ?"]["attributes"]["wide"] == str(2**70)
    assert len(found) == 2 + 1 + 6 + 1
