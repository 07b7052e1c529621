"""Tables and columns of pandas, polars and pyarrow, by their logical content."""

import datetime
import decimal
import io
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_cases import columns, to_arrow, to_pandas, to_polars

from mlotel import artifacts


def identify(value):
    identity = artifacts.identify(value)
    assert identity.scope == "full"
    return identity.id


def one_column(values, dtype=None):
    return pd.DataFrame({"a": pd.Series(values, dtype=dtype)})


def through_parquet(table, *without):
    """The table read back from Parquet by each library."""
    file = io.BytesIO()
    if isinstance(table, pd.DataFrame):
        table.to_parquet(file)
    elif isinstance(table, pl.DataFrame):
        table.write_parquet(file)
    else:
        pyarrow.parquet.write_table(table, file)
    raw = file.getvalue()
    readers = {"pandas": pd.read_parquet, "arrow": pyarrow.parquet.read_table, "polars": pl.read_parquet}
    return {library: read(io.BytesIO(raw)) for library, read in readers.items() if library not in without}


DAY = datetime.date(2024, 1, 1)
PANDAS_COLUMNS = {
    "float with gaps": [1.0, np.nan, 3.0],
    "float32": pd.Series([1.5, 2.5, np.nan], dtype="float32"),
    "int8": pd.Series([1, 2, 3], dtype="int8"),
    "uint64": pd.Series([1, 2, 2**63], dtype="uint64"),
    "bool": [True, False, True],
    "nullable int": pd.Series([1, None, 3], dtype="Int64"),
    "nullable float": pd.Series([1.5, None, 3], dtype="Float64"),
    "nullable bool": pd.Series([True, None, False], dtype="boolean"),
    "arrow int": pd.Series([1, None, 3], dtype="int32[pyarrow]"),
    "arrow string": pd.Series(["a", None, "é"], dtype="string[pyarrow]"),
    "python string": pd.Series(["a", None, "é"], dtype="string[python]"),
    "default string": ["a", None, "é"],
    "object string": pd.Series(["a", None, "é"], dtype=object),
    "object bytes": pd.Series([b"a", None, b""], dtype=object),
    "object bool": pd.Series([True, None, False], dtype=object),
    "object int": pd.Series([1, 2, 3], dtype=object),
    "object date": pd.Series([DAY, None, DAY], dtype=object),
    "object time": pd.Series([datetime.time(1, 2, 3, 4), None, datetime.time()], dtype=object),
    "object timedelta": pd.Series([datetime.timedelta(1), None, datetime.timedelta(0, 1)], dtype=object),
    "object decimal": pd.Series([decimal.Decimal("1.10"), None, decimal.Decimal("-2.5")], dtype=object),
    "object list": pd.Series([[1, 2], None, []], dtype=object),
    "object list of strings": pd.Series([["a", None], None, ["bcd"]], dtype=object),
    "object list of lists": pd.Series([[["a"], []], None, [None, ["b", "c"]]], dtype=object),
    "object array": pd.Series([np.arange(3), None, np.arange(0)], dtype=object),
    "nothing": pd.Series([None, None, None], dtype=object),
    "seconds": pd.Series(np.array(["2024-01-01", "NaT", "1969-01-01"], "M8[s]")),
    "milliseconds": pd.Series(np.array(["2024-01-01", "NaT", "1969-01-01"], "M8[ms]")),
    "nanoseconds": pd.Series(np.array(["2024-01-01", "NaT", "1969-01-01"], "M8[ns]")),
    "zone": pd.Series(pd.to_datetime(["2024-01-01", None, "2024-07-01"])).dt.tz_localize("Europe/Berlin"),
    "UTC": pd.Series(pd.to_datetime(["2024-01-01", None, "2024-07-01"], utc=True)),
    "offset": pd.Series(pd.to_datetime(["2024-01-01T00:00+01:30", None, "2024-07-01T00:00+01:30"])),
    "duration in seconds": pd.Series(np.array([1, "NaT", 3], "m8[s]")),
    "duration": pd.Series(np.array([1, "NaT", 3], "m8[us]")),
    "category": pd.Series(pd.Categorical(["b", None, "a"], categories=["b", "a"])),
    "period": pd.Series(pd.PeriodIndex(["2024-01", None, "2024-03"], freq="M")),
    "interval": pd.Series(pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), (2, 3)])),
    "interval with a gap": pd.Series(pd.arrays.IntervalArray.from_tuples([(0.0, 1.0), None, (2.0, 3.0)])),
}


