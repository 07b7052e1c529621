"""Every kind of value is asked the same questions."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import xxhash
from identity_cases import CASES, all_ids

from mlotel import artifacts

SHARED = ("pandas", "polars", "arrow")  # the same tables, so the same ids


@pytest.fixture(autouse=True)
def files_of_the_test(tmp_path, monkeypatch):
    """Files that cases make are the test's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("name", CASES)
def test_equal_copies_are_one_artifact(name):
    """Two equal values made apart have the same identity, of scope full."""
    one, two = artifacts.identify(CASES[name].make()), artifacts.identify(CASES[name].make())

    assert one == two
    assert one.scope == "full"
    assert one.id.startswith("xxh3:")
    assert len(one.id) == len("xxh3:") + 32


@pytest.mark.parametrize("name", CASES)
def test_whatever_differs_is_another_artifact(name):
    """One other cell at the start, in the middle or at the end, another name, order, type or length: another id."""
    case = CASES[name]
    ids = {"itself": case.make, "empty": case.empty, **case.others}
    by_id = defaultdict(list)
    for what, make in ids.items():
        by_id[artifacts.identify(make()).id].append(what)

    assert [same for same in by_id.values() if len(same) > 1] == []


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_audit_algorithms_tell_the_same_values_apart(name, algorithm):
    """sha256 and blake3 give 256 bits, equal for equal values and different for one changed cell."""
    if algorithm == "blake3":
        pytest.importorskip("blake3")
    case = CASES[name]
    changed = next(make for what, make in case.others.items() if "middle" in what)
    one, two, other = (artifacts.identify(make(), algorithm=algorithm).id for make in (case.make, case.make, changed))

    assert one == two != other
    scheme, digits = one.split(":")
    assert (scheme, len(digits)) == (algorithm, 64)


def through(write, read):
    """What comes back from a file."""

    def there_and_back(value, path):
        write(value, path)
        return read(path)

    return there_and_back


def archived(path):
    with np.load(path) as archive:
        return archive["arr_0"]


PICKLE = through(lambda value, path: path.write_bytes(pickle.dumps(value)), lambda p: pickle.loads(p.read_bytes()))
JOBLIB = through(joblib.dump, joblib.load)
NUMPY = through(
    lambda value, path: np.save(path.with_suffix(".npy"), value),
    lambda path: np.load(path.with_suffix(".npy"), allow_pickle=True),
)
FORMATS = {
    "pandas": {
        "parquet": through(lambda frame, path: frame.to_parquet(path), pd.read_parquet),
        "feather": through(lambda frame, path: frame.to_feather(path), pd.read_feather),
        "pickle": PICKLE,
    },
    "polars": {
        "parquet": through(lambda frame, path: frame.write_parquet(path), pl.read_parquet),
        "ipc": through(lambda frame, path: frame.write_ipc(path), pl.read_ipc),
    },
    "arrow": {
        "parquet": through(pq.write_table, pq.read_table),
        "feather": through(feather.write_feather, feather.read_table),
    },
    "series": {"pickle": PICKLE},
    "array": {
        "npy": NUMPY,
        "npz": through(
            lambda value, path: np.savez(path.with_suffix(".npz"), value), lambda p: archived(p.with_suffix(".npz"))
        ),
        "joblib": JOBLIB,
    },
    "structured array": {"npy": NUMPY, "pickle": PICKLE},
    "object array": {"npy": NUMPY, "pickle": PICKLE},
    "string array": {"npy": NUMPY},
    "bytes": {"file": through(lambda value, path: path.write_bytes(value), Path.read_bytes)},
    "file": {"copy": through(shutil.copy, lambda path: path)},
    "value": {"pickle": PICKLE, "joblib": JOBLIB},
    "sparse array": {
        "npz": through(
            lambda value, path: scipy.sparse.save_npz(path.with_suffix(".npz"), value),
            lambda path: scipy.sparse.load_npz(path.with_suffix(".npz")),
        ),
        "pickle": PICKLE,
    },
    "model": {"pickle": PICKLE, "joblib": JOBLIB},
    "folder": {"copy": through(shutil.copytree, lambda path: path)},
}


