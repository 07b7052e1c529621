"""What delivery costs beside the stock batch exporter, and how long a program waits at its end for a dead collector.

Spans of ten attributes go to a sink in another process, in turns through the SDK's ``BatchSpanProcessor`` with its
``OTLPSpanExporter`` and through mlotel's queue and target; the clock is the processor time of this process, background
threads included. "In our frames" is what mlotel adds to encoding and transport, which are the same for both: a delivery
whose sender answers at once, less the encoding, as a share of what the stock exporter spends on a span.

Run it alone with ``python bench/delivery.py [--quick]``.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FRAMES_BOUND = 0.05
ALL_IN_BOUND = 1.05
PUT_BOUND = 1.0
SPOOLED_PER_S = 10_000.0
TYPICAL_S = 1.0
LONGEST_S = 5.0
BATCH = 512

ENDING = """
import json, sys, time, mlotel
from opentelemetry import trace
telemetry = mlotel.configure(endpoint=sys.argv[1], protocol=sys.argv[2], quiet=True)
for number in range(1000):
    trace.get_tracer("bench").start_span("work").end()
begun = time.monotonic()
flush = telemetry.shutdown()
print(json.dumps([time.monotonic() - begun, flush.spooled["traces"]]))
"""


class Sink(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


def serve(is_dead: bool) -> None:
    """Be the sink, until standard input ends; a dead one takes connections and never says a word."""
    if is_dead:
        listening = socket.create_server(("127.0.0.1", 0))
        print(listening.getsockname()[1], flush=True)
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
    sys.stdin.read()


class Served:
    """A sink in another process, as a context manager that gives its address."""

    def __init__(self, is_dead: bool = False) -> None:
        kind = "--dead-sink" if is_dead else "--sink"
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> str:
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        self._process.communicate("")


def spans(number: int) -> list[Any]:
    """Ended spans with ten attributes."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "bench"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    values = ["clean", "dataset", "xxh3:0123456789abcdef0123456789abcdef", "ok", 7, 336_776, 3.5, 0.25, True, False]
    attributes = {f"ml.bench.attribute.{number}": value for number, value in enumerate(values)}
    for _ in range(number):
        provider.get_tracer("bench").start_span("component clean", attributes=attributes).end()
    return list(kept.get_finished_spans())


def cpu_s(work: Callable[[], object]) -> float:
    """Processor seconds of the process."""
    before = time.process_time()
    work()
    return time.process_time() - before


class Instant:
    """A sender whose receiver takes everything at once."""

    def send(self, body: bytes, timeout_s: float) -> Any:
        from mlotel.export._sender import Answer

        return Answer("accepted")

    def interrupt(self) -> None:
        pass

    close = restart = interrupt