@pytest.mark.parametrize("name", PANDAS_COLUMNS)
def test_memory_agrees_with_a_parquet_round_trip(name):
    """A pandas column read back from Parquet by pandas, pyarrow or polars is the same artifact."""
    frame = one_column(PANDAS_COLUMNS[name])

    is_unknown_to_polars = name == "offset" or (
        not hasattr(pl, "Extension") and name.startswith(("period", "interval"))
    )
    read = through_parquet(frame, *(["polars"] if is_unknown_to_polars else []))

    assert {library: identify(table) for library, table in read.items()} == dict.fromkeys(read, identify(frame))
    assert identify(pa.Table.from_pandas(frame)) == identify(frame)


@pytest.mark.parametrize("convert", [to_pandas, to_polars, to_arrow])
def test_tables_agree_with_their_files(convert):
    """A table of many columns from any library is the same after Parquet, whoever reads it; so is Arrow's own file."""
    table = convert(columns())
    for library, read in through_parquet(table).items():
        assert identify(read) == identify(table), library

    file = io.BytesIO()
    pyarrow.feather.write_feather(to_arrow(columns()), file)
    assert identify(pyarrow.feather.read_table(file)) == identify(table)


def test_ordered_and_unused_categories_survive_arrow_files():
    """Labels without rows and an order of labels are content that pandas and pyarrow keep in Parquet."""
    frame = one_column(pd.Categorical(["b", "a", None], categories=["z", "b", "a"], ordered=True))
    read = through_parquet(frame)
    assert identify(read["pandas"]) == identify(read["arrow"]) == identify(frame)


def test_categories():
    """Labels count, used or not; their order and the codes behind them only when they are ordered."""
    words = ["b", "a", None, "b"]
    one = pd.Categorical(words, categories=["a", "b"])
    assert identify(one_column(one)) == identify(one_column(pd.Categorical(words, categories=["b", "a"])))
    others = [
        one,
        pd.Categorical(words, categories=["a", "b", "c"]),
        pd.Categorical(words, categories=["a", "b"], ordered=True),
        pd.Categorical(words, categories=["b", "a"], ordered=True),
        pd.Categorical(["a", "b", None, "a"], categories=["a", "b"]),
        pd.Categorical([1, 2, None, 1], categories=[1, 2]),
        pd.Categorical([1.0, 2.0, None, 1.0], categories=[1.0, 2.0]),
        pd.Categorical([None] * 4, categories=["a", "b"]),
        pd.Categorical([None] * 4, categories=[]),
        words,
        pd.Series(words, dtype=object),  # a column of strings, as the one before
    ]
    assert len({identify(one_column(values)) for values in others}) == len(others) - 1


def test_categories_of_the_three_libraries():
    """A pandas category, an Arrow dictionary and a polars Categorical of the same labels are one column."""
    words = ["b", "a", None, "b"]
    encoded = pa.array(words).dictionary_encode()
    assert (
        identify(pd.Series(words, dtype="category"))
        == identify(encoded)
        == identify(pl.Series(words, dtype=pl.Categorical))
        == identify(pd.Series(pd.arrays.ArrowExtensionArray(encoded)))
    )
    ordered = pd.Series(pd.Categorical(words, categories=["b", "a"], ordered=True))
    assert identify(ordered) == identify(pl.Series(words, dtype=pl.Enum(["b", "a"])))
    assert identify(ordered) != identify(pl.Series(words, dtype=pl.Enum(["a", "b"])))


def test_dictionaries_however_they_are_laid_out():
    """Chunks with dictionaries of their own, repeated labels and null labels do not change a dictionary column."""
    whole = pa.array(["a", "b", None, "b", "a"]).dictionary_encode()
    parts = pa.chunked_array([pa.array(["a", "b", None]).dictionary_encode(), pa.array(["b", "a"]).dictionary_encode()])
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), pa.array(["a", "b", None, "b", "a"]))
    assert identify(parts) == identify(whole) == identify(twice)


