"""From a line of the spool to the bytes that go over the wire: OTLP/JSON in, serialized protobuf out.

``google.protobuf.json_format`` would do this but for the ids, which OTLP/JSON writes in hex; it needs seven times the
CPU time, more than recording the records took in the first place, and replay shares the interpreter with the program
that records. Here the message types themselves say how each field is to be read, nested dicts are made of it, and
protobuf's C code builds the message from them at once.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mlotel.types import Signal

__all__ = ["Request", "count", "guess", "signal_of", "transcode"]

_MESSAGES: Final[Mapping[Signal, Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
# Names at the three levels of a request: groups of one resource, groups of one scope, records.
_LEVELS: Final[Mapping[Signal, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]]] = {
    "traces": (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans", "spans")),
    "metrics": (("resourceMetrics", "resource_metrics"), ("scopeMetrics", "scope_metrics"), ("metrics", "metrics")),
    "logs": (("resourceLogs", "resource_logs"), ("scopeLogs", "scope_logs"), ("logRecords", "log_records")),
}
# A field that each record has once, for counting the records of a line that cannot be read.
_ONCE: Final[Mapping[Signal, bytes]] = {
    "traces": b'"endTimeUnixNano":',
    "metrics": b'"timeUnixNano":',
    "logs": b'"observedTimeUnixNano":',
}
_BEGINNINGS: Final = {signal: f'{{"{names[0]}"'.encode() for signal, (names, _, _) in _LEVELS.items()}
_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_ID_SIZES: Final = (0, 8, 16)
_UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)

_Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One export request of one signal.

    Attributes:
        signal: Which records it holds.
        message: The protobuf message.
        records: Spans, log records or data points in it.
    """

    signal: Signal
    message: Any
    records: int

    def body(self) -> bytes:
        """The bytes that go over the wire."""
        return bytes(self.message.SerializeToString())

    def part(self, start: int, stop: int) -> "Request":
        """The records from ``start`` to ``stop``, with the resources and scopes that they belong to."""
        if start <= 0 and stop >= self.records:
            return self
        chosen = _MESSAGES[self.signal]()
        (_, resources), (_, scopes), (_, records) = _LEVELS[self.signal]
        position = 0
        for resource in getattr(self.message, resources):
            kept_resource = None
            for scope in getattr(resource, scopes):
                kept_scope = None
                for record in getattr(scope, records):
                    size = _size(self.signal, record)
                    low, high = max(start - position, 0), min(stop - position, size)
                    position += size
                    if low >= high:
                        continue
                    if kept_resource is None:
                        kept_resource = getattr(chosen, resources).add()
                        _copy_without(resource, kept_resource, scopes)
                    if kept_scope is None:
                        kept_scope = getattr(kept_resource, scopes).add()
                        _copy_without(scope, kept_scope, records)
                    kept = getattr(kept_scope, records).add()
                    kept.CopyFrom(record)
                    if self.signal == "metrics" and high - low < size:
                        points = getattr(kept, kept.WhichOneof("data")).data_points
                        del points[high:]
                        del points[:low]
        return Request(self.signal, chosen, max(0, min(stop, self.records) - max(start, 0)))


