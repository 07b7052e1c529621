"""A disk that fails while the receiver is down: what cannot be kept is counted, exactly."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import disk
import pytest
from account import settle
from fault_programs import OFTEN, Plan, Program, run
from receiver import HttpReceiver, refused_port


@pytest.fixture
def nowhere():
    """An endpoint where nobody listens."""
    return f"http://localhost:{refused_port()}"


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The user's own folder, which serves where the spool cannot be used."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mlotel" / "spool"


def test_full_disk(mount, nowhere, folder):
    """What fits is on disk, whole; the rest is counted, and said once."""
    small = mount("size=512k")
    plan = Plan("mlotel", nowhere, spans=2000, per_s=1000, attributes=400, options={"spool": str(small / "spool")})
    result = run(plan, folder, environment=OFTEN)

    found = settle([result], [], [small / "spool"], lost=None)
    assert 0 < len(found["traces"].stored) < 2000
    assert found["traces"].lost == 2000 - len(found["traces"].stored)
    assert result.status == 0
    assert len(result.log.splitlines()) <= 4, result.log


def test_a_disk_that_has_room_again(mount, nowhere, folder):
    """Records made after room was made are kept again."""
    small = mount("size=512k")
    (small / "spool").mkdir(mode=0o700)
    filler = small / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(600_000))
    plan = Plan("mlotel", nowhere, spans=600, per_s=300, attributes=100, options={"spool": str(small / "spool")})
    program = Program(plan, folder, OFTEN)
    program.wait_for(300)
    filler.unlink()
    result = program.finish()

    found = settle([result], [], [small / "spool"], lost=None)
    assert 100 < len(found["traces"].stored) < 600


def test_a_limit_on_the_size_of_files(nowhere, folder, spool):
    """Where files may not grow past a limit (EFBIG), every record is whole on disk or counted."""

    def before():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    plan = Plan("mlotel", nowhere, spans=800, per_s=800, attributes=1000)
    result = run(plan, folder, environment=OFTEN, before=before)

    found = settle([result], [], [spool], lost=None)
    assert len(found["traces"].stored) > 100
    assert result.status == 0


def test_read_only_folder(mount, nowhere, folder, state):
    """A spool folder that cannot be written: the user's own folder serves, nothing is lost, and it is said."""
    if os.geteuid() == 0:  # whom permissions do not keep out
        locked = mount("ro")
    else:
        locked = folder / "locked"
        locked.mkdir(parents=True, mode=0o500)
    plan = Plan("mlotel", nowhere, spans=200, options={"spool": str(locked / "spool")})
    result = run(plan, folder)

    found = settle([result], [], [state])
    assert len(found["traces"].stored) == 200
    assert str(locked) in result.log


def test_neither_folder_can_be_written(mount, nowhere, folder, monkeypatch):
    """With no folder at all every record is counted as lost, and the program ends as ever."""
    locked = mount("ro")
    monkeypatch.setenv("XDG_STATE_HOME", str(locked))
    plan = Plan("mlotel", nowhere, spans=200, options={"spool": str(locked / "spool")})
    result = run(plan, folder)

    settle([result], [], [], lost={"traces": 200, "logs": 20})
    assert result.status == 0


def test_records_of_the_users_own_folder_are_delivered_too(mount, nowhere, folder, state):
    """What had to go to the user's own folder is delivered by the next program that has an endpoint."""
    locked = mount("ro")
    options = {"spool": str(locked / "spool")}
    first = run(Plan("mlotel", nowhere, spans=100, options=options), folder)
    with HttpReceiver() as receiver:
        second = Program(Plan("mlotel", receiver.endpoint, spans=5, ending="wait", options=options), folder, OFTEN)
        receiver.wait_for(lambda r: len(r.taken("traces")) >= 105 and len(r.taken("logs")) >= 11)
        second.go_on()
        second = second.finish()

        found = settle([first, second], [receiver], [state])
        assert found["traces"].stored == set()


@pytest.fixture
def torn(nowhere, folder, spool):
    """A file of spans whose last line was half written when the power went: ``(program, names that are gone)``."""
    result = run(Plan("mlotel", nowhere, spans=300, per_s=600), folder, environment=OFTEN)
    whole = disk.read(spool).ids("traces")
    [file] = [path for path in spool.glob("*.jsonl") if b"resourceSpans" in path.read_bytes()]
    content = file.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    file.write_bytes(content[: len(content) - len(last) // 2])
    gone = whole - disk.read(spool).ids("traces")
    assert 1 < len(gone) < 300
    return result, gone


def test_a_torn_last_line_is_skipped_and_said(torn, folder, spool):
    """The next program delivers the rest, once, says that a line was cut off, and is done with the file."""
    first, gone = torn
    with HttpReceiver() as receiver:
        second = Program(Plan("mlotel", receiver.endpoint, spans=5, ending="wait"), folder, OFTEN)
        receiver.wait_for(lambda r: len(r.taken("traces")) >= 305 - len(gone) and len(r.taken("logs")) >= 31)
        assert receiver.wait_for(lambda _: disk.read(spool).files == [], 5)
        second.go_on()
        second = second.finish()

        assert set(first.made["traces"]) - set(receiver.taken("traces")) == gone
        assert max(receiver.taken("traces").values()) == 1
        assert "cut off" in second.log
        assert second.last()["dropped"]["traces"] == 0, "what another process made is in no count of this one"


def test_a_torn_last_line_is_counted_by_the_command(torn, folder, spool):
    """`mlotel flush` tells what it sent and what was in the torn line, as far as that can still be seen."""
    _, gone = torn
    with HttpReceiver() as receiver:
        command = [Path(sys.executable).with_name("mlotel"), "flush", "--json", "--endpoint", receiver.endpoint]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        found = json.loads(done.stdout)["records"]["traces"]

        assert found["sent"] == len(receiver.taken("traces")) == 300 - len(gone)
        assert 1 <= found["torn"] <= len(gone)
        assert done.returncode == 1


def test_a_torn_line_in_the_middle_hides_nothing_after_it(nowhere, folder, spool):
    """What a crash of the machine left in the middle of a file is passed over."""
    first = run(Plan("mlotel", nowhere, spans=300, per_s=600), folder, environment=OFTEN)
    [file] = [path for path in spool.glob("*.jsonl") if b"resourceSpans" in path.read_bytes()]
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) >= 3
    lines[1] = lines[1][:50] + b"\0" * 40 + b"\n"
    file.write_bytes(b"".join(lines))
    kept = disk.read(spool).ids("traces")

    with HttpReceiver() as receiver:
        second = Program(Plan("mlotel", receiver.endpoint, spans=5, ending="wait"), folder, OFTEN)
        receiver.wait_for(lambda r: kept <= set(r.taken("traces")))
        second.go_on()
        second.finish()

        assert set(first.made["traces"]) & set(receiver.taken("traces")) == kept