def healthy(endpoint: str, turns: int) -> list[tuple[str, float, float, bool]]:
    """Rows for an endpoint that answers."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from mlotel.export._breaker import Breaker
    from mlotel.export._ledger import Ledger
    from mlotel.export._queue import Limits, Queue
    from mlotel.export.otlp import OtlpTarget, encode, sender

    batch = spans(BATCH)
    address = f"{endpoint}/v1/traces"
    stock = BatchSpanProcessor(OTLPSpanExporter(endpoint=address), max_queue_size=8192, schedule_delay_millis=60_000)
    ledger = Ledger()
    limits = Limits(8192, BATCH, 60.0)

    def queue_to(one: Any) -> Queue:
        target = OtlpTarget("traces", address, one, Breaker(), 10.0, Path())
        return Queue("traces", target, ledger, limits, lambda items: None)  # type: ignore[arg-type, return-value]

    ours, instant = queue_to(sender("traces", address, "http/protobuf", {})), queue_to(Instant())

    def through_stock() -> None:
        for span in batch:
            stock.on_end(span)
        stock.force_flush()

    def through(queue: Queue) -> None:
        for span in batch:
            queue.put(span)
        queue.mark().wait()

    def putting(put: Callable[[Any], object], empty: Callable[[], object]) -> float:
        before = time.thread_time()
        for span in batch[:-1]:  # one less than a batch: nobody is woken
            put(span)
        spent = time.thread_time() - before
        empty()
        return spent

    frames, all_in, puts = [], [], []
    for turn in range(turns + 2):
        first = cpu_s(through_stock)
        mine, bare = cpu_s(lambda: through(ours)), cpu_s(lambda: through(instant))
        encoding = cpu_s(lambda: encode("traces", batch))
        reference = (first + cpu_s(through_stock)) / 2  # around the others, so that a drift of the machine cancels out
        put = putting(ours.put, lambda: ours.mark().wait()) / putting(stock.on_end, stock.force_flush)
        if turn >= 2:  # the first ones open connections and fill caches
            frames.append((bare - encoding) / reference)
            all_in.append(mine / reference)
            puts.append(put)
    stock.shutdown()
    for queue in (ours, instant):
        queue.close()
        queue.target.close()
    assert not any(ledger.result().dropped.values()), "the sink is there to take everything"
    found = [
        ("delivery: in our frames / stock exporter, a span", frames, FRAMES_BOUND),
        ("delivery: mlotel / stock exporter, a span", all_in, ALL_IN_BOUND),
        ("delivery: into the queue / into the stock processor", puts, PUT_BOUND),
    ]
    return [
        (name, statistics.median(values), bound, statistics.median(values) <= bound) for name, values, bound in found
    ]


def spooling(turns: int) -> tuple[str, float, float, bool]:
    """Spans that a second of processor time puts on disk, encoding and fsync included."""
    from mlotel.export._ledger import Ledger
    from mlotel.export._pending import Pending

    batch = spans(BATCH)
    with tempfile.TemporaryDirectory() as folder:
        pending = Pending("traces", Path(folder), Ledger(), is_synced=True, max_total_bytes=1_000_000_000)
        rates = [BATCH / cpu_s(lambda: pending(batch)) for _ in range(turns + 2)][2:]
        pending.close()
    rate = statistics.median(rates)
    return "delivery: spans put on disk in a CPU-second (at least)", rate, SPOOLED_PER_S, rate >= SPOOLED_PER_S


def ending(endpoint: str, protocol: str) -> float:
    """Seconds that ``shutdown`` of a program with 1,000 spans takes; all of them must be on disk then."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_"))}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", ENDING, endpoint, protocol],
            cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    seconds, kept = json.loads(done.stdout)
    assert kept == 1000, f"{kept} of 1000 spans are on disk"
    return float(seconds)


def endings(times: int) -> list[tuple[str, float, float, bool]]:
    """Rows for collectors that are dead."""
    rows = []
    with Served(is_dead=True) as hanging:
        for name, endpoint in (("nobody listens", "http://127.0.0.1:9"), ("it hangs", hanging)):
            found = [ending(endpoint, protocol) for protocol in ("http/protobuf", "grpc") for _ in range(times)]
            typical, longest = statistics.median(found), max(found)
            rows.append((f"delivery: seconds to shut down, {name}: typical", typical, TYPICAL_S, typical <= TYPICAL_S))
            rows.append((f"delivery: seconds to shut down, {name}: longest", longest, LONGEST_S, longest <= LONGEST_S))
    return rows


def run(quick: bool) -> Sequence[tuple[str, float, float, bool]]:
    """What was measured against its bound: name, value, bound, whether it holds."""
    turns = 9 if quick else 41
    with Served() as endpoint:
        rows = healthy(endpoint, turns)
    return [*rows, spooling(turns), *endings(1 if quick else 5)]


if __name__ == "__main__":
    if sys.argv[1:2] in (["--sink"], ["--dead-sink"]):
        serve(sys.argv[1] == "--dead-sink")
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--quick", action="store_true", help="fewer turns: seconds, and less certain")
        for title, measured, bound, _ in run(parser.parse_args().quick):
            print(f"{title:<58} {measured:9.3g}  bound {bound:g}")