def transcode(line: bytes) -> tuple[list[Request], dict[Signal, int]]:
    """Read one line of a spool file.

    Field names may be in camelCase or snake_case, 64-bit integers text or numbers, enumerations numbers or names, ids
    hex or, as from programs that know nothing of OTLP's rule, base64. Unknown fields are passed over, as OTLP asks of
    receivers, so lines of later versions can be read.

    Args:
        line: One export request as JSON, usually of one signal.

    Returns:
        The requests, one for each signal in the line; and how many records of which signal could not be read and were
        left out.

    Raises:
        ValueError: If the line is no export request of OTLP/JSON at all, for example because it is torn.

    Example:
        >>> span = '{"traceId":"' + "5b8e" * 8 + '","spanId":"' + "eee1" * 4 + '","name":"fit","endTimeUnixNano":"7"}'
        >>> [request], left_out = transcode(b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + span.encode() + b"]}]}]}")
        >>> request.signal, request.records, len(request.body()), left_out
        ('traces', 1, 48, {})
    """
    try:
        found = json.loads(line)
    except RecursionError as error:
        raise ValueError("It is nested too deeply for a request of OTLP/JSON.") from error
    if not isinstance(found, dict):
        raise ValueError("An export request of OTLP/JSON is an object.")
    requests: list[Request] = []
    left_out: dict[Signal, int] = {}
    is_known = False
    for signal, (names, _, _) in _LEVELS.items():
        groups = found.get(names[0], found.get(names[1]))
        if groups is None:
            continue
        is_known = True
        try:
            message = _message(signal, groups)
        except _UNREADABLE:
            groups, odd = _readable(signal, groups)
            left_out[signal] = odd
            message = _message(signal, groups)
        records = _count(signal, message)
        if records:
            requests.append(Request(signal, message, records))
    if not is_known:
        raise ValueError("An export request of OTLP/JSON has resourceSpans, resourceMetrics or resourceLogs.")
    return requests, left_out


def signal_of(line: bytes) -> Signal | None:
    """The signal of a line that has one only, as all have that mlotel or a collector writes; else None.

    Example:
        >>> signal_of(b'{"resourceLogs":[]}'), signal_of(b'{"resourceLogs":[],"resourceSpans":[]}')
        ('logs', None)
    """
    for signal, beginning in _BEGINNINGS.items():
        if line.startswith(beginning):
            is_alone = not any(other[1:] in line for other in _BEGINNINGS.values() if other != beginning)
            return signal if is_alone else None
    return None


def guess(line: bytes) -> tuple[Signal, int]:
    """Which signal a line holds that cannot be read, and how many records at least: what of it can be counted.

    Example:
        >>> guess(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":"7"},{"endTimeUnixNano":"9"},{"na')
        ('traces', 2)
    """
    places = {}
    for signal, (names, _, _) in _LEVELS.items():
        at = [place for name in names if (place := line.find(f'"{name}"'.encode())) >= 0]
        if at:
            places[signal] = min(at)
    found: Signal = min(places, key=lambda signal: places[signal], default="traces")
    return found, max(1, line.count(_ONCE[found]))


def count(line: bytes) -> dict[Signal, int]:
    """Records in a line by signal, those that cannot be read included; decodes only where counting a name is not sure.

    Example:
        >>> count(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":"7"},{"endTimeUnixNano":"9"}]}]}]}')
        {'traces': 2}
    """
    signal = signal_of(line)
    if signal in ("traces", "logs") and (seen := line.count(_ONCE[signal])):
        return {signal: seen}
    try:
        requests, left_out = transcode(line)
    except ValueError:
        signal, seen = guess(line)
        return {signal: seen}
    counts = dict(left_out)
    for request in requests:
        counts[request.signal] = counts.get(request.signal, 0) + request.records
    return counts


def _message(signal: Signal, groups: Any) -> Any:
    return _MESSAGES[signal](**_READ[signal]({_LEVELS[signal][0][0]: groups}))


def _readable(signal: Signal, groups: Any) -> tuple[list[Any], int]:
    """``groups`` without the records that make the message fail, and how many those were."""
    kept, odd = [], 0
    for group, scope, records, name in _scopes(signal, groups):
        good = []
        for record in records:
            try:
                _message(signal, [group({**scope, name: [record]})])
            except _UNREADABLE:
                odd += _size_of_json(signal, record)
            else:
                good.append(record)
        if good:
            kept.append(group({**scope, name: good}))
    return kept, odd or 1  # a damaged frame without records is something that was there, too


