"""Puts the parts together: from settings to providers, queues and targets."""

import contextlib
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import metrics
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation

from mlotel import _guard, _providers, _settings
from mlotel._setup import _environment, _globals
from mlotel._setup._options import Options, Route, spool_folder
from mlotel._setup._resource import Facts
from mlotel._setup._telemetry import Spool, Telemetry
from mlotel._version import __version__
from mlotel.export import _counters, _listen
from mlotel.export._account import Account
from mlotel.export._breaker import Breaker
from mlotel.export._collect import Collector
from mlotel.export._explain import bare
from mlotel.export._ledger import SIGNALS, Ledger
from mlotel.export._outcome import Outcome, Target
from mlotel.export._pending import Pending
from mlotel.export._queue import Keep, Limits, Queue
from mlotel.export._recovery import Lane, Recovery
from mlotel.export._secrets import hidden, secrets_of
from mlotel.export.delivery import Delivery
from mlotel.export.spool import MAX_TOTAL_BYTES, SpoolTarget, SpoolWriter
from mlotel.semconv import attributes as names
from mlotel.types import Signal, SpanRecord

_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Active:
    """Everything behind one ``Telemetry``."""

    options: Options
    telemetry: Telemetry
    delivery: Delivery
    facts: Facts
    hosts: Mapping[Signal, Any]
    queues: Mapping[Signal, Queue]
    folder: Path | None

    def before_fork(self) -> None:
        """See ``Delivery.before_fork``."""
        self.delivery.before_fork()

    def after_fork_in_parent(self) -> None:
        """See ``Delivery.after_fork_in_parent``."""
        self.delivery.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start at zero: empty queues, counts, metric sums, a file, connections and an instance id of its own."""
        self.telemetry.restart()
        self.facts.restart()
        collector = _collector(self.queues)
        self.delivery.after_fork_in_child(collector)
        if collector is not None:
            _exchange(collector)


def assemble(
    options: Options,
    *,
    release: Callable[[], None],
    service_name: str | None = None,
    folder: Path | None = None,
    leave_out: Collection[Signal] = (),
) -> Active:
    """Set up what ``options`` say, and let records flow.

    Args:
        options: Checked settings.
        release: Called when the ``Telemetry`` has shut down.
        service_name: Wins over the one in ``options``: that of the parent of a worker process.
        folder: Folder of the spool; None takes it from ``options``.
        leave_out: Signals that are not recorded.

    Raises:
        Exception: Whatever an exporter says about its settings. No provider has been set then.
    """
    facts = Facts(service_name or options.service_name, options.redact)
    folder = folder or spool_folder(options)
    ledger = Ledger()
    routes = {signal: options.routes[signal] for signal in SIGNALS if signal not in leave_out}
    used = {signal: route for signal, route in routes.items() if route.kind != "none" or route.is_printed}
    hosts = {signal: host for signal in routes if (host := _globals.host(signal)) is not None}
    parts = _Parts(facts, ledger, folder)
    queues = {signal: parts.queue(signal, route) for signal, route in used.items() if signal not in hosts}

    for signal in list(queues):  # from here on nothing fails
        host = _globals.provide(signal)
        if host is not None:  # set by another thread a moment ago
            hosts[signal] = host
            del queues[signal]
            parts.pending.pop(signal, None)
    collector = _collector(queues)
    shown = {signal: _shown(signal, used, hosts) for signal in SIGNALS}
    spool = parts.spool()
    delivery = Delivery(queues, collector, ledger, parts.pending, parts.recovery(), parts.account(spool, shown, used))
    telemetry = Telemetry(
        facts.service_name,
        shown,
        ledger=ledger,
        delivery=delivery,
        spool=spool,
        hosts=hosts,
        resource=facts.attributes,
        stop_recording=_stop_recording,
        release=release,
    )
    _listen.install()
    _globals.use(facts.attributes, lambda signal, timeout_s: delivery.flush(timeout_s, (signal,)))
    _globals.spans.queue, _globals.logs.queue = queues.get("traces"), queues.get("logs")
    if collector is not None:
        _exchange(collector)
    if "metrics" in queues or "metrics" in hosts:
        _counters.watch(ledger, metrics.get_meter(_counters.SCOPE, __version__))
    _providers.forget()
    _settings.current.capture_values = options.capture_values
    _settings.current.redact = options.redact
    delivery.begin()
    return Active(options, telemetry, delivery, facts, hosts, queues, folder)


def dismantle() -> None:
    """Put everything back to what it was before ``assemble``, but for the providers, which stay."""
    _listen.remove()
    _exchange(None)
    _counters.watch(None, None)
    _globals.use(None, None)
    settings = _settings.current
    settings.capture_values, settings.redact, settings.on_run_end, settings.restore = False, None, None, None


def printer(active: Active) -> Callable[[list[SpanRecord]], None] | None:
    """What prints the tree of a run at its end; None where nobody would read it."""
    is_terminal = getattr(sys.stderr, "isatty", None)  # standard error may be closed, or any object
    if active.options.is_quiet or is_terminal is None or not is_terminal():
        return None

    return partial(print_tree, active)


def print_tree(active: Active, spans: list[SpanRecord], *, no_colour: bool = False) -> None:
    """Print the tree of a run that has ended to standard error, and where its record is."""
    with _guard.guard("print the tree of a run"):
        from mlotel.terminal import print_run

        if sys.stderr is None:
            return
        where, lost = _where(active)
        facts = active.facts.attributes()
        shown = [replace(span, resource=facts) for span in spans]
        print_run(shown, where=where, lost=lost, stream=sys.stderr, no_colour=no_colour)


def _where(active: Active) -> tuple[str | None, int | None]:
    """Where the spans of a run are, for people, and how many were lost on the way; None while they are under way."""
    route = active.options.routes["traces"]
    if "traces" not in active.queues or route.kind == "none":
        return None, 0
    is_delivered = active.delivery.flush(1.0, ("traces", "logs"))  # only then is it certain where they are
    folder = active.telemetry.spool_folder
    if route.kind == "otlp" and not active.delivery.kept("traces"):
        lost = active.delivery.lost("traces")
        return bare(route.endpoint).removesuffix("/v1/traces"), lost if lost or is_delivered else None
    return (active.options.spool if folder == active.folder else str(folder)), 0


class _AfterFacts:
    """A target whose first batch waits until it is known where the code comes from."""

    def __init__(self, facts: Facts, target: Target) -> None:
        self._facts = facts
        self._target = target
        self.hurry = target.hurry
        self.interrupt = target.interrupt
        self.close = target.close
        self.restart = target.restart

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        self._facts.settle()
        return self._target(batch)


class _Parts:
    """Makes the targets of one ``assemble``, and keeps what they share."""

    def __init__(self, facts: Facts, ledger: Ledger, folder: Path | None) -> None:
        self._facts = facts
        self._ledger = ledger
        self._folder = folder
        self._writer: SpoolWriter | None = None
        self._lanes: dict[Signal, Lane] = {}
        self._recovery: Recovery | None = None
        self._breakers: dict[Signal, Breaker] = {}
        self.pending: dict[Signal, Pending] = {}
        self._disk: dict[str, Any] = {
            "is_synced": _environment.one_of("MLOTEL_SPOOL_FSYNC", ("batch", "off")) == "batch",
            "max_total_bytes": int(_environment.number("MLOTEL_SPOOL_MAX_BYTES", MAX_TOTAL_BYTES, at_least=10_000)),
        }

    def queue(self, signal: Signal, route: Route) -> Queue:
        """The queue of one signal, with all that is behind it."""
        keep: Keep | None = None
        place = ""
        target: Target | None = None
        if route.kind == "otlp":
            target = self._otlp(signal, route)
            keep, place = self.pending.get(signal), urlsplit(route.endpoint).netloc or route.endpoint
        elif route.kind == "spool" and self._folder is not None:
            if self._writer is None:
                self._writer = SpoolWriter(self._folder, **self._disk)
            target = SpoolTarget(signal, self._writer, self._ledger)
        if route.is_printed or target is None:
            from mlotel.export.console import ConsoleTarget

            target = ConsoleTarget(signal, beside=target)
        return Queue(signal, _AfterFacts(self._facts, target), self._ledger, _limits(signal), keep, place)

    def recovery(self) -> Recovery | None:
        """What delivers the records that wait; None where none can wait."""
        lanes = {signal: lane for signal, lane in self._lanes.items() if signal in self.pending}
        self._recovery = Recovery(lanes) if lanes else None
        return self._recovery

    def spool(self) -> Spool | None:
        """The files of this process, as ``Telemetry`` shows them."""
        found: list[SpoolWriter | Pending] = [*([self._writer] if self._writer is not None else [])]
        found += self.pending.values()
        return Spool(found) if found else None

    def account(
        self, spool: Spool | None, endpoints: Mapping[Signal, str], routes: Mapping[Signal, Route]
    ) -> Account | None:
        """What tells ``mlotel doctor`` what became of the records; None without a spool, beside whose files it is."""
        if spool is None:
            return None
        secrets = {value for route in routes.values() for value in secrets_of(route.endpoint, route.headers)}
        name = str(self._facts.attributes().get(names.SERVICE_NAME, self._facts.service_name))
        hide = partial(hidden, secrets=secrets)
        return Account(lambda: spool.folder, self._ledger, name, endpoints, self._breakers, hide)

    def _otlp(self, signal: Signal, route: Route) -> Target:
        # Slow to import, hence here, and not later: replay defines dataclasses, which run text as code, and CPython
        # would forget at the end of a program that a KeyboardInterrupt had ended it.
        from mlotel.export import replay as replay
        from mlotel.export.otlp import OtlpTarget, sender

        breaker, timeout_s = Breaker(), _timeout_s(signal)
        self._breakers[signal] = breaker
        open_one = partial(sender, signal, route.endpoint, route.protocol, route.headers)
        if self._folder is not None:
            self.pending[signal] = Pending(signal, self._folder, self._ledger, **self._disk)
            self._lanes[signal] = Lane(breaker, self.pending[signal], open_one, timeout_s)
        return OtlpTarget(signal, route.endpoint, open_one(), breaker, timeout_s, self._folder, self._recovered)

    def _recovered(self) -> None:
        if self._recovery is not None:
            self._recovery.wake()


def _limits(signal: Signal) -> Limits:
    if signal == "metrics":  # one collection is one batch; an old one is worth little once a new one has come
        return Limits(records=16, batch=1)
    prefix, delay_s = ("OTEL_BSP", 5.0) if signal == "traces" else ("OTEL_BLRP", 1.0)
    records = _environment.whole(f"{prefix}_MAX_QUEUE_SIZE", 8192)
    return Limits(
        records=records,
        batch=min(records, _environment.whole(f"{prefix}_MAX_EXPORT_BATCH_SIZE", 512)),
        delay_s=_environment.milliseconds(f"{prefix}_SCHEDULE_DELAY", delay_s),
    )


def _timeout_s(signal: Signal) -> float:
    """Seconds for one export: the exporter's time-out, or the processor's where that is shorter."""
    general = _environment.number("OTEL_EXPORTER_OTLP_TIMEOUT", 10.0, at_least=0.001)
    own = _environment.number(f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", general, at_least=0.001)
    processor = {
        "traces": "OTEL_BSP_EXPORT_TIMEOUT",
        "logs": "OTEL_BLRP_EXPORT_TIMEOUT",
        "metrics": "OTEL_METRIC_EXPORT_TIMEOUT",
    }[signal]
    return min(own, _environment.milliseconds(processor, 30.0))


def _collector(queues: Mapping[Signal, Queue]) -> Collector | None:
    queue = queues.get("metrics")
    if queue is None:
        return None
    return Collector(
        queue,
        interval_s=_environment.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60.0),
        timeout_s=_environment.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", 30.0),
        temporality=_temporality(),
        aggregation=_aggregation(),
    )


def _exchange(collector: Collector | None) -> None:
    """Let ``collector`` collect from now on, in place of the one before.

    In a thread, because the SDK's lock may be held for long, by a callback that hangs, or for ever, in a forked child
    that was copied at the wrong moment. Then the exchange waits, and nobody else.
    """
    provider = _globals.meter_provider()
    if provider is None:
        return

    def exchange() -> None:
        provider.exchange(collector)
        if collector is not None:
            collector.start()

    with contextlib.suppress(RuntimeError):  # the interpreter is ending
        thread = threading.Thread(target=exchange, name="mlotel-exchange", daemon=True)
        thread.start()
        thread.join(_PATIENCE_S)


def _temporality() -> dict[type, AggregationTemporality]:
    """``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE``, which applies to the spool too: it is read as OTLP."""
    preference = (_environment.text("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE") or "cumulative").lower()
    delta: Sequence[type] = {
        "delta": (Counter, Histogram, ObservableCounter),
        "lowmemory": (Counter, Histogram),
    }.get(preference, ())
    rest = {UpDownCounter, ObservableUpDownCounter, ObservableGauge, Counter, Histogram, ObservableCounter} - set(delta)
    return dict.fromkeys(delta, AggregationTemporality.DELTA) | dict.fromkeys(rest, AggregationTemporality.CUMULATIVE)


def _aggregation() -> dict[type, Aggregation]:
    named = _environment.text("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION") or ""
    if named.lower() == "base2_exponential_bucket_histogram":
        return {Histogram: ExponentialBucketHistogramAggregation()}
    return {}


def _shown(signal: Signal, used: Mapping[Signal, Route], hosts: Mapping[Signal, Any]) -> str:
    if signal in hosts:
        return "host application"
    return str(used[signal]) if signal in used else "none"


def _stop_recording() -> None:
    _globals.spans.queue = _globals.logs.queue = None
