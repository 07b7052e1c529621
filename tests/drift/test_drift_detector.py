"""The detector: what it takes, what it decides, what it keeps, and that data never make it raise."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlotel
from mlotel.drift import Detector, Reference, SchemaChange
from mlotel.errors import InvalidArgumentError, InvalidTypeError, NotFoundError

NAMES = ["age", "fare", "carrier", "late"]


def rows(size, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        "age": rng.normal(40 + shift, 9, size),
        "fare": rng.gamma(2, size=size),
        "carrier": rng.choice(["AA", "DL", "UA"], size, p=[0.5, 0.3, 0.2]),
        "late": rng.random(size) < 0.2,
    }


@pytest.fixture(scope="module")
def reference():
    return Reference.fit(rows(30_000, 0))


@pytest.fixture
def detector(reference):
    return Detector(reference)


def test_a_change_is_found_dated_and_described(detector):
    """Ten calm checks, then a shift: raised once, dated to within a check, with words for what has changed."""
    reports = []
    for check in range(14):
        detector.update(rows(2000, check + 1, shift=5.0 if check >= 10 else 0.0))
        reports.append(detector.check())
    raised = [(check, report.raised) for check, report in enumerate(reports) if report.raised]

    assert raised == [(11, ["age"])]  # two windows at least
    assert reports[11].alarms == reports[13].alarms == ["age"]
    assert reports[11]["age"].onset == 2
    assert reports[13]["age"].onset == 4
    assert reports[11]["age"].change.startswith(("more ", "fewer "))
    assert reports[11].evidence >= 1
    assert reports[9].alarms == []
    assert reports[9]["age"].onset is None
    assert reports[9]["age"].change is None
    assert reports[13]["age"].level >= 2
    assert "age" in reports[11].discoveries(0.05)
    assert reports[11].risen == ["age"]


SHAPES = {
    "pandas": lambda values: pd.DataFrame(values),
    "polars": lambda values: pl.DataFrame(values),
    "arrow": lambda values: pa.table({name: pa.array(column) for name, column in values.items()}),
    "dict of lists": lambda values: {name: column.tolist() for name, column in values.items()},
    "list of dicts": lambda values: [
        dict(zip(values, row, strict=True)) for row in zip(*(c.tolist() for c in values.values()), strict=True)
    ],
    "list of rows": lambda values: [list(row) for row in zip(*(c.tolist() for c in values.values()), strict=True)],
    "object array": lambda values: np.array(
        list(zip(*(c.tolist() for c in values.values()), strict=True)), dtype=object
    ),
    "other order": lambda values: pd.DataFrame(values)[["late", "age", "carrier", "fare"]],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_table_counts_the_same(reference, shape):
    """The same rows, whatever holds them, leave the detector in the same state, to the last bit."""
    expected, found = Detector(reference), Detector(reference)
    for seed in range(3):
        expected.update(rows(700, seed))
        found.update(SHAPES[shape](rows(700, seed)))

    assert found.state() == expected.state()
    assert found.check().schema == ()


def test_single_rows_count_like_batches(reference):
    """Rows one by one, as lists, tuples or dicts, count exactly as in one batch."""
    values = rows(5000, 3)
    listed = [list(row) for row in zip(*(column.tolist() for column in values.values()), strict=True)]
    batch, lists, tuples, dicts = (Detector(reference) for _ in range(4))
    batch.update(values)
    for row in listed:
        lists.update(row)
        tuples.update(tuple(row))
        dicts.update(dict(zip(NAMES, row, strict=True)))

    assert lists.state() == tuples.state() == dicts.state() == batch.state()


def test_rows_of_other_libraries_count_like_batches(reference):
    """A row of pandas, tuples of numpy's scalars and dicts of them count as rows."""
    frame = pd.DataFrame(rows(50, 40))
    batch, series, scalars, dicts = (Detector(reference) for _ in range(4))
    batch.update(frame)
    for place in range(50):
        series.update(frame.iloc[place])
        scalars.update(tuple(frame[name].to_numpy()[place] for name in NAMES))
        dicts.update({name: frame[name].to_numpy()[place] for name in NAMES})

    assert series.state() == scalars.state() == dicts.state() == batch.state()


