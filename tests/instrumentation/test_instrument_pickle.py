"""pickle: dump and load of open files."""

import bz2
import gzip
import io
import os
import pickle
import tempfile
from pathlib import Path

import pytest
from captured_files import assert_file, record

import mlotel
from mlotel import artifacts

VALUE = {"weights": [0.5, 0.25], "depth": 3}
ORIGINAL = pickle.dump, pickle.load


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("pickle")


def test_a_value_is_written_and_read(capture, tmp_path):
    """`dump` and `load` record the file once each, with the id of the value, although the file is still open."""
    path = tmp_path / "model.pkl"

    with path.open("wb") as file:
        written = record(capture, lambda: pickle.dump(VALUE, file))
    assert_file(written, "output", path, VALUE, type="model")
    with path.open("rb") as file:
        recorded = record(capture, lambda: pickle.load(file))
    assert recorded.result == VALUE
    assert_file(recorded, "input", path, VALUE, type="model")


def test_every_argument_by_name(capture, tmp_path):
    """Keyword arguments are understood."""
    path = tmp_path / "model.pkl"

    with path.open("wb") as file:
        recorded = record(capture, lambda: pickle.dump(obj=VALUE, file=file, protocol=4))

    assert_file(recorded, "output", path, VALUE, type="model")


def test_two_values_in_one_file_are_two_writes(capture, tmp_path):
    """Each write records the file as it was then: the second id is that of the file at the end."""
    path = tmp_path / "model.pkl"

    def work():
        with path.open("wb") as file:
            pickle.dump(1, file)
            pickle.dump(2, file)

    recorded = record(capture, work)

    assert recorded.names == ["write model.pkl", "write model.pkl"]
    first, second = (found["ml.artifact.id"] for found in recorded.attributes)
    assert first != second == artifacts.identify(path).id


def test_outside_a_component_a_file_is_left_alone(capture, tmp_path):
    """What was written stays in the buffer of the file, as without us, and nothing is recorded."""
    path = tmp_path / "model.pkl"

    with path.open("wb") as file:
        pickle.dump(VALUE, file)
        assert path.stat().st_size == 0

    assert capture.spans() == []


def test_files_of_all_kinds_that_have_a_name(capture, tmp_path):
    """Buffered, unbuffered and temporary files, and those that are read and written, are files."""
    for number, (mode, buffering) in enumerate([("wb", -1), ("wb", 0), ("w+b", -1), ("ab", -1), ("xb", -1)]):
        path = tmp_path / f"{number}.pkl"
        with path.open(mode, buffering) as file:
            assert_file(record(capture, lambda file=file: pickle.dump(VALUE, file)), "output", path, VALUE, "model")
    with tempfile.NamedTemporaryFile(suffix=".pkl", dir=tmp_path) as file:
        recorded = record(capture, lambda: pickle.dump(VALUE, file))
        assert recorded.one["ml.artifact.uri"].endswith(file.name)


def test_what_has_no_file_of_its_own_is_left_out(capture, tmp_path):
    """Buffers, compressed streams, pipes, nameless files and files that are gone leave no trace."""
    gone = tmp_path / "gone.pkl"

    def work():
        pickle.dump(VALUE, io.BytesIO())
        for compressed in (gzip.open, bz2.open):
            with compressed(tmp_path / "model.pkl.z", "wb") as file:
                pickle.dump(VALUE, file)
        with tempfile.TemporaryFile() as file:
            pickle.dump(VALUE, file)
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as file:
            pickle.dump(VALUE, file)
        with os.fdopen(reading, "rb") as file:
            assert pickle.load(file) == VALUE
        with gone.open("wb") as file:
            gone.unlink()
            pickle.dump(VALUE, file)
        with Path(os.devnull).open("wb") as file:
            pickle.dump(VALUE, file)

    assert record(capture, work).names == []


def test_a_name_that_has_become_another_file_is_not_taken(capture, tmp_path):
    """When the name leads to another file by now, that one was not written."""
    path = tmp_path / "model.pkl"

    def work():
        with path.open("wb") as file:
            path.rename(tmp_path / "moved.pkl")
            path.write_bytes(b"another")
            pickle.dump(VALUE, file)

    assert record(capture, work).names == []
    assert path.read_bytes() == b"another"


def test_the_functions_do_not_bind():
    """A class that keeps the function calls it without itself, as with the original, which is written in C."""

    class Store:
        dump = pickle.dump

    buffer = io.BytesIO()
    Store().dump(VALUE, buffer)

    assert pickle.loads(buffer.getvalue()) == VALUE


def test_the_functions_can_be_pickled_and_copied():
    """They are found by name, and are equal to the originals."""
    assert pickle.loads(pickle.dumps(pickle.dump)) is pickle.dump
    assert pickle.loads(pickle.dumps(pickle.load)) is pickle.load
    assert (pickle.dump, pickle.load) == ORIGINAL
    assert {ORIGINAL[0]: 1}[pickle.dump] == 1
