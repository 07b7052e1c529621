"""References from streams of batches: read twice with exact counts, or once with sketches."""

import numpy as np
import pandas as pd
import pytest

from mlotel.drift import Detector, Reference
from mlotel.drift._sketch import SIZE, Sketch
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError


def batches(count=12, size=5000):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        yield {
            "age": rng.normal(40, 9, size),
            "when": np.arange(seed * size, (seed + 1) * size)
            + 1.6e9,  # in order of time: no batch looks like the whole
            "stops": rng.poisson(3, size),
            "amount": np.where(rng.random(size) < 0.6, 0.0, rng.gamma(2, size=size)),
            "carrier": rng.choice(["AA", "DL", "UA"], size),
            "late": (rng.random(size) < 0.3).astype(int),
            "note": [f"{seed} {place}" + "x" * int(n) for place, n in enumerate(rng.poisson(20, size))],
        }


def whole():
    parts = list(batches())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def references():
    return {"twice": Reference.fit(batches), "once": Reference.fit(batches()), "table": Reference.fit(whole())}


def test_sketches_know_ranks_to_a_fraction_of_a_percent():
    """Of two million numbers in any order, also sorted ones, no rank is off by more than the error it states."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2, size=2_000_000)
    for order in (values, np.sort(values), np.sort(values)[::-1]):
        sketch = Sketch()
        for part in np.array_split(order, 37):
            sketch.add(part)
        at = np.quantile(values, np.linspace(0.001, 0.999, 101))
        wrong = np.abs(sketch.below(at) - np.sort(values).searchsorted(at))

        assert wrong.max() <= sketch.error < 0.001 * values.size
        assert sum(part.size for level in sketch._levels for part in level) < 12 * SIZE


def test_a_short_stream_is_sketched_exactly():
    """Until a sketch is full it holds every number, and says that it makes no error."""
    sketch = Sketch()
    sketch.add(np.array([3.0, 1.0, 2.0, 2.0]))

    assert sketch.below(np.array([2.0, 2.5])).tolist() == [1.0, 3.0]
    assert sketch.error == 0


@pytest.mark.parametrize("way", ["twice", "once"])
def test_kinds_and_categories_are_those_of_the_table(references, way):
    """A stream is read as the same kinds as the whole table, and its categories are counted exactly."""
    found, table = references[way], references["table"]

    assert [(p.name, p.kind) for p in found.profiles[2:]] == [(p.name, p.kind) for p in table.profiles[2:]] or [
        p.kind for p in found.profiles
    ] == ["numeric", "numeric", "integer", "numeric", "category", "boolean", "text"]
    assert sorted(found["carrier"].counts) == sorted(table["carrier"].counts)
    assert (found.rows, found["age"].minimum, found["age"].maximum) == (
        60_000,
        table["age"].minimum,
        table["age"].maximum,
    )
    assert found["age"].center == pytest.approx(table["age"].center, rel=1e-12)
    assert found["age"].scale == pytest.approx(table["age"].scale, rel=1e-12)
    assert found["age"].moments == pytest.approx(table["age"].moments, rel=1e-9)


def test_a_stream_read_twice_is_counted_exactly(references):
    """Counts and sums in the bins are those of the rows, to the last one."""
    values = whole()
    for name in ("age", "when", "stops", "amount"):
        profile = references["twice"][name]
        bins = profile.edges.searchsorted(values[name], "right")
        assert profile.counts[:-1].tolist() == np.bincount(bins, minlength=profile.edges.size + 1).tolist()
        standard = (values[name] - profile.center) / profile.scale
        assert profile.sums[:-1] == pytest.approx(
            np.bincount(bins, standard, minlength=profile.edges.size + 1), abs=1e-6
        )
        assert profile.uncertain == 0
        assert 0.7 < profile.limit_rows / 60_000 < 0.9


def test_a_stream_read_once_is_counted_closely(references):
    """Counts from sketches are off by less than the error they state, which the limits allow for."""
    values = whole()
    for name in ("age", "when", "amount"):
        profile = references["once"][name]
        exact = np.sort(values[name]).searchsorted(profile.edges)
        assert np.abs(np.cumsum(profile.counts)[:-2] - exact).max() <= 2 * profile.uncertain
        assert 0 < profile.uncertain < 0.002 * 60_000
    assert "read once" in references["once"].notes[0]
    assert references["once"].detectable["age"] < references["table"].detectable["age"] + 0.006


@pytest.mark.parametrize("way", ["twice", "once"])
def test_bins_hold_about_equal_shares(references, way):
    """Edges of a stream are its quantiles, also when it is in order of time."""
    for name in ("age", "when"):
        deciles = np.bincount(references[way][name].groups(), references[way][name].counts)[:10] / 60_000
        assert np.abs(deciles - 0.1).max() < 0.01


@pytest.mark.parametrize("way", ["twice", "once"])
def test_detectors_work_with_them(references, way):
    """No alarm on new rows of the same law; one on a shift."""
    detector = Detector(references[way])
    for seed in range(20, 26):
        part = next(batches(1))
        rng = np.random.default_rng(seed)
        part["age"] = rng.normal(40 + 4 * (seed > 22), 9, 5000)
        part["when"] = rng.integers(0, 60_000, 5000) + 1.6e9
        detector.update(part)
        report = detector.check()

    assert report.alarms == ["age"]


def test_embeddings_of_a_stream_get_axes_from_the_first_batch():
    """Axes come from half of the first batch, and the other rows are counted."""

    def stream():
        for seed in range(4):
            yield {"vector": np.random.default_rng(seed).normal(size=(1000, 20))}

    for reference in (Reference.fit(stream), Reference.fit(stream())):
        assert reference.names[:2] == ("vector.norm", "vector.cosine")
        assert reference["vector.pc1"].rows == 3500
        assert reference["vector.norm"].share == pytest.approx(1 / 8)


def test_a_column_of_two_values_at_first_need_not_be_a_boolean():
    """Numbers and labels that show two values in the first batch and more later are no booleans."""
    parts = [{"n": [0, 1] * 100, "c": ["a", "b"] * 100}, {"n": list(range(200)), "c": ["c"] * 200}]
    reference = Reference.fit(iter(parts))

    assert [p.kind for p in reference.profiles] == ["numeric", "category"]
    assert reference["n"].maximum == 199


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ([], EmptySampleError, "no batches"),
        ([{"a": [1.0] * 50}], EmptySampleError, "50 rows; it takes 100"),
        ([{"a": [1.0, 2.0, 3.0] * 50}, {"b": [1.0]}], InvalidArgumentError, "Batch 2 and the first one differ"),
        ([{"a": [1.0, 2.0, 3.0] * 50}, {"a": ["x"]}], InvalidTypeError, "holds text in batch 2"),
        ([{"a": [np.nan] * 200}], EmptySampleError, "0 usable values out of 200"),
        ([7], InvalidTypeError, "Cannot read a batch"),
    ],
)
def test_wrong_streams_are_refused(parts, error, message):
    """A mistake in a stream raises with the number of the batch."""
    with pytest.raises(error, match=message):
        Reference.fit(iter(parts))


def test_streams_that_differ_the_second_time_are_refused():
    """A callable that returns one iterator twice gives no rows the second time, and is told so."""
    rows = iter([{"a": np.random.default_rng(0).normal(size=500)}])

    with pytest.raises(InvalidArgumentError, match="had 500 rows the first time and 0 the second"):
        Reference.fit(lambda: rows)


def test_frames_may_be_batches():
    """Chunks of pandas.read_csv and the like are batches."""
    frame = pd.DataFrame({"a": np.random.default_rng(1).normal(size=1000), "b": ["x", "y"] * 500})

    assert Reference.fit(frame.iloc[start : start + 100] for start in range(0, 1000, 100)).rows == 1000


def test_labels_with_a_stream_are_refused():
    """Labels of a stream have no place but in its batches."""
    with pytest.raises(InvalidArgumentError, match="labels= with a stream"):
        Reference.fit(batches, labels=[1])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (lambda: {"age": [1.0, 2.0]}, "a value of type dict. Return an iterator over tables"),
        (lambda: pd.DataFrame({"age": [1.0, 2.0]}), "a value of type DataFrame. Return an iterator over tables"),
        (lambda: 5, "a value of type int. Return an iterator over tables"),
        (iter([{"age": 1.0}]), "'age' of a batch is one value of type float. Pass a list"),
        ([pd.DataFrame({"age": [1.0, 2.0]})] * 2, r"X is a list of DataFrame\. .*iter"),
    ],
)
def test_what_is_no_stream_is_refused_by_name(batches, message):
    """A table in place of batches, single values in place of columns and lists of tables say what to pass instead."""
    with pytest.raises(InvalidTypeError, match=message):
        Reference.fit(batches)


def test_axes_are_not_found_on_a_handful_of_vectors():
    """A first batch of two embeddings would give one axis, and none of the others: it is refused."""
    vectors = np.random.default_rng(0).normal(size=(400, 8))

    with pytest.raises(InvalidArgumentError, match="'e' has 2 embeddings in the first batch"):
        Reference.fit({"e": vectors[place : place + 2]} for place in range(0, 400, 2))


def test_two_passes_and_one_agree_within_the_error_of_the_sketch():
    """Counts below every edge of a stream that is read once are off by no more than the sketch allows for."""

    def stream():
        for seed in range(40):
            rng = np.random.default_rng(seed)
            yield {
                "mixed": np.where(
                    rng.random(20_000) < 0.3, np.round(rng.normal(size=20_000), 1), rng.gamma(2, size=20_000)
                )
            }

    values = np.sort(np.concatenate([batch["mixed"] for batch in stream()]))
    once, twice = Reference.fit(stream())["mixed"], Reference.fit(stream)["mixed"]

    below = np.cumsum(once.counts[:-1])[:-1]
    assert np.abs(below - values.searchsorted(once.edges)).max() <= 5 * 2**0.5 * len(values) / SIZE
    bins = np.bincount(twice.edges.searchsorted(values, "right"), minlength=twice.edges.size + 1)
    assert twice.counts[:-1].tolist() == bins.tolist()
    assert once.counts.sum() == twice.counts.sum() == len(values)
    assert once.uncertain > 0
