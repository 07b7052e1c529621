"""The spool's files: whose they are, when the next one begins, and what happens when the disk says no."""

import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spool_files

from mlotel.export import spool
from mlotel.export._ledger import Ledger
from mlotel.export.spool import FILE_NAME, SpoolFullError, SpoolTarget, SpoolWriter

LINE = b'{"resourceSpans":[{"x":"' + b"0" * 71 + b'"}]}\n'  # 100 bytes


def made_spans(number=1, **attributes):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for _ in range(number):
        provider.get_tracer("t").start_span("s", attributes=attributes).end()
    return list(kept.get_finished_spans())


def files(folder):
    return sorted(folder.glob("*.jsonl"))


def test_nothing_is_made_before_the_first_line(tmp_path):
    """The folder and the file appear with the first line, for the owner only; .mlotel keeps itself out of git."""
    folder = tmp_path / ".mlotel" / "spool"
    writer = SpoolWriter(folder)
    assert (writer.file, folder.exists()) == (None, False)

    writer.write(LINE, {"traces": 1})

    assert writer.file.read_bytes() == LINE
    assert FILE_NAME.match(writer.file.name)
    assert f"-{os.getpid()}-" in writer.file.name
    assert stat.S_IMODE(writer.file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
    assert (folder.parent / ".gitignore").read_text() == "*\n"
    writer.close()


def test_an_existing_gitignore_stays(tmp_path):
    """A .gitignore of the user's is not touched, and other folders get none."""
    (tmp_path / ".mlotel").mkdir()
    (tmp_path / ".mlotel" / ".gitignore").write_text("mine\n")
    for folder in (tmp_path / ".mlotel" / "spool", tmp_path / "other" / "spool"):
        writer = SpoolWriter(folder)
        writer.write(LINE, {"traces": 1})
        writer.close()

    assert (tmp_path / ".mlotel" / ".gitignore").read_text() == "mine\n"
    assert not (tmp_path / "other" / ".gitignore").exists()


def test_the_next_part_begins_at_the_limit(tmp_path):
    """Parts are numbered, none is over its limit, and no line is split."""
    writer = SpoolWriter(tmp_path, max_file_bytes=250, max_total_bytes=10_000)
    for _ in range(10):
        writer.write(LINE, {"traces": 1})
    writer.close()

    assert [file.name.rpartition(".jsonl")[0][-3:] for file in files(tmp_path)] == [f"00{n}" for n in range(1, 6)]
    assert [file.stat().st_size for file in files(tmp_path)] == [200] * 5
    assert all(file.read_bytes().endswith(b"\n") for file in files(tmp_path))


def test_the_folder_stays_below_its_limit(tmp_path, caplog):
    """The oldest files go first; what is not a spool file stays, and what was in own parts is counted as evicted."""
    (tmp_path / "notes.jsonl").write_bytes(b"x" * 900)
    old = tmp_path / "otherhost-17-20200101T000000-abcdef.001.jsonl"
    old.write_bytes(b"x" * 300)
    os.utime(old, (1, 1))
    ledger = Ledger()
    target = SpoolTarget("traces", SpoolWriter(tmp_path, max_file_bytes=1000, max_total_bytes=3000), ledger)
    spans = made_spans(40)

    outcomes = [target([span]) for span in spans]

    assert sum(outcome.spooled for outcome in outcomes) == 40
    assert not old.exists()
    assert (tmp_path / "notes.jsonl").exists()
    ours = [file for file in files(tmp_path) if FILE_NAME.match(file.name)]
    assert sum(file.stat().st_size for file in ours) <= 3000
    on_disk = sum(len(file.read_bytes().splitlines()) for file in ours)
    for outcome in outcomes:
        ledger.write("traces", outcome)
    assert ledger.result().spooled["traces"] == on_disk < 40
    assert ledger.result().dropped["traces"] == 40 - on_disk
    assert caplog.text.count("reached its limit") == 1
    target.close()


def test_files_that_living_processes_write_are_never_removed(tmp_path):
    """A file in use elsewhere stays even when it is the oldest; with nothing left to remove the line is refused."""
    code = (
        "import sys; from pathlib import Path; from mlotel.export.spool import SpoolWriter\n"
        f"writer = SpoolWriter(Path({str(tmp_path)!r}))\n"
        f"writer.write({LINE * 8!r}, {{'traces': 1}}); print(writer.file, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    theirs = Path(other.stdout.readline().strip())
    os.utime(theirs, (1, 1))
    writer = SpoolWriter(tmp_path, max_file_bytes=200, max_total_bytes=1000)

    writer.write(LINE, {"traces": 1})
    assert theirs.exists()
    writer.write(LINE, {"traces": 1})
    with pytest.raises(SpoolFullError):
        SpoolWriter(tmp_path, max_file_bytes=200, max_total_bytes=900).write(LINE, {"traces": 1})

    other.communicate("", timeout=10)
    writer.write(LINE, {"traces": 1})
    assert not theirs.exists()
    writer.close()


@pytest.fixture
def unwritable(tmp_path):
    """A folder that cannot be made, also not by root: what should be its parent is a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "spool"


def test_unwritable_folder_falls_back_to_the_users_own(unwritable, caplog):
    """Records go to the user's state folder, and one warning says so and names the way out."""
    writer = SpoolWriter(unwritable)
    for _ in range(3):
        writer.write(LINE, {"traces": 1})

    assert writer.folder == Path(os.environ["XDG_STATE_HOME"]) / "mlotel" / "spool"
    assert len(writer.file.read_bytes().splitlines()) == 3
    assert caplog.text.count(f"cannot write to {unwritable}") == 1
    assert "MLOTEL_SPOOL" in caplog.text
    writer.close()


def test_no_folder_at_all_drops_and_counts(unwritable, caplog, monkeypatch):
    """When the state folder cannot be used either, records are dropped with a reason and one warning."""
    monkeypatch.setenv("XDG_STATE_HOME", str(unwritable))
    target = SpoolTarget("traces", SpoolWriter(unwritable), Ledger())

    outcomes = [target([span]) for span in made_spans(3)]

    assert [dict(outcome.dropped) for outcome in outcomes] == [{"spool_unusable": 1}] * 3
    assert caplog.text.count("mlotel cannot keep its records") == 1


def test_a_user_without_a_home_loses_no_more_than_records(unwritable, caplog, monkeypatch):
    """No HOME, and nobody by this user id: records are dropped with the reason that counts, and one warning."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 5)

    outcome = SpoolTarget("traces", SpoolWriter(unwritable), Ledger())(made_spans(2))

    assert dict(outcome.dropped) == {"spool_unusable": 2}
    assert "cannot keep its records" in caplog.text


def test_relative_state_home_is_ignored(monkeypatch, unwritable, tmp_path):
    """A relative XDG_STATE_HOME does not count; the home folder does."""
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    writer = SpoolWriter(unwritable)
    writer.write(LINE, {"traces": 1})

    assert writer.folder == Path(os.environ["HOME"]) / ".local" / "state" / "mlotel" / "spool"
    writer.close()


def test_full_disk_leaves_no_torn_line(tmp_path):
    """A write that the file system cuts off is undone and counted; records after it are written again."""
    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_export_spool import made_spans
from mlotel.export._ledger import Ledger
from mlotel.export.spool import SpoolTarget, SpoolWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = SpoolTarget("traces", SpoolWriter(Path({str(tmp_path)!r})), Ledger())
small, large = made_spans(1), made_spans(1, text="x" * 1500)
print(target(small).spooled)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))  # a limit that cuts a write in the middle
print(dict(target(large * 2).dropped), target(small).spooled)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")

    assert output[:2] == ["1", "{'spool_full': 2} 1"]
    [file] = files(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    assert all(line.endswith(b"]}\n") for line in lines)


def test_a_folder_that_was_removed_is_made_again(tmp_path):
    """Whoever deletes the spool under a running program loses what was in it, and nothing after that."""
    import shutil

    writer = SpoolWriter(tmp_path / "spool")
    writer.write(LINE, {"traces": 1})
    shutil.rmtree(tmp_path / "spool")
    writer.write(LINE, {"traces": 1})

    assert [file.read_bytes() for file in files(tmp_path / "spool")] == [LINE]
    writer.close()


def test_record_that_cannot_be_encoded_costs_itself_only(tmp_path, caplog):
    """One span with an impossible timestamp is dropped and counted; the others of its batch are written."""
    spans = made_spans(3)
    spans[1]._links = [object()]
    target = SpoolTarget("traces", SpoolWriter(tmp_path), Ledger())

    outcome = target(spans)

    assert (outcome.spooled, dict(outcome.dropped)) == (2, {"encode": 1})
    assert "could not write some traces as OTLP/JSON" in caplog.text
    target.close()


def test_writing_is_durable_before_it_is_counted(tmp_path, monkeypatch):
    """A line counts as spooled after fsync; an fsync that fails is a failure."""
    calls = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(descriptor), real(descriptor)))
    writer = SpoolWriter(tmp_path)
    writer.write(LINE, {"traces": 1})
    assert len(calls) == 2  # the line, and the folder that has a new name in it
    writer.close()
    hasty = SpoolWriter(tmp_path, is_synced=False)
    hasty.write(LINE, {"traces": 1})
    hasty.close()
    assert len(calls) == 2
    writer = SpoolWriter(tmp_path)
    writer.write(LINE, {"traces": 1})

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        writer.write(LINE, {"traces": 1})
    assert writer.file.read_bytes() == LINE
    writer.close()


def test_spooling_is_fast_enough(tmp_path):
    """A batch of 512 spans is on disk in well under a second of processor time."""
    spans = made_spans(512, a=1, b="two", c=3.0)
    target = SpoolTarget("traces", SpoolWriter(tmp_path), Ledger())
    began = time.thread_time()
    target(spans)

    assert time.thread_time() - began < 0.5
    target.close()


CROWD = """
import sys
from pathlib import Path
from mlotel.export.spool import SpoolFullError, SpoolWriter
writer = SpoolWriter(Path(sys.argv[1]), is_synced=False, max_total_bytes=2_000_000)
line = b'{"resourceSpans":[' + b" " * 2_000 + b"]}\\n"
print("ready", flush=True)
sys.stdin.readline()
lost = 0
for _ in range(600):
    try:
        writer.write(line, {"traces": 1})
    except SpoolFullError:
        lost += 1
print(lost, flush=True)
"""


def test_many_writers_keep_to_one_limit(tmp_path):
    """Eight processes that write at once share the room: the folder never grows beyond its limit."""
    folder = tmp_path / "spool"
    command = [sys.executable, "-c", CROWD, folder]
    crowd = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for process in crowd:
        assert process.stdout.readline() == "ready\n"
    for process in crowd:
        process.stdin.write("\n")
        process.stdin.flush()
    largest = 0
    while any(process.poll() is None for process in crowd):
        sizes = []
        for path in folder.glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        largest = max(largest, sum(sizes))
        time.sleep(0.002)
    for process in crowd:
        process.communicate()

    assert 1_000_000 < largest <= 2_000_000


def test_the_more_write_the_sooner_each_looks_again(tmp_path):
    """With seven others that live, a writer notices after a sixteenth of a part that the folder is full."""
    others = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(7)]
    writer = SpoolWriter(tmp_path, is_synced=False, max_total_bytes=800_000)
    for other in others:
        spool_files.put(tmp_path, [LINE], pid=other.pid)
    writer.write(LINE, {"traces": 1})
    full = spool_files.put(tmp_path, [b" " * 800_000], changed=1e9)
    lines = 0
    while full.exists():
        writer.write(LINE, {"traces": 1})
        lines += 1
    for other in others:
        other.communicate(b"\n")
    writer.close()

    assert lines <= 100_000 / 16 / len(LINE) + 2


def test_room_is_made_under_a_lock(tmp_path, monkeypatch):
    """A file that somebody takes to deliver it while room is made is not removed under his hands, and the reverse."""
    folder = tmp_path / "spool"
    old = SpoolWriter(folder, pending=True, max_total_bytes=10_000, max_file_bytes=4_000)
    old.write(b"x" * 3_999 + b"\n", {"traces": 1})
    old.close()
    descriptor = os.open(old.file, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    writer = SpoolWriter(folder, max_total_bytes=10_000, max_file_bytes=4_000)
    writer.write(b"y" * 3_999 + b"\n", {"traces": 1})
    writer.write(b"z" * 3_999 + b"\n", {"traces": 1})
    assert old.file.exists(), "the newer one had to go, since nobody was at it"
    os.close(descriptor)

    states = []
    unlink = Path.unlink

    def watched(path, missing_ok=False):
        if path == old.file:
            other = os.open(path, os.O_RDONLY)
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(other)
            states.append("locked")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    writer.write(b"z" * 3_999 + b"\n", {"traces": 1})
    assert states == ["locked"]


def test_a_part_that_is_removed_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    """Between making a file and locking it somebody else may remove it: no line goes into a file without a name."""
    folder = tmp_path / "spool"
    locks = []

    def late(descriptor):
        if not locks:
            for path in folder.glob("*.jsonl"):
                path.unlink()
        locks.append(descriptor)

    monkeypatch.setattr(spool, "lock", late)
    writer = SpoolWriter(folder, is_synced=False)
    writer.write(LINE, {"traces": 1})

    assert writer.file.read_bytes() == LINE
    assert len(locks) == 2
    writer.close()
