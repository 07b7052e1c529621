"""Where an artifact came from: the links of its read span, and who is at their other end."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlotel.semconv import attributes as names
from mlotel.terminal.nodes import Artifact, Key, Node, Run, walk
from mlotel.types import LinkRecord, SpanRecord

__all__ = ["Origin", "Writer", "missing_writers", "origins", "writer_of", "writers"]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who made an artifact; texts are empty when unknown."""

    component: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Origin:
    """One producer of an artifact; texts are empty when unknown.

    Attributes:
        link_type: ``consumed``, ``derived``, …
        evidence: What made mlotel draw the link: ``process``, ``embedded``, …
    """

    component: str
    run_id: str
    trace_id: str
    span_id: str
    link_type: str
    evidence: str


def origins(artifact: Artifact, known: Mapping[Key, Writer]) -> list[Origin]:
    """Producers of ``artifact``, one for each link of its span.

    Args:
        artifact: As a component read or wrote it.
        known: Who is at the other end of links.
    """
    component, _, run_id = _text(artifact.span.attributes.get(names.ML_ARTIFACT_PRODUCER)).rpartition("@")
    said = Writer(component, run_id)
    found = [_origin(link, known.get((link.trace_id, link.span_id), said)) for link in artifact.span.links]
    return found or ([Origin(component, run_id, "", "", "", "")] if component else [])


def _origin(link: LinkRecord, writer: Writer) -> Origin:
    return Origin(
        component=writer.component,
        run_id=writer.run_id,
        trace_id=link.trace_id,
        span_id=link.span_id,
        link_type=_text(link.attributes.get(names.ML_LINK_TYPE)),
        evidence=_text(link.attributes.get(names.ML_LINK_EVIDENCE)),
    )


def writers(run: Run) -> dict[Key, Writer]:
    """Who wrote, or read, which artifact in ``run``, by the span of it."""
    return {
        (artifact.span.trace_id, artifact.span.span_id): Writer(node.name, run.id) for node, artifact in _artifacts(run)
    }


def writer_of(span: SpanRecord) -> Writer:
    """Who recorded the artifact span ``span``, as far as it says."""
    return Writer(_text(span.attributes.get(names.ML_COMPONENT_NAME)), _text(span.attributes.get(names.ML_RUN_ID)))


def missing_writers(run: Run, known: Mapping[Key, Writer]) -> set[Key]:
    """Where links of artifacts in ``run`` lead, beyond ``known``."""
    ends = {(link.trace_id, link.span_id) for _, artifact in _artifacts(run) for link in artifact.span.links}
    return ends - known.keys()


def _artifacts(run: Run) -> list[tuple[Node, Artifact]]:
    return [(node, artifact) for node in walk(run.roots) for artifact in (*node.inputs, *node.outputs)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
