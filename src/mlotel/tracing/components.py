"""Components: one step of a pipeline, with the artifacts that it reads and writes."""

import contextlib
import threading
import weakref
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn, TypeVar, cast

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from mlotel import _current, _providers, _settings, artifacts, metrics
from mlotel._guard import guard
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv import spans
from mlotel.tracing import attributes, lineage, usage
from mlotel.tracing.arguments import refuse_unknown, require_choice, require_text, shown
from mlotel.tracing.artifacts import (
    TYPES,
    Recorded,
    Role,
    count_rows_of,
    default_name,
    identity_of,
    record,
    staleness,
)
from mlotel.tracing.capture import Captured
from mlotel.tracing.checks import BoundCheck, identifier, run_checks
from mlotel.tracing.code import name_of_frame
from mlotel.tracing.context import parent_context
from mlotel.tracing.declare import Declaration
from mlotel.tracing.held import Holder
from mlotel.tracing.runs import Run
from mlotel.tracing.scope import Records, Scope, span_name
from mlotel.types import AttributeValue, Identity

__all__ = ["Component", "Idle", "begun", "require_artifact"]

T = TypeVar("T")

# The duration leads from a metric to its span; one exemplar a component is enough, and each costs as much as a record.
_NO_EXEMPLAR = set_span_in_context(INVALID_SPAN, Context())

MAX_IDS = 100  # of input.ids and output.ids: for people; the spans carry them all
MAX_REASONS = 32  # each is an attribute of the span and a series of the metric

_counting = threading.Lock()


