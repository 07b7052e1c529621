"""Spool files for tests of delivery: lines of real spans, and files of processes that have ended."""

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mlotel.export._claims import host_name
from mlotel.export._records import encode
from mlotel.export._sender import Answer
from mlotel.export.replay import Replayer


def spans(numbers, **attributes):
    """Ended spans, each with its number as the attribute ``n``."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "test"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for number in numbers:
        provider.get_tracer("test").start_span("work", attributes={"n": number, **attributes}).end()
    return list(kept.get_finished_spans())


def line(numbers, **attributes):
    """One line with the spans of ``numbers``."""
    return encode("traces", spans(numbers, **attributes))


def log_line(number):
    """One line with one log record, written as a collector may write it."""
    return (
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"observedTimeUnixNano":"7","attributes":'
        b'[{"key":"n","value":{"intValue":"%d"}}]}]}]}]}\n' % number
    )


def metric_line(number):
    """One line with one data point."""
    return (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":"7","asInt":"%d"}]}}]}]}]}\n' % number
    )


@functools.cache
def dead_pid():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def name(*, host=None, pid=None, start="20260105T120000", unique="0a1b2c", part=1, pending=True):
    """The name of a spool file; by default that of a process of this machine that has ended."""
    suffix = ".pending.jsonl" if pending else ".jsonl"
    return f"{host or host_name()}-{pid or dead_pid()}-{start}-{unique}.{part:03d}{suffix}"


def put(folder, lines, *, changed=None, **named):
    """Write a file of ``lines`` into ``folder``; ``changed`` sets when, in seconds since 1970."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name(**named)
    path.write_bytes(b"".join(lines))
    if changed is not None:
        os.utime(path, (changed, changed))
    return path


class Receiver:
    """Stands behind ``send=``: keeps bodies, answers as told, and adds up what the replayer reports."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies = []
        self.delivered = []
        self.dropped = []

    def send(self, signal):
        def send(body):
            answer = self.answers.pop(0) if self.answers else Answer("accepted")
            if isinstance(answer, str):
                answer = Answer(answer)
            if answer.verdict == "accepted":
                self.bodies.append((signal, body))
            return answer

        return send

    def replayer(self, folder, signals=("traces", "metrics", "logs"), **options):
        return Replayer(
            folder,
            {signal: self.send(signal) for signal in signals},
            on_delivered=lambda path, signal, records: self.delivered.append((path.name, signal, records)),
            on_dropped=lambda path, signal, records, reason: self.dropped.append((signal, records, reason)),
            **{"share": 1.0, **options},
        )

    def run(self, folder, **options):
        """One pass; returns the replayer."""
        replayer = self.replayer(folder, **options)
        replayer.run(None, threading.Event())
        return replayer

    def numbers(self, signal="traces"):
        """The numbers of the records that arrived, in order."""
        from records import DECODE, REQUESTS

        found = [
            record
            for kind, body in self.bodies
            if kind == signal
            for record in DECODE[signal](REQUESTS[signal].FromString(body))
        ]
        return [record["value"] if signal == "metrics" else record["attributes"]["n"] for record in found]


def inside(folder):
    """Names of what is in ``folder``."""
    return sorted(path.name for path in folder.iterdir())