def test_null_is_null_in_pandas():
    """None, NaN, NaT and pd.NA are one missing value, whatever holds it."""
    words = [pd.Series(["a", gap], dtype=object) for gap in (None, np.nan, pd.NA, pd.NaT, float("nan"))]
    assert len({identify(series) for series in words}) == 1
    assert identify(pd.Series([1.0, None])) == identify(pd.Series([1.0, np.nan], dtype="Float64"))
    assert identify(pd.Series([1.0, None], dtype="double[pyarrow]")) == identify(pd.Series([1.0, None]))
    holes = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([1.0, np.nan])))
    assert identify(holes) == identify(pd.Series([1.0, None]))


def test_nan_is_not_null_in_polars_and_arrow():
    """polars and Arrow keep NaN apart from null; a pandas NaN is their null."""
    assert identify(pl.Series([1.0, float("nan")])) == identify(pa.array([1.0, float("nan")]))
    assert identify(pl.Series([1.0, None])) == identify(pa.array([1.0, None])) == identify(pd.Series([1.0, np.nan]))
    assert identify(pl.Series([1.0, None])) != identify(pl.Series([1.0, float("nan")]))


def test_all_nans_are_equal_and_zeros_have_a_sign():
    """Payloads of NaN do not count in columns either; -0.0 is not 0.0."""
    odd = np.array([1.0, np.nan])
    odd.view(np.uint64)[1] = 0x7FF0_0000_0000_0001
    assert identify(pd.Series(odd)) == identify(pd.Series([1.0, np.nan]))
    assert identify(pl.Series(odd)) == identify(pl.Series([1.0, np.nan])) == identify(pa.array(odd))
    for make in (pd.Series, pl.Series, pa.array):
        assert identify(make([0.0])) != identify(make([-0.0]))


def test_the_index_counts_unless_it_is_the_default_one():
    """A default index is no content, whatever class it has; any other counts by name, type and values."""
    frame = pd.DataFrame({"a": [1, 2, 3]})
    assert identify(frame.set_axis(pd.Index([0, 1, 2]))) == identify(frame)
    assert identify(pd.concat([frame[:1], frame[1:]], ignore_index=True)) == identify(frame)
    others = [
        frame,
        frame.set_axis([0, 2, 1]),
        frame.set_axis(range(1, 4)),
        frame.set_axis(range(0, 6, 2)),
        frame.set_axis([0.0, 1.0, 2.0]),
        frame.set_axis(["0", "1", "2"]),
        frame.rename_axis("row"),
        frame.set_axis(pd.date_range("2024", periods=3)),
        frame.set_axis(pd.MultiIndex.from_arrays([[0, 1, 2], [0, 0, 0]])),
        frame.set_axis(pd.MultiIndex.from_arrays([[0, 1, 2], [0, 0, 0]], names=["x", "y"])),
        frame.assign(b=[0, 1, 2]),
        frame.set_axis(pd.CategoricalIndex(["a", "b", "c"])),
    ]
    assert len({identify(other) for other in others}) == len(others)
    assert identify(frame.set_axis(range(1, 4))) == identify(frame.set_axis([1, 2, 3]))


def test_an_index_survives_parquet():
    """Frames with an index are the same after pandas has written and read them."""
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=pd.Index([7, 8, 9], name="row"))
    for indexed in (frame, frame.set_index("a", append=True), frame.set_axis(["x", "y", "z"])):
        assert identify(through_parquet(indexed)["pandas"]) == identify(indexed)


def test_labels_of_columns():
    """Labels count with their type, duplicates in their order, and several levels as tuples."""
    frame = pd.DataFrame([[1, 2], [3, 4]])
    others = [
        frame,
        frame.set_axis(["0", "1"], axis=1),
        frame.set_axis([1, 0], axis=1),
        frame.set_axis(["a", "a"], axis=1),
        frame.set_axis(["a", None], axis=1),
        frame.set_axis(pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]), axis=1),
        frame.set_axis(pd.to_datetime(["2024-01-01", "2024-01-02"]), axis=1),
        frame.rename_axis("name", axis=1),
    ]
    assert len({identify(other) for other in others}) == len(others)
    swapped = frame.set_axis(["a", "a"], axis=1).iloc[:, ::-1]
    assert identify(swapped) != identify(frame.set_axis(["a", "a"], axis=1))
    table = pa.table([[1, 2], [3, 4]], names=["a", "a"])
    assert identify(table) != identify(pa.table([[3, 4], [1, 2]], names=["a", "a"]))


