"""Every statistic is asked the same on arrival, those of other distributions too."""

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from statistics_cases import PAIRS, TEXT, generator

from column_cases import floats, integers, labels, times
from mlotel import _plugins
from mlotel.drift import statistics
from mlotel.drift.statistics import Counts, Ordered
from mlotel.errors import EmptySampleError, InvalidTypeError, MlotelError

NAMES = statistics.names()
OWN = sorted(_plugins.own("drift.statistics"))


@pytest.fixture(params=NAMES)
def statistic(request):
    return statistics.get(request.param)


def test_it_says_what_it_is(statistic):
    """A statistic bears the name of its plugin, has a unit of OpenTelemetry's form, and bounds in order."""
    assert statistic.name in NAMES
    assert statistic.unit.startswith("{")
    assert statistic.unit.endswith("}")
    assert statistic.upper_bound is None or statistic.upper_bound > statistic.lower_bound


@pytest.mark.parametrize("case", PAIRS)
def test_numbers(statistic, case):
    """Whatever the numbers, the answer is a finite float within the bounds."""
    value = statistic(*PAIRS[case])

    assert type(value) is float
    assert statistic.lower_bound <= value <= (np.inf if statistic.upper_bound is None else statistic.upper_bound)
    assert np.isfinite(value)


@pytest.mark.parametrize("case", TEXT)
def test_text(statistic, case):
    """Text has an answer within the bounds, or an error that says what to use instead."""
    if statistic.numbers_only:
        with pytest.raises(InvalidTypeError, match="reference holds text or labels, which have no order"):
            statistic(*TEXT[case])
        return
    value = statistic(*TEXT[case])

    assert type(value) is float
    assert statistic.lower_bound <= value <= (np.inf if statistic.upper_bound is None else statistic.upper_bound)


@pytest.mark.parametrize("case", ["equal", "constant, the same"])
def test_equal_samples_are_at_the_lower_bound(statistic, case):
    """Equal shares are no drift, whatever the sizes; half a row in each bin is all that may show."""
    assert statistic(*PAIRS[case]) == pytest.approx(statistic.lower_bound, abs=1e-12)
    if not statistic.numbers_only:
        assert statistic(*TEXT["equal"]) == pytest.approx(statistic.lower_bound, abs=2e-2)


@pytest.mark.parametrize("case", ["disjoint", "constant, another", "constant, between", "one value each"])
def test_what_differs_is_above_it(statistic, case):
    """Samples without a common value differ, whatever the gap between them."""
    assert statistic(*PAIRS[case]) > statistic.lower_bound + 0.4


def test_nothing_in_common_is_the_upper_bound(statistic):
    """Where there is a largest value, samples without a common bin have it."""
    if statistic.upper_bound is None:
        pytest.skip("has none")
    disjoint = PAIRS["disjoint"] if statistic.numbers_only else TEXT["disjoint"]

    assert statistic(*disjoint) == pytest.approx(statistic.upper_bound)


def test_the_order_of_rows_does_not_count(statistic):
    """Shuffled samples give the same number."""
    reference, current = PAIRS["zero inflated"]
    shuffled = generator(5).permutation(reference), generator(6).permutation(current)

    assert statistic(*shuffled) == pytest.approx(statistic(reference, current), rel=1e-12)


def test_rows_repeated_alike_change_nothing_but_what_grows_with_rows(statistic):
    """Every row ten times over leaves shares as they are, so the number too, up to smoothing; chi-square grows."""
    reference, current = PAIRS["zero inflated"]
    ten = statistic(np.tile(reference, 10), np.tile(current, 10))

    factor = 10 if statistic.upper_bound is None and statistic.name == "chi2" else 1
    assert ten == pytest.approx(factor * statistic(reference, current), rel=2e-2)


def test_symmetry_holds_where_it_is_claimed(statistic):
    """A symmetric statistic is the same the other way round, on equal bins."""
    if not statistic.symmetric:
        pytest.skip("claims none")
    reference, current = TEXT["unequal sizes"] if statistic.binned else PAIRS["unequal sizes"]

    assert statistic(current, reference) == pytest.approx(statistic(reference, current), rel=1e-12)


def test_a_large_offset_costs_no_precision(statistic):
    """Numbers around 1.6e9, as times are, give what the same numbers around 0 give."""
    reference, current = (np.round(sample * 4096) / 4096 for sample in PAIRS["unequal sizes"])  # exact at 1.6e9 too

    assert statistic(reference + 1.6e9, current + 1.6e9) == pytest.approx(statistic(reference, current), rel=1e-9)


