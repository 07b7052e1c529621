"""joblib: dump and load."""

import pickle

import joblib
import numpy as np
import pytest
from captured_files import assert_file, record

import mlotel

VALUE = {"weights": np.arange(6.0), "depth": 3}


def doubled(values):
    """What a cache holds."""
    return values * 2


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("joblib")


def test_a_value_is_written_and_read(capture, tmp_path):
    """`dump` and `load` record the file once each, with the id of the value."""
    path = tmp_path / "model.joblib"

    assert_file(record(capture, lambda: joblib.dump(VALUE, path)), "output", path, VALUE, type="model")
    assert_file(record(capture, lambda: joblib.load(path)), "input", path, VALUE, type="model")


def test_a_table_is_a_dataset_whatever_its_file_is_called(capture, tmp_path):
    """The type is that of the value where it is known; the suffix says more only of other things."""
    path = tmp_path / "array.joblib"

    assert_file(record(capture, lambda: joblib.dump(VALUE["weights"], path)), "output", path, VALUE["weights"])


def test_compressed_and_open_files(capture, tmp_path):
    """A path whose file joblib compresses, and a file that the user opened, are files."""
    path = tmp_path / "model.joblib.gz"

    assert_file(record(capture, lambda: joblib.dump(VALUE, path, compress=3)), "output", path, VALUE, type="model")
    path = tmp_path / "open.joblib"
    with path.open("wb") as file:
        assert_file(record(capture, lambda: joblib.dump(VALUE, filename=file)), "output", path, VALUE, type="model")
    with path.open("rb") as file:
        assert_file(record(capture, lambda: joblib.load(file)), "input", path, VALUE, type="model")


def test_caches_and_parallel_work_leave_no_trace(capture, tmp_path):
    """Files that joblib writes for itself are not recorded."""
    cached = joblib.Memory(tmp_path, verbose=0).cache(doubled)

    def work():
        first, second = cached(np.arange(4)), cached(np.arange(4))
        assert list(first) == list(second)
        return joblib.Parallel(n_jobs=2, max_nbytes=100)(joblib.delayed(doubled)(np.arange(1000)) for _ in range(2))

    recorded = record(capture, work)

    assert recorded.result[0][999] == 1998
    assert recorded.names == []


def test_functions_can_be_pickled():
    """The functions are found by name where they were taken from."""
    assert pickle.loads(pickle.dumps(joblib.load)) is joblib.load
    assert pickle.loads(pickle.dumps(joblib.dump)) is joblib.dump
