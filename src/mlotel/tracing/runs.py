"""Pipelines: one execution of a named graph of components is a run."""

import os
import sys
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Literal, Protocol, TypeVar, cast, overload

from opentelemetry import baggage, trace
from opentelemetry.context import Context

from mlotel import _current, _guard, _providers, _settings, logs, metrics
from mlotel._guard import guard
from mlotel.errors import InvalidArgumentError
from mlotel.semconv import attributes as names
from mlotel.semconv import events, spans
from mlotel.semconv import metrics as specs
from mlotel.tracing import attributes, audit, heartbeat, lineage
from mlotel.tracing.arguments import refuse_unknown, require_mapping, require_name, require_text
from mlotel.tracing.capture import Signature, arguments_of
from mlotel.tracing.code import name_of_frame, name_of_function
from mlotel.tracing.context import parent_context
from mlotel.tracing.failures import is_failure
from mlotel.tracing.functions import Begin, Execution, wrap
from mlotel.tracing.opened import Opened
from mlotel.tracing.scope import Records, Scope, span_name
from mlotel.types import AttributeValue

__all__ = ["Run", "new_run_id", "pipeline"]

F = TypeVar("F", bound=Callable[..., Any])


def _random_run_id() -> str:
    return os.urandom(16).hex()


MAX_TAGS = 32

new_run_id: Callable[[], str] = _random_run_id
"""Makes run ids; ``mlotel.testing`` replaces it."""


class HasScope(Protocol):
    """What a run and a component have in common."""

    _scope: Scope | None


class Run:
    """One execution of a pipeline; what ``with mlotel.pipeline(…) as run`` gives.

    Attributes:
        id: Names the run in every process that takes part; 32 hex digits unless ``run_id=`` was given.
        trace_id: 32 hex digits; all zeros while nobody records.
        status: ``running``, then ``ok`` or ``error``.
    """

    __slots__ = ("_is_outermost", "_name", "_records", "_scope", "id", "status", "trace_id")

    def __init__(self, name: str, run_id: str) -> None:
        self.id = run_id
        self.trace_id = "0" * 32
        self.status: Literal["running", "ok", "error"] = "running"
        self._name = name
        self._scope: Scope | None = None
        self._records: Records | None = None
        self._is_outermost = False

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self._name!r}: {self.status}>"

    def _begin(self, declared: dict[str, AttributeValue], params: Mapping[str, Any], parent: Context) -> None:
        outer = cast("Run | None", parent.get(_current.RUN))
        around = cast("HasScope | None", parent.get(_current.COMPONENT) or outer)
        scope = Scope(None if around is None else around._scope, is_run=True)
        name = attributes.text(self._name)
        scope.attributes = {
            names.ML_PIPELINE_NAME: name,
            names.ML_RUN_ID: attributes.text(self.id),
            **audit.command(),
            **declared,
        }
        scope.add_params(params)
        # As it is recorded: baggage goes to other processes, and other libraries send it to other hosts.
        ctx = baggage.set_baggage(_current.RUN_ID_BAGGAGE, cast("str", scope.attributes[names.ML_RUN_ID]), parent)
        # A pipeline begins anew: a component around it is its parent by the span, not the one that reads and writes.
        scope.open(span_name(spans.PIPELINE, name), ctx, {_current.RUN: self, _current.COMPONENT: None})
        self._scope = scope
        self.trace_id = trace.format_trace_id(scope.span.get_span_context().trace_id)
        self._is_outermost = outer is None
        if outer is not None:
            self._records = outer._records
        elif _settings.current.on_run_end is not None:
            self._records = []
        _say_if_sampled_out(scope.span)
        every_s = heartbeat.interval_s()
        started = {**scope.attributes, names.ML_RUN_HEARTBEAT_INTERVAL: every_s}
        logs.emit(events.ML_RUN_STARTED, f"pipeline {name} started", started, scope.context)
        heartbeat.begin(scope, every_s)

    def _attach(self) -> None:
        if self._scope is not None:
            self._scope.attach()

    def _resume(self) -> None:
        if self._scope is not None:
            self._scope.resume()

    def _suspend(self) -> None:
        if self._scope is not None:
            self._scope.suspend()

    def _finish(self, error: BaseException | None) -> None:
        self.status = "ok" if error is None or not is_failure(error) else "error"
        scope, self._scope = self._scope, None  # its context holds this object: without the cut, only gc frees both
        if scope is None:
            return
        heartbeat.end(scope)
        scope.detach()
        error_type = None
        with guard("end a pipeline"):
            scope.set({names.ML_RUN_STATUS: self.status, **audit.libraries()})
            error_type = scope.close(error, self._records, is_root=self._is_outermost)
        with guard("measure a pipeline"):  # apart: the span ends whatever becomes of the metrics
            labels = {names.ML_PIPELINE_NAME: cast("str", scope.attributes[names.ML_PIPELINE_NAME])}
            if error_type is not None:
                labels[names.ERROR_TYPE] = error_type
            metrics.record(specs.ML_PIPELINE_DURATION, scope.elapsed_ns / 1e9, labels, scope.context)
        with guard("let other processes know what was written"):
            lineage.flush()
        with guard("show a run"):
            if self._is_outermost and self._records is not None and _settings.current.on_run_end is not None:
                _settings.current.on_run_end(self._records)


