"""Stamps inside and beside files are found, trusted in order, and compared with what is really there."""

import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace

import pandas as pd
import pytest
from carrier_cases import FRAME, OTHER, STAMP, listed

from mlotel import _plugins, artifacts
from mlotel.artifacts import carriers
from mlotel.artifacts.carriers import sidecar
from mlotel.types import Identity

FILE_ID = "xxh3:" + "f" * 32
BESIDE = replace(OTHER, file_id=FILE_ID)


def identity(artifact_id, scope="full"):
    return Identity(artifact_id, scope)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("delay\n1.5\n")
    return path


# Beside the file


def test_a_sidecar_is_one_line_of_json(table):
    """The sidecar bears the file's name and holds the stamp, the file's id included."""
    assert sidecar.write(table, BESIDE) is True

    text = (table.parent / "flights.csv.mlotel.json").read_text()
    assert text == BESIDE.to_json() + "\n"
    assert json.loads(text)["file_id"] == FILE_ID
    assert carriers.stamp_of(table) == carriers.stamp_of(str(table)) == (BESIDE, "sidecar")


def test_nobody_makes_a_sidecar_unasked(table):
    """Embedding never falls back on a file beside."""
    assert carriers.embed(table, STAMP) is False
    assert listed(table.parent) == ["flights.csv"]


def test_a_sidecar_is_replaced(table):
    """The latest stamp is the one that is found; a corrupt sidecar is replaced as well."""
    for stamp in (STAMP, BESIDE):
        assert sidecar.write(table, stamp)
        assert carriers.stamp_of(table) == (stamp, "sidecar")
    (table.parent / "flights.csv.mlotel.json").write_bytes(b"\xff")
    assert carriers.stamp_of(table) is None
    assert sidecar.write(table, STAMP)
    assert carriers.stamp_of(table) == (STAMP, "sidecar")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755])
def test_a_sidecar_is_as_private_as_its_file(table, mode):
    """Who may read the file may read who wrote it."""
    table.chmod(mode)
    sidecar.write(table, STAMP)

    assert stat.S_IMODE((table.parent / "flights.csv.mlotel.json").stat().st_mode) == mode & 0o666


def test_folders_have_sidecars(tmp_path):
    """A folder's sidecar stands beside it, however its path is written."""
    (tmp_path / "parts").mkdir()

    assert sidecar.write(f"{tmp_path}/parts/", STAMP)
    assert (tmp_path / "parts.mlotel.json").is_file()
    assert carriers.stamp_of(tmp_path / "parts") == carriers.stamp_of(f"{tmp_path}/parts/") == (STAMP, "sidecar")


def test_sidecars_and_symbolic_links(table, tmp_path):
    """Through a link the sidecar is written beside the real file, and read beside the link first."""
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "latest.csv"
    link.symlink_to(table)

    assert sidecar.write(link, STAMP)

    assert listed(link.parent) == ["latest.csv"]
    assert carriers.stamp_of(link) == carriers.stamp_of(table) == (STAMP, "sidecar")
    (tmp_path / "links" / "latest.csv.mlotel.json").write_text(OTHER.to_json())
    assert carriers.stamp_of(link) == (OTHER, "sidecar")


@pytest.mark.parametrize("place", ["link", "folder", "pipe"])
def test_what_bears_a_sidecars_name_and_is_none(table, tmp_path, place):
    """A link, a folder or a pipe of that name is neither waited for nor replaced."""
    beside = tmp_path / "flights.csv.mlotel.json"
    target = tmp_path / "precious.json"
    target.write_text("{}")
    {"link": lambda: beside.symlink_to(target), "folder": beside.mkdir, "pipe": lambda: os.mkfifo(beside)}[place]()

    assert carriers.stamp_of(table) is None
    assert sidecar.write(table, STAMP) is False
    assert target.read_text() == "{}"


def test_sidecars_of_nothing(tmp_path):
    """Where there is no artifact, or no right to write, there will be no sidecar, and no error."""
    before = carriers.ignored().get(("sidecar", "not_written"), 0)
    for path in (
        tmp_path / "nothing",
        tmp_path / "no" / "folder",
        "zero\0byte",
        tmp_path / ("x" * 250),
        "/proc/version",
    ):
        assert sidecar.write(path, STAMP) is False
        assert carriers.stamp_of(path) is None
    assert carriers.ignored()["sidecar", "not_written"] - before == 5


