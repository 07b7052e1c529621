"""How much of the flights example is spent inside mlotel: the share of its processor time, hashing included.

The three programs run one after the other, all rows, each in a process of its own, with a timer around what leads into
mlotel and out of it again:

- on: the public functions, entering and leaving a pipeline or component, ``read``, ``write``, ``removed``, ``param``,
  what surrounds a decorated function and a library's function that reads or writes a file, what runs at exit, the
  threads that export, and programs that are started;
- off again: the body of a decorated function, the code of a check, and the library's function.

Time is processor time of the thread, so other work on the machine does not count. The whole is the processor time of
a process from the end of its imports to its exit. ``train`` does nine tenths of the work. To set up OpenTelemetry costs
each process the same tenth of a second, so the three together pay it three times: that row is there to be brought down.

Run it alone with ``python bench/flights.py``.
"""

import atexit
import functools
import importlib
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

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "flights"
PROGRAMS = ("prepare", "train", "serve")
BOUND = 0.03
OURS = ("mlotel", "opentelemetry")
COMPILE = """
import joblib, mlotel, pandas
mlotel.configure(instrument=("io",))
with mlotel.pipeline("warm-up"), mlotel.component("step") as c:
    c.write(pandas.DataFrame({"x": [1.0]})).to_parquet("x.parquet")
    pandas.read_parquet("x.parquet")
"""


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
    from mlotel.tracing import checks, components, functions, runs, steps

    def replace(owner: Any, *names: str, inside: bool = True) -> None:
        for name in names:
            setattr(owner, name, timer.around(getattr(owner, name), inside))

    replace(mlotel, "configure", "pipeline", "component", "read", "write")
    replace(steps.ComponentCalls, "__enter__", "__exit__", "__call__")
    replace(components.Component, "read", "write", "removed", "param")
    replace(runs.Pipeline, "__enter__", "__exit__", "__call__")
    replace(checks.BoundCheck, "_call", inside=False)

    def wrap(function: Callable[..., Any], *rest: Any) -> Callable[..., Any]:
        return timer.around(original(timer.around(function, inside=False), *rest), inside=True)

    original = functions.wrap
    for module in (steps, runs):
        if module.wrap is not original:
            raise AttributeError(f"{module.__name__} no longer decorates with functions.wrap")
        module.wrap = wrap  # type: ignore[attr-defined]  # a name that it imports

    # Its import belongs to configure(), which would come too late for this.
    base = timer.around(importlib.import_module, inside=True)("mlotel.instrumentation._base")
    recorder = base._recorder

    def instrumented(*rest: Any) -> Callable[..., Any]:
        recorded = timer.around(recorder(*rest), inside=True)

        def call(wrapped: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            return recorded(library(wrapped), args, kwargs)

        return call

    @functools.lru_cache(maxsize=512)
    def library(wrapped: Callable[..., Any]) -> Callable[..., Any]:
        return timer.around(wrapped, inside=False)

    base._recorder = instrumented


def child(program: str, result: Path) -> None:
    """Run one program in this process and write what was measured when the process ends."""
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
    sys.path.insert(0, str(EXAMPLE))  # where the programs find what they share
    sys.argv = [str(EXAMPLE / f"{program}.py")]
    example = runpy.run_path(sys.argv[0], run_name="flights")
    # The reference for drift is work that the program asks for: three times that of training, a row of bench/drift.py,
    # and as part of the whole it would make what recording costs look small.
    example["main"].__globals__["profile"] = lambda *_: None
    started[:] = time.process_time(), time.perf_counter()
    example["main"]()


def measure() -> dict[str, dict[str, float]]:
    """Seconds of one run of each program: inside mlotel, of the whole process, and on the clock."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["OMP_NUM_THREADS"] = "1"  # threads of the training that wait in a spin would swell the whole
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        environment["XDG_STATE_HOME"] = str(Path(folder) / "state")
        # Once in vain: what is imported is compiled at its first use, and never again.
        subprocess.run([sys.executable, "-c", COMPILE], cwd=folder, env=environment, check=True, timeout=600)
        for program in PROGRAMS:
            result = Path(folder) / f"{program}.json"
            command = [sys.executable, __file__, "--child", program, str(result)]
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=600)
            measured[program] = json.loads(result.read_text(encoding="utf-8"))
    return measured


def share(found: dict[str, float]) -> float:
    """What part of the processor time of a program was spent inside mlotel."""
    return found["mlotel_s"] / found["cpu_s"]


def whole(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """The three programs as one."""
    return {name: sum(program[name] for program in found.values()) for name in next(iter(found.values()))}


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """Two rows: name, share of the processor time, bound, whether it holds. All rows, for the bound is meant for those.

    Args:
        quick: One run; else the median of three.
    """
    runs = [measure() for _ in range(1 if quick else 3)]
    rows = []
    for name, shares in (
        ("flights: share of train's processor time inside mlotel", [share(found["train"]) for found in runs]),
        ("flights: the same of all three programs, three starts", [share(whole(found)) for found in runs]),
    ):
        median = statistics.median(shares)
        rows.append((name, median, BOUND, median <= BOUND))
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        for program, found in measure().items():
            values = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
            print(f"{program}: {values}, share {share(found):.2%}")
        print(f"bound for train {BOUND:.0%}")
