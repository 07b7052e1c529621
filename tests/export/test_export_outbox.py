"""Which spool files may be sent, by whom, and how far each has come."""

import json
import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spool_files
from spool_files import inside

from mlotel.export import _claims
from mlotel.export._claims import InUseError
from mlotel.export._outbox import Outbox, Place
from mlotel.export.spool import SpoolWriter

LINE = b'{"resourceSpans":[]}\n'
# Forking while other threads run is what is tested here; Python 3.12 and later warn of it.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
HOUR = 3600
MARKS_OF_NOBODY = [
    "", "21", "{", "[1]", '{"traces":7}', '{"traces":["x"]}', "\0" * 9, "[" * 4000, '{"traces":"21"}',
    '{"traces":[-1,0]}', '{"traces":[1e999,0]}', '{"traces":[9999999999999999999999,0]}', '{"traces":[20,0]}',
    '{"traces":[22,0]}', '{"traces":[true,0]}', '{"traces":[21.0,0]}', '{"traces":[21,-3]}', '{"traces":[NaN,0]}',
    '{"traces":[21,0],"aside":7}', '{"traces":[21,0],"aside":{"traces":[[0]]}}',
    '{"traces":[21,0],"aside":{"traces":[[0,0,1,1e999,0]]}}', '{"traces":[21,0],"aside":{"traces":[[-9,0,1,1,1]]}}',
]  # fmt: skip


def names(found):
    return [file.path.name for file in found]


@pytest.fixture(params=["locks", "no locks"])
def locks(request, monkeypatch):
    """A file system with locks, and one without, where Python has no fcntl either."""
    if request.param == "no locks":
        monkeypatch.setattr(_claims, "fcntl", None)
    return request.param


def test_pending_files_wait_oldest_first(folder):
    """Local recordings do not, unless they are asked for."""
    now = time.time()
    middle = spool_files.put(folder, [LINE], unique="000002", changed=now - 200)
    newest = spool_files.put(folder, [LINE], unique="000001", changed=now - 100)
    oldest = spool_files.put(folder, [LINE], unique="000003", changed=now - 300)
    recording = spool_files.put(folder, [LINE], unique="000004", pending=False, changed=now - 400)

    assert names(Outbox(folder).waiting()) == [oldest.name, middle.name, newest.name]
    assert names(Outbox(folder, recordings=True).waiting())[0] == recording.name


def test_parts_of_one_writer_keep_their_order_within_one_tick_of_the_clock(folder):
    """Equal times are told apart by name."""
    made = [spool_files.put(folder, [LINE], part=part, changed=1e9) for part in (2, 3, 1)]

    assert names(Outbox(folder).waiting()) == [made[2].name, made[0].name, made[1].name]


def test_what_is_no_spool_file_is_not_looked_at(tmp_path):
    """Links, pipes, sockets, folders and other names are neither opened nor followed nor removed."""
    elsewhere = spool_files.put(tmp_path / "elsewhere", [LINE])
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / spool_files.name(unique="00000a")).symlink_to(elsewhere)
    os.mkfifo(folder / spool_files.name(unique="00000b"))
    (folder / spool_files.name(unique="00000c")).mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)  # the name of a socket has 108 bytes at most
        listener.bind(spool_files.name(unique="00000d"))
    foreign = ["notes.jsonl", "notes.jsonl.sent", "box-1-2-abcdef.001.pending.jsonl", f"{elsewhere.name}.bak"]
    for name in foreign:
        (folder / name).write_bytes(LINE)
    before = inside(folder)

    assert Outbox(folder, recordings=True).waiting() == []
    assert inside(folder) == before
    assert elsewhere.exists()


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(tmp_path):
    """Also when it does so after the folder was listed."""
    secret = tmp_path / "secret"
    secret.write_bytes(LINE)
    path = spool_files.put(tmp_path / "spool", [LINE])
    outbox = Outbox(tmp_path / "spool")
    [found] = outbox.waiting()
    path.unlink()
    path.symlink_to(secret)

    with pytest.raises(OSError, match="symbolic links"):
        outbox.take(found)
    assert secret.read_bytes() == LINE


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give files away")
def test_the_superuser_sends_everybodys_files_and_others_only_their_own(folder):
    """A file that another user put into a shared folder is not sent under our name."""
    folder.chmod(0o777)
    ours, theirs = (spool_files.put(folder, [LINE], unique=unique) for unique in ("00000a", "00000b"))
    for path, user in ((ours, 65_534), (theirs, 12_345)):
        path.chmod(0o666)
        os.chown(path, user, user)
    assert names(Outbox(folder).waiting()) == [ours.name, theirs.name]
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)  # what is above it may be closed to others
            os.setuid(65_534)
            os._exit(0 if names(Outbox(Path()).waiting()) == [ours.name] else 1)
        finally:
            os._exit(2)

    assert os.waitpid(child, 0)[1] == 0


