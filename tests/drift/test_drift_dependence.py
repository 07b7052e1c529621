"""References in order of time: dependent rows and cycles are measured, and allowed for."""

import numpy as np
import pytest
from drift_simulation import autoregressive

from mlotel.drift import Detector, Reference


def fit(values, **more):
    return Reference.fit({"x": values}, times=np.arange(len(values), dtype=float), **more)


def alarms(detector, rows, size):
    found = []
    for start in range(0, len(rows), size):
        detector.update({"x": rows[start : start + size]})
        found += detector.check().raised
    return found


@pytest.mark.parametrize("rows", [10_000, 60_000])
def test_independent_rows_are_left_alone(rows):
    """Of 20 references of independent rows at most one is given a design effect, and none a tolerance."""
    rng = np.random.default_rng(0)
    profiles = [fit(rng.normal(size=rows))["x"] for _ in range(20)]

    assert sum(profile.design_effect > 1 for profile in profiles) <= 1
    assert all(profile.tolerance == 0 for profile in profiles)


def test_dependent_rows_do_not_alarm():
    """Rows that remember the one before by 0.9 alarm without calibration, and do not with the effect found in times."""
    rng = np.random.default_rng(1)
    reference, current = autoregressive(rng, 200_000, 0.9), autoregressive(rng, 200_000, 0.9)
    naive = Detector(Reference.fit({"x": reference}))
    calibrated = Detector(fit(reference))

    assert 8 < calibrated.reference["x"].design_effect < 25
    assert alarms(naive, current, 1000)
    assert alarms(calibrated, current, 1000) == []


def test_a_daily_cycle_does_not_alarm_and_a_shift_beyond_it_does():
    """A cycle of 0.1 standard deviations alarms without calibration; with it only a shift of 0.5 does."""
    rng = np.random.default_rng(2)

    def days(count, shift=0.0):
        minutes = np.arange(count * 1440)
        return (rng.normal(size=(minutes.size, 50)) + 0.1 * np.sin(2 * np.pi * minutes / 1440)[:, None] + shift).ravel()

    reference, calm, shifted = days(7), days(2), days(1, 0.5)[:10_000]
    naive, calibrated = Detector(Reference.fit({"x": reference})), Detector(fit(reference))

    assert 0.04 < calibrated.reference["x"].tolerance < 0.08
    assert alarms(naive, calm, 500)
    assert alarms(calibrated, calm, 500) == []
    assert alarms(calibrated, shifted, 500) == ["x"]


def test_categories_are_calibrated_too():
    """Labels that come in runs of 50 equal ones have a design effect of about 50."""
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.choice(list("abc"), 2000), 50)

    assert 30 < fit(labels)["x"].design_effect < 90


def test_the_order_of_times_counts_not_that_of_rows():
    """Shuffled rows with their times give the same calibration as rows in order."""
    rng = np.random.default_rng(4)
    values = autoregressive(rng, 50_000, 0.95)
    times, shuffle = np.arange(50_000) * 60.0, rng.permutation(50_000)
    ordered = Reference.fit({"x": values}, times=times)
    shuffled = Reference.fit({"x": values[shuffle]}, times=times[shuffle])
    dated = Reference.fit({"x": values[shuffle]}, times=(times[shuffle] * 1e9).astype("datetime64[ns]"))

    assert ordered["x"].design_effect == shuffled["x"].design_effect == dated["x"].design_effect > 10


def test_too_few_rows_for_times_are_said():
    """With fewer than 10,000 rows nothing is calibrated, and the reference says so."""
    reference = fit(np.random.default_rng(5).normal(size=5000))

    assert reference["x"].design_effect == 1
    assert any("5,000 rows are too few" in note for note in reference.notes)
