"""Files, values and addresses that are not what they look like at first."""

import asyncio
import pickle
import threading
import time
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import mlotel
from mlotel import artifacts
from mlotel.tracing import lineage

TABLE = pd.DataFrame({"a": [1, 2, 3], "s": ["x", "y", "z"]})
CONTENT = "ml.artifact.content.id"
ID = "ml.artifact.id"


@pytest.fixture(autouse=True)
def io():
    mlotel.instrument("io")


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(capture, word):
    found = sorted(capture.spans(), key=lambda span: span.start_time)
    return [span for span in found if span.name.startswith(f"{word} ")]


def linked(span, write):
    """The one link of a read leads to this write."""
    [link] = span.links
    return link.context.span_id == write.context.span_id and link.attributes["ml.link.type"] == "consumed"


def test_a_generator_whose_input_changes_between_its_values(capture):
    """The input is what it was at the first step; what became of it until the end is said once, whoever did it."""

    @mlotel.component
    def rows(table):
        for number in range(3):
            table.loc[0, "a"] += 1
            yield number

    table = TABLE.copy()
    before = artifacts.identify(table).id
    for _ in rows(table):
        table.loc[1, "a"] += 5
    [read], [write] = files(capture, "read"), files(capture, "write")

    assert read.attributes[ID] == before
    assert write.attributes["ml.artifact.role"] == "mutated"
    assert write.attributes[ID] == artifacts.identify(table).id
    assert [link.attributes["ml.link.type"] for link in write.links] == ["derived"]


def test_a_generator_that_is_left_early_and_its_input_is_gone(capture):
    """An input that was changed and freed cannot be looked at again, and nothing is said of it."""

    @mlotel.component
    def rows(table):
        table.loc[0, "a"] += 1
        del table
        yield 1

    for _ in rows(TABLE.copy()):
        break

    assert [span.name for span in files(capture, "read")] == ["read table"]


def test_async_components_that_change_their_inputs_at_once(capture):
    """Two tasks that change two equal frames: each is linked to its own read, and none to that of the other."""

    @mlotel.component
    async def add(table, number):
        await asyncio.sleep(0)
        table.loc[0, "a"] = number
        await asyncio.sleep(0)

    async def both():
        await asyncio.gather(add(TABLE.copy(), 10), add(TABLE.copy(), 20))

    tables = []

    @mlotel.component
    async def keep(table):
        tables.append(table)
        await asyncio.sleep(0)
        table.loc[2, "a"] += len(tables)
        yield table
        table.loc[2, "a"] += 1

    async def consume():
        async for table in keep(TABLE.copy()):
            table.loc[1, "a"] = 0

    asyncio.run(both())
    asyncio.run(consume())

    reads = {span.parent.span_id: span.context.span_id for span in files(capture, "read")}
    mutated = [span for span in files(capture, "write") if span.attributes["ml.artifact.role"] == "mutated"]
    assert len(reads) == 3
    for span in mutated:
        [link] = span.links
        assert link.context.span_id == reads[span.parent.span_id]
    assert mutated[-1].attributes[ID] == artifacts.identify(tables[0]).id


@pytest.mark.parametrize("name", ["t.csv.gz", "t.zip", "t.tar.gz", "t.csv.xz"])
def test_compressed_tables(capture, work, name):
    """An archive with one table in it is a file with that table, for whoever reads it back."""
    with mlotel.component("make"):
        TABLE.to_csv(name, index=False)
    with mlotel.component("use"):
        pd.read_csv(name)
    [write], [read] = files(capture, "write"), files(capture, "read")

    assert linked(read, write)
    assert read.attributes[CONTENT] == write.attributes[CONTENT] == artifacts.identify(TABLE).id


def test_members_of_archives_have_no_file_of_their_own(capture, work):
    """What is read from an open member is not recorded as the archive, whose name it has."""
    TABLE.to_csv("t.zip", index=False)
    with zipfile.ZipFile("t.zip") as archive, mlotel.component("use"):
        [name] = archive.namelist()
        with archive.open(name) as file:
            pd.read_csv(file)

    assert files(capture, "read") == []


@pytest.mark.parametrize(
    ("address", "shown", "name"),
    [
        ("https://ana:s3cret@host/t.csv?token=s3cret#s3cret", "https://host/t.csv", "t.csv"),
        ("zip://t.csv::https://ana:s3cret@host/t.zip?token=s3cret", "zip://t.csv::https://host/t.zip", "t.csv"),
        ("simplecache::https://ana:s3cret@host/t.csv?sig=s3cret", "simplecache::https://host/t.csv", "t.csv"),
        ("filecache::zip://t.csv::s3://key:s3cret@b/t.zip", "filecache::zip://t.csv::s3://b/t.zip", "t.csv"),
        ("http://ana:s3cret@[::1]:80/t.csv?x=s3cret", "http://[::1]:80/t.csv", "t.csv"),
        ("http://ana:s3cret@[::1/t.csv?x=s3cret", "http://[::1/t.csv", "http://[::1/t.csv"),
    ],
)
def test_addresses_never_say_who_may_read_them(capture, work, address, shown, name):
    """User, password, query and fragment stay here, in chains of fsspec too."""
    with mlotel.component("use") as c:
        c.read(address)
        c.read(TABLE, name="table", uri=address)

    assert [span.attributes["ml.artifact.uri"] for span in files(capture, "read")] == [shown, shown]
    assert files(capture, "read")[0].attributes["ml.artifact.name"] == name
    assert "s3cret" not in repr([(span.name, dict(span.attributes)) for span in capture.spans()])


