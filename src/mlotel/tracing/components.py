"""Components: one step of a pipeline, with the artifacts that it reads and writes."""

import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, cast, overload

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span, set_span_in_context

from mlotel import _current, _providers, _settings, artifacts, metrics
from mlotel._guard import guard
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv import spans
from mlotel.tracing import attributes, lineage, usage
from mlotel.tracing.arguments import refuse_unknown, require_choice, require_name, require_text, shown
from mlotel.tracing.artifacts import (
    TYPES,
    Recorded,
    Role,
    count_rows_of,
    default_name,
    identity_of,
    labels_in,
    record,
    staleness,
)
from mlotel.tracing.capture import Captured, PathWatch, Signature, arguments_of, members, result_of
from mlotel.tracing.checks import BoundCheck, identifier, run_checks
from mlotel.tracing.code import name_of_frame
from mlotel.tracing.context import parent_context
from mlotel.tracing.declare import KEYWORDS, Declaration, declare
from mlotel.tracing.functions import Begin, Execution, wrap
from mlotel.tracing.held import Holder
from mlotel.tracing.opened import Opened
from mlotel.tracing.runs import Run
from mlotel.tracing.scope import Records, Scope, span_name
from mlotel.types import AttributeValue, Identity

__all__ = ["Component", "component", "param", "read", "removed", "write"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
CheckFunctions: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]]

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
        _require_artifact(call, name, uri, kind, made_by)
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


class _Idle(Component):
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
        _require_artifact(call, name, uri, kind, made_by)

    def _count_removed(self, why: str, count: int) -> None:
        pass

    def param(self, **params: Any) -> None:
        pass


class ComponentCalls:
    """What ``mlotel.component(…)`` returns: a context manager, and a decorator for functions of every kind."""

    __slots__ = ("_declaration", "_name", "_open")

    def __init__(self, name: str | None, declaration: Declaration) -> None:
        self._name = name
        self._declaration = declaration
        self._open: Opened[Component] = Opened()

    def __call__(self, function: F) -> F:
        """Make every call of ``function`` an execution of the component. Its kind, signature and type stay."""
        return wrap(function, "component", self._calls_of)

    def _calls_of(self, function: Callable[..., Any]) -> Begin:
        signature = Signature(function, "component")
        name = self._name or signature.name
        declaration = self._declaration.for_function(function)
        always = declaration.must_check

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution | None:
            if not always and not _providers.is_listening():
                return None
            return _Call(_begun(name, declaration), signature)

        return begin

    def __enter__(self) -> Component:
        if self._name is None:
            raise InvalidArgumentError(
                "component() as a context manager needs a name: with mlotel.component('clean') as c: …"
            )
        caller = sys._getframe(1)
        if not self._declaration.must_check and not _providers.is_listening():
            return self._open.add(caller, _Idle(self._name))
        made = _begun(self._name, self._declaration, caller)
        made._attach()
        try:
            made._run_checks_without_inputs()
        except BaseException as error:
            made._finish(error)
            raise
        return self._open.add(caller, made)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        made = self._open.take(sys._getframe(1), _current.COMPONENT)
        if type(made) is _Idle:
            return
        if error is None:
            try:
                made._run_remaining_checks()
            except BaseException as failed:
                made._finish(failed)
                raise
        made._finish(error)


def _begun(name: str, declaration: Declaration, caller: FrameType | None = None) -> Component:
    """An execution that has begun; nothing is current yet."""
    made = Component(name, declaration)
    if _providers.is_listening():
        with guard("begin a component"):
            made._begin(caller)
    if made._place is None and declaration.must_check:
        made._begin_unrecorded()
    return made


