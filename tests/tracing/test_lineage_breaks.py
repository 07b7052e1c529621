"""Edges that must not be, edges that must, and files that must not be touched: what a hostile stranger tried."""

import datetime
import logging
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlotel
from mlotel import artifacts
from mlotel.artifacts import carriers
from mlotel.artifacts.carriers.index import Index
from mlotel.tracing import lineage

TABLE = pd.DataFrame({"a": [1, 2, 3], "s": ["x", "y", "z"]})
CONTENT = "ml.artifact.content.id"


@pytest.fixture
def io():
    mlotel.instrument("io")
    yield
    mlotel.uninstrument("io")


@pytest.fixture
def index(capture, monkeypatch, tmp_path):
    """An index as another process finds it: what this process wrote is on the disk, and its memory is gone."""
    monkeypatch.setattr(lineage, "open_index", lambda: Index.open(tmp_path / "state" / "lineage.db"))
    monkeypatch.setattr(lineage, "_calm_until", 0.0)
    lineage.forget_index()
    capture.clock.now_ns = time.time_ns()  # the index forgets what is old

    def forget():
        lineage.flush()
        monkeypatch.setattr(lineage, "memory", lineage.Memory())

    yield forget
    lineage.forget_index()


def make(value, name=None, component="make"):
    with mlotel.component(component) as c:
        c.write(value, name=name)


def links_of_reading(capture, value, name=None):
    with mlotel.component("use") as c:
        c.read(value, name=name)
    return [link for span in capture.spans() if span.name.startswith("read ") for link in span.links]


@pytest.mark.parametrize("value", [0, True, None, 0.5, b""])
def test_numbers_are_not_joined_by_chance(capture, index, value):
    """A zero that one component wrote is not where the zero of another comes from, in this process or the next."""
    make(value, "n")
    assert links_of_reading(capture, value, "other") == []

    index()
    assert links_of_reading(capture, value, "n") == []


def test_a_number_under_its_name_is_joined(capture):
    """In one process, the value that was written under a name is the one that is read under it."""
    make(0.5, "threshold")

    [link] = links_of_reading(capture, 0.5, "threshold")
    assert link.attributes["ml.link.evidence"] == "process"


def test_empty_files_are_not_joined_by_chance(capture, index, tmp_path):
    """Marker files are all alike."""
    for name in ("_SUCCESS", "other"):
        (tmp_path / name).touch()
    make(tmp_path / "_SUCCESS")

    assert links_of_reading(capture, tmp_path / "other") == []


def test_code_of_the_program_itself_has_no_content_id():
    """``__main__.f`` is another function in another program, so a model that holds it is not the same there."""
    code = "import sklearn.preprocessing as p\ndef f(x): return x\nmodel = p.FunctionTransformer(f)\n"
    import __main__

    before = vars(__main__).copy()
    try:
        exec(code, vars(__main__))
        assert artifacts.identify(vars(__main__)["model"]).scope == "none"
    finally:
        vars(__main__).clear()
        vars(__main__).update(before)


def test_using_a_vectorizer_does_not_change_it():
    """scikit-learn notes an address in it, which is another one after a round trip."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(stop_words=["aa"]).fit(["aa bb", "bb cc"])
    loaded = pickle.loads(pickle.dumps(made))
    loaded.transform(["bb"])

    assert artifacts.identify(loaded) == artifacts.identify(made)


def written(capture, work):
    with mlotel.component("make"):
        work()
    spans = sorted(capture.spans(), key=lambda span: span.start_time)
    return [dict(span.attributes) for span in spans if span.name.startswith("write ")]


def test_what_was_written_in_part_is_not_said_to_be_in_the_file(capture, io, tmp_path):
    """Some columns, what was appended, and the second of two tables in one open file are not the file's content."""

    def work():
        TABLE.to_csv(tmp_path / "columns.csv", columns=["a"])
        TABLE.to_csv(tmp_path / "added.csv", mode="a")
        TABLE.to_parquet(tmp_path / "folder", partition_cols=["s"])
        with (tmp_path / "two.pkl").open("wb") as file:
            pickle.dump(TABLE, file)
            pickle.dump(TABLE.head(1), file)

    found = [CONTENT in span for span in written(capture, work)]
    assert found == [False, False, False, True, False]


