"""Calls of estimators: the outermost call of an object is a span, what it calls inside is a number on it.

Two context variables tell where a call is. ``FRAME`` holds the innermost object that is being called, in the thread
that calls it. OpenTelemetry's context holds the innermost frame that has a span, so that ``mlotel.carry`` carries it.
"""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from mlotel import _clock, _current, _providers, logs, metrics
from mlotel._guard import guard
from mlotel.instrumentation._groups import span_groups
from mlotel.instrumentation._patch import Wrapper, passed_over
from mlotel.instrumentation._sklearn import kinds, results
from mlotel.instrumentation._sklearn.data import class_facts, data_facts, missing_share
from mlotel.semconv import attributes as names
from mlotel.semconv import events
from mlotel.semconv import metrics as specs
from mlotel.tracing import attributes, failures
from mlotel.tracing.artifacts import record
from mlotel.tracing.components import Component
from mlotel.tracing.context import parent_context
from mlotel.tracing.runs import Run
from mlotel.tracing.scope import Records, Scope, span_name
from mlotel.types import AttributeValue

__all__ = ["FRAME", "TASK", "Call", "Frame", "SpanCall", "frame_in", "method", "recorded", "warned"]

FITS = frozenset({"fit", "partial_fit", "fit_transform", "fit_predict", "search"})
# The duration of the call leads from a metric to its span; an exemplar costs as much as a record.
_NO_EXEMPLAR = set_span_in_context(INVALID_SPAN, Context())
MAX_WARNINGS = 20
"""Events of one call about what did not converge; all are counted."""


class Frame:
    """An object that is being called.

    Attributes:
        owner: The object.
        call: The call with a span that it is part of.
        outer: The frame around it, in the same call.
        has_steps: Whether estimators that it calls are steps of its own, and not helpers; None before that was asked.
    """

    __slots__ = ("call", "has_steps", "outer", "owner")

    def __init__(
        self, owner: object, call: "Call", outer: "Frame | None" = None, has_steps: bool | None = None
    ) -> None:
        self.owner = owner
        self.call = call
        self.outer = outer
        self.has_steps = has_steps

    def holds(self, owner: object) -> bool:
        """Whether ``owner`` is being called already, here or further out."""
        frame: Frame | None = self
        while frame is not None:
            if frame.owner is owner:
                return True
            frame = frame.outer
        return False


FRAME: ContextVar[Frame | None] = ContextVar("mlotel-estimator", default=None)
_KEY = context.create_key("mlotel-estimator")
TASK = context.create_key("mlotel-task")
"""In a context: that a task of another process is being done in it."""
serves_only_tasks = False
"""Whether this is a worker process that was set up by a task: what it does between tasks is not recorded."""


def _adopt_nothing(cls: type) -> None:
    """What stands for ``adopt`` while nothing is instrumented."""


adopt: Callable[[type], None] = _adopt_nothing
"""Replaces the methods of a class that has only now been seen."""


def frame_in(ctx: Context) -> Frame | None:
    """The frame of the innermost call with a span that ``ctx`` is in."""
    return cast("Frame | None", ctx.get(_KEY))


