"""Rate of content identity, as a share of the rate at which ``np.sum`` reads an array of as many bytes.

Time is processor time of the thread, so other work on the machine does not count. Both sides run in turn in one
process, in alternating order, and each pair gives one ratio; the median counts. Summing reads every byte once and
little else, so a ratio of 1 means that hashing is bound by memory.

- array: contiguous float64;
- frame: pandas, 12 float64, 4 int64, a categorical, a timestamp and two Arrow-backed string columns.

Run it alone with ``python bench/identity.py [--quick]``; exit status 1 when a bound is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from mlotel import artifacts
from mlotel.artifacts import _recall

ARRAY_BOUND = 0.8
FRAME_BOUND = 0.35


def thread_s(work: Callable[[], object]) -> float:
    """Processor seconds of this thread for one call."""
    before = time.thread_time()
    work()
    return time.thread_time() - before


def ratio(summing: Callable[[], object], hashing: Callable[[], object], repetitions: int) -> float:
    """Median over pairs of the time to sum, divided by the time to hash."""
    hashing(), summing()  # loads what is loaded on first use
    ratios = []
    for repetition in range(repetitions):
        pair = (summing, hashing) if repetition % 2 == 0 else (hashing, summing)
        seconds = {work: thread_s(work) for work in pair}
        ratios.append(seconds[summing] / seconds[hashing])
    return statistics.median(ratios)


def mixed_frame(rows: int) -> pd.DataFrame:
    """Columns of the usual types, about 166 bytes a row."""
    rng = np.random.default_rng(0)
    users = np.array([f"user-{i}" for i in range(5000)])
    return pd.DataFrame(
        {
            **{f"f{i}": rng.random(rows) for i in range(12)},
            **{f"i{i}": rng.integers(0, 1000, rows) for i in range(4)},
            "c0": pd.Categorical.from_codes(rng.integers(0, 8, rows), list("abcdefgh")),
            "t0": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 1_000_000, rows), unit="s"),
            "s0": pd.array(users[rng.integers(0, 5000, rows)], dtype="string[pyarrow]"),
            "s1": pd.array(np.array(["red", "green", "blue"])[rng.integers(0, 3, rows)], dtype="string[pyarrow]"),
        }
    )


def full(value: object) -> None:
    """Hash all of it, however long it takes, as if for the first time."""
    _recall.forget()
    identity = artifacts.identify(value, budget_s=None)
    if identity.scope != "full":
        raise RuntimeError(f"the content was not hashed: {identity}")


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """Name, measured ratio, bound and whether it holds, a row for the array and one for the frame."""
    repetitions = 5 if quick else 11
    array = np.random.default_rng(0).random(12_500_000 if quick else 125_000_000)
    of_array = ratio(array.sum, lambda: full(array), repetitions)
    frame = mixed_frame(500_000 if quick else 1_000_000)
    same = array[: int(frame.memory_usage(index=False, deep=True).sum()) // 8]
    of_frame = ratio(same.sum, lambda: full(frame), repetitions)
    size = "0.1 GB" if quick else "1 GB"
    return [
        (f"identity of a {size} array, share of np.sum's rate", of_array, ARRAY_BOUND, of_array >= ARRAY_BOUND),
        (f"identity of a {same.nbytes / 1e6:.0f} MB mixed frame", of_frame, FRAME_BOUND, of_frame >= FRAME_BOUND),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller data and fewer repetitions")
    missed = 0
    for name, measured, bound, ok in run(parser.parse_args().quick):
        missed += not ok
        print(f"{name:<58} {measured:>6.2f}  at least {bound:.2f}  {'ok' if ok else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
