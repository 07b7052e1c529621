"""Runs small programs as users run theirs: global providers can be set once a process only."""

import json
import os
import subprocess
import sys
import textwrap
import time

PROLOGUE = """
import json, os, sys, threading, time
from opentelemetry import _logs, metrics, trace

def show(**values):
    "What the test is to know: one marked line of JSON on standard output."
    print("@" + json.dumps(values, default=lambda value: dict(value) if hasattr(value, "keys") else str(value)), flush=True)

def counts(flush):
    return {"exported": dict(flush.exported), "spooled": dict(flush.spooled), "dropped": dict(flush.dropped)}

def record(name="work", spans=1, **attributes):
    for number in range(spans):
        with trace.get_tracer("test").start_as_current_span(name, attributes=attributes):
            pass

def event(name="ml.run.started"):
    _logs.get_logger("test").emit(event_name=name, body="hello", timestamp=time.time_ns())

def work():
    "Three spans, one data point, one event."
    record("work", spans=3, rows=7)
    metrics.get_meter("test").create_counter("rows").add(5, {"kind": "a"})
    event()

import mlotel
from mlotel._setup import configure
"""


class Program:
    """A program that has ended.

    Attributes:
        shown: What it passed to ``show()``, merged.
        log: Its standard error.
        status: Its exit status.
        duration_s: How long it ran, from ``show(began=True)`` on where it said so.
    """

    def __init__(self, status, output, log):
        self.status = status
        self.log = log
        self.output = output
        self.lines = [json.loads(line[1:]) for line in output.splitlines() if line.startswith("@")]
        self.shown = {key: value for line in self.lines for key, value in line.items()}


def start(code, *, environment=None, folder=None, file="script.py"):
    """Start ``code`` as the script ``file`` in ``folder``, by default the working folder."""
    folder = folder or os.getcwd()
    path = os.path.join(folder, file)
    with open(path, "w", encoding="utf-8") as script:
        script.write(PROLOGUE + textwrap.dedent(code))
    return subprocess.Popen(
        [sys.executable, "-W", "error", file],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout_s=30):
    """Wait for ``process`` and say what it did."""
    output, log = process.communicate(timeout=timeout_s)
    return Program(process.returncode, output, log)


def run(code, *, status=0, **arguments):
    """Run ``code`` to its end; it must end with ``status``."""
    program = finish(start(code, **arguments))
    assert program.status == status, program.log
    return program


def run_all(codes, **arguments):
    """Run several programs at once: a machine with two cores is idle while one imports."""
    processes = [start(code, file=f"script{number}.py", **arguments) for number, code in enumerate(codes)]
    return [finish(process) for process in processes]


def wait_until(condition, timeout_s=10.0):
    """Wait until ``condition()`` holds; says whether it does."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
