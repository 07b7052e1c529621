"""OTLP requests as plain records, decoded by protobuf: from the wire, and from the lines of a spool file."""

import base64
import json

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
SIGNAL_OF = {"resourceSpans": "traces", "resourceMetrics": "metrics", "resourceLogs": "logs"}


def plain(value):
    """An AnyValue as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)


def attributes(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


def spans(request):
    """Spans of one request."""
    found = []
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                found.append(
                    {
                        "name": span.name,
                        "scope": scope.scope.name,
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "parent_id": span.parent_span_id.hex(),
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "status": span.status.code,
                        "message": span.status.message,
                        "attributes": attributes(span.attributes),
                        "links": [
                            {
                                "trace_id": link.trace_id.hex(),
                                "span_id": link.span_id.hex(),
                                "attributes": attributes(link.attributes),
                            }
                            for link in span.links
                        ],
                        "resource": attributes(resource.resource.attributes),
                    }
                )
    return found


def points(request):
    """Data points of one request."""
    found = []
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points:
                    record = {
                        "name": metric.name,
                        "unit": metric.unit,
                        "kind": kind,
                        "scope": scope.scope.name,
                        "attributes": attributes(point.attributes),
                        "resource": attributes(resource.resource.attributes),
                    }
                    if kind in ("sum", "gauge"):
                        record["value"] = getattr(point, point.WhichOneof("value"))
                    else:
                        record |= {"count": point.count, "sum": point.sum}
                    if kind == "histogram":
                        record |= {"bounds": list(point.explicit_bounds), "buckets": list(point.bucket_counts)}
                    if kind != "gauge":
                        record["temporality"] = getattr(metric, kind).aggregation_temporality
                    found.append(record)
    return found


def logs(request):
    """Log records of one request."""
    found = []
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                found.append(
                    {
                        "name": record.event_name,
                        "scope": scope.scope.name,
                        "time": record.time_unix_nano,
                        "trace_id": record.trace_id.hex(),
                        "span_id": record.span_id.hex(),
                        "body": plain(record.body),
                        "attributes": attributes(record.attributes),
                        "resource": attributes(resource.resource.attributes),
                    }
                )
    return found


DECODE = {"traces": spans, "metrics": points, "logs": logs}


def request_of(line):
    """``(signal, request)`` of a line of OTLP/JSON: protobuf's own JSON, but for ids, which OTLP writes in hex."""
    found = json.loads(line)
    [key] = found
    signal = SIGNAL_OF[key]
    return signal, json_format.ParseDict(_with_base64_ids(found), REQUESTS[signal]())


def spooled(folder, pattern="*.jsonl"):
    """Everything in the spool files of ``folder``: ``{"traces": [...], "metrics": [...], "logs": [...]}``."""
    found = {"traces": [], "metrics": [], "logs": []}
    for file in sorted(folder.glob(pattern)):
        for line in file.read_text(encoding="utf-8").splitlines():
            signal, request = request_of(line)
            found[signal] += DECODE[signal](request)
    return found


def _with_base64_ids(value):
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else _with_base64_ids(item)
            for key, item in value.items()
        }
    return value
