"""The promise, asked of raw rows through the public interface: ties, atoms, tiny references and windows of any size."""

import numpy as np
import pytest
from scipy import stats

from mlotel.drift import Detector, Reference

COLUMNS, RUNS, ALPHA = 10, 12, 0.5


def atoms(rng, rows):
    return np.where(rng.random(rows) < 0.5, np.round(rng.normal(size=rows)), rng.normal(size=rows))


def labels(rng, rows):
    return np.minimum(rng.zipf(1.5, rows), 300).astype(str)


LAWS = {
    "atoms among a normal": atoms,
    "two decimals": lambda rng, rows: np.round(rng.normal(size=rows), 2),
    "seldom tied": lambda rng, rows: rng.integers(0, 5000, rows).astype(float),
    "not finite": lambda rng, rows: rng.choice([np.inf, -np.inf, np.nan, 1.0, 2.0, 3.5], rows),
    "many labels": labels,
    "seldom true": lambda rng, rows: rng.random(rows) < 0.02,
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("reference_rows", [100, 500])
def test_alarms_without_a_change_are_rarer_than_alpha(name, reference_rows):
    """At alpha = 0.5 and no tolerance, ten columns together raise half an alarm a run at most, on the mean."""
    alarms = 0
    for run in range(RUNS):
        rng = np.random.default_rng((run, reference_rows))
        law = LAWS[name]
        reference = Reference.fit({f"x{place}": law(rng, reference_rows) for place in range(COLUMNS)})
        detector = Detector(reference, alpha=ALPHA, tolerances=(0.0,), min_windows=1)
        raised = set()
        for check in range(30):
            rows = int(rng.integers(1, 51)) if check % 6 else 500
            detector.update({f"x{place}": law(rng, rows) for place in range(COLUMNS)})
            raised |= set(detector.check().alarms)
        alarms += len(raised)

    # So many or more would have a chance of one in a thousand with every column at its own bound.
    assert alarms <= stats.binom.isf(1e-3, RUNS * COLUMNS, ALPHA / COLUMNS)


@pytest.mark.parametrize("name", ["atoms among a normal", "not finite", "many labels", "seldom true"])
def test_gross_changes_are_found_with_few_rows(name):
    """With 500 rows of reference and windows of 100, rows of which two thirds are missing are found at once."""
    law, rng = LAWS[name], np.random.default_rng(1)
    detector = Detector(Reference.fit({"x": law(rng, 500)}))
    raised = []
    for check in range(14):
        values = law(rng, 100).astype(object)
        if check >= 10:
            values[rng.random(100) < 0.67] = None
        detector.update({"x": values.tolist()})
        raised.append(bool(detector.check().alarms))

    assert not any(raised[:10])
    assert raised[13]