def test_single_rows_of_numbers_count_like_batches():
    """The same for a reference of numbers only, with None and NaN for what is missing, and 1-D arrays."""
    rng = np.random.default_rng(4)
    reference = Reference.fit(rng.normal(size=(3000, 3)))
    values = rng.normal(size=(4500, 3))
    values[rng.random(values.shape) < 0.01] = np.nan
    batch, lists, arrays, with_none = (Detector(reference) for _ in range(4))
    batch.update(values)
    for row in values:
        lists.update(row.tolist())
        arrays.update(row)
        with_none.update([None if value != value else value for value in row.tolist()])

    assert lists.state() == arrays.state() == with_none.state() == batch.state()
    assert batch.check()["0"].missing == pytest.approx(0.01, abs=0.005)


def test_a_reference_with_names_takes_arrays_by_position():
    """Columns of an array of the same width are those of the reference in order."""
    rng = np.random.default_rng(5)
    reference = Reference.fit({"a": rng.normal(size=2000), "b": rng.normal(9, size=2000)})
    named, unnamed = Detector(reference), Detector(reference)
    values = rng.normal([0, 9], size=(800, 2))
    named.update({"a": values[:, 0], "b": values[:, 1]})
    unnamed.update(values)

    assert unnamed.state() == named.state()


def test_schema_changes_are_reported_and_not_counted(detector):
    """Missing, new and retyped columns are in the report with their rows, once; the other columns count."""
    values = rows(600, 6)
    detector.update(
        {
            "age": [str(age) for age in values["age"]],
            "fare": values["fare"],
            "late": values["late"],
            "gate": ["A"] * 600,
        }
    )
    detector.update({"fare": values["fare"][:10], "age": values["age"][:10], "late": values["late"][:10]})
    report = detector.check()

    assert report.schema == (
        SchemaChange("missing", "carrier", "the rows have no such column", 610),
        SchemaChange("new", "gate", "the reference has no such column", 600),
        SchemaChange("type", "age", "text where the reference has numeric", 600),
    )
    assert [report[name].rows for name in NAMES] == [10, 610, 0, 610]
    assert report["age"].missing is None
    assert report["fare"].missing == 0
    assert "new column gate" in str(report)
    assert detector.check().schema == ()


ODD = {
    "nothing": None,
    "empty dict": {},
    "empty list": [],
    "empty frame": pd.DataFrame({"age": []}),
    "a number": 7,
    "a text": "age",
    "ragged": {"age": [1.0, 2.0], "fare": [1.0]},
    "ragged rows": [[1.0, 2.0, "AA", True], [1.0]],
    "too narrow": np.zeros((5, 3)),
    "too wide": [1.0, 2.0, 3.0, 4.0, 5.0],
    "3-D": np.zeros((2, 2, 2)),
    "complex": {"age": np.zeros(3, complex), "fare": [1.0] * 3, "carrier": ["AA"] * 3, "late": [True] * 3},
    "objects": {"age": [object()] * 3, "fare": [1.0] * 3, "carrier": [object()] * 3, "late": [{}] * 3},
    "two of a name": pd.DataFrame(np.zeros((3, 2)), columns=["age", "age"]),
    "vectors": {"age": np.zeros((3, 2)), "fare": [1.0] * 3, "carrier": ["AA"] * 3, "late": [True] * 3},
    "scalars of a row": {"age": 3.0},
    "unhashable": {"age": [1.0], "fare": [1.0], "carrier": [["AA"]], "late": [True]},
}


@pytest.mark.lenient
@pytest.mark.parametrize("odd", ODD)
def test_data_never_make_update_raise(detector, odd):
    """Whatever is passed, `update` returns, `check` works, and what was good before and after is counted."""
    detector.update(rows(300, 7))
    detector.update(ODD[odd])
    detector.update(rows(300, 8))
    report = detector.check()

    assert report["fare"].rows in (600, 601, 603)
    assert report.alarms == []