class Component:
    """A component while it runs; what ``with mlotel.component(…) as c`` gives.

    Its methods return what they are given and, used rightly, never raise, except for a check that was asked to.

    Attributes:
        name: Name of the component.
    """

    __slots__ = (
        "_checked", "_cpu_ns", "_cpu_since", "_declaration", "_held", "_ids", "_kept", "_known", "_labels", "_models",
        "_peak", "_place", "_records", "_removed", "_scope", "_stale", "_trace", "_watched", "name",
    )  # fmt: skip

    def __init__(self, name: str, declaration: Declaration) -> None:
        self.name = name
        self._declaration = declaration
        self._scope: Scope | None = None  # while it is open and recorded
        self._place: Scope | None = None  # while it is open and current for those who ask
        self._records: Records | None = None
        self._labels: dict[str, AttributeValue] = {}
        self._kept: dict[Role, dict[str, Any]] = {"input": {}, "output": {}}
        self._held: Holder | None = None
        self._ids: dict[Role, list[str]] = {"input": [], "output": []}
        self._models: dict[str, str] = {}  # ids of the last model written and read, by role
        self._known: dict[Role, list[str]] = {"input": [], "output": []}
        self._removed: dict[str, int] = {}
        self._stale: list[str] = []
        self._watched: list[tuple[weakref.ref[Any], Recorded]] = []
        self._checked: set[BoundCheck] = set()
        self._cpu_ns = 0
        self._cpu_since: int | None = None
        self._peak = 0
        self._trace: usage.AllocationTrace | None = None

    def __repr__(self) -> str:
        return f"<Component {self.name!r}>"

    # What users call

    def read(
        self,
        value: T,
        *,
        name: str | None = None,
        uri: str | None = None,
        type: str | None = None,
        made_by: str | None = None,
        **unknown: NoReturn,
    ) -> T:
        """Record ``value`` as an input, and return it.

        The content is hashed now, so call it before the value is changed. Checks in ``before=`` run as soon as what
        they ask for was read.

        Args:
            value: A table, array, model, file path or URI (a ``str`` is one of these), or any plain value.
            name: What people call it; by default the file's name, or the name of the value's type.
            uri: Where it came from, when that is not the value itself. Credentials and query are left out.
            type: ``dataset``, ``features``, ``model``, ``predictions``, ``labels``, ``reference``, ``checkpoint``,
                ``metrics``, ``file`` or ``other``; inferred by default.
            made_by: Who wrote it, when nothing else tells: the ``traceparent`` of that span.

        Raises:
            InvalidTypeError: If ``name``, ``uri`` or ``type`` is no string, or a keyword is unknown.
            InvalidArgumentError: If ``name`` is empty or ``type`` is none of the above.
            CheckFailed: If a check in ``before=`` fails and the component has ``on_failure="raise"``.

        Example:
            >>> import mlotel
            >>> with mlotel.component("clean") as c:
            ...     rows = c.read([1.0, 2.0, 400.0], name="raw")
        """
        refuse_unknown("read", unknown, ("name", "uri", "type", "made_by"))
        self._artifact("read", "input", value, name, uri, type, made_by)
        return value

    def write(
        self,
        value: T,
        *,
        name: str | None = None,
        uri: str | None = None,
        type: str | None = None,
        **unknown: NoReturn,
    ) -> T:
        """Record ``value`` as an output, and return it. Arguments and errors are those of ``read``.

        Give a path after the file was written: its content is hashed now.

        Example:
            >>> import mlotel
            >>> with mlotel.component("clean") as c:
            ...     kept = c.write([1.0, 2.0], name="clean")
        """
        refuse_unknown("write", unknown, ("name", "uri", "type"))
        self._artifact("write", "output", value, name, uri, type)
        return value

    def removed(self, rows: int, *, reason: str, **unknown: NoReturn) -> None:
        """Say that ``rows`` rows were taken out, and why. Calls with the same reason add up.

        Args:
            rows: How many; zero or more.
            reason: A short word that repeats from run to run: ``outlier``, ``missing``, ``duplicate``. It becomes a
                metric attribute, so it must not contain values of the data; beyond 32 reasons all are ``other``.

        Raises:
            InvalidTypeError: If ``rows`` is no integer, ``reason`` no string, or a keyword is unknown.
            InvalidArgumentError: If ``rows`` is negative or ``reason`` empty.

        Example:
            >>> import mlotel
            >>> with mlotel.component("clean") as c:
            ...     c.removed(312, reason="outlier")
        """
        refuse_unknown("removed", unknown, ("reason",))
        count = attributes.attribute(rows)
        if isinstance(count, bool) or not isinstance(count, int):
            raise InvalidTypeError(f"removed() got rows={shown(rows)}. Pass how many were removed, as an integer.")
        if count < 0:
            raise InvalidArgumentError(f"removed() got rows={count}. Pass zero or more: rows added are no removal.")
        self._count_removed(attributes.key(require_text("removed", "reason", reason)), count)

    def _count_removed(self, why: str, count: int) -> None:
        with _counting:  # threads may share a component
            if why not in self._removed and len(self._removed) >= MAX_REASONS:
                why = "other"
            self._removed[why] = self._removed.get(why, 0) + count
        scope = self._scope
        if scope is not None:
            with guard("count removed rows"):
                labels = {
                    names.ML_REMOVAL_REASON: why,
                    names.ML_COMPONENT_NAME: str(self._labels[names.ML_COMPONENT_NAME]),
                }
                metrics.add(specs.ML_DATA_ROWS_REMOVED, count, labels, scope.context)

    def param(self, **params: Any) -> None:
        """Record settings that this execution used, as ``ml.param.<key>``.

        Values may be anything; numbers, words and short lists are kept as they are, dicts are flattened one level,
        other things are described by their type. What looks like a secret (``password``, ``api_key``) is redacted.

        Example:
            >>> import mlotel
            >>> with mlotel.component("train") as c:
            ...     c.param(depth=6, loss="absolute_error")
        """
        scope = self._scope
        if scope is not None:
            with guard("record params"):
                scope.set_params(params)

    # Called by the context manager, the decorator and the functions below

    def _begin(self, caller: FrameType | None) -> None:
        parent = parent_context()
        if _current.is_suppressed(parent):
            return
        run = cast("Run | None", parent.get(_current.RUN))
        outer = cast("Component | None", parent.get(_current.COMPONENT))
        scope = Scope(outer._scope if outer is not None else None if run is None else run._scope)
        self._records = None if run is None else run._records
        name = attributes.text(self.name)
        self._labels = {names.ML_COMPONENT_NAME: name}
        run_id = _current.run_id(parent)
        if run_id is not None:
            self._labels[names.ML_RUN_ID] = attributes.text(run_id)
        scope.attributes = {**self._labels, **attributes.declared(self._declaration.attributes)}
        if caller is not None:
            place = name_of_frame(caller)
            scope.attributes[names.CODE_FUNCTION_NAME] = attributes.redacted(place)
        scope.open(span_name(spans.COMPONENT, name), parent, {_current.COMPONENT: self})
        self._scope = self._place = scope
        if self._declaration.memory == "trace":
            self._trace = usage.AllocationTrace.start()
        self._peak = usage.process_peak()

    def _begin_unrecorded(self) -> None:
        """Nobody listens, but checks guard the program: ``mlotel.read`` must find the component they belong to."""
        self._place = Scope(None)
        self._place.open_unrecorded({_current.COMPONENT: self})

    def _attach(self) -> None:
        if self._place is not None:
            self._place.attach()
            self._cpu_since = usage.cpu_ns()

    def _detach(self) -> None:
        self._stop_counting()
        if self._place is not None:
            self._place.detach()

    def _resume(self) -> None:
        if self._place is not None:
            self._place.resume()
            self._cpu_since = usage.cpu_ns()

    def _suspend(self) -> None:
        self._stop_counting()
        if self._place is not None:
            self._place.suspend()

    def _stop_counting(self) -> None:
        if self._cpu_since is not None:  # a generator that ends was suspended before
            self._cpu_ns += usage.cpu_ns() - self._cpu_since
            self._cpu_since = None

    def _is_recording(self) -> bool:
        return self._scope is not None and self._scope.span.is_recording()

    def _artifact(
        self,
        call: str,
        role: Role,
        value: Any,
        name: str | None,
        uri: str | None,
        kind: str | None,
        made_by: str | None = None,
    ) -> None:
        require_artifact(call, name, uri, kind, made_by)
        recorded = self._record(role, value, name, uri, kind, made_by=made_by)
        if self._declaration.has_checks:
            self._keep(role, name or (default_name(value) if recorded is None else recorded.name), value)
            if role == "input":
                self._check_ready()

    def _record(
        self,
        role: Role,
        value: Any,
        name: str | None,
        uri: str | None = None,
        kind: str | None = None,
        earlier: Recorded | None = None,
        content: Identity | None = None,
        made_by: str | None = None,
        stamp: bool = False,
        is_captured: bool = False,
    ) -> Recorded | None:
        scope = self._scope  # once: another thread may end the component meanwhile
        if scope is None or _current.is_suppressed(context.get_current()):
            return None
        with guard("record an artifact"):
            if not scope.span.is_recording():
                # Sampled out, or only metrics are listened to: no span would carry the identity, so none is made.
                count_rows_of(value, role, self._labels, scope.context)
                return None
            if self._held is None and _settings.captures_files:
                self._held = Holder()
            recorded = record(
                value,
                role,
                scope.context,
                name=name,
                uri=uri,
                type=kind,
                labels=self._labels,
                records=self._records,
                earlier=earlier or self._forget_watched(role, value),
                content=content,
                made_by=made_by,
                stamp=stamp,
                holder=self._held,
                is_captured=is_captured,
                model_id=self._models.get("output") or self._models.get("input"),
            )
            if recorded.type == "model":
                known = content if content is not None and content.scope == "full" else recorded.identity
                self._models["input" if role == "input" else "output"] = known.id
            if not recorded.is_more:
                self._ids["input" if role == "input" else "output"].append(recorded.identity.id)
            if role == "input":
                self._watch(value, recorded)
                reasons = staleness(recorded, self._declaration.stale_after_s)
                new = [reason for reason in reasons if reason not in self._stale]
                self._stale += new
                if new if recorded.is_more else reasons:
                    metrics.add(specs.ML_DATA_STALE, 1, {names.ML_COMPONENT_NAME: self._own_name}, scope.context)
            return recorded
        return None

    @property
    def _own_name(self) -> str:
        return cast("str", self._labels[names.ML_COMPONENT_NAME])

    def _watch(self, value: Any, recorded: Recorded) -> None:
        """Look at an input again when the component ends, if it is still there then and can have changed."""
        if recorded.identity.scope != "full" or artifacts.kind_of(value) not in ("table", "array", "model"):
            return
        with contextlib.suppress(TypeError):  # a type without weak references is not looked at again
            self._watched.append((weakref.ref(value), recorded))  # weak: what the user deletes must go

    def _forget_watched(self, role: Role, value: Any) -> Recorded | None:
        """What an output was when it was read, if the component changed it in place and wrote it itself."""
        if role == "output":
            for position, (watched, recorded) in enumerate(self._watched):
                if watched() is value:
                    del self._watched[position]
                    return recorded
        return None

    def _record_mutated(self) -> None:
        """Record inputs that the component changed in place."""
        watched, self._watched = self._watched, []
        for reference, recorded in watched:
            value = reference()
            if value is None:
                continue
            with guard("look at an input again"):
                now = identity_of(value)
                if now.scope == "full" and now.id != recorded.identity.id:
                    self._record("mutated", value, recorded.name, earlier=recorded)

    def _capture(self, role: Role, captured: Captured) -> None:
        for name, value in captured.artifacts:
            self._record(role, value, name)
        scope = self._scope
        if scope is not None and scope.span.is_recording():
            scope.set_params(captured.params)
            if captured.omitted:
                before = cast("int", scope.attributes.get(names.ML_ARTIFACT_LINKS_OMITTED, 0))
                scope.set({names.ML_ARTIFACT_LINKS_OMITTED: before + captured.omitted})

    def _keep(self, role: Role, name: str, value: Any) -> None:
        """Hold a value that a check asks for by this name, and no other: what the user deletes must go."""
        if not self._declaration.has_checks:
            return
        spelled = identifier(name)
        self._known[role].append(spelled)
        if any(check.wants(spelled) for check in self._declaration.checks):
            self._kept[role][spelled] = value

    def _check_ready(self) -> None:
        """Run the checks before whose inputs are all there."""
        kept = self._kept["input"]
        self._run_checks([check for check in self._declaration.before if check.wanted and check.is_ready(kept)], kept)

    def _run_checks_without_inputs(self) -> None:
        """Run the checks before that ask for nothing: they look at the world outside."""
        if self._declaration.has_checks:
            self._run_checks([check for check in self._declaration.before if check.accepted == frozenset()], {})

    def _run_checks_before(self) -> None:
        """Run all checks before: every input that a function will ever have is there."""
        if self._declaration.has_checks:
            self._run_checks(self._declaration.before, self._kept["input"])

    def _run_remaining_checks(self) -> None:
        """Run what could not run earlier: checks before that never got their input, and all checks after."""
        if not self._declaration.has_checks:
            return
        self._run_checks(self._declaration.before, self._kept["input"])
        # A check after may compare, so it may ask for inputs too; an output of the same name goes first.
        self._run_checks(self._declaration.after, {**self._kept["input"], **self._kept["output"]})

    def _run_checks(self, checks: Sequence[BoundCheck], values: Mapping[str, Any]) -> None:
        due = [check for check in checks if check not in self._checked]
        self._checked.update(due)
        if due and (self._scope is not None or self._declaration.must_check):
            run_checks(
                due,
                values,
                scope=self._scope,
                labels=self._labels,
                on_failure=self._declaration.on_failure,
                records=self._records,
                known=self._known["input"] + self._known["output"],
            )

    def _finish(self, error: BaseException | None) -> None:
        self._kept = {"input": {}, "output": {}}
        if self._watched:
            self._record_mutated()
        if self._held is not None:
            self._held.end()
        self._detach()
        scope = self._scope
        self._scope = self._place = None  # its context holds this object: without the cut, only gc frees both
        if scope is None:
            return
        cpu_s = max(0, self._cpu_ns) / 1e9
        memory = usage.process_peak() - self._peak if self._trace is None else self._trace.stop()
        error_type = None
        with guard("end a component"):
            scope.set(self._facts(cpu_s, memory))
            error_type = scope.close(error, self._records)
        if self._ids["output"]:
            with guard("let other processes know what was written"):
                lineage.flush_soon()
        with guard("measure a component"):  # apart: the span ends whatever becomes of the metrics
            labels = {names.ML_COMPONENT_NAME: cast("str", self._labels[names.ML_COMPONENT_NAME])}
            metrics.record(specs.ML_COMPONENT_CPU_TIME, cpu_s, labels, _NO_EXEMPLAR)
            if memory > 0:
                metrics.record(specs.ML_COMPONENT_MEMORY_PEAK, memory, labels, _NO_EXEMPLAR)
            kind = scope.attributes.get(names.ML_COMPONENT_TYPE)
            if kind is not None:
                labels = {**labels, names.ML_COMPONENT_TYPE: cast("str", kind)}
            if error_type is not None:
                labels = {**labels, names.ERROR_TYPE: error_type}
            metrics.record(specs.ML_COMPONENT_DURATION, scope.elapsed_ns / 1e9, labels, scope.context)

    def _facts(self, cpu_s: float, memory: int) -> dict[str, AttributeValue]:
        facts: dict[str, AttributeValue] = {names.ML_COMPONENT_CPU_TIME: cpu_s}
        if memory > 0:
            facts[names.ML_COMPONENT_MEMORY_PEAK] = memory
        for key, ids in (
            (names.ML_COMPONENT_INPUT_IDS, self._ids["input"]),
            (names.ML_COMPONENT_OUTPUT_IDS, self._ids["output"]),
        ):
            if ids:
                facts[key] = ids[:MAX_IDS]
        for reason, rows in self._removed.items():
            facts[f"{names.ML_REMOVAL_ROWS_TEMPLATE}.{reason}"] = rows
        if self._stale:
            facts[names.ML_COMPONENT_STALENESS] = self._stale[:MAX_IDS]
        return facts


