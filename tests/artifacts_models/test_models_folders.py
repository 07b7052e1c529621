"""Folders by their content."""

import itertools
import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from mlotel.artifacts import identify


@pytest.fixture
def folder(tmp_path):
    """A folder with files, an empty file, nested and empty folders."""
    place = tmp_path / "data"
    (place / "deep" / "deeper").mkdir(parents=True)
    (place / "bare").mkdir()
    (place / "a.csv").write_text("a,b\n1,2\n")
    (place / "deep" / "deeper" / "b.bin").write_bytes(b"\0" * 70_000)
    (place / "none").touch()
    (place / "é ü").write_text("name")
    return place


def test_equal_folders(folder, tmp_path):
    """A moved, renamed or copied folder is the same artifact, whenever and in whatever order its files were made."""
    before = identify(folder)
    copied = shutil.copytree(folder, tmp_path / "other name", copy_function=shutil.copy)
    backwards = tmp_path / "backwards"
    for path in sorted(folder.rglob("*"), reverse=True):
        there = backwards / path.relative_to(folder)
        if path.is_dir():
            there.mkdir(parents=True, exist_ok=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    os.utime(copied / "a.csv", (1, 1))
    (copied / "a.csv").chmod(0o600)

    assert (before.scope, before.size) == ("full", 8 + 70_000 + 4)
    assert identify(copied) == identify(backwards) == before
    assert identify(folder.rename(tmp_path / "moved")) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda place: (place / "a.csv").write_text("a,b\n1,3\n"),
        lambda place: (place / "a.csv").rename(place / "b.csv"),
        lambda place: (place / "a.csv").rename(place / "deep" / "a.csv"),
        lambda place: (place / "new").touch(),
        lambda place: (place / "new").mkdir(),
        lambda place: (place / "bare").rmdir(),
        lambda place: (place / "none").unlink(),
        lambda place: (place / "deep" / "deeper" / "b.bin").write_bytes(b"\0" * 69_999 + b"\1"),
        lambda place: ((place / "none").unlink(), (place / "none").mkdir()),
        lambda place: (place / "new").symlink_to("a.csv"),
        lambda place: ((place / "none").unlink(), (place / "none").symlink_to("a.csv")),
        lambda place: (place / ".hidden").touch(),
    ],
)
def test_what_changes_a_folder(folder, change):
    """Another byte, name, place, type or entry makes another artifact."""
    before = identify(folder)
    change(folder)
    after = identify(folder)
    assert after.scope == "full"
    assert after.id != before.id


def test_links_count_by_their_target_and_are_not_followed(folder, tmp_path):
    """Loops end, dangling links count, what a link leads to does not; a path that is a link to a folder is followed."""
    outside = tmp_path / "outside"
    outside.write_text("1")
    (folder / "loop").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "gone").symlink_to("nowhere")
    (folder / "out").symlink_to(outside)
    before = identify(folder)
    outside.write_text("2")
    link = tmp_path / "link"
    link.symlink_to(folder)

    assert before.scope == "full"
    assert identify(folder) == before == identify(link)
    (folder / "gone").unlink()
    (folder / "gone").symlink_to("elsewhere")
    assert identify(folder) != before


@pytest.mark.parametrize("what", ["socket", "pipe"])
def test_special_files(folder, what):
    """A folder with a socket or a pipe has no content id, at once."""
    if what == "pipe":
        os.mkfifo(folder / "special")
    else:
        server = socket.socket(socket.AF_UNIX)
        place = Path.cwd()
        os.chdir(folder)  # a socket's path must be short
        try:
            server.bind("special")
        finally:
            os.chdir(place)
            server.close()
    began = time.monotonic()
    assert identify(folder).scope == "none"
    assert time.monotonic() - began < 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["a.csv", "deep"])
def test_permissions(folder, name):
    """A file or a folder that cannot be read leaves no content id."""
    (folder / name).chmod(0)
    try:
        assert identify(folder).scope == "none"
    finally:
        (folder / name).chmod(0o700)


def test_names_that_are_no_text(folder):
    """Names count as bytes."""
    (folder / os.fsdecode(b"\xff\xfe")).touch()
    one = identify(folder)
    (folder / os.fsdecode(b"\xff\xfe")).rename(folder / os.fsdecode(b"\xff\xfd"))
    assert one.scope == "full"
    assert identify(folder) != one


def test_many_files(tmp_path):
    """A folder of 5,000 files has a content id, or a sampled one when there is no time."""
    for number in range(5000):
        (tmp_path / f"{number}").write_bytes(number.to_bytes(4, "little"))
    one = identify(tmp_path, budget_s=None)
    (tmp_path / "4321").write_bytes(b"else")

    assert (one.scope, one.size) == ("full", 20_000)
    assert identify(tmp_path, budget_s=None).id != one.id
    assert identify(tmp_path, budget_s=0).scope == "sampled"


def test_a_folder_is_no_file_and_no_value(folder, tmp_path):
    """An empty folder, an empty file and an empty list differ."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert len({identify(value).id for value in (tmp_path / "empty", tmp_path / "file", folder / "bare", [], b"")}) == 4


def test_a_folder_that_changes_meanwhile(folder, monkeypatch):
    """A file that appears while the folder is read leaves no content id."""
    from mlotel.artifacts import _base

    add, late = _base.Hasher.raw, itertools.count()

    def slow(self, data):
        (folder / f"late {next(late)}").touch()
        return add(self, data)

    monkeypatch.setattr(_base.Hasher, "raw", slow)
    assert identify(folder).scope == "none"
