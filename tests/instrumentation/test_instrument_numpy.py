"""numpy: every function that reads or writes a file."""

import gzip
import io

import numpy as np
import pytest
from captured_files import assert_file, record

import mlotel

ARRAY = np.array([[1.5, 2.0], [3.0, -4.25]])


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("numpy")


def test_an_array_is_written_and_read(capture, tmp_path):
    """`save` and `load` record the file once each, with the id of the array."""
    path = tmp_path / "array.npy"

    assert_file(record(capture, lambda: np.save(path, ARRAY)), "output", path, ARRAY)
    assert_file(record(capture, lambda: np.load(path)), "input", path, ARRAY)


def test_the_suffix_that_numpy_adds_is_part_of_the_name(capture, tmp_path):
    """A path without its suffix is recorded as the file that numpy writes."""
    assert_file(record(capture, lambda: np.save(tmp_path / "a", ARRAY)), "output", tmp_path / "a.npy", ARRAY)
    recorded = record(capture, lambda: np.savez(str(tmp_path / "b"), ARRAY))
    assert_file(recorded, "output", tmp_path / "b.npz", {"arr_0": ARRAY})
    with (tmp_path / "plain").open("wb") as file:
        assert_file(record(capture, lambda: np.save(file, ARRAY)), "output", tmp_path / "plain", ARRAY)


def test_what_is_no_array_yet_is_recorded_as_what_is_written(capture, tmp_path):
    """A list is written as an array, so it has the id of the array that `load` gives."""
    path = tmp_path / "list.npy"

    assert_file(record(capture, lambda: np.save(path, [1, 2, 3])), "output", path, np.array([1, 2, 3]))
    assert_file(record(capture, lambda: np.save(path, arr=[1, 2])), "output", path, np.array([1, 2]))


@pytest.mark.parametrize("name", ["savez", "savez_compressed"])
def test_an_archive_carries_the_id_of_its_arrays(name, capture, tmp_path):
    """An archive is one write with the id of its arrays by name; reading it, which is lazy, is the file only."""
    path = tmp_path / "arrays.npz"

    written = record(capture, lambda: getattr(np, name)(path, ARRAY, delays=ARRAY[0]))
    read = record(capture, lambda: np.load(path))

    assert_file(written, "output", path, {"arr_0": ARRAY, "delays": ARRAY[0]})
    assert_file(read, "input", path)
    with read.result as archive:
        assert np.array_equal(archive["delays"], ARRAY[0])


def test_a_memory_map_is_the_file_only(capture, tmp_path):
    """Mapping a file does not make us read the array."""
    path = tmp_path / "array.npy"
    np.save(path, ARRAY)

    recorded = record(capture, lambda: np.load(path, mmap_mode="r"))

    assert isinstance(recorded.result, np.memmap)
    assert_file(recorded, "input", path)


def test_text_is_written_and_read(capture, tmp_path):
    """`savetxt`, `loadtxt`, `genfromtxt` and `fromregex` record the file once each."""
    path = tmp_path / "array.csv"

    assert_file(record(capture, lambda: np.savetxt(path, ARRAY)), "output", path, ARRAY)
    assert_file(record(capture, lambda: np.loadtxt(path)), "input", path, ARRAY)
    assert_file(record(capture, lambda: np.genfromtxt(path)), "input", path, ARRAY)
    recorded = record(capture, lambda: np.fromregex(path, r"(\S+) (\S+)", [("a", float), ("b", float)]))
    assert_file(recorded, "input", path, recorded.result)


def test_plain_numbers_are_read(capture, tmp_path):
    """`fromfile`, which is written in C, records the file; `ndarray.tofile` cannot be replaced and leaves no trace."""
    path = tmp_path / "array.bin"

    assert record(capture, lambda: ARRAY.tofile(path)).names == []
    recorded = record(capture, lambda: np.fromfile(path))
    assert_file(recorded, "input", path, ARRAY.ravel())
    recorded = record(capture, lambda: np.fromfile(dtype=float, file=path))
    assert_file(recorded, "input", path, ARRAY.ravel())


def test_lines_that_are_content_are_never_taken_for_paths(capture):
    """`loadtxt` takes a list of lines for content."""
    recorded = record(capture, lambda: np.loadtxt(["1 2", "3 4"]))

    assert recorded.result.shape == (2, 2)
    assert recorded.names == []


def test_compressed_text(capture, tmp_path):
    """A path that numpy decompresses is the file on disk; a stream that the user decompresses is no file."""
    path = tmp_path / "array.csv.gz"

    assert_file(record(capture, lambda: np.savetxt(path, ARRAY)), "output", path, ARRAY)
    with gzip.open(path, "rt") as file:
        recorded = record(capture, lambda: np.loadtxt(file))
    assert recorded.result.shape == (2, 2)
    assert recorded.names == []


def test_buffers_are_left_out(capture):
    """What has no path leaves no trace."""

    def work():
        buffer = io.BytesIO()
        np.save(buffer, ARRAY)
        buffer.seek(0)
        return np.load(buffer)

    recorded = record(capture, work)

    assert np.array_equal(recorded.result, ARRAY)
    assert recorded.names == []


def test_other_arrays_still_answer_for_themselves():
    """A type with `__array_function__` is handed the function that it has registered, replaced or not."""

    class Duck:
        def __array_function__(self, function, types, args, kwargs):
            return handled[function]

    handled = {np.save: "saved"}  # registered while numpy is instrumented

    assert np.save("nowhere.npy", Duck()) == "saved"
    mlotel.uninstrument()
    assert np.save("nowhere.npy", Duck()) == "saved"
