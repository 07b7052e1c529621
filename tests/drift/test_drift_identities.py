"""The numbers that the decision is made of, against a second source."""

import math

import numpy as np
import pytest
from drift_simulation import NORMAL, profile_of
from scipy import stats

from mlotel.drift._evidence import Counter, Evidence, Promise, _bets, e_bh
from mlotel.drift._limits import log_spending, upper_limit


@pytest.mark.parametrize(
    ("count", "rows", "alpha", "limit"),
    [
        (0, 1000, 1e-3, 0.0078064),
        (50, 1000, 1e-3, 0.0753876),
        (500, 1000, 1e-6, 0.5757206),
        (50_000, 100_000, 2.5e-6, 0.5072272),
    ],
)
def test_upper_limits_have_their_known_values(count, rows, alpha, limit):
    """Four limits, computed elsewhere by the formula of Zubkov and Serov, come out to seven digits."""
    assert upper_limit(count, rows, alpha)[0] == pytest.approx(limit, abs=5e-8)


@pytest.mark.parametrize("rows", [20, 300, 5000])
def test_upper_limits_are_never_below_clopper_and_pearson(rows):
    """A limit is at least the exact one of scipy's beta distribution, and close to it."""
    counts = np.unique(np.geomspace(1, rows - 1, 40).astype(int))
    ours = upper_limit(counts, rows, 1e-4)
    exact = stats.beta.ppf(1 - 1e-4, counts + 1, rows - counts)

    assert (ours >= exact - 1e-12).all()
    assert (ours - exact).max() < 3 / rows


def test_a_limit_that_all_rows_showed_is_one():
    """What every row showed, or every row but one, can have any probability up to one."""
    assert upper_limit([9, 10], 10, 0.01).tolist() == [1.0, 1.0]


def test_the_spending_schedule_sums_to_one():
    """The shares of alpha are positive, fall, have their known values and sum to one less what is left for later."""
    shares = np.exp(log_spending(np.arange(1, 1_000_001)))

    assert shares[[0, 1, 9, 999]] == pytest.approx([1 / 2, 0.11315, 0.0071344, 1.199e-5], rel=1e-3)
    assert (np.diff(shares) < 0).all()
    assert shares.sum() == pytest.approx(0.952225, abs=1e-6)
    assert 1 - shares.sum() == pytest.approx(1 / (1 + math.log2(1 + 1_000_000)), abs=1e-9)


def _gain(hits, rows, limit=0.1, target=0.2):
    up, down, _ = _bets(np.array([limit]), np.zeros(1, np.int64), 1.0)
    after = limit * np.exp(up)
    place = int(np.abs(after - target).argmin())
    return hits * up[place] + (rows - hits) * down[place], after[place]


def test_one_window_multiplies_evidence_by_one_on_average_at_the_limit():
    """The mean of a bet's factor is exactly 1 when its set is as probable as tolerated, and below 1 otherwise."""
    rows, hits = 200, np.arange(201)
    up, down = math.log(0.2 / 0.1), math.log(0.8 / 0.9)
    gains, after = _gain(hits, rows, target=0.2)
    factor = np.exp(hits * up + (rows - hits) * down)

    assert hits[30] * up + 170 * down == pytest.approx(0.771299, abs=1e-6)
    assert (stats.binom.pmf(hits, rows, 0.1) * factor).sum() == pytest.approx(1, abs=1e-9)
    assert (stats.binom.pmf(hits, rows, 0.08) * factor).sum() == pytest.approx(0.01117, abs=1e-5)
    assert (stats.binom.pmf(hits, rows, 0.1) * np.exp(gains)).sum() == pytest.approx(1, abs=1e-9)
    assert after == pytest.approx(0.18, abs=1e-12)  # 0.1 and the effect of 0.08


def test_bets_that_do_not_fit_below_one_shrink_or_go():
    """Above a limit of 0.95 no bet goes past nine tenths of what is left, and a certain set has none but a dead one."""
    up, _, _ = _bets(np.array([0.95]), np.zeros(1, np.int64), 1.0)
    dead_up, dead_down, _ = _bets(np.array([1.0]), np.zeros(1, np.int64), 1.0)

    assert (0.95 * np.exp(up)).tolist() == pytest.approx([0.955, 0.9625, 0.98, 0.995])
    assert dead_up.tolist() == dead_down.tolist() == [0.0]


