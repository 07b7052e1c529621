"""pandas: every function that reads or writes a file, in the formats whose libraries are installed."""

import io

import pandas as pd
import pytest
from captured_files import assert_file, record

import mlotel
from mlotel.instrumentation import pandas as plugin

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(openpyxl|tables|pyreadstat).*")

FRAME = pd.DataFrame({"carrier": ["UA", "AA", "DL"], "delay": [2.5, -3.0, 11.0]})

# What each function needs beyond pandas, and what it is called with.
NEEDS = {
    "excel": "openpyxl", "feather": "pyarrow", "hdf": "tables", "html": "lxml", "latex": "jinja2",
    "markdown": "tabulate", "orc": "pyarrow", "parquet": "pyarrow", "sas": "pyreadstat", "spss": "pyreadstat",
    "xml": "lxml",
}  # fmt: skip
SUFFIX = {
    "csv": ".csv", "excel": ".xlsx", "feather": ".feather", "fwf": ".txt", "hdf": ".h5", "html": ".html",
    "json": ".json", "latex": ".tex", "markdown": ".md", "orc": ".orc", "parquet": ".parquet", "pickle": ".pkl",
    "sas": ".xpt", "spss": ".sav", "stata": ".dta", "string": ".txt", "table": ".tsv", "xml": ".xml",
}  # fmt: skip
OPTIONS = {"to_hdf": {"key": "flights"}, "to_csv": {"index": False}, "to_stata": {"write_index": False}}


@pytest.fixture
def pandas():
    mlotel.instrument("pandas")
    return pd


def form(name):
    """The format that a function is for, if what it needs is installed."""
    found = name.partition("_")[2]
    if found in NEEDS:
        pytest.importorskip(NEEDS[found])
    return found


