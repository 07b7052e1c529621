"""Every statistic agrees with scipy or with its textbook, on drawn columns and on real ones."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import spatial, stats
from statistics_cases import PAIRS, TEXT, flights, generator

from mlotel import drift
from mlotel.drift import statistics

LAWS = {
    "normal": stats.norm(),
    "lognormal": stats.lognorm(1),
    "t3": stats.t(3),
    "uniform": stats.uniform(),
    "poisson": stats.poisson(3),
    "poisson50": stats.poisson(50),
}
NUMBERS = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "minute", "dep_time", "flight", "month"]
LABELS = ["carrier", "origin", "dest", "tailnum"]


def drawn(law):
    return law.rvs(size=2000, random_state=generator(1)), law.rvs(size=700, random_state=generator(2)) * 1.1 + 0.1


@pytest.fixture(scope="module")
def real():
    return flights()


@pytest.mark.parametrize("name", [*LAWS, *NUMBERS])
def test_ks_and_wasserstein_are_scipys(name, real):
    """On whole samples both are exact: scipy's values to 1e-12."""
    samples = drawn(LAWS[name]) if name in LAWS else [part[name] for part in real]
    reference, current = (np.asarray(sample, dtype=float) for sample in samples)
    clean = reference[np.isfinite(reference)], current[np.isfinite(current)]

    assert drift.ks(reference, current) == pytest.approx(stats.ks_2samp(*clean).statistic, abs=1e-12)
    assert drift.wasserstein(reference, current) == pytest.approx(
        stats.wasserstein_distance(*clean), rel=1e-9, abs=1e-12
    )


def shares(reference, current):
    """Counts and shares of labels, by pandas: missing is a label."""
    table = pd.concat(
        [pd.Series(reference).value_counts(dropna=False), pd.Series(current).value_counts(dropna=False)], axis=1
    )
    counts = table.fillna(0).to_numpy().T
    return counts, counts / counts.sum(axis=1, keepdims=True)


def agree(reference, current, counts, p, q, **options):
    """The six statistics of shares, against scipy and their formulas written out."""
    n, m = counts.sum(axis=1)
    b = counts.shape[1]
    smooth = (counts + 0.5) / (np.array([[n], [m]]) + 0.5 * b)
    chi2 = stats.chi2_contingency(counts, correction=False) if b > 1 else None

    def statistic(name):
        return getattr(drift, name)(reference, current, **options)

    assert statistic("psi") == pytest.approx(
        sum((y - x) * math.log(y / x) for x, y in smooth.T.tolist()), rel=1e-12, abs=1e-12
    )
    assert statistic("js") == pytest.approx(spatial.distance.jensenshannon(p, q, base=2), abs=1e-12)
    assert statistic("hellinger") == pytest.approx(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2), abs=1e-12)
    assert statistic("tvd") == pytest.approx(np.maximum(p - q, 0).sum(), abs=1e-12)
    assert statistic("chi2") == pytest.approx(chi2.statistic, rel=1e-12)
    assert statistics.p_value("chi2", reference, current, **options) == pytest.approx(chi2.pvalue, rel=1e-9)
    assert statistics.p_value("cramers_v", reference, current, **options) == pytest.approx(chi2.pvalue, rel=1e-9)
    assert statistic("cramers_v") == pytest.approx(
        stats.contingency.association(counts.astype(int), method="cramer", correction=False), abs=1e-12
    )
    assert drift.cramers_v(reference, current, adjusted=True, **options) == pytest.approx(
        math.sqrt(max(chi2.statistic - (b - 1), 0) / (n + m)), abs=1e-12
    )


@pytest.mark.parametrize("name", LABELS)
def test_shares_of_real_labels(real, name):
    """Airlines, airports and planes, missing tail numbers among them: six statistics to 1e-12."""
    reference, current = (part[name] for part in real)
    counts, (p, q) = shares(reference, current)

    agree(reference, current, counts, p, q)


def test_shares_of_drawn_labels():
    """The same for two hundred labels of a steep law."""
    law = 1 / np.arange(1, 201)
    reference, current = (
        generator(seed).choice(200, size, p=law / law.sum()).astype(str).tolist()
        for seed, size in ((1, 5000), (2, 900))
    )
    counts, (p, q) = shares(reference, current)

    agree(reference, current, counts, p, q)


@pytest.mark.parametrize("name", ["air_time", "distance", "dep_delay", "hour"])
def test_shares_of_real_numbers_in_given_bins(real, name):
    """With edges given, numbers are shares in the bins that numpy makes of them, and missing ones a bin more."""
    reference, current = (part[name] for part in real)
    edges = np.quantile(reference.dropna(), [0.1, 0.25, 0.5, 0.9])
    places = [np.where(part.isna(), 99, np.digitize(part.fillna(0), edges)) for part in (reference, current)]
    counts, (p, q) = shares(*places)

    agree(reference, current, counts, p, q, bins=edges.tolist())