def test_arrays_in_an_archive_and_in_a_map(capture, work):
    """What is read later, or through memory, is the file without its content, and linked to its write."""
    with mlotel.component("make"):
        np.savez("a.npz", x=np.arange(3), y=np.ones(2))
        np.save("m.npy", np.arange(10.0))
    with mlotel.component("use"):
        with np.load("a.npz") as archive:
            archive["x"]
        np.load("m.npy", mmap_mode="r")
    made, used = files(capture, "write"), files(capture, "read")

    assert [CONTENT in span.attributes for span in made + used] == [True, True, False, False]
    assert all(linked(read, write) for read, write in zip(used, made, strict=True))


def test_a_map_that_is_written_through_is_another_array(capture, work):
    """The map is what it holds when it is recorded; after a change through it, file and array are others."""
    np.save("m.npy", np.arange(10.0))
    with mlotel.component("make") as c:
        c.write("m.npy")
    array = np.load("m.npy", mmap_mode="r+")
    array[0] = 5
    array.flush()
    with mlotel.component("use") as c:
        c.read("m.npy")
        c.read(array, name="map")
    file, table = files(capture, "read")

    assert list(file.links) == list(table.links) == []
    assert table.attributes[ID] == artifacts.identify(np.array(array)).id


def test_out_of_band_buffers_are_not_in_the_file(capture, work):
    """A pickle whose data went elsewhere holds none of them, and says so: two arrays have the same file."""
    buffers = []
    with mlotel.component("make"), (work / "p.pkl").open("wb") as file:
        pickle.dump(np.arange(1000.0), file, protocol=5, buffer_callback=buffers.append)
    with mlotel.component("use"), (work / "p.pkl").open("rb") as file:
        pickle.load(file, buffers=[bytes(8000)])
    with mlotel.component("make"), (work / "q.pkl").open("wb") as file:
        pickle.dump(np.arange(1000.0), file, protocol=5)

    [write, whole], [read] = files(capture, "write"), files(capture, "read")
    assert CONTENT not in write.attributes
    assert CONTENT not in read.attributes
    assert whole.attributes[CONTENT] == artifacts.identify(np.arange(1000.0)).id


def test_lazy_frames_from_file_to_file(capture, work, monkeypatch):
    """What a query wrote is known to the next process by the file alone, though nobody ever held it as a table."""
    monkeypatch.setattr(lineage, "is_test", False)
    with mlotel.component("make"):
        TABLE.to_parquet("t.parquet")
        pl.scan_parquet("t.parquet").filter(pl.col("a") > 1).sink_parquet("u.parquet")
    monkeypatch.setattr(lineage, "memory", lineage.Memory())
    with mlotel.component("use"):
        ds.dataset("u.parquet")
        pl.scan_parquet("u.parquet")
        pl.read_parquet("u.parquet")

    made = capture.span("write u.parquet")
    used = capture.spans("read u.parquet")
    assert CONTENT not in made.attributes
    assert len(used) == 3
    assert all(linked(read, made) for read in used)
    assert {read.links[0].attributes["ml.link.evidence"] for read in used} == {"embedded"}


def test_tables_in_many_files_are_a_folder(capture, work):
    """Partitions are one folder for all libraries; one file of them is no artifact that anybody wrote."""
    with mlotel.component("make"):
        TABLE.to_parquet("folder", partition_cols=["s"])
    (work / "folder").rename(work / "moved")
    with mlotel.component("use"):
        pd.read_parquet("moved")
        pq.read_table("moved")
        ds.dataset("moved")
        [one, *_] = sorted((work / "moved").rglob("*.parquet"))
        pl.read_parquet(one)
    [write], reads = files(capture, "write"), files(capture, "read")

    assert write.attributes[ID] == artifacts.identify(work / "moved").id
    assert [list(span.links) != [] and linked(span, write) for span in reads] == [True, True, True, False]


def test_a_file_that_grows_meanwhile_makes_no_edge(capture, work):
    """A file that somebody is writing has no content id, and what was read of it is what was read."""
    path, stop = work / "t.csv", threading.Event()

    def grow():
        with path.open("a", buffering=1) as file:
            file.write("a\n")
            while not stop.is_set():
                file.write("1\n" * 50)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        while not path.exists() or path.stat().st_size < 100_000:
            time.sleep(0.01)
        with mlotel.component("use"):
            pd.read_csv(path)
    finally:
        stop.set()
        writer.join()

    [read] = files(capture, "read")
    assert list(read.links) == []
    if read.attributes["ml.artifact.digest.scope"] == "none":  # the usual case: it grew while it was hashed
        assert read.attributes[ID].startswith("ref:")