def test_how_a_table_is_stored_does_not_count():
    """Chunks, batches, slices, blocks, memory order, byte order and metadata are no content."""
    data = columns()
    table = to_arrow(data)
    first, rest = table.slice(0, 333), table.slice(333)
    chunked = pa.concat_tables([first, rest])
    assert chunked["word"].num_chunks == 2
    assert identify(chunked) == identify(table)
    assert identify(table.replace_schema_metadata({"key": "value"})) == identify(table)
    assert identify(table.to_batches()[0]) == identify(table)
    assert identify(table.slice(7)) == identify(to_arrow({name: values[7:] for name, values in data.items()}))
    frame = to_polars(data)
    assert identify(pl.concat([frame[:333], frame[333:]], rechunk=False)) == identify(frame)
    assert identify(frame[7:]) == identify(table.slice(7))
    grid = np.arange(12.0).reshape(3, 4)
    plain = pd.DataFrame(grid)
    assert identify(pd.DataFrame(grid, copy=False)) == identify(plain)
    assert identify(pd.DataFrame({i: grid[:, i] for i in range(4)})) == identify(plain)
    assert identify(pd.DataFrame(grid.astype(">f8"))) == identify(plain)
    tagged = plain.copy()
    tagged.attrs["note"] = "x"
    assert identify(tagged) == identify(plain)


def test_string_types_of_arrow_are_one():
    """Strings are strings in any of Arrow's layouts, also as slices, and bytes that a null hides do not count."""
    words = ["é" * 20, "", None, "b", "a longer word than fits inline"]
    plain = pa.array(words)
    for kind in (pa.large_string(), pa.string_view()):
        assert identify(pa.array(words, kind)) == identify(plain)
    assert identify(plain[1:4]) == identify(pa.array(words[1:4])) == identify(pl.Series(words)[1:4])
    raw = pa.array([b"abc", None, b"\xff"])
    for kind in (pa.large_binary(), pa.binary_view()):
        assert identify(pa.array(raw.to_pylist(), kind)) == identify(raw)
    validity = pa.py_buffer(bytes([0b101]))
    hidden = pa.Array.from_buffers(
        pa.string(), 3, [validity, pa.py_buffer(np.array([0, 1, 3, 4], "i4")), pa.py_buffer(b"aXXb")]
    )
    assert identify(hidden) == identify(pa.array(["a", None, "b"]))


def test_numbers_that_a_null_hides_do_not_count():
    """Whatever lies below a null in memory is no content."""
    validity = pa.py_buffer(bytes([0b101]))
    hidden = pa.Array.from_buffers(pa.int64(), 3, [validity, pa.py_buffer(np.array([1, 99, 3]))])
    assert identify(hidden) == identify(pa.array([1, None, 3]))
    flags = pa.array([True, None, False, True])
    assert identify(flags[1:]) == identify(pa.array([None, False, True]))


def test_arrow_types_of_their_own():
    """Nested, encoded and calendar types of Arrow each have an identity that a changed value changes."""
    pairs = [
        (pa.array([[1, 2], None, []], pa.list_(pa.int32())), pa.array([[1, 3], None, []], pa.list_(pa.int32()))),
        (pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), pa.array([[1, 3], None], pa.list_(pa.int32(), 2))),
        (pa.array([[1, 2], None], pa.large_list(pa.int32())), pa.array([[1], None], pa.large_list(pa.int32()))),
        (pa.array([{"a": 1, "b": "x"}, None]), pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}])),
        (
            pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            pa.array([[("k", 2)], None], pa.map_(pa.string(), pa.int64())),
        ),
        (
            pa.array([decimal.Decimal("1.10"), None], pa.decimal256(60, 2)),
            pa.array([decimal.Decimal("1.11"), None], pa.decimal256(60, 2)),
        ),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), pa.array([(1, 2, 4)], pa.month_day_nano_interval())),
        (pa.array([b"ab", None], pa.binary(2)), pa.array([b"ac", None], pa.binary(2))),
        (
            pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([1, 2])),
            pa.RunEndEncodedArray.from_arrays(pa.array([1, 3], pa.int32()), pa.array([1, 2])),
        ),
        (
            pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]),
            pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "c"])]),
        ),
        (pa.array(np.array([1.5], "f2")), pa.array(np.array([2.5], "f2"))),
    ]
    found = [identify(value) for pair in pairs for value in pair]
    assert len(set(found)) == len(found)
    list_view = pa.array([[1, 2], None, []], pa.list_view(pa.int32()))
    assert identify(list_view) == identify(pairs[0][0])
    assert identify(pairs[8][0]) == identify(pa.array([1, 1, 2]))  # runs are storage
    assert identify(pa.array([0], pa.date64())) == identify(pa.array([0], pa.date32()))
    assert identify(pa.array([1], pa.time32("s"))) == identify(pa.array([1_000_000], pa.time64("us")))
    narrow = getattr(pa, "decimal32", pa.decimal128)  # since pyarrow 18
    assert identify(pa.array([decimal.Decimal("1.10")], narrow(5, 2))) == identify(
        pa.array([decimal.Decimal("1.10")], pa.decimal128(30, 2))
    )