def make(path, kind):
    """Write a file that the function for ``kind`` can read, unrecorded."""
    if kind in ("sas", "spss"):
        import pyreadstat

        if kind == "sas":
            pyreadstat.write_xport(FRAME[["delay"]], str(path), file_format_version=5)
        else:
            pyreadstat.write_sav(FRAME, str(path))
    elif kind == "table":
        FRAME.to_csv(path, sep="\t", index=False)
    elif kind == "fwf":
        FRAME.to_string(path, index=False)
    else:
        name = f"to_{kind}"
        getattr(FRAME, name)(path, **OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", [*plugin.READ, *plugin.READ_SEVERAL])
def test_reading_is_recorded_once(name, pandas, capture, tmp_path):
    """Each reading function records the file and, beside it, the id of the frame that it returned."""
    kind = form(name)
    path = tmp_path / f"flights{SUFFIX[kind]}"
    make(path, kind)

    recorded = record(capture, lambda: getattr(pandas, name)(path))

    frames = recorded.result if kind == "html" else [recorded.result]
    assert [len(frame) for frame in frames] == [3]
    assert_file(recorded, "input", path, recorded.result, type="file" if kind == "html" else "dataset")


@pytest.mark.parametrize("name", plugin.WRITE)
def test_writing_is_recorded_once(name, pandas, capture, tmp_path):
    """Each writing method records the file as it is afterwards and, beside it, the id of the frame."""
    path = tmp_path / f"flights{SUFFIX[form(name)]}"

    recorded = record(capture, lambda: getattr(FRAME, name)(path, **OPTIONS.get(name, {})))

    assert_file(recorded, "output", path, FRAME)


@pytest.mark.parametrize("name", [name for name in plugin.WRITE if hasattr(pd.Series, name)])
def test_writing_a_series_is_recorded_once(name, pandas, capture, tmp_path):
    """What a Series can be written to is recorded like a frame's; where pandas makes a frame of it, still once."""
    path = tmp_path / f"flights{SUFFIX[form(name)]}"
    series = FRAME["delay"]

    recorded = record(capture, lambda: getattr(series, name)(path, **OPTIONS.get(name, {})))

    assert_file(recorded, "output", path, series)


def test_the_function_that_pickles_anything(pandas, capture, tmp_path):
    """`pandas.to_pickle` records what it was given."""
    path = tmp_path / "flights.pkl"

    assert_file(record(capture, lambda: pandas.to_pickle(FRAME, path)), "output", path, FRAME)
    assert_file(record(capture, lambda: pandas.to_pickle(obj=FRAME, filepath_or_buffer=path)), "output", path, FRAME)


def test_without_a_place_nothing_is_recorded(pandas, capture):
    """Methods that return text instead of writing it, and buffers, leave no trace; nor does printing a frame."""

    def work():
        buffer = io.StringIO()
        FRAME.to_csv(buffer, index=False)
        buffer.seek(0)
        assert pandas.read_csv(buffer).equals(FRAME)
        assert "UA" in repr(FRAME)
        return FRAME.to_csv(), FRAME.to_json(), FRAME.to_string()

    recorded = record(capture, work)

    assert recorded.names == []
    assert recorded.result[0].startswith(",carrier,delay")


@pytest.mark.parametrize("options", [{"chunksize": 2}, {"iterator": True}])
def test_chunks_are_recorded_as_the_file_only(options, pandas, capture, tmp_path):
    """Reading in pieces is one read of the file, without an id of what is in it, and the pieces stay what they are."""
    path = tmp_path / "flights.csv"
    FRAME.to_csv(path, index=False)

    def work():
        with pandas.read_csv(path, **options) as reader:
            return pd.concat(reader)

    recorded = record(capture, work)

    assert recorded.result.equals(FRAME)
    assert_file(recorded, "input", path)


def test_several_sheets_are_one_read(pandas, capture, tmp_path):
    """A workbook that is read into a dict of frames carries the id of that dict."""
    pytest.importorskip("openpyxl")
    path = tmp_path / "flights.xlsx"
    with pd.ExcelWriter(path) as writer:
        FRAME.to_excel(writer, sheet_name="a")
        FRAME.to_excel(writer, sheet_name="b")

    recorded = record(capture, lambda: pandas.read_excel(path, sheet_name=None))

    assert sorted(recorded.result) == ["a", "b"]
    assert_file(recorded, "input", path, recorded.result, type="file")


def test_text_that_is_content_is_never_taken_for_a_path(pandas, capture, tmp_path, monkeypatch):
    """JSON that is passed as it is does not become the name of a file, whatever pandas makes of it."""
    text = '{"secret":{"0":1}}'

    def work():
        try:
            return pandas.read_json(text)
        except FileNotFoundError:  # pandas 3 takes it for a path
            return None

    with pytest.warns(FutureWarning) if pd.__version__ < "3" else monkeypatch.context():
        recorded = record(capture, work)

    assert recorded.names == []


def test_a_frame_says_what_it_was_read_as(pandas, capture, tmp_path, monkeypatch):
    """A frame that was read carries one entry of ours in `attrs`, the hint for what becomes of it, and no other.

    MLOTEL_EMBED=off leaves `attrs` as they are.
    """
    path = tmp_path / "flights.csv"
    FRAME.to_csv(path, index=False)

    recorded = record(capture, lambda: pandas.read_csv(path))
    assert list(recorded.result.attrs) == ["mlotel.read"]
    assert recorded.result.attrs["mlotel.read"].startswith("xxh3:")
    monkeypatch.setenv("MLOTEL_EMBED", "off")
    assert record(capture, lambda: pandas.read_csv(path)).result.attrs == {}


def test_a_compressed_file_is_a_file(pandas, capture, tmp_path):
    """A path whose file pandas compresses is recorded, as the bytes on disk."""
    path = tmp_path / "flights.csv.gz"

    assert_file(record(capture, lambda: FRAME.to_csv(path, index=False)), "output", path, FRAME)
    recorded = record(capture, lambda: pandas.read_csv(path))
    assert_file(recorded, "input", path, recorded.result)


def test_parquet_in_partitions_is_a_folder(pandas, capture, tmp_path):
    """Writing and reading a partitioned dataset is one write and one read of its folder."""
    pytest.importorskip("pyarrow")
    folder = tmp_path / "flights"

    written = record(capture, lambda: FRAME.to_parquet(folder, partition_cols=["carrier"]))
    read = record(capture, lambda: pandas.read_parquet(folder))

    assert written.names == ["write flights"]
    assert read.names == ["read flights"]
    assert read.result.shape == (3, 2)


def test_parquet_files_in_a_list_are_that_many_files(pandas, capture, tmp_path):
    """Several files that make one frame are several reads; none of them has the id of the frame."""
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        FRAME.to_parquet(path)

    recorded = record(capture, lambda: pandas.read_parquet(paths))

    assert len(recorded.result) == 6
    assert recorded.names == ["read a.parquet", "read b.parquet"]
    assert all("ml.artifact.content.id" not in found for found in recorded.attributes)


def test_a_path_of_another_file_system_is_left_out(pandas, capture, tmp_path, monkeypatch):
    """With `filesystem=` the path is another file than the one of that name here."""
    fs = pytest.importorskip("pyarrow.fs")
    FRAME.to_parquet(tmp_path / "flights.parquet")
    monkeypatch.chdir(tmp_path)
    elsewhere = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())

    recorded = record(capture, lambda: pandas.read_parquet("flights.parquet", filesystem=elsewhere))

    assert recorded.result.equals(FRAME)
    assert recorded.names == []


def test_every_function_of_pandas_is_looked_after():
    """The functions that are replaced are all that pandas has for files; what is left out is said in the plugin."""
    elsewhere = {"read_clipboard", "read_gbq", "read_iceberg", "read_sql", "read_sql_query", "read_sql_table"}
    memory = {
        "to_clipboard", "to_dict", "to_frame", "to_gbq", "to_iceberg", "to_list", "to_numpy", "to_period", "to_records",
        "to_sql", "to_timestamp", "to_xarray",
    }  # fmt: skip
    readers = {name for name in dir(pd) if name.startswith("read_")}
    writers = {name for kind in (pd.DataFrame, pd.Series) for name in dir(kind) if name.startswith("to_")}

    assert readers - elsewhere == {*plugin.READ, *plugin.READ_SEVERAL}
    assert writers - memory == set(plugin.WRITE)