def test_a_frame_without_its_index_is_what_the_file_holds(capture, io, tmp_path):
    """Filtered rows, written with ``index=False``, are believed when they come back; nothing looks tampered with."""
    rows = TABLE[TABLE["a"] > 1]
    [span] = written(capture, lambda: rows.to_parquet(tmp_path / "t.parquet", index=False))

    assert span[CONTENT] == artifacts.identify(pd.read_parquet(tmp_path / "t.parquet")).id
    assert list(rows.index) == [1, 2]


def test_another_reading_of_the_columns_is_said(capture, io, tmp_path):
    """polars has a column where pandas has an index: for other content than was written, the reason says that."""
    import polars as pl

    written(capture, lambda: TABLE[TABLE["a"] > 1].to_parquet(tmp_path / "t.parquet"))
    stamp, _ = carriers.stamp_of(tmp_path / "t.parquet")
    content = artifacts.identify(pl.read_parquet(tmp_path / "t.parquet"))
    verdict = carriers.verify(stamp, content=content)

    assert verdict.status == "stale"
    assert verdict.reason.endswith("or another library reads them otherwise.")
    assert carriers.verify(stamp, content=content, path=tmp_path / "t.parquet").status == "matches"


def test_large_files_are_not_copied_for_a_stamp(capture, io, tmp_path, monkeypatch, caplog):
    """Beyond the limit a file stays as it was written; that is said once, for those who debug."""
    monkeypatch.setattr(lineage, "MAX_STAMPED", 100)
    path = tmp_path / "t.parquet"
    with caplog.at_level(logging.DEBUG, "mlotel"):
        written(capture, lambda: [TABLE.to_parquet(path) for _ in range(2)])

    assert carriers.stamp_of(path) is None
    assert len([record for record in caplog.records if "get no stamp" in record.message]) == 1


def test_with_stamps_off_attrs_stay_out_of_files(capture, io, tmp_path, monkeypatch):
    """pandas writes ``attrs`` into Parquet, so nothing may be left there when files shall hold nothing of mlotel."""
    monkeypatch.setenv("MLOTEL_EMBED", "off")
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    with mlotel.component("convert"):
        pd.read_csv(tmp_path / "t.csv").to_parquet(tmp_path / "t.parquet")

    assert b"mlotel" not in (tmp_path / "t.parquet").read_bytes()