@pytest.mark.parametrize(
    "kind",
    [
        pa.null(),
        pa.bool_(),
        pa.int8(),
        pa.uint64(),
        pa.float32(),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.binary(3),
        pa.decimal128(10, 2),
        pa.decimal256(50, 2),
        pa.date32(),
        pa.date64(),
        pa.time32("ms"),
        pa.time64("us"),
        pa.timestamp("s"),
        pa.timestamp("ns", "UTC"),
        pa.duration("s"),
        pa.month_day_nano_interval(),
        pa.list_(pa.int8()),
        pa.list_(pa.int8(), 2),
        pa.struct({"a": pa.int8(), "b": pa.string()}),
        pa.map_(pa.string(), pa.int8()),
        pa.dictionary(pa.int8(), pa.string()),
    ],
    ids=str,
)
def test_arrow_columns_of_nulls_and_of_nothing(kind):
    """Of every type a column of nulls, a slice of it, in chunks or whole, and an empty one have an identity."""
    nulls = pa.nulls(20, kind)
    assert identify(nulls[3:]) == identify(pa.nulls(17, kind)) == identify(pa.array([None] * 17, kind))
    assert identify(pa.chunked_array([nulls, nulls[:5]], kind)) == identify(pa.nulls(25, kind))
    assert identify(nulls[:0]) == identify(pa.chunked_array([], kind)) != identify(nulls)


def test_extension_types():
    """An extension type is its name, its metadata and what it stores."""
    json_type = getattr(pa, "json_", None) or (lambda: pytest.skip("pyarrow before 19 has no types to show it with"))
    text = pa.array(['{"a": 1}', None])
    one = pa.ExtensionArray.from_storage(json_type(), text)
    other = pa.ExtensionArray.from_storage(json_type(), pa.array(['{"a": 2}', None]))
    assert len({identify(one), identify(other), identify(text)}) == 3
    assert identify(pa.ExtensionArray.from_storage(json_type(), pa.array(['{"a": 1}', None]))) == identify(one)
    assert identify(pa.chunked_array([one[:1], one[1:]])) == identify(one)


def test_nested_columns_agree_between_polars_and_arrow():
    """Lists, fixed-size arrays, structs and their nulls have one id in both libraries, whole or sliced."""
    data = [
        pl.Series("a", [[1, 2], None, [], [None]], dtype=pl.List(pl.Int64)),
        pl.Series("a", [[1.5, 2], None, [None, 3]], dtype=pl.Array(pl.Float64, 2)),
        pl.Series("a", [[["a"], []], [], None, [None, ["é"]]]),
        pl.Series("a", [["u", "v"], None, ["u"]], dtype=pl.List(pl.Categorical)),
        pl.Series("a", [decimal.Decimal("1.10"), None], dtype=pl.Decimal(10, 2)),
        pl.Series("a", [datetime.time(1), None]),
        pl.Series("a", [b"x", None, b""]),
        pl.Series("a", [None, None], dtype=pl.Null),
        pl.Series("a", [1, None], dtype=pl.Datetime("ns", "Asia/Tokyo")),
        pl.Series("a", [1, None], dtype=pl.Duration("ms")),
        pl.Series("a", [DAY, None]),
    ]
    if hasattr(pl, "Extension"):  # older versions lose the nulls of structs
        data.append(pl.Series("a", [{"x": 1, "y": "a"}, None, {"x": None, "y": "c"}]))
        data.append(pl.Series("a", [[{"x": [1]}], [], None, [{"x": None}, None]]))
    found = []
    for series in data:
        assert identify(series.to_frame()) == identify(series.to_frame().to_arrow()), series.dtype
        if not hasattr(pl, "Extension") and isinstance(series.dtype, pl.Array):
            continue  # older versions of polars export slices of these wrongly
        assert identify(series[1:].to_frame()) == identify(series[1:].to_frame().to_arrow()), series.dtype
        found.append(identify(series))
    assert len(set(found)) == len(found)


