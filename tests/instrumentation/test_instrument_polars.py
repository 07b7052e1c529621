"""polars: every function that reads, scans or writes a file, in the formats whose libraries are installed."""

import io

import polars as pl
import pytest
from captured_files import assert_file, record

import mlotel
from mlotel.instrumentation import polars as plugin

FRAME = pl.DataFrame({"carrier": ["UA", "AA", "DL"], "delay": [2.5, -3.0, 11.0]})

NEEDS = {"excel": "fastexcel", "ods": "fastexcel"}
NEEDS_TO_WRITE = {"excel": "xlsxwriter"}
SUFFIX = {"ipc": ".arrow", "ipc_stream": ".arrows", "excel": ".xlsx", "delta": "", "lines": ".txt"}
DATASETS = {"csv", "parquet", "ipc"}  # told by the suffix alone


def path_for(folder, name):
    kind = name.partition("_")[2].removesuffix("_batched")
    return folder / f"flights{SUFFIX.get(kind, f'.{kind}')}", kind


@pytest.fixture
def polars():
    mlotel.instrument("polars")
    return pl


def make(path, kind):
    """Write a file that the function for ``kind`` can read, unrecorded."""
    if kind == "lines":
        path.write_text("UA\nAA\nDL\n")
    elif kind == "ods":
        pytest.importorskip("odf")
        import pandas as pd

        pd.DataFrame(FRAME.to_dict(as_series=False)).to_excel(path, index=False, engine="odf")
    else:
        if kind in NEEDS_TO_WRITE:
            pytest.importorskip(NEEDS_TO_WRITE[kind])
        getattr(FRAME, f"write_{kind}")(path)


def has(owner, name, folder):
    """Whether this version of polars has a function, and what it needs; what it lacks is skipped."""
    if not hasattr(owner, name):
        pytest.skip(f"this polars has no {name}")
    if name.endswith("_delta"):
        pytest.importorskip("deltalake")
        try:
            FRAME.write_delta(folder / "probe")
        except TypeError:  # polars 1.0 passes an argument that deltalake has dropped since
            pytest.skip("this polars cannot use this deltalake")


@pytest.mark.parametrize("name", plugin.READ)
def test_reading_is_recorded_once(name, polars, capture, tmp_path):
    """Each reading function records the file and, beside it, the id of the frame that it returned."""
    has(pl, name, tmp_path)
    path, kind = path_for(tmp_path, name)
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    make(path, kind)

    recorded = record(capture, lambda: getattr(polars, name)(path if kind != "delta" else str(path)))

    assert recorded.result.height == 3
    assert_file(recorded, "input", path, recorded.result)


@pytest.mark.parametrize("name", plugin.SCAN)
def test_scanning_is_recorded_as_the_file_only(name, polars, capture, tmp_path):
    """A scan is one read of the file without an id of its content; collecting the frame adds nothing."""
    has(pl, name, tmp_path)
    path, kind = path_for(tmp_path, name)
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    make(path, kind)

    def work():
        lazy = getattr(polars, name)(path if kind != "delta" else str(path))
        return lazy.collect() if isinstance(lazy, pl.LazyFrame) else None

    recorded = record(capture, work)

    assert recorded.result is None or recorded.result.height == 3
    assert_file(recorded, "input", path, type="dataset" if kind in DATASETS else "file")


@pytest.mark.parametrize("name", [*plugin.WRITE, "write_excel"])
def test_writing_is_recorded_once(name, polars, capture, tmp_path):
    """Each writing method records the file as it is afterwards and, beside it, the id of the frame."""
    has(pl.DataFrame, name, tmp_path)
    path, kind = path_for(tmp_path, name)
    if kind in NEEDS_TO_WRITE:
        pytest.importorskip(NEEDS_TO_WRITE[kind])

    recorded = record(capture, lambda: getattr(FRAME, name)(path))

    assert_file(recorded, "output", path, FRAME)


@pytest.mark.parametrize("name", plugin.SINK)
def test_sinking_is_recorded_when_the_query_has_run(name, polars, capture, tmp_path):
    """A sink is one write of the file that the query made."""
    has(pl.LazyFrame, name, tmp_path)
    path, kind = path_for(tmp_path, name)
    if kind in NEEDS_TO_WRITE:
        pytest.importorskip(NEEDS_TO_WRITE[kind])

    recorded = record(capture, lambda: getattr(FRAME.lazy(), name)(path))

    assert_file(recorded, "output", path, type="dataset" if kind in DATASETS else "file")


