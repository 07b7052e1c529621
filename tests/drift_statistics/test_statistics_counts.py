"""From counts per bin the statistics are what whole samples give, as exactly as bins allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statistics_cases import PAIRS, flights, generator

from mlotel import drift
from mlotel.drift import statistics
from mlotel.drift.statistics import Counts, Ordered, _samples
from mlotel.drift.statistics._quantiles import quantile_from_counts
from mlotel.drift.statistics.cramers_v import adjusted_from_counts
from mlotel.drift.statistics.ks import ks_upper_from_counts
from mlotel.drift.statistics.psi import adjusted_from_counts as psi_adjusted_from_counts

TAILS = (0.001, 0.005, 0.01, 0.99, 0.995, 0.999)
SHIFTS = {
    "nothing": (stats.norm(), stats.norm()),
    "mean": (stats.norm(), stats.norm(0.25)),
    "much": (stats.norm(), stats.norm(1)),
    "variance": (stats.norm(), stats.norm(0, 1.14)),
    "lognormal": (stats.lognorm(1), stats.lognorm(1, scale=1.2)),
    "heavy tails": (stats.t(3), stats.t(3, 0.25)),
    "skewness": (stats.norm(), stats.skewnorm(5, -0.8 * 1.634, 1.634)),
}
REAL = ["dep_delay", "air_time", "distance", "hour", "arr_delay", "dep_time"]


def bins_of(reference, current, bins=60):
    """Counts and sums in ``bins`` quantile bins of the reference and its tails, made with numpy alone."""
    values = np.sort(reference[np.isfinite(reference)])
    distinct = np.unique(values)
    edges = distinct
    if distinct.size > bins:
        shares = np.unique(np.concatenate([np.arange(bins) / bins, TAILS]))
        chosen, repeats = np.unique(values[(shares * values.size).astype(int)], return_counts=True)
        edges = np.concatenate([chosen, np.nextafter(chosen[repeats > 1], np.inf)])
    edges = np.unique(np.append(edges, np.nextafter(values[-1], np.inf)))
    center, scale = values.mean(), values.std() or 1.0

    def row(sample):
        sample = sample[np.isfinite(sample)]
        place = np.digitize(sample, edges)
        sums = np.bincount(place, (sample - center) / scale, minlength=edges.size + 1)
        return np.bincount(place, minlength=edges.size + 1)[None].astype(float), sums[None]

    (r, rs), (c, cs) = row(reference), row(current)
    return Ordered(np.array([0]), edges[None], r, c, rs, cs, np.array([center]), np.array([scale]))


def counts_of(reference, current, bins=60):
    ordered = bins_of(np.asarray(reference, dtype=float), np.asarray(current, dtype=float), bins)
    return Counts(ordered.reference, ordered.current, ordered)


def samples(name):
    if name in SHIFTS:
        return tuple(
            law.rvs(size=size, random_state=generator(seed))
            for seed, (law, size) in enumerate(zip(SHIFTS[name], (100_000, 1000), strict=True))
        )
    before, after = flights()
    return before[name].to_numpy(float), after[name].to_numpy(float)[:1000]


@pytest.mark.parametrize("name", [*SHIFTS, *REAL])
def test_ks_from_counts(name):
    """The distance from 60 bins is below the exact one by at most 0.007, and the upper bound is above it."""
    reference, current = samples(name)
    counts = counts_of(reference, current)
    exact = drift.ks(reference, current)
    low, high = statistics.get("ks").from_counts(counts)[0], ks_upper_from_counts(counts)[0]

    assert low <= exact + 1e-12
    assert exact <= high + 1e-12
    assert exact - low <= 0.007
    assert high - low < 0.02 + counts.ordered.reference[0].max() / counts.ordered.reference_rows[0, 0]


@pytest.mark.parametrize("name", [*SHIFTS, *REAL])
def test_wasserstein_from_counts(name):
    """The distance in reference standard deviations is never above the exact one, and within 0.01 of it."""
    reference, current = samples(name)
    counts = counts_of(reference, current)
    exact = drift.wasserstein(reference, current) / np.nanstd(reference)
    binned = statistics.get("wasserstein").from_counts(counts)[0]

    assert binned <= exact + 1e-9
    assert exact - binned <= 0.01


def test_wasserstein_is_exact_where_the_gap_keeps_its_sign():
    """A shift of the whole sample is the shift, beyond the reference's ends too, in one bin as in sixty."""
    reference = generator().normal(size=5000)
    scale = reference.std()
    for shift in (0.3, -0.3, 50.0, -50.0):
        for bins in (1, 7, 60):
            found = statistics.get("wasserstein").from_counts(counts_of(reference, reference + shift, bins))[0]
            assert found == pytest.approx(abs(shift) / scale, rel=1e-9), (shift, bins)


