"""Everything that was recorded of a run, as notes below the nodes of its tree."""

from collections.abc import Iterable, Mapping

from mlotel.semconv import attributes as names
from mlotel.semconv import events
from mlotel.terminal import wording
from mlotel.terminal.nodes import Artifact, CheckResult, Key, Node, Run
from mlotel.terminal.origins import Origin, Writer, origins
from mlotel.terminal.render import Notes
from mlotel.terminal.style import Line, Style
from mlotel.types import EventRecord

__all__ = ["details"]


def details(run: Run, known: Mapping[Key, Writer]) -> Notes:
    """Notes on the nodes of ``run``: artifacts and who made them, checks, attributes, events, and the resource.

    Args:
        run: The run that will be shown.
        known: Who is at the other end of the links of its artifacts.
    """
    by_span: dict[Key, list[EventRecord]] = {}
    for event in run.events:
        before = by_span.setdefault((event.trace_id, event.span_id), [])
        if before and before[-1].name == event.name == events.ML_RUN_HEARTBEAT:
            before.pop()  # a run of a day has a thousand of them, and the last one says it all
        before.append(event)
    tops = {id(node) for node in run.roots}

    def notes(node: Node, style: Style) -> list[Line]:
        lines: list[Line] = []
        if id(node) in tops:
            lines += [_pair("run id", run.id, style), _pair("trace id", node.trace_id, style)]
            lines += [_pair(f"resource {key}", value, style) for key, value in sorted(node.resource.items())]
        for word, artifacts in (("read", node.inputs), ("write", node.outputs)):
            for artifact in artifacts:
                lines += _artifact(word, artifact, origins(artifact, known), run, style)
        lines += [_check(check, style) for check in node.checks]
        lines += [_pair(key, value, style) for key, value in sorted(node.attributes.items()) if not _is_shown(key)]
        for event in by_span.get((node.trace_id, node.span_id), ()):
            lines += _event(event, style)
        return lines

    return notes


_SHOWN = frozenset(
    {names.ML_RUN_ID, names.ML_PIPELINE_NAME, names.ML_COMPONENT_NAME, names.ML_COMPONENT_STALENESS, names.ERROR_TYPE}
    | {names.ML_COMPONENT_INPUT_IDS, names.ML_COMPONENT_OUTPUT_IDS, names.ML_RUN_STATUS}
)


def _is_shown(key: str) -> bool:
    """Whether the tree says it already, on the same node or at the top."""
    return key in _SHOWN or key.startswith(f"{names.ML_REMOVAL_ROWS_TEMPLATE}.")


def _pair(key: str, value: object, style: Style) -> Line:
    return [(f"{style.clean(key)} = ", "dim"), (_value(value, style), "")]


def _value(value: object, style: Style) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item, style) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return style.clean(value)


def _artifact(word: str, artifact: Artifact, made_by: Iterable[Origin], run: Run, style: Style) -> list[Line]:
    counts = []
    if artifact.rows is not None:
        counts.append(wording.count(artifact.rows, "row"))
    if artifact.columns is not None:
        counts.append(wording.count(artifact.columns, "column"))
    said = [part for part in (artifact.type, f" {style.glyphs.times} ".join(counts)) if part]
    if artifact.size is not None:
        said.append(wording.size(artifact.size))
    if artifact.role == "mutated":
        said.append("changed in place")
    if artifact.id:
        said.append(artifact.id)
    if uri := artifact.span.attributes.get(names.ML_ARTIFACT_URI):
        said.append(str(uri))
    lines: list[Line] = [[(f"{word} {style.clean(artifact.name)}: ", "dim"), (style.clean(", ".join(said)), "")]]
    for origin in made_by:
        lines.append([("  made by ", "dim"), (style.clean(_origin(origin, run)), "")])
    if doubt := artifact.span.attributes.get(names.ML_ARTIFACT_CLAIM_DOUBT):
        lines.append([(f"  {style.glyphs.warn} not believed, {style.clean(str(doubt))}", "warn")])
    return lines


def _origin(origin: Origin, run: Run) -> str:
    where = "this run" if origin.run_id == run.id else f"run {wording.short_id(origin.run_id)}" if origin.run_id else ""
    who = origin.component or (f"span {origin.span_id}" if origin.span_id else "")
    if not where and origin.trace_id:
        where = f"trace {origin.trace_id}"
    evidence = f" (evidence: {origin.evidence})" if origin.evidence else ""
    return f"{who} in {where}{evidence}" if where else f"{who}{evidence}"


def _check(check: CheckResult, style: Style) -> Line:
    prefix = f"{names.ML_CHECK_VALUE_TEMPLATE}."
    values = [
        f"{key.removeprefix(prefix)} = {_value(value, style)}"
        for key, value in check.span.attributes.items()
        if key.startswith(prefix)
    ]
    said = style.clean(f"{check.status}: {check.message}" if check.message else check.status)
    stage = f"{check.stage} " if check.stage else ""
    return [
        (f"check {style.clean(stage + check.name)}: ", "dim"),
        (said, "warn" if check.status == "failed" else ""),
        (f"   {style.clean(', '.join(values))}" if values else "", "dim"),
    ]


def _event(event: EventRecord, style: Style) -> list[Line]:
    said = event.attributes.get(names.EXCEPTION_STACKTRACE) or event.body
    first, *more = str(said).rstrip().split("\n")
    return [
        [(f"event {style.clean(event.name)}: ", "dim"), (style.clean(first), "")],
        *([("  ", "dim"), (style.clean(line), "dim")] for line in more),
    ]
