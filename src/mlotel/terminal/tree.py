"""From records to runs: spans and events in any order in, trees of pipelines and components out."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlotel.semconv import attributes as names
from mlotel.semconv import events
from mlotel.terminal import facts
from mlotel.terminal.nodes import Artifact, CheckResult, Key, Node, Run
from mlotel.types import EventRecord, SpanRecord

__all__ = ["build_runs"]

_UNKNOWN: Final = "unknown"  # no span has this id: the record of a start does not say what it started under


def build_runs(records: Iterable[SpanRecord | EventRecord], *, now_ns: int | None = None) -> list[Run]:
    """The runs that ``records`` tell of, in the order they started.

    Spans may come in any order, twice, without their parents, or with parents that form a circle: each component
    hangs below the nearest pipeline or component above it that is known, else below the pipeline of its trace that
    ran at the time, else at the top. Of what has not ended there is what its start and its heartbeats say.

    Args:
        records: Spans and events.
        now_ns: Nanoseconds since 1970, by which a run without an end lives or is lost; the present by default.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    spans: dict[Key, SpanRecord] = {}
    happened: list[EventRecord] = []
    for record in records:
        if isinstance(record, SpanRecord):
            spans.setdefault((record.trace_id, record.span_id), record)
        else:
            happened.append(record)
    happened.sort(key=lambda event: event.time_ns)
    run_ids = _RunIds(spans, happened)

    by_run: dict[str, list[SpanRecord]] = defaultdict(list)
    for key, span in spans.items():
        if facts.kind_of(span) and (run_id := run_ids.of_span(key)):
            by_run[run_id].append(span)
    events_by_run: dict[str, list[EventRecord]] = defaultdict(list)
    for event in happened:
        if run_id := run_ids.of_event(event):
            events_by_run[run_id].append(event)
            if event.name in (events.ML_RUN_STARTED, events.ML_RUN_HEARTBEAT):
                by_run.setdefault(run_id, [])
    runs = [_build(run_id, members, events_by_run[run_id], spans, now_ns) for run_id, members in by_run.items()]
    return sorted((run for run in runs if run is not None), key=lambda run: run.start_ns)


def _run_id(attributes: Mapping[str, Any]) -> str | None:
    value = attributes.get(names.ML_RUN_ID)
    return value if isinstance(value, str) and value else None


class _RunIds:
    """Which run a span belongs to: what it says, else what the spans above it say, else the only run of its trace."""

    def __init__(self, spans: dict[Key, SpanRecord], happened: list[EventRecord]) -> None:
        self._spans = spans
        self._known: dict[Key, str | None] = {}
        self._by_trace: dict[str, str] = {}
        self._has_components: set[str] = set()
        for event in happened:
            if event.trace_id and (own := _run_id(event.attributes)):
                self._by_trace.setdefault(event.trace_id, own)
                self._known[event.trace_id, event.span_id] = own
        for span in sorted(spans.values(), key=lambda span: span.start_ns):
            if own := _run_id(span.attributes):
                self._by_trace.setdefault(span.trace_id, own)
                self._known[span.trace_id, span.span_id] = own
            elif facts.kind_of(span) == facts.COMPONENT:
                self._has_components.add(span.trace_id)

    def of_span(self, key: Key) -> str | None:
        return self._inherited(key) or self._of_trace(key[0])

    def of_event(self, event: EventRecord) -> str | None:
        if own := _run_id(event.attributes):
            return own
        return self.of_span((event.trace_id, event.span_id)) if event.trace_id else None

    def _of_trace(self, trace_id: str) -> str | None:
        # Components outside any pipeline have no run id; their trace is as good a name for what ran together.
        return self._by_trace.get(trace_id) or (trace_id if trace_id in self._has_components else None)

    def _inherited(self, key: Key) -> str | None:
        path = []
        while key not in self._known and (span := self._spans.get(key)) is not None and span.parent_id:
            self._known[key] = None  # a circle ends here
            path.append(key)
            key = (span.trace_id, span.parent_id)
        found = self._known.get(key)
        for step in path:
            self._known[step] = found
        return found


def _build(
    run_id: str,
    members: list[SpanRecord],
    happened: list[EventRecord],
    spans: dict[Key, SpanRecord],
    now_ns: int,
) -> Run | None:
    members.sort(key=lambda span: (span.start_ns, -span.end_ns))
    signs = _Signs([*members, *happened])
    beats = [span for span in members if facts.kind_of(span) == facts.HEARTBEAT]
    members = [span for span in members if facts.kind_of(span) != facts.HEARTBEAT]
    nodes: dict[Key, Node] = {}
    for span in members:
        if (kind := facts.kind_of(span)) in (facts.PIPELINE, facts.COMPONENT):
            nodes[span.trace_id, span.span_id] = _node(kind, span)
    for event in happened:
        key = (event.trace_id, event.span_id)
        if event.name == events.ML_RUN_STARTED and key not in spans:
            nodes[key] = _unfinished(event, key, event.time_ns, signs, now_ns)
    over = _ended_traces(nodes)
    for key, beat in _beating(beats, happened, spans).items():
        if key not in nodes and key[0] not in over:
            nodes[key] = _unfinished(*beat, signs, now_ns)
    if not nodes:
        return None

    parents = _Parents(nodes, spans)
    for span in members:
        if (kind := facts.kind_of(span)) not in (facts.PIPELINE, facts.COMPONENT):
            holder = parents.above(span)
            if holder is not None:
                _attach(kind, span, holder)
    ordered = sorted(nodes.values(), key=lambda node: (node.start_ns, -node.end_ns))
    above = {id(node): parents.above(node) for node in ordered}
    _break_circles(ordered, above)
    roots: list[Node] = []
    for node in ordered:
        parent = above[id(node)]
        (roots if parent is None else parent.children).append(node)
    return _run(run_id, ordered, roots, happened, signs.all, now_ns)


