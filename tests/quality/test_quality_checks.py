"""What each check counts, against pandas or by hand, on drawn tables and on the flights of 2013."""

import datetime
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flights_table import flights_table
from mlotel import quality
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError

FLIGHTS = flights_table()


@pytest.fixture(scope="module")
def halves():
    return FLIGHTS[FLIGHTS["month"] <= 6], FLIGHTS[FLIGHTS["month"] > 6]


def test_missing_is_what_pandas_says():
    """Shares of missing values of every column of the flights."""
    result = quality.measure("missing", FLIGHTS)

    assert dict(result.values) == pytest.approx(FLIGHTS.isna().mean().to_dict(), abs=1e-15)
    assert result.counts["dep_time"] == 8255
    assert result.findings(at_least=0.025)[:1] == ["arr_delay"] or result["arr_delay"] == result["air_time"]


def test_every_word_for_missing_is_missing():
    """None, NaN, NaT and pd.NA are missing; infinities, empty text and zeros are values."""
    stamp = datetime.datetime(2013, 7, 1)
    table = {
        "numbers": [None, float("nan"), np.float32("nan"), 0, float("inf")],
        "text": [None, float("nan"), pd.NA, "", "nan"],
        "times": [None, pd.NaT, np.datetime64("NaT"), stamp, stamp],
        "flags": [None, pd.NA, pd.NA, True, False],
    }

    assert set(quality.measure("missing", table).counts.values()) == {3}


def test_unseen_is_what_a_set_says(halves):
    """Rows whose label the first half of the year did not have; missing ones are not among them."""
    first, second = halves
    result = quality.measure("unseen", second, first)

    for name in ("carrier", "origin", "dest", "tailnum"):
        expected = (~second[name].isin(set(first[name].dropna())) & second[name].notna()).sum()
        assert result.counts[name] == expected
    assert result.counts["tailnum"] > 0
    assert set(result.values) == {"carrier", "origin", "dest", "tailnum", "time_hour"}  # columns of text


def test_unseen_knows_booleans_and_categories():
    """A boolean that was always False, and a label of a pandas category, can be unseen."""
    reference = {"late": [False, False], "carrier": pd.Series(["AA", "DL"], dtype="category")}
    sample = {"late": [True, None, False, False], "carrier": pd.Series(["DL", "WN", None, "AA"], dtype="category")}

    assert quality.measure("unseen", sample, reference).values == {"late": 0.25, "carrier": 0.25}


def test_out_of_range_is_what_comparing_says(halves):
    """Rows below the minimum or above the maximum of the first half of the year."""
    first, second = halves
    result = quality.measure("out_of_range", second, first)

    for name in ("dep_delay", "distance", "air_time", "month"):
        outside = (second[name] < first[name].min()) | (second[name] > first[name].max())
        assert result.counts[name] == outside.sum()
    assert result["month"] == 1


def test_out_of_range_of_times_infinities_and_large_integers():
    """Times are compared as times, infinities are out of range, integers beyond 53 bits are told apart."""
    days = np.arange("2013-07-01", "2013-07-06", dtype="M8[D]")
    reference = {"at": days, "x": np.arange(5.0), "id": 2**60 + np.arange(5)}
    sample = {
        "at": pd.Series(days).dt.tz_localize("UTC") + pd.Timedelta("12h"),
        "x": [np.inf, -np.inf, 2.0, None, 4.0],
        "id": 2**60 + np.arange(1, 6),
    }

    assert quality.measure("out_of_range", sample, reference).counts == {"at": 1, "x": 2, "id": 1}


def test_columns_that_do_not_fit_the_reference_are_named():
    """New, absent and changed columns are said, not compared, and no error."""
    reference = {"a": [1, 2], "b": ["x", "y"], "c": [1, 2], "d": [None, None], "e": ["x", "y"]}
    sample = {"a": ["1", "2"], "b": ["x", "z"], "d": [1, 2], "e": [1, 2], "f": [3, 4]}

    ranges = quality.measure("out_of_range", sample, reference)
    assert ranges.values == {}
    assert ranges.skipped == {
        "a": "is category here, number in the reference",
        "c": "is not in the table",
        "d": "has no finite value in the reference",
        "f": "is not in the reference",
    }
    labels = quality.measure("unseen", sample, reference)
    assert labels.values == {"b": 0.5}
    assert labels.skipped["e"] == "is number here, category in the reference"


