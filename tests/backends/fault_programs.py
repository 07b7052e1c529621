"""Small programs that record, and end as they were told: each in a process of its own, so that its end is a real one.

    python fault_programs.py '{"library": "mlotel", "endpoint": "http://localhost:4318", "spans": 100}' notes.jsonl

The program notes every record in a file before it makes it, so that the note outlives any end. What the library says
became of the records is noted too, where the end leaves time for it. ``Plan`` lists what can be asked for.
"""

import atexit
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

ENDINGS = {
    "return": 0,
    "exit": 3,
    "exception": 1,
    "sigint": -signal.SIGINT,
    "sigterm": -signal.SIGTERM,
    "sigterm with handler": 0,
    "os._exit": 0,
    "os._exit after flush": 0,
    "sigkill": -signal.SIGKILL,
    "wait": -signal.SIGKILL,
}
"""Ways to end, with the exit status of each. ``wait`` waits for a line on standard input, then returns."""


OFTEN = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64",
}
"""Small batches soon, so that a fault meets many of them."""


@dataclass
class Plan:
    """What a program does.

    Attributes:
        library: ``mlotel``, or ``stock`` for the SDK's own processors and exporters with their defaults.
        endpoint: Base address; empty for none.
        protocol: ``http/protobuf`` or ``grpc``.
        spans: Made in all. A tenth as many log records are made beside them, and as many additions to a counter.
        per_s: Spans a second; 0 for as fast as it goes.
        flushed: Flush when so many spans were made; 0 for never.
        flush_every: Flush each time that so many spans were made; 0 for never.
        ending: One of ``ENDINGS``.
        shutdown_s: Call ``shutdown`` with this limit before the end; None to leave that to the end of the program.
        fork: A child makes records of its own, and ends by ``os._exit``, at once or ``after flush``; it may ``outlive``
            the delay of a batch; it is a target of ``multiprocessing`` that returns; or it was forked ``in a
            collection`` of metrics by another thread, and flushes.
        child_spans: Made by that child.
        child_s: How long a child lives that is to ``outlive`` its batch.
        clock_s: The wall clock jumps so far in the middle, and back after another quarter.
        attributes: On each span, so many characters.
        options: Further arguments of ``configure``.
    """

    library: str = "mlotel"
    endpoint: str = ""
    protocol: str = "http/protobuf"
    spans: int = 100
    per_s: float = 0.0
    flushed: int = 0
    flush_every: int = 0
    ending: str = "return"
    shutdown_s: float | None = None
    fork: str = ""
    child_spans: int = 5
    child_s: float = 2.0
    clock_s: float = 0.0
    attributes: int = 0
    options: dict = field(default_factory=dict)


@dataclass
class Result:
    """A program that has ended.

    Attributes:
        pid: Its process id.
        status: Its exit status.
        log: Its standard error.
        made: Names of the spans and log records, by signal, of the program and its child.
        flushed: Those of the program that were made before its last flush or shutdown, by signal.
        added: What was added to the counter, by process id.
        added_before: What of it had been added before the last flush or shutdown of the program.
        flushes: What ``flush`` and ``shutdown`` returned, in order, by process id.
        shutdown_s: Seconds that the last ``shutdown`` took, or what a library does at the end of a program; with the
            end of the interpreter where that cannot be told apart.
        flush_s: The longest ``flush``.
    """

    pid: int
    status: int
    log: str
    made: dict
    flushed: dict
    added: dict
    added_before: int
    flushes: dict
    shutdown_s: float
    flush_s: float

    def last(self, pid=None):
        """The last counts: ``{"exported": {"traces": …}, "spooled": …, "dropped": …}``; None where there are none."""
        return self.flushes.get(str(pid or self.pid), [None])[-1]


