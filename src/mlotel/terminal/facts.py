"""What records say about runs: which kind of span one is, and how a run stands."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mlotel.semconv import attributes as names
from mlotel.semconv import spans
from mlotel.types import SpanRecord

__all__ = ["CHECK", "COMPONENT", "PIPELINE", "READ", "WRITE", "Interval", "RunStatus", "kind_of", "run_status"]

RunStatus: TypeAlias = Literal["ok", "error", "unfinished"]

PIPELINE: Final = spans.PIPELINE
COMPONENT: Final = spans.COMPONENT
READ: Final = spans.READ
WRITE: Final = spans.WRITE
CHECK: Final = spans.CHECK

_MUST_HAVE: Final = {
    PIPELINE: (names.ML_PIPELINE_NAME,),
    COMPONENT: (names.ML_COMPONENT_NAME,),
    READ: (names.ML_ARTIFACT_ID, names.ML_ARTIFACT_NAME),
    WRITE: (names.ML_ARTIFACT_ID, names.ML_ARTIFACT_NAME),
    CHECK: (names.ML_CHECK_NAME,),
}


def kind_of(span: SpanRecord) -> str:
    """First word of a span's name when it is one of the kinds that make a run; empty for all other spans.

    Others may call a span "read file" too, so an attribute of ours has to be there.
    """
    word = span.name.partition(" ")[0]
    return word if any(name in span.attributes for name in _MUST_HAVE.get(word, ())) else ""


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


def run_status(pipelines: Collection[Interval], *, has_id: bool, has_failed_steps: bool) -> RunStatus:
    """How a run stands.

    Only outermost pipelines count, those that lie within no other of their trace: an error that the outer one
    survived is not the run's.

    Args:
        pipelines: All that are known; one whose start and end were recorded may be there twice.
        has_id: Whether the records carry a run id, so that there must be a pipeline.
        has_failed_steps: Whether any component failed; decides when there is no pipeline at all.

    Returns:
        ``unfinished`` when a pipeline has no end: it is still running, or was killed.
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
    return "unfinished" if is_unfinished else "ok"
