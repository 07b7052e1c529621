"""The figures that the decision is held to, in short: `make bench-drift` has the long runs."""

import numpy as np
import pytest
from drift_simulation import (
    CHANGES,
    FURTHER,
    NORMAL,
    STUDIED,
    Source,
    at_the_edge,
    chances,
    continuous,
    delays,
    false_alarms,
    moved,
    profile_of,
    ramp,
    violated_limits,
    zipf,
)
from scipy import stats

from mlotel.drift._evidence import Promise
from mlotel.drift._ladder import Ladder
from mlotel.drift._sets import directions

BY_NAME = {law.name: law for law in [*STUDIED, *FURTHER] if not isinstance(law, np.ndarray)}


@pytest.mark.parametrize("rows", [2000, 10_000])
@pytest.mark.parametrize(
    "law",
    ["normal", "poisson 3", "zero-inflated", "two decimals", "zipf 200", "zipf 30"],
)
def test_limits_of_the_reference_hold(law, rows):
    """With a_ref = 0.2 at most a fifth of references have any limit below the true probability."""
    kind = zipf(int(law.split()[1])) if law.startswith("zipf") else BY_NAME[law]

    assert violated_limits(11, kind, references=100, rows=rows) <= 20


def test_a_small_reference_of_many_categories_bounds_unseen_ones():
    """Of 200 Zipf categories in 2,000 rows most names are too rare to keep: the unseen set is there, with its mass."""
    profile = profile_of(zipf(200), np.random.default_rng(0), 2000)
    of = directions(profile)
    unseen = profile.counts.size - 2
    alone = [place for place, (low, high) in enumerate(zip(of.low, of.high, strict=True))
             if low[0] == unseen and high[0] == unseen + 1 and (high > low).sum() == 1]  # fmt: skip

    assert len(alone) == 1
    assert of.share[alone[0]] == pytest.approx(profile.counts[unseen] / 2000)
    assert of.counts[alone[0]] > 0


@pytest.mark.parametrize(("rows", "tolerance"), [(50, 0.0), (1000, 0.01)])
def test_at_the_edge_of_what_is_tolerated_few_runs_alarm(rows, tolerance):
    """With the law known and exactly as far away as tolerated, at most alpha = 0.2 of runs alarm; at 0 some do."""
    alarmed = at_the_edge(3, runs=250, checks=200, rows=rows, tolerance=tolerance) / 250

    assert alarmed <= 0.2
    assert tolerance or alarmed > 0.004  # none at all would mean that nothing is counted


@pytest.mark.parametrize(("reference_rows", "rows", "laws"), [(2000, 1000, STUDIED), (10_000, 10_000, FURTHER)])
def test_nothing_alarms_while_nothing_changes(reference_rows, rows, laws):
    """Ten runs of 20 features and 300 checks: no alarm, on no feature and on none together, and ln M stays below 6."""
    features, anything, largest = false_alarms(
        4, runs=10, checks=300, reference_rows=reference_rows, rows=rows, laws=laws
    )

    assert (features, anything) == (0, 0)
    assert largest < 6


def test_without_limits_of_the_reference_it_cries_wolf():
    """The same detector that takes the reference for exact alarms in most runs though nothing has changed."""
    features, _, _ = false_alarms(5, runs=10, checks=500, reference_rows=10_000, rows=10_000, trusts_reference=True)

    assert features >= 6


@pytest.mark.parametrize(
    ("change", "most_rows"),
    [("mean +0.1 sd", 28_000), ("mean +0.25 sd", 3000), ("mean +0.5 sd", 1000), ("variance x1.3", 7000),
     ("skewness only", 2000), ("kurtosis only", 4000)],
)  # fmt: skip
def test_changes_of_a_number_are_found_in_time(change, most_rows):
    """Median rows to an alarm after 200 stable checks of 1,000 rows, with a reference of 100,000."""
    found = delays(6, NORMAL, CHANGES[change], runs=15, reference_rows=100_000, rows=1000, most=60)

    assert np.median(found) * 1000 <= most_rows
    assert (found > 0).all()


