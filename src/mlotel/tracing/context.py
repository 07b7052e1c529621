"""Carrying the current run and component to where Python does not: pools, other processes."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mlotel import _settings
from mlotel._guard import guard
from mlotel.errors import InvalidTypeError

__all__ = ["carry", "environment", "extract", "inject", "parent_context"]

P = ParamSpec("P")
R = TypeVar("R")

# Written out rather than taken from OTEL_PROPAGATORS: the environment form is TRACEPARENT, TRACESTATE and BAGGAGE.
_PROPAGATORS = (TraceContextTextMapPropagator(), W3CBaggagePropagator())
_NAMES = ("traceparent", "tracestate", "baggage")

_from_environment: tuple[str | None, Context] | None = None


def inject(ctx: Context) -> dict[str, str]:
    """Trace, span and baggage of ``ctx``, in words that another process understands."""
    headers: dict[str, str] = {}
    for propagator in _PROPAGATORS:
        propagator.inject(headers, context=ctx)
    return headers


def extract(headers: Mapping[str, str]) -> Context:
    """The context that ``inject`` was given, as far as it goes from process to process."""
    ctx = Context()
    for propagator in _PROPAGATORS:
        ctx = propagator.extract(headers, context=ctx)
    return ctx


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for a child process that belongs to the current run.

    Args:
        base: Environment to start from; the one of this process by default.

    Returns:
        A copy of ``base`` with ``TRACEPARENT``, ``TRACESTATE`` and ``BAGGAGE`` of the current context. A child that
        uses mlotel, or any tool that reads ``TRACEPARENT``, continues this trace; mlotel also joins the run.

    Example:
        >>> import subprocess, sys, mlotel
        >>> with mlotel.pipeline("nightly"):
        ...     done = subprocess.run([sys.executable, "-c", "pass"], env=mlotel.environment())
    """
    result = dict(os.environ if base is None else base)
    with guard("prepare the environment of a child process"):
        ctx = parent_context()
        for name in _NAMES:
            result.pop(name.upper(), None)
        result.update({name.upper(): value for name, value in inject(ctx).items()})
    return result


def parent_context() -> Context:
    """The context that a new span belongs to: the current one, else the one that the parent process handed down."""
    current = context.get_current()
    if trace.get_current_span(current).get_span_context() != trace.INVALID_SPAN_CONTEXT:
        return current
    inherited = _inherited()
    if not inherited:
        return current
    merged = Context({**inherited, **current})
    span = trace.get_current_span(inherited)
    if span is not trace.INVALID_SPAN:  # the current one is invalid, a no-op tracer's: it must not hide this one
        merged = trace.set_span_in_context(span, merged)
    for name, value in baggage.get_all(inherited).items():
        if baggage.get_baggage(name, current) is None:
            merged = baggage.set_baggage(name, value, merged)
    return merged


def _inherited() -> Context:
    """Context in ``TRACEPARENT``, ``TRACESTATE`` and ``BAGGAGE``; read again only when the first of them changes."""
    global _from_environment
    known, trace_parent = _from_environment, os.environ.get("TRACEPARENT")
    if known is None or known[0] != trace_parent:
        headers = {name: value for name in _NAMES if (value := os.environ.get(name.upper()))}
        known = _from_environment = (trace_parent, extract(headers) if headers else Context())
    return known[1]


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Bind ``function`` to the current run and component, for pools of threads and of processes.

    Python's threads and pools start with an empty context, so what runs in them would belong to no run. The bound
    function can be pickled when ``function`` can; in a worker process it also sets mlotel up as here.

    Args:
        function: Any callable; of a coroutine function, what its coroutine does is bound as well.

    Returns:
        A callable with the same signature.

    Raises:
        InvalidTypeError: If ``function`` cannot be called.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> import mlotel
        >>> with mlotel.pipeline("score"), ThreadPoolExecutor(2) as pool:
        ...     list(pool.map(mlotel.carry(abs), [-1, 2]))
        [1, 2]
    """
    if not callable(function):
        raise InvalidTypeError(
            f"carry() got {type(function).__qualname__}, which cannot be called. Pass the function itself: "
            "pool.map(mlotel.carry(work), items)."
        )
    return cast("Callable[P, R]", _Carried(function, parent_context()))


class _Carried:
    """A function and the context that it runs in."""

    def __init__(self, function: Callable[..., Any], ctx: Context) -> None:
        self._function = function
        self._context = ctx
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return self._awaited(args, kwargs)
        token = context.attach(self._context)
        try:
            return self._function(*args, **kwargs)
        finally:
            context.detach(token)

    async def _awaited(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        token = context.attach(self._context)
        try:
            return await self._function(*args, **kwargs)
        finally:
            context.detach(token)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self._function, inject(self._context), _settings.current.restore)


def _arrive(
    function: Callable[..., Any], headers: dict[str, str], restore: tuple[Callable[[Any], None], Any] | None
) -> _Carried:
    """Unpickle in a worker process: set mlotel up as in the process that sent the function, then join its run."""
    if restore is not None:
        with guard("set mlotel up in a worker process"):
            restore[0](restore[1])
    return _Carried(function, extract(headers))