class _Signs:
    """Signs of life of a run, and of each process in each of its traces."""

    def __init__(self, found: Iterable[SpanRecord | EventRecord]) -> None:
        self.all = facts.Signs()
        self._by_writer: dict[tuple[str, object], facts.Signs] = defaultdict(facts.Signs)
        for record in found:
            self.all.see(record)
            self._by_writer[self._writer(record)].see(record)

    def of(self, record: SpanRecord | EventRecord) -> facts.Signs:
        """Those of the process that ``record`` comes from."""
        return self._by_writer[self._writer(record)]

    @staticmethod
    def _writer(record: SpanRecord | EventRecord) -> tuple[str, object]:
        return record.trace_id, str(record.resource.get(names.SERVICE_INSTANCE_ID))


def _ended_traces(nodes: Mapping[Key, Node]) -> set[str]:
    """Traces all of whose known pipelines have ended: what was heard of in them has, too."""
    pipelines = [node for node in nodes.values() if node.kind == facts.PIPELINE]
    return {node.trace_id for node in pipelines} - {node.trace_id for node in pipelines if node.span is None}


def _beating(
    beats: Iterable[SpanRecord], happened: Iterable[EventRecord], spans: Mapping[Key, SpanRecord]
) -> dict[Key, tuple[SpanRecord | EventRecord, Key, int]]:
    """Last heartbeat and first time of each pipeline and component that was heard of, and has not ended."""
    found: dict[Key, tuple[SpanRecord | EventRecord, Key, int]] = {}
    heard: list[tuple[int, Key, SpanRecord | EventRecord]] = [
        (span.start_ns, (span.trace_id, span.parent_id), span) for span in beats if span.parent_id
    ]
    heard += [
        (event.time_ns, (event.trace_id, event.span_id), event)
        for event in happened
        if event.name == events.ML_RUN_HEARTBEAT and event.span_id
    ]
    for start_ns, key, record in sorted(heard, key=lambda one: one[0]):
        if key not in spans:
            found[key] = (record, key, found[key][2] if key in found else start_ns)
    return found


def _run(
    run_id: str,
    ordered: list[Node],
    roots: list[Node],
    happened: list[EventRecord],
    signs: facts.Signs,
    now_ns: int,
) -> Run:
    status = facts.run_status(
        [
            facts.Interval(
                node.trace_id,
                node.span_id,
                node.start_ns,
                None if node.span is None else node.end_ns,
                node.status == "error",
            )
            for node in ordered
            if node.kind == facts.PIPELINE
        ],
        signs,
        now_ns,
        has_id=any(_run_id(node.attributes) for node in ordered),
        has_failed_steps=any(node.status == "error" for node in ordered),
    )
    first = next((node for node in roots if node.kind == facts.PIPELINE), roots[0])
    named = first.attributes.get(names.ML_PIPELINE_NAME)
    return Run(
        id=run_id,
        name=named if isinstance(named, str) and named else first.name,
        status=status,
        start_ns=min(node.start_ns for node in ordered),
        end_ns=max(node.end_ns for node in ordered),
        roots=roots,
        trace_ids=list(dict.fromkeys(node.trace_id for node in ordered)),
        events=happened,
        resource=first.resource,
        last_seen_ns=signs.last_ns,
    )


class _Parents:
    """Finds the pipeline or component that something hangs below."""

    def __init__(self, nodes: dict[Key, Node], spans: dict[Key, SpanRecord]) -> None:
        self._spans = spans
        self._nearest: dict[Key, Node | None] = dict(nodes)
        self._tops: dict[str, list[Node]] = defaultdict(list)
        for node in nodes.values():
            if node.kind == facts.PIPELINE and self._by_parent(node) is None:
                self._tops[node.trace_id].append(node)

    def above(self, item: SpanRecord | Node) -> Node | None:
        return self._by_parent(item) or self._by_time(item)

    def _by_parent(self, item: SpanRecord | Node) -> Node | None:
        if not item.parent_id:
            return None
        key = (item.trace_id, item.parent_id)
        path = []
        while key not in self._nearest and (span := self._spans.get(key)) is not None and span.parent_id:
            self._nearest[key] = None  # a circle ends here
            path.append(key)
            key = (span.trace_id, span.parent_id)
        found = self._nearest.get(key)
        for step in path:
            self._nearest[step] = found
        return None if found is item else found

    def _by_time(self, item: SpanRecord | Node) -> Node | None:
        """Shortest of the trace's outermost pipelines that ran when ``item`` started.

        The chain of parents breaks where a span in between was never recorded, or its process was killed first.
        """
        if not item.parent_id:
            return None  # it was started as the first of its trace
        best = None
        for top in self._tops[item.trace_id]:
            runs_then = top.start_ns <= item.start_ns and (top.span is None or item.start_ns <= top.end_ns)
            if top is item or not runs_then:
                continue
            if best is None or (top.span is not None, -top.duration_ns) > (best.span is not None, -best.duration_ns):
                best = top
        return best


