"""Which file an argument leads to."""

import gzip
import io
import pathlib
import zipfile

import pytest

from mlotel.instrumentation._targets import MAX_PLACES, target_of


def places(value, **options):
    target = target_of(value, **options)
    return None if target is None else list(target.places)


def test_text_is_a_path_or_an_address():
    """A string is taken as it is, home apart; what cannot be the name of a file leads nowhere."""
    assert places("a/b.csv") == ["a/b.csv"]
    assert places("s3://bucket/key") == ["s3://bucket/key"]
    assert places("~/b.csv") == [f"{pathlib.Path.home()}/b.csv"]
    for nowhere in ("", "a\0b", "x" * 5000):
        assert places(nowhere) is None


def test_what_is_no_place_leads_nowhere():
    """Numbers, None, bytes, buffers, lists and objects of users lead nowhere; none of them is asked anything."""

    class Hostile:
        def __getattribute__(self, name):
            raise AssertionError(name)

    for value in (None, 3, b"a.csv", io.BytesIO(), io.StringIO(), ["a.csv"], Hostile(), object()):
        assert target_of(value) is None


def test_bytes_are_a_path_only_where_the_library_says_so():
    """Most libraries take bytes for content."""
    assert places(b"a.csv") is None
    assert places(b"a.csv", bytes_are_paths=True) == ["a.csv"]


def test_lists_and_patterns(tmp_path):
    """Each path of a list, each file that a pattern finds, both mixed; in order, and no more than there is room for."""
    for number in range(40):
        (tmp_path / f"{number:02}.csv").touch()
    (tmp_path / "[odd].csv").touch()
    inside = str(tmp_path)

    assert places([f"{inside}/a", pathlib.Path(inside, "b"), 3, b"c"], several=True) == [f"{inside}/a", f"{inside}/b"]
    assert places((f"{inside}/0[12].csv", f"{inside}/30.csv"), several=True) == [
        f"{inside}/01.csv", f"{inside}/02.csv", f"{inside}/30.csv",
    ]  # fmt: skip
    assert places(f"{inside}/[odd].csv", several=True) == [f"{inside}/[odd].csv"]
    assert places(f"{inside}/*.json", several=True) is None
    assert places(f"{inside}/0*.csv") == [f"{inside}/0*.csv"]
    for value in (f"{inside}/??.csv", [f"{inside}/{number:02}.csv" for number in range(40)], [f"{inside}/??.csv"]):
        target = target_of(value, several=True)
        assert target.places == tuple(f"{inside}/{number:02}.csv" for number in range(MAX_PLACES))
        assert target.omitted == 8


def test_open_files(tmp_path):
    """Text and binary files, buffered or not, lead to their path; streams around a file do not."""
    path = tmp_path / "a.txt"
    path.write_text("a")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.txt")

    with path.open() as text, path.open("rb") as binary, path.open("rb", 0) as raw, path.open("r+b") as both:
        for file in (text, binary, raw, both):
            assert places(file) == [str(path)]
        descriptor = raw.fileno()
        with open(descriptor, "rb", closefd=False) as by_number:
            assert places(by_number) is None
    assert places(text) is None  # closed by now
    with gzip.open(tmp_path / "a.gz", "wb") as compressed, gzip.open(tmp_path / "b.gz", "wt") as compressed_text:
        assert places(compressed) is None
        assert places(compressed_text) is None
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.txt") as member:
        assert places(member) is None


def test_only_plain_files_and_folders_count_afterwards(tmp_path):
    """A path counts when there is a file or a folder; a pipe, a device and nothing at all do not."""
    import os

    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.touch()
    link = tmp_path / "link"
    link.symlink_to(file)

    target = target_of([str(p) for p in (pipe, file, link, tmp_path, tmp_path / "absent", os.devnull)], several=True)

    assert target.existing() == [str(file), str(link), str(tmp_path)]


@pytest.mark.parametrize("name", ["a?b.csv", "#a b%20.csv", "c:a.csv"])
def test_names_that_look_like_something_else(name, tmp_path, monkeypatch):
    """A name with marks of patterns, addresses and drives is the name of a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()

    assert target_of(name, several=True).existing() == [name]
