"""A captured file is known again whatever a library makes of it, and a changed one never is."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import mlotel
from mlotel import artifacts
from mlotel.artifacts import carriers
from mlotel.tracing import lineage

DOUBT = "ml.artifact.claim.doubt"
CONTENT = "ml.artifact.content.id"

FLOATS = [1.0, float("nan"), 3.0]
INDEXED = pd.DataFrame({"a": [1, 2, 3]}, index=pd.Index(["x", "y", "z"], name="key"))
NUMBERED = pd.DataFrame({"a": pd.Categorical([3, 1, 3], categories=[1, 2, 3])})
DICTS = pd.DataFrame({"a": [{"x": 1}, {"y": 2}, None]})
TIMES = pd.DataFrame({"a": pd.to_datetime(["2013-01-01T00:00:00.123456789", "2013-01-02T00:00:00.000000001"])})
SMALL = pa.table({"a": pa.array(np.array([1.5, 2.5], np.float16))})
UNSIGNED = pa.table({"a": pa.array([1, 2], pa.uint32()), "t": pa.array([1000, 2000], pa.timestamp("ns"))})
CLOCK = pl.DataFrame({"a": [datetime.timedelta(seconds=1), None], "b": ["x", "y"]}).with_columns(
    pl.col("b").cast(pl.Enum(["x", "y"]))
)

WRITERS = {
    "polars NaN": ("t.parquet", lambda path: pl.DataFrame({"a": FLOATS}).write_parquet(path)),
    "polars NaN, arrow": ("t.arrow", lambda path: pl.DataFrame({"a": FLOATS}).write_ipc(path)),
    "pandas index": ("t.parquet", lambda path: INDEXED.to_parquet(path)),
    "integer categories": ("t.parquet", lambda path: NUMBERED.to_parquet(path)),
    "dict cells": ("t.parquet", lambda path: DICTS.to_parquet(path)),
    "coarser times": (
        "t.parquet",
        lambda path: TIMES.to_parquet(path, coerce_timestamps="ms", allow_truncated_timestamps=True),
    ),
    "parquet 1.0": ("t.parquet", lambda path: pq.write_table(UNSIGNED, path, version="1.0")),
    "parquet 2.4": ("t.parquet", lambda path: pq.write_table(UNSIGNED, path, version="2.4")),
    "float16": ("t.parquet", lambda path: pq.write_table(SMALL, path)),
    "durations and enums": ("t.parquet", lambda path: CLOCK.write_parquet(path)),
    "no Arrow schema": ("t.parquet", lambda path: pq.write_table(UNSIGNED, path, store_schema=False)),
    "some columns of a lazy frame": (
        "t.parquet",
        lambda path: pl.LazyFrame({"a": [1, 2], "b": [3, 4]}).select("a").sink_parquet(path),
    ),
}
READERS = {  # looked up when they are called: a function that was taken out before is not instrumented
    "pandas": {".parquet": lambda path: pd.read_parquet(path), ".arrow": lambda path: pd.read_feather(path)},
    "polars": {".parquet": lambda path: pl.read_parquet(path), ".arrow": lambda path: pl.read_ipc(path)},
    "pyarrow": {".parquet": lambda path: pq.read_table(path), ".arrow": lambda path: pa.feather.read_table(path)},
    "pandas, a column": {
        ".parquet": lambda path: pd.read_parquet(path, columns=["a"]),
        ".arrow": lambda path: pd.read_feather(path, columns=["a"]),
    },
    "polars, lazily": {".parquet": lambda path: pl.scan_parquet(path), ".arrow": lambda path: pl.scan_ipc(path)},
    "nobody": dict.fromkeys((".parquet", ".arrow"), lambda path: mlotel.read(path)),
}


@pytest.fixture
def strangers(capture, monkeypatch):
    """Files are written as by another process, whose ids are real and of which only the files tell."""
    mlotel.instrument("io")
    monkeypatch.setattr(lineage, "is_test", False)

    def forget():
        monkeypatch.setattr(lineage, "memory", lineage.Memory())

    return forget


def written(capture, work, path):
    with mlotel.component("clean"):
        work(path)
    return capture.span(f"write {path.name}")


OLD_POLARS = tuple(map(int, pl.__version__.split(".")[:2])) < (1, 10)


def reading(capture, work, path):
    with mlotel.component("fit"):
        try:
            work(path)
        except (pl.exceptions.ComputeError, pl.exceptions.PanicException) as error:
            if OLD_POLARS:
                pytest.skip(f"this polars cannot read it: {error}")
            raise
    return capture.spans(f"read {path.name}")[-1]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_written_is_known_again(capture, strangers, tmp_path, writer, reader):
    """The file that was written is linked to its write, however its library stored it and another one reads it."""
    name, work = WRITERS[writer]
    write = written(capture, work, tmp_path / name)
    strangers()
    moved = (tmp_path / name).rename(tmp_path / f"moved{(tmp_path / name).suffix}")
    read = reading(capture, READERS[reader][moved.suffix], moved)

    assert DOUBT not in read.attributes
    [link] = read.links
    assert link.context.span_id == write.context.span_id
    assert link.attributes["ml.link.evidence"] == "embedded"
    assert link.attributes["ml.link.type"] == "consumed"
    assert link.attributes["ml.artifact.id"] in (write.attributes["ml.artifact.id"], write.attributes.get(CONTENT))


def changed_cell(path):
    """One cell changed, and all metadata copied, those of mlotel too."""
    table = pq.read_table(path)
    stamp, _ = carriers.stamp_of(path)
    values = table["a"].to_pylist()
    values[-1] += 1
    pq.write_table(table.set_column(0, table.schema.field(0), pa.array(values, table.schema.field(0).type)), path)
    assert carriers.embed(path, stamp)


def changed_byte(path):
    """One byte of the pages, where they lie."""
    data = bytearray(path.read_bytes())
    place = data.index((2).to_bytes(8, "little"))
    data[place] = 7
    path.write_bytes(data)


def renamed_column(path):
    """Another name for a column, in the metadata that the library reads."""
    data = path.read_bytes()
    assert b"bcd" in data
    path.write_bytes(data.replace(b"bcd", b"xyz"))


def other_file(path):
    """Another file altogether, with the stamp of this one."""
    stamp, _ = carriers.stamp_of(path)
    pd.DataFrame({"a": [9, 9], "bcd": [9, 9]}).to_parquet(path)
    assert carriers.embed(path, stamp)


@pytest.mark.parametrize("tamper", [changed_cell, changed_byte, renamed_column, other_file])
@pytest.mark.parametrize("reader", ["pandas", "polars", "pyarrow", "nobody"])
def test_a_tampered_file_has_no_link_and_says_why(capture, strangers, tmp_path, tamper, reader):
    """Whatever was changed under the stamp of the earlier file: no edge, and the reason on the span."""
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [1, 2], "bcd": [3, 4]})
    written(
        capture,
        lambda path: pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False),
        path,
    )
    strangers()
    tamper(path)
    read = reading(capture, READERS[reader][".parquet"], path)

    assert list(read.links) == []
    assert "ml.artifact.producer" not in read.attributes
    assert read.attributes[DOUBT].startswith("embedded: The ")
    assert "clean wrote" in read.attributes[DOUBT]


def test_the_same_table_written_anew_is_still_believed(capture, strangers, tmp_path):
    """Another compression is another file with the same content: the stamp that was carried along holds."""
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"a": [1, 2]})
    written(capture, frame.to_parquet, path)
    strangers()
    stamp, _ = carriers.stamp_of(path)
    frame.to_parquet(path, compression="zstd")
    assert carriers.embed(path, stamp)

    assert reading(capture, pd.read_parquet, path).links[0].attributes["ml.link.evidence"] == "embedded"
    assert DOUBT in reading(capture, mlotel.read, path).attributes


def test_a_stamp_of_an_earlier_release_still_holds(capture, strangers, tmp_path):
    """A stamp that knows the content only is believed for that content and doubted for another one."""
    path = tmp_path / "t.parquet"
    INDEXED.to_parquet(path)
    content = artifacts.identify(INDEXED)
    table = pq.read_table(path)
    made = carriers.Stamp("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", content_id=content.id)
    pq.write_table(table.cast(carriers.with_stamp(table.schema, made)), path)

    assert carriers.stamp_of(path)[0].data_id is None
    assert reading(capture, pd.read_parquet, path).links[0].attributes["ml.link.evidence"] == "embedded"
    assert DOUBT in reading(capture, pl.read_parquet, path).attributes


def test_notes_beside_do_not_stand_in_for_the_content(capture, strangers, tmp_path, monkeypatch):
    """A note vouches for the bytes; a file that was changed under it has no link."""
    monkeypatch.setenv("MLOTEL_SIDECAR", "on")
    monkeypatch.setenv("MLOTEL_EMBED", "off")
    path = tmp_path / "t.parquet"
    written(capture, INDEXED.to_parquet, path)
    strangers()
    assert reading(capture, pl.read_parquet, path).links[0].attributes["ml.link.evidence"] == "sidecar"

    INDEXED.assign(a=9).to_parquet(path)
    read = reading(capture, pl.read_parquet, path)
    assert list(read.links) == []
    assert read.attributes[DOUBT].startswith("sidecar: The ")
