"""What the running code belongs to: the current run and the current component, kept in OpenTelemetry's context."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from opentelemetry import baggage, context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

from mlotel.semconv.attributes import ML_RUN_ID

RUN = context.create_key("mlotel-run")
COMPONENT = context.create_key("mlotel-component")
RUN_ID_BAGGAGE = ML_RUN_ID

_SILENCE = (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")
"""What ``suppress_instrumentation()`` sets: the key that the API creates and, for older code, the plain word."""


class HasRunId(Protocol):
    """What the current run lets others ask."""

    @property
    def id(self) -> str:
        """The run's id."""
        ...


class HasName(Protocol):
    """What the current component lets others ask."""

    @property
    def name(self) -> str:
        """The component's name."""
        ...


def run_id(ctx: Context | None = None) -> str | None:
    """Id of the run that ``ctx`` (default: the current context) belongs to, also one that began in another process."""
    run: HasRunId | None = context.get_value(RUN, ctx)  # type: ignore[assignment]  # only tracing writes this key
    if run is not None:
        return run.id
    inherited = baggage.get_baggage(RUN_ID_BAGGAGE, ctx)
    return inherited if isinstance(inherited, str) and inherited else None


def component_name(ctx: Context | None = None) -> str | None:
    """Name of the component that ``ctx`` (default: the current context) is in."""
    component: HasName | None = context.get_value(COMPONENT, ctx)  # type: ignore[assignment]  # as above
    return None if component is None else component.name


def silent() -> Context:
    """The current context, with nothing to be recorded in it: what ``suppress_instrumentation()`` makes current."""
    # That function is in opentelemetry.instrumentation.utils, which takes longer to import than the SDK's spans: it
    # loads wrapt, which loads asyncio.
    ctx = context.get_current()
    for key in _SILENCE:
        ctx = context.set_value(key, True, ctx)
    return ctx


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """``suppress_instrumentation()`` for our own code; see ``silent``."""
    token = context.attach(silent())
    try:
        yield
    finally:
        context.detach(token)


def is_suppressed(ctx: Context) -> bool:
    """Whether the host asked for silence with ``suppress_instrumentation()``."""
    return any(ctx.get(key) for key in _SILENCE)
