"""Every format that carries stamps answers the same questions; its library reads the files back."""

import os
import random
import shutil
import stat
import subprocess
import sys
from dataclasses import replace

import pytest
from carrier_cases import CASES, OTHER, STAMP, listed, same

from mlotel import _plugins
from mlotel.artifacts import carriers
from mlotel.artifacts.carriers import _files

FORMATS = {case.format: case for case in reversed(CASES)}


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture(params=FORMATS.values(), ids=list(FORMATS))
def one_each(request):
    return request.param


@pytest.fixture
def path(request, tmp_path):
    case = request.getfixturevalue("case" if "case" in request.fixturenames else "one_each")
    path = tmp_path / case.file
    case.make(path)
    return path


def refused(path, stamp=STAMP):
    """The file stays as it was, and embedding says so."""
    before = path.read_bytes()
    assert carriers.embed(path, stamp) is False
    assert path.read_bytes() == before
    assert not any(name.startswith(".mlotel-") for name in listed(path.parent))


def test_every_format_of_the_folder_is_asked():
    """No format is missing from the cases, and its suffixes lead to it."""
    assert sorted(FORMATS) == _plugins.names("artifacts.carriers")
    for name in FORMATS:
        for suffix in _plugins.load("artifacts.carriers", name).SUFFIXES:
            assert carriers.format_of(f"some/file{suffix}") == name
            assert carriers.format_of(f"some/FILE{suffix.upper()}") == name


def test_a_fresh_file_has_no_stamp(case, path):
    """A file that nobody stamped has none, and that is nothing to be counted."""
    before = carriers.ignored()

    assert carriers.stamp_of(path) is None
    assert carriers.ignored() == before


def test_a_stamp_comes_back_and_the_content_stays(case, path):
    """The libraries read the same from a stamped file, and show the stamp where the format keeps metadata."""
    before = case.content(path)

    assert carriers.embed(path, STAMP) is True

    assert carriers.stamp_of(path) == (STAMP, "embedded")
    assert case.shown(path) == STAMP.to_json()
    assert same(case.content(path), before)


def test_the_latest_stamp_replaces_the_earlier_one(case, path):
    """A file has one stamp, and does not grow when it is stamped again and again."""
    carriers.embed(path, STAMP)
    once = path.read_bytes()
    content = case.content(path)

    assert carriers.embed(path, OTHER)
    assert carriers.stamp_of(path) == (OTHER, "embedded")
    assert case.shown(path) == OTHER.to_json()
    for _ in range(3):
        assert carriers.embed(path, STAMP)

    assert len(path.read_bytes()) == len(once)
    assert same(case.content(path), content)


def test_a_stamp_moves_with_its_file(one_each, path, tmp_path):
    """A file that was moved, renamed and copied still says who wrote it."""
    carriers.embed(path, STAMP)
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / f"renamed{path.suffix}")
    copied = shutil.copy(moved, tmp_path / f"copy{path.suffix}")

    assert carriers.stamp_of(moved) == carriers.stamp_of(str(copied)) == (STAMP, "embedded")
    assert carriers.stamp_of(os.fsencode(moved)) == (STAMP, "embedded")


def test_the_files_own_id_is_never_inside_it(one_each, path):
    """What is embedded names the content only: the file's hash is another one with the stamp in it."""
    assert carriers.embed(path, replace(STAMP, file_id="xxh3:" + "1" * 32))
    assert carriers.stamp_of(path) == (STAMP, "embedded")

    refused(path, replace(STAMP, content_id=None, data_id=None, file_id="xxh3:" + "1" * 32))


def test_what_is_not_content_stays_too(one_each, path):
    """Mode, owner, modification time and extended attributes are those of the file before."""
    path.chmod(0o640)
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_600_000_000_123_456_789))
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        attributes = []
    else:
        attributes = ["user.note"]
    before = path.stat()

    assert carriers.embed(path, STAMP)

    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_mtime_ns == 1_600_000_000_123_456_789
    assert [name for name in os.listxattr(path) if name.startswith("user.")] == attributes


def test_a_symbolic_link_stays_one(one_each, path, tmp_path):
    """The file that a link leads to is stamped, and the link still leads there."""
    link = tmp_path / f"link{path.suffix}"
    link.symlink_to(path.name)

    assert carriers.embed(link, STAMP)

    assert link.is_symlink()
    assert str(link.readlink()) == path.name
    assert carriers.stamp_of(path) == carriers.stamp_of(link) == (STAMP, "embedded")