class Call:
    """What the calls inside one call add up to.

    Attributes:
        component: Name of the class whose call it is.
        operation: What was called.
        system: Library that it is from.
        shows_folds: Whether each fold is a span.
        is_open: Whether it has not ended.
        folds: Folds that were begun so far.
        has_inner: Whether calls inside are spans too.
    """

    __slots__ = ("_lock", "_names", "_steps", "component", "failures", "folds", "has_inner", "is_open",
                 "operation", "shows_folds", "system")  # fmt: skip

    def __init__(self, component: str, operation: str, system: str, *, shows_folds: bool = False) -> None:
        self.component = component
        self.operation = operation
        self.system = system
        self.shows_folds = shows_folds
        self.is_open = True
        self.has_inner = "estimator" in span_groups()
        self.folds = 0
        self.failures = 0
        self._names: dict[int, str] = {}
        self._steps: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def context(self) -> Context:
        """Where what happens in the call belongs."""
        return context.get_current()

    def step_of(self, owner: object) -> str:
        """What the object ``owner``, called inside, is called by people."""
        return self._names.get(id(owner)) or kinds.kind_of(type(owner)).name

    def add(self, owner: object, took_ns: int) -> None:
        """Add the time of a call of ``owner``, which is over."""
        with guard("measure a step of an estimator"):
            step = self.step_of(owner)
            with self._lock:  # threads of an ensemble share a call
                if step in self._steps or len(self._steps) < kinds.MAX_STEPS:
                    self._steps[step] = self._steps.get(step, 0) + took_ns

    def count_failure(self) -> bool:
        """Count something that did not converge; whether it is one of those that are told."""
        with self._lock:
            self.failures += 1
            return self.failures <= MAX_WARNINGS

    def measure_steps(self) -> dict[str, AttributeValue]:
        """Record the steps as metrics; returns them as attributes."""
        found: dict[str, AttributeValue] = {}
        for step, took_ns in self._steps.items():
            labels = {
                names.ML_STEP_NAME: step,
                names.ML_OPERATION_NAME: self.operation,
                names.ML_COMPONENT_NAME: self.component,
                names.ML_SYSTEM_NAME: self.system,
            }
            metrics.record(specs.ML_STEP_DURATION, took_ns / 1e9, labels, _NO_EXEMPLAR)
            found[f"{names.ML_STEP_TIME_TEMPLATE}.{attributes.key(step)}"] = took_ns / 1e9
        return found


class SpanCall(Call):
    """A call that is a span.

    Args:
        operation: One of ``OPERATIONS``, ``search``, ``cross_validate`` or ``fold``.
        owner: What is called, or whom a function works for.
        place: Name of the function in the code.
        ctx: Where the span belongs.
        outer: The call around it.
    """

    __slots__ = ("_records", "_start_ns", "frame", "owner", "scope")

    scope: Scope

    def __init__(self, operation: str, owner: Any, place: str, ctx: Context, outer: Call | None) -> None:
        kind = kinds.kind_of(type(owner))
        super().__init__(kind.name, operation, kind.system, shows_folds=operation in ("search", "cross_validate"))
        self.owner = owner
        self.frame: Frame | None = None
        run = cast("Run | None", ctx.get(_current.RUN))
        component = cast("Component | None", ctx.get(_current.COMPONENT))
        around = component._scope if component is not None else None if run is None else run._scope
        self._records: Records | None = None if run is None else run._records
        self.scope = Scope(outer.scope if isinstance(outer, SpanCall) else around)
        self.scope.attributes = {
            names.ML_OPERATION_NAME: operation,
            names.ML_COMPONENT_NAME: kind.name,
            names.ML_SYSTEM_NAME: kind.system,
            names.ML_SYSTEM_VERSION: kind.version,
            names.CODE_FUNCTION_NAME: attributes.text(place),
        }
        run_id = _current.run_id(ctx)
        if run_id is not None:
            self.scope.attributes[names.ML_RUN_ID] = attributes.text(run_id)
        if outer is not None and operation != "fold":
            self.scope.attributes[names.ML_STEP_NAME] = outer.step_of(owner)

    @property
    def context(self) -> Context:
        """Inside the span."""
        return self.scope.context

    def open(self, facts: dict[str, AttributeValue], params: dict[str, Any], ctx: Context, frame: Frame) -> None:
        """Start the span."""
        for step, part in kinds.inside(self.owner):
            if step:
                self._names.setdefault(id(part), attributes.text(step, 128))
            if not kinds.kind_of(type(part)).is_native:
                adopt(type(part))
        self.frame = frame
        self.scope.attributes.update(facts)
        self.scope.add_params(params)
        name = span_name(self.operation, self.component)
        self.scope.open(name, ctx, {_KEY: frame})
        self._start_ns = _clock.monotonic_ns()

    def close(self, error: BaseException | None, facts: Callable[[], dict[str, AttributeValue]]) -> None:
        """End the span, with what ``facts`` says of the result; never raises."""
        self.is_open = False
        took_s = (_clock.monotonic_ns() - self._start_ns) / 1e9
        error_type = None
        with guard("end a call of an estimator"):
            self.scope.set(self.measure_steps())
            if self.failures:
                self.scope.set({names.ML_CONVERGENCE_FAILURE_COUNT: self.failures})
            if self.scope.span.is_recording():
                self.scope.set(facts())
        self.scope.detach()
        with guard("end the span of a call"):
            error_type = self.scope.close(error, self._records)
        with guard("measure a call of an estimator"):
            labels = {
                names.ML_OPERATION_NAME: self.operation,
                names.ML_COMPONENT_NAME: self.component,
                names.ML_SYSTEM_NAME: self.system,
            }
            if error_type is not None:
                labels[names.ERROR_TYPE] = error_type
            metrics.record(specs.ML_OPERATION_DURATION, took_s, labels, self.scope.context)

    def record_model(self) -> None:
        """Record what was fitted as an artifact that the call wrote."""
        labels = {
            key: value
            for key, value in self.scope.attributes.items()
            if key in (names.ML_COMPONENT_NAME, names.ML_RUN_ID)
        }
        models = [self.owner]
        best = kinds.stored(self.owner).get("best_estimator_")
        if best is not None:  # mostly that one is saved, and not the search
            models.append(best)
        for model in models:
            name = kinds.kind_of(type(model)).name
            record(
                model, "output", self.scope.context, name=name, uri=None, type="model", labels=labels,
                records=self._records,
            )  # fmt: skip