def test_a_change_of_unit(statistic):
    """Dimensionless statistics do not depend on the unit of the data; others scale with it."""
    reference, current = PAIRS["zero inflated"]
    once, scaled = statistic(reference, current), statistic(reference * 1024, current * 1024)

    assert scaled == pytest.approx(once) or scaled == pytest.approx(1024 * once)


@pytest.mark.parametrize(
    ("empty", "kind"), [([], "0"), ([None, None], "2"), (np.array([np.nan, np.inf]), "2"), (np.empty(0, "M8[s]"), "0")]
)
def test_a_sample_without_a_usable_value(statistic, empty, kind):
    """An empty sample is an error that says which one it is, what was found and what to do."""
    full = [1.0, 2.0]
    with pytest.raises(EmptySampleError, match=f"reference has 0 .* values out of {kind}. Pass at least one, or drop"):
        statistic(empty, full)
    with pytest.raises(ValueError, match=f"current has 0 .* values out of {kind}"):
        statistic(full, empty)


@pytest.mark.parametrize("wrong", ["text", b"bytes", 3, None, {"a": 1}, object()])
def test_what_is_no_column(statistic, wrong):
    """Something else than a column is a TypeError of ours that says what to pass."""
    with pytest.raises(InvalidTypeError, match=r"Cannot read reference: got .*Pass a column of pandas"):
        statistic(wrong, [1.0])
    with pytest.raises(TypeError, match="Cannot read current: got "):
        statistic([1.0], wrong)


@pytest.mark.parametrize(
    ("reference", "current"),
    [([1, 2], ["a", "b"]), (["a", "b"], [1, 2]), ([1, 2], np.array(["2013"], "M8[D]")), ([True], ["True"])],
)
@pytest.mark.parametrize("name", OWN)
def test_what_cannot_be_compared(name, reference, current):
    """Numbers against text, or times against numbers, are an error of ours and never a number."""
    with pytest.raises(MlotelError) as failed:
        statistics.get(name)(reference, current)
    assert isinstance(failed.value, TypeError)


@pytest.mark.parametrize("columns", [integers, floats, labels, times])
def test_every_kind_of_column_is_the_same_sample(statistic, columns):
    """Lists, numpy, pandas, polars and pyarrow give one number, as either sample."""
    if statistic.numbers_only and columns is labels:
        pytest.skip("needs numbers")
    options = columns()
    plain = options["list"]
    # Where a container needs a null to show that it has nulls, the others have none, so missing values may not differ.
    without = {name: column for name, column in options.items() if len(column) == len(plain)}

    values = {name: statistic(column, plain) for name, column in without.items()}
    assert all(value == pytest.approx(statistic.lower_bound, abs=1e-12) for value in values.values()), values
    values = {name: statistic(plain, column) for name, column in without.items()}
    assert all(value == pytest.approx(statistic.lower_bound, abs=1e-12) for value in values.values()), values
    assert len(without) >= 4


def test_integers_and_booleans_are_numbers(statistic):
    """The same values as integers, floats or booleans are the same sample."""
    reference, current = PAIRS["integers"]
    assert statistic(reference.astype(np.int16), current) == pytest.approx(statistic(reference.astype(float), current))

    reference, current = PAIRS["booleans"]
    assert statistic(reference, current.astype(int)) == pytest.approx(statistic(reference, current))


@pytest.mark.parametrize("name", OWN)
def test_neighbours_beyond_53_bits_differ(name):
    """Integers that a float cannot tell apart, and times a nanosecond apart, are told apart."""
    statistic = statistics.get(name)
    assert statistic([2**60] * 50, [2**60 + 1] * 50) > statistic.lower_bound
    stamps = np.array(["2013-07-01T00:00:00"], "M8[ns]").repeat(50)
    assert statistic(stamps, stamps + np.timedelta64(1, "ns")) > statistic.lower_bound


def test_nothing_is_changed(statistic):
    """The samples are left as they were."""
    reference, current = (sample.copy() for sample in PAIRS["missing and infinite"])
    statistic(reference, current)

    np.testing.assert_array_equal(reference, PAIRS["missing and infinite"][0])
    np.testing.assert_array_equal(current, PAIRS["missing and infinite"][1])


def counts_of_two_features():
    """A number and a category, with bins that only one of them has."""
    coarse = np.array([[10.0, 30.0, 60.0, 0.0], [50.0, 25.0, 20.0, 5.0]])
    fine = Ordered(
        features=np.array([0]),
        edges=np.array([[0.0, 1.0, 2.0, np.inf]]),
        reference=np.array([[5.0, 35.0, 30.0, 30.0, 0.0]]),
        current=np.array([[10.0, 20.0, 30.0, 40.0, 0.0]]),
        reference_sums=np.array([[-5.0, 17.0, 45.0, 75.0, 0.0]]),
        current_sums=np.array([[-8.0, 10.0, 45.0, 100.0, 0.0]]),
        center=np.zeros(1),
        scale=np.ones(1),
    )
    return Counts(coarse, np.array([[20.0, 30.0, 50.0, 0.0], [30.0, 35.0, 20.0, 15.0]]), fine)