@pytest.mark.parametrize("law", ["normal", "lognormal", "t3", "uniform"])
@pytest.mark.parametrize("bins", [4, 10, 20])
def test_shares_of_drawn_numbers_in_quantile_bins(law, bins):
    """Without ties the bins are those between the reference's quantiles."""
    reference, current = drawn(LAWS[law])
    edges = np.quantile(reference, np.arange(1, bins) / bins, method="higher")
    counts = np.stack([np.bincount(np.digitize(part, edges), minlength=bins) for part in (reference, current)])

    agree(reference, current, counts, *(counts / counts.sum(axis=1, keepdims=True)), bins=bins)
    if bins == 10:
        assert drift.psi(reference, current) == drift.psi(reference, current, bins=10)


def test_known_values():
    """Values worked out by hand."""
    half, most = ["a"] * 50 + ["b"] * 50, ["a"] * 75 + ["b"] * 25
    assert drift.tvd(half, most) == 0.25
    assert drift.chi2(half, most) == pytest.approx(200 * (50 * 25 - 50 * 75) ** 2 / (100 * 100 * 125 * 75))
    assert drift.js(["a"], ["b"]) == drift.hellinger(["a"], ["b"]) == drift.cramers_v(["a"], ["b"]) == 1
    assert drift.psi(half, most) == pytest.approx(
        (75.5 / 101 - 0.5) * math.log(75.5 / 101 / 0.5) + (25.5 / 101 - 0.5) * math.log(25.5 / 101 / 0.5)
    )
    assert drift.wasserstein([0, 1], [0, 1, 2, 3]) == 1
    assert drift.ks([1, 2, 2, 3], [2, 2, 2, 5]) == 0.25


def test_a_heavy_value_has_a_bin_of_its_own():
    """Zeros that become 0.01 are a change as large as their share, however near 0.01 is."""
    reference = np.concatenate([np.zeros(600), generator().gamma(2, size=400)])
    moved = np.where(reference == 0, 0.01, reference)

    assert drift.tvd(reference, moved) == pytest.approx(0.6, abs=1e-12)
    assert drift.tvd(np.full(100, 5.0), np.full(100, 7.0)) == 1
    assert drift.tvd([0, 1] * 50, [0.5] * 100) == 1


def test_missing_values_are_a_bin_and_infinities_too():
    """Values that go missing, or infinite, are a change of shares; the statistics of order skip them."""
    reference = np.arange(1000.0)
    lost, infinite = reference.copy(), reference.copy()
    lost[::10], infinite[::10] = np.nan, -np.inf

    assert drift.tvd(reference, lost) == drift.tvd(reference, infinite) == pytest.approx(0.1)
    assert drift.ks(reference, lost) == drift.ks(reference, infinite) < 0.002
    assert drift.tvd(["a"] * 10, ["a"] * 9 + [None]) == pytest.approx(0.1)


def test_a_small_distance_keeps_its_digits():
    """Two samples that differ in one row of 10 million are as far apart as they are, not 0 and not noise."""
    counts = statistics.Counts(np.array([[5e6, 5e6]]), np.array([[5e6 + 1, 5e6 - 1]]))
    p = np.array([5e6 + 1, 5e6 - 1]) / 1e7

    assert statistics.get("hellinger").from_counts(counts)[0] == pytest.approx(1e-7 / np.sqrt(2), rel=1e-6)
    assert statistics.get("tvd").from_counts(counts)[0] == pytest.approx(1e-7, rel=1e-6)
    assert statistics.get("chi2").from_counts(counts)[0] == pytest.approx(
        stats.chi2_contingency([[5e6, 5e6], 1e7 * p], correction=False).statistic, rel=1e-6
    )


@pytest.mark.parametrize("case", ["unequal sizes", "ties", "integers", "zero inflated", "booleans"])
def test_p_value_of_ks_is_scipys(case):
    """The chance of so large a gap is scipy's, exact for small samples."""
    reference, current = PAIRS[case]

    expected = stats.ks_2samp(reference.astype(float), current.astype(float)).pvalue
    assert statistics.p_value("ks", reference, current) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["psi", "js", "hellinger", "chi2", "cramers_v", "ks"])
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_p_values_are_uniform_when_nothing_changed(name, kind):
    """Of 400 pairs of one law as many have p-values below 5, 20 and 50 % as should."""
    if kind == "labels" and name == "ks":
        pytest.skip("needs numbers")
    g = generator(12)
    found = []
    for _ in range(400):
        samples = g.normal(size=1000), g.normal(size=800)
        if kind == "labels":
            samples = [np.clip(np.floor(3 * sample), -4, 4).astype(int).astype("U").tolist() for sample in samples]
        found.append(statistics.p_value(name, *samples))

    for level in (0.05, 0.2, 0.5):
        below = np.mean(np.array(found) < level)
        assert below == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / len(found))), (level, below)


def test_constant_samples_have_the_p_value_one():
    """With one bin nothing can have changed."""
    assert statistics.p_value("chi2", ["a"] * 5, ["a"] * 9) == 1
    assert statistics.p_value("psi", [3.0] * 5, [3.0] * 9) == 1


def test_text_is_compared_by_its_whole_value():
    """Labels that begin alike, or differ in case, are different; long ones too."""
    assert drift.tvd(["a" * 1000 + "x"] * 5, ["a" * 1000 + "y"] * 5) == 1
    assert drift.tvd(["AA"], ["aa"]) == 1
    assert drift.tvd(*TEXT["unseen"]) == 0.5