def test_facts_stand_for_the_reference(halves):
    """Facts, once made, give what the table gives, and hold no more than ends and labels."""
    first, second = halves
    facts = quality.facts(first)

    assert facts["distance"] == quality.Facts("number", 80, 4983)
    assert facts["origin"] == quality.Facts("category", labels=frozenset({"EWR", "JFK", "LGA"}))
    for name in ("unseen", "out_of_range"):
        assert quality.measure(name, second, facts) == quality.measure(name, second, first)
    assert quality.measure("unseen", {"carrier": ["AA"]}, {"carrier": quality.Facts("category")}).skipped == {
        "carrier": "has no known labels in the reference"
    }


def test_duplicates_are_what_pandas_says():
    """Rows equal to an earlier one, of all columns or of some, missing values among them."""
    frame = FLIGHTS[["carrier", "dest", "dep_delay", "air_time", "distance"]].head(20_000)
    result = quality.measure("duplicates", frame)

    assert result.counts["rows"] == frame.duplicated().sum() > 0
    some = quality.measure("duplicates", FLIGHTS, columns=["tailnum", "dep_delay"])
    assert some.counts["rows"] == FLIGHTS.duplicated(["tailnum", "dep_delay"]).sum()
    assert quality.measure("duplicates", FLIGHTS)["rows"] == 0


VALUES = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.0, math.inf, None]), st.sampled_from(["a", "b", None]), st.booleans()),
    min_size=1,
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(VALUES)
def test_duplicates_of_any_rows(rows):
    """Whatever the rows, the count is theirs less the number of different ones."""
    columns = dict(zip(("x", "label", "flag"), zip(*rows, strict=True), strict=True))

    assert quality.measure("duplicates", columns).counts["rows"] == len(rows) - len(set(rows))


def test_duplicates_are_compared_exactly():
    """Integers beyond 53 bits, times a nanosecond apart and 64-bit patterns of missing values are different rows."""
    ids = {"id": [2**60, 2**60 + 1, 2**60]}
    assert quality.measure("duplicates", ids).counts["rows"] == 1
    stamps = np.array(["2013-07-01"] * 3, "M8[ns]") + np.array([0, 1, 1], "m8[ns]")
    assert quality.measure("duplicates", {"at": stamps}).counts["rows"] == 1
    holes = {"n": pd.Series([0, None, 1, None, 2], dtype="Int64")}
    assert quality.measure("duplicates", holes).counts["rows"] == 1
    assert quality.measure("duplicates", {"x": [0.0, None, -0.0]}).counts["rows"] == 1


def test_duplicates_of_absent_columns():
    """A column that is not there is an error that lists what is."""
    with pytest.raises(InvalidArgumentError, match=r"there is no column 'tail'\. There are: year, month"):
        quality.measure("duplicates", FLIGHTS.head(), columns=["tail"])


def test_constant_is_the_share_of_the_commonest_value():
    """As pandas counts it, missing being a value; 1 for the year, which is 2013 throughout."""
    result = quality.measure("constant", FLIGHTS)

    for name in ("carrier", "dep_delay", "distance", "tailnum", "month"):
        assert result.counts[name] == FLIGHTS[name].value_counts(dropna=False).iloc[0], name
    assert result.findings(at_least=1) == ["year"]
    assert quality.measure("constant", {"rare": [None, None, None, 1.0, 2.0]}).values == {"rare": 0.6}
    odd = quality.measure(
        "constant", {"void": [None, None], "zeros": [0.0, -0.0], "half": [None, 3], "ends": [math.inf] * 2}
    )
    assert odd.values == {"void": 1, "zeros": 1, "half": 0.5, "ends": 1}