@pytest.mark.parametrize("what", ["from_counts", "noise"])
def test_counts_of_many_features(statistic, what):
    """From counts there is a number for each feature, NaN for those that have no such statistic."""
    compute = getattr(statistic, what)
    if compute is None:
        pytest.skip("has none")
    found = compute(counts_of_two_features())

    assert found.shape == (2,)
    assert found[0] > 0
    assert np.isnan(found[1]) if statistic.numbers_only else found[1] > 0


@pytest.mark.parametrize("what", ["from_counts", "noise"])
def test_counts_without_rows(statistic, what):
    """A feature without rows on one side is NaN, without a warning, and leaves the others alone."""
    compute = getattr(statistic, what)
    if compute is None:
        pytest.skip("has none")
    counts = counts_of_two_features()
    one = compute(counts)
    empty = Counts(
        np.concatenate([counts.reference, counts.reference[:1]]),
        np.concatenate([counts.current, np.zeros((1, 4))]),
        counts.ordered,
    )
    found = compute(empty)

    np.testing.assert_allclose(found[:2], one)
    assert np.isnan(found[2])


def test_noise_is_what_equal_laws_give(statistic):
    """Two samples of one law differ by about the noise, on the scale of the statistic; two laws by far more."""
    if statistic.noise is None:
        with pytest.raises(ValueError, match="No formula is known for the noise"):
            statistics.noise(statistic.name, [1, 2], [1, 2])
        return
    draws = [generator(seed).normal(size=1000) for seed in range(41)]
    noise = statistics.noise(statistic.name, draws[0], draws[1])
    typical = float(np.median([statistic(draws[0], other) for other in draws[1:]]))

    assert 0.5 * noise < typical < 1.5 * noise
    assert statistic(draws[0], draws[1] + 1) > 5 * noise


def test_p_value_where_theory_has_one(statistic):
    """A p-value is a probability: near 1 for equal samples, near 0 for disjoint ones; without one the error says so."""
    if statistic.p_value is None:
        with pytest.raises(ValueError, match="Theory gives no p-value"):
            statistics.p_value(statistic.name, [1, 2], [1, 2])
        return
    equal = statistics.p_value(statistic.name, *PAIRS["equal"])
    disjoint = statistics.p_value(statistic.name, *PAIRS["disjoint"])

    assert type(equal) is float
    assert 0.99 < equal <= 1
    assert 0 <= disjoint < 1e-50


def test_a_million_rows_take_the_time_of_a_few_sorts(statistic):
    """Nothing loops over rows: a million against a million costs no more than twelve sorts of them."""
    reference, current = generator().normal(size=(2, 1_000_000))

    def seconds(work):
        best = np.inf
        for _ in range(2):
            start = time.thread_time()
            work()
            best = min(best, time.thread_time() - start)
        return best

    sort = seconds(lambda: (np.sort(generator().permutation(reference)), np.sort(current)))
    assert seconds(lambda: statistic(reference, current)) < 12 * sort


FOREIGN = """
    import numpy as np
    from mlotel.drift.statistics._base import Statistic, finite

    def gap(reference, current):
        a, b = np.sort(finite(reference, "reference")), np.sort(finite(current, "current"))
        points = np.concatenate([a, b])
        below_a = np.searchsorted(a, points, side="right") / a.size
        below_b = np.searchsorted(b, points, side="right") / b.size
        return {result}

    STATISTIC = Statistic(name="foreign_gap", compute=gap, numbers_only=True)
"""


@pytest.mark.parametrize(
    ("result", "is_right"),
    [("float(np.abs(below_a - below_b).max())", True), ("float(below_a[0] - below_b[0])", False)],
)
def test_a_statistic_of_another_distribution_is_asked_the_same(tmp_path, result, is_right):
    """A plugin found by its entry point goes through all of the above: a right one passes, a wrong one does not."""
    information = tmp_path / "foreign-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[mlotel.drift.statistics]\nforeign_gap = foreign_module\n")
    (tmp_path / "foreign_module.py").write_text(textwrap.dedent(FOREIGN.format(result=result)))
    asked = "foreign_gap" if is_right else "foreign_gap and (bound or differs)"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "-k", asked, __file__]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == (0 if is_right else 1), done.stdout + done.stderr
    if is_right:
        assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 30
    else:
        assert "test_what_differs_is_above_it[foreign_gap" in done.stdout