def test_a_file_is_taken_by_one(folder, locks):
    """While it is held nobody else can take it, in this process or another; afterwards somebody can."""
    spool_files.put(folder, [LINE])
    outbox, other = Outbox(folder), Outbox(folder)
    [found] = outbox.waiting()

    with outbox.take(found), pytest.raises(InUseError):
        other.take(found)
    with other.take(found) as held:
        assert held.file.read() == LINE
    assert names(other.waiting()) == inside(folder), "nothing is left beside it"


def test_a_claim_ends_with_the_process_that_made_it(folder, locks):
    """A process that is killed while it holds a file does not keep others from it."""
    spool_files.put(folder, [LINE])
    [found] = Outbox(folder).waiting()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        Outbox(folder).take(found)
        os.write(writing, b"x")
        signal.pause()
    os.read(reading, 1)
    with pytest.raises(InUseError):
        Outbox(folder).take(found)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    Outbox(folder).take(found).close()

    os.close(reading)
    os.close(writing)


def test_a_forked_child_does_not_keep_the_claim_of_its_parent(folder):
    """A child that lives on does not hold what its parent held when it was forked."""
    spool_files.put(folder, [LINE])
    outbox = Outbox(folder)
    [found] = outbox.waiting()
    reading, writing = os.pipe()
    with outbox.take(found) as held:
        child = os.fork()
        if child == 0:
            os.write(writing, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(reading, 1)
        assert held.file.read() == LINE, "the parent goes on"
    try:
        outbox.take(found).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_the_part_that_is_being_written_is_left_alone(folder):
    """A part belongs to its writer until that ends it; then it can be taken, though the process lives on."""
    writer = SpoolWriter(folder, pending=True)
    writer.write(LINE, {"traces": 1})
    outbox = Outbox(folder)
    [found] = outbox.waiting()

    with pytest.raises(InUseError, match="another process writes or sends it"):
        outbox.take(found)
    writer.rotate()
    outbox.take(found).close()
    writer.close()


def test_a_part_that_was_just_made_is_not_locked_away_from_its_writer(folder):
    """Between the making of a file and its lock nobody else takes the lock; an empty file that is old can be taken."""
    path = spool_files.put(folder, [], pid=os.getpid())
    outbox = Outbox(folder)
    [found] = outbox.waiting()
    with pytest.raises(InUseError, match="may have just made"):
        outbox.take(found)

    os.utime(path, (time.time() - 2 * HOUR,) * 2)

    outbox.take(found).close()


def living(code, *arguments):
    """A process that runs ``code``, prints a line, and then waits to be told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}\nprint('ready', flush=True)\nsys.stdin.read()", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    process.stdin.close()
    process.stdout.close()
    assert process.wait(30) == 0


def test_files_of_other_processes_are_theirs_while_they_live(folder, locks):
    """Also the parts that they have ended: they count what becomes of their records themselves."""
    other = living(
        "import sys; from pathlib import Path; from mlotel.export.spool import SpoolWriter\n"
        f"writer = SpoolWriter(Path(sys.argv[1]), pending=True); writer.write({LINE!r}, {{'traces': 1}})\n"
        f"writer.rotate(); writer.write({LINE!r}, {{'traces': 1}})",
        folder,
    )
    outbox = Outbox(folder)
    waiting = outbox.waiting()
    assert len(waiting) == 2
    for found in waiting:
        with pytest.raises(InUseError, match=str(other.pid)):
            outbox.take(found)

    end(other)

    for found in waiting:
        outbox.take(found).close()


def test_a_process_id_that_was_given_away_again_keeps_nothing(folder):
    """A process that began after the file did not write it."""
    other = living("import sys")
    before = spool_files.put(folder, [LINE], pid=other.pid, start="20200101T000000", unique="00000a")
    after = spool_files.put(folder, [LINE], pid=other.pid, start="20990101T000000", unique="00000b")
    outbox = Outbox(folder)
    for found in outbox.waiting():
        if found.path == before:
            outbox.take(found).close()
        else:
            assert found.path == after
            with pytest.raises(InUseError, match="is running"):
                outbox.take(found)

    end(other)


def test_files_of_other_hosts_are_taken_by_their_lock(folder):
    """On a file system of this machine a lock says all: containers share folders, and change their names."""
    spool_files.put(folder, [LINE], host="another-host", pid=os.getpid())
    outbox = Outbox(folder)
    [found] = outbox.waiting()

    outbox.take(found).close()


def test_without_trust_in_locks_files_of_other_hosts_have_to_rest_for_an_hour(folder, monkeypatch):
    """Where there are no locks, or the folder is one that other machines see, too."""
    path = spool_files.put(folder, [LINE], host="another-host", changed=time.time() - 0.9 * HOUR)
    [found] = Outbox(folder).waiting()
    for name, value in (("fcntl", None), ("is_far", lambda folder: True)):
        with monkeypatch.context() as patch:
            patch.setattr(_claims, name, value)
            os.utime(path, (time.time() - 0.9 * HOUR,) * 2)
            with pytest.raises(InUseError, match="another-host may still write"):
                Outbox(folder).take(found)

            os.utime(path, (time.time() - 1.1 * HOUR,) * 2)
            with Outbox(folder).take(found):
                assert len(inside(folder)) == 2, "a claim: locks of other machines may not be seen"

            os.utime(path, (time.time() + 24 * HOUR,) * 2)  # the clock of one of the two is wrong
            with pytest.raises(InUseError):
                Outbox(folder).take(found)


def test_without_locks_the_parts_of_this_process_are_known(folder, monkeypatch):
    """The one that is open is left alone: the last one, or what the writer says."""
    monkeypatch.setattr(_claims, "fcntl", None)
    for part in (998, 999, 1000):
        spool_files.put(folder, [LINE], pid=os.getpid(), part=part, changed=1e9 + part)
    first, second, last = Outbox(folder).waiting()

    Outbox(folder).take(first).close()
    Outbox(folder).take(second).close()
    with pytest.raises(InUseError):
        Outbox(folder).take(last)
    Outbox(folder, is_open=lambda path: False).take(last).close()
    with pytest.raises(InUseError):
        Outbox(folder, is_open=lambda path: path == first.path).take(first)


@pytest.mark.parametrize(
    ("owner", "age_s", "is_free"),
    [
        ("{host}-{dead}", 0, True),
        ("{host}-{parent}", 9 * HOUR, False),
        ("elsewhere-7", 60, False),
        ("elsewhere-7", 2 * HOUR, True),
    ],
)
def test_a_claim_counts_while_its_owner_may_live(folder, monkeypatch, owner, age_s, is_free):
    """On this machine the process tells; elsewhere an hour has to pass without a sign of life."""
    monkeypatch.setattr(_claims, "fcntl", None)
    path = spool_files.put(folder, [LINE])
    other = spool_files.put(folder, [LINE], unique="00000b")
    owner = owner.format(host=_claims.host_name(), dead=spool_files.dead_pid(), parent=os.getppid())
    claim = folder / f"{path.name}.claim-{owner}-0a1b2c3d"
    claim.touch()
    os.utime(claim, (time.time() - age_s,) * 2)
    found = {found.path: found for found in Outbox(folder).waiting()}

    if is_free:
        Outbox(folder).take(found[path]).close()
        assert inside(folder) == sorted([path.name, other.name])
    else:
        with pytest.raises(InUseError, match=f"process {owner.split('-')[-1]} on .* has claimed it"):
            Outbox(folder).take(found[path])
        assert inside(folder) == sorted([path.name, other.name, claim.name])
    Outbox(folder).take(found[other]).close()


def _takes(folder, has_locks, barrier, results):
    if not has_locks:
        _claims.fcntl = None
    outbox = Outbox(folder)
    waiting = outbox.waiting()
    barrier.wait()
    taken = []
    for found in waiting:
        try:
            taken.append(outbox.take(found))
        except InUseError:
            continue
    results.put([held.path.name for held in taken])
    barrier.wait()


@pytest.mark.parametrize("has_locks", [True, False])
def test_eight_at_once_share_the_files_between_them(folder, has_locks):
    """Each file goes to one of them, also where claims of dead processes have to be cleared away first."""
    paths = [spool_files.put(folder, [LINE], unique=f"{number:06x}") for number in range(24)]
    for path in paths[::2]:
        (folder / f"{path.name}.claim-{_claims.host_name()}-{spool_files.dead_pid()}-0a1b2c3d").touch()
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(8), context.Queue()
    processes = [context.Process(target=_takes, args=(folder, has_locks, barrier, results)) for _ in range(8)]
    for process in processes:
        process.start()
    taken = [name for _ in processes for name in results.get(timeout=60)]
    for process in processes:
        process.join(60)

    assert sorted(taken) == sorted(path.name for path in paths)


def test_progress_is_kept_beside_the_file_for_its_owner_only(folder):
    """The next one goes on where the last one stopped."""
    path = spool_files.put(folder, [LINE, LINE])
    outbox = Outbox(folder)
    [found] = outbox.waiting()
    with outbox.take(found) as held:
        assert held.place("traces") == Place(0, 0)
        held.advance({"traces": Place(21), "logs": Place(21, 3)})
        held.advance({"traces": Place(20)})  # never back

    mark = folder / f"{path.name}.sent"
    assert json.loads(mark.read_text()) == {"traces": [21, 0], "logs": [21, 3]}
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    with Outbox(folder).take(found) as held:
        assert (held.place("traces"), held.place("metrics")) == (Place(21), Place(0))
        assert held.place("logs") == Place(21, 3)


@pytest.mark.parametrize("text", MARKS_OF_NOBODY)
def test_a_mark_that_cannot_be_read_is_no_mark(folder, text):
    """Then the file counts as not sent: better twice than never."""
    path = spool_files.put(folder, [LINE])
    (folder / f"{path.name}.sent").write_text(text)
    outbox = Outbox(folder)
    [found] = outbox.waiting()

    with outbox.take(found) as held:
        assert held.place("traces") == Place(0)
        held.advance({"traces": Place(21)})
    assert outbox.progress(path).places == {"traces": Place(21)}


def test_marks_are_written_as_a_whole_and_never_through_a_link(tmp_path):
    """A link in the place of the mark, or of the one to come, is replaced and not followed."""
    path = spool_files.put(tmp_path / "spool", [LINE])
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    for suffix in (".sent", ".sent.new"):
        Path(f"{path}{suffix}").symlink_to(victim)
    outbox = Outbox(tmp_path / "spool")
    [found] = outbox.waiting()

    with outbox.take(found) as held:
        assert held.place("traces") == Place(0)
        held.advance({"traces": Place(21)})

    assert victim.read_text() == "untouched"
    assert not Path(f"{path}.sent").is_symlink()
    assert outbox.progress(path).places == {"traces": Place(21)}


def test_what_has_been_sent_goes_with_its_mark(folder):
    """A pending file is removed; a local recording stays, is marked, and waits no longer."""
    pending = spool_files.put(folder, [LINE], unique="00000a")
    recording = spool_files.put(folder, [LINE], unique="00000b", pending=False)
    outbox = Outbox(folder, recordings=True)
    for found in outbox.waiting():
        with outbox.take(found) as held:
            held.advance({"traces": Place(21)})
            held.finish()

    assert inside(folder) == sorted([recording.name, f"{recording.name}.sent"])
    assert outbox.waiting() == []
    recording.write_bytes(LINE * 2)
    assert names(outbox.waiting()) == [recording.name]
    assert pending.name not in inside(folder)


def test_a_mark_without_its_file_is_removed(folder):
    """Left by a process that ended between the two, or by one that made room."""
    path = spool_files.put(folder, [LINE])
    for suffix in (".sent", ".sent.new", ".claim-box-7-0a1b2c3d", ".claim-box-8-0a1b2c3d"):
        (folder / f"{path.name}{suffix}").write_text("x")
    assert len(Outbox(folder).waiting()) == 1
    assert len(inside(folder)) == 5

    path.unlink()

    assert Outbox(folder).waiting() == []
    assert inside(folder) == []


def test_a_file_that_was_sent_and_removed_meanwhile_is_not_taken(folder):
    """Nor one that took its place."""
    path = spool_files.put(folder, [LINE])
    outbox = Outbox(folder)
    [found] = outbox.waiting()
    path.unlink()

    with pytest.raises(FileNotFoundError):
        outbox.take(found)


def test_a_file_that_is_replaced_before_it_is_locked_is_not_taken(folder, monkeypatch):
    """The lock would be on a file that is gone, while somebody else sends the one in its place."""
    path = spool_files.put(folder, [LINE])
    outbox = Outbox(folder)
    [found] = outbox.waiting()
    lock = _claims.lock

    def replace_and_lock(descriptor):
        path.unlink()
        path.write_bytes(LINE)
        return lock(descriptor)

    monkeypatch.setattr(_claims, "lock", replace_and_lock)

    with pytest.raises(FileNotFoundError, match="was replaced"):
        outbox.take(found)


def test_of_two_accounts_of_progress_the_further_one_counts(folder):
    """What this process could not write down, and what another one has written since."""
    path = spool_files.put(folder, [LINE] * 3)
    outbox = Outbox(folder)
    [found] = outbox.waiting()
    blocker = folder / f"{path.name}.sent.new"
    blocker.mkdir()
    with outbox.take(found) as held:
        held.advance({"traces": Place(21), "logs": Place(42)})
    assert not (folder / f"{path.name}.sent").exists()
    blocker.rmdir()
    (folder / f"{path.name}.sent").write_text('{"traces":[42,0],"logs":[21,0]}')

    assert Outbox(folder).progress(path).places == {"traces": Place(42), "logs": Place(42)}


def test_network_file_systems_are_known_by_their_kind():
    """The folder of this test is on none."""
    assert not _claims.is_far(Path.cwd())
    assert not _claims.is_far(Path("no/such/folder"))
    assert all(map(_claims._FAR.fullmatch, ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "lustre")))
    assert not any(map(_claims._FAR.fullmatch, ("ext4", "xfs", "tmpfs", "overlay", "btrfs", "fuseblk", "apfs")))


def test_an_empty_file_of_a_killed_process_is_removed(folder):
    """Between making a file and its first line a process may be killed: nothing waits in it, and nobody for it."""
    dead = spool_files.put(folder, [])
    living = spool_files.put(folder, [], pid=os.getppid())

    spool_files.Receiver().run(folder)

    assert not dead.exists()
    assert living.exists()