def _say_if_sampled_out(span: trace.Span) -> None:
    if not span.is_recording() and _providers.tracer_provider() is not None:
        _guard.say_once(
            ("sampled out",),
            "The sampler of this application dropped a pipeline, so its run has no spans: no tree, no lineage. "
            "Keep spans named 'pipeline …' (or set OTEL_TRACES_SAMPLER=parentbased_always_on).",
        )


class Pipeline:
    """What ``mlotel.pipeline(…)`` returns: a context manager, and a decorator for functions of every kind."""

    __slots__ = ("_declared", "_name", "_open", "_params", "_run_id", "_tags")

    def __init__(
        self,
        name: str | None,
        experiment: str | None,
        params: Mapping[str, Any] | None,
        tags: Mapping[str, Any] | None,
        run_id: str | None,
    ) -> None:
        self._name = None if name is None else require_name("pipeline", name)
        self._run_id = None if run_id is None else require_text("pipeline", "run_id", run_id)
        self._declared: dict[str, AttributeValue] = {}
        if experiment is not None:
            found = require_text("pipeline", "experiment", experiment)
            self._declared[names.ML_EXPERIMENT_NAME] = attributes.clean(found)
        self._params = {} if params is None else dict(require_mapping("pipeline", "params", params))
        self._tags = {} if tags is None else dict(require_mapping("pipeline", "tags", tags))
        self._open: Opened[Run] = Opened()

    def __call__(self, function: F) -> F:
        """Make every call of ``function`` one run. Its kind, signature and type stay; scalar arguments are params."""
        return wrap(function, "pipeline", self._calls_of)

    def _calls_of(self, function: Callable[..., Any]) -> Begin:
        signature = Signature(function, "pipeline")
        name = self._name or signature.name
        place = name_of_function(function)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution | None:
            if not _providers.is_listening():
                return None
            params: dict[str, Any] = {}
            with guard("record the arguments of a pipeline"):
                params = arguments_of(signature.arguments(args, kwargs), {}).params
            return _Call(self._begun(name, place, params))

        return begin

    def __enter__(self) -> Run:
        if self._name is None:
            raise InvalidArgumentError(
                "pipeline() as a context manager needs a name: with mlotel.pipeline('nightly') as run: …"
            )
        caller = sys._getframe(1)
        run = self._begun(self._name, caller, {})
        run._attach()
        return self._open.add(caller, run)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.take(sys._getframe(1), _current.RUN)._finish(error)

    def _begun(self, name: str, place: str | FrameType, params: Mapping[str, Any]) -> Run:
        """A run that has begun; nothing is current yet."""
        if not _providers.is_listening():
            return Run(name, self._run_id or new_run_id())
        run = None
        with guard("begin a pipeline"):
            parent = parent_context()
            run = Run(name, self._run_id or _current.run_id(parent) or new_run_id())
            if not _current.is_suppressed(parent):
                tags = attributes.params(names.ML_TAG_TEMPLATE, self._tags, MAX_TAGS)
                words = {key: value if isinstance(value, str) else str(value) for key, value in tags.items()}
                code = place if isinstance(place, str) else name_of_frame(place)
                declared = {
                    names.CODE_FUNCTION_NAME: attributes.redacted(code), **attributes.declared(self._declared), **words,
                }  # fmt: skip
                others = {key: value for key, value in params.items() if key not in self._params}
                run._begin(declared, {**self._params, **others}, parent)
        return Run(name, self._run_id or new_run_id()) if run is None else run


class _Call:
    """One call of a decorated function."""

    __slots__ = ("attach", "finish", "resume", "suspend")

    def __init__(self, run: Run) -> None:
        self.attach = run._attach
        self.resume = run._resume
        self.suspend = run._suspend
        self.finish = run._finish

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The params were recorded at the beginning."""

    def outputs(self, result: Any) -> None:
        """What a pipeline returns was written by one of its components."""


@overload
def pipeline(function: F, /) -> F: ...
@overload
def pipeline(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> Pipeline: ...
def pipeline(
    name: Any = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    **unknown: Any,
) -> Any:
    """A named graph of components: a context manager, or a decorator, bare or with arguments.

    Each execution is a run: a span around its components, an ``ml.run.started`` event that leaves at once, and a
    record in ``ml.pipeline.duration``. A pipeline inside another, or in a child process that inherited
    ``TRACEPARENT`` and ``BAGGAGE``, belongs to the same run.

    Args:
        name: Name of the pipeline; a decorated function's own by default.
        experiment: What the run is compared with.
        params: Settings, recorded as ``ml.param.<key>``. Secrets by their names are redacted.
        tags: Words to find the run by, recorded as ``ml.tag.<key>``.
        run_id: Id to share between processes that do not inherit the environment; random by default.

    Raises:
        InvalidTypeError: If an argument has the wrong type, or a keyword is unknown.
        InvalidArgumentError: If a name is empty.

    Example:
        >>> import mlotel
        >>> with mlotel.pipeline("flight-delays", params={"months": 6}) as run:
        ...     with mlotel.component("ingest"):
        ...         rows = [1, 2, 3]
        >>> run.status
        'ok'
    """
    refuse_unknown("pipeline", unknown, ("name", "experiment", "params", "tags", "run_id"))
    function = None
    if name is not None and not isinstance(name, str):
        if not callable(name) and not isinstance(name, staticmethod | classmethod):
            require_name("pipeline", name)
        function, name = name, None
    calls = Pipeline(name, experiment, params, tags, run_id)
    return calls if function is None else calls(function)
