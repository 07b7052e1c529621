"""What captured reading and writing costs those who are in no component.

Not instrumented, a function is the library's own: how many of them importing mlotel has changed is counted.
Instrumented, a call outside a component passes through what ``instrument("io")`` has put there. What that adds is the
median difference of pairs, each the time of many calls of a function that does nothing with and without it, on the
processor clock of the thread. It is shown in microseconds, and as a share of the time to open and close an existing
file, which no reading or writing does without.
"""

import operator
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

from mlotel.instrumentation._base import reads
from mlotel.instrumentation._patch import Patch

BOUND_US = 2.0
BOUND_OF_OPENING = 0.5

UNTOUCHED = """
import joblib, numpy, pandas, pickle, polars, pyarrow.csv, pyarrow.feather, pyarrow.json, pyarrow.parquet, sys
def functions():
    kinds = pandas.DataFrame, pandas.Series, polars.DataFrame, polars.LazyFrame
    owners = [pandas, polars, numpy, joblib, pickle, pyarrow.csv, pyarrow.feather, pyarrow.json, pyarrow.parquet]
    owners += [base for kind in kinds for base in kind.__mro__]
    return {(owner, name): value for owner in owners for name, value in list(vars(owner).items()) if callable(value)}
before = functions()
import mlotel, mlotel.instrumentation
with mlotel.component("step"):
    after = functions()
print(sum(value is not before.get(key) for key, value in after.items()))
"""


def changed() -> int:
    """How many functions of the libraries are others after ``import mlotel``."""
    done = subprocess.run([sys.executable, "-c", UNTOUCHED], check=True, capture_output=True, text=True)
    return int(done.stdout)


def thread_s(call: Callable[[object], object], argument: object, calls: int) -> float:
    """Processor seconds of this thread for one call."""
    repeated = range(calls)
    before = time.thread_time()
    for _ in repeated:
        call(argument)
    return (time.thread_time() - before) / calls


def added_s(module: types.ModuleType, name: str, argument: object, repetitions: int) -> float:
    """What being instrumented adds to a call outside a component: median over pairs."""
    bare = getattr(module, name)
    patch = Patch()
    reads(patch, module, [name], everywhere=False)
    instrumented = getattr(module, name)
    try:
        differences = []
        for repetition in range(repetitions + 1):
            pair = (bare, instrumented) if repetition % 2 else (instrumented, bare)
            seconds = {id(call): thread_s(call, argument, 20_000) for call in pair}
            differences.append(seconds[id(instrumented)] - seconds[id(bare)])
        return statistics.median(differences[1:])  # the first pair loads what is loaded on first use
    finally:
        patch.undo()


def opening_s(repetitions: int) -> float:
    """Processor seconds to open and close a file that is there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(b"")
        return statistics.median(thread_s(lambda _: path.open("rb").close(), None, 2_000) for _ in range(repetitions))


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """Rows: name, measured, bound, whether it holds."""
    repetitions = 11 if quick else 51
    module = types.ModuleType("library")
    exec("def load(path): pass", module.__dict__)
    in_python = added_s(module, "load", "path", repetitions) * 1e6
    in_c = added_s(operator, "truth", "path", repetitions) * 1e6
    share = max(in_python, in_c) / (opening_s(repetitions) * 1e6)
    untouched = changed()
    return [
        ("functions that importing mlotel changes", untouched, 0, untouched == 0),
        ("instrumented, outside a component: µs added to a function", in_python, BOUND_US, in_python <= BOUND_US),
        ("instrumented, outside a component: µs added to one in C", in_c, BOUND_US, in_c <= BOUND_US),
        ("the larger of both / opening a file", share, BOUND_OF_OPENING, share <= BOUND_OF_OPENING),
    ]
