"""``ml.drift.detected`` and ``ml.drift.cleared``: what a check has found, told to people.

A log record belongs to one span and has no links. So a check that has something to tell opens a short span ``drift``,
which is linked to the span that wrote the reference, in the run that trained the model, and the events belong to it.
"""

import datetime
import re
from collections.abc import Callable, Sequence

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, TraceFlags

from mlotel import _clock, _current, _providers, _settings, artifacts, logs
from mlotel.drift import Reference, Report
from mlotel.drift.report import FeatureReport
from mlotel.semconv import attributes as names
from mlotel.semconv import events, spans
from mlotel.tracing import lineage
from mlotel.tracing.attributes import text
from mlotel.types import AttributeValue

__all__ = ["tell"]

SCOPE = "mlotel.monitor"

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")


def tell(
    report: Report,
    reference: Reference,
    model: dict[str, str],
    statistics: Sequence[str],
    began: Callable[[str, int], int | None],
) -> None:
    """Emit the events of a check, if there is something to tell.

    Args:
        report: Of the check.
        reference: Of the detector.
        model: Attributes that say which model this is.
        statistics: Names of the scores to tell.
        began: Wall-clock time, in nanoseconds, since which rows of a feature came that were decided on so many checks
            ago; None where it is not known.
    """
    risen = [report[name] for name in report.risen]
    cleared = [report[name] for name in report.cleared]
    if not risen and not cleared:
        return
    about: dict[str, AttributeValue] = {**model, names.ML_DRIFT_LEVEL: max(found.level for found in [*risen, *cleared])}
    parent = _parent()
    run_id = _current.run_id(parent)
    if run_id is not None:
        about[names.ML_RUN_ID] = run_id
    span = _providers.tracer(SCOPE).start_span(
        f"{spans.DRIFT} {model[names.ML_MODEL_NAME]}",
        context=parent,
        attributes=about,
        links=_links(reference),
        start_time=_clock.wall_ns(),
    )
    here = trace.set_span_in_context(span, parent)
    for found in risen:
        attributes = _attributes(found, model, statistics)
        began_ns = None if found.onset is None else began(found.name, found.onset)
        if began_ns is not None:
            attributes[names.ML_DRIFT_ONSET_TIME] = _utc(began_ns)
        logs.emit(events.ML_DRIFT_DETECTED, _detected(found, model), attributes, here, severity="warning")
    for found in cleared:
        body = f"{text(found.name)} of {model[names.ML_MODEL_NAME]} looks like the reference again"
        logs.emit(events.ML_DRIFT_CLEARED, body, _attributes(found, model, statistics), here)
    span.end(end_time=_clock.wall_ns())


def _detected(found: FeatureReport, model: dict[str, str]) -> str:
    words = f"{text(found.name)} of {model[names.ML_MODEL_NAME]} has changed: level {found.level}"
    if found.onset is not None:
        words += f", since {found.onset} check{'s' if found.onset > 1 else ''}"
    if _settings.current.capture_values and found.change:
        words += f", {text(found.change)}"
    return words


def _attributes(found: FeatureReport, model: dict[str, str], statistics: Sequence[str]) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        **model,
        names.ML_FEATURE_NAME: text(found.name),
        names.ML_DRIFT_EVIDENCE: found.evidence,
        names.ML_DRIFT_LEVEL: found.level,
        names.ML_DRIFT_DETECTABLE: found.detectable,
        names.ML_DATA_ROW_COUNT: found.scored_rows or found.rows,
    }
    if found.onset is not None:
        attributes[names.ML_DRIFT_ONSET_CHECKS] = found.onset
    if _settings.current.capture_values and found.change:
        attributes[names.ML_DRIFT_CHANGE] = text(found.change)
    for name in statistics:
        for template, value in (
            (names.ML_DRIFT_SCORE_TEMPLATE, found.score(name)),
            (names.ML_DRIFT_NOISE_TEMPLATE, found.noise(name)),
        ):
            if value is not None:
                attributes[f"{template}.{name}"] = value
    return attributes


def _parent() -> Context:
    """What the check belongs to: the span around it, or nothing."""
    here = context.get_current()
    is_inside = trace.get_current_span(here).get_span_context().is_valid and not _current.is_suppressed(here)
    return here if is_inside else Context()


def _links(reference: Reference) -> list[Link]:
    trace_id, span_id = reference.trace_id or "", reference.span_id or ""
    if not _TRACE_ID.fullmatch(trace_id) or not _SPAN_ID.fullmatch(span_id):
        return []
    artifact_id = artifacts.identify(reference).id
    known = lineage.memory.find(artifact_id)
    is_own = known is not None and known.span_id == span_id
    to = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=not is_own, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return [
        Link(
            to,
            {
                names.ML_LINK_TYPE: "consumed",
                names.ML_ARTIFACT_ID: artifact_id,
                names.ML_LINK_EVIDENCE: "process" if is_own else "embedded",
            },
        )
    ]


def _utc(time_ns: int) -> str:
    return datetime.datetime.fromtimestamp(time_ns // 10**9, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