@pytest.mark.parametrize(("name", "form"), [(name, form) for name in CASES for form in FORMATS[name]])
def test_what_comes_back_from_a_file_is_the_same_artifact(name, form, tmp_path):
    """Every kind survives the formats that its values are kept in."""
    value = CASES[name].make()
    back = FORMATS[name][form](value, tmp_path / "there")

    assert artifacts.identify(back).id == artifacts.identify(value).id


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    """All ids as this process computes them."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("cases"))
    yield all_ids()
    tempfile.tempdir = before


def test_another_process_with_another_hash_seed_agrees(ids, tmp_path):
    """Ids do not depend on the process, nor on PYTHONHASHSEED, which orders sets and dicts of strings."""
    program = Path(__file__).with_name("identity_cases.py")
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, check=True)

    assert json.loads(done.stdout) == ids


def test_no_two_values_of_all_kinds_share_an_id(ids):
    """Across kinds ids differ too, but for the same tables in pandas, polars and pyarrow."""
    by_id = defaultdict(list)
    for what, found in ids.items():
        if what != "bytes: file":  # the same file as "file: itself"
            by_id[found].append(what)

    for same in by_id.values():
        kinds = {what.partition(": ")[0] for what in same}
        questions = {what.partition(": ")[2] for what in same}
        assert len(same) == 1 or (kinds <= set(SHARED) and len(questions) == 1), same


def test_the_three_table_libraries_agree(ids):
    """A table has one id, whichever of pandas, polars and pyarrow holds it."""
    for what, found in ids.items():
        kind, _, question = what.partition(": ")
        # without rows pandas has no objects to tell a type from
        if kind == "pandas" and question != "no rows":
            assert found == ids[f"polars: {question}"] == ids[f"arrow: {question}"], question


def test_ids_are_those_of_the_written_format(tmp_path):
    """The bytes that are hashed, put together by hand: ids must stay what they are from one release to the next."""
    head = b"mlotel.artifact/1\0"

    def number(value):
        return value.to_bytes(8, "little", signed=True)

    def text(value):
        return number(len(value)) + value

    def digest(data):
        return xxhash.xxh3_128(head + data).digest()

    path = tmp_path / "file"
    path.write_bytes(b"content")
    column = digest(number(3) + digest(struct.pack("<3q", 7, 0, 9)) + b"\0" + b"\1" + digest(b"\0\1\0"))
    words = digest(number(2) + digest(struct.pack("<2I", 1, 2)) + b"\1" + digest("aé".encode()) + b"\0")
    written = [
        (
            [1, "a", None, True, 0.5],
            b"value",
            b"l" + number(5) + b"i" + text(b"\1") + b"s" + text(b"a") + b"NTf" + struct.pack("<d", 0.5),
        ),
        (
            {"b": 1, "a": b"x"},
            b"value",
            b"D" + number(2) + b"s" + text(b"a") + b"b" + text(b"x") + b"s" + text(b"b") + b"i" + text(b"\1"),
        ),
        (b"content", b"bytes", text(b"") + number(1) + number(7) + b"content"),
        (path, b"file", number(7) + digest(b"content")),
        (
            np.array([[1, 2]], dtype=">i4"),
            b"array",
            number(2) + number(1) + number(2) + text(b"int32") + struct.pack("<2i", 1, 2),
        ),
        (
            pa.table({"n": [7, None, 9]}),
            b"table",
            number(3) + number(1) + text(b"s" + text(b"n")) + text(b"int64") + column + number(0) + number(0),
        ),
        (
            pd.Series(["a", "é"], name="w"),
            b"series",
            number(2) + number(1) + text(b"s" + text(b"w")) + text(b"string") + words + number(0) + number(0),
        ),
    ]
    for value, kind, data in written:
        assert artifacts.identify(value).id == f"xxh3:{digest(text(kind) + data).hex()}", value


def test_schema_hash_tells_columns_and_types_not_content():
    """The schema hash is the same for other rows and differs for another name, order or type."""
    for name in SHARED:
        case = CASES[name]
        schema = artifacts.identify(case.make()).schema_hash
        assert schema is not None
        assert len(schema) == 32
        for what, make in case.others.items():
            same = what not in ("renamed", "columns reordered", "retyped", "a column less", "no rows")
            if what != "no rows":
                assert (artifacts.identify(make()).schema_hash == schema) is same, what


def test_counts_and_size():
    """Rows, columns and bytes are those of the value."""
    for name in SHARED:
        identity = artifacts.identify(CASES[name].make())
        assert (identity.row_count, identity.column_count) == (1000, 11)
        assert identity.size is not None
        assert identity.size > 1000 * 8 * 4
    array = artifacts.identify(CASES["array"].make())
    assert (array.row_count, array.column_count, array.size) == (5000, None, 40_000)
    grid = artifacts.identify(CASES["array"].others["reshaped"]())
    assert (grid.row_count, grid.column_count) == (50, 100)
    content = artifacts.identify(CASES["bytes"].make())
    assert (content.row_count, content.column_count, content.size) == (None, None, 2_048_000)
    file = artifacts.identify(CASES["file"].make())
    assert (file.row_count, file.column_count, file.size, file.schema_hash) == (None, None, 2_048_000, None)
    value = artifacts.identify(CASES["value"].make())
    assert (value.row_count, value.column_count) == (None, None)