def test_a_file_of_several_names_is_left_alone(one_each, path, tmp_path):
    """A hard-linked file would come apart, so it is not stamped."""
    os.link(path, tmp_path / "second name")

    refused(path)


def test_a_write_protected_file_is_left_alone(one_each, path):
    """Who takes the right to write away means it."""
    path.chmod(0o444)

    refused(path)


def test_what_is_no_file_is_left_alone(one_each, tmp_path):
    """Nothing, a folder, a pipe, a broken link, a loop of links, an impossible name: no stamp, no wait, no error."""
    suffix = "." + one_each.file.rpartition(".")[2]
    (tmp_path / f"folder{suffix}").mkdir()
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"broken{suffix}").symlink_to("nowhere")
    (tmp_path / f"loop{suffix}").symlink_to(f"loop{suffix}")
    names = ["nothing", "folder", "pipe", "broken", "loop", "zero\0byte", "half \ud800", "x" * 300]
    before = carriers.ignored()

    for name in names:
        assert carriers.stamp_of(f"{tmp_path}/{name}{suffix}") is None

    assert carriers.ignored() == before
    for name in names:
        assert carriers.embed(f"{tmp_path}/{name}{suffix}", STAMP) is False
    assert carriers.ignored()[one_each.format, "not_written"] >= len(names)


def test_other_formats_under_the_suffix_are_left_alone(one_each, tmp_path):
    """A file of another format, an empty one and a text have no stamp and get none."""
    suffix = "." + one_each.file.rpartition(".")[2]
    for other in FORMATS.values():
        if other is not one_each:
            path = tmp_path / f"{other.format}{suffix}"
            other.make(tmp_path / other.file)
            path.write_bytes((tmp_path / other.file).read_bytes())
            assert carriers.stamp_of(path) is None
            refused(path)
    for text in (b"", b"\0", b"a,b\n1,2\n", b"{}", b"PAR1", b"ARROW1", b"\x89PNG\r\n\x1a\n", b"\xff" * 64, b"\0" * 64):
        path = tmp_path / f"text{suffix}"
        path.write_bytes(text)
        assert carriers.stamp_of(path) is None
        refused(path)