def _break_circles(ordered: list[Node], above: dict[int, Node | None]) -> None:
    """Cut each circle of parents at one of its members, so that everything hangs below something."""
    safe: set[int] = set()
    for node in ordered:
        path: dict[int, Node] = {}
        step: Node | None = node
        while step is not None and id(step) not in safe and id(step) not in path:
            path[id(step)] = step
            step = above[id(step)]
        if step is not None and id(step) in path:
            above[id(step)] = None
        safe.update(path)


def _node(kind: str, span: SpanRecord) -> Node:
    is_pipeline = kind == facts.PIPELINE
    values = span.attributes
    error_type = values.get(names.ERROR_TYPE)
    is_error = span.status == "error" or error_type is not None or values.get(names.ML_RUN_STATUS) == "error"
    prefix = f"{names.ML_REMOVAL_ROWS_TEMPLATE}."
    stale = values.get(names.ML_COMPONENT_STALENESS, ())
    return Node(
        kind="pipeline" if is_pipeline else "component",
        name=_text(values.get(names.ML_PIPELINE_NAME)) if is_pipeline else _component(span),
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        span=span,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        attributes=values,
        resource=span.resource,
        status="error" if is_error else "ok",
        error_type=_text(error_type) if is_error else "",
        message=span.message if is_error else "",
        removed={
            key.removeprefix(prefix): rows
            for key, value in values.items()
            if key.startswith(prefix) and (rows := _number(value)) is not None
        },
        stale=[_text(reason) for reason in stale] if isinstance(stale, list | tuple) else [_text(stale)],
    )


def _component(span: SpanRecord) -> str:
    """Name of a component; of a call into a library, what was called and of what."""
    return (
        span.name if names.ML_OPERATION_NAME in span.attributes else _text(span.attributes.get(names.ML_COMPONENT_NAME))
    )


def _unfinished(record: SpanRecord | EventRecord, key: Key, start_ns: int, signs: _Signs, now_ns: int) -> Node:
    """A pipeline or component that has no end, from its start or its last heartbeat."""
    own, component = signs.of(record), record.attributes.get(names.ML_COMPONENT_NAME)
    last_ns = own.last_ns if component is None else _time_of(record)
    return Node(
        kind="pipeline" if component is None else "component",
        name=_text(record.attributes.get(names.ML_PIPELINE_NAME) if component is None else component),
        trace_id=key[0],
        span_id=key[1],
        parent_id=_UNKNOWN,
        span=None,
        start_ns=start_ns,
        end_ns=max(last_ns, start_ns),
        attributes=record.attributes,
        resource=record.resource,
        status=own.status(now_ns),
        last_seen_ns=last_ns,
    )


def _time_of(record: SpanRecord | EventRecord) -> int:
    return record.time_ns if isinstance(record, EventRecord) else record.end_ns


def _attach(kind: str, span: SpanRecord, holder: Node) -> None:
    values = span.attributes
    if kind == facts.CHECK:
        holder.checks.append(
            CheckResult(
                span=span,
                name=_text(values.get(names.ML_CHECK_NAME)),
                status=_text(values.get(names.ML_CHECK_STATUS)) or "unknown",
                message=_text(values.get(names.ML_CHECK_MESSAGE)),
                stage=_text(values.get(names.ML_CHECK_STAGE)),
            )
        )
        return
    artifact = Artifact(
        span=span,
        name=_text(values.get(names.ML_ARTIFACT_NAME)) or _text(values.get(names.ML_ARTIFACT_ID)),
        id=_text(values.get(names.ML_ARTIFACT_ID)),
        type=_text(values.get(names.ML_ARTIFACT_TYPE)),
        role=_text(values.get(names.ML_ARTIFACT_ROLE)) or ("input" if kind == facts.READ else "output"),
        rows=_number(values.get(names.ML_ARTIFACT_ROW_COUNT)),
        columns=_number(values.get(names.ML_ARTIFACT_COLUMN_COUNT)),
        size=_number(values.get(names.ML_ARTIFACT_SIZE)),
    )
    (holder.inputs if kind == facts.READ else holder.outputs).append(artifact)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(value: object) -> int | None:
    """``value`` as a count; None for anything that is none, also for NaN and what no 64-bit integer holds."""
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
    return int(value) if is_count else None  # type: ignore[call-overload]  # is_count says which types
