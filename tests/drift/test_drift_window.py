"""The hot path: exact counts, whatever the data and however they come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from mlotel.drift import Detector, Reference
from mlotel.drift._bins import number_profile
from mlotel.drift._window import Window

AWKWARD = {
    "normal": lambda rng, n: rng.normal(size=n),
    "missing and infinite": lambda rng, n: np.where(
        rng.random(n) < 0.3, rng.choice([np.nan, np.inf, -np.inf], n), rng.normal(size=n)
    ),
    "constant": lambda rng, n: np.full(n, 7.0),
    "atom at 0 beside 0.01": lambda rng, n: rng.choice([0.0, 0.01, 0.02, 5.0], n, p=[0.7, 0.1, 0.1, 0.1]),
    "two zeros": lambda rng, n: rng.choice([0.0, -0.0, 1.0, -1.0], n),
    "integers": lambda rng, n: rng.poisson(40, n).astype(float),
    "many zeros": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.gamma(2, size=n)),
    "epoch seconds": lambda rng, n: 1.6e9 + rng.random(n) * 86_400,
    "huge": lambda rng, n: rng.normal(size=n) * 1e300,
    "tiny": lambda rng, n: rng.normal(size=n) * 1e-300,
}


def expected(profile, values):
    """Counts by numpy's other way: a search of every value among the edges."""
    finite = values[np.isfinite(values)]
    inside = np.bincount(profile.edges.searchsorted(finite, "right"), minlength=profile.edges.size + 1)
    return np.append(inside, values.size - finite.size)


def two_columns(kind, rng, n):
    return np.column_stack([AWKWARD[kind](rng, n), rng.normal(size=n)])


@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("shifted", [False, True])
def test_counts_are_exact(kind, shifted):
    """Counts in bins equal those of bincount over searchsorted, for every kind of awkward data."""
    rng = np.random.default_rng(0)
    reference = two_columns(kind, rng, 5000)
    profiles = [number_profile(str(place), "numeric", reference[:, place]) for place in range(2)]
    rows = two_columns(kind, rng, 5000) + (0.5 if shifted else 0.0)
    window = Window(profiles)
    window.add_rows(rows)

    counts = window.present()

    assert np.array_equal(counts, np.concatenate([expected(p, rows[:, i]) for i, p in enumerate(profiles)]))


@pytest.mark.parametrize("kind", AWKWARD)
def test_chunks_order_and_single_rows_do_not_matter(kind):
    """Batches of any size, rows one by one and rows in another order give the same counts, and sums to the last bit
    where the order is the same."""
    rng = np.random.default_rng(1)
    profiles = [
        number_profile(str(place), "numeric", column) for place, column in enumerate(two_columns(kind, rng, 3000).T)
    ]
    rows = two_columns(kind, rng, 5000)

    def counted(parts):
        window = Window(profiles)
        for part in parts:
            window.add_rows(part)
        return window.present(), window.sums, window.moments

    whole = counted([rows])
    in_parts = counted(np.split(rows, np.sort(rng.integers(0, 5000, 40))))
    one_by_one = counted([row[None] for row in rows])
    shuffled = counted([rng.permutation(rows)])

    for counts, sums, moments in (in_parts, one_by_one):
        assert np.array_equal(counts, whole[0])
        assert np.array_equal(sums, whole[1])
        assert np.array_equal(moments.m4, whole[2].m4, equal_nan=True)
    assert np.array_equal(shuffled[0], whole[0])


def test_the_last_value_of_the_last_feature_is_summed():
    """A full block whose last column holds only its largest value still adds that value to the sums."""
    reference = np.random.default_rng(2).normal(size=3000)
    window = Window([number_profile("a", "numeric", reference), number_profile("b", "numeric", reference)])
    rows = np.zeros((2048, 2))
    rows[-1, 1] = 1000.0
    window.add_rows(rows)
    window.empty()

    assert window.sums[-2] == pytest.approx((1000 - reference.mean()) / reference.std(), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(allow_nan=True, allow_infinity=True, width=64))
)
def test_counts_are_exact_for_any_floats(values):
    """Whatever 64 bits stand for, every value is counted in its bin, once."""
    profile = number_profile("x", "numeric", np.concatenate([np.random.default_rng(3).normal(size=500), [0.0] * 50]))
    window = Window([profile])
    window.add_rows(values[:, None])

    assert np.array_equal(window.present(), expected(profile, values))


@pytest.mark.parametrize("kind", ["normal", "missing and infinite", "epoch seconds", "many zeros"])
def test_moments_are_those_of_scipy(kind):
    """Mean, deviation, skewness and kurtosis of 5,000 rows in blocks equal scipy's on all at once, to 1e-9."""
    rng = np.random.default_rng(4)
    rows = {"x": AWKWARD[kind](rng, 5000)}
    detector = Detector(Reference.fit(rows))
    current = AWKWARD[kind](rng, 5000)
    for part in np.array_split(current, 7):
        detector.update({"x": part})
    moments = detector.check()["x"].moments
    finite = current[np.isfinite(current)]

    assert moments["mean"] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
    assert moments["std"] == pytest.approx(finite.std(), rel=1e-9)
    assert moments["skewness"] == pytest.approx(stats.skew(finite), rel=1e-9, abs=1e-9)
    assert moments["kurtosis"] == pytest.approx(stats.kurtosis(finite), rel=1e-9, abs=1e-9)
    assert (moments["min"], moments["max"]) == (finite.min(), finite.max())
    assert abs((finite < moments["median"]).mean() - 0.5) < 0.02 or "zeros" in kind


def test_buffers_may_be_reused():
    """What the caller writes into its arrays after `update` does not reach the detector."""
    rng = np.random.default_rng(5)
    reference = Reference.fit(rng.normal(size=(5000, 3)))
    kept, reused = Detector(reference), Detector(reference)
    buffer, row = np.empty((100, 3)), [0.0, 0.0, 0.0]
    for _ in range(10):
        values = rng.normal(size=(100, 3))
        buffer[:] = values
        row[:] = values[0].tolist()
        reused.update(buffer)
        reused.update(row)
        kept.update(values.copy())
        kept.update(list(row))
        buffer[:], row[:] = 1e9, [1e9] * 3

    assert kept.state() == reused.state()


def test_memory_does_not_grow_with_rows():
    """The state is as large after 400,000 rows as after 4,000."""
    rng = np.random.default_rng(6)
    detector = Detector(Reference.fit(rng.normal(size=(5000, 4))))
    sizes = []
    for rounds in (1, 99):
        for _ in range(rounds):
            detector.update(rng.normal(size=(4096, 4)))
            detector.check()
        sizes.append(len(detector.state()))

    assert abs(sizes[1] - sizes[0]) < 16  # digits of the number of checks


@pytest.mark.parametrize(("tolerances", "most"), [((0.01,), 22_000), ((0.01, 0.05, 0.12), 48_000)])
def test_the_state_is_small(tolerances, most):
    """At most 22 KB a feature with one tolerance and 48 KB with three, reference included."""
    rng = np.random.default_rng(7)
    values = {str(place): rng.normal(size=20_000) for place in range(10)}
    values |= {f"c{place}": rng.choice(60, 20_000).astype(str) for place in range(10)}
    detector = Detector(Reference.fit(values), tolerances=tolerances)
    detector.update({name: column[:5000] for name, column in values.items()})
    detector.check()

    assert len(detector.state()) / 20 <= most
