"""OTLP/JSON of the SDK's records: what a line of the spool says.

The published encoder for JSON makes an object of a generated class for each value, and to import its classes takes a
quarter of ``configure()``; a program that writes ten lines pays for that and nothing else. Here records become plain
dictionaries. The tests compare them with what the published encoder makes of the same records.

Source: opentelemetry-proto 1.x, trace.proto, logs.proto, metrics.proto; the JSON form is that of protobuf with ids in
hex, enums as numbers and names in lowerCamelCase. As there, a field that has its default is left out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from opentelemetry.sdk.metrics.export import (
    ExponentialHistogram,
    Gauge,
    Histogram,
    Metric,
    MetricsData,
    Sum,
)
from opentelemetry.trace import SpanKind

from mlotel import _guard
from mlotel.types import Signal

__all__ = ["request_of"]

Json: TypeAlias = dict[str, Any]

_KINDS = {  # the API counts from 0, the wire from 1
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def request_of(signal: Signal, batch: Sequence[Any]) -> Json:
    """One export request.

    Args:
        signal: Which kind of records ``batch`` holds.
        batch: Spans, log records, or one collection of metrics.

    Returns:
        The request as ``json.dumps`` takes it. A value of an attribute that OTLP has no form for is left out, and
        said once; an integer beyond 64 bits is a string.

    Raises:
        Exception: Whatever is met in records that cannot be encoded.
    """
    if signal == "traces":
        return _set(resourceSpans=_grouped(batch, "scopeSpans", "spans", _span))
    if signal == "logs":
        return _set(resourceLogs=_grouped(batch, "scopeLogs", "logRecords", _log))
    return _set(resourceMetrics=[found for data in batch for found in _metrics(data)])


def _set(**fields: Any) -> Json:
    """The fields that are not at their default."""
    return {name: value for name, value in fields.items() if value}


def _grouped(batch: Iterable[Any], scopes_field: str, records_field: str, encode: Any) -> list[Json]:
    resources: dict[Any, dict[Any, list[Json]]] = {}
    for record in batch:
        scopes = resources.setdefault(record.resource, {})
        scopes.setdefault(record.instrumentation_scope or None, []).append(encode(record))
    return [
        {
            "resource": _set(attributes=_attributes(resource.attributes)),
            scopes_field: [
                {"scope": _scope(scope), records_field: records, **_schema(scope)} for scope, records in scopes.items()
            ],
            **_schema(resource),
        }
        for resource, scopes in resources.items()
    ]


def _scope(scope: Any) -> Json:
    if scope is None:
        return {}
    return _set(name=scope.name, version=scope.version, attributes=_attributes(scope.attributes))


def _schema(of: Any) -> Json:
    return {} if of is None else _set(schemaUrl=of.schema_url)


def _span(span: Any) -> Json:
    context, parent, status = span.get_span_context(), span.parent, span.status
    state = context.trace_state if context else None
    found = _set(
        traceId=_trace_id(context.trace_id if context else 0),
        spanId=_span_id(context.span_id if context else 0),
        traceState=",".join(f"{key}={value}" for key, value in state.items()) if state else "",
        parentSpanId=_span_id(parent.span_id) if parent else "",
        flags=_flags(parent),
        name=span.name,
        kind=_KINDS[span.kind],
        startTimeUnixNano=_whole(span.start_time),
        endTimeUnixNano=_whole(span.end_time),
        attributes=_attributes(span.attributes),
        droppedAttributesCount=span.dropped_attributes,
        events=[_event(event) for event in span.events],
        droppedEventsCount=span.dropped_events,
        links=[_link(link) for link in span.links],
        droppedLinksCount=span.dropped_links,
    )
    if status is not None:
        found["status"] = _set(message=status.description, code=status.status_code.value)
    return found


def _event(event: Any) -> Json:
    return _set(
        timeUnixNano=_whole(event.timestamp),
        name=event.name,
        attributes=_attributes(event.attributes),
        droppedAttributesCount=event.dropped_attributes,
    )


def _link(link: Any) -> Json:
    return _set(
        traceId=_trace_id(link.context.trace_id),
        spanId=_span_id(link.context.span_id),
        attributes=_attributes(link.attributes),
        droppedAttributesCount=link.dropped_attributes,
        flags=_flags(link.context),
    )


def _log(readable: Any) -> Json:
    record = readable.log_record
    return {
        **_set(
            timeUnixNano=_whole(record.timestamp),
            observedTimeUnixNano=_whole(record.observed_timestamp),
            severityNumber=getattr(record.severity_number, "value", None),
            severityText=record.severity_text,
        ),
        "body": _value(record.body),
        **_set(
            attributes=_attributes(record.attributes),
            droppedAttributesCount=readable.dropped_attributes,
            flags=int(record.trace_flags),
            traceId=_trace_id(record.trace_id) if record.trace_id else "",
            spanId=_span_id(record.span_id) if record.span_id else "",
            eventName=record.event_name,
        ),
    }


def _metrics(data: MetricsData) -> list[Json]:
    return [
        {
            "resource": _set(attributes=_attributes(of_resource.resource.attributes)),
            **_set(
                scopeMetrics=[
                    {
                        "scope": _scope(of_scope.scope),
                        **_set(metrics=[_metric(metric) for metric in of_scope.metrics]),
                        **_schema(of_scope.scope),
                    }
                    for of_scope in of_resource.scope_metrics
                ]
            ),
            **_schema(of_resource.resource),
        }
        for of_resource in data.resource_metrics
    ]


def _metric(metric: Metric) -> Json:
    found = _set(name=metric.name, description=metric.description, unit=metric.unit)
    data = metric.data
    if isinstance(data, Gauge):
        found["gauge"] = _set(dataPoints=[_number(point) for point in data.data_points])
        return found
    temporality = int(data.aggregation_temporality)
    if isinstance(data, Sum):
        points = [_number(point, _whole(point.start_time_unix_nano)) for point in data.data_points]
        found["sum"] = _set(dataPoints=points, aggregationTemporality=temporality, isMonotonic=data.is_monotonic)
    elif isinstance(data, Histogram):
        points = [_histogram(point) for point in data.data_points]
        found["histogram"] = _set(dataPoints=points, aggregationTemporality=temporality)
    elif isinstance(data, ExponentialHistogram):
        points = [_exponential(point) for point in data.data_points]
        found["exponentialHistogram"] = _set(dataPoints=points, aggregationTemporality=temporality)
    return found


def _number(point: Any, start: str = "") -> Json:
    return {
        **_set(attributes=_attributes(point.attributes), startTimeUnixNano=start),
        **_set(timeUnixNano=_whole(point.time_unix_nano)),
        **_as_number(point.value),
        **_set(exemplars=_exemplars(point)),
    }


def _histogram(point: Any) -> Json:
    return {
        **_of_distribution(point),
        **_set(
            bucketCounts=[str(count) for count in point.bucket_counts],
            explicitBounds=[_double(bound) for bound in point.explicit_bounds],
            exemplars=_exemplars(point),
        ),
        **_extremes(point),
    }


def _exponential(point: Any) -> Json:
    return {
        **_of_distribution(point),
        **_set(scale=point.scale, zeroCount=_whole(point.zero_count)),
        **{
            side: _set(offset=buckets.offset, bucketCounts=[str(count) for count in buckets.bucket_counts])
            for side, buckets in (("positive", point.positive), ("negative", point.negative))
            if buckets.bucket_counts
        },
        **_set(flags=point.flags, exemplars=_exemplars(point)),
        **_extremes(point),
    }


def _of_distribution(point: Any) -> Json:
    found = _set(
        attributes=_attributes(point.attributes),
        startTimeUnixNano=_whole(point.start_time_unix_nano),
        timeUnixNano=_whole(point.time_unix_nano),
        count=_whole(point.count),
    )
    return found if point.sum is None else {**found, "sum": _double(point.sum)}


def _extremes(point: Any) -> Json:
    return {name: _double(value) for name in ("min", "max") if (value := getattr(point, name)) is not None}


def _exemplars(point: Any) -> list[Json]:
    found = []
    for exemplar in point.exemplars:
        is_traced = exemplar.span_id is not None and exemplar.trace_id is not None
        found.append(
            {
                **_set(
                    filteredAttributes=_attributes(exemplar.filtered_attributes),
                    timeUnixNano=_whole(exemplar.time_unix_nano),
                ),
                **_as_number(exemplar.value),
                **_set(
                    spanId=_span_id(exemplar.span_id) if is_traced else "",
                    traceId=_trace_id(exemplar.trace_id) if is_traced else "",
                ),
            }
        )
    return found


def _attributes(attributes: Mapping[str, Any] | None) -> list[Json]:
    found = []
    for name, value in (attributes or {}).items():
        try:
            found.append({**_set(key=name), "value": _value(value)})
        except Exception as error:  # as the published encoders do: one value, not the record
            _guard.report("write down the value of an attribute", error)
    return found


def _value(value: Any) -> Json:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        digits = int.__repr__(value)
        return {"intValue" if _LOWEST <= value <= _HIGHEST else "stringValue": digits}
    if isinstance(value, float):
        return {"doubleValue": _double(value)}
    if isinstance(value, bytes):
        import base64  # rare

        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, Sequence):
        return {"arrayValue": _set(values=[_value(item) for item in value])}
    if isinstance(value, Mapping):
        pairs = [{**_set(key=str(key)), "value": _value(item)} for key, item in value.items()]
        return {"kvlistValue": _set(values=pairs)}
    raise TypeError(f"a value of type {type(value).__qualname__}")


def _as_number(value: float) -> Json:
    return {"asInt": int.__repr__(value)} if isinstance(value, int) else {"asDouble": _double(value)}


def _double(value: float) -> float | str:
    """JSON has no numbers for what is no number."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _whole(value: int | None) -> str:
    """64 bits are a string in JSON; empty where it is at its default."""
    return str(value) if value else ""


def _trace_id(number: int) -> str:
    return f"{number:032x}"


def _span_id(number: int) -> str:
    return f"{number:016x}"


def _flags(context: Any) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if context and context.is_remote else 0)
