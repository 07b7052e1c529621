"""The time budget, and what a sampled identity means."""

import time

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlotel import artifacts
from mlotel.artifacts import _dispatch
from mlotel.errors import InvalidArgumentError, InvalidTypeError

N = 100_000


def frame():
    return pd.DataFrame({"a": np.arange(float(N)), "w": [f"w{i % 99}" for i in range(N)]})


VALUES = {
    "array": lambda: np.arange(float(N)),
    "grid": lambda: np.arange(float(N)).reshape(1000, -1).T,
    "structured": lambda: np.zeros(N, dtype="i4,f8"),
    "objects": lambda: np.array([1, "a"] * (N // 2), dtype=object),
    "strings": lambda: np.array(["abc"] * N),
    "pandas": frame,
    "series": lambda: frame()["w"],
    "indexed": lambda: frame().set_index("w"),
    "category": lambda: frame()["w"].astype("category"),
    "polars": lambda: pl.DataFrame({"a": np.arange(float(N)), "w": ["é"] * N}),
    "polars series": lambda: pl.Series(np.arange(float(N))),
    "arrow": lambda: pl.DataFrame({"a": np.arange(float(N)), "w": ["é"] * N}).to_arrow(),
    "bytes": lambda: bytes(5_000_000),
    "strided bytes": lambda: memoryview(bytes(5_000_000))[::2],
    "list": lambda: list(range(N)),
    "dict": lambda: {str(i): i for i in range(N)},
    "dict of numbers": lambda: {i: i for i in range(N)},
    "set": lambda: set(range(N)),
    "nested": lambda: {"X": np.arange(float(N)), "lists": [[i] * 50 for i in range(1000)]},
}


@pytest.mark.parametrize("name", VALUES)
def test_over_the_budget_a_sample_is_hashed(name):
    """With no time at all the id says that it is partial, equal values have equal ones, and the full counts stay."""
    one, two = VALUES[name](), VALUES[name]()
    full = artifacts.identify(one, budget_s=None)

    sampled = artifacts.identify(one, budget_s=0)

    assert sampled == artifacts.identify(two, budget_s=0)
    assert (full.scope, sampled.scope) == ("full", "sampled")
    assert sampled.id.startswith("partial:")
    assert len(sampled.id) == len("partial:") + 32
    assert (sampled.row_count, sampled.column_count) == (full.row_count, full.column_count)
    assert sampled.schema_hash == full.schema_hash


@pytest.mark.parametrize("name", ["array", "pandas", "polars", "arrow", "list", "bytes"])
def test_a_sample_tells_another_size(name):
    """Sampled identities of values of other lengths or types differ."""
    value = VALUES[name]()
    shorter = value[:-1] if name != "arrow" else value.slice(0, N - 1)

    assert artifacts.identify(value, budget_s=0).id != artifacts.identify(shorter, budget_s=0).id


def test_a_sampled_file(tmp_path):
    """Over the budget a file is sampled, with its size."""
    path = tmp_path / "data"
    path.write_bytes(bytes(20_000_000))
    sampled = artifacts.identify(path, budget_s=0)
    assert (sampled.scope, sampled.size) == ("sampled", 20_000_000)
    other = tmp_path / "other"
    other.write_bytes(bytes(20_000_001))
    assert artifacts.identify(other, budget_s=0).id != sampled.id


def test_a_file_of_holes_keeps_to_the_budget(tmp_path):
    """A file that says it is 1 TiB long, with nothing in it, is given up in time and sampled."""
    path = tmp_path / "holes"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    before = time.thread_time()
    sampled = artifacts.identify(path, budget_s=0.3)

    assert (sampled.scope, sampled.size) == ("sampled", 1 << 40)
    assert time.thread_time() - before < 2


def test_a_sample_is_cheap():
    """Sampling takes a small part of the time that the whole takes."""
    values = [f"text {i}" for i in range(4 * N)]
    table = pd.DataFrame({"w": pd.Series(values, dtype=object)})
    for value in (table, values, np.array(values, dtype=object)):
        before = time.thread_time()
        artifacts.identify(value, budget_s=None)
        whole = time.thread_time() - before
        before = time.thread_time()
        assert artifacts.identify(value, budget_s=0).scope == "sampled"
        assert time.thread_time() - before < whole / 2


def test_a_graph_of_shared_parts_ends_in_time():
    """A value whose parts are used over and over is huge when written out; the budget and the sample bound the work."""
    part = [1]
    for _ in range(60):
        part = [part, part]
    before = time.monotonic()
    identity = artifacts.identify(part, budget_s=0.1)
    assert time.monotonic() - before < 5
    assert identity.scope == "sampled"


def test_small_values_are_always_whole():
    """What is hashed at once needs no budget."""
    for value in (1, "text", [1, 2], np.arange(10), pd.DataFrame({"a": []})):
        assert artifacts.identify(value, budget_s=None).scope == "full"
    assert artifacts.identify(5, budget_s=0).scope == "full"


def test_sampled_audits_are_partial_too():
    """The scheme of a sampled id never looks like one of full content."""
    identity = artifacts.identify(np.arange(float(N)), budget_s=0, algorithm="sha256")
    assert identity.id.startswith("partial:")
    assert len(identity.id) == len("partial:") + 32


@pytest.mark.parametrize("budget", [-1, float("nan"), -0.1])
def test_impossible_budgets_raise(budget):
    """A negative budget or one that is no number is a mistake of the caller."""
    with pytest.raises(InvalidArgumentError, match="budget_s"):
        artifacts.identify(1, budget_s=budget)


@pytest.mark.parametrize("budget", ["2", True, [1]])
def test_budgets_of_wrong_types_raise(budget):
    """So is one of another type."""
    with pytest.raises(InvalidTypeError, match="budget_s"):
        artifacts.identify(1, budget_s=budget)


def test_unknown_algorithms_raise():
    """Another algorithm is refused with those that there are."""
    with pytest.raises(InvalidArgumentError, match=r"'md5'.*xxh3, blake3, sha256"):
        artifacts.identify(1, algorithm="md5")
    with pytest.raises(InvalidTypeError, match="NoneType"):
        artifacts.identify(1, algorithm=None)


def test_blake3_without_its_package_names_the_install(monkeypatch):
    """Where blake3 is not installed the error says how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "blake3", None)
    with pytest.raises(InvalidArgumentError, match="pip install blake3"):
        artifacts.identify(1, algorithm="blake3")


def test_the_time_starts_when_the_kind_has_been_loaded(monkeypatch):
    """On a busy machine the import of a library may take longer than the budget, and says nothing of the content."""
    load = _dispatch._load

    def load_slowly(name):
        time.sleep(0.3)
        return load(name)

    monkeypatch.setattr(_dispatch, "_load", load_slowly)

    assert artifacts.identify(np.arange(10.0), budget_s=0.2).scope == "full"
