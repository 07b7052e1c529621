"""``mlotel.read``, ``write``, ``removed`` and ``param``: what is said of whatever component is current."""

from typing import Any, NoReturn, TypeVar, cast

from opentelemetry import context
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span

from mlotel import _current, _providers
from mlotel._guard import guard
from mlotel.tracing.arguments import refuse_unknown
from mlotel.tracing.artifacts import (
    Role,
    count_rows_of,
    labels_in,
    record,
)
from mlotel.tracing.components import Component, Idle, require_artifact
from mlotel.tracing.context import parent_context
from mlotel.tracing.runs import Run

__all__ = ["param", "read", "removed", "write"]

T = TypeVar("T")


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
    require_artifact(call, name, uri, kind, made_by)
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


_NOWHERE = Idle("")
