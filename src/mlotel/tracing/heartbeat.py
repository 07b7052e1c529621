"""Signs of life of long runs.

A span leaves when it ends, so of a run that takes a day nothing but ``ml.run.started`` would be seen for a day, and a
killed one would look the same. While a pipeline is open, an event ``ml.run.heartbeat`` therefore leaves every minute,
and with it a span ``heartbeat <component>``, which covers the time since the one before. ``MLOTEL_HEARTBEAT_S`` is the
time between them; 0 is none.

One thread beats for all open runs of the process. It takes no lock that a program could hold, ends a second after the
last run, and holds runs weakly: a generator that nobody finishes is freed as without it.
"""

import math
import os
import threading
import time
import weakref
from queue import Empty, SimpleQueue

from mlotel import _clock, _guard, logs
from mlotel.semconv import attributes as names
from mlotel.semconv import events, spans
from mlotel.tracing.scope import Scope, span_name, start_span
from mlotel.types import AttributeValue

__all__ = ["begin", "end", "interval_s"]

DEFAULT_INTERVAL_S = 60.0
LINGER_S = 1.0
"""How long the thread outlives the last run: a service opens the next one soon, and starting a thread costs more."""

_VARIABLE = "MLOTEL_HEARTBEAT_S"


def interval_s() -> float:
    """Seconds between two heartbeats; 0 when there are to be none."""
    text = os.environ.get(_VARIABLE)
    if not text:
        return DEFAULT_INTERVAL_S
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < math.inf:
        _guard.say_once(
            (_VARIABLE, text),
            "%s is %r, which is no number of seconds: %g is used. Set it to seconds, or to 0 for no heartbeats.",
            _VARIABLE,
            text[:40],
            DEFAULT_INTERVAL_S,
        )
        return DEFAULT_INTERVAL_S
    return found


class _Life:
    """An open run, as far as its heartbeats depend on it. ``due`` is monotonic, in seconds."""

    __slots__ = ("due", "interval_s", "scope", "since_ns")

    def __init__(self, scope: Scope, every_s: float) -> None:
        self.scope = weakref.ref(scope)
        self.interval_s = every_s
        self.since_ns = scope.start_ns
        self.due = time.monotonic() + every_s


class _Heart:
    """The thread and what it beats for.

    ``begin`` and ``end`` may run in a signal handler or a destructor, in the middle of each other: they wait for
    nothing. Dictionary and queue are changed in single steps of the interpreter.
    """

    def __init__(self) -> None:
        self.lives: dict[int, _Life] = {}
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wakes_at = math.inf  # when the thread, now asleep, looks again; infinite while it is awake
        self._is_lingering = False

    def begin(self, scope: Scope, every_s: float) -> None:
        life = _Life(scope, every_s)
        self.lives[id(scope)] = life
        if self._thread is None:
            self._start()
        elif life.due < self._wakes_at < math.inf:
            self._wakes.put(None)

    def end(self, scope: Scope) -> None:
        if self.lives.pop(id(scope), None) is None or self.lives:
            return
        if self._wakes_at < math.inf and not self._is_lingering:
            self._wakes.put(None)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # somebody else does it this moment
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="mlotel-heartbeat", daemon=True)
                self._thread = thread
                thread.start()
        except RuntimeError:  # the interpreter is ending: so is the run
            self._thread = None
        finally:
            self._starting.release()

    def _work(self) -> None:
        while True:
            with _guard.guard("send a heartbeat"):
                self._beat()
            due = min((life.due for life in list(self.lives.values())), default=None)
            self._is_lingering = due is None
            self._wakes_at = time.monotonic() + LINGER_S if due is None else due
            if due is not None and not self.lives:  # the last run ended before it could know that we sleep
                continue
            try:
                self._wakes.get(timeout=max(0.0, self._wakes_at - time.monotonic()))
            except Empty:
                if self._is_lingering and not self.lives:
                    self._thread = None  # from here on a new run starts a thread of its own ...
                    if self.lives:  # ... but for one that began a moment ago
                        self._start()
                    return
            finally:
                self._wakes_at = math.inf

    def _beat(self) -> None:
        now = time.monotonic()
        for key, life in list(self.lives.items()):
            if life.due > now:
                continue
            scope = life.scope()
            if scope is None:  # opened by hand, and dropped
                self.lives.pop(key, None)
                continue
            life.due = now + life.interval_s  # missed ones are not made up for: the machine may have slept
            with _guard.guard("send a heartbeat"):
                life.since_ns = _send(scope, life.since_ns, life.interval_s)


def _send(scope: Scope, since_ns: int, every_s: float) -> int:
    """Emit one heartbeat of the pipeline in ``scope``; returns its time, from which the next one goes on."""
    innermost = scope.innermost()
    # A pipeline inside this one beats itself, and says what runs in it.
    inner = None if innermost is None or innermost.inside is not scope.inside else innermost
    place = scope if inner is None else inner
    pipeline = scope.attributes[names.ML_PIPELINE_NAME]
    elapsed_s = max(0, _clock.monotonic_ns() - scope.monotonic_ns) / 1e9
    values: dict[str, AttributeValue] = {
        names.ML_RUN_ID: scope.attributes[names.ML_RUN_ID],
        names.ML_PIPELINE_NAME: pipeline,
        names.ML_RUN_DURATION: elapsed_s,
        names.ML_RUN_HEARTBEAT_INTERVAL: every_s,
    }
    body = f"pipeline {pipeline} has been running for {elapsed_s:.0f} s"
    name = pipeline
    if inner is not None:
        name = values[names.ML_COMPONENT_NAME] = inner.attributes[names.ML_COMPONENT_NAME]
        body += f", now in component {name}"
    now_ns = _clock.wall_ns()
    logs.emit(events.ML_RUN_HEARTBEAT, body, values, place.context)
    if innermost is inner and place.span.is_recording():
        start_ns = min(now_ns, max(since_ns, place.start_ns))
        values = {names.ML_RUN_ACTIVE_NAME: name, **values}
        start_span(span_name(spans.HEARTBEAT, str(name)), place.context, values, start_ns).end(end_time=now_ns)
    return now_ns


_heart = _Heart()


def begin(scope: Scope, every_s: float) -> None:
    """Let the pipeline in ``scope`` show signs of life from now on, every ``every_s`` seconds; 0 is never."""
    if every_s > 0 and (scope.span.is_recording() or logs.is_listening()):
        _heart.begin(scope, every_s)


def end(scope: Scope) -> None:
    """No more of ``scope``."""
    _heart.end(scope)


def _after_fork() -> None:
    """Runs that were open are the parent's, which goes on with them; its thread did not come along."""
    global _heart
    _heart = _Heart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