@pytest.mark.parametrize(
    "odd", [name for name in ODD if name not in ("nothing", "empty dict", "empty list", "empty frame")]
)
def test_odd_data_are_reported(detector, odd):
    """What cannot be counted is in the report, and needs no net: nothing fails inside."""
    detector.update(ODD[odd])

    assert detector.check().schema


def test_predictions_and_labels_are_features_of_their_own(capture):
    """Predictions come with their rows or alone, and labels later; each is compared with those of the reference."""
    rng = np.random.default_rng(8)
    x, score = rng.normal(size=20_000), rng.random(20_000)
    detector = Detector(Reference.fit({"x": x}, predictions=score, labels=score < 0.5))
    for _ in range(4):
        detector.update({"x": rng.normal(size=1000)}, predictions=rng.random(1000) ** 2)
        detector.update(labels=rng.random(500) < 0.5)
        report = detector.check()

    assert report.names == ("x", "prediction", "label")
    assert [report[name].rows for name in report] == [1000, 1000, 500]
    assert report.alarms == ["prediction"]
    assert report.schema == ()


def test_the_state_goes_on_to_the_last_bit(reference):
    """Saved and restored between any two calls, with rows in the open window, the detector ends in the same bytes."""
    without, saved = Detector(reference), Detector(reference)
    for check in range(12):
        for part in range(3):
            values = rows(370, 100 + 10 * check + part, shift=6.0 if check > 6 else 0.0)
            without.update(values)
            saved.update(values)
            without.update([41.0, 1.0, "AA", False])
            saved.update([41.0, 1.0, "AA", False])
            saved = Detector.from_state(saved.state())
        one, other = without.check(), saved.check()
        saved = Detector.from_state(saved.state())
        assert one.to_dict() == other.to_dict()
        assert str(one) == str(other)

    assert one.alarms == ["age"]
    assert saved.state() == without.state() == Detector.from_state(without.state()).state()


def test_it_can_be_pickled_and_copied(detector):
    """A pickled or copied detector goes on like the one it was made from."""
    detector.update(rows(700, 41))
    detector.update([41.0, 1.0, "AA", False])

    assert pickle.loads(pickle.dumps(detector)).state() == copy.deepcopy(detector).state() == detector.state()


def test_damaged_states_are_refused(detector):
    """Bytes that were cut, changed or made by something else raise with what to do."""
    state = detector.state()

    with pytest.raises(InvalidArgumentError, match="cut or damaged"):
        Detector.from_state(state[:-1])
    with pytest.raises(InvalidArgumentError, match="cut or damaged"):
        Detector.from_state(state[:500] + bytes([state[500] ^ 1]) + state[501:])
    with pytest.raises(InvalidArgumentError, match=r"Pass the bytes that Detector.state\(\) returned"):
        Detector.from_state(b"something else")
    with pytest.raises(InvalidArgumentError, match="a value of type str"):
        Detector.from_state("text")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": 0}, InvalidArgumentError, "alpha=0. Pass a number between 0 and 1"),
        ({"alpha": 1.0}, InvalidArgumentError, "alpha=1.0"),
        ({"alpha": float("nan")}, InvalidArgumentError, "alpha=nan"),
        ({"alpha": "0.01"}, InvalidTypeError, "alpha of type str"),
        ({"tolerances": (0.05, 0.01)}, InvalidArgumentError, r"tolerances=\(0.05, 0.01\). Pass ascending"),
        ({"tolerances": (0.01, 0.01)}, InvalidArgumentError, "ascending"),
        ({"tolerances": ()}, InvalidArgumentError, "ascending"),
        ({"tolerances": (0.5, 1.0)}, InvalidArgumentError, "ascending numbers from 0 to below 1"),
        ({"tolerances": (-0.1,)}, InvalidArgumentError, "ascending"),
        ({"tolerances": "a"}, InvalidTypeError, "tolerances='a'"),
        ({"min_windows": 0}, InvalidArgumentError, "min_windows=0. Pass 1 or more"),
        ({"min_windows": 1.5}, InvalidTypeError, "min_windows of type float"),
        ({"n_features": 3}, InvalidArgumentError, "n_features=3. Pass 4 or more"),
        ({"arl": 0.5}, InvalidArgumentError, "arl=0.5"),
    ],
)
def test_wrong_settings_are_refused(reference, arguments, error, message):
    """A setting out of its range raises at once with its value and what to pass."""
    with pytest.raises(error, match=message):
        Detector(reference, **arguments)