def method(operation: str) -> Wrapper:
    """What is called instead of a method of estimators."""

    def called(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = FRAME.get()
        if frame is None:
            if not args or not _providers.is_listening():
                return wrapped(*args, **kwargs)
            ctx = context.get_current()
            if serves_only_tasks and ctx.get(TASK) is None:
                return wrapped(*args, **kwargs)
            frame = frame_in(ctx)  # in a thread to which it was carried
        if frame is None or not frame.call.is_open:
            return recorded(_Begun(operation, args, kwargs, None), wrapped, args, kwargs)
        if not args or frame.holds(args[0]):
            return wrapped(*args, **kwargs)
        if frame.call.has_inner and _counts(frame):
            return recorded(_Begun(operation, args, kwargs, frame), wrapped, args, kwargs)
        return _inner(frame, wrapped, args, kwargs)

    return called


def _counts(frame: Frame) -> bool:
    """Whether what ``frame`` calls is a step."""
    if frame.has_steps is None:
        frame.has_steps = False
        with guard("look at what an estimator is made of"):
            frame.has_steps = kinds.is_composed(frame.owner)
    return frame.has_steps


def _inner(frame: Frame, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = FRAME.set(Frame(args[0], frame.call, frame))
    begun_ns = _clock.monotonic_ns()
    try:
        return wrapped(*args, **kwargs)
    finally:
        took_ns = _clock.monotonic_ns() - begun_ns
        FRAME.reset(token)
        if _counts(frame):
            frame.call.add(args[0], took_ns)


class _Begun:
    """A method that is about to be called."""

    __slots__ = ("_args", "_call", "_kwargs", "_operation", "_outer", "frame")

    def __init__(
        self,
        operation: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outer: Frame | None,
    ) -> None:
        self._operation = operation
        self._args = args
        self._kwargs = kwargs
        self._outer = outer
        self._call: SpanCall | None = None
        self.frame: Frame | None = None

    def begin(self) -> bool:
        """Open the span and make it current; whether there is one."""
        ctx = parent_context()
        if _current.is_suppressed(ctx):
            return False
        owner = self._args[0]
        kind = kinds.kind_of(type(owner))
        operation = "search" if kind.is_search and self._operation == "fit" else self._operation
        outer = self._outer
        place = f"{kind.place}.{self._operation}"
        call = SpanCall(operation, owner, place, ctx, None if outer is None else outer.call)
        frame = Frame(owner, call, outer)
        facts: dict[str, AttributeValue] = {}
        params: dict[str, Any] = {}
        with guard("describe a call of an estimator"):
            facts = data_facts(self._data(0))
            if self._operation in FITS:
                params = kinds.params_of(owner)
                parts = [f"{name}: {results.name_of(part)}" for name, part in kinds.parts_of(owner)]
                if parts:
                    facts[names.ML_STEP_LIST] = [attributes.text(part, 256) for part in parts]
        call.open(facts, params, ctx, frame)
        call.scope.attach()
        self._call, self.frame = call, frame
        return True

    def _data(self, position: int) -> Any:
        """X or y: the first or second argument behind ``self``."""
        if len(self._args) > position + 1:
            return self._args[position + 1]
        for name in ("X", "raw_documents", "y", "Z") if position == 0 else ("y",):
            if name in self._kwargs:
                return self._kwargs[name]
        return None

    def end(self, error: BaseException | None, result: Any) -> None:
        """Close the span."""
        call = self._call
        if call is not None:
            call.close(error, lambda: {} if error is not None else self._facts(call, result))

    def _facts(self, call: SpanCall, result: Any) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        owner = self._args[0]
        if call.operation == "score":
            found |= results.scores({"score": result})
            results.report(owner, {"score": result}, "test")
        if call.operation not in FITS:
            return found
        with guard("describe training data"):
            share = missing_share(self._data(0))
            if share is not None:
                found[names.ML_DATA_MISSING] = share
            y = self._data(1)
            if y is not None and kinds.kind_of(type(kinds.final_of(owner))).is_classifier:
                found |= class_facts(y)
        if call.operation == "search":
            with guard("describe the result of a search"):
                found |= results.search(owner, call.folds)
        if self._outer is None:
            with guard("identify a fitted model"):
                call.record_model()
        return found


def recorded(begun: Any, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call ``wrapped`` inside the span that ``begun`` opens.

    Args:
        begun: Has ``begin()``, which says whether there is a span, ``frame``, and ``end(error, result)``.
        wrapped: The function.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    is_begun = False
    with guard("begin a call of an estimator"):
        is_begun = begun.begin()
    if not is_begun:
        return wrapped(*args, **kwargs)
    token = FRAME.set(begun.frame)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        FRAME.reset(token)
        begun.end(error, None)
        raise
    FRAME.reset(token)
    begun.end(None, result)
    return result


def warned(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Called instead of the constructor of warnings that something did not converge."""
    result = wrapped(*args, **kwargs)
    frame = FRAME.get()
    if frame is not None and frame.call.is_open and args:
        with guard("record that something did not converge"):
            _tell(frame, args[0])
    return result


def _tell(frame: Frame, warning: Any) -> None:
    call = frame.call
    if not call.count_failure():
        return
    message = failures.message_of(warning)
    found: dict[str, AttributeValue] = {
        names.ML_OPERATION_NAME: call.operation,
        names.ML_COMPONENT_NAME: call.component,
        names.EXCEPTION_TYPE: failures.type_of(warning),
        names.EXCEPTION_MESSAGE: message,
    }
    step = call.component
    if not isinstance(call, SpanCall) or frame.owner is not call.owner:
        step = call.step_of(frame.owner)
        found[names.ML_STEP_NAME] = step
    run_id = _current.run_id(call.context)
    if run_id is not None:
        found[names.ML_RUN_ID] = attributes.text(run_id)
    first = message.partition("\n")[0]
    logs.emit(events.ML_CONVERGENCE_FAILED, f"{step}: {first}", found, call.context, severity="warning")


for _function in (_inner, recorded):
    passed_over(_function)
