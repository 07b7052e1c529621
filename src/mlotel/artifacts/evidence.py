"""Who made an artifact, and how that is known.

An edge of the lineage says how far it can be trusted. From the surest to the least: ``process`` (written by this very
process), ``embedded`` (the file itself says who wrote it, and its content is what was written), ``sidecar`` (a small
file beside it says so), ``index`` (the user's local index knows the id), ``backend`` (the trace store knows it),
``declared`` (a person says so). ``attrs`` is no identity at all: a hint that travelled with a frame while it changed.
"""

import re
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, get_args

from mlotel.errors import InvalidArgumentError

__all__ = ["TRUST", "Evidence", "Producer", "Source"]

Evidence: TypeAlias = Literal["process", "embedded", "sidecar", "index", "attrs", "backend", "declared"]

TRUST: tuple[Evidence, ...] = ("process", "embedded", "sidecar", "index", "backend", "declared")
"""Kinds of evidence for an edge, the surest first."""

_EVIDENCE = frozenset(get_args(Evidence))
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_ARTIFACT_ID = re.compile(r"[a-z0-9]{1,16}:[0-9a-f]{16,128}")
_MAX_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Producer:
    """The write span that made an artifact, as somebody claims.

    Attributes:
        trace_id: 32 lower-case hex digits, not all zero.
        span_id: 16 lower-case hex digits, not all zero.
        trace_flags: 0 to 255; bit 0 says that the span was sampled.
        component: Name of the component that wrote, where known.
        run_id: Its run, where known.
        written_ns: When it was written, in nanoseconds since 1970.
        artifact_id: The id that the claim is about.
        name: What the artifact was called when it was written.
        uri: Where it was written to.
        evidence: How this is known.

    Raises:
        InvalidArgumentError: If one of the ids, the flags, the time or the evidence cannot be what it should be.

    Example:
        >>> made = Producer("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, component="clean", run_id="r7",
        ...                 written_ns=0, artifact_id="xxh3:" + "0" * 32, name=None, uri=None, evidence="index")
        >>> made.traceparent, made.label
        ('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'clean@r7')
    """

    trace_id: str
    span_id: str
    trace_flags: int
    component: str | None
    run_id: str | None
    written_ns: int
    artifact_id: str
    name: str | None
    uri: str | None
    evidence: Evidence

    def __post_init__(self) -> None:
        for field, pattern, wanted in (
            ("trace_id", _TRACE_ID, "32 lower-case hex digits, not all zero"),
            ("span_id", _SPAN_ID, "16 lower-case hex digits, not all zero"),
            ("artifact_id", _ARTIFACT_ID, "a scheme and hex digits, as in xxh3:00…"),
        ):
            value = getattr(self, field)
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise _wrong(field, value, wanted)
        if not _is_whole(self.trace_flags, 255):
            raise _wrong("trace_flags", self.trace_flags, "a whole number from 0 to 255")
        if not _is_whole(self.written_ns, _MAX_NS):
            raise _wrong("written_ns", self.written_ns, "nanoseconds since 1970, as a whole number")
        for field in ("component", "run_id", "name", "uri"):
            if not isinstance(value := getattr(self, field), (str, type(None))):
                raise _wrong(field, value, "a string or None")
        if self.evidence not in _EVIDENCE:
            raise _wrong("evidence", self.evidence, f"one of {', '.join(sorted(_EVIDENCE))}")

    @property
    def traceparent(self) -> str:
        """The span in W3C form: ``00-<trace id>-<span id>-<flags>``."""
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags:02x}"

    @property
    def label(self) -> str | None:
        """``<component>@<run id>``, for people who read a backend without links; None where both are unknown."""
        return f"{self.component or ''}@{self.run_id or ''}" if self.component or self.run_id else None


class Source(Protocol):
    """Something that can be asked who made an artifact: the local index, a trace store."""

    def find(self, content_id: str, /) -> Producer | None:
        """The latest known producer of what has this id, or None. Never raises, never waits for long."""


def _is_whole(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest


def _wrong(field: str, value: object, wanted: str) -> InvalidArgumentError:
    shown = f"{value[:100]!r}" if isinstance(value, str) else f"a value of type {type(value).__qualname__}"
    return InvalidArgumentError(f"Producer() got {field} = {shown}. Use {wanted}.")
