"""``mlotel.component(…)``: a component around a block of code, or around every call of a function."""

import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypeVar, overload

from mlotel import _current, _providers
from mlotel._guard import guard
from mlotel.errors import InvalidArgumentError
from mlotel.tracing.arguments import refuse_unknown, require_name
from mlotel.tracing.artifacts import Recorded
from mlotel.tracing.capture import PathWatch, Signature, arguments_of, members, result_of
from mlotel.tracing.components import Component, Idle, begun
from mlotel.tracing.declare import KEYWORDS, Declaration, declare
from mlotel.tracing.functions import Begin, Execution, wrap
from mlotel.tracing.opened import Opened

__all__ = ["ComponentCalls", "component"]

F = TypeVar("F", bound=Callable[..., Any])
CheckFunctions: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]]


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
            return _Call(begun(name, declaration), signature)

        return begin

    def __enter__(self) -> Component:
        if self._name is None:
            raise InvalidArgumentError(
                "component() as a context manager needs a name: with mlotel.component('clean') as c: …"
            )
        caller = sys._getframe(1)
        if not self._declaration.must_check and not _providers.is_listening():
            return self._open.add(caller, Idle(self._name))
        made = begun(self._name, self._declaration, caller)
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
        if type(made) is Idle:
            return
        if error is None:
            try:
                made._run_remaining_checks()
            except BaseException as failed:
                made._finish(failed)
                raise
        made._finish(error)


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
