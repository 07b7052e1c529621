"""Lineage from one process to the next: no endpoint, no shared variable, files that were moved meanwhile."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROLOGUE = """
import mlotel, pandas as pd, numpy as np, pathlib, sys
telemetry = mlotel.configure(service_name="test", instrument={instrument!r}, quiet=True)
"""

PREPARE = """
with mlotel.pipeline("prepare"), mlotel.component("clean") as c:
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "s": ["a", "b", None]})
"""
TRAIN = """
with mlotel.pipeline("train"), mlotel.component("fit") as c:
"""


def program(code, folder, *, instrument=(), **variables):
    """Run ``code`` after ``configure()``, in ``folder``; its spans, read from its own spool with plain json."""
    folder.mkdir(exist_ok=True)
    spool = folder / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    environment = {**os.environ, "MLOTEL_SPOOL": str(spool), **variables}
    script = folder / "script.py"
    script.write_text(PROLOGUE.format(instrument=instrument) + textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, script.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    spans = {}
    for file in spool.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            for resource in json.loads(line).get("resourceSpans", []):
                for scope in resource["scopeSpans"]:
                    spans.update({span["name"]: span for span in scope["spans"]})
    return spans


def attributes(holder):
    return {pair["key"]: next(iter(pair["value"].values())) for pair in holder["attributes"]}


def assert_linked(read, write, evidence, artifact_id=None):
    """``read`` has one link, to ``write``, with this evidence."""
    [link] = read["links"]
    assert (link["traceId"], link["spanId"]) == (write["traceId"], write["spanId"])
    found = attributes(link)
    assert found["ml.link.type"] == "consumed"
    assert found["ml.link.evidence"] == evidence
    if artifact_id is not None:
        assert found["ml.artifact.id"] == artifact_id
    assert attributes(read)["ml.artifact.producer"].startswith(attributes(write)["ml.component.name"] + "@")


def test_three_programs_are_joined_by_the_index(tmp_path):
    """A file and a model, moved to other folders and renamed, lead to the programs that wrote them."""
    made = program(
        PREPARE + '    table.to_csv("t.csv", index=False)\n    c.write(pathlib.Path("t.csv"))\n', tmp_path / "a"
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "t.csv").rename(tmp_path / "b" / "other.csv")
    fitted = program(
        TRAIN
        + '    frame = pd.read_csv(c.read("other.csv"))\n    np.save("m.npy", frame["x"])\n    c.write("m.npy")\n',
        tmp_path / "b",
    )
    (tmp_path / "c").mkdir()
    shutil.move(tmp_path / "b" / "m.npy", tmp_path / "c" / "model.npy")
    served = program('with mlotel.component("serve") as c:\n    c.read("model.npy")\n', tmp_path / "c")

    assert_linked(fitted["read other.csv"], made["write t.csv"], "index")
    assert_linked(served["read model.npy"], fitted["write m.npy"], "index")


def test_a_table_leads_to_its_file_in_another_program(tmp_path):
    """What is read from a parquet file is the table that was written: its content id is known to the index."""
    made = program(PREPARE + '    c.write(table, name="clean")\n    table.to_parquet("t.parquet")\n', tmp_path / "a")
    read = program(
        TRAIN + f'    c.read(pd.read_parquet({str(tmp_path / "a/t.parquet")!r}), name="t")\n', tmp_path / "b"
    )

    assert_linked(read["read t"], made["write clean"], "index", attributes(made["write clean"])["ml.artifact.id"])


def test_without_the_index_the_file_speaks_for_itself(tmp_path):
    """A captured parquet file carries who wrote it; it is believed because its content is what was written."""
    made = program(
        PREPARE + '    table.to_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",), MLOTEL_INDEX="off"
    )
    (tmp_path / "b").mkdir()
    shutil.move(tmp_path / "a" / "t.parquet", tmp_path / "b" / "u.parquet")
    read = program(TRAIN + '    pd.read_parquet("u.parquet")\n', tmp_path / "b", instrument=("io",), MLOTEL_INDEX="off")

    content = attributes(made["write t.parquet"])["ml.artifact.content.id"]
    assert_linked(read["read u.parquet"], made["write t.parquet"], "embedded", content)
    assert attributes(read["read u.parquet"])["ml.artifact.content.id"] == content


def test_the_stamp_holds_whatever_is_made_of_the_table(tmp_path):
    """A path alone, and a library that has a column where pandas had an index, lead to the write without doubt."""
    indexed = '    table.set_index(pd.Index(["p", "q", "r"], name="k")).to_parquet("t.parquet")\n'
    made = program(PREPARE + indexed, tmp_path / "a", instrument=("io",), MLOTEL_INDEX="off")
    (tmp_path / "b").mkdir()
    shutil.move(tmp_path / "a" / "t.parquet", tmp_path / "b" / "u.parquet")
    plain = program(TRAIN + '    c.read("u.parquet")\n', tmp_path / "b", MLOTEL_INDEX="off")
    other = program(
        "import polars as pl\n" + TRAIN + '    pl.read_parquet("u.parquet")\n', tmp_path / "b", instrument=("io",),
        MLOTEL_INDEX="off",
    )  # fmt: skip

    write = made["write t.parquet"]
    for read in (plain["read u.parquet"], other["read u.parquet"]):
        assert_linked(read, write, "embedded", attributes(write)["ml.artifact.id"])
        assert "ml.artifact.claim.doubt" not in attributes(read)
    content = "ml.artifact.content.id"
    assert attributes(other["read u.parquet"])[content] != attributes(write)[content]


def test_what_a_test_left_is_not_believed_by_a_program(tmp_path):
    """A file that was written under ``capturing()`` names trace 1, which is nobody's."""
    left = """
        import mlotel.testing
        with mlotel.testing.capturing(), mlotel.component("tested"):
            pd.DataFrame({"x": [1.0]}).to_parquet("t.parquet")
        """
    program(left, tmp_path / "a", instrument=("io",))
    read = program(TRAIN + '    pd.read_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",))["read t.parquet"]

    assert read.get("links", []) == []
    assert not {"ml.artifact.claim.doubt", "ml.artifact.producer"} & attributes(read).keys()


def test_embedding_can_be_switched_off(tmp_path):
    """With MLOTEL_EMBED=off files hold nothing of mlotel."""
    program(PREPARE + '    table.to_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",), MLOTEL_EMBED="off")

    assert b"mlotel" not in (tmp_path / "a" / "t.parquet").read_bytes()


def test_a_tampered_file_has_no_link_and_says_why(tmp_path):
    """Other content under the stamp of the earlier one: no edge, and the reason on the span."""
    program(PREPARE + '    table.to_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",))
    change = """
        import pyarrow.parquet as pq
        from mlotel.artifacts import carriers
        path = pathlib.Path("t.parquet")
        stamp, _ = carriers.stamp_of(path)
        frame = pd.read_parquet(path)
        frame.loc[1, "x"] = 99.0
        frame.to_parquet(path)
        assert carriers.embed(path, stamp)
        """
    program(change, tmp_path / "a")
    read = program(TRAIN + '    pd.read_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",))

    span = read["read t.parquet"]
    assert span.get("links", []) == []
    doubt = attributes(span)["ml.artifact.claim.doubt"]
    assert doubt.startswith("embedded: The content is not what clean wrote: its id is xxh3:")
    assert "ml.artifact.producer" not in attributes(span)


def test_a_note_beside_the_file(tmp_path):
    """With MLOTEL_SIDECAR=on a file of any format is joined by the note that lies, and is moved, beside it."""
    made = program(
        PREPARE + '    table.to_csv("t.csv")\n    c.write("t.csv")\n', tmp_path / "a",
        MLOTEL_INDEX="off", MLOTEL_SIDECAR="on",
    )  # fmt: skip
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    read = program(TRAIN + '    c.read("t.csv")\n', tmp_path / "b", MLOTEL_INDEX="off")

    assert_linked(read["read t.csv"], made["write t.csv"], "sidecar")


def test_a_stale_note_is_not_believed(tmp_path):
    """The file was changed, the note was not."""
    program(
        PREPARE + '    table.to_csv("t.csv")\n    c.write("t.csv")\n', tmp_path / "a",
        MLOTEL_INDEX="off", MLOTEL_SIDECAR="on",
    )  # fmt: skip
    with (tmp_path / "a" / "t.csv").open("a") as file:
        file.write("9,9\n")
    read = program(TRAIN + '    c.read("t.csv")\n', tmp_path / "a", MLOTEL_INDEX="off")

    assert read["read t.csv"].get("links", []) == []
    assert attributes(read["read t.csv"])["ml.artifact.claim.doubt"].startswith("sidecar: The file is not what clean")


def test_with_everything_off_there_is_no_edge(tmp_path):
    """No index, no stamp: nothing is known, and nothing is claimed."""
    program(PREPARE + '    table.to_csv("t.csv")\n    c.write("t.csv")\n', tmp_path / "a", MLOTEL_INDEX="off")
    read = program(TRAIN + '    c.read("t.csv")\n', tmp_path / "a", MLOTEL_INDEX="off")

    assert read["read t.csv"].get("links", []) == []
    assert not Path(os.environ["XDG_STATE_HOME"], "mlotel", "lineage.db").exists()


def test_a_newer_one_makes_an_input_stale(tmp_path):
    """Reading the file of yesterday's run after today's was written is said on the span and counted."""
    code = PREPARE + '    table["x"] += NUMBER\n    table.to_csv("t.csv", index=False)\n    c.write("t.csv")\n'
    program(code.replace("NUMBER", "0"), tmp_path / "a")
    shutil.copy(tmp_path / "a" / "t.csv", tmp_path / "old.csv")
    program(code.replace("NUMBER", "1"), tmp_path / "a")
    read = program(TRAIN + f"    c.read({str(tmp_path / 'old.csv')!r})\n", tmp_path / "b")

    [reason] = [
        item["stringValue"]
        for pair in read["component fit"]["attributes"]
        if pair["key"] == "ml.component.staleness"
        for item in pair["value"]["arrayValue"]["values"]
    ]
    assert reason.startswith("a newer t.csv was written ")
    assert " ago by clean@" in reason


@pytest.mark.parametrize("how", ["index", "embedded"])
def test_a_hostile_index_or_stamp_harms_nobody(tmp_path, how):
    """A corrupt database and a corrupt stamp: the program goes on, without an edge."""
    state = Path(os.environ["XDG_STATE_HOME"], "mlotel")
    state.mkdir(parents=True)
    if how == "index":
        (state / "lineage.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    made = program(PREPARE + '    table.to_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",))
    if how == "embedded":
        data = (tmp_path / "a" / "t.parquet").read_bytes()
        (tmp_path / "a" / "t.parquet").write_bytes(data.replace(b'"traceparent"', b'"traceparenT"'))
    read = program(
        TRAIN + '    pd.read_parquet("t.parquet")\n', tmp_path / "a", instrument=("io",),
        **({"MLOTEL_INDEX": "off"} if how == "embedded" else {}),
    )  # fmt: skip

    assert "write t.parquet" in made
    links = read["read t.parquet"].get("links", [])
    assert len(links) == (0 if how == "embedded" else 1)