def test_polars_types_of_its_own():
    """128-bit integers and Python objects in polars have identities too."""
    if hasattr(pl, "Int128"):
        big = pl.Series([2**100, None], dtype=pl.Int128)
        assert identify(big) != identify(pl.Series([2**100 + 1, None], dtype=pl.Int128))
    assert identify(pl.Series(["a", None], dtype=pl.Object)) == identify(pl.Series(["a", None]))
    assert artifacts.identify(pl.Series([object()], dtype=pl.Object)).scope == "none"
    assert artifacts.identify(pl.DataFrame({"a": [1]}).lazy()).scope == "none"


def test_series_and_arrays_without_a_name_agree():
    """A single column is the same in the three libraries; its name counts; it is neither a table nor an array."""
    assert identify(pd.Series([1, 2])) == identify(pl.Series([1, 2])) == identify(pa.array([1, 2]))
    assert identify(pa.array([1, 2])) == identify(pa.chunked_array([[1], [2]]))
    assert identify(pd.Series([1, 2], name="a")) == identify(pl.Series("a", [1, 2]))
    assert (
        len({identify(v) for v in (pl.Series("a", [1, 2]), pl.Series([1, 2]), pl.DataFrame({"a": [1, 2]}), [1, 2])})
        == 4
    )
    identity = artifacts.identify(pl.Series("a", [1, 2]))
    assert (identity.row_count, identity.column_count, identity.size) == (2, None, 16)


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT, "z"])
@pytest.mark.parametrize("word", ["a", "", "é", "日本", "\0", "\ud800", "x" * 70_000, np.str_("n"), b"a", 1, True, 0.5])
def test_strings_are_the_same_without_pyarrow(monkeypatch, word, gap):
    """Objects that are strings, or nearly all, have one identity whether pyarrow converts them or Python does."""
    values = np.array(["a", "bc", gap, "é"] * 20_000, dtype=object)  # more than are converted at a time
    for position in (0, 40_001, -1):
        other = values.copy()
        other[position] = word
        series = pd.Series(other, dtype=object)
        found = identify(series)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "pyarrow", None)
            assert identify(series) == found


def test_columns_of_mixed_types():
    """Mixed columns count by each value and its type; dicts of different keys are not filled up."""
    mixed = [1, "1", 1.0, None, True, b"1", (1, 2), {"a": 1}, datetime.date(2024, 1, 1)]
    found = {identify(pd.Series(mixed, dtype=object))}
    for position in range(len(mixed)):
        other = list(mixed)
        other[position] = "other"
        found.add(identify(pd.Series(other, dtype=object)))
    assert len(found) == len(mixed) + 1
    assert identify(pd.Series([{"a": 1}, {"b": 2}])) != identify(pd.Series([{"a": 1, "b": None}, {"a": None, "b": 2}]))
    assert identify(pd.Series([2**64, 1], dtype=object)) != identify(pd.Series([2**64 + 1, 1], dtype=object))
    assert identify(pd.Series([(1,)])) != identify(pd.Series([[1]]))
    infinite = pd.Series([decimal.Decimal("Infinity"), decimal.Decimal(1)])
    assert identify(infinite) != identify(-infinite)


def test_an_object_column_has_the_type_of_its_values():
    """An object column of integers is an integer column, and one of strings a string column."""
    assert identify(pd.Series([1, 2], dtype=object)) == identify(pd.Series([1, 2]))
    assert identify(pd.Series([1.5, None], dtype=object)) == identify(pd.Series([1.5, None]))
    assert identify(pd.Series(["a", None], dtype=object)) == identify(pd.Series(["a", None], dtype="str"))
    assert identify(pd.Series([1, 2.5], dtype=object)) != identify(pd.Series([1.0, 2.5]))


