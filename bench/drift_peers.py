"""Drift detection beside what else there is: false alarms, rows to an alarm, and processor time.

    python bench/drift_peers.py [--runs 10] [--checks 100] [--only NAME ...] [--python INTERPRETER ...]

Twenty independent normal columns, a reference of 10,000 rows, checks of 1,000. First nothing changes; then one column
moves by a quarter of a standard deviation. Every rule gets the same numbers, is asked at every check, and alarms when
it says so of any column. Each has the settings that its documentation gives as default:

- scipy: a two-sample Kolmogorov-Smirnov test a column, at 5 %, and at 5 % shared by the columns (Bonferroni);
- PSI above 0.2 on deciles, the rule of thumb;
- river: ADWIN (delta 0.002), PageHinkley (threshold 50) and KSWIN (alpha 0.005), one a column, fed row by row; they
  have no reference, so they see its last thousand rows first, and go on by themselves after an alarm;
- evidently: ``DataDriftPreset()``, which takes the normed Wasserstein distance above 0.1 for references of this size;
  an alarm is any drifted column (its own word for the table needs half of the columns);
- nannyml: ``UnivariateDriftCalculator``, Jensen-Shannon distance above three standard deviations of the chunks of the
  reference, chunks of one check;
- alibi-detect: ``KSDrift`` at p < 0.05 with its default correction for the number of columns;
- mlotel: ``Detector(Reference.fit(reference))``.

A rule that alarms while nothing changes has no meaningful number of rows to an alarm: it is shown all the same. Peers
are optional: rows of those that are not installed say so. Some cannot share an environment; ``--python`` names the
interpreters of others, which run the rows that this one lacks and need numpy, scipy and their peer only. Processor time
is that of the process, as some of them use threads. KSWIN and evidently take seconds a check: ``--only`` the others, or
be patient.
"""

import argparse
import importlib.util
import logging
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from scipy import stats

COLUMNS, REFERENCE_ROWS, ROWS, SHIFT = 20, 10_000, 1000, 0.25
LONGEST = 50
"""Checks after the change at most."""
NAMES = [f"column {place}" for place in range(COLUMNS)]
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


def river(reference: np.ndarray, name: str) -> Rule:
    from river import drift

    more = {"seed": 0} if name == "KSWIN" else {}
    detectors = [getattr(drift, name)(**more) for _ in range(COLUMNS)]
    for place, detector in enumerate(detectors):
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


def evidently(reference: np.ndarray) -> Rule:
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before = pd.DataFrame(reference, columns=NAMES)

    def rule(rows: np.ndarray) -> bool:
        found = Report([DataDriftPreset()]).run(pd.DataFrame(rows, columns=NAMES), before).dict()
        return found["metrics"][0]["value"]["count"] > 0  # DriftedColumnsCount

    return rule


def nannyml(reference: np.ndarray) -> Rule:
    import pandas as pd
    from nannyml import UnivariateDriftCalculator

    calculator = UnivariateDriftCalculator(column_names=NAMES, chunk_size=ROWS)
    calculator.fit(pd.DataFrame(reference, columns=NAMES))

    def rule(rows: np.ndarray) -> bool:
        found = calculator.calculate(pd.DataFrame(rows, columns=NAMES)).filter(period="analysis").to_df()
        return bool(found.xs("alert", axis=1, level=2).to_numpy().any())

    return rule


def alibi_detect(reference: np.ndarray) -> Rule:
    from alibi_detect.cd import KSDrift

    detector = KSDrift(reference)

    def rule(rows: np.ndarray) -> bool:
        return bool(detector.predict(rows)["data"]["is_drift"])

    return rule


def ours(reference: np.ndarray) -> Rule:
    from mlotel.drift import Detector, Reference

    detector = Detector(Reference.fit(reference))

    def rule(rows: np.ndarray) -> bool:
        detector.update(rows)
        return bool(detector.check().raised)

    return rule


RULES: dict[str, tuple[str, Callable[[np.ndarray], Rule]]] = {
    "scipy KS, 5 %": ("scipy", lambda reference: ks(reference, 0.05)),
    "scipy KS, 5 % shared": ("scipy", lambda reference: ks(reference, 0.05 / COLUMNS)),
    "PSI above 0.2": ("numpy", psi),
    "river ADWIN": ("river", lambda reference: river(reference, "ADWIN")),
    "river PageHinkley": ("river", lambda reference: river(reference, "PageHinkley")),
    "river KSWIN": ("river", lambda reference: river(reference, "KSWIN")),
    "evidently": ("evidently", evidently),
    "nannyml": ("nannyml", nannyml),
    "alibi-detect KSDrift": ("alibi_detect", alibi_detect),
    "mlotel": ("mlotel", ours),
}
"""What each needs, and how it is made from a reference."""


def measured(make: Callable[[np.ndarray], Rule], runs: int, checks: int) -> str:
    """A line of the table."""
    false_runs, false_checks, delays, spent = 0, 0, [], 0.0
    for run in range(runs):
        rng = np.random.default_rng(run)
        rule = make(rng.normal(size=(REFERENCE_ROWS, COLUMNS)))
        calm = [rng.normal(size=(ROWS, COLUMNS)) for _ in range(checks)]
        before = time.process_time()
        alarms = [rule(rows) for rows in calm]
        spent += time.process_time() - before
        false_runs += any(alarms)
        false_checks += sum(alarms)
        delays.append(np.inf)
        for check in range(LONGEST):
            rows = rng.normal(size=(ROWS, COLUMNS))
            rows[:, 0] += SHIFT
            if rule(rows):
                delays[-1] = (check + 1) * ROWS
                break
    taken = statistics.median(delays)
    shown = f"{taken:,.0f}" if np.isfinite(taken) else f"never in {LONGEST * ROWS:,}"
    value_ns = spent / (runs * checks * ROWS * COLUMNS) * 1e9
    return f"{false_runs:>5} of {runs:<3} {false_checks / (runs * checks):>13.1%} {shown:>16} {value_ns:>8,.0f}"


def elsewhere(interpreters: list[str], module: str) -> str | None:
    """The first interpreter that has a module."""
    looks = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    for interpreter in interpreters:
        if subprocess.run([interpreter, "-c", looks], check=False).returncode == 0:
            return interpreter
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--checks", type=int, default=100)
    parser.add_argument("--only", nargs="*", choices=[*RULES], metavar="NAME", default=[*RULES])
    parser.add_argument(
        "--python", nargs="*", default=[], metavar="INTERPRETER", help="where other peers are installed"
    )
    parser.add_argument("--bare", action="store_true", help="no header")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # of other libraries, about others still
    if not arguments.bare:
        print(f"{'':<31} {'runs with a':>12} {'checks that':>12} {'rows to an alarm':>17} {'ns a':>8}")
        print(f"{'':<31} {'false alarm':>12} {'alarm falsely':>13} {'at +0.25 sd':>16} {'value':>8}", flush=True)
    for name in arguments.only:
        module, make = RULES[name]
        if importlib.util.find_spec(module):
            known = "" if module in ("numpy", "mlotel") else f" ({version(module.replace('_', '-'))})"
            print(f"{name + known:<31} {measured(make, arguments.runs, arguments.checks)}", flush=True)
        elif interpreter := elsewhere(arguments.python, module):
            size = ["--runs", str(arguments.runs), "--checks", str(arguments.checks)]
            command = [interpreter, __file__, "--bare", *size, "--only", name]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # some say there what they could do more
        else:
            print(f"{name:<31} not installed: pip install {module.replace('_', '-')}", flush=True)


if __name__ == "__main__":
    main()