def test_wasserstein_without_sums_is_unknown():
    """Counts alone do not say how far values moved."""
    full = counts_of(*PAIRS["unequal sizes"])
    ordered = full.ordered
    counts = Counts(
        full.reference,
        full.current,
        Ordered(ordered.features, ordered.edges, ordered.reference, ordered.current),
    )

    assert np.isnan(statistics.get("wasserstein").from_counts(counts)[0])
    assert statistics.get("ks").from_counts(counts)[0] > 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
    st.integers(2, 12),
)
def test_the_bounds_hold_for_any_samples(reference, current, bins):
    """Whatever the samples, the exact distances lie between those of the bins and the upper bound."""
    x, y = np.array(reference), np.array(current)
    counts = counts_of(x, y, bins)
    exact = drift.ks(x, y)
    scale = counts.ordered.scale[0]

    assert statistics.get("ks").from_counts(counts)[0] <= exact + 1e-12
    assert exact <= ks_upper_from_counts(counts)[0] + 1e-12
    distance = drift.wasserstein(x, y) / scale
    assert statistics.get("wasserstein").from_counts(counts)[0] <= distance * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("name", [*SHIFTS, *REAL])
def test_psi_from_whole_samples_is_that_of_their_deciles(name):
    """In tenths of the reference, whichever way they are found, it differs by at most 0.005."""
    reference, current = samples(name)
    kept = reference[np.isfinite(reference)]
    edges = np.unique(np.quantile(kept, np.arange(1, 10) / 10, method="inverted_cdf"))
    places = [np.where(np.isfinite(part), np.digitize(part, edges), 99) for part in (reference, current)]
    counts = np.stack([[(place == bin_).sum() for bin_ in np.unique(places[0])] for place in places])
    p, q = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 0.5 * counts.shape[1])
    expected = ((p - q) * np.log(p / q)).sum()

    ours = drift.psi(reference, current)
    if name in SHIFTS:
        assert ours == pytest.approx(expected, abs=0.005)
    else:  # a heavy value has a bin of its own, which can only add
        assert ours >= expected - 0.005


@pytest.mark.parametrize("name", ["psi", "js", "hellinger", "tvd", "chi2", "cramers_v", "ks"])
def test_many_features_at_once_are_each_by_itself(name):
    """A feature's number does not depend on which others stand beside it, nor on padding with empty bins."""
    statistic = statistics.get(name)
    cases = ["unequal sizes", "ties", "integers", "zero inflated", "missing and infinite", "heavy tails"]
    alone = [_samples.counts_of(*PAIRS[case], ordered=True) for case in cases]
    bins = max(counts.reference.shape[1] for counts in alone)
    widest = max(counts.ordered.edges.shape[1] for counts in alone)

    def wide(rows, size, value=0.0):
        return np.concatenate([np.pad(row, ((0, 0), (0, size - row.shape[1])), constant_values=value) for row in rows])

    together = Counts(
        wide([counts.reference for counts in alone], bins),
        wide([counts.current for counts in alone], bins),
        Ordered(
            np.arange(len(cases)),
            wide([counts.ordered.edges for counts in alone], widest, np.inf),
            wide([counts.ordered.reference for counts in alone], widest + 1),
            wide([counts.ordered.current for counts in alone], widest + 1),
        ),
    )
    for what in (statistic.from_counts, statistic.noise):
        expected = [what(counts)[0] for counts in alone]
        np.testing.assert_allclose(what(together), expected, rtol=1e-12)
    if name != "ks":
        expected = [statistic(*PAIRS[case]) for case in cases]
        np.testing.assert_allclose(statistic.from_counts(together), expected, rtol=1e-12)


def test_what_is_left_above_the_noise():
    """The adjusted forms are 0 when nothing changed more than chance explains, and lose little when much did."""
    x, y = generator().normal(size=(2, 5000))
    for adjusted, plain in ((psi_adjusted_from_counts, "psi"), (adjusted_from_counts, "cramers_v")):
        still, moved = _samples.counts_of(x, np.sort(x)[::2]), _samples.counts_of(x, y + 0.5)
        assert adjusted(still)[0] == 0
        assert 0.95 < adjusted(moved)[0] / statistics.get(plain).from_counts(moved)[0] < 1


def test_the_middle_of_the_current_sample():
    """The median from bins is within the width of its bin, and exact for integers and heavy values."""
    for name in [*SHIFTS, *REAL]:
        reference, current = samples(name)
        kept = current[np.isfinite(current)]
        ordered = bins_of(reference, current)
        found = quantile_from_counts(ordered, 0.5, np.array([kept.min()]), np.array([kept.max()]))[0]
        middle = np.sort(kept)[(kept.size - 1) // 2]
        if name in ("hour",):
            assert found == middle
        inside = np.digitize(middle, ordered.edges[0])
        ends = np.concatenate([[kept.min()], ordered.edges[0], [kept.max()]])
        assert abs(found - middle) <= ends[inside + 1] - ends[inside], name
    empty = bins_of(np.array([1.0, 2.0]), np.array([]))
    assert np.isnan(quantile_from_counts(empty, 0.5, np.ones(1), np.ones(1))[0])


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.99])
def test_quantiles_are_interpolated_inside_a_bin(share):
    """Values spread evenly over few bins have the quantiles of an even spread, not the edges of bins."""
    even = np.linspace(0, 1, 10_001)
    found = quantile_from_counts(bins_of(even, even, bins=3), share, np.zeros(1), np.ones(1))[0]

    assert found == pytest.approx(share, abs=1e-3)
