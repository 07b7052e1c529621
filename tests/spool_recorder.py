"""Writes spool files with the real SDK and OpenTelemetry's own OTLP/JSON encoder, at times of the test's choosing."""

import json
import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from mlotel.store.spool import Spool

NOON = 1_767_614_400_000_000_000  # 2026-01-05 12:00 UTC, in nanoseconds
RUN = "8c1f2a90b3d44e5f8a67c2d1e0f9b8a7"


class Recorder:
    """Records spans and events of one process and gives them as lines of a spool file. Times are seconds after noon."""

    def __init__(self, noon_ns=NOON, **resource):
        self.noon_ns = noon_ns
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()
        facts = Resource({"service.name": "flights", **resource})
        self._tracers = TracerProvider(resource=facts, shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._loggers = LoggerProvider(resource=facts, shutdown_on_exit=False)
        self._loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self._tracer = self._tracers.get_tracer("mlotel.tracing")

    def _ns(self, second):
        return self.noon_ns + round(second * 1e9)

    def span(self, name, start, end, parent=None, attributes=None, error=None, links=()):
        """Record a span; returns its span context, for children and links."""
        span = self._tracer.start_span(
            name,
            context=None if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            attributes=attributes or {},
            links=[Link(context, values) for context, values in links],
            start_time=self._ns(start),
        )
        if error is not None:
            span.set_attribute("error.type", error[0])
            span.set_status(Status(StatusCode.ERROR, error[1]))
        span.end(end_time=self._ns(end))
        return span.get_span_context()

    def pipeline(self, name, start, end, run_id=RUN, parent=None, error=None, **attributes):
        """Record a pipeline that has ended."""
        values = {"ml.pipeline.name": name, "ml.run.id": run_id, "ml.run.status": "error" if error else "ok"}
        return self.span(f"pipeline {name}", start, end, parent, values | attributes, error)

    def component(self, name, start, end, parent=None, run_id=RUN, error=None, **attributes):
        """Record a component."""
        values = {"ml.component.name": name, **({"ml.run.id": run_id} if run_id else {})}
        return self.span(f"component {name}", start, end, parent, values | attributes, error)

    def artifact(self, word, name, second, parent, rows=None, kind="dataset", run_id=RUN, links=(), **attributes):
        """Record that a component read or wrote an artifact."""
        values = {"ml.artifact.name": name, "ml.artifact.type": kind, **({"ml.run.id": run_id} if run_id else {})}
        values["ml.artifact.role"] = {"read": "input", "write": "output"}[word]
        if rows is not None:
            values["ml.artifact.row.count"] = rows
        return self.span(f"{word} {name}", second, second, parent, values | attributes, links=links)

    def check(self, name, second, parent, status="passed", message="", **attributes):
        """Record the result of a check."""
        values = {"ml.check.name": name, "ml.check.status": status, "ml.check.message": message}
        return self.span(f"check {name}", second, second, parent, values | attributes)

    def event(self, name, second, context=None, body="", **attributes):
        """Emit an event; ``context`` is the span that it belongs to."""
        self._loggers.get_logger("mlotel.logs").emit(
            timestamp=self._ns(second),
            context=trace.set_span_in_context(trace.NonRecordingSpan(context)) if context else None,
            event_name=name,
            body=body,
            attributes=attributes,
        )

    def started(self, name, second, context, run_id=RUN):
        """Emit the record of a start."""
        self.event("ml.run.started", second, context, **{"ml.run.id": run_id, "ml.pipeline.name": name})

    def requests(self):
        """One export request of traces and one of logs, as dictionaries; what was recorded since the last call."""
        spans, logs = self._spans.get_finished_spans(), self._logs.get_finished_logs()
        self._spans.clear()
        self._logs.clear()
        found = []
        if spans:
            found.append(json.loads(encode_spans(spans).to_json()))
        if logs:
            found.append(json.loads(encode_logs(logs).to_json()))
        return found

    def lines(self):
        """The same as lines of a spool file."""
        return [json.dumps(request, separators=(",", ":")) for request in self.requests()]

    def write(self, path, changed=None):
        """Append to a spool file; ``changed`` is the second at which it was last changed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(line + "\n" for line in self.lines())
        if changed is not None:
            os.utime(path, ns=(self._ns(changed), self._ns(changed)))
        return path


def lost_context(trace_id, span_id):
    """Span context of a span that was never recorded: its process was killed before it ended."""
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def flights(recorder, run_id=RUN, start=0.0):
    """Record the run that the examples in the documentation show; returns the span context of its pipeline."""
    at = start
    top = recorder.pipeline("flight-delays", at, at + 44.9, run_id, **{"ml.param.rows": "all", "ml.tag.team": "ops"})
    more = {"run_id": run_id}
    ingest = recorder.component("ingest", at + 0.1, at + 2.5, top, **more)
    recorder.artifact(
        "read", "flights.csv.zip", at + 0.1, ingest, kind="file", **more, **{"ml.artifact.size": 7_400_000}
    )
    written = recorder.artifact(
        "write", "flights", at + 2.4, ingest, 336_776, **more,
        **{"ml.artifact.id": "xxh3:" + "3e" * 16, "ml.artifact.column.count": 19, "ml.artifact.digest.scope": "full"},
    )  # fmt: skip
    recorder.check("wind_is_plausible", at + 2.5, ingest, "failed", "the highest wind is 1,048 mph")
    rows = {"ml.removal.rows.cancelled": 8255, "ml.removal.rows.missing": 1175, "ml.removal.rows.outlier": 56}
    clean = recorder.component("clean", at + 2.5, at + 2.9, top, **more, **rows)
    link = {"ml.link.type": "consumed", "ml.link.evidence": "process", "ml.artifact.id": "xxh3:" + "3e" * 16}
    recorder.artifact(
        "read", "flights", at + 2.5, clean, 336_776, **more, links=[(written, link)],
        **{"ml.artifact.id": "xxh3:" + "3e" * 16},
    )  # fmt: skip
    recorder.artifact("write", "clean-flights", at + 2.9, clean, 327_290, **more)
    train = recorder.component("train", at + 2.9, at + 40, top, **more, **{"ml.component.type": "train"})
    recorder.artifact("read", "clean-flights", at + 2.9, train, 327_290, **more)
    trained = {"ml.artifact.size": 1_200_000, "ml.component.name": "train"}
    recorder.artifact("write", "delay-model", at + 40, train, kind="model", **more, **trained)
    for fold in range(8):
        recorder.component("fold", at + 4 + 4 * fold, at + 6 + 4 * fold, train, **more)
    evaluate = recorder.component("evaluate", at + 40, at + 44.9, top, **more)
    recorder.artifact("read", "delay-model", at + 40, evaluate, kind="model", **more)
    recorder.artifact("write", "metrics.json", at + 44.9, evaluate, kind="metrics", **more)
    recorder.check("beats_the_baseline", at + 44.9, evaluate, "passed", "", **{"ml.check.value.mae": 18.25})
    return top


def outline(nodes):
    """Names of a tree, each with the list of those below it."""
    return [(node.name, outline(node.children)) if node.children else node.name for node in nodes]


def read_all(path):
    """All records of a spool as a list, and the spool with its counts."""
    spool = Spool(path)
    return list(spool.read(spool.groups())), spool