def test_something_else_than_a_reference_is_refused():
    """A table in place of the reference raises with the call that is missing."""
    with pytest.raises(InvalidTypeError, match=r"Pass what Reference.fit\(\)"):
        Detector(pd.DataFrame({"a": [1.0]}))


def test_unknown_features_are_refused(detector):
    """Asking a report for a feature that is not there lists those that are."""
    with pytest.raises(NotFoundError, match="no feature 'ages'\\. It has age, fare, carrier, late"):
        detector.check()["ages"]


def test_one_odd_window_alone_never_alarms(reference):
    """With min_windows=2 a single window of complete nonsense raises nothing; with 1 it does."""
    careful, quick = Detector(reference), Detector(reference, min_windows=1)
    nonsense = {**rows(5000, 9), "age": np.full(5000, -1e9)}
    for detector in (careful, quick):
        detector.update(rows(5000, 10))
        detector.check()
        detector.update(nonsense)
    first, second = careful.check(), quick.check()
    careful.update(rows(5000, 11))

    assert first.alarms == []
    assert second.alarms == ["age"]
    assert careful.check().alarms == []


def test_replicas_that_decide_alone_share_alpha(reference):
    """Four replicas with n_features=16 need more evidence each than one detector does."""
    alone, replica = Detector(reference), Detector(reference, n_features=16)
    for detector in (alone, replica):
        for seed in range(3):
            detector.update(rows(500, seed + 20, shift=4.0))
            report = detector.check()
        detector.last = report

    assert replica.last["age"].evidence < alone.last["age"].evidence
    assert replica.last["age"].detectable > alone.last["age"].detectable


def test_a_promise_of_a_mean_time_is_quicker_after_years(reference):
    """With arl what an alarm takes does not grow with time: after ten million checks a small shift is found sooner."""
    took = []
    for detector in (Detector(reference, tolerances=0.01), Detector(reference, tolerances=0.01, arl=1e5)):
        detector._ladder.levels[0].t += 10**7
        for check in range(100):
            detector.update(rows(1000, check + 30, shift=1.3))
            if detector.check().alarms:
                break
        took.append(check)

    assert took[1] < took[0] < 99
    assert Detector.from_state(detector.state()).arl == 1e5


def test_threads_may_update_at_once(reference):
    """Eight threads that add rows while checks are made lose none and count none twice."""
    detector = Detector(reference)
    parts = [rows(997, seed) for seed in range(24)]
    counted = []

    def work(place):
        for part in parts[place::8]:
            detector.update(part)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counted.append(detector.check()["carrier"].rows)
    for thread in threads:
        thread.join()
    counted.append(detector.check()["carrier"].rows)

    assert sum(counted) == 24 * 997


def test_a_reference_of_categories_only_works():
    """No number at all: rows count, a new category alarms, and states round-trip."""
    rng = np.random.default_rng(12)
    detector = Detector(Reference.fit({"c": rng.choice(list("abc"), 20_000), "d": rng.random(20_000) < 0.5}))
    for _ in range(3):
        detector.update({"c": rng.choice(list("abcx"), 1000), "d": rng.random(1000) < 0.5})
        report = detector.check()

    assert report.alarms == ["c"]
    assert report["c"].change == "more unseen" or report["c"].change.startswith("fewer ")
    assert Detector.from_state(detector.state()).state() == detector.state()


def test_booleans_are_known_by_every_spelling():
    """A boolean column is counted alike as booleans, as 0 and 1, and as floats with NaN for what is missing."""
    rng = np.random.default_rng(13)
    reference = Reference.fit({"b": rng.random(5000) < 0.3})
    values = rng.random(1000) < 0.3
    states = []
    for column in (
        values,
        values.astype(int),
        values.astype(float),
        values.tolist(),
        pd.array(values, dtype="boolean"),
    ):
        detector = Detector(reference)
        detector.update({"b": column})
        states.append(detector.state())

    assert len(set(states)) == 1


