"""What a test of a user leaves in files is known again inside of it, and believed nowhere else."""

import pandas as pd
import pytest

import mlotel
from mlotel import artifacts
from mlotel.artifacts import carriers
from mlotel.testing import capturing
from mlotel.tracing import lineage

TABLE = pd.DataFrame({"a": [1, 2, 3]})
DOUBT = "ml.artifact.claim.doubt"


@pytest.fixture(autouse=True)
def io():
    mlotel.instrument("io")


def write(path):
    with mlotel.component("make"):
        TABLE.to_parquet(path)


def read(capture, path):
    with mlotel.component("use"):
        pd.read_parquet(path)
    return capture.span(f"read {path.name}")


@pytest.fixture(params=["another test", "a program"])
def elsewhere(request, monkeypatch):
    """Another test, whose ids are the same numbers, or a program with real ids."""
    with capturing() as capture:
        if request.param == "a program":
            monkeypatch.setattr(lineage, "is_test", False)
        yield capture


@pytest.fixture
def left(tmp_path):
    """A file that a test has left."""
    with capturing():
        write(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_a_file_of_this_test_is_known_again(capture, tmp_path):
    """What a test wrote and reads, moved too, is linked to its write."""
    write(tmp_path / "t.parquet")
    span = read(capture, (tmp_path / "t.parquet").rename(tmp_path / "u.parquet"))

    [link] = span.links
    assert link.context.span_id == capture.span("write t.parquet").context.span_id
    assert DOUBT not in span.attributes


def test_a_file_that_a_test_tampers_with_is_doubted(capture, tmp_path):
    """The stamp of the test itself is a claim as any other."""
    path = tmp_path / "t.parquet"
    write(path)
    stamp, _ = carriers.stamp_of(path)
    TABLE.assign(a=9).to_parquet(path)
    assert carriers.embed(path, stamp)
    span = read(capture, path)

    assert list(span.links) == []
    assert span.attributes[DOUBT].startswith("embedded: The content is not what make wrote")


def test_the_file_of_a_test_is_not_believed_elsewhere(left, elsewhere):
    """Trace 1 and span 2 of a test are nobody's producer: no link, no doubt, and it is counted."""
    with mlotel.component("other"):
        mlotel.write([1, 2, 3], name="makes the numbers of the ids meet")
    before = carriers.ignored().get(("embedded", "test"), 0)
    span = read(elsewhere, left)

    assert list(span.links) == []
    assert "ml.artifact.producer" not in span.attributes
    assert DOUBT not in span.attributes
    assert carriers.ignored()["embedded", "test"] == before + 1


def test_a_note_of_a_test_is_not_believed_elsewhere(tmp_path, monkeypatch, request):
    """Notes are marked as stamps are."""
    monkeypatch.setenv("MLOTEL_SIDECAR", "on")
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    with capturing(), mlotel.component("make") as c:
        c.write(path)
    span = _read_plainly(request.getfixturevalue("capture"), path)

    assert list(span.links) == []


def _read_plainly(capture, path):
    with mlotel.component("use") as c:
        c.read(path)
    return capture.span(f"read {path.name}")


@pytest.mark.parametrize("where", ["this test", "another test", "a program"])
def test_what_a_frame_was_read_as_is_known_in_its_test(capture, tmp_path, monkeypatch, where):
    """A frame that outlives a test, or lies in a file, carries a mark; it leads to a read in that test alone."""
    path = tmp_path / "t.csv"
    TABLE.to_csv(path, index=False)
    with mlotel.component("load"):
        frame = pd.read_csv(path)
    assert "mlotel.read" in frame.attrs
    frame["a"] += 1

    def derived(capture):
        with mlotel.component("save") as c:
            c.write(frame, name="frame")
        return [link.attributes["ml.link.evidence"] for link in capture.span("write frame").links]

    if where == "this test":
        assert derived(capture) == ["attrs"]
        return
    with capturing() as other:
        monkeypatch.setattr(lineage, "is_test", where == "another test")
        assert derived(other) == []


def test_two_runs_of_a_test_leave_the_same_files(tmp_path):
    """Ids that count make the same bytes each time, stamp and all."""
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with capturing():
            write(tmp_path / name / "t.parquet")
        found.append(artifacts.identify(tmp_path / name / "t.parquet").id)

    assert found[0] == found[1]
