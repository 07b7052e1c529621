"""pyarrow: every function that reads, opens or writes a file."""

import io

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.fs
import pyarrow.ipc
import pyarrow.json
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from captured_files import assert_file, record

import mlotel

TABLE = pa.table({"carrier": ["UA", "AA", "DL"], "delay": [2.5, -3.0, 11.0]})

WRITE = {
    "csv.write_csv": "flights.csv",
    "feather.write_feather": "flights.feather",
    "orc.write_table": "flights.orc",
    "parquet.write_table": "flights.parquet",
}
READ = {
    "csv.read_csv": "flights.csv",
    "feather.read_feather": "flights.feather",
    "feather.read_table": "flights.feather",
    "json.read_json": "flights.json",
    "orc.read_table": "flights.orc",
    "parquet.read_pandas": "flights.parquet",
    "parquet.read_table": "flights.parquet",
}
OPEN = {
    "csv.open_csv": "flights.csv",
    "dataset.dataset": "flights.parquet",
    "ipc.open_file": "flights.arrow",
    "ipc.open_stream": "flights.arrows",
    "json.open_json": "flights.json",
}


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("pyarrow")


def function(name):
    module, _, attribute = name.partition(".")
    return getattr(getattr(pa, module), attribute)


def make(path):
    """Write the file that a name promises, unrecorded."""
    if path.suffix == ".json":
        path.write_text('{"carrier": "UA", "delay": 2.5}\n{"carrier": "AA", "delay": -3.0}\n')
    elif path.suffix in (".arrow", ".arrows"):
        writer = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
        with writer(str(path), TABLE.schema) as opened:
            opened.write_table(TABLE)
    else:
        [write] = [name for name, made in WRITE.items() if made == path.name]
        function(write)(TABLE, str(path))
    return path


@pytest.mark.parametrize("name", WRITE)
def test_writing_is_recorded_once(name, capture, tmp_path):
    """Each writing function records the file as it is afterwards and, beside it, the id of the table."""
    path = tmp_path / WRITE[name]

    assert_file(record(capture, lambda: function(name)(TABLE, path)), "output", path, TABLE)


@pytest.mark.parametrize("name", READ)
def test_reading_is_recorded_once(name, capture, tmp_path):
    """Each reading function records the file and, beside it, the id of what it returned."""
    path = make(tmp_path / READ[name])

    recorded = record(capture, lambda: function(name)(path))

    assert len(recorded.result) in (2, 3)
    assert_file(recorded, "input", path, recorded.result)


@pytest.mark.parametrize("name", OPEN)
def test_opening_is_recorded_as_the_file_only(name, capture, tmp_path):
    """What is read piece by piece is one read of the file when it is opened, without an id of its content."""
    path = make(tmp_path / OPEN[name])
    if not hasattr(getattr(pa, name.partition(".")[0]), name.partition(".")[2]):
        pytest.skip(f"this pyarrow has no {name}")

    def work():
        opened = function(name)(str(path))
        return opened.to_table() if name.startswith("dataset") else opened.read_all()

    recorded = record(capture, work)

    assert recorded.result.num_rows in (2, 3)
    suffixes = {".csv": "dataset", ".parquet": "dataset", ".arrow": "dataset"}
    assert_file(recorded, "input", path, type=suffixes.get(path.suffix, "file"))


@pytest.mark.parametrize("name", ["dataset.write_dataset", "parquet.write_to_dataset"])
def test_a_dataset_is_a_folder(name, capture, tmp_path):
    """Writing many files at once is one write of their folder, however the functions call each other."""
    folder = tmp_path / "flights"
    options = {"format": "parquet"} if name == "dataset.write_dataset" else {}

    recorded = record(capture, lambda: function(name)(TABLE, str(folder), **options))

    assert recorded.names == ["write flights"]
    assert recorded.one["ml.artifact.name"] == "flights"
    assert list(folder.iterdir())


def test_a_dataset_of_several_files_is_several_reads(capture, tmp_path):
    """A list of files is recorded file by file."""
    paths = [str(tmp_path / f"{name}.parquet") for name in "ab"]
    for path in paths:
        pq.write_table(TABLE, path)

    recorded = record(capture, lambda: pa.dataset.dataset(paths))

    assert recorded.result.count_rows() == 6
    assert recorded.names == ["read a.parquet", "read b.parquet"]


def test_other_file_systems_are_left_out(capture, tmp_path):
    """A path of another file system is not taken for a path of this one; the local one given by name is this one."""
    path = tmp_path / "flights.parquet"
    local = pa.fs.LocalFileSystem()
    elsewhere = pa.fs.SubTreeFileSystem(str(tmp_path), local)

    assert_file(record(capture, lambda: pq.write_table(TABLE, str(path), filesystem=local)), "output", path, TABLE)
    assert record(capture, lambda: pq.read_table("flights.parquet", filesystem=elsewhere)).names == []


def test_buffers_and_native_files_are_left_out(capture, tmp_path):
    """What has no path, or does not tell it, leaves no trace."""
    path = tmp_path / "flights.parquet"

    def work():
        buffer = io.BytesIO()
        pq.write_table(TABLE, buffer)
        with pa.OSFile(str(path), "wb") as file:
            pq.write_table(TABLE, file)
        with pa.memory_map(str(path)) as file:
            return pq.read_table(file).equals(TABLE) and pq.read_table(pa.BufferReader(buffer.getvalue())).equals(TABLE)

    recorded = record(capture, work)

    assert recorded.result is True
    assert recorded.names == []


def test_a_stream_of_batches_is_written_and_not_read_by_us(capture, tmp_path):
    """A reader that can be read once is left to the function; the folder has no id of its content."""
    folder = tmp_path / "flights"

    recorded = record(capture, lambda: pa.dataset.write_dataset(TABLE.to_reader(), folder, format="parquet"))

    assert pq.read_table(folder).num_rows == 3
    assert_file(recorded, "output", folder, type="file")