def test_readers_never_see_half_a_sidecar(table):
    """While one thread writes again and again, another finds a whole stamp each time."""
    sidecar.write(table, STAMP)
    found = set()
    done = threading.Event()

    def read():
        while not done.is_set():
            found.add(carriers.stamp_of(table))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        assert sidecar.write(table, [STAMP, BESIDE][number % 2])
    done.set()
    reader.join()

    assert found <= {(STAMP, "sidecar"), (BESIDE, "sidecar")}


# The order of trust


def test_inside_comes_before_beside(tmp_path):
    """The embedded stamp is the first one; both can be had; without it the sidecar is the one."""
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path)
    sidecar.write(path, BESIDE)
    assert list(carriers.stamps(path)) == [(BESIDE, "sidecar")]

    carriers.embed(path, STAMP)

    assert carriers.stamp_of(path) == (STAMP, "embedded")
    assert list(carriers.stamps(path)) == [(STAMP, "embedded"), (BESIDE, "sidecar")]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.parquet", "parquet"),
        ("part-0.snappy.PARQUET", "parquet"),
        ("a.csv", None),
        ("a", None),
        (".parquet", None),
        ("a.", None),
        ("a.index", None),  # what FAISS calls its files
        ("a.sidecar", None),
        ("a._base", None),
        ("a.parquet.gz", None),
        ("a.par quet", None),
        (b"a.\xff", None),
        ("a." + "x" * 5000, None),
    ],
)
def test_formats_by_suffix(path, name):
    """The last suffix decides, in any case of letters; modules of the folder that are no formats are none."""
    assert carriers.format_of(path) == name


def test_the_modules_beside_the_kinds_are_no_kinds():
    """Neither the evidence nor the carriers are kinds of values, nor the index and the sidecar formats."""
    assert not {"evidence", "carriers"} & set(_plugins.names("artifacts"))
    assert not {"index", "sidecar"} & set(_plugins.names("artifacts.carriers"))
    foreign = type("Frame", (), {"__module__": "evidence"})()
    assert artifacts.identify(foreign).scope == "none"


@pytest.fixture
def zarr(tmp_path, monkeypatch):
    """Makes the module of another distribution the carrier of ``.zarr``."""
    monkeypatch.setattr(_plugins, "_broken", set())

    def install(source):
        site = tmp_path / "site"
        information = site / "other-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text("[mlotel.artifacts.carriers]\nzarr = zarr_carrier\n")
        (site / "zarr_carrier.py").write_text(textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, "zarr_carrier", raising=False)
        monkeypatch.syspath_prepend(site)
        path = tmp_path / "a.zarr"
        path.mkdir()
        return path

    return install


def test_a_format_of_another_distribution(zarr):
    """An entry point named after a suffix carries stamps in files of that suffix."""
    path = zarr(
        """
        from mlotel.artifacts.carriers import Stamp

        def read(path):
            entry = path / "stamp"
            return Stamp.from_json(entry.read_bytes(), source="zarr") if entry.exists() else None

        def write(path, stamp):
            (path / "stamp").write_text(stamp.to_json())
            return True
        """
    )

    assert carriers.stamp_of(path) is None
    assert carriers.embed(path, STAMP) is True
    assert carriers.stamp_of(path) == (STAMP, "embedded")


@pytest.mark.lenient
@pytest.mark.parametrize(
    "source",
    ["import nothing_of_that_name", "def read(path): return {}\ndef write(path, stamp): return 1", "x = 1",
     "def read(path): raise RuntimeError\ndef write(path, stamp): raise RuntimeError"],
)  # fmt: skip
def test_a_broken_format_of_another_distribution(zarr, source):
    """Whatever is wrong with it, there is no stamp inside, the sidecar is still found, and nothing raises."""
    path = zarr(source)
    sidecar.write(path, BESIDE)

    assert carriers.embed(path, STAMP) is False
    assert list(carriers.stamps(path)) == [(BESIDE, "sidecar")]


# Verification


@pytest.mark.parametrize(
    ("stamp", "file", "content", "status", "matched"),
    [
        (STAMP, None, STAMP.content_id, "matches", STAMP.content_id),
        (STAMP, FILE_ID, STAMP.content_id, "matches", STAMP.content_id),
        (STAMP, FILE_ID, None, "unknown", None),
        (STAMP, None, None, "unknown", None),
        (STAMP, None, FILE_ID, "stale", None),
        (STAMP, FILE_ID, FILE_ID, "stale", None),
        (BESIDE, FILE_ID, None, "matches", FILE_ID),
        (BESIDE, FILE_ID, "xxh3:" + "2" * 32, "matches", FILE_ID),  # only some of its columns were read
        (BESIDE, "xxh3:" + "1" * 32, BESIDE.content_id, "matches", BESIDE.content_id),  # written anew, same table
        (BESIDE, "xxh3:" + "1" * 32, None, "unknown", None),
        (BESIDE, "xxh3:" + "1" * 32, "sha256:" + "2" * 64, "stale", None),
        (replace(BESIDE, content_id=None), "xxh3:" + "1" * 32, None, "stale", None),
        (replace(BESIDE, content_id=None), None, BESIDE.content_id, "unknown", None),
    ],
)
def test_verify(stamp, file, content, status, matched):
    """One id that matches is enough; a stamp is stale when an id differs and no other one could still match."""
    verdict = carriers.verify(
        stamp, file=None if file is None else identity(file), content=None if content is None else identity(content)
    )

    assert (verdict.status, verdict.artifact_id) == (status, matched)
    assert (verdict.reason is None) == (status == "matches")


