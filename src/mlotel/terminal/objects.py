"""Runs as plain objects, for ``--json``: the keys stay as they are from version to version."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from mlotel.semconv import attributes as names
from mlotel.terminal import facts
from mlotel.terminal.nodes import Artifact, CheckResult, Key, Node, Run
from mlotel.terminal.origins import Writer, origins
from mlotel.terminal.summary import Summary
from mlotel.types import EventRecord

__all__ = ["run_object", "summary_object"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def summary_object(run: Summary) -> dict[str, Any]:
    """One row of ``mlotel runs --json``.

    Returns:
        ``id``, ``pipeline``, ``status`` (``ok``, ``error``, ``running``, ``lost``, ``unfinished``), ``start`` and
        ``end`` (UTC, ISO 8601), ``last_seen`` (of a run without an end, else null), ``duration_s``, ``steps``,
        ``failed_steps``, ``failed_checks``, ``outputs`` (names), ``trace_ids``.
    """
    return {
        "id": run.id,
        "pipeline": run.name,
        "status": run.status,
        "start": moment(run.start_ns),
        "end": moment(run.end_ns),
        "last_seen": moment(run.last_seen_ns) if run.status in facts.OPEN else None,
        "duration_s": run.duration_ns / 1e9,
        "steps": run.steps,
        "failed_steps": run.failed_steps,
        "failed_checks": run.failed_checks,
        "outputs": run.outputs,
        "trace_ids": sorted(run.trace_ids),
    }


def run_object(run: Run, known: Mapping[Key, Writer]) -> dict[str, Any]:
    """What ``mlotel show --json`` prints.

    Args:
        run: The run.
        known: Who is at the other end of the links of its artifacts.

    Returns:
        ``id``, ``pipeline``, ``status``, ``start``, ``end``, ``last_seen``, ``duration_s``, ``trace_ids`` as in a row
        of runs;
        ``experiment`` (text or null), ``params``, ``tags``, ``resource`` (objects); ``nodes``: pipelines and
        components, parents first, each with ``kind``, ``name``, ``trace_id``, ``span_id``, ``parent`` (span id of the
        node above, or null), ``status``, ``start``, ``end`` (null where there is none; then ``last_seen`` says when
        it was heard of last), ``duration_s``, ``error`` (null, or ``type`` and ``message``), ``inputs`` and
        ``outputs`` (artifacts), ``removed`` (rows by reason), ``checks``, ``stale`` (reasons), ``attributes``;
        ``events``: each with ``name``, ``time``, ``trace_id``, ``span_id``, ``body``, ``attributes``.

        An artifact has ``name``, ``id``, ``type``, ``role``, ``uri``, ``rows``, ``columns``, ``size``,
        ``schema_hash``, ``scope``, ``content_id`` (null where unknown) and ``producers``, each with ``component``,
        ``run_id``, ``trace_id``, ``span_id``, ``link``, ``evidence``. A check has ``name``, ``stage``, ``status``,
        ``message``, ``values``.
    """
    first = run.roots[0]
    nodes: list[dict[str, Any]] = []
    waiting: list[tuple[Node, str | None]] = [(node, None) for node in reversed(run.roots)]
    while waiting:
        node, parent = waiting.pop()
        nodes.append(_node(node, parent, known))
        waiting.extend((child, node.span_id) for child in reversed(node.children))
    return {
        "id": run.id,
        "pipeline": run.name,
        "status": run.status,
        "start": moment(run.start_ns),
        "end": moment(run.end_ns),
        "last_seen": moment(run.last_seen_ns) if run.status in facts.OPEN else None,
        "duration_s": run.duration_ns / 1e9,
        "trace_ids": run.trace_ids,
        "experiment": plain(first.attributes.get(names.ML_EXPERIMENT_NAME)),
        "params": _under(names.ML_PARAM_TEMPLATE, first.attributes),
        "tags": _under(names.ML_TAG_TEMPLATE, first.attributes),
        "resource": plain(run.resource),
        "nodes": nodes,
        "events": [_event(event) for event in run.events],
    }


def _node(node: Node, parent: str | None, known: Mapping[Key, Writer]) -> dict[str, Any]:
    return {
        "kind": node.kind,
        "name": node.name,
        "trace_id": node.trace_id,
        "span_id": node.span_id,
        "parent": parent,
        "status": node.status,
        "start": moment(node.start_ns),
        "end": None if node.span is None else moment(node.end_ns),
        "last_seen": moment(node.last_seen_ns) if node.span is None else None,
        "duration_s": node.duration_ns / 1e9,
        "error": {"type": node.error_type, "message": node.message} if node.status == "error" else None,
        "inputs": [_artifact(artifact, known) for artifact in node.inputs],
        "outputs": [_artifact(artifact, known) for artifact in node.outputs],
        "removed": dict(node.removed),
        "checks": [_check(check) for check in node.checks],
        "stale": list(node.stale),
        "attributes": plain(node.attributes),
    }


def _artifact(artifact: Artifact, known: Mapping[Key, Writer]) -> dict[str, Any]:
    values = artifact.span.attributes
    return {
        "name": artifact.name,
        "id": artifact.id or None,
        "type": artifact.type or None,
        "role": artifact.role,
        "uri": plain(values.get(names.ML_ARTIFACT_URI)),
        "rows": artifact.rows,
        "columns": artifact.columns,
        "size": artifact.size,
        "schema_hash": plain(values.get(names.ML_ARTIFACT_SCHEMA_HASH)),
        "scope": plain(values.get(names.ML_ARTIFACT_DIGEST_SCOPE)),
        "content_id": plain(values.get(names.ML_ARTIFACT_CONTENT_ID)),
        "producers": [
            {
                "component": origin.component or None,
                "run_id": origin.run_id or None,
                "trace_id": origin.trace_id or None,
                "span_id": origin.span_id or None,
                "link": origin.link_type or None,
                "evidence": origin.evidence or None,
            }
            for origin in origins(artifact, known)
        ],
    }


def _check(check: CheckResult) -> dict[str, Any]:
    return {
        "name": check.name,
        "stage": check.stage or None,
        "status": check.status,
        "message": check.message,
        "values": _under(names.ML_CHECK_VALUE_TEMPLATE, check.span.attributes),
    }


def _event(event: EventRecord) -> dict[str, Any]:
    return {
        "name": event.name,
        "time": moment(event.time_ns),
        "trace_id": event.trace_id or None,
        "span_id": event.span_id or None,
        "body": event.body,
        "attributes": plain(event.attributes),
    }


def _under(template: str, values: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{template}."
    return {key.removeprefix(prefix): plain(value) for key, value in values.items() if key.startswith(prefix)}


def moment(time_ns: int) -> str:
    """Nanoseconds since 1970 as UTC, ISO 8601, cut to microseconds."""
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """``value`` with what JSON has no number for as text: ``NaN``, ``Infinity``."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value