def test_object_columns_of_every_kind():
    """Columns of moments, wide integers, numpy scalars, matrices and odd decimals count by value and type."""
    aware = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    columns_of = [
        [datetime.datetime(2024, 1, 1), None],
        [datetime.datetime(2024, 1, 2), None],
        [aware, None],
        [datetime.time(1), None],
        [datetime.time(1, tzinfo=datetime.timezone.utc), None],
        [2**63, 1],
        [2**63, 2],
        [2**63, -1],
        [2**63, 2**64 - 1],
        [2**64, 1],
        [-(2**63) - 1, 1],
        [-(2**63), 1],
        [np.int32(1), np.int32(2)],
        [np.float32(1), np.float32(2)],
        [np.zeros((2, 2)), None],
        [np.ones((2, 2)), None],
        [decimal.Decimal("1E-80"), None],
        [decimal.Decimal("2E-80"), None],
        [decimal.Decimal("1E+80"), None],
        [decimal.Decimal(10**75), decimal.Decimal("0.1")],
        [decimal.Decimal(10**50), None],
        [decimal.Decimal(10**50 + 1), None],
        [np.array(["a", "b"]), None],
        [np.array(["a", "c"]), None],
        [[1, 2], np.array([1.5])],
    ]
    found = [identify(pd.Series(values, dtype=object)) for values in columns_of]
    assert len(set(found)) == len(found)
    assert found[0] == identify(pd.Series(columns_of[0], dtype="datetime64[us]"))
    assert found[5] == identify(pd.Series([2**63, 1], dtype="uint64"))
    assert found[12] == identify(pd.Series([1, 2], dtype="int32"))
    assert found[22] == identify(pd.Series([["a", "b"], None]))


def test_times_too_far_away_for_milliseconds():
    """Seconds that no other unit can hold have no identity rather than a wrong one."""
    far = pd.Series(np.array([2**62, 1]).astype("M8[s]"))
    assert artifacts.identify(far).scope == "none"


def test_strings_with_lone_surrogates():
    """Columns of strings that are no valid UTF-8 count like others."""
    words = [["a\ud800", "b"], ["a\udc00", "b"], ["a?", "b"], ["a", "\ud800b"]]
    for dtype in (object, pd.StringDtype("python")):
        assert len({identify(pd.Series(pair, dtype=dtype)) for pair in words}) == len(words)


def test_complex_long_and_sparse_columns():
    """Columns that no other library has: complex numbers, long doubles; sparse ones are their dense counterparts."""
    numbers = np.array([1 + 2j, complex(np.nan, 1), 3])
    assert identify(pd.Series(numbers)) != identify(pd.Series(numbers.conj()))
    assert identify(pd.Series(np.arange(3, dtype=np.longdouble))) != identify(pd.Series(np.arange(3.0)))
    assert identify(pd.Series([0, 0, 1], dtype="Sparse[int64]")) == identify(pd.Series([0, 0, 1]))


def test_time_zones_of_any_library_by_name():
    """zoneinfo, pytz-like strings, dateutil and fixed offsets: the zone counts, not the class that stands for it."""
    moment = pd.Series(pd.to_datetime(["2024-05-01"]))
    utc = [moment.dt.tz_localize(zone) for zone in ("UTC", datetime.timezone.utc, "dateutil/UTC")]
    assert len({identify(series) for series in utc}) == 1
    berlin = moment.dt.tz_localize("Europe/Berlin")
    if not pd.__version__.startswith("2."):  # stumbles over dateutil's zones itself
        assert identify(moment.dt.tz_localize("dateutil/Europe/Berlin")) == identify(berlin)
    fixed = moment.dt.tz_localize(datetime.timezone(datetime.timedelta(hours=-3, minutes=-30)))
    assert identify(fixed) == identify(pa.array(fixed))
    assert len({identify(series) for series in (moment, utc[0], berlin, fixed)}) == 4