def _scopes(
    signal: Signal, groups: Any
) -> Iterator[tuple[Callable[[Any], dict[str, Any]], dict[str, Any], list[Any], str]]:
    """Each scope with what puts it back into its resource, its records, and the name that these have."""
    _, scope_names, record_names = _LEVELS[signal]
    for group in groups if isinstance(groups, list) else ():
        if not isinstance(group, dict):
            continue
        frame = {key: value for key, value in group.items() if key not in scope_names}
        scopes = group.get(scope_names[0], group.get(scope_names[1]))
        for scope in scopes if isinstance(scopes, list) else ():
            if not isinstance(scope, dict):
                continue
            rest = {key: value for key, value in scope.items() if key not in record_names}
            records = scope.get(record_names[0], scope.get(record_names[1]))

            def put_back(scope: Any, frame: dict[str, Any] = frame) -> dict[str, Any]:
                return {**frame, scope_names[0]: [scope]}

            yield put_back, rest, records if isinstance(records, list) else [], record_names[0]


def _size_of_json(signal: Signal, record: Any) -> int:
    if signal != "metrics" or not isinstance(record, dict):
        return 1
    points = [data.get("dataPoints", data.get("data_points")) for data in record.values() if isinstance(data, dict)]
    return sum(len(found) for found in points if isinstance(found, list)) or 1


def _count(signal: Signal, message: Any) -> int:
    (_, resources), (_, scopes), (_, records) = _LEVELS[signal]
    return sum(
        len(found) if signal != "metrics" else sum(_size(signal, metric) for metric in found)
        for resource in getattr(message, resources)
        for scope in getattr(resource, scopes)
        for found in (getattr(scope, records),)
    )


def _size(signal: Signal, record: Any) -> int:
    """How many records this is: data points are what is counted of metrics."""
    if signal != "metrics":
        return 1
    kind = record.WhichOneof("data")
    return len(getattr(record, kind).data_points) if kind else 0


def _copy_without(source: Any, target: Any, field: str) -> None:
    """Copy everything but ``field``, which holds the bulk."""
    target.CopyFrom(source)
    target.ClearField(field)


def _reader(descriptor: Any, known: dict[str, _Read]) -> _Read:
    """What turns the JSON object of a message into keyword arguments of its class."""
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    fields: dict[str, tuple[str, _Read | None]] = {}

    def read(value: Any) -> dict[str, Any]:
        found = {}
        for key, item in value.items():
            field = fields.get(key)
            if field is not None and item is not None:  # JSON's null stands for a field that is not there
                name, convert = field
                found[name] = item if convert is None else convert(item)
        return found

    known[descriptor.full_name] = read  # before its fields: values hold values
    for field in descriptor.fields:
        fields[field.name] = fields[field.json_name] = (field.name, _converter(field, known))
    return read


def _converter(field: Any, known: dict[str, _Read]) -> _Read | None:
    """What turns the JSON of one field into what protobuf takes; None where they are the same."""
    convert: _Read | None
    if field.message_type is not None:
        convert = _reader(field.message_type, known)
    elif field.enum_type is not None:
        convert = _enumeration({value.name: value.number for value in field.enum_type.values})
    elif field.type == field.TYPE_BYTES:
        convert = _id if field.name in _HEX_FIELDS else _bytes
    elif field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        convert = float  # also "NaN" and "Infinity", as JSON has no numbers for them
    elif field.cpp_type in (field.CPPTYPE_STRING, field.CPPTYPE_BOOL):
        convert = None
    else:
        convert = int
    if convert is None or not _is_repeated(field):
        return convert
    one = convert
    return lambda items: [one(item) for item in items]


def _enumeration(numbers: Mapping[str, int]) -> _Read:
    return lambda item: numbers.get(item, 0) if isinstance(item, str) else item  # 0: the name is of a later version


def _is_repeated(field: Any) -> bool:
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)  # the first for protobuf before 6.31


def _id(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = _bytes(text)
    if len(found) not in _ID_SIZES:
        raise ValueError("An id is 16 or 32 hex digits.")
    return found


def _bytes(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _readers() -> dict[Signal, _Read]:
    known: dict[str, _Read] = {}
    return {signal: _reader(message.DESCRIPTOR, known) for signal, message in _MESSAGES.items()}


_READ: Final = _readers()