@pytest.mark.parametrize("where", ["memory", "index"])
def test_files_of_other_projects_make_nothing_stale(capture, index, tmp_path, where):
    """Only what lies in the same place follows a file that bears no other name than its own."""
    for number, folder in enumerate(("mine", "theirs")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.csv").write_text(f"a\n{number}\n")
        make(tmp_path / folder / "train.csv")
    if where == "index":
        index()
    links_of_reading(capture, tmp_path / "mine" / "train.csv")

    assert "ml.component.staleness" not in capture.span("component use").attributes


def test_a_file_that_was_replaced_is_stale(capture, index, tmp_path):
    """A copy of yesterday's file is stale once today's lies where it lay, whatever others wrote under its name."""
    path, copy = tmp_path / "train.csv", tmp_path / "copy.csv"
    path.write_text("a\n1\n")
    copy.write_text("a\n1\n")
    make(path)
    path.write_text("a\n2\n")
    make(path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "train.csv").write_text("a\n3\n")
    make(tmp_path / "theirs" / "train.csv")
    index()
    links_of_reading(capture, copy)

    [reason] = capture.span("component use").attributes["ml.component.staleness"]
    assert reason.startswith("a newer train.csv was written ")


def test_tables_of_one_run_do_not_make_each_other_stale(capture):
    """A component that runs for each of three tables replaces none of them."""

    @mlotel.component
    def clean(number):
        return TABLE.assign(a=number)

    with mlotel.pipeline("p"):
        tables = [clean(number) for number in range(3)]
        with mlotel.component("use") as c:
            for table in tables:
                c.read(table)

    assert "ml.component.staleness" not in capture.span("component use").attributes


def test_values_without_a_name_replace_nothing(capture):
    """Two frames that are called after their type are no versions of one another."""
    make(TABLE)
    make(TABLE.head(1))
    links_of_reading(capture, TABLE)

    assert "ml.component.staleness" not in capture.span("component use").attributes


def test_what_a_component_wrote_is_known_to_others_when_it_ends(capture, index, tmp_path):
    """No run has to end, and no further write to come, before another process finds it."""
    make([1, 2], "x")

    other = Index.open(tmp_path / "state" / "lineage.db")
    assert other.find(artifacts.identify([1, 2]).id).component == "make"
    other.close()


def _write_in_child(path):
    from mlotel.artifacts.evidence import Producer

    made = Producer(
        "ab" * 16, "cd" * 8, 1, component="child", run_id=None, written_ns=time.time_ns(),
        artifact_id=f"xxh3:{'5' * 32}", name="x", uri=None, evidence="process",
    )  # fmt: skip
    Index.open(path).add(made)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of threads of other tests
def test_a_forked_worker_leaves_its_entries(tmp_path):
    """multiprocessing ends its children without atexit; what they wrote is in the index nevertheless."""
    path = tmp_path / "lineage.db"
    worker = multiprocessing.get_context("fork").Process(target=_write_in_child, args=(path,))
    worker.start()
    worker.join(30)

    assert worker.exitcode == 0
    assert Index.open(path).find(f"xxh3:{'5' * 32}").component == "child"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="nobody tells which files are mapped")
def test_a_file_that_is_written_through_memory_is_hashed_anew(tmp_path):
    """Writing to a mapped page moves no time of modification after the first write."""
    path = tmp_path / "array.bin"
    np.zeros(1000).tofile(path)
    mapped = np.memmap(path, dtype="f8", mode="r+")
    mapped[0] = 1
    long_ago = time.time() - 60
    os.utime(path, (long_ago, long_ago))
    before = artifacts.identify(path)
    mapped[0] = 2

    assert artifacts.identify(path) != before


class Zone(datetime.tzinfo):
    """Runs code of a user when a time in a table is looked at."""

    def __init__(self, act):
        self.act = act

    def utcoffset(self, when):
        self.act()


def failing():
    raise RuntimeError("not now")


@pytest.mark.lenient
@pytest.mark.parametrize("kind", ["raises", "changes"])
def test_what_fails_while_it_is_hashed_makes_no_edge(capture, caplog, kind):
    """Scope none, one debug line, and no edge to the same object when it is read: it may be another by then."""
    inner = []
    inner.append(datetime.datetime(2024, 1, 1, tzinfo=Zone(failing if kind == "raises" else lambda: inner.append(1))))
    value = np.empty(1, dtype=object)
    value[0] = inner
    with caplog.at_level(logging.DEBUG, "mlotel"):
        make(value, "value")
        links = links_of_reading(capture, value, "value")

    assert links == []
    assert capture.span("write value").attributes["ml.artifact.digest.scope"] == "none"
    assert len([line for line in caplog.records if "identify a value" in line.getMessage()]) == 1


def test_an_unknown_object_is_itself(capture):
    """What has no content that could be hashed is known again as long as it is the same object."""

    class Own:
        pass

    value = Own()
    make(value, "value")

    [link] = links_of_reading(capture, value, "value")
    assert link.attributes["ml.link.evidence"] == "process"
