"""Columns of every library are read alike, and nothing that tells two values apart is lost."""

import datetime
import decimal
import fractions
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from column_cases import FLAGS, FLOATS, INTEGERS, LABELS, TIMES, flags, floats, integers, labels, times
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.quality._columns import read, table_columns

SECONDS = [(time - datetime.datetime(1970, 1, 1)).total_seconds() for time in TIMES]


@pytest.mark.parametrize("name", integers())
def test_integers(name):
    """Integers stay integers, with or without a null among them."""
    column = read(integers()[name])

    assert column.kind == "number"
    assert column.values.dtype == np.int64
    assert column.present.tolist() == INTEGERS
    assert column.missing[5:].all()


@pytest.mark.parametrize("name", floats())
def test_floats(name):
    """Floats are 64 bits; None and NaN are missing."""
    column = read(floats()[name])

    assert column.kind == "number"
    assert column.values.dtype == np.float64
    assert column.missing.tolist() == [False, True, False, True, False]
    assert column.present.tolist() == [value for value in FLOATS if value is not None and value == value]


@pytest.mark.parametrize("name", labels())
def test_labels(name):
    """Text of every library is the same labels."""
    column = read(labels()[name])

    assert column.kind == "category"
    assert column.present.tolist() == [label for label in LABELS if label is not None]
    assert column.missing.tolist() == [label is None for label in LABELS]
    codes, distinct = column.codes()
    assert [None if code < 0 else distinct[code] for code in codes] == LABELS


@pytest.mark.parametrize("name", flags())
def test_flags(name):
    """Booleans are booleans, with nulls too."""
    column = read(flags()[name])

    assert column.kind == "boolean"
    assert column.present.tolist() == [flag for flag in FLAGS if flag is not None]
    assert column.missing.tolist() == [flag is None for flag in FLAGS]


@pytest.mark.parametrize("name", times())
def test_times(name):
    """Times are the same moments in whatever unit and zone; without a zone they are UTC."""
    column = read(times()[name])

    assert column.kind == "time"
    assert column.seconds_or_numbers()[: len(SECONDS)].tolist() == SECONDS
    assert np.isnan(column.seconds_or_numbers()[len(SECONDS) :]).all()


NUMBERS = {
    "python's": [1, 2.5, True, fractions.Fraction(1, 4), decimal.Decimal("0.5")],
    "numpy's": [np.int8(1), np.float32(2.5), np.True_, 0.25, 0.5],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_several_types(name):
    """A list of numbers of several types is one column of numbers."""
    assert read(NUMBERS[name]).values.tolist() == [1, 2.5, 1, 0.25, 0.5]


def test_numbers_at_the_ends():
    """64-bit integers keep all bits, unsigned ones too; longer ones are floats; half and long floats are floats."""
    assert read(np.array([2**64 - 1, 0], np.uint64)).values.tolist() == [2**64 - 1, 0]
    assert read([2**63 - 1, -(2**63)]).values.tolist() == [2**63 - 1, -(2**63)]
    assert read([2**70, 1]).values.tolist() == [2.0**70, 1.0]
    assert read(np.array([0.5, 65504], np.float16)).values.tolist() == [0.5, 65504.0]
    assert read(np.array([0.5], np.longdouble)).values.dtype == np.float64
    assert read(pl.Series([2**63], dtype=pl.UInt64)).values.tolist() == [2**63]


@pytest.mark.skipif(not hasattr(pl, "Int128"), reason="this polars has no integers of 128 bits")
def test_numbers_that_numpy_does_not_have():
    """Integers of 128 bits are floats, since numpy knows none."""
    assert read(pl.Series([2**90, None], dtype=pl.Int128)).present.tolist() == [2.0**90]


@pytest.mark.parametrize(
    "column",
    [
        [datetime.timedelta(hours=1), None],
        np.array([3600, "NaT"], "m8[s]"),
        pd.Series([pd.Timedelta("1h"), pd.NaT]),
        pl.Series([datetime.timedelta(hours=1), None]),
        pa.array([datetime.timedelta(hours=1), None]),
    ],
    ids=["list", "numpy", "pandas", "polars", "arrow"],
)
def test_durations(column):
    """Durations are seconds."""
    found = read(column)

    assert found.kind == "duration"
    assert found.seconds_or_numbers()[0] == 3600
    assert found.missing.tolist() == [False, True]


def test_dates_months_and_periods():
    """Dates are midnights; months are their first day."""
    first = datetime.date(2013, 7, 1)
    midnight = datetime.datetime(2013, 7, 1, tzinfo=datetime.timezone.utc).timestamp()
    month = np.array(["2013-07"], "M8[M]")
    period = pd.Series(pd.PeriodIndex(["2013-07"], freq="M"))
    for column in ([first], pl.Series([first]), pa.array([first]), month, period):
        assert read(column).seconds_or_numbers().tolist() == [midnight]


def test_an_origin_is_subtracted_exactly():
    """Nanoseconds of now and integers beyond 53 bits come out right once an origin is gone."""
    stamps = np.array([1_600_000_000_000_000_001, 1_600_000_000_000_000_003], "M8[ns]")
    assert read(stamps).seconds_or_numbers(stamps[0]).tolist() == [0, 2e-9]
    large = np.array([2**62, 2**62 + 1])
    assert read(large).seconds_or_numbers(2**62).tolist() == [0, 1]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.interval_range(0, 2)),
        [datetime.time(5, 30), datetime.time(6)],
        pl.Series([datetime.time(5, 30), datetime.time(6)]),
        pa.array([datetime.time(5, 30), datetime.time(6)]),
        [b"a", b"b"],
        np.array(["a", "b"]),
        np.array([b"a", b"b"]),
        ["a", 1],
        pd.Series([1, 2], dtype="category"),
        pd.CategoricalIndex(["a", "b"]),
    ],
    ids=lambda column: type(column).__module__.partition(".")[0],
)
def test_labels_that_are_not_text(column):
    """Intervals, times of the day, bytes, mixed values and numbers that pandas calls categories are labels."""
    found = read(column)

    assert found.kind == "category"
    assert len(found.codes()[1]) == 2


