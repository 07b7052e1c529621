"""Files by their bytes; what is no readable regular file has no content id."""

import os
import socket
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from mlotel import artifacts
from mlotel.artifacts import file as file_kind

HOUR_NS = 3600 * 10**9


def identify(path, **options):
    return artifacts.identify(path, **options)


def settled(path, content):
    """A file with this content, written an hour ago."""
    path.write_bytes(content)
    then = time.time_ns() - HOUR_NS
    os.utime(path, ns=(then, then))
    return path


@pytest.fixture
def reads(monkeypatch):
    """How often a file was read; every file counts as large."""
    monkeypatch.setattr(file_kind, "_WORTH", 0)
    count = []
    read = file_kind._read
    monkeypatch.setattr(file_kind, "_read", lambda *arguments: count.append(1) or read(*arguments))
    return count


def test_names_and_places_do_not_count(tmp_path):
    """A copy elsewhere, a hard link and a symbolic link lead to the same artifact."""
    one = tmp_path / "one.bin"
    one.write_bytes(b"content" * 1000)
    (tmp_path / "folder").mkdir()
    copy = tmp_path / "folder" / "other.txt"
    copy.write_bytes(one.read_bytes())
    (tmp_path / "hard").hardlink_to(one)
    (tmp_path / "soft").symlink_to(one)

    found = {identify(path).id for path in (one, copy, tmp_path / "hard", tmp_path / "soft")}

    assert len(found) == 1
    assert identify(one).size == 7000


def test_any_path_object_will_do(tmp_path):
    """An os.PathLike of str or bytes and an entry of a folder are paths; a str is a plain value."""
    path = tmp_path / "data"
    path.write_bytes(b"content")

    class Raw(os.PathLike):
        def __fspath__(self):
            return os.fsencode(path)

    [entry] = [found for found in os.scandir(tmp_path) if found.name == "data"]
    assert identify(Raw()).id == identify(entry).id == identify(path).id
    assert identify(str(path)).id != identify(path).id


@pytest.mark.parametrize("what", ["missing", "pipe", "socket", "device", "dangling", "loop", "odd name"])
def test_what_is_no_regular_file(tmp_path, what):
    """Folders, special files and missing ones have scope none, at once: a pipe is not waited for."""
    path = tmp_path / "path"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        server = socket.socket(socket.AF_UNIX)
        os.chdir(tmp_path)  # socket paths are short
        server.bind("path")
        server.close()
    elif what == "device":
        path = Path("/dev/zero")
    elif what == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif what == "loop":
        path.symlink_to(path)
    elif what == "odd name":
        path = Path("a\0b")

    identity = identify(path)

    assert identity.scope == "none"
    assert identity.id.startswith("ref:")


def test_a_file_without_permission():
    """A file that may not be read has scope none. Root reads everything, and is somebody else for a moment."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "secret")
        path.write_bytes(b"x")
        path.chmod(0)
        identify(__file__)  # what has to be loaded may lie where nobody else looks
        if is_root:
            os.seteuid(65534)
        try:
            assert identify(path).scope == "none"
        finally:
            if is_root:
                os.seteuid(0)


def test_a_path_object_that_fails(tmp_path):
    """A path object that raises is no error."""

    class Broken(os.PathLike):
        def __fspath__(self):
            raise RuntimeError("broken")

    assert identify(Broken()).scope == "none"


def test_a_settled_file_is_read_once(tmp_path, reads):
    """An unchanged file is not read again; one with another size, time or inode is."""
    path = settled(tmp_path / "data", b"content")

    first = identify(path)
    assert identify(path) == first
    assert len(reads) == 1

    settled(path, b"changed")
    assert identify(path).id != first.id
    assert len(reads) == 2

    settled(tmp_path / "new", b"content").replace(path)
    assert identify(path) == first
    assert len(reads) == 3
    assert identify(path, algorithm="sha256").id.startswith("sha256:")
    assert len(reads) == 4


def test_a_file_changed_under_its_old_time_is_read_again(tmp_path):
    """A program that sets the modification time back does not hide a change."""
    path = settled(tmp_path / "data", b"content")
    first, before = identify(path), path.stat()

    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert identify(path).id != first.id


def test_a_file_written_just_now_is_not_remembered(tmp_path, reads):
    """Two writes within one tick of a file system's clock look alike, so fresh files are read each time."""
    path = tmp_path / "data"
    path.write_bytes(b"content")

    identify(path)
    identify(path)

    assert len(reads) == 2


def test_a_small_file_is_read_each_time(tmp_path):
    """To ask whether a file may be remembered takes longer than to read a small one."""
    path = settled(tmp_path / "data", b"content")

    first = identify(path)

    assert identify(path) == first
    assert not any(str(path) in map(str, key) for key in file_kind._known)


def test_what_is_remembered_is_bounded(tmp_path, monkeypatch):
    """However many files there are, only so many identities are kept."""
    monkeypatch.setattr(file_kind, "_REMEMBERED", 3)
    monkeypatch.setattr(file_kind, "_WORTH", 0)
    for number in range(10):
        identify(settled(tmp_path / str(number), str(number).encode()))
    assert len(file_kind._known) == 3


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    """Growing or being overwritten during the read gives scope none."""
    path = settled(tmp_path / "data", b"x" * 100)
    read = file_kind._read
    for change in (b"y", b"z" * 100):

        def read_then_change(*arguments, change=change):
            count = read(*arguments)
            with path.open("ab" if len(change) == 1 else "r+b") as file:
                file.write(change)
            return count

        monkeypatch.setattr(file_kind, "_read", read_then_change)
        assert identify(path).scope == "none"
    monkeypatch.setattr(file_kind, "_read", read)
    assert identify(path).scope == "full"


def test_a_file_that_a_thread_keeps_writing(tmp_path):
    """Whatever is found while another thread writes, identify() returns."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    done = threading.Event()

    def write():
        with path.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"line\n" * 100)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert {identify(path).scope for _ in range(20)} <= {"full", "none"}
    finally:
        done.set()
        thread.join()
    assert identify(path).scope == "full"


def test_large_and_sparse_files_take_little_memory(tmp_path):
    """A sparse file of 64 MB is its zeros, read in pieces."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        sparse = identify(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (tmp_path / "zeros").write_bytes(bytes(64 << 20))

    assert peak < 4 << 20
    assert sparse.id == identify(tmp_path / "zeros").id
    assert sparse.size == 64 << 20