def test_it_is_public():
    """Both classes are found where the documentation says."""
    assert mlotel.drift.Detector is Detector
    assert mlotel.Reference is Reference


class Hostile:
    """Raises at every look."""

    __hash__ = None

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __len__(self):
        raise RuntimeError

    def __eq__(self, other):
        raise RuntimeError

    def __bool__(self):
        raise RuntimeError


@pytest.mark.parametrize("column", ["fare", "carrier"])
def test_values_that_raise_cost_only_their_column(detector, column):
    """A column of objects that raise whenever they are looked at is reported; the others of the table are counted."""
    detector.update({**rows(600, 1), column: [Hostile()] * 600})
    for _ in range(3):
        detector.update({**{name: values[0] for name, values in rows(1, 2).items()}, column: Hostile()})
    report = detector.check()

    assert report["age"].rows == 603
    assert report[column].rows == 0
    assert report.schema == (SchemaChange("unreadable", column, "reading it raised RuntimeError", 603),)


def test_a_row_may_hold_an_embedding():
    """A dict with a number and a list is a row whose list is an embedding, and counts like the row as a list."""
    rng = np.random.default_rng(5)
    reference = Reference.fit({"age": rng.normal(size=1000), "vector": rng.normal(size=(1000, 4))})
    dicts, lists = Detector(reference), Detector(reference)
    for _ in range(10):
        age, vector = float(rng.normal()), rng.normal(size=4).tolist()
        dicts.update({"age": age, "vector": vector})
        lists.update([age, vector])

    assert dicts.state() == lists.state()
    assert (dicts.check()["vector.norm"].rows, dicts.check().schema) == (10, ())


def test_a_column_without_length_is_reported(detector):
    """A number, or an array of no dimension, where a column should be is a change of the schema, and nothing raises."""
    detector.update({**rows(600, 1), "age": np.array(1.0)})
    [first, *_] = detector.check().schema

    assert (first.what, first.rows) == ("type", 1)


@pytest.mark.filterwarnings("error")
def test_numbers_near_the_largest_are_counted():
    """Columns of numbers whose sums and differences are infinite are fitted and counted in silence."""
    rng = np.random.default_rng(6)
    largest = np.finfo(float).max
    values = {"wide": rng.choice([-largest, largest], 900) * rng.random(900), "one": np.full(900, largest)}
    reference = Reference.fit(values)
    detector = Detector(reference)
    detector.update(values)
    report = detector.check()

    for name in values:
        assert report[name].counts.tolist() == reference[name].counts.tolist()
        assert report[name].rows == 900


def test_integers_beyond_all_floats_count_as_infinite(detector):
    """Integers that no float can hold are rows without a usable number, like infinities."""
    detector.update({**rows(600, 1), "age": [10**400] * 599 + [-(10**400)]})
    report = detector.check()

    assert report.schema == ()
    assert (report["age"].rows, report["age"].missing) == (600, 1.0)


@pytest.mark.parametrize("calm_rows", [1, 10, 1000])
@pytest.mark.parametrize("calm", [0, 1, 6, 50])
def test_one_odd_window_raises_nothing_alone(calm, calm_rows):
    """However few rows the windows before it had, one window of nothing but absurd rows is no alarm; two are."""
    rng = np.random.default_rng((calm, calm_rows))
    detector = Detector(Reference.fit(rng.normal(size=(20_000, 3))))
    for _ in range(calm):
        detector.update(rng.normal(size=(calm_rows, 3)))
        assert detector.check().alarms == []
    raised = []
    for _ in range(3):
        detector.update(np.c_[np.full(5000, np.nan), rng.normal(10, 1, 5000), np.full(5000, 0.3)])
        raised.append(detector.check().alarms)

    assert raised == [[], ["0", "1", "2"], ["0", "1", "2"]]
