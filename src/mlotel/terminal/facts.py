"""What records say about runs: which kind of span one is, and how a run stands."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mlotel.semconv import attributes as names
from mlotel.semconv import events, spans
from mlotel.types import EventRecord, SpanRecord

__all__ = [
    "CHECK",
    "COMPONENT",
    "HEARTBEAT",
    "OPEN",
    "PIPELINE",
    "READ",
    "WRITE",
    "Interval",
    "RunStatus",
    "Signs",
    "kind_of",
    "run_status",
]

RunStatus: TypeAlias = Literal["ok", "error", "running", "lost", "unfinished"]
"""``running``, ``lost`` and ``unfinished`` have no end; of what never promised heartbeats nobody knows which it is."""

OPEN: Final = frozenset({"running", "lost", "unfinished"})
"""Of something without an end."""

MISSED: Final = 3
"""Intervals between heartbeats without any sign of life, after which a run is lost."""

PIPELINE: Final = spans.PIPELINE
COMPONENT: Final = spans.COMPONENT
READ: Final = spans.READ
WRITE: Final = spans.WRITE
CHECK: Final = spans.CHECK
HEARTBEAT: Final = spans.HEARTBEAT

_MUST_HAVE: Final = {
    PIPELINE: (names.ML_PIPELINE_NAME,),
    COMPONENT: (names.ML_COMPONENT_NAME,),
    READ: (names.ML_ARTIFACT_ID, names.ML_ARTIFACT_NAME),
    WRITE: (names.ML_ARTIFACT_ID, names.ML_ARTIFACT_NAME),
    CHECK: (names.ML_CHECK_NAME,),
    HEARTBEAT: (names.ML_RUN_HEARTBEAT_INTERVAL,),
}


def kind_of(span: SpanRecord) -> str:
    """First word of a span's name when it is one of the kinds that make a run; empty for all other spans.

    Others may call a span "read file" too, so an attribute of ours has to be there. A call into a library, ``fit
    LogisticRegression``, is a component.
    """
    word = span.name.partition(" ")[0]
    if word == span.attributes.get(names.ML_OPERATION_NAME) and names.ML_COMPONENT_NAME in span.attributes:
        return COMPONENT
    return word if any(name in span.attributes for name in _MUST_HAVE.get(word, ())) else ""


@dataclass(slots=True)
class Signs:
    """Signs of life: when the last one was, and how often they were promised.

    Attributes:
        last_ns: Nanoseconds since 1970 of the last record; 0 before the first.
        interval_s: Seconds between heartbeats, the longest that was said; 0 while none are promised.
    """

    last_ns: int = 0
    interval_s: float = 0.0

    def see(self, record: SpanRecord | EventRecord) -> None:
        """Take ``record`` for a sign of life."""
        self.last_ns = max(self.last_ns, record.time_ns if isinstance(record, EventRecord) else record.end_ns)
        if isinstance(record, EventRecord) and record.name in (events.ML_RUN_STARTED, events.ML_RUN_HEARTBEAT):
            promised = record.attributes.get(names.ML_RUN_HEARTBEAT_INTERVAL)
            if isinstance(promised, int | float) and 0 < promised < 1e9:
                self.interval_s = max(self.interval_s, promised)

    def join(self, other: "Signs") -> None:
        """Take over what ``other`` has seen."""
        self.last_ns = max(self.last_ns, other.last_ns)
        self.interval_s = max(self.interval_s, other.interval_s)

    def status(self, now_ns: int) -> RunStatus:
        """What something without an end is: it lives, it is lost, or nobody can say."""
        if not self.interval_s:
            return "unfinished"
        return "lost" if now_ns - self.last_ns > MISSED * self.interval_s * 1e9 else "running"


@dataclass(frozen=True, slots=True)
class Interval:
    """A pipeline, as far as the status of its run depends on it.

    Attributes:
        end_ns: None when only its start is known.
    """

    trace_id: str
    span_id: str
    start_ns: int
    end_ns: int | None = None
    is_error: bool = False


def run_status(
    pipelines: Collection[Interval], signs: Signs, now_ns: int, *, has_id: bool, has_failed_steps: bool
) -> RunStatus:
    """How a run stands.

    Only outermost pipelines count, those that lie within no other of their trace: an error that the outer one
    survived is not the run's.

    Args:
        pipelines: All that are known; one whose start and end were recorded may be there twice.
        signs: Its signs of life, which decide where a pipeline has no end.
        now_ns: Nanoseconds since 1970.
        has_id: Whether the records carry a run id, so that there must be a pipeline.
        has_failed_steps: Whether any component failed; decides when there is no pipeline at all.

    """
    ended = {(one.trace_id, one.span_id) for one in pipelines if one.end_ns is not None}
    if not ended and not has_id:
        return "error" if has_failed_steps else "ok"
    furthest: dict[str, int] = {}
    is_unfinished = not ended
    for one in sorted(pipelines, key=lambda one: (one.start_ns, -(one.end_ns or one.start_ns))):
        covered_until = furthest.get(one.trace_id, -1)
        if one.end_ns is None:
            is_unfinished |= one.start_ns > covered_until and (one.trace_id, one.span_id) not in ended
        elif one.end_ns > covered_until:
            furthest[one.trace_id] = one.end_ns
            if one.is_error:
                return "error"
    return signs.status(now_ns) if is_unfinished else "ok"
