"""How much of the flights example is spent inside mlotel: the share of its processor time, hashing included.

The example runs in a process of its own, all rows, with a timer around what leads into mlotel and out of it again:

- on: the public functions, entering and leaving a pipeline or component, ``read``, ``write``, ``removed``, ``param``,
  what surrounds a decorated function, what runs at exit, the threads that export, and programs that are started;
- off again: the body of a decorated function and the code of a check, which are the user's.

Time is processor time of the thread, so other work on the machine does not count. The whole is the processor time of
the process from the end of the imports to its exit.

Run it alone with ``python bench/flights.py``.
"""

import atexit
import functools
import json
import os
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "flights" / "flights.py"
BOUND = 0.03
OURS = ("mlotel", "opentelemetry")


class Timer:
    """Processor time between the entries into mlotel and the exits from it, over all threads."""

    def __init__(self) -> None:
        self.total_ns = 0
        self.calls = 0
        self._lock = threading.Lock()
        self._state = threading.local()
        self._threads: list[threading.Thread] = []

    def _switch(self, inside: bool) -> bool:
        now, state = time.thread_time_ns(), self._state
        before = getattr(state, "inside", False)
        if before:
            with self._lock:
                self.total_ns += now - state.since
        state.inside, state.since = inside, now
        return before

    def around(self, function: Callable[..., Any], inside: bool) -> Callable[..., Any]:
        """``function``, counted (``inside``) or not counted however it was reached."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += inside
            before = self._switch(inside)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch(before)

        return call

    def watch_exit(self) -> None:
        """Count what mlotel and the SDK register for the end of the process."""
        register = atexit.register

        def timed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
            if str(getattr(function, "__module__", "")).startswith(OURS):
                function = self.around(function, inside=True)
            register(function, *args, **kwargs)
            return function  # what the SDK later unregisters

        atexit.register = timed  # type: ignore[assignment]  # same call

    def watch_threads(self) -> None:
        """Count the whole of every thread that mlotel or the SDK starts."""
        run = threading.Thread.run

        def timed(thread: threading.Thread) -> None:
            target = getattr(thread, "_target", None)
            if not str(getattr(target, "__module__", type(thread).__module__)).startswith(OURS):
                run(thread)
                return
            self._threads.append(thread)
            try:
                run(thread)
            finally:
                self._threads.remove(thread)
                with self._lock:
                    self.total_ns += time.thread_time_ns()

        threading.Thread.run = timed  # type: ignore[method-assign, assignment]  # same call

    def seconds(self) -> float:
        """Time so far, threads that still live included."""
        living = [time.clock_gettime_ns(time.pthread_getcpuclockid(t.ident)) for t in self._threads if t.ident]
        return (self.total_ns + sum(living)) / 1e9


def watch(timer: Timer) -> None:
    """Put ``timer`` at every border between the example and mlotel. Fails when a border was moved."""
    import mlotel
    from mlotel.tracing import checks, components, functions, runs

    def replace(owner: Any, *names: str, inside: bool = True) -> None:
        for name in names:
            setattr(owner, name, timer.around(getattr(owner, name), inside))

    replace(mlotel, "configure", "pipeline", "component", "read", "write")
    replace(components.ComponentCalls, "__enter__", "__exit__", "__call__")
    replace(components.Component, "read", "write", "removed", "param")
    replace(runs.Pipeline, "__enter__", "__exit__", "__call__")
    replace(checks.BoundCheck, "_call", inside=False)

    def wrap(function: Callable[..., Any], *rest: Any) -> Callable[..., Any]:
        return timer.around(original(timer.around(function, inside=False), *rest), inside=True)

    original = functions.wrap
    for module in (components, runs):
        if module.wrap is not original:
            raise AttributeError(f"{module.__name__} no longer decorates with functions.wrap")
        module.wrap = wrap  # type: ignore[attr-defined]  # a name that it imports


def child(result: Path, arguments: list[str]) -> None:
    """Run the example in this process and write what was measured when the process ends."""
    timer = Timer()
    started = [0.0, 0.0]

    def report() -> None:
        cpu_s, wall_s = time.process_time() - started[0], time.perf_counter() - started[1]
        children = resource.getrusage(resource.RUSAGE_CHILDREN)  # only mlotel starts any
        started_s = children.ru_utime + children.ru_stime
        measured = {
            "mlotel_s": timer.seconds() + started_s,
            "cpu_s": cpu_s + started_s,
            "wall_s": wall_s,
            "calls": timer.calls,
        }
        result.write_text(json.dumps(measured), encoding="utf-8")

    atexit.register(report)  # first to be registered, so last to run: after everything has been sent
    timer.watch_exit()
    timer.watch_threads()
    watch(timer)
    example = runpy.run_path(str(EXAMPLE), run_name="flights")
    sys.argv = [str(EXAMPLE), *arguments]
    started[:] = time.process_time(), time.perf_counter()
    example["main"]()


def measure() -> dict[str, float]:
    """Seconds of one run of the example: inside mlotel, of the whole process, and on the clock."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_"))}
    environment["OMP_NUM_THREADS"] = "1"  # threads of the training that wait in a spin would swell the whole
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--child", str(result), "--out", str(Path(folder) / "out")]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=600)
        measured: dict[str, float] = json.loads(result.read_text(encoding="utf-8"))
    return measured


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """One row: name, share of the processor time, bound, whether it holds. All rows, for the bound is meant for those.

    Args:
        quick: One run; else the median of three.
    """
    runs = [measure() for _ in range(1 if quick else 3)]
    share = statistics.median(found["mlotel_s"] / found["cpu_s"] for found in runs)
    return [("flights: share of processor time inside mlotel", share, BOUND, share <= BOUND)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
    else:
        found = measure()
        print(", ".join(f"{name} {value:.3f}" for name, value in found.items()))
        print(f"share {found['mlotel_s'] / found['cpu_s']:.2%}, bound {BOUND:.0%}")
