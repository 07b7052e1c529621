"""The global providers: the host application's where it has set some, ours, set once, where it has not.

Providers cannot be replaced once they are set. Ours therefore stay for good, and hold switches: what is behind them
changes with each ``configure()`` and is empty after ``shutdown()``.
"""

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from mlotel._setup._resource import LiveResource
from mlotel.export._collect import Collector
from mlotel.export._queue import Queue
from mlotel.semconv import events
from mlotel.semconv import metrics as specs
from mlotel.semconv import spans as span_words
from mlotel.semconv._spec import MetricSpec
from mlotel.types import Signal

_GET: dict[Signal, Callable[[], Any]] = {
    "traces": trace.get_tracer_provider,
    "metrics": metrics.get_meter_provider,
    "logs": _logs.get_logger_provider,
}
_SET: dict[Signal, Callable[[Any], None]] = {
    "traces": trace.set_tracer_provider,
    "metrics": metrics.set_meter_provider,
    "logs": _logs.set_logger_provider,
}

FlushSignal = Callable[[Signal, float], bool]

_PROMPT = (f"{span_words.PIPELINE} ", f"{span_words.HEARTBEAT} ")
"""Spans that do not wait for a batch: the end of a run is what people look for next, perhaps in another terminal."""
_URGENT = frozenset({events.ML_RUN_STARTED, events.ML_RUN_HEARTBEAT})
"""Events that leave at once, so that a run that is killed has left a trace of itself, up to its last minute."""


class SpanSwitch(SpanProcessor):
    """Passes ended, sampled spans to the queue of the moment."""

    def __init__(self, flush: FlushSignal) -> None:
        self.queue: Queue | None = None
        self._flush = flush

    def on_end(self, span: ReadableSpan) -> None:
        """Put ``span`` into the queue; never waits."""
        queue = self.queue
        if queue is not None and span.context is not None and span.context.trace_flags.sampled:
            queue.put(span, urgent=span.name.startswith(_PROMPT))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver the spans; for whoever holds the provider and not the ``Telemetry``."""
        return self._flush("traces", timeout_millis / 1000)

    def shutdown(self) -> None:
        """Deliver the spans. Ours is the only shutdown: the provider lives on for the next ``configure()``."""
        self._flush("traces", 5.0)


class LogSwitch(LogRecordProcessor):
    """Passes log records to the queue of the moment, a few events at once."""

    def __init__(self, flush: FlushSignal) -> None:
        self.queue: Queue | None = None
        self._flush = flush

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Put a copy that cannot change any more into the queue; never waits."""
        queue = self.queue
        if queue is None:
            return
        record = copy.copy(log_record.log_record)
        record.context = Context()  # ids are in the record; the context may hold large objects
        readable = ReadableLogRecord(
            log_record=record,
            resource=resource if log_record.resource is None else log_record.resource,
            instrumentation_scope=log_record.instrumentation_scope,
            limits=log_record.limits,
        )
        queue.put(readable, urgent=record.event_name in _URGENT)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver the records."""
        return self._flush("logs", timeout_millis / 1000)

    def shutdown(self) -> None:
        """Deliver the records; see ``SpanSwitch.shutdown``."""
        self._flush("logs", 5.0)


class LastingMeterProvider(MeterProvider):
    """A meter provider that outlives ``shutdown``: the SDK's gives no meters afterwards."""

    def __init__(self, flush: FlushSignal, **arguments: Any) -> None:
        super().__init__(shutdown_on_exit=False, **arguments)
        self._flush_signal = flush
        self._reader: Collector | None = None
        self._exchanging = threading.Lock()

    def exchange(self, reader: Collector | None) -> None:
        """Let ``reader`` collect in place of the one before, all sums starting at zero."""
        with self._exchanging:
            if self._reader is not None:
                self._reader.leave(self)
            self._reader = reader
            if reader is not None:
                self.add_metric_reader(reader)

    def restart(self) -> None:
        """In a forked child: an exchange in progress was the parent's."""
        self._exchanging = threading.Lock()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Collect and deliver."""
        return self._flush_signal("metrics", timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Collect and deliver; see ``SpanSwitch.shutdown``."""
        self._flush_signal("metrics", min(timeout_millis / 1000, 5.0))


def _no_flush(signal: Signal, timeout_s: float) -> bool:
    return True


_flush: FlushSignal = _no_flush
_look_up: Callable[[], Mapping[str, Any]] = dict
resource = LiveResource(lambda: _look_up())
spans = SpanSwitch(lambda signal, timeout_s: _flush(signal, timeout_s))
logs = LogSwitch(lambda signal, timeout_s: _flush(signal, timeout_s))
_own: dict[Signal, Any] = {}
_lock = threading.Lock()


def use(look_up: Callable[[], Mapping[str, Any]] | None, flush: FlushSignal | None) -> None:
    """Put another resource and another way to flush behind our providers; None keeps the one and flushes nothing."""
    global _look_up, _flush
    _look_up, _flush = look_up or _look_up, flush or _no_flush


def host(signal: Signal) -> Any | None:
    """The provider that the host application has set for ``signal``; None where there is none, or it is ours."""
    current = _current(signal)
    return None if current is None or current is _own.get(signal) else current


def provide(signal: Signal) -> Any | None:
    """See to it that ``signal`` has a global provider.

    Returns:
        The host application's provider, or None where it is ours.
    """
    with _lock:
        current = _current(signal)
        if current is not None:
            return None if current is _own.get(signal) else current
        own = _own.get(signal) or _make(signal)
        _SET[signal](own)
        current = _current(signal)
        if current is not own:  # somebody was faster
            return current
        _own[signal] = own
        return None


def meter_provider() -> LastingMeterProvider | None:
    """Our meter provider, where metrics are ours."""
    return _own.get("metrics")


def restart() -> None:
    """In a forked child: locks that may have been copied locked are made anew."""
    global _lock
    _lock = threading.Lock()
    provider = meter_provider()
    if provider is not None:
        provider.restart()


def _current(signal: Signal) -> Any | None:
    """The global provider; None for the proxy that stands for one not yet set."""
    provider = _GET[signal]()
    kind = type(provider)
    is_proxy = kind.__module__.startswith("opentelemetry.") and kind.__name__.lstrip("_").startswith("Proxy")
    return None if is_proxy else provider


def _make(signal: Signal) -> Any:
    if signal == "traces":
        # No sampler is named: the SDK's own default keeps every root and follows the parent, or OTEL_TRACES_SAMPLER.
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(spans)
        return tracers
    if signal == "logs":
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(logs)
        return loggers
    return LastingMeterProvider(lambda signal, timeout_s: _flush(signal, timeout_s), resource=resource, views=_views())


def _views() -> list[View]:
    return [
        View(instrument_name=spec.name, aggregation=ExponentialBucketHistogramAggregation())
        for spec in vars(specs).values()
        if isinstance(spec, MetricSpec) and spec.exponential
    ]
