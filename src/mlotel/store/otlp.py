"""From OTLP/JSON to records: what mlotel writes, and what the collector's file exporter writes.

Both forms of 64-bit integers are read (text and number), enumerations by number or name, field names in camelCase or
snake_case. Missing fields have their default. What cannot be read is counted, never raised on.
"""

import string
from collections.abc import Container, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from mlotel.types import EventRecord, LinkRecord, SpanRecord

__all__ = ["Broken", "Record", "records"]

Record: TypeAlias = SpanRecord | EventRecord
Broken: TypeAlias = None
"""Stands in the stream for a span or event that cannot be read."""

_HEX = frozenset(string.hexdigits)
_LAST_NS = 2**63 - 1  # 2262; a later time is damage
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
_STATUS: dict[object, Literal["unset", "ok", "error"]] = {
    1: "ok",
    2: "error",
    "1": "ok",
    "2": "error",
    "STATUS_CODE_OK": "ok",
    "STATUS_CODE_ERROR": "error",
    "Ok": "ok",
    "Error": "error",
}


def records(request: Any, *, traces: Container[str] | None = None) -> Iterator[Record | Broken]:
    """Spans and named ``ml.*`` events of one export request; metrics and other log records are passed over.

    Args:
        request: The decoded line.
        traces: Trace ids to keep; None keeps all. The others are not decoded further.

    Yields:
        Records in the order of the request, and None for each that cannot be read.

    Raises:
        ValueError: When ``request`` is no export request of OTLP/JSON.

    Example:
        >>> span = {"traceId": "5b8e" * 8, "spanId": "eee1" * 4, "name": "pipeline nightly",
        ...         "startTimeUnixNano": "1000", "endTimeUnixNano": 2000, "status": {"code": 2, "message": "no data"}}
        >>> [record] = records({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
        >>> record.end_ns, record.status, record.message
        (2000, 'error', 'no data')
    """
    if not isinstance(request, dict):
        raise ValueError("An export request of OTLP/JSON is an object.")
    span_groups = _list(request, "resourceSpans", "resource_spans")
    log_groups = _list(request, "resourceLogs", "resource_logs")
    if span_groups is None and log_groups is None and _list(request, "resourceMetrics", "resource_metrics") is None:
        raise ValueError("An export request of OTLP/JSON has resourceSpans, resourceMetrics or resourceLogs.")
    for group in span_groups or ():
        yield from _group(group, ("scopeSpans", "scope_spans"), ("spans", "spans"), _span, traces)
    for group in log_groups or ():
        yield from _group(group, ("scopeLogs", "scope_logs"), ("logRecords", "log_records"), _event, traces)


def _group(
    group: Any, scope_key: tuple[str, str], item_key: tuple[str, str], decode: Any, traces: Container[str] | None
) -> Iterator[Record | Broken]:
    """Records of one resource."""
    resource: dict[str, Any] | None = None
    try:
        items = [item for scope in _list(group, *scope_key) or () for item in _list(scope, *item_key) or ()]
    except _UNREADABLE:
        yield None
        return
    for item in items:
        try:
            if traces is not None and (_get(item, "traceId", "trace_id") or "").lower() not in traces:
                continue
            if resource is None:
                resource = _attributes((group.get("resource") or {}).get("attributes"))
            record = decode(item, resource)
        except _UNREADABLE:
            yield None
            continue
        if record is not None:
            yield record


def _span(item: Mapping[str, Any], resource: dict[str, Any]) -> SpanRecord:
    start_ns = _time(_get(item, "startTimeUnixNano", "start_time_unix_nano"))
    end_ns = _time(_get(item, "endTimeUnixNano", "end_time_unix_nano"))
    status = item.get("status") or {}
    parent = _get(item, "parentSpanId", "parent_span_id")
    links = [
        LinkRecord(
            trace_id=_id(_get(link, "traceId", "trace_id"), 32),
            span_id=_id(_get(link, "spanId", "span_id"), 16),
            attributes=_attributes(link.get("attributes")),
        )
        for link in item.get("links") or ()
    ]
    return SpanRecord(
        trace_id=_id(_get(item, "traceId", "trace_id"), 32),
        span_id=_id(_get(item, "spanId", "span_id"), 16),
        parent_id=_id(parent, 16) if parent and parent.strip("0") else None,
        name=_text(item.get("name")),
        start_ns=start_ns or end_ns,
        end_ns=max(end_ns, start_ns),
        attributes=_attributes(item.get("attributes")),
        status=_STATUS.get(status.get("code"), "unset"),
        message=_text(status.get("message")),
        links=tuple(links),
        resource=resource,
    )


def _event(item: Mapping[str, Any], resource: dict[str, Any]) -> EventRecord | None:
    """The event, or None for a log record that is none of ours."""
    name = _get(item, "eventName", "event_name")
    if name is None:  # the form from before events had a field of their own
        name = next((_value(a["value"]) for a in item.get("attributes") or () if a.get("key") == "event.name"), None)
    if not isinstance(name, str) or not name.startswith("ml."):
        return None
    time_ns = _time(_get(item, "timeUnixNano", "time_unix_nano"))
    trace_id, span_id = _get(item, "traceId", "trace_id"), _get(item, "spanId", "span_id")
    body = item.get("body")
    return EventRecord(
        name=name,
        time_ns=time_ns or _time(_get(item, "observedTimeUnixNano", "observed_time_unix_nano")),
        trace_id=_id(trace_id, 32) if trace_id else "",
        span_id=_id(span_id, 16) if span_id else "",
        attributes=_attributes(item.get("attributes")),
        body=str(_value(body)) if body else "",
        resource=resource,
    )


def _get(item: Mapping[str, Any], name: str, other: str) -> Any:
    found = item.get(name)
    return item.get(other) if found is None else found


def _list(item: Mapping[str, Any], name: str, other: str) -> list[Any] | None:
    found = _get(item, name, other)
    if found is not None and not isinstance(found, list):
        raise ValueError(f"{name} is not a list.")
    return found


def _id(value: Any, digits: int) -> str:
    if not isinstance(value, str) or len(value) != digits or not _HEX.issuperset(value):
        raise ValueError(f"An id is {digits} hex digits.")
    return value.lower()


def _time(value: Any) -> int:
    if value is None:
        return 0
    time_ns = int(value)
    if not 0 <= time_ns <= _LAST_NS:
        raise ValueError("A time is out of range.")
    return time_ns


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("A text is not a string.")
    return value


def _attributes(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in pairs or ():
        key = pair["key"]
        if not isinstance(key, str):
            raise ValueError("A key is not a string.")
        found[key] = _value(pair.get("value") or {})
    return found


def _value(holder: Mapping[str, Any]) -> Any:
    """The value in ``{"intValue": "3"}`` and its like; None when it is empty or of an unknown kind."""
    for kind, raw in holder.items():
        match kind:
            case "stringValue" | "string_value" | "bytesValue" | "bytes_value":
                return _text(raw)
            case "boolValue" | "bool_value":
                return bool(raw)
            case "intValue" | "int_value":
                return int(raw)
            case "doubleValue" | "double_value":
                return float(raw)  # also "NaN" and "Infinity", as JSON has no numbers for them
            case "arrayValue" | "array_value":
                return [_value(item) for item in raw.get("values") or ()]
            case "kvlistValue" | "kvlist_value":
                return _attributes(raw.get("values"))
    return None