def test_text_of_a_subclass_is_text():
    """Values that inherit from str count as the text that they are, without asking their own equality."""

    class Odd(str):
        __slots__ = ()

        def __str__(self):
            return "odd"

        def __eq__(self, other):
            raise AssertionError("asked")

        __hash__ = str.__hash__

    assert read([Odd("AA"), "AA", None]).codes()[1] == ["AA"]


@pytest.mark.parametrize(
    "column",
    [
        [[1], [2]],
        [{}],
        [object()],
        [1 + 2j],
        np.array([1j]),
        pl.Series([[1], [2]]),
        pa.array([{"a": 1}]),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        [(1, 2)],
        [{1}],
    ],
    ids=repr,
)
def test_values_that_cannot_be_read(column):
    """Lists, dicts, objects and complex numbers are a TypeError that names the type and what to do."""
    with pytest.raises(InvalidTypeError, match=r"Cannot read age: .*(Pass|turn the values into text)"):
        read(column, "age")


def test_what_is_one_column_only():
    """Frames and arrays of several columns are refused, with what was found."""
    for several in (np.zeros((3, 2)), np.zeros(()), np.zeros((2, 2, 2)), pd.DataFrame({"a": [1], "b": [2]})):
        with pytest.raises(InvalidArgumentError, match=r"Cannot read age: got .*Pass one column"):
            read(several, "age")
    with pytest.raises(InvalidArgumentError, match="got 2 columns"):
        read(pl.DataFrame({"a": [1], "b": [2]}), "age")
    with pytest.raises(InvalidTypeError, match=r"Cannot read age: got pyarrow\.lib\.Table"):
        read(pa.table({"a": [1]}), "age")


def test_iterables_are_columns():
    """Ranges, generators and sets of numbers are read as lists are; tensors by their array."""
    assert read(range(3)).values.tolist() == [0, 1, 2]
    assert read(x * x for x in (1, 2)).values.tolist() == [1, 4]

    class Tensor:
        def __iter__(self):
            return iter(())

        def __array__(self, dtype=None, copy=None):
            return np.array([1.5, 2.5])

    assert read(Tensor()).values.tolist() == [1.5, 2.5]


def test_nothing_at_all():
    """Columns without rows, or without values, are read; whoever asks decides."""
    for nothing in ([], np.empty(0), pd.Series([], dtype=float), pl.Series([], dtype=pl.Int8), pa.array([], pa.int8())):
        assert len(read(nothing)) == 0
    for missing in ([None], pl.Series([None]), pa.nulls(1), pd.Series([None]), pd.Series([pd.NA], dtype="Int64")):
        assert read(missing).missing.tolist() == [True]


def test_names_of_columns():
    """Tables give their columns in order, by name, and unread."""
    columns = {"b": [1], "a": [object()]}
    for table in (columns, pd.DataFrame(columns), pl.DataFrame({"b": [1], "a": [2]}), pa.table({"b": [1], "a": [2]})):
        assert list(table_columns(table)) == ["b", "a"]
    assert list(table_columns(np.zeros((1, 11))))[-2:] == ["9", "10"]
    assert list(table_columns(pd.DataFrame([[1, 2]], columns=[7, "x"]))) == ["7", "x"]


def test_numbers_beyond_all_floats_are_infinite():
    """Integers and fractions too large for a float are read as infinite, like decimals of that size."""
    huge = 10**400
    column = read([huge, -huge, fractions.Fraction(huge, 3), decimal.Decimal("1e999"), 1])

    assert column.kind == "number"
    assert column.values.tolist() == [math.inf, -math.inf, math.inf, math.inf, 1.0]
    assert column.finite().tolist() == [False, False, False, False, True]
