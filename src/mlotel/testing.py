"""Seeing in a test what your code records: the ``capture`` fixture of pytest, and ``capturing()`` without pytest.

Installing mlotel makes the fixture available. Spans, metrics and log events stay in memory, ids count up from one, the
clock is made of equal steps and no memory is measured (except with ``memory="trace"``), so the same test records the
same telemetry every time. What the SDK itself adds to metrics, their times, is the machine's.

Example::

    def test_clean_drops_outliers(capture):
        clean([1.0, 2.0, 999.0])

        [span] = capture.spans("component clean")
        assert capture.ml_attributes(span)["ml.removal.rows.outlier"] == 1
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlotel import _clock, _settings

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Capture", "Clock", "capturing"]

_HANDED_DOWN = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")


class Clock:
    """A clock that moves one step at every look.

    Attributes:
        now_ns: Nanoseconds since 1970 at the last look.
        step_ns: How far one look moves it.
    """

    def __init__(self, now_ns: int = 1_767_225_600_000_000_000, step_ns: int = 1_000_000) -> None:
        self.now_ns = now_ns
        self.step_ns = step_ns

    def look(self) -> int:
        """Move one step and return the time."""
        self.now_ns += self.step_ns
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self.now_ns += round(seconds * 1e9)


class Capture:
    """What was recorded so far.

    Attributes:
        clock: The clock of everything mlotel records meanwhile.
        tracer_provider: Gives tracers whose spans are captured too.
        meter_provider: Gives meters whose metrics are captured too.
        logger_provider: Gives loggers whose records are captured too.
    """

    def __init__(self) -> None:
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from opentelemetry.sdk.trace.id_generator import IdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class CountingIds(IdGenerator):
            """Ids that count up from one."""

            def __init__(self) -> None:
                self.trace = self.span = 0

            def generate_trace_id(self) -> int:
                self.trace += 1
                return self.trace

            def generate_span_id(self) -> int:
                self.span += 1
                return self.span

        self.clock = Clock()
        resource = Resource({"service.name": "test"})
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # not annotated in the SDK
        self._reader = InMemoryMetricReader()
        self.tracer_provider: TracerProvider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=CountingIds(), shutdown_on_exit=False
        )
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider: MeterProvider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
        self.logger_provider: LoggerProvider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    def spans(self, name: str | None = None) -> "list[ReadableSpan]":
        """Ended spans in the order in which they ended; with ``name``, those called exactly that."""
        return [span for span in self._spans.get_finished_spans() if name is None or span.name == name]

    def span(self, name: str) -> "ReadableSpan":
        """The one ended span called ``name``.

        Raises:
            AssertionError: If there is none, or more than one; says which spans there are.
        """
        found = self.spans(name)
        if len(found) != 1:
            have = ", ".join(repr(span.name) for span in self.spans()) or "none"
            raise AssertionError(f"{len(found)} spans are called {name!r}; ended spans: {have}")
        return found[0]

    def events(self, name: str | None = None) -> "list[ReadableLogRecord]":
        """Log records in order; with ``name``, those with this event name."""
        records = self._logs.get_finished_logs()
        return [record for record in records if name is None or record.log_record.event_name == name]

    def metrics(self, name: str) -> list[Any]:
        """Data points of the metric ``name``, one a set of attributes; cumulative since the beginning."""
        return [point for metric in self._metrics() if metric.name == name for point in metric.data.data_points]

    def metric_names(self) -> set[str]:
        """Names of the metrics recorded so far."""
        return {metric.name for metric in self._metrics()}

    def metric(self, name: str, **attributes: Any) -> Any:
        """Value of the one data point of ``name`` that has ``attributes`` (``_`` for ``.`` in their names).

        A counter or gauge gives its value, a histogram its sum.

        Raises:
            AssertionError: If there is none, or more than one.
        """
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        points = [p for p in self.metrics(name) if all((p.attributes or {}).get(k) == v for k, v in wanted.items())]
        if len(points) != 1:
            have = [dict(point.attributes or {}) for point in self.metrics(name)]
            raise AssertionError(f"{len(points)} points of {name!r} have {wanted}; there are: {have}")
        return points[0].value if hasattr(points[0], "value") else points[0].sum

    @staticmethod
    def ml_attributes(recorded: "ReadableSpan | ReadableLogRecord") -> dict[str, Any]:
        """Attributes of a span or log record whose keys begin with ``ml.``; tuples as lists."""
        holder: Any = getattr(recorded, "log_record", recorded)
        attributes = holder.attributes or {}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in attributes.items()
            if key.startswith("ml.")
        }

    def _metrics(self) -> Iterator[Any]:
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                yield from scope.metrics

    def shutdown(self) -> None:
        """End the providers."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()


