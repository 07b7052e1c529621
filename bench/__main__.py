"""Runs every benchmark of this folder and prints the measured ratios beside their bounds: ``make bench``.

    python bench [--quick] [NAME ...]

A benchmark is a file that defines ``run(quick: bool) -> list[tuple[name, measured, bound, ok]]``. The exit status is 1
when a bound is missed.
"""

import argparse
import importlib
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"benchmarks to run (default: all): {', '.join(NAMES)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: seconds, and less certain")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")

    missed = 0
    print(f"{'':<58} {'measured':>9} {'bound':>9}", flush=True)
    for name in arguments.names or NAMES:
        run = getattr(importlib.import_module(name), "run", None)
        if run is None or run.__module__ != name:
            continue  # code that benchmarks share, a program of its own, or one that runs something else
        for what, measured, bound, ok in run(arguments.quick):
            missed += not ok
            print(f"{what:<58} {measured:>9.3g} {bound:>9.3g}  {'ok' if ok else 'MISSED'}", flush=True)
    print(f"{missed} missed" if missed else "every bound holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
