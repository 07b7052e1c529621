"""A run as it is shown: pipelines and components in a tree, with what they read, wrote, removed and checked."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mlotel.terminal.facts import RunStatus
from mlotel.types import EventRecord, SpanRecord

__all__ = ["Artifact", "CheckResult", "Group", "Key", "Node", "Run", "folded", "walk"]

FOLD_ABOVE = 5
"""So many components of one name under one parent are shown one by one; more become one line."""

Key: TypeAlias = tuple[str, str]
"""Trace id and span id."""


@dataclass(slots=True)
class Artifact:
    """One artifact, as a component read or wrote it. Counts are None where unknown."""

    span: SpanRecord
    name: str
    id: str
    type: str
    role: str
    rows: int | None
    columns: int | None
    size: int | None


@dataclass(slots=True)
class CheckResult:
    """What a check found."""

    span: SpanRecord
    name: str
    status: str
    message: str
    stage: str


@dataclass(slots=True)
class Node:
    """One execution of a pipeline or component.

    Attributes:
        span: Its span; None for what has not ended, of which a start or heartbeats are known.
        start_ns: Nanoseconds since 1970; where only heartbeats are known, the time since which it was heard of.
        end_ns: The same; of what is known so far when there is no span.
        status: ``error`` when an exception left it; ``running``, ``lost`` or ``unfinished`` when there is no end.
        removed: Rows taken out, by reason.
        stale: Why its inputs are out of date.
        attributes: Of the span, or of the record of the start, or of the last heartbeat.
        last_seen_ns: Where there is no end: nanoseconds since 1970 of the last sign of life.
    """

    kind: Literal["pipeline", "component"]
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    span: SpanRecord | None
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    status: RunStatus = "ok"
    error_type: str = ""
    message: str = ""
    inputs: list[Artifact] = field(default_factory=list)
    outputs: list[Artifact] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    children: "list[Node]" = field(default_factory=list)
    last_seen_ns: int = 0

    @property
    def failed_checks(self) -> list[CheckResult]:
        """Checks that failed."""
        return [check for check in self.checks if check.status == "failed"]

    @property
    def duration_ns(self) -> int:
        """How long it took, or has taken so far."""
        return max(0, self.end_ns - self.start_ns)


@dataclass(slots=True)
class Group:
    """Components of one name under one parent, too many to list."""

    name: str
    nodes: list[Node]


@dataclass(slots=True)
class Run:
    """Everything that carries one run id, in however many processes and traces.

    Attributes:
        id: The run id; the trace id for components that ran outside any pipeline.
        name: Of its first pipeline, or of its first component when there is none.
        roots: Outermost pipelines and components, in the order they started.
        events: ``ml.*`` events, by time.
        resource: Of the process that began.
        last_seen_ns: Nanoseconds since 1970 of its last sign of life.
    """

    id: str
    name: str
    status: RunStatus
    start_ns: int
    end_ns: int
    roots: list[Node]
    trace_ids: list[str]
    events: list[EventRecord]
    resource: Mapping[str, Any]
    last_seen_ns: int = 0

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end that is known."""
        return max(0, self.end_ns - self.start_ns)


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """``nodes`` and all below them, parents first. However deep: no recursion."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def folded(children: list[Node]) -> list[Node | Group]:
    """``children`` with the components of one name made one group where they are many."""
    by_name: dict[str, list[Node]] = defaultdict(list)
    for child in children:
        by_name[child.name].append(child)
    result: list[Node | Group] = []
    for child in children:
        nodes = by_name[child.name]
        if len(nodes) <= FOLD_ABOVE:
            result.append(child)
        elif nodes[0] is child:
            result.append(Group(child.name, nodes))
    return result
