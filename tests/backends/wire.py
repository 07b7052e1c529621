"""Names single records in OTLP requests, protobuf and OTLP/JSON alike, without any code of mlotel.

A span is known by its trace and span id; a log record by the attribute ``test.id`` that the test gave it, else by its
times and name; a data point by process, metric, attributes and time. The same record has the same name whichever way
it came, so what was made, what arrived and what lies on disk can be compared as sets.
"""

import json
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

SIGNALS = ("traces", "metrics", "logs")
REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
RESPONSES = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}
TOP = {"resourceSpans": "traces", "resourceMetrics": "metrics", "resourceLogs": "logs"}
SERVICES = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}
KINDS = ("sum", "gauge", "histogram", "exponentialHistogram", "summary")


@dataclass(frozen=True)
class Item:
    """One record.

    Attributes:
        id: Its name, the same in every encoding.
        label: Name of the span, of the metric or of the event.
        value: Value or count of a data point; None for others.
        instance: ``service.instance.id`` of the process that made it.
    """

    id: str
    label: str
    value: float | None = None
    instance: str = ""


def of_protobuf(signal, body):
    """The records of one export request in protobuf."""
    request = REQUESTS[signal]()
    request.ParseFromString(body)
    if signal == "traces":
        return [
            Item(f"{span.trace_id.hex()}.{span.span_id.hex()}", span.name, None, _instance(group))
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
    if signal == "logs":
        return [
            _log(
                log.event_name,
                log.time_unix_nano,
                log.observed_time_unix_nano,
                _plain(log.attributes),
                _instance(group),
            )
            for group in request.resource_logs
            for scope in group.scope_logs
            for log in scope.log_records
        ]
    found = []
    for group in request.resource_metrics:
        for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
            data = getattr(metric, metric.WhichOneof("data"))
            for point in data.data_points:
                if "count" in point.DESCRIPTOR.fields_by_name:
                    value = point.count
                else:
                    value = getattr(point, point.WhichOneof("value") or "as_int")
                found.append(
                    _point(metric.name, _plain(point.attributes), point.time_unix_nano, value, _instance(group))
                )
    return found


def of_json(text):
    """Signal and records of one export request in OTLP/JSON."""
    request = json.loads(text)
    [(top, groups)] = request.items()
    signal = TOP[top]
    found = []
    for group in groups:
        instance = str(_plain_json(group.get("resource", {}).get("attributes", [])).get("service.instance.id", ""))
        scopes = group.get(top.replace("resource", "scope"), [])
        if signal == "traces":
            found += [
                Item(f"{span['traceId'].lower()}.{span['spanId'].lower()}", span["name"], None, instance)
                for scope in scopes
                for span in scope["spans"]
            ]
        elif signal == "logs":
            found += [
                _log(
                    log.get("eventName", ""),
                    int(log.get("timeUnixNano", 0)),
                    int(log.get("observedTimeUnixNano", 0)),
                    _plain_json(log.get("attributes", [])),
                    instance,
                )
                for scope in scopes
                for log in scope["logRecords"]
            ]
        else:
            for metric in (metric for scope in scopes for metric in scope["metrics"]):
                [data] = [metric[kind] for kind in KINDS if kind in metric]
                for point in data["dataPoints"]:
                    value = point.get("count", point.get("asInt", point.get("asDouble", 0)))
                    at = int(point.get("timeUnixNano", 0))
                    attributes = _plain_json(point.get("attributes", []))
                    found.append(_point(metric["name"], attributes, at, float(value), instance))
    return signal, found


def _log(name, at, observed, attributes, instance):
    own = attributes.get("test.id")
    return Item(own if own is not None else f"{instance}/{name}/{at}/{observed}", name, None, instance)


def _point(name, attributes, at, value, instance):
    series = ",".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    return Item(f"{instance}/{name}/{series}/{at}", name, float(value), instance)


def _instance(group):
    return str(_plain(group.resource.attributes).get("service.instance.id", ""))


def _plain(pairs):
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        found[pair.key] = str(getattr(pair.value, kind)) if kind else ""
    return found


def _plain_json(pairs):
    return {pair["key"]: str(next(iter(pair.get("value", {}).values()), "")) for pair in pairs}