def test_verify_says_why():
    """The reason is a sentence for people: what is not as it was, who wrote it, and both ids."""
    other = identity("xxh3:" + "f" * 32)

    assert carriers.verify(STAMP, content=other).reason == (
        "The content is not what clean wrote: its id is xxh3:ffffff…, not xxh3:012345…."
    )
    assert carriers.verify(replace(STAMP, component=None), content=other).reason == (
        "The content is not what its producer wrote: its id is xxh3:ffffff…, not xxh3:012345…."
    )
    assert carriers.verify(STAMP).reason == "The id of the content is not known yet."
    assert carriers.verify(STAMP, content=identity("blake3:" + "f" * 64)).reason == (
        "The content was identified with blake3, and the stamp names an id of xxh3."
    )


@pytest.mark.parametrize("scope", ["sampled", "metadata", "none"])
def test_verify_wants_every_byte(scope):
    """An id that does not count every byte neither confirms a stamp nor makes it stale."""
    verdict = carriers.verify(STAMP, content=identity(STAMP.content_id, scope))

    assert (verdict.status, verdict.artifact_id) == ("unknown", None)
    assert verdict.reason == "The content has no id that counts every byte."


WRITER = """
import sys
import pandas as pd
from mlotel import artifacts
from mlotel.artifacts import carriers
from mlotel.artifacts.carriers import sidecar

frame = pd.DataFrame({"delay": [3.0, 11.0, None], "carrier": ["AA", "DL", None]})
frame.to_parquet("flights.parquet")
frame.to_csv("flights.csv", index=False)
content = artifacts.identify(frame).id
stamp = carriers.Stamp("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", content_id=content, component="clean")
assert carriers.embed("flights.parquet", stamp)
from dataclasses import replace
from pathlib import Path
assert sidecar.write("flights.csv", replace(stamp, file_id=artifacts.identify(Path("flights.csv")).id))
"""


def test_another_process_knows_who_wrote_a_moved_file(tmp_path):
    """What one program wrote, another one verifies after the files were moved; a changed cell makes the stamp stale."""
    made, used = tmp_path / "made", tmp_path / "used"
    made.mkdir()
    subprocess.run(
        [sys.executable, "-c", WRITER], cwd=made, check=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    made.rename(used)

    stamp, evidence = carriers.stamp_of(used / "flights.parquet")
    frame = pd.read_parquet(used / "flights.parquet")
    assert evidence == "embedded"
    assert carriers.verify(stamp, content=artifacts.identify(frame)).status == "matches"
    assert stamp.producer(evidence).component == "clean"

    stamp, evidence = carriers.stamp_of(used / "flights.csv")
    assert evidence == "sidecar"
    assert carriers.verify(stamp, file=artifacts.identify(used / "flights.csv")).status == "matches"

    frame.loc[0, "delay"] = 4.0
    frame.to_csv(used / "flights.csv", index=False)
    stamp, _ = carriers.stamp_of(used / "flights.csv")
    verdict = carriers.verify(stamp, file=artifacts.identify(used / "flights.csv"), content=artifacts.identify(frame))
    assert verdict.status == "stale"
    assert verdict.reason.startswith("The content is not what clean wrote")


def test_a_tampered_file_is_stale(tmp_path):
    """Metadata that travel with other data, as some tools keep them, draw no edge."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path)
    carriers.embed(path, replace(STAMP, content_id=artifacts.identify(pd.read_parquet(path)).id))
    metadata = parquet.read_metadata(path).metadata
    changed = pa.table({"delay": [0.0]}).replace_schema_metadata({b"mlotel": metadata[b"mlotel"]})
    parquet.write_table(changed, path)

    stamp, evidence = carriers.stamp_of(path)
    assert evidence == "embedded"
    assert carriers.verify(stamp, content=artifacts.identify(pd.read_parquet(path))).status == "stale"