def test_proportions_and_imbalance_of_the_carriers():
    """Shares as pandas counts them, and the largest over the smallest."""
    counted = FLIGHTS["carrier"].value_counts()
    result = quality.measure("proportions", FLIGHTS["carrier"])

    assert dict(result.values) == pytest.approx((counted / counted.sum()).to_dict())
    assert next(iter(result)) == "UA"
    assert sum(result.values.values()) == pytest.approx(1)
    assert quality.measure("imbalance", FLIGHTS["carrier"])["rows"] == counted.max() / counted.min()


def test_classes_are_named_by_str():
    """Numbers, booleans and text are classes, named as str names them; missing labels are left out."""
    assert quality.measure("proportions", [1, 0, 1, 1]).values == {"1": 0.75, "0": 0.25}
    assert quality.measure("proportions", [True, None, False]).values == {"False": 0.5, "True": 0.5}
    assert quality.measure("proportions", np.array([1.0, np.nan, 2.5])).counts == {"1.0": 1, "2.5": 1}
    assert quality.measure("proportions", pd.Series(["a", None], dtype="category")).rows == 1


def test_classes_without_rows():
    """A class of the reference that no row has is 0, and makes the imbalance infinite."""
    assert quality.measure("proportions", ["a", "a"], ["a", "b"]).values == {"a": 1, "b": 0}
    assert quality.measure("imbalance", ["a", "a"], ["a", "b"])["rows"] == math.inf
    assert quality.measure("imbalance", ["a", "a"])["rows"] == 1
    assert quality.measure("imbalance", ["a", "b"] * 4, ["a", "b"])["rows"] == 1
    with pytest.raises(EmptySampleError, match="labels has 0 labels out of 2 rows"):
        quality.measure("imbalance", [None, float("nan")])


def test_the_report_is_all_checks_of_a_table(halves):
    """A report holds what each check says by itself, as text, as dicts and as a page."""
    first, second = halves
    report = quality.report(second, first)

    assert list(report) == ["missing", "unseen", "out_of_range", "constant", "duplicates"]
    assert report.rows == len(second)
    for name in report:
        reference = first if quality.get(name).reference == "needs" else None
        assert report[name] == quality.measure(name, second, reference)
    lines = str(report).splitlines()
    assert lines[0].split() == [
        "166,158" if len(second) == 166158 else f"{len(second):,}",
        "rows",
        "missing",
        "unseen",
        "out_of_range",
        "constant",
    ]
    assert any(line.startswith("carrier") for line in lines)
    assert lines[-1].split() == ["all", "rows", "duplicates", "0"]
    assert set(report.to_dict()["results"]) == set(report)
    assert report._repr_html_().count("<tr>") == 1 + 19
    assert list(quality.report(second)) == ["missing", "constant", "duplicates"]


def test_a_column_called_rows_is_a_column():
    """The key of whole tables does not hide a column of that name."""
    report = quality.report({"rows": [1, None]})

    assert report["missing"]["rows"] == 0.5
    assert "rows" in str(report).splitlines()[1]


def test_tables_that_are_none():
    """Columns of different lengths or of one name, and frames of nothing, are errors that say so."""
    with pytest.raises(InvalidArgumentError, match="Columns of the table differ in length: 'a' 2, 'b' 1"):
        quality.measure("missing", {"a": [1, 2], "b": [1]})
    with pytest.raises(InvalidArgumentError, match="Two columns of the table are called 'a'"):
        quality.measure("missing", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(EmptySampleError, match="the table has 0 rows in 0 columns"):
        quality.measure("missing", {})
    assert quality.measure("missing", {"a": [1, None]}).skipped == {}
    with pytest.raises(InvalidArgumentError, match="Cannot read a: got an array of no dimension"):
        quality.measure("missing", {"a": np.array(3.0)})
    with pytest.raises(InvalidTypeError, match="Cannot read the table: got list"):
        quality.measure("missing", [1, 2])
    with pytest.raises(EmptySampleError, match="Cannot measure unseen: the reference has 0 rows"):
        quality.measure("unseen", {"a": ["x"]}, {"a": []})
