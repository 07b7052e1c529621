"""Every check of quality is asked the same on arrival, those of other distributions too."""

import datetime
import json
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlotel
from mlotel import quality
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError, NotFoundError

NAMES = quality.names()
OWN = ["constant", "duplicates", "imbalance", "missing", "out_of_range", "proportions", "unseen"]
COLUMNS = {
    "distance": [96.0, 2475.0, None, 96.0, 4983.0],
    "seats": [55, 182, 55, 55, 200],
    "carrier": ["AA", "DL", None, "AA", "WN"],
    "late": [True, False, False, True, True],
}


def tables():
    """One table as each library holds it."""
    frame = pd.DataFrame({**COLUMNS, "distance": pd.Series(COLUMNS["distance"], dtype=float)})
    return {
        "dict": COLUMNS,
        "pandas": frame,
        "pandas nullable": frame.convert_dtypes(),
        "pandas arrow": frame.convert_dtypes(dtype_backend="pyarrow"),
        "pandas categories": frame.astype({"carrier": "category"}),
        "pandas index": frame.set_axis(["e", "d", "c", "b", "a"]),
        "polars": pl.DataFrame(COLUMNS),
        "arrow": pa.table(COLUMNS),
    }


def asked(check, table, reference):
    """The check, of the table or of its column of labels, with the reference where it takes one."""
    if check.looks_at == "labels":
        table, reference = table["carrier"], reference["carrier"]
    return quality.measure(check.name, table, None if check.reference == "no" else reference)


@pytest.fixture(params=NAMES)
def check(request):
    return quality.get(request.param)


def test_it_says_what_it_is(check):
    """A check bears the name of its plugin and gives its unit and rows with each result."""
    result = asked(check, COLUMNS, COLUMNS)

    assert set(OWN) <= set(NAMES)
    assert result.name == check.name
    assert result.unit == check.unit
    assert result.rows in (5, 4)
    assert len(result) == len(result.values) > 0
    assert all(type(value) is float for value in result.values.values())
    assert all(type(count) is int for count in result.counts.values())


@pytest.mark.parametrize("name", list(tables()))
def test_every_kind_of_table_gives_the_same(check, name):
    """pandas, polars, pyarrow and plain lists give one result, as the sample and as the reference."""
    expected = asked(check, COLUMNS, COLUMNS)

    assert asked(check, tables()[name], COLUMNS) == expected
    assert asked(check, COLUMNS, tables()[name]) == expected


def test_arrays_are_tables_too(check):
    """The columns of a 2-D array are called "0", "1" and so on."""
    array = np.array([[1.0, 2.0], [1.0, np.nan], [3.0, 2.0]])
    if check.looks_at == "labels":
        assert quality.measure(check.name, array[:, :1]).rows == 3
        return
    result = quality.measure(check.name, array, None if check.reference == "no" else array)

    assert set(result.values) <= {"0", "1", "rows"}
    assert result.rows == 3


def test_fractions_are_fractions(check):
    """A fraction is its count over the rows, from 0 to 1."""
    result = asked(check, COLUMNS, COLUMNS)

    if check.unit == "{fraction}":
        assert set(result.counts) == set(result.values)
        for name, value in result.values.items():
            assert value == result.counts[name] / result.rows
            assert 0 <= value <= 1


def test_no_rows(check):
    """A sample without rows is an error that says so."""
    nothing = [] if check.looks_at == "labels" else {"a": []}
    reference = None if check.reference == "no" else COLUMNS["carrier"] if check.looks_at == "labels" else COLUMNS
    with pytest.raises(EmptySampleError, match=f"Cannot measure {check.name}: .* has 0 .*Pass at least one"):
        quality.measure(check.name, nothing, reference)
    if reference is not None:
        sample = COLUMNS["carrier"] if check.looks_at == "labels" else COLUMNS
        with pytest.raises(ValueError, match=rf"Cannot measure {check.name}.*reference.* has 0 .*Pass at least one"):
            quality.measure(check.name, sample, nothing)


@pytest.mark.parametrize("wrong", [3, "text", None, object()])
def test_what_is_no_sample(check, wrong):
    """Something else is a TypeError that says what to pass."""
    reference = None if check.reference == "no" else COLUMNS["carrier"] if check.looks_at == "labels" else COLUMNS
    with pytest.raises(InvalidTypeError, match=r"Cannot read .*got .*Pass a "):
        quality.measure(check.name, wrong, reference)


def test_the_reference_is_asked_for(check):
    """A check that needs a reference says so, and so does one that has no use for it."""
    if check.reference == "needs":
        with pytest.raises(InvalidArgumentError, match=f"'{check.name}' needs a reference and got none. Pass"):
            quality.measure(check.name, COLUMNS)
    elif check.reference == "no":
        with pytest.raises(InvalidArgumentError, match=f"'{check.name}' has no use for a reference. Leave"):
            quality.measure(check.name, COLUMNS, COLUMNS)
    else:
        assert quality.measure(check.name, COLUMNS["carrier"]).rows == 4