def test_empty_tables_of_different_columns():
    """Tables without rows differ by names and types of columns."""
    for make in (pl.DataFrame, lambda data: pl.DataFrame(data).to_arrow(), lambda data: pl.DataFrame(data).to_pandas()):
        empties = [
            {},
            {"a": pl.Series([], dtype=pl.Int64)},
            {"b": pl.Series([], dtype=pl.Int64)},
            {"a": pl.Series([], dtype=pl.String)},
            {"a": pl.Series([], dtype=pl.Int64), "b": pl.Series([], dtype=pl.Int64)},
        ]
        assert len({identify(make(data)) for data in empties}) == len(empties)


def test_more_than_ten_thousand_columns():
    """Wide tables are identified within the budget, and each column counts."""
    wide = pd.DataFrame(np.zeros((2, 10_500)))
    other = wide.copy()
    other.iloc[1, 10_499] = 1
    assert identify(wide) != identify(other)
    assert artifacts.identify(wide).column_count == 10_500


def test_subclasses_that_carry_more_are_not_identified():
    """A frame with attributes of its own, such as a projection, is more than its columns."""

    class Plain(pd.DataFrame):
        pass

    class Projected(pd.DataFrame):
        _metadata = ["projection"]  # noqa: RUF012 - as pandas documents it

    data = {"a": [1, 2]}
    assert identify(Plain(data)) == identify(pd.DataFrame(data))
    assert artifacts.identify(Projected(data)).scope == "none"


def test_columns_of_unknown_objects_are_not_identified():
    """One object of unknown content makes the table unidentifiable."""
    for frame in (
        one_column([1, object()]),
        pd.DataFrame({"a": [1], "b": [[object()]]}),
        one_column([{"a": object()}]),
    ):
        assert artifacts.identify(frame).scope == "none"


def test_ids_do_not_need_pyarrow():
    """pandas and polars give the same ids where pyarrow is not installed and pandas stores strings as objects."""
    program = """
        import sys
        sys.modules["pyarrow"] = None  # importing it fails
        import pandas as pd, polars as pl
        from mlotel import artifacts
        words = pd.DataFrame({"w": ["a", None, "é"] * 50_000, "n": [1.5, None, 2] * 50_000})
        table = pl.DataFrame({"w": ["a", None, "é"], "l": [["x"], [], None], "c": pl.Series([1, 2, 3], dtype=pl.Int8)})
        print(words["w"].dtype.storage, artifacts.identify(words).id, artifacts.identify(table).id)
    """
    words = pd.DataFrame({"w": ["a", None, "é"] * 50_000, "n": [1.5, None, 2] * 50_000})
    if words["w"].dtype == object:
        pytest.skip("before pandas 3 strings are objects everywhere")
    assert words["w"].dtype.storage == "pyarrow"
    table = pl.DataFrame({"w": ["a", None, "é"], "l": [["x"], [], None], "c": pl.Series([1, 2, 3], dtype=pl.Int8)})

    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["python", identify(words), identify(table)]
    assert identify(words) == identify(pa.Table.from_pandas(words))


cells = st.sampled_from(
    [
        (st.integers(-(2**63), 2**63 - 1) | st.none(), pl.Int64),
        (st.floats() | st.none(), pl.Float64),
        (st.text(max_size=4) | st.none(), pl.String),
        (st.booleans() | st.none(), pl.Boolean),
        (st.binary(max_size=4) | st.none(), pl.Binary),
        (st.lists(st.text(max_size=2) | st.none(), max_size=3) | st.none(), pl.List(pl.String)),
        (st.dates() | st.none(), pl.Date),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_generated_columns_agree_and_differ(data):
    """For generated columns polars and Arrow agree, chunks do not count, and a changed cell does."""
    strategy, dtype = data.draw(cells)
    values = data.draw(st.lists(strategy, min_size=1, max_size=12))
    series = pl.Series(values, dtype=dtype)
    cut = data.draw(st.integers(0, len(values)))
    found = identify(series)
    assert identify(series.to_arrow()) == found
    assert identify(pl.concat([series[:cut], series[cut:]], rechunk=False)) == found
    other = list(values)
    position = data.draw(st.integers(0, len(values) - 1))
    other[position] = data.draw(strategy)
    alike = pl.Series(other, dtype=dtype).equals(series, null_equal=True) and repr(other) == repr(values)
    assert (identify(pl.Series(other, dtype=dtype)) == found) is alike
