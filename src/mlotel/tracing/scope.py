"""A span that user code runs in: what pipelines and components have in common.

A scope opens its span, makes itself current, and when the code ends says how: the error that passed through, how long
it took. It never touches the error itself.
"""

from collections.abc import Mapping
from contextvars import Token
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from mlotel import _clock, _providers, logs
from mlotel._guard import guard
from mlotel.semconv import attributes as names
from mlotel.semconv import events
from mlotel.tracing import attributes, failures
from mlotel.types import AttributeValue, LinkRecord, SpanRecord

SCOPE = "mlotel.tracing"
MAX_RECORDS = 5000  # spans of one run kept for its tree; beyond that the tree shows what it has

Records = list[SpanRecord]


def start_span(
    name: str,
    ctx: Context,
    attributes_at_start: dict[str, AttributeValue],
    start_ns: int,
    links: list[Link] | None = None,
) -> trace.Span:
    """Start a span of ours. Attributes are given at once, so that samplers see them."""
    return _providers.tracer(SCOPE).start_span(
        name,
        context=ctx,
        attributes=attributes_at_start,
        links=links,
        start_time=start_ns,
        record_exception=False,  # exceptions are log events: span events for them are deprecated
        set_status_on_exception=False,
    )


def span_name(word: str, name: str) -> str:
    """``word`` and a name of the user's, cleaned by ``attributes.text``, short enough for a list of spans."""
    return f"{word} {name if len(name) <= 200 else name[:199] + '…'}"


class _Inside(Context):
    """The context that runs inside a scope.

    Attributes:
        onto: Once the scope was closed while another was current: the context around it, which is to be current when
            that other one ends.
    """

    onto: Context | None = None