def test_columns_that_nobody_can_read_are_left_out(check):
    """A column of lists or objects is skipped with the reason; the others have their numbers."""
    if check.looks_at == "labels":
        pytest.skip("looks at one column")
    odd = {**COLUMNS, "tags": [["a"], [], ["b"], [], []], "things": [object()] * 5, "parts": np.zeros(5, complex)}
    result = asked(check, odd, COLUMNS)

    assert {"tags", "things", "parts"} <= set(result.skipped)
    assert result.values == asked(check, COLUMNS, COLUMNS).values
    assert "tags" in str(result)


def test_results_can_be_looked_at(check):
    """A result is a mapping, text, plain dicts for JSON and a table for notebooks, with nothing unescaped in it."""
    strange = {"<b>&": [1, 1, None], "carrier": ["<i>", "<i>", "DL"]}
    result = asked(check, strange, {"<b>&": [2, 3, 4], "carrier": ["DL", "DL", "<i>"]})

    assert [result[name] for name in result] == list(result.values.values())
    assert json.loads(json.dumps(result.to_dict()))["values"] == result.values
    lines = str(result).splitlines()
    assert lines[0].startswith(f"{check.name}, ")
    assert len(lines) == 1 + len(result.values) + len(result.skipped)
    page = result._repr_html_()
    assert page.startswith("<table>")
    assert "<b>" not in page
    assert "<i>" not in page


def test_a_result_is_a_check_of_a_component(check, capture):
    """A limit makes the result a check, recorded with the component that it guards."""
    result = asked(check, COLUMNS, COLUMNS)
    largest = max(result.values.values())
    assert result.check(at_most=largest).status == "passed"
    failed = result.check(at_most=largest - 0.01)
    assert failed.status == "failed"
    assert check.name in failed.message
    assert f"more than {largest - 0.01:g}" in failed.message

    def guard(table):
        return asked(check, table, COLUMNS).check(at_most=largest - 0.01)

    @mlotel.component(before=[guard])
    def train(table):
        return len(table)

    assert train(COLUMNS) == 4
    [event] = capture.events("ml.check.result")
    assert capture.ml_attributes(event)["ml.check.name"] == "guard"
    assert capture.ml_attributes(event)["ml.check.status"] == "failed"


def test_findings_are_the_worst_first(check):
    """What reaches a limit is listed, the largest first."""
    result = asked(check, COLUMNS, COLUMNS)

    assert result.findings(at_least=float("inf")) == []
    found = result.findings(at_least=0)
    assert set(found) == set(result.values)
    assert [result[name] for name in found] == sorted(result.values.values(), reverse=True)


def test_a_million_rows_take_seconds(check):
    """Nothing loops over rows: a million rows of numbers cost no more than forty sorts of a column."""
    g = np.random.default_rng(0)
    table = {"a": g.normal(size=1_000_000), "b": g.integers(0, 50, 1_000_000), "carrier": g.integers(0, 9, 1_000_000)}
    start = time.thread_time()
    np.sort(table["a"])
    sort = time.thread_time() - start
    start = time.thread_time()
    asked(check, table, table)

    assert time.thread_time() - start < 40 * sort


def test_nothing_is_changed(check):
    """The table is left as it was."""
    frame = tables()["pandas"]
    before = frame.copy(deep=True)
    asked(check, frame, frame)

    pd.testing.assert_frame_equal(frame, before)


def test_times_have_results_too(check):
    """Columns of times are columns like others, with or without a zone."""
    moments = [datetime.datetime(2013, 7, day, tzinfo=datetime.timezone.utc) for day in (1, 1, 2)]
    table = {"at": moments, "carrier": ["AA", "DL", "AA"]}
    result = asked(check, table, table)

    assert "at" in result.values or check.looks_at == "labels" or result.by == "whole" or check.name == "unseen"
    assert asked(check, pd.DataFrame(table), table) == result == asked(check, table, pl.DataFrame(table))


def test_unknown_checks():
    """A name that is not there is an error that proposes the nearest."""
    with pytest.raises(NotFoundError, match=r"no plugin 'mising'\. Did you mean 'missing'\? There are: constant"):
        quality.measure("mising", COLUMNS)


def test_a_check_of_another_distribution(tmp_path, monkeypatch):
    """A plugin found by its entry point is measured and reported like ours; one without CHECK is an error."""
    information = tmp_path / "signs-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: signs\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[mlotel.quality]\nnegative = negative_check\nodd = json\n")
    (tmp_path / "negative_check.py").write_text(
        "from mlotel.quality._base import QualityCheck, Result, table_of\n"
        "def negative(table):\n"
        "    looked = table_of(table, 'negative')\n"
        "    counts = {name: int((column.present < 0).sum()) for name, column in looked.columns.items()}\n"
        "    shares = {name: count / looked.rows for name, count in counts.items()}\n"
        "    return Result('negative', '{fraction}', looked.rows, shares, counts)\n"
        "CHECK = QualityCheck(name='negative', measure=negative)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    assert "negative" in quality.names()
    assert quality.measure("negative", {"delay": [-3, 4]})["delay"] == 0.5
    with pytest.raises(InvalidTypeError, match=r"plugin 'odd' of mlotel\.quality has no CHECK"):
        quality.get("odd")