def _reference_evidence(profile, windows, *, min_windows, features):
    """ln M of one feature, by the formulas, one bet after another."""
    counter = Counter([profile])
    of = counter.of[0]
    alpha = 0.005 / features
    limit = np.clip(upper_limit(of.counts, of.rows, alpha / of.share.size) + 0.01, 1e-6, 1)
    bets = []
    for place, p0 in enumerate(limit):
        for effect in (0.005, 0.0125, 0.03, 0.08, 0.2, 0.5):
            room = 0.9 * (1 - p0)
            if min(effect, room) > 1e-4:
                bets.append((place, p0, p0 + min(effect, room)))
            if effect > room:
                break
    threshold, weight = math.log(features / 0.005), math.log(1 / len(bets))
    evidence, begun = [-math.inf] * len(bets), [0.0] * len(bets)
    for t, window in enumerate(windows, start=1):
        running = np.concatenate([[0], np.cumsum(window)])
        inside = (running[of.high] - running[of.low]).sum(axis=1)
        hits = np.concatenate([inside, window.sum() - inside])
        spent = math.log(math.log2(1 + 1 / t)) - math.log((1 + math.log2(t)) * (1 + math.log2(1 + t)))
        for b, (place, p0, p1) in enumerate(bets):
            gain = hits[place] * math.log(p1 / p0) + (window.sum() - hits[place]) * math.log((1 - p1) / (1 - p0))
            begun[b] = spent if evidence[b] <= spent else begun[b]  # what the present run of the bet began with
            if min_windows > 1:
                gain = min(gain, (threshold - begun[b] - weight) / min_windows)
                gain = min(gain, (threshold - 1e-6 - begun[b]) / (min_windows - 1))
            evidence[b] = max(evidence[b], spent) + gain
    return math.log(sum(math.exp(g + weight) for g in evidence))


@pytest.mark.parametrize("min_windows", [1, 2])
def test_evidence_is_what_the_formulas_say(min_windows):
    """The vectorised recursion equals the written formulas, bet by bet, in calm and in drift."""
    rng = np.random.default_rng(0)
    profile = profile_of(NORMAL, rng, 5000)
    share = profile.counts / profile.rows
    windows = [rng.multinomial(300, share if t < 4 else np.roll(share, 2)) for t in range(7)]
    counter = Counter([profile])
    evidence = Evidence([profile], counter, Promise(min_windows=min_windows, n_features=20), 0.01)

    for t, window in enumerate(windows, start=1):
        found = evidence.step(*counter(window))
        assert found[0] == pytest.approx(
            _reference_evidence(profile, windows[:t], min_windows=min_windows, features=20), abs=1e-9
        )


def test_any_feature_evidence_is_never_behind_the_first_feature():
    """Whenever one feature alarms, the evidence that anything has changed is at its threshold too."""
    rng = np.random.default_rng(1)
    profiles = [profile_of(NORMAL, rng, 20_000) for _ in range(5)]
    counter = Counter(profiles)
    evidence = Evidence(profiles, counter, Promise(min_windows=1), 0.01)
    calm = [profile.counts / profile.rows for profile in profiles]
    alarms = 0
    for _ in range(40):
        shifted = 0.8 * calm[0] + 0.2 * np.roll(calm[0], 15)
        evidence.step(*counter(np.concatenate([rng.multinomial(1000, share) for share in [shifted, *calm[1:]]])))
        alarms += int(evidence.alarms.any())
        assert evidence.any_score >= 1 or not evidence.alarms.any()
    assert alarms


def test_windows_without_rows_do_not_count():
    """A feature without rows keeps its evidence and its clock while others move on."""
    rng = np.random.default_rng(2)
    profiles = [profile_of(NORMAL, rng, 2000) for _ in range(2)]
    counter = Counter(profiles)
    evidence = Evidence(profiles, counter, Promise(), 0.01)
    both = np.concatenate([rng.multinomial(500, p.counts / p.rows) for p in profiles])
    first = evidence.step(*counter(both)).copy()
    half = both.copy()
    half[: profiles[0].counts.size] = 0
    second = evidence.step(*counter(half))

    assert evidence.t.tolist() == [1, 2]
    assert second[0] == first[0]
    assert second[1] != first[1]


def test_e_bh_rejects_the_features_that_it_must():
    """With e-values 100, 30 and 1 of three features, a rate of 0.1 takes the first two: 100 >= 30, 30 >= 15, 1 < 10."""
    assert sorted(e_bh(np.log([100.0, 1.0, 30.0]), 0.1).tolist()) == [0, 2]
    assert e_bh(np.log([2.0, 1.0]), 0.1).size == 0
