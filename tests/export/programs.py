"""Runs small programs as users run theirs: global providers can be set once a process only."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

PROLOGUE = """
import json, os, sys, threading, time
from opentelemetry import _logs, metrics, trace

def show(**values):
    "What the test is to know: one marked line of JSON on standard output."
    text = json.dumps(values, default=lambda value: dict(value) if hasattr(value, "keys") else str(value))
    print("@" + text, flush=True)

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
        output: Its standard output.
    """

    def __init__(self, status, output, log):
        self.status = status
        self.log = log
        self.output = output
        self.lines = [json.loads(line[1:]) for line in output.splitlines() if line.startswith("@")]
        self.shown = {key: value for line in self.lines for key, value in line.items()}


def start(code, *, environment=None, folder=None, file="script.py"):
    """Start ``code`` as the script ``file`` in ``folder``, by default the working folder."""
    folder = Path(folder or Path.cwd())
    (folder / file).write_text(PROLOGUE + textwrap.dedent(code), encoding="utf-8")
    return subprocess.Popen(
        # Forking with threads is what some programs are about; Python 3.12 and later warn of it.
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", file],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout_s=30, said=None):
    """Wait for ``process`` and say what it did; ``said`` is what it reads on standard input."""
    output, log = process.communicate(said, timeout=timeout_s)
    return Program(process.returncode, output, log)


def run(code, *, status=0, **arguments):
    """Run ``code`` to its end; it must end with ``status``."""
    program = finish(start(code, **arguments))
    assert program.status == status, program.log
    return program


def wait_until(condition, timeout_s=10.0):
    """Wait until ``condition()`` holds; says whether it does."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