def test_truncated_files(one_each, path):
    """A file cut anywhere has the right stamp or none; stamping it works or leaves it as it is."""
    carriers.embed(path, STAMP)
    whole = path.read_bytes()
    places = sorted({*range(0, len(whole), 1 + len(whole) // 400), *range(max(0, len(whole) - 40), len(whole))})

    for number, length in enumerate(places):
        path.write_bytes(whole[:length])
        assert carriers.stamp_of(path) in (None, (STAMP, "embedded"))
        if number % 20 == 0 and not carriers.embed(path, OTHER):
            assert path.read_bytes() == whole[:length]


def test_damaged_files(one_each, path):
    """Bytes that were changed anywhere never raise, and never make an embedding destroy what is there."""
    carriers.embed(path, STAMP)
    whole = path.read_bytes()
    chance = random.Random(one_each.format)
    key = whole.rindex(b"mlotel")
    near = range(max(0, key - 200), min(len(whole), key + 600))

    for number in range(600):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.choice(near) if number % 2 else chance.randrange(len(whole))] = chance.choice([0, 255, 127])
        path.write_bytes(damaged)
        found = carriers.stamp_of(path)
        assert found is None or found[1] == "embedded"
        if number % 20 == 0 and not carriers.embed(path, OTHER):
            assert path.read_bytes() == damaged


def test_a_full_disk_leaves_the_file_as_it_was(one_each, path):
    """When the copy cannot be written to its end, the original is untouched and no rest lies about."""
    program = (
        "import resource, sys\n"
        "from mlotel.artifacts import carriers\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"stamp = carriers.Stamp({STAMP.traceparent!r}, content_id={STAMP.content_id!r})\n"
        "sys.exit(carriers.embed(sys.argv[1], stamp))\n"
    )
    before = path.read_bytes()

    assert subprocess.run([sys.executable, "-c", program, str(path)], timeout=30).returncode == 0

    assert path.read_bytes() == before
    assert listed(path.parent) == [path.name]


@pytest.mark.parametrize("change", ["grows", "is replaced", "is written anew"])
def test_a_file_that_changes_meanwhile_is_left_alone(tmp_path, change):
    """What another program writes while a stamp is embedded is not lost."""
    case = FORMATS["safetensors"]
    path = tmp_path / case.file
    case.make(path)
    safetensors = _plugins.load("artifacts.carriers", "safetensors")

    def plan(view, text):
        pieces = safetensors._plan(view, text)
        if change == "grows":
            with path.open("ab") as file:
                file.write(b"more")
        elif change == "is replaced":
            (tmp_path / "new").write_bytes(b"new")
            (tmp_path / "new").replace(path)
        else:
            path.write_bytes(b"\0" * path.stat().st_size)
        return pieces

    assert not _files.write_stamp("safetensors", path, STAMP, safetensors._find, plan)

    expected = {"grows": b"more", "is replaced": b"new", "is written anew": b"\0" * 8}
    assert path.read_bytes().endswith(expected[change])
    assert carriers.stamp_of(path) is None
    assert listed(tmp_path) == [path.name]


def test_an_edit_that_cannot_be_read_back_is_thrown_away(tmp_path):
    """A copy without a readable stamp never takes the place of the file."""
    case = FORMATS["png"]
    path = tmp_path / case.file
    case.make(path)
    png = _plugins.load("artifacts.carriers", "png")

    unchanged = [(0, path.stat().st_size)]
    assert not _files.write_stamp("png", path, STAMP, png._find, lambda *_: unchanged)
    refused(path.rename(tmp_path / "x.csv"))


def test_readers_of_the_old_file_go_on(one_each, path):
    """Who has the file open or mapped still reads what was there."""
    before = path.read_bytes()
    with path.open("rb") as file:
        file.read(10)
        assert carriers.embed(path, STAMP)
        assert file.read() == before[10:]


def test_the_digest_of_the_rest_knows_no_stamp(case, path):
    """Without a stamp, with one and with another one, the rest of the file has the same digest, by every hash."""

    def digests():
        return [carriers.data_id(path, scheme=scheme) for scheme in ("xxh3", "sha256")]

    before = digests()
    assert carriers.embed(path, STAMP)
    assert digests() == before
    assert carriers.embed(path, OTHER)
    assert digests() == before
    assert None not in before


def test_a_stamp_says_what_it_was_told(one_each, path):
    """Embedding claims nothing by itself: a stamp that was copied from another file does not hold for this one."""
    assert carriers.embed(path, replace(STAMP, data_id=None))
    assert carriers.stamp_of(path)[0].data_id is None
    assert carriers.verify(carriers.stamp_of(path)[0], path=path).status == "unknown"
    assert carriers.embed(path, STAMP)
    assert carriers.verify(carriers.stamp_of(path)[0], path=path).status == "stale"
    assert carriers.embed(path, replace(STAMP, data_id=carriers.data_id(path)))
    assert carriers.verify(carriers.stamp_of(path)[0], path=path).status == "matches"


def test_the_digest_of_the_rest_knows_every_byte(one_each, path):
    """One bit that was changed anywhere outside of the stamp makes another digest, or a file that is none."""
    whole = path.read_bytes()
    before = carriers.data_id(path)
    for place in range(0, len(whole), max(1, len(whole) // 300)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert carriers.data_id(path) != before, place


def test_no_library_is_loaded(one_each, path):
    """Stamps are read and written without the library of the format."""
    program = (
        "import sys\n"
        "from mlotel.artifacts import carriers\n"
        f"stamp = carriers.Stamp({STAMP.traceparent!r}, data_id=carriers.data_id(sys.argv[1]))\n"
        "assert carriers.embed(sys.argv[1], stamp)\n"
        "stamp, evidence = carriers.stamp_of(sys.argv[1])\n"
        "assert evidence == 'embedded'\n"
        "assert carriers.verify(stamp, path=sys.argv[1]).status == 'matches'\n"
        "heavy = {'numpy', 'pyarrow', 'polars', 'pandas', 'safetensors', 'onnx', 'PIL', 'opentelemetry', 'sqlite3'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=30)


def test_the_mode_is_never_wider_on_the_way(one_each, path):
    """A file for its owner only is for its owner only afterwards."""
    path.chmod(0o600)
    assert carriers.embed(path, STAMP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
