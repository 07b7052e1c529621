"""Drift detection beside what else there is: false alarms, rows to an alarm, and processor time.

    python bench/drift_peers.py [--runs 10] [--checks 100]

Twenty independent normal columns, a reference of 10,000 rows, checks of 1,000. First nothing changes; then one column
moves by a quarter of a standard deviation. Each rule is asked at every check and alarms when any column does:

- a Kolmogorov-Smirnov test of scipy a column, at 5 %, and at 5 % shared by the columns;
- PSI above 0.2 on deciles;
- ADWIN and Page-Hinkley of river, one a column with its own defaults, fed row by row, where river is installed;
- mlotel's detector.

A rule that alarms while nothing changes has no meaningful number of rows to an alarm: it is shown all the same.
"""

import argparse
import importlib.util
import logging
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from mlotel.drift import Detector, Reference

COLUMNS, REFERENCE_ROWS, ROWS, SHIFT = 20, 10_000, 1000, 0.25
Rule = Callable[[np.ndarray], bool]


def ks(reference: np.ndarray, level: float) -> Rule:
    def rule(rows: np.ndarray) -> bool:
        return any(
            stats.ks_2samp(reference[:, place], rows[:, place], method="asymp").pvalue < level
            for place in range(COLUMNS)
        )

    return rule


def psi(reference: np.ndarray) -> Rule:
    edges = np.quantile(reference, np.arange(1, 10) / 10, axis=0)

    def shares(rows: np.ndarray, place: int) -> np.ndarray:
        counts = np.bincount(edges[:, place].searchsorted(rows[:, place], "right"), minlength=10)
        return (counts + 0.5) / (len(rows) + 5)

    before = [shares(reference, place) for place in range(COLUMNS)]

    def rule(rows: np.ndarray) -> bool:
        now = [shares(rows, place) for place in range(COLUMNS)]
        return any(((p - q) * np.log(p / q)).sum() > 0.2 for p, q in zip(now, before, strict=True))

    return rule


def river(name: str, reference: np.ndarray) -> Rule:
    from river import drift

    detectors = [getattr(drift, name)() for _ in range(COLUMNS)]
    for place, detector in enumerate(detectors):  # they have no reference: they see its last rows first
        for value in reference[-ROWS:, place].tolist():
            detector.update(value)

    def rule(rows: np.ndarray) -> bool:
        fired = False
        for place, detector in enumerate(detectors):
            for value in rows[:, place].tolist():
                detector.update(value)
                fired |= detector.drift_detected
        return fired

    return rule


def ours(reference: np.ndarray) -> Rule:
    detector = Detector(Reference.fit(reference))

    def rule(rows: np.ndarray) -> bool:
        detector.update(rows)
        return bool(detector.check().raised)

    return rule


def rules() -> dict[str, Callable[[np.ndarray], Rule]]:
    found: dict[str, Callable[[np.ndarray], Rule]] = {
        "KS test, 5 %": lambda reference: ks(reference, 0.05),
        "KS test, 5 % shared": lambda reference: ks(reference, 0.05 / COLUMNS),
        "PSI above 0.2": psi,
    }
    if importlib.util.find_spec("river"):
        for name in ("ADWIN", "PageHinkley"):
            found[f"river {name}"] = lambda reference, name=name: river(name, reference)
    return {**found, "mlotel": ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--checks", type=int, default=100)
    arguments = parser.parse_args()
    logging.getLogger("mlotel").setLevel(logging.ERROR)
    print(f"{'':<22} {'runs with a':>12} {'checks that':>12} {'rows to an alarm':>17} {'ns a':>7}")
    print(f"{'':<22} {'false alarm':>12} {'alarm falsely':>13} {'at +0.25 sd':>16} {'value':>7}")
    for name, make in rules().items():
        false_runs, false_checks, delays, spent = 0, 0, [], 0.0
        for run in range(arguments.runs):
            rng = np.random.default_rng(run)
            rule = make(rng.normal(size=(REFERENCE_ROWS, COLUMNS)))
            calm = [rng.normal(size=(ROWS, COLUMNS)) for _ in range(arguments.checks)]
            before = time.thread_time()
            alarms = [rule(rows) for rows in calm]
            spent += time.thread_time() - before
            false_runs += any(alarms)
            false_checks += sum(alarms)
            delays.append(np.inf)
            for check in range(50):
                rows = rng.normal(size=(ROWS, COLUMNS))
                rows[:, 0] += SHIFT
                if rule(rows):
                    delays[-1] = (check + 1) * ROWS
                    break
        total = arguments.runs * arguments.checks
        taken = statistics.median(delays)
        shown = f"{taken:,.0f}" if np.isfinite(taken) else "never in 50,000"
        print(
            f"{name:<22} {false_runs:>5} of {arguments.runs:<3} {false_checks / total:>13.1%} {shown:>16} "
            f"{spent / (total * ROWS * COLUMNS) * 1e9:>7.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