class Program:
    """A program that runs.

    Args:
        plan: What it does.
        folder: Where it runs; made when it is missing.
        environment: More variables.
        before: Called in the new process before it begins.
    """

    def __init__(self, plan, folder, environment=None, *, before=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.plan = plan
        self.folder = folder
        self._notes = folder / f"notes-{secrets.token_hex(6)}.jsonl"
        self.process = subprocess.Popen(
            # Threads at a fork are what some programs are about; Python 3.12 and later warn of them.
            [
                sys.executable,
                "-W",
                "ignore:This process:DeprecationWarning",
                __file__,
                json.dumps(asdict(plan)),
                self._notes,
            ],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            preexec_fn=before,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def notes(self):
        """What it has noted so far."""
        try:
            return [json.loads(line) for line in self._notes.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        except FileNotFoundError:
            return []

    def wait_for(self, spans, timeout_s=30.0):
        """Wait until it has made so many spans."""
        deadline = time.monotonic() + timeout_s
        while len(self.made("traces")) < spans:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "it makes no spans"
            time.sleep(0.02)

    def made(self, signal):
        """Names of the records that it has made so far."""
        return {name for kind, _, name in self.notes() if kind == signal}

    def go_on(self):
        """Let a program that waits end."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def finish(self, timeout_s=60.0):
        """Wait for its end and say what it did."""
        try:
            _, log = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, log = self.process.communicate()
            raise AssertionError(f"the program did not end by itself within {timeout_s} s\n{log}") from None
        ended = time.monotonic()
        made, flushed = {"traces": [], "logs": []}, {"traces": [], "logs": []}
        added, added_before, flushes, took_s, shutdown_s, ended_at = {}, 0, {}, [0.0], 0.0, None
        for kind, pid, value in self.notes():
            if kind in made:
                made[kind].append(value)
            elif kind == "added":
                added[str(pid)] = added.get(str(pid), 0) + value
            elif kind == "final":
                flushes.setdefault(str(pid), []).append(value["counts"])
                if shutdown_s == 0.0 and ended_at is not None and self.process.pid == pid:
                    shutdown_s = value["at"] - ended_at
            elif kind in ("flush", "shutdown"):
                flushes.setdefault(str(pid), []).append(value["counts"])
                flushed = {signal: list(names) for signal, names in made.items()}
                added_before = sum(added.values())
                if kind == "shutdown":
                    shutdown_s = value["took_s"]
                else:
                    took_s.append(value["took_s"])
            elif kind == "end" and self.process.pid == pid:
                ended_at = value  # CLOCK_MONOTONIC is one clock for all processes
        if shutdown_s == 0.0 and ended_at is not None:
            shutdown_s = ended - ended_at
        return Result(
            self.process.pid,
            self.process.returncode,
            log,
            made,
            flushed,
            added,
            added_before,
            flushes,
            shutdown_s,
            max(took_s),
        )


def run(plan, folder, *, environment=None, before=None, timeout_s=60.0):
    """Run a program to its end."""
    return Program(plan, folder, environment, before=before).finish(timeout_s)


class _Notes:
    """A file of lines that are whole and in the kernel's hands when ``write`` returns."""

    def __init__(self, path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, kind, value):
        os.write(self._descriptor, json.dumps([kind, os.getpid(), value]).encode() + b"\n")


class _Clock:
    """The wall clock as Python code sees it; it can jump. The monotonic clock is the machine's."""

    def __init__(self):
        self.ahead_s = 0
        now_s, now_ns = time.time, time.time_ns
        time.time = lambda: now_s() + self.ahead_s
        time.time_ns = lambda: now_ns() + self.ahead_s * 1_000_000_000


def _stock(plan):
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = plan.endpoint
    if plan.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    _logs.set_logger_provider(loggers)

    def flush():
        tracers.force_flush()
        meters.force_flush()
        loggers.force_flush()

    def shutdown(timeout_s):
        tracers.shutdown()
        meters.shutdown()
        loggers.shutdown()

    return flush, shutdown


def _mlotel(plan, notes):
    import mlotel

    def counts(flush):
        return {"exported": dict(flush.exported), "spooled": dict(flush.spooled), "dropped": dict(flush.dropped)}

    # Handlers go last in, first out: registered before mlotel's own, this one sees what that has done.
    atexit.register(lambda: notes.write("final", {"at": time.monotonic(), "counts": counts(telemetry.shutdown())}))
    telemetry = mlotel.configure("faults", plan.endpoint or None, plan.protocol, **plan.options)
    return lambda: counts(telemetry.flush()), lambda timeout_s: counts(telemetry.shutdown(timeout_s))


class _Work:
    """Makes records and notes them."""

    def __init__(self, plan, notes):
        from opentelemetry import _logs, metrics, trace

        self._plan = plan
        self._notes = notes
        self._number = 0
        self._tracer = trace.get_tracer("faults")
        self._logger = _logs.get_logger("faults")
        self._counter = metrics.get_meter("faults").create_counter("faults.work")
        self._attributes = {"filler": "x" * plan.attributes} if plan.attributes else {}

    def step(self):
        """One span; with every tenth a log record and an addition to the counter."""
        number = self._number
        span = self._tracer.start_span("work", attributes=self._attributes)
        context = span.get_span_context()
        self._notes.write("traces", f"{context.trace_id:032x}.{context.span_id:016x}")
        span.end()  # only now is there a record
        if number % 10 == 0:
            name = secrets.token_hex(8)
            self._notes.write("logs", name)
            self._logger.emit(
                timestamp=time.time_ns(), event_name="faults.step", body="x", attributes={"test.id": name}
            )
            self._notes.write("added", 1)
            self._counter.add(1)
        self._number += 1


def main(plan, path):
    notes = _Notes(path)
    clock = _Clock() if plan.clock_s else None  # before anything keeps a reference to the old one
    flush, shutdown = _mlotel(plan, notes) if plan.library == "mlotel" else _stock(plan)
    work = _Work(plan, notes)

    def timed(kind, call, *arguments):
        began = time.monotonic()
        counts = call(*arguments)
        notes.write(kind, {"counts": counts, "took_s": time.monotonic() - began})

    if plan.ending == "sigterm with handler":
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    began = time.monotonic()
    for number in range(1, plan.spans + 1):
        if clock is not None and number in (plan.spans // 2, 3 * plan.spans // 4):
            clock.ahead_s += plan.clock_s if number == plan.spans // 2 else -plan.clock_s
        work.step()
        if number == plan.flushed or (plan.flush_every and number % plan.flush_every == 0):
            timed("flush", flush)
        if plan.per_s:
            time.sleep(max(0.0, began + number / plan.per_s - time.monotonic()))
    if plan.fork:
        _fork(plan, work, flush)
    if plan.ending == "wait":
        sys.stdin.readline()
    if plan.shutdown_s is not None:
        timed("shutdown", shutdown, plan.shutdown_s)
    else:
        notes.write("end", time.monotonic())
    if plan.ending == "os._exit after flush":
        timed("flush", flush)
    _end(plan.ending)


def _fork(plan, work, flush):
    """Make records in a child too, and let it end its way."""

    def child():
        for _ in range(plan.child_spans):
            work.step()

    if plan.fork == "multiprocessing":
        import multiprocessing

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        return
    is_inside = _collect(flush) if plan.fork == "in a collection" else None
    pid = os.fork()
    if pid == 0:
        if is_inside is not None:
            is_inside.clear()
        child()
        if plan.fork == "outlive":
            time.sleep(plan.child_s)
        elif plan.fork != "os._exit":
            flush()
        os._exit(0)
    deadline = time.monotonic() + 10
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        time.sleep(0.02)
        if time.monotonic() > deadline:  # it hangs, for a lock that its parent held
            os.kill(pid, signal.SIGKILL)


def _collect(flush):
    """Begin a collection of metrics in another thread; returns, while it is under way, what says so."""
    is_inside = threading.Event()

    def observe(options):
        if threading.current_thread() is not threading.main_thread():
            is_inside.set()
            time.sleep(0.3)
        return [metrics.Observation(1)]

    from opentelemetry import metrics

    metrics.get_meter("faults").create_observable_gauge("faults.slow", [observe])
    threading.Thread(target=flush).start()
    is_inside.wait(5)
    return is_inside


def _end(ending):
    if ending == "exit":
        sys.exit(3)
    if ending == "exception":
        raise RuntimeError("an end that nobody catches")
    if ending == "sigint":
        signal.raise_signal(signal.SIGINT)
    if ending in ("sigterm", "sigterm with handler"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    if ending.startswith("os._exit"):
        os._exit(0)
    if ending == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])), sys.argv[2])
