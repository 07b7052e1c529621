"""One line a run: what a list of runs needs, gathered record by record without keeping the records."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlotel.semconv import attributes as names
from mlotel.semconv import events
from mlotel.terminal import facts
from mlotel.types import EventRecord, SpanRecord

__all__ = ["Summaries", "Summary"]

_MAX_NAMES = 100  # artifact names remembered a run; a list of runs shows a few


@dataclass(slots=True)
class Summary:
    """What is known of a run.

    Attributes:
        id: The run id; the trace id for components that ran outside any pipeline.
        trace_ids: Traces that hold a part of it.
        start_ns: Nanoseconds since 1970 of the first record that is known.
        steps: Components that ended.
        failed_steps: Those among them that an exception left.
        failed_checks: Checks that failed.
        now_ns: When it was looked at: a run without an end is lost when it has been silent for long.
    """

    id: str
    has_id: bool
    trace_ids: set[str] = field(default_factory=set)
    start_ns: int = 2**63 - 1
    end_ns: int = 0
    steps: int = 0
    failed_steps: int = 0
    failed_checks: int = 0
    now_ns: int = field(default_factory=time.time_ns)
    _signs: facts.Signs = field(default_factory=facts.Signs)
    _pipelines: list[facts.Interval] = field(default_factory=list)
    _name: tuple[bool, int, str] = (True, 2**63 - 1, "")
    _written: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Of its first pipeline; of its first component when there is none."""
        return self._name[2]

    @property
    def status(self) -> facts.RunStatus:
        """How it stands."""
        return facts.run_status(
            self._pipelines, self._signs, self.now_ns, has_id=self.has_id, has_failed_steps=self.failed_steps > 0
        )

    @property
    def last_seen_ns(self) -> int:
        """Nanoseconds since 1970 of its last sign of life."""
        return self._signs.last_ns

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end that is known."""
        return max(0, self.end_ns - self.start_ns)

    @property
    def outputs(self) -> list[str]:
        """Names of what it wrote and did not read again, models first, then the latest."""
        final = [name for name in self._written if name not in self._read] or list(self._written)
        final.reverse()
        return sorted(final, key=lambda name: self._written[name] != "model")

    def add(self, record: SpanRecord | EventRecord, kind: str) -> None:
        """Count ``record``, a span of kind ``kind``, the record of a start or a heartbeat."""
        self.trace_ids.add(record.trace_id)
        self._signs.see(record)
        values = record.attributes
        if isinstance(record, EventRecord):
            self._extend(record.time_ns, record.time_ns)
            if record.name == events.ML_RUN_HEARTBEAT:
                self._offer_name(True, record.time_ns, values.get(names.ML_PIPELINE_NAME))
                return
            self._pipelines.append(facts.Interval(record.trace_id, record.span_id, record.time_ns))
            self._offer_name(True, record.time_ns, values.get(names.ML_PIPELINE_NAME))
            return
        self._extend(record.start_ns, record.end_ns)
        is_error = record.status == "error" or names.ERROR_TYPE in values or values.get(names.ML_RUN_STATUS) == "error"
        if kind == facts.PIPELINE:
            self._pipelines.append(
                facts.Interval(record.trace_id, record.span_id, record.start_ns, record.end_ns, is_error)
            )
            self._offer_name(True, record.start_ns, values.get(names.ML_PIPELINE_NAME))
        elif kind == facts.COMPONENT:
            self.steps += 1
            self.failed_steps += is_error
            self._offer_name(False, record.start_ns, values.get(names.ML_COMPONENT_NAME))
        elif kind == facts.HEARTBEAT:
            self._offer_name(True, record.start_ns, values.get(names.ML_PIPELINE_NAME))
        elif kind == facts.CHECK:
            self.failed_checks += values.get(names.ML_CHECK_STATUS) == "failed"
        else:
            self._remember(kind, values.get(names.ML_ARTIFACT_NAME), values.get(names.ML_ARTIFACT_TYPE))

    def join(self, other: "Summary") -> None:
        """Take over what ``other``, a part of the same run, has counted."""
        self.trace_ids |= other.trace_ids
        self._signs.join(other._signs)
        self._extend(other.start_ns, other.end_ns)
        self.steps += other.steps
        self.failed_steps += other.failed_steps
        self.failed_checks += other.failed_checks
        self._pipelines += other._pipelines
        self._name = min(self._name, other._name)
        self._written.update(other._written)
        self._read |= other._read

    def _extend(self, start_ns: int, end_ns: int) -> None:
        self.start_ns = min(self.start_ns, start_ns)
        self.end_ns = max(self.end_ns, end_ns)

    def _offer_name(self, is_pipeline: bool, start_ns: int, name: object) -> None:
        if isinstance(name, str) and name:
            self._name = min(self._name, (not is_pipeline, start_ns, name))

    def _remember(self, kind: str, name: object, type_: object) -> None:
        if not isinstance(name, str):
            return
        if kind == facts.READ:
            if len(self._read) < _MAX_NAMES:
                self._read.add(name)
        elif name in self._written or len(self._written) < _MAX_NAMES:
            self._written[name] = str(type_)


class Summaries:
    """Summaries of all runs that the records added so far tell of.

    Args:
        now_ns: Nanoseconds since 1970 at which they are looked at; the present by default.
    """

    def __init__(self, now_ns: int | None = None) -> None:
        self._now_ns = time.time_ns() if now_ns is None else now_ns
        self._by_id: dict[str, Summary] = {}
        self._by_trace: dict[str, Summary] = {}  # spans without a run id, until the run of their trace is known
        self._run_of_trace: dict[str, str] = {}

    def add(self, records: Iterable[SpanRecord | EventRecord]) -> None:
        """Count ``records``; those that belong to no run are passed over."""
        for record in records:
            if isinstance(record, SpanRecord):
                kind = facts.kind_of(record)
                if not kind:
                    continue
            elif record.name in (events.ML_RUN_STARTED, events.ML_RUN_HEARTBEAT):
                kind = ""
            else:
                continue
            run_id = record.attributes.get(names.ML_RUN_ID)
            if isinstance(run_id, str) and run_id:
                self._run_of_trace.setdefault(record.trace_id, run_id)
                summary = self._by_id.get(run_id)
                if summary is None:
                    summary = self._by_id[run_id] = Summary(run_id, has_id=True, now_ns=self._now_ns)
            else:
                summary = self._by_trace.get(record.trace_id)
                if summary is None:
                    summary = self._by_trace[record.trace_id] = Summary(
                        record.trace_id, has_id=False, now_ns=self._now_ns
                    )
            summary.add(record, kind)

    def newest_first(self) -> list[Summary]:
        """The runs known so far."""
        for trace_id in [trace_id for trace_id in self._by_trace if trace_id in self._run_of_trace]:
            self._by_id[self._run_of_trace[trace_id]].join(self._by_trace.pop(trace_id))
        alone = [summary for summary in self._by_trace.values() if summary.steps]
        return sorted([*self._by_id.values(), *alone], key=lambda run: (run.start_ns, run.id), reverse=True)