@pytest.mark.parametrize(
    ("law", "changed", "missing", "most_rows"),
    [
        (zipf(10), moved(zipf(10), 0, 3, 0.05), 0.0, 6000),
        (zipf(10), moved(zipf(10), 0, 3, 0.10), 0.0, 2000),
        (zipf(10), np.append(zipf(10) * 0.97, 0.03), 0.0, 3000),
        (NORMAL, NORMAL, 0.03, 3000),
        (NORMAL, ramp(1000), 0.0, 23_000),
    ],
    ids=["category 5 %", "category 10 %", "new category 3 %", "missing 3 %", "ramp"],
)
def test_other_changes_are_found_in_time(law, changed, missing, most_rows):
    """The same for categories that move or appear, for values that go missing and for a slow ramp."""
    found = delays(7, law, changed, runs=15, reference_rows=100_000, rows=1000, most=60, missing=missing)

    assert np.median(found) * 1000 <= most_rows


def test_small_windows_find_large_changes_sooner():
    """With 100 rows a check, half a standard deviation takes 550 rows at most."""
    found = delays(8, NORMAL, CHANGES["mean +0.5 sd"], runs=15, reference_rows=100_000, rows=100, most=60)

    assert np.median(found) * 100 <= 550


def test_a_year_of_calm_costs_little():
    """After 3.15 million stable checks a quarter of a standard deviation still takes 4,000 rows at most."""
    found = delays(
        9, NORMAL, CHANGES["mean +0.25 sd"], runs=15, reference_rows=100_000, rows=1000, stable=50, clock=3_153_600
    )

    assert np.median(found) * 1000 <= 4000


@pytest.mark.parametrize(("reference_rows", "shift"), [(10_000, 0.02), (100_000, 0.02)])
def test_what_is_tolerated_never_alarms(reference_rows, shift):
    """A shift of 0.02 standard deviations is below the tolerance: no alarm in two million rows."""
    found = delays(
        10, NORMAL, continuous("", stats.norm(shift)), runs=10, reference_rows=reference_rows, rows=10_000, stable=0,
        most=200, min_windows=2,
    )  # fmt: skip

    assert np.isinf(found).all()


def _levels(shift, runs, checks, stable=200):
    rng = np.random.default_rng(12)
    profiles = [profile_of(NORMAL, rng, 100_000) for _ in range(runs)]
    ladder = Ladder(profiles, Promise(n_features=20), (0.01, 0.05, 0.12))
    calm = Source([chances(profile, NORMAL) for profile in profiles])
    moved_away = Source([chances(profile, continuous("", stats.norm(shift))) for profile in profiles])
    highest, first = np.zeros(runs, np.int64), np.full((4, runs), np.inf)
    for check in range(stable + checks):
        standing = ladder.step((calm if check < stable else moved_away)(rng, 1000))
        highest = np.maximum(highest, standing.level)
        for level in range(1, 4):
            reached = (standing.level >= level) & np.isinf(first[level])
            first[level][reached] = check - stable + 1
    return highest, first


def test_levels_say_how_large_a_change_is():
    """A quarter of a standard deviation, total variation 0.10, reaches level 2 soon in every run and never level 3."""
    highest, first = _levels(0.25, runs=10, checks=100)

    assert (highest == 2).all()
    assert first[2].max() <= 10
    assert (first[1] >= 1).all()


def test_a_change_of_two_percent_reaches_no_second_level():
    """0.05 standard deviations, total variation 0.02, is hardly ever certified to exceed 0.01, and never 0.05."""
    highest, _ = _levels(0.05, runs=10, checks=200)

    assert (highest <= 1).all()
    assert (highest == 1).sum() <= 1


@pytest.mark.parametrize("seed", [2, 13])
def test_an_alarm_is_raised_held_and_cleared(seed):
    """A quarter of a standard deviation in checks 200 to 299: raised by 203, no gap, cleared between 301 and 320."""
    rng = np.random.default_rng(seed)
    profiles = [profile_of(NORMAL, rng, 100_000) for _ in range(5)]
    ladder = Ladder(profiles, Promise(min_windows=1), (0.01, 0.05, 0.12))
    levels, onsets = [], []
    for check in range(400):
        laws = [CHANGES["mean +0.25 sd"] if 200 <= check < 300 else NORMAL, *[NORMAL] * 4]
        standing = ladder.step(Source([chances(p, law) for p, law in zip(profiles, laws, strict=True)])(rng, 1000))
        levels.append(standing.level.copy())
        onsets.append(int(standing.onset[0]))
    levels = np.array(levels)
    held = np.flatnonzero(levels[:, 0])

    assert 200 <= held[0] <= 202  # counted from 0
    assert held.size == held[-1] - held[0] + 1
    assert 300 <= held[-1] + 1 <= 319
    assert not levels[:, 1:].any()
    assert abs(onsets[held[0]] - (held[0] - 200 + 1)) <= 1