class _Call:
    """One call of a decorated function."""

    __slots__ = ("_component", "_paths", "_read", "_signature", "attach", "finish", "resume", "suspend")

    def __init__(self, component: Component, signature: Signature) -> None:
        self._component = component
        self._signature = signature
        self._paths: PathWatch | None = None
        self._read: dict[str, Recorded | None] = {}
        self.attach = component._attach
        self.resume = component._resume
        self.suspend = component._suspend
        self.finish = component._finish

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Record the arguments, then run the checks before the call."""
        component = self._component
        if not (args or kwargs or self._signature.has_parameters or component._declaration.has_checks):
            return
        with guard("record the arguments of a function"):
            arguments = self._signature.arguments(args, kwargs)
            for name, value in arguments.items():
                component._keep("input", name, value)
            if component._scope is not None:
                captured = arguments_of(arguments, component._declaration.inputs)
                component._capture("input", captured)
                if captured.paths and component._is_recording():
                    self._paths = PathWatch(captured.paths)
                    for name, path in self._paths.existing():
                        self._read[name] = component._record("input", path, name)
        component._run_checks_before()

    def outputs(self, result: Any) -> None:
        """Record the result, then run the checks after the call."""
        component = self._component
        if result is None and self._paths is None and not component._declaration.has_checks:
            return
        with guard("record the result of a function"):
            captured = result_of(result, self._signature.name, component._declaration.outputs)
            if component._declaration.has_checks:
                for name, value in (
                    *captured.artifacts,
                    *captured.paths,
                    *captured.params.items(),
                    *members(result)[0],
                ):
                    component._keep("output", name, value)
                component._keep("output", self._signature.name, result)
                component._keep("output", "result", result)
            if component._scope is not None:
                component._capture("output", captured)
                for name, value in captured.paths:
                    component._record("output", value, name)
                for name, path, changed in self._paths.made(captured.paths) if self._paths is not None else ():
                    component._record("mutated" if changed else "output", path, name, earlier=self._read.get(name))
        component._run_remaining_checks()


def _require_artifact(
    call: str, name: str | None, uri: str | None, kind: str | None, made_by: str | None = None
) -> None:
    if name is not None:
        require_text(call, "name", name)
    if uri is not None:
        require_text(call, "uri", uri)
    if kind is not None:
        require_choice(call, "type", kind, TYPES)
    if made_by is not None:
        lineage.declared(require_text(call, "made_by", made_by), f"xxh3:{'0' * 32}")  # only whether it can be one


def _artifact(
    call: str,
    role: Role,
    value: Any,
    name: str | None,
    uri: str | None,
    kind: str | None,
    made_by: str | None = None,
) -> None:
    """Record an artifact of the current component; outside one, of the current span, or alone."""
    current = cast("Component | None", context.get_value(_current.COMPONENT))
    if current is not None and current._place is not None:  # a carried function may run when its component has ended
        current._artifact(call, role, value, name, uri, kind, made_by)
        return
    _require_artifact(call, name, uri, kind, made_by)
    if not _providers.is_listening():
        return
    ctx = parent_context()
    if _current.is_suppressed(ctx):
        return
    with guard("record an artifact"):
        labels = labels_in(ctx)
        around = get_current_span(ctx)
        if _providers.tracer_provider() is None or (around is not INVALID_SPAN and not _will_record(around)):
            count_rows_of(value, role, labels, ctx)
            return
        run = cast("Run | None", ctx.get(_current.RUN))
        records = None if run is None else run._records
        record(value, role, ctx, name=name, uri=uri, type=kind, labels=labels, records=records, made_by=made_by)


def _will_record(parent: Span) -> bool:
    """Whether a span under ``parent`` is likely to be recorded; a parent in another process tells by its flag."""
    return parent.is_recording() or parent.get_span_context().trace_flags.sampled


@overload
def component(function: F, /) -> F: ...
@overload
def component(
    name: str | None = None,
    *,
    type: str | None = None,
    owner: str | None = None,
    description: str | None = None,
    before: CheckFunctions = (),
    after: CheckFunctions = (),
    on_failure: Literal["record", "warn", "raise"] = "record",
    stale_after_s: float | None = None,
    memory: Literal["trace"] | None = None,
    inputs: Mapping[str, str] | None = None,
    outputs: str | Sequence[str] | None = None,
) -> ComponentCalls: ...
def component(
    name: Any = None,
    *,
    type: str | None = None,
    owner: str | None = None,
    description: str | None = None,
    before: CheckFunctions = (),
    after: CheckFunctions = (),
    on_failure: str = "record",
    stale_after_s: float | None = None,
    memory: str | None = None,
    inputs: Mapping[str, str] | None = None,
    outputs: str | Sequence[str] | None = None,
    **unknown: Any,
) -> Any:
    """One step of a pipeline: a context manager, or a decorator, bare or with arguments.

    Each execution is a span with its CPU time and memory, a child of the current component or pipeline, and a record
    in ``ml.component.duration``. Decorated functions turn data, models and paths into artifacts and scalars into
    params; they may be async, generators or methods.

    Args:
        name: Name of the component; a decorated function's own by default.
        type: What kind of step it is, a word that repeats: ``ingest``, ``transform``, ``train``, ``evaluate``.
        owner: Who to ask.
        description: One line; the first of the function's docstring by default.
        before: Checks of the inputs: functions whose parameters are names of inputs. ``clean-flights`` is asked for as
            ``clean_flights``. They return a bool, a ``Check`` or None, or raise AssertionError.
        after: Checks of the outputs, likewise; ``result`` is what a decorated function returned.
        on_failure: What a failed check does: ``record`` it, ``warn`` as well, or ``raise`` CheckFailed.
        stale_after_s: Age in seconds from which an input is reported in ``ml.component.staleness``.
        memory: ``"trace"`` measures what Python allocates (slow); by default the rise of the process's peak.
        inputs: Artifact names by parameter, for decorated functions.
        outputs: Name of the result, or names of its parts.

    Raises:
        InvalidTypeError: If an argument has the wrong type, or a keyword is unknown.
        InvalidArgumentError: If a name is empty, ``on_failure`` is unknown, or a check asks for a parameter that the
            decorated function does not have.

    Example:
        >>> import mlotel
        >>> with mlotel.component("clean", type="transform") as c:
        ...     raw = c.read([3.0, 4.0, 999.0], name="raw")
        ...     kept = c.write([v for v in raw if v < 100], name="clean")
        ...     c.removed(len(raw) - len(kept), reason="outlier")
        >>> @mlotel.component
        ... def mean(values, digits=2):
        ...     return round(sum(values) / len(values), digits)
        >>> mean([3.0, 4.0])
        3.5
    """
    refuse_unknown("component", unknown, ("name", *KEYWORDS))
    function = None
    if name is not None and not isinstance(name, str):
        if not callable(name) and not isinstance(name, staticmethod | classmethod):
            require_name("component", name)
        function, name = name, None
    declaration = declare(type, owner, description, before, after, on_failure, stale_after_s, memory, inputs, outputs)
    calls = ComponentCalls(None if name is None else require_name("component", name), declaration)
    return calls if function is None else calls(function)


def read(
    value: T,
    *,
    name: str | None = None,
    uri: str | None = None,
    type: str | None = None,
    made_by: str | None = None,
    **unknown: NoReturn,
) -> T:
    """Record ``value`` as an input of the current component, and return it.

    Outside a component the span belongs to the current span, or stands alone. Arguments and errors are those of
    ``Component.read``.

    Example:
        >>> import mlotel
        >>> rows = mlotel.read([1.0, 2.0], name="raw")
    """
    refuse_unknown("read", unknown, ("name", "uri", "type", "made_by"))
    _artifact("read", "input", value, name, uri, type, made_by)
    return value


def write(
    value: T,
    *,
    name: str | None = None,
    uri: str | None = None,
    type: str | None = None,
    **unknown: NoReturn,
) -> T:
    """Record ``value`` as an output of the current component, and return it. See ``read``.

    Example:
        >>> import mlotel
        >>> kept = mlotel.write([1.0, 2.0], name="clean")
    """
    refuse_unknown("write", unknown, ("name", "uri", "type"))
    _artifact("write", "output", value, name, uri, type)
    return value


def removed(rows: int, *, reason: str, **unknown: NoReturn) -> None:
    """Say that the current component took ``rows`` rows out, and why. For decorated functions.

    Outside a component nothing is recorded. Arguments and errors are those of ``Component.removed``.

    Example:
        >>> import mlotel
        >>> @mlotel.component
        ... def clean(values):
        ...     kept = [value for value in values if value < 100]
        ...     mlotel.removed(len(values) - len(kept), reason="outlier")
        ...     return kept
        >>> clean([3.0, 4.0, 999.0])
        [3.0, 4.0]
    """
    refuse_unknown("removed", unknown, ("reason",))
    current = cast("Component | None", context.get_value(_current.COMPONENT))
    (_NOWHERE if current is None else current).removed(rows, reason=reason)


def param(**params: Any) -> None:
    """Record settings that the current component used. For decorated functions; see ``Component.param``.

    Outside a component nothing is recorded.

    Example:
        >>> import mlotel
        >>> mlotel.param(depth=6)
    """
    current = cast("Component | None", context.get_value(_current.COMPONENT))
    if current is not None:
        current.param(**params)


_NOWHERE = _Idle("")
