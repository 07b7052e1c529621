"""Small values that cross the borders between parts of mlotel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mlotel.errors import InvalidArgumentError

__all__ = ["AttributeValue", "Check", "EventRecord", "Flush", "Identity", "LinkRecord", "Scope", "Signal", "SpanRecord"]

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
Scope: TypeAlias = Literal["full", "sampled", "metadata", "none"]
AttributeValue: TypeAlias = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which content an artifact has, as far as it could be found out.

    Attributes:
        id: Scheme and hex digits: ``xxh3:<32 hex>`` when every byte was hashed, ``ref:<32 hex>`` for an object that
            cannot be hashed and is known only while this process lives.
        scope: ``full`` when every byte counted; only then equal ids mean equal content.
        schema_hash: Hash of names, order and logical types of the columns; None for what has no columns.
        row_count: Rows, or None.
        column_count: Columns, or None.
        size: Bytes of the content, or None where unknown.
    """

    id: str
    scope: Scope
    schema_hash: str | None = None
    row_count: int | None = None
    column_count: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Flush:
    """What became of the records made since ``configure()``: counts a signal.

    Attributes:
        exported: Records that the endpoint confirmed.
        spooled: Records that are on disk.
        dropped: Records that are lost, and counted as such.
    """

    exported: Mapping[Signal, int]
    spooled: Mapping[Signal, int]
    dropped: Mapping[Signal, int]


class Check:
    """Result of a check, with a message and the values it looked at.

    Args:
        status: ``True`` or ``"passed"``, ``False`` or ``"failed"``, ``"skipped"``.
        message: What a person should read.
        **values: Numbers and words behind the verdict; recorded with the result.

    Example:
        >>> from mlotel import Check
        >>> Check(False, "too many missing", share=0.31)
        Check('failed', 'too many missing', share=0.31)
    """

    __slots__ = ("message", "status", "values")

    def __init__(self, status: bool | Literal["passed", "failed", "skipped"], message: str = "", **values: Any) -> None:
        if type(status).__module__ == "numpy" and type(status).__name__ in ("bool", "bool_"):
            status = status.item()  # type: ignore[union-attr]  # numpy's bool is what comparisons of columns give
        if isinstance(status, bool):
            status = "passed" if status else "failed"
        if not isinstance(status, str) or status not in ("passed", "failed", "skipped"):
            raise InvalidArgumentError(
                f"Check() got a status of type {type(status).__qualname__}"
                f"{f': {status!r}' if isinstance(status, str) else ''}. "
                "Use True or 'passed', False or 'failed', or 'skipped'."
            )
        self.status: Literal["passed", "failed", "skipped"] = status
        self.message = message
        self.values = values

    def __repr__(self) -> str:
        values = "".join(f", {key}={value!r}" for key, value in self.values.items())
        return f"Check({self.status!r}, {self.message!r}{values})"


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """A link from one span to another, as it was recorded."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """An ended span, wherever it was read: in this process or from a file. Times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    status: Literal["unset", "ok", "error"] = "unset"
    message: str = ""
    links: tuple[LinkRecord, ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A log event, with the span it belongs to (empty ids when there was none)."""

    name: str
    time_ns: int
    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]
    body: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)