class Idle(Component):
    """A component that nobody watches: its methods only look at their arguments."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def _artifact(
        self,
        call: str,
        role: Role,
        value: Any,
        name: str | None,
        uri: str | None,
        kind: str | None,
        made_by: str | None = None,
    ) -> None:
        require_artifact(call, name, uri, kind, made_by)

    def _count_removed(self, why: str, count: int) -> None:
        pass

    def param(self, **params: Any) -> None:
        """Nothing is recorded."""


def begun(name: str, declaration: Declaration, caller: FrameType | None = None) -> Component:
    """An execution that has begun; nothing is current yet."""
    made = Component(name, declaration)
    if _providers.is_listening():
        with guard("begin a component"):
            made._begin(caller)
    if made._place is None and declaration.must_check:
        made._begin_unrecorded()
    return made


def require_artifact(
    call: str, name: str | None, uri: str | None, kind: str | None, made_by: str | None = None
) -> None:
    """Raise for arguments of ``read`` and ``write`` that were given wrongly."""
    if name is not None:
        require_text(call, "name", name)
    if uri is not None:
        require_text(call, "uri", uri)
    if kind is not None:
        require_choice(call, "type", kind, TYPES)
    if made_by is not None:
        lineage.declared(require_text(call, "made_by", made_by), f"xxh3:{'0' * 32}")  # only whether it can be one
