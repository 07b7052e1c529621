"""`mlotel doctor` reads spool folders and the accounts of processes in whatever state, and changes nothing."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import spool_files
from programs import run, start
from sinks import http_sink  # noqa: F401 - a fixture
from spool_files import line, log_line, metric_line

from mlotel import cli
from mlotel.export._account import Account, read_all
from mlotel.export._breaker import Breaker
from mlotel.export._explain import Cause
from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome
from mlotel.export._sender import Answer

SECRET = "tok-4f1d9a"


@pytest.fixture
def spool(tmp_path, monkeypatch):
    """A working folder with an empty spool."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".mlotel" / "spool"
    folder.mkdir(parents=True, mode=0o700)
    return folder


@pytest.fixture
def doctor(capsys):
    """Runs the command; returns exit status and the results of one section by subject."""

    def call(title, *arguments):
        status = cli.main(["doctor", "--json", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert err == ""
        [results] = [part["results"] for part in json.loads(out)["sections"] if part["title"] == title]
        return status, {result["subject"]: result for result in results}

    return call


def put(folder, lines, **named):
    path = spool_files.put(folder, lines, **named)
    path.chmod(0o600)
    return path


def account(folder, service="shop", *, exported=0, spooled=0, cause=None, ended=True, **dropped):
    """The account of a process of which nothing is left but this."""
    ledger, breaker = Ledger(), Breaker()
    ledger.write("traces", Outcome(exported, spooled, dropped))
    if cause is not None:
        breaker.report(Answer("later", cause=Cause(*cause)))
    before = set(folder.iterdir())
    found = Account(lambda: folder, ledger, service, {"traces": "http://there.example/v1/traces"}, {"traces": breaker})
    (found.close if ended else found.settle)()
    [path] = set(folder.iterdir()) - before
    content = path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {spool_files.dead_pid()}')
    moved = path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{spool_files.dead_pid()}-"))
    path.unlink()
    moved.write_text(content)
    return moved


def snapshot(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in folder.iterdir()}


def test_what_waits_is_counted_and_nothing_is_touched(spool, doctor):
    """Files and records by signal, beside local recordings; the folder is afterwards as it was."""
    put(spool, [line(range(1204)), metric_line(1)], unique="00000a", changed=time.time() - 7200)
    put(spool, [log_line(2)], unique="00000b")
    put(spool, [line([5])], unique="00000c", pending=False)
    before = snapshot(spool)

    status, found = doctor("Spool")

    assert status == 1
    assert found["folder"]["facts"]["files"] == 3
    assert found["waiting"]["verdict"] == "warn"
    assert found["waiting"]["facts"]["records"] == {"traces": 1204, "metrics": 1, "logs": 1}
    assert "2 files for an endpoint: 1,204 spans, 1 data point, 1 log record, for 2 h" in found["waiting"]["says"]
    assert "mlotel flush" in found["waiting"]["remedy"]
    assert found["recordings"]["facts"]["files"] == 1
    assert snapshot(spool) == before


def test_torn_lines_are_told(spool, doctor):
    """The end of a line is missing, or a line is something else: the rest is still counted."""
    put(spool, [line([1]), b"no json\n", line([2])[:-30]], unique="00000a")
    put(spool, [line([3]), b"{}x\n"], unique="00000b", pending=False)

    status, found = doctor("Spool")

    assert (status, found["torn"]["facts"]["lines"]) == (1, 3)
    assert found["waiting"]["facts"]["records"]["traces"] >= 2


def test_files_of_a_living_process_are_its_own(spool, doctor):
    """Who is writing is named, its last line may be under way, and what it keeps is no finding."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        start_of = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        put(spool, [line([1]), line([2])[:-30]], pid=process.pid, start=start_of)

        status, found = doctor("Spool")
    finally:
        process.communicate(b"\n")

    assert (status, found["written by"]["facts"]["pids"]) == (0, [process.pid])
    assert "torn" not in found
    assert found["waiting"]["verdict"] == "info"


def test_what_others_can_read_is_a_finding(spool, doctor):
    """Folder and files for the owner only, with the command that closes them."""
    path = put(spool, [line([1])], pending=False)
    path.chmod(0o644)
    spool.chmod(0o755)

    status, found = doctor("Spool", "--store", ".mlotel")

    assert (status, found["rights"]["verdict"]) == (1, "warn")
    spool.chmod(0o700)

    status, found = doctor("Spool")

    assert (status, found["rights"]["remedy"]) == (1, "chmod 600 .mlotel/spool/*.jsonl")
    path.chmod(0o600)
    assert doctor("Spool")[0] == 0


def test_a_spool_that_is_nearly_full(spool, doctor, monkeypatch):
    """The cap stands beside the size, and from nine tenths on it is a finding."""
    monkeypatch.setenv("MLOTEL_SPOOL_MAX_BYTES", "10000")
    put(spool, [log_line(1) * 80], pending=False)

    status, found = doctor("Spool")

    assert (status, found["folder"]["verdict"], found["folder"]["facts"]["cap_bytes"]) == (1, "warn", 10_000)
    assert "MLOTEL_SPOOL_MAX_BYTES" in found["folder"]["remedy"]


def test_a_folder_that_cannot_be_written(tmp_path, doctor, monkeypatch):
    """Records would go elsewhere: said before there are any."""
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("MLOTEL_SPOOL", str(tmp_path / "taken"))

    status, found = doctor("Spool")

    assert (status, found["folder"]["verdict"]) == (1, "warn")
    assert "is no folder: records go to the user's state folder" in found["folder"]["says"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder(spool, doctor):
    """One that is there and may not be written."""
    spool.chmod(0o500)

    status, found = doctor("Spool")

    spool.chmod(0o700)
    assert (status, found["rights"]["facts"]["writable"]) == (1, False)


def test_links_pipes_and_folders_are_passed_over(spool, doctor):
    """Nothing that only bears a spool file's name is opened: a pipe would hang, a link lead elsewhere."""
    os.mkfifo(spool / spool_files.name(unique="00000a"))
    (spool / spool_files.name(unique="00000b")).mkdir()
    (spool / spool_files.name(unique="00000c")).symlink_to("/etc/passwd")
    os.mkfifo(spool / "h-1-20260105T120000-00000d.account.json")
    (spool / "h-1-20260105T120000-00000e.account.json").symlink_to("/etc/passwd")
    begun = time.monotonic()

    status, found = doctor("Spool")

    assert (status, found["folder"]["facts"]["files"]) == (0, 0)
    assert doctor("Records")[1]["accounts"]["facts"] == {"ignored": 2}
    assert time.monotonic() - begun < 8


def test_what_processes_lost_and_why(spool, doctor):
    """Sums a service, the process that lost records with the reason in words and the remedy, the last failure."""
    account(spool, exported=1200, refused=4)
    account(spool, exported=30, spooled=7, cause=("nothing listens there", "Start one."))
    account(spool, service="night", exported=5)

    status, found = doctor("Records")

    assert status == 1
    assert found["shop"]["facts"]["exported"] == {"traces": 1230}
    assert (found["shop"]["facts"]["spooled"], found["shop"]["facts"]["dropped"]) == ({"traces": 7}, {"traces": 4})
    assert (found["shop"]["facts"]["processes"], found["shop"]["facts"]["running"]) == (2, 0)
    assert found["lost"]["verdict"] == "fail"
    assert found["lost"]["facts"]["processes"] == [
        {"pid": spool_files.dead_pid(), "host": socket.gethostname(), "traces": 4}
    ]
    assert "4 spans were refused by the receiver (refused): process" in found["lost"]["says"]
    assert found["last failure"]["says"] == "traces not taken by http://there.example: nothing listens there (just now)"
    assert found["last failure"]["remedy"] == "Start one."
    assert found["night"]["verdict"] == "ok"


def test_every_reason_has_its_words():
    """Whatever ``ml.telemetry.reason`` may be, there is a sentence and a remedy for it."""
    from typing import get_args

    from mlotel.doctor.records import REASONS
    from mlotel.export._outcome import Reason

    assert set(REASONS) == set(get_args(Reason))


SOUND = {
    "version": 1, "pid": 1, "service_name": "x", "started": 1, "updated": 1, "ended": True, "endpoints": {},
    "failures": {}, "counts": [],
}  # fmt: skip


def but(**changed):
    """A sound account, but for one thing."""
    return json.dumps({**SOUND, **changed}).encode()


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"[" * 60_000,
    b"\xff\xfe",
    b"x" * 70_000,
    but(version=2),
    but(pid=2),
    but(service_name=["x"]),
    but(started=float("nan")),
    but(updated="now"),
    but(endpoints=7),
    but(failures={"traces": ["one"]}),
    but(counts=7),
    but(counts=[["exported"]]),
    but(counts=[["exported", "traces", None, "fresh", -5]]),
    but(counts=[["exported", "traces", None, "fresh", 1.5]]),
    but(counts=[["exported", "traces", None, "fresh", 2**70]]),
    but(counts=[["dropped", "traces", "because", "fresh", 1]]),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_accounts_are_passed_over(number, spool, doctor):
    """What is corrupt, foreign or of a later version is counted, and the others are read."""
    (spool / "h-1-20260105T120000-00000a.account.json").write_bytes(HOSTILE[number])
    account(spool, exported=5)

    status, found = doctor("Records")

    assert (status, found["accounts"]["facts"]) == (0, {"ignored": 1})
    assert found["shop"]["facts"]["exported"] == {"traces": 5}


def test_what_an_account_says_cannot_steer_a_terminal(spool, capsys):
    """Control characters are shown, not obeyed, and addresses lose user info and query."""
    path = account(spool, service="\x1b[2Jshop\nx", spooled=5, cause=("\x1b]0;title\x07down", "do \x9b1m"))
    endpoint = f"http://ana:{SECRET}@there.example/v1/traces?k={SECRET}"
    path.write_text(path.read_text().replace("http://there.example/v1/traces", endpoint))

    cli.main(["doctor"])
    out = capsys.readouterr().out

    assert "\x1b" not in out
    assert "\x9b" not in out
    assert r"\x1b[2Jshop\nx" in out
    assert SECRET not in out


def test_a_process_leaves_its_account(spool, doctor, http_sink):  # noqa: F811 - the fixture
    """Beside its spool files, for its owner only, at its end: what it delivered, and where to."""
    shown = run(
        f"telemetry = configure('shop', {http_sink.endpoint!r}, headers={{'x-key': {SECRET!r}}})\n"
        "work()\nshow(pid=os.getpid(), final=counts(telemetry.shutdown()))",
        folder=spool.parent.parent,
    ).shown

    [told], ignored = read_all(spool)
    assert (told.pid, told.service_name, told.is_ended, told.is_running) == (shown["pid"], "shop", True, False)
    assert {**dict.fromkeys(("traces", "metrics", "logs"), 0), **told.sums("exported")} == shown["final"]["exported"]
    assert (told.endpoints["traces"], ignored) == (f"{http_sink.endpoint}/v1/traces", 0)
    assert stat.S_IMODE(told.path.stat().st_mode) == 0o600
    assert SECRET not in told.path.read_text()
    assert list(spool.iterdir()) == [told.path]
    assert doctor("Records")[1]["shop"]["verdict"] == "ok"


def test_a_process_that_delivers_all_leaves_nothing(tmp_path, http_sink):  # noqa: F811 - the fixture
    """Where there is no spool folder and nothing was kept or lost, none is made."""
    run(f"configure('shop', {http_sink.endpoint!r}); work()", folder=tmp_path)

    assert not (tmp_path / ".mlotel").exists()


def test_running_and_killed_processes(spool, doctor, http_sink):  # noqa: F811 - the fixture
    """One that runs is told from one that was killed, and its address is said where this shell does not know it."""
    code = f"telemetry = configure('shop', {http_sink.endpoint!r}); work(); telemetry.flush(); show(pid=os.getpid())"
    process = start(f"{code}; sys.stdin.read()", folder=spool.parent.parent)
    try:
        pid = json.loads(process.stdout.readline().removeprefix("@"))["pid"]
        _, running = doctor("Records")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    _, killed = doctor("Records")

    assert (running["shop"]["facts"]["running"], "killed" in running) == (1, False)
    assert f"mlotel doctor --endpoint {http_sink.endpoint}" in running["endpoint"]["says"]
    assert (killed["shop"]["facts"]["running"], killed["killed"]["facts"]["pids"]) == (0, [pid])
    assert "endpoint" not in killed


def test_a_forked_child_has_an_account_of_its_own(spool, http_sink):  # noqa: F811 - the fixture
    """Parent and child are two processes, each with its own counts."""
    run(
        f"telemetry = configure('shop', {http_sink.endpoint!r})\n"
        "record(spans=3); telemetry.flush()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    record(spans=2); telemetry.shutdown(); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "telemetry.shutdown()",
        folder=spool.parent.parent,
    )

    told, _ = read_all(spool)
    assert sorted(account.sums("exported")["traces"] for account in told) == [2, 3]
    assert len({account.pid for account in told}) == 2


def test_the_account_costs_a_write_every_five_seconds(spool):
    """Batch after batch makes one file, replaced rarely; a loss is told within about a second."""
    ledger = Ledger()
    account = Account(lambda: spool, ledger, "shop", {}, {})
    writes = []
    for _ in range(2000):
        ledger.write("traces", Outcome(exported=512))
        ledger.tidy()
        [path] = spool.iterdir()
        if path.stat().st_ino not in writes:
            writes.append(path.stat().st_ino)
    assert len(writes) == 1
    ledger.drop("traces", 1, "refused")
    deadline = time.monotonic() + 4
    while not read_all(spool)[0][0].dropped() and time.monotonic() < deadline:
        ledger.tidy()
        time.sleep(0.05)

    assert read_all(spool)[0][0].dropped() == {("traces", "refused"): 1}
    account.close()
    assert read_all(spool)[0][0].sums("exported") == {"traces": 2000 * 512}


def test_old_accounts_go(spool):
    """The newest 200 stay, none older than seven days, and half-written ones of killed processes go."""
    for number in range(230):
        path = spool / f"h-{number + 1}-20260105T120000-0000aa.account.json"
        path.write_text("{}")
        changed = time.time() - (8 * 86_400 if number < 5 else 1000 - number)
        os.utime(path, (changed, changed))
    half = spool / "h-9-20260105T120000-0000ab.account.json.new"
    half.write_text("{")
    os.utime(half, (1e9, 1e9))
    ledger = Ledger()
    ledger.write("traces", Outcome(exported=1))

    Account(lambda: spool, ledger, "shop", {}, {}).close()

    left = sorted(int(path.name.split("-")[1]) for path in spool.iterdir() if path.name.startswith("h-"))
    assert left == list(range(32, 231))
    assert len(list(spool.iterdir())) == 200


def test_the_lineage_index(doctor, tmp_path, monkeypatch):
    """Where it is and how much is in it; one that is no database is a finding, and stays as it is."""
    state = Path(os.environ["XDG_STATE_HOME"]) / "mlotel"
    assert "does not exist yet" in doctor("Lineage index")[1]["index"]["says"]
    state.mkdir()
    (state / "lineage.db").write_bytes(b"no database at all" * 100)

    status, found = doctor("Lineage index")

    assert (status, found["index"]["verdict"]) == (1, "warn")
    assert (state / "lineage.db").read_bytes() == b"no database at all" * 100
    monkeypatch.setenv("MLOTEL_INDEX", "off")
    assert doctor("Lineage index")[1]["index"]["facts"] == {"on": False}


def test_rows_of_the_index(doctor):
    """What was written is counted."""
    from mlotel.artifacts.carriers.index import Index
    from mlotel.artifacts.evidence import Producer

    index = Index.open()
    for number in range(3):
        index.add(
            Producer(
                "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, component="clean", run_id=None,
                written_ns=time.time_ns(), artifact_id=f"xxh3:{number:032x}", name=None, uri=None, evidence="process",
            )
        )  # fmt: skip
    index.close()

    status, found = doctor("Lineage index")

    assert (status, found["index"]["facts"]["rows"]) == (0, 3)


def test_inside_a_process():
    """The same can be asked from a program, section by section."""
    from mlotel.doctor import Case, examine, worst

    found = examine(Case((Path("no/such"),)), only=("spool", "lineage"))

    assert [section.title for section in found] == ["Spool", "Lineage index"]
    assert worst([result for results in found.values() for result in results]) in ("ok", "info")
