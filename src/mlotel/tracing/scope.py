"""A span that user code runs in: what pipelines and components have in common.

A scope opens its span, makes itself current, and when the code ends says how: the error that passed through, how long
it took. It never touches the error itself.
"""

import traceback
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from mlotel import _clock, _providers, logs
from mlotel._guard import describe_error, guard
from mlotel.semconv import attributes as names
from mlotel.semconv import events
from mlotel.tracing import attributes
from mlotel.types import AttributeValue, LinkRecord, SpanRecord

SCOPE = "mlotel.tracing"
MAX_STACKTRACE = 16_384
MAX_RECORDS = 5000  # spans of one run kept for its tree; beyond that the tree shows what it has

Records = list[SpanRecord]
_Mark = tuple[int, int, int]


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
    """``word`` and a name of the user's, short enough for a list of spans."""
    return f"{word} {name if len(name) <= 200 else name[:199] + '…'}"


class Scope:
    """An open span with the code that runs in it."""

    __slots__ = ("_attached", "_mark", "_monotonic", "attributes", "context", "elapsed_ns", "outer", "span", "start_ns")

    def __init__(self, outer: "Scope | None") -> None:
        self.outer = outer
        self.attributes: dict[str, AttributeValue] = {}
        self.elapsed_ns = 0
        self._mark: _Mark | None = None
        self._attached: Any = None

    def open(self, name: str, parent: Context, extra: dict[str, object], *, start_ns: int | None = None) -> None:
        """Start the span under ``parent``; ``extra`` is added to the context that runs inside."""
        self.start_ns = _clock.wall_ns() if start_ns is None else start_ns
        self._monotonic = _clock.monotonic_ns()
        self.span = start_span(name, parent, self.attributes, self.start_ns)
        span_key, span_value = _span_entry(self.span)
        self.context = Context({**parent, span_key: span_value, **extra})

    def attach(self) -> None:
        """Make the scope current."""
        self._attached = context.attach(self.context)

    def detach(self) -> None:
        """Make current again what was before. Does nothing in a context that the scope was not attached in."""
        token, self._attached = self._attached, None
        # A generator that is closed elsewhere, or a task of another loop, has a context of its own: the SDK would log
        # a traceback for a token of another context, and there is nothing to undo there.
        if token is not None and context.get_current() is self.context:
            context.detach(token)

    def set(self, values: dict[str, AttributeValue]) -> None:
        """Add attributes to the span."""
        if values:
            self.attributes.update(values)
            self.span.set_attributes(values)

    def close(self, word: str, name: str, error: BaseException | None, records: Records | None) -> str | None:
        """End the span; returns ``error.type`` when ``error`` is a failure."""
        self.elapsed_ns = _clock.monotonic_ns() - self._monotonic
        end_ns = self.start_ns + self.elapsed_ns
        error_type, message = None, ""
        if error is not None and is_failure(error):
            error_type = attributes.qualified(type(error))
            message = attributes.text(describe_error(error))
            self.set({names.ERROR_TYPE: error_type})
            self.span.set_status(Status(StatusCode.ERROR, message))
            with guard("record an exception"):
                self._record_exception(word, name, error, error_type, message)
        self.span.end(end_time=end_ns)
        if records is not None and (len(records) < MAX_RECORDS or self.outer is None):
            records.append(self._record(span_name(word, name), end_ns, error_type is not None, message))
        return error_type

    def _record_exception(self, word: str, name: str, error: BaseException, error_type: str, message: str) -> None:
        """One event an exception object: the innermost scope emits it and marks the scopes around it."""
        if not self._has_seen(error):
            logs.emit(
                events.ML_EXCEPTION,
                f"{word} {name} failed: {error_type}: {message}",
                {
                    names.EXCEPTION_TYPE: error_type,
                    names.EXCEPTION_MESSAGE: message,
                    names.EXCEPTION_STACKTRACE: attributes.text(_stacktrace(error), MAX_STACKTRACE),
                    **{key: value for key, value in self.attributes.items() if key in _IDENTIFYING},
                },
                self.context,
                severity="error",
            )
        if self.outer is not None:
            self.outer._mark = _mark(error)

    def _has_seen(self, error: BaseException) -> bool:
        """Whether a scope inside this one has recorded this very exception.

        The exception must not be changed, and keeping it would keep its frames and their data alive. Its id can be
        used again once it is gone; but then its traceback does not lead through the place where the inner scope saw it.
        """
        if self._mark is None or self._mark[0] != id(error):
            return False
        step = error.__traceback__
        while step is not None:
            if (id(step.tb_frame.f_code), step.tb_lasti) == self._mark[1:]:
                return True
            step = step.tb_next
        return False

    def _record(self, name: str, end_ns: int, failed: bool, message: str) -> SpanRecord:
        return record_of(
            self.span, self.context_of_parent(), name, self.start_ns, end_ns, self.attributes, failed, message
        )

    def context_of_parent(self) -> SpanContext | None:
        """Span context of the span around this one, as far as the SDK tells."""
        return getattr(self.span, "parent", None)


_IDENTIFYING = frozenset({names.ML_RUN_ID, names.ML_PIPELINE_NAME, names.ML_COMPONENT_NAME})


def _span_entry(span: trace.Span) -> tuple[str, object]:
    [(key, value)] = trace.set_span_in_context(span, _EMPTY).items()
    return key, value


_EMPTY = Context()


def is_failure(error: BaseException) -> bool:
    """Whether ``error`` means that something went wrong: leaving a generator early or ``sys.exit(0)`` does not."""
    if isinstance(error, GeneratorExit):
        return False
    return not (isinstance(error, SystemExit) and (error.code is None or (type(error.code) is int and error.code == 0)))


def _mark(error: BaseException) -> _Mark | None:
    head = error.__traceback__
    return None if head is None else (id(error), id(head.tb_frame.f_code), head.tb_lasti)


def _stacktrace(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
    except Exception:  # an exception whose own methods fail; its frames still tell where
        lines = traceback.format_tb(error.__traceback__)
    joined = "".join(lines)
    # The end of a traceback says what happened, so a cut takes the beginning.
    return joined if len(joined) <= MAX_STACKTRACE else "… [cut]\n" + joined[-MAX_STACKTRACE + 8 :]


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
