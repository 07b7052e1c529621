"""A file that a library was seen at, and that a person speaks of too, is one span."""

import os
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

import mlotel
from mlotel import artifacts
from mlotel.tracing import held

TABLE = pd.DataFrame({"a": [1, 2, 3]})
CONTENT = "ml.artifact.content.id"


@pytest.fixture(autouse=True)
def io():
    mlotel.instrument("io")


@pytest.fixture
def path(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def files(capture):
    return [span for span in capture.spans() if span.name.startswith(("read ", "write "))]


def assert_both(span, name, role):
    """The span has a person's name, type and address, and the library's content."""
    assert span.name == {"input": f"read {name}", "output": f"write {name}"}[role]
    found = span.attributes
    assert found["ml.artifact.name"] == name
    assert found["ml.artifact.role"] == role
    assert found["ml.artifact.type"] == "features"
    assert found["ml.artifact.uri"] == "s3://bucket/t"
    assert found[CONTENT] == artifacts.identify(TABLE).id
    assert (found["ml.artifact.row.count"], found["ml.artifact.column.count"]) == (3, 1)
    assert found["ml.component.name"] == "step"


SAID = {"name": "flights", "uri": "s3://bucket/t", "type": "features"}


def test_written_and_then_spoken_of(capture, path):
    """``to_csv``, then ``c.write`` of its path: one write span."""
    with mlotel.component("step") as c:
        TABLE.to_csv(path, index=False)
        c.write(path, **SAID)

    [span] = files(capture)
    assert_both(span, "flights", "output")
    assert len(capture.span("component step").attributes["ml.component.output.ids"]) == 1


def test_read_and_then_spoken_of(capture, path):
    """``read_csv``, then ``c.read`` of the same path spelled otherwise: one read span."""
    os.chdir(path.parent)
    with mlotel.component("step") as c:
        pd.read_csv(path)
        c.read("t.csv", **SAID)

    [span] = files(capture)
    assert_both(span, "flights", "input")
    assert len(capture.span("component step").attributes["ml.component.input.ids"]) == 1


def test_spoken_of_and_then_read(capture, path):
    """``read_csv(c.read(path))``: one read span, with its own times."""
    with mlotel.component("step") as c:
        pd.read_csv(c.read(path, **SAID))
        c.param(after=1)

    [span] = files(capture)
    assert_both(span, "flights", "input")
    step = capture.span("component step")
    assert step.start_time < span.start_time <= span.end_time < step.end_time


def test_a_function_with_a_path(capture, path, tmp_path):
    """The parameter names the file, and the library says what is in it; likewise for what comes back."""

    @mlotel.component
    def clean(flights: Path):
        pd.read_csv(flights).to_csv(tmp_path / "u.csv", index=False)
        return tmp_path / "u.csv"

    clean(path)

    assert sorted(span.name for span in files(capture)) == ["read flights", "write clean"]
    assert {span.attributes[CONTENT] for span in files(capture)} == {artifacts.identify(TABLE).id}


def test_the_link_comes_from_whichever_knows(capture, path, tmp_path):
    """Nobody knows these bytes, but the table in them was written: the read that was spoken of gets the edge."""
    with mlotel.component("make") as c:
        c.write(TABLE, name="table")
    made = capture.span("write table")
    with mlotel.component("step") as c:
        pd.read_csv(c.read(path, **SAID))

    span = capture.span("read flights")
    [link] = span.links
    assert link.context.span_id == made.context.span_id
    assert span.attributes["ml.artifact.producer"].startswith("make@")


def test_later_reads_lead_to_the_one_write(capture, path, tmp_path):
    """What was written and spoken of is known by the person's name."""
    with mlotel.component("step") as c:
        TABLE.to_parquet(tmp_path / "t.parquet")
        c.write(tmp_path / "t.parquet", name="flights")
    with mlotel.component("use"):
        pd.read_parquet(tmp_path / "t.parquet")

    [link] = capture.span("read t.parquet").links
    assert link.context.span_id == capture.span("write flights").context.span_id


@pytest.mark.parametrize("twice", ["captured", "explicit", "changed", "both ways"])
def test_what_happened_twice_is_two_spans(capture, path, twice):
    """Two reads by libraries are two, two that were spoken of too, and so are a file and what became of it."""
    with mlotel.component("step") as c:
        if twice == "captured":
            pd.read_csv(path), pd.read_csv(path)
        elif twice == "explicit":
            c.read(path), c.read(path)
        elif twice == "changed":
            c.read(path)
            path.write_text("a\n9\n")
            pd.read_csv(path)
        else:
            pd.read_csv(path)
            TABLE.to_csv(path, index=False)

    assert len(files(capture)) == 2


def test_rows_are_counted_once(capture, path):
    """Rows of a file are not counted by its span, however often it is spoken of."""
    with mlotel.component("step") as c:
        TABLE.to_csv(path, index=False)
        c.write(path, name="flights")
        c.write(TABLE, name="table")

    assert capture.metric("ml.data.rows", ml_artifact_role="output") == 3


def test_without_instrumentation_spans_end_at_once(capture, path):
    """Where no library is instrumented there is nothing to wait for."""
    mlotel.uninstrument()
    with mlotel.component("step") as c:
        c.read(path)
        assert [span.name for span in capture.spans()] == ["read t.csv"]
    assert not [thread for thread in threading.enumerate() if thread.name == "mlotel-held"]


def test_spans_do_not_wait_for_long(capture, path, monkeypatch):
    """A component that goes on for hours shows what it read within seconds, and no thread stays."""
    monkeypatch.setattr(held, "waits", lambda: True)
    monkeypatch.setattr(held, "HOLD_S", 0.1)
    with mlotel.component("step") as c:
        pd.read_csv(path)
        assert capture.spans() == []
        deadline = time.monotonic() + 20
        while not capture.spans() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [span.name for span in capture.spans()] == ["read t.csv"]
        c.read(path, name="late")
    while any(thread.name == "mlotel-held" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert [span.name for span in files(capture)] == ["read t.csv", "read late"]
    assert not [thread for thread in threading.enumerate() if thread.name == "mlotel-held"]


def test_many_files_do_not_wait_together(capture, tmp_path):
    """A component that reads thousands of files holds a few."""
    for number in range(70):
        (tmp_path / f"{number}.csv").write_text("a\n1\n")
    with mlotel.component("step"):
        for number in range(70):
            pd.read_csv(tmp_path / f"{number}.csv")
        assert len(capture.spans()) == 70 - 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of threads
def test_a_forked_child_leaves_them_to_its_parent(capture, path, tmp_path):
    """What the parent read is not said a second time by its child."""
    with mlotel.component("step"):
        pd.read_csv(path)
        child = os.fork()
        if child == 0:
            count = 99
            try:
                from opentelemetry import context

                from mlotel import _current
                from mlotel.tracing.components import Component

                component = context.get_value(_current.COMPONENT)
                assert isinstance(component, Component)
                component._held.end()
                count = len(capture.spans())
            finally:
                os._exit(count)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    assert len(files(capture)) == 1