def _replacements(
    clock: Clock, capture_values: bool, redact: Callable[[str], str] | None
) -> Iterator[tuple[ModuleType, str, Any]]:
    """What depends on the machine or on chance, and what comes instead."""
    from mlotel.artifacts import _refs
    from mlotel.tracing import artifacts, audit, context, held, lineage, runs, usage

    run_ids, ref_ids, cpu = count(1), count(1), Clock(now_ns=0)
    yield _clock, "wall_ns", clock.look
    yield _clock, "monotonic_ns", clock.look
    yield usage, "cpu_ns", cpu.look
    yield usage, "process_peak", lambda: 0
    yield runs, "new_run_id", lambda: f"{next(run_ids):032x}"
    yield artifacts, "new_digits", lambda: f"{next(ref_ids):032x}"
    yield audit, "words", lambda: ("test",)
    yield audit, "libraries", dict  # which are loaded depends on the tests before
    yield artifacts, "this_process", lambda: "localhost/1"
    yield lineage, "memory", lineage.Memory()
    yield lineage, "is_test", True
    yield held, "waits", lambda: False
    yield lineage, "open_index", lambda: None  # tests neither read nor write the user's index
    yield lineage, "_index", None
    yield lineage, "_is_index_open", False
    yield context, "_from_environment", None
    yield _refs, "_known", {}
    yield _refs, "new_digits", lambda: f"{next(ref_ids):032x}"
    yield _settings, "current", _settings.Settings(capture_values=capture_values, redact=redact)
    yield _settings, "_disabled", False


@contextlib.contextmanager
def capturing(*, capture_values: bool = False, redact: Callable[[str], str] | None = None) -> Iterator[Capture]:
    """Keep in memory what mlotel records meanwhile, whatever providers are set, and send it nowhere.

    What surrounds it, a current span, a ``TRACEPARENT`` in the environment or an artifact that was written earlier,
    does not reach inside. Files that are written meanwhile say that a test has written them: inside they are known
    again, and elsewhere nobody believes them.

    Args:
        capture_values: As in ``mlotel.configure``.
        redact: As in ``mlotel.configure``.

    Example:
        >>> import mlotel, mlotel.testing
        >>> with mlotel.testing.capturing() as capture:
        ...     with mlotel.component("clean") as c:
        ...         c.removed(3, reason="missing")
        >>> capture.ml_attributes(capture.span("component clean"))["ml.removal.rows.missing"]
        3
    """
    from opentelemetry import context

    from mlotel import _providers

    capture = Capture()
    handed_down = {name: os.environ.pop(name) for name in _HANDED_DOWN if name in os.environ}
    replaced = []
    for module, name, value in _replacements(capture.clock, capture_values, redact):
        replaced.append((module, name, getattr(module, name)))
        setattr(module, name, value)
    providers = _providers.use(
        _providers.Providers(capture.tracer_provider, capture.meter_provider, capture.logger_provider)
    )
    token = context.attach(context.Context())
    try:
        yield capture
    finally:
        context.detach(token)
        _providers.use(providers)
        for module, name, value in replaced:
            setattr(module, name, value)
        os.environ.update(handed_down)
        capture.shutdown()


try:
    import pytest
except ImportError:  # capturing() works without pytest
    pass
else:

    @pytest.fixture
    def capture() -> Iterator[Capture]:
        """What the code under test records: see ``mlotel.testing.Capture``."""
        with capturing() as captured:
            yield captured