def test_a_sink_that_waits_has_written_nothing(polars, capture, tmp_path):
    """With `lazy=True` nothing is recorded, even over a file that is there already."""
    path = tmp_path / "flights.parquet"
    path.write_bytes(b"old")

    try:
        recorded = record(capture, lambda: FRAME.lazy().sink_parquet(path, lazy=True))
    except TypeError:
        pytest.skip("this polars has no lazy sinks")

    assert isinstance(recorded.result, pl.LazyFrame)
    assert recorded.names == []


def test_a_merge_that_waits_has_written_nothing(polars, capture, tmp_path):
    """`write_delta(mode="merge")` returns what will merge, so nothing is recorded yet."""
    has(pl.DataFrame, "write_delta", tmp_path)
    options = {"predicate": "s.carrier = t.carrier", "source_alias": "s", "target_alias": "t"}

    recorded = record(capture, lambda: FRAME.write_delta(tmp_path / "probe", mode="merge", delta_merge_options=options))

    assert recorded.result is not None
    assert recorded.names == []


def test_excel_is_written_under_the_name_that_polars_gives(polars, capture, tmp_path, monkeypatch):
    """The suffix that polars adds, and the name when there is none, are those of the file on disk."""
    pytest.importorskip("xlsxwriter")
    monkeypatch.chdir(tmp_path)

    assert_file(
        record(capture, lambda: FRAME.write_excel(tmp_path / "flights")), "output", tmp_path / "flights.xlsx", FRAME
    )
    assert_file(record(capture, lambda: FRAME.write_excel()), "output", tmp_path / "dataframe.xlsx", FRAME)


@pytest.mark.parametrize("call", ["read_parquet", "scan_parquet"])
def test_patterns_and_lists_are_that_many_files(call, polars, capture, tmp_path):
    """Several files that make one frame are several reads; none of them has the id of the frame."""
    for name in ("a", "b"):
        FRAME.write_parquet(tmp_path / f"{name}.parquet")
    read = getattr(polars, call)

    by_pattern = record(capture, lambda: read(str(tmp_path / "*.parquet")))
    by_list = record(capture, lambda: read([tmp_path / "a.parquet", tmp_path / "b.parquet"]))

    for recorded in (by_pattern, by_list):
        assert recorded.result.lazy().collect().height == 6
        assert recorded.names == ["read a.parquet", "read b.parquet"]
        assert all("ml.artifact.content.id" not in found for found in recorded.attributes)


def test_of_very_many_files_the_rest_is_counted(polars, capture, tmp_path):
    """The first 32 files of one call are recorded; the component says how many more there were."""
    for number in range(40):
        FRAME.write_parquet(tmp_path / f"{number:02}.parquet")

    recorded = record(capture, lambda: polars.read_parquet(str(tmp_path / "*.parquet")))

    assert recorded.names == [f"read {number:02}.parquet" for number in range(32)]
    assert capture.span("component step").attributes["ml.artifact.links.omitted"] == 8


def test_bytes_are_content(polars, capture, tmp_path):
    """polars takes bytes for the content of a file, so nothing is recorded, even where a file has that name."""
    content = b"carrier,delay\nUA,2.5\n"

    recorded = record(capture, lambda: polars.read_csv(content))

    assert recorded.result.height == 1
    assert recorded.names == []


def test_without_a_place_nothing_is_recorded(polars, capture):
    """Text instead of a file, and buffers, leave no trace."""

    def work():
        buffer = io.BytesIO()
        FRAME.write_parquet(buffer)
        buffer.seek(0)
        assert polars.read_parquet(buffer).equals(FRAME)
        return FRAME.write_csv(), FRAME.write_json()

    recorded = record(capture, work)

    assert recorded.result[0].startswith("carrier,delay")
    assert recorded.names == []


def test_every_function_of_polars_is_looked_after():
    """The functions that are replaced are all that polars has for files; what is left out is said in the plugin."""
    readers = {
        "read_clipboard", "read_database", "read_database_uri", "read_ipc_schema", "read_parquet_metadata",
        "read_parquet_schema", "scan_arrow_c_stream", "scan_external_reader", "scan_iceberg", "scan_lance",
        "scan_pyarrow_dataset",
    }  # fmt: skip
    writers = {"write_clipboard", "write_database", "write_iceberg", "sink_batches", "sink_iceberg"}

    assert {name for name in dir(pl) if name.startswith(("read_", "scan_"))} - readers <= {*plugin.READ, *plugin.SCAN}
    assert {name for name in dir(pl.DataFrame) if name.startswith("write_")} - writers <= {*plugin.WRITE, "write_excel"}
    assert {name for name in dir(pl.LazyFrame) if name.startswith("sink_")} - writers <= set(plugin.SINK)