class Scope:
    """An open span with the code that runs in it.

    Args:
        outer: The scope around it.
        is_run: Whether it is a pipeline's, which knows what is open inside.

    Attributes:
        inside: The open scopes of the innermost pipeline that this one belongs to, by their ids, in the order they
            began; None outside pipelines.
        start_ns: Nanoseconds since 1970 of its start; ``monotonic_ns`` is the same on a clock that is never set.
    """

    __slots__ = (
        "__weakref__", "_among", "_left", "_params", "_seen", "_token", "attributes", "context", "elapsed_ns",
        "inside", "monotonic_ns", "name", "outer", "span", "start_ns",
    )  # fmt: skip

    def __init__(self, outer: "Scope | None", *, is_run: bool = False) -> None:
        self.outer = outer
        self._among = None if outer is None else outer.inside
        self.inside: dict[int, Scope] | None = {} if is_run else self._among
        self.attributes: dict[str, AttributeValue] = {}
        self.elapsed_ns = 0
        self._params = 0
        self._seen: list[failures.Place] | None = None
        self._token: Token[Context] | None = None
        self._left: Context | None = None

    def open(self, name: str, parent: Context, extra: dict[str, object]) -> None:
        """Start the span under ``parent``; ``extra`` is added to the context that runs inside."""
        self.name = name
        self.start_ns = _clock.wall_ns()
        self.monotonic_ns = _clock.monotonic_ns()
        self.span = start_span(name, parent, self.attributes, self.start_ns)
        span_key, span_value = _span_entry(self.span)
        self.context = _Inside({**parent, span_key: span_value, **extra})
        if self._among is not None:
            self._among[id(self)] = self

    def innermost(self) -> "Scope | None":
        """Of a pipeline: the scope inside that began last and is open, a component's or another pipeline's."""
        return next(iter(list((self.inside or {}).values())[-1:]), None)

    def open_unrecorded(self, extra: dict[str, object]) -> None:
        """Be current without a span: only ``attach`` and ``detach`` may follow."""
        self.context = _Inside({**context.get_current(), **extra})

    def attach(self) -> None:
        """Make the scope current."""
        self._token = context.attach(self.context)

    def detach(self) -> None:
        """Make current again what was before.

        Scopes may end in another order than they began (two generators with a component each), and in another
        execution context (a generator that is closed by another task, or by the garbage collector). A closed scope
        never stays current, and what is current elsewhere is left alone.
        """
        token, self._token = self._token, None
        if token is None:
            return
        before = context.get_current()
        if not _reset(token):
            return
        if before is not self.context:
            self.context.onto = context.get_current()
            if type(before) is _Inside and before.onto is None:  # that scope is still open: it stays current
                context.attach(before)
                return
        current = context.get_current()
        while type(current) is _Inside and current.onto is not None:
            current = current.onto
            context.attach(current)

    def resume(self) -> None:
        """Make current what was so when the code inside, a generator's body, was left."""
        self._token = context.attach(self._left or self.context)

    def suspend(self) -> None:
        """Leave the code inside for a while: what is around it is current again, for the consumer."""
        token, self._token = self._token, None
        left = context.get_current()
        if token is not None and _reset(token):
            self._left = left

    def set(self, values: dict[str, AttributeValue]) -> None:
        """Add attributes to the span."""
        if len(values) == 1:  # half the price of the other way
            for key, value in values.items():
                self.attributes[key] = value
                self.span.set_attribute(key, value)
        elif values:
            self.attributes.update(values)
            self.span.set_attributes(values)

    def set_params(self, values: Mapping[str, Any]) -> None:
        """Add params to the span."""
        self.span.set_attributes(self.add_params(values))

    def add_params(self, values: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Add params to the attributes, ``MAX_PARAMS`` in all: more would push the names out of the span."""
        found = attributes.params(names.ML_PARAM_TEMPLATE, values)
        new = [name for name in found if name not in self.attributes]
        room = attributes.MAX_PARAMS - self._params
        for name in new[room:]:
            del found[name]
        if len(new) > room:
            attributes.say_full(attributes.MAX_PARAMS)
        self._params += min(len(new), room)
        self.attributes.update(found)
        return found

    def close(self, error: BaseException | None, records: Records | None, *, is_root: bool = False) -> str | None:
        """End the span; returns ``error.type`` when ``error`` is a failure. The root of a run is kept always."""
        if self._among is not None:
            self._among.pop(id(self), None)
        self.elapsed_ns = _clock.monotonic_ns() - self.monotonic_ns
        end_ns = self.start_ns + self.elapsed_ns
        error_type, message = None, ""
        if error is not None and failures.is_failure(error):
            error_type = failures.type_of(error)
            message = failures.message_of(error)
            self.set({names.ERROR_TYPE: error_type})
            self.span.set_status(Status(StatusCode.ERROR, message or None))
            with guard("record an exception"):
                self._record_exception(error, error_type, message)
        self.span.end(end_time=end_ns)
        if records is not None:
            record = record_of(
                self.span,
                getattr(self.span, "parent", None),
                self.name,
                self.start_ns,
                end_ns,
                self.attributes,
                error_type is not None,
                message,
            )
            keep_record(records, record, always=is_root)
        return error_type

    def _record_exception(self, error: BaseException, error_type: str, message: str) -> None:
        """One event an exception object: the innermost scope emits it, and those around it know."""
        if logs.is_listening() and not failures.is_known(error, self._seen or ()):
            logs.emit(
                events.ML_EXCEPTION,
                f"{self.name} failed: {error_type}" + (f": {message}" if message else ""),
                {
                    names.EXCEPTION_TYPE: error_type,
                    names.EXCEPTION_MESSAGE: message,
                    names.EXCEPTION_STACKTRACE: failures.stacktrace_of(error),
                    **{key: value for key, value in self.attributes.items() if key in _IDENTIFYING},
                },
                self.context,
                severity="error",
            )
        place = failures.remember(error)
        if self.outer is not None and place is not None:
            if self.outer._seen is None:
                self.outer._seen = []
            del self.outer._seen[: -failures.MAX_KNOWN]  # a component that retries for days must not grow
            self.outer._seen.append(place)


_IDENTIFYING = frozenset({names.ML_RUN_ID, names.ML_PIPELINE_NAME, names.ML_COMPONENT_NAME})


def _reset(token: Token[Context]) -> bool:
    """Undo an attach; False where that is not possible, because it happened in another execution context."""
    variable = getattr(token, "var", None)
    if variable is None:  # OTEL_PYTHON_CONTEXT names something else than context variables
        context.detach(token)
        return True
    try:
        variable.reset(token)  # context.detach() would log a traceback for a token of another context
    except (ValueError, RuntimeError):
        return False
    return True


def _span_entry(span: trace.Span) -> tuple[str, object]:
    [(key, value)] = trace.set_span_in_context(span, _EMPTY).items()
    return key, value


_EMPTY = Context()


def keep_record(records: Records, record: SpanRecord, *, always: bool = False) -> None:
    """Keep ``record`` for the tree of its run, as long as there is room."""
    if always or len(records) < MAX_RECORDS:
        records.append(record)


def record_of(
    span: trace.Span,
    parent: SpanContext | None,
    name: str,
    start_ns: int,
    end_ns: int,
    values: dict[str, AttributeValue],
    failed: bool,
    message: str,
    links: tuple[LinkRecord, ...] = (),
) -> SpanRecord:
    """What the tree of a run needs to know of an ended span."""
    own = span.get_span_context()
    return SpanRecord(
        trace_id=trace.format_trace_id(own.trace_id),
        span_id=trace.format_span_id(own.span_id),
        parent_id=None if parent is None else trace.format_span_id(parent.span_id),
        name=name,
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=dict(values),
        status="error" if failed else "unset",
        message=message,
        links=links,
    )
