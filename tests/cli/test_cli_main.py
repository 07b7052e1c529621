"""The command `mlotel` itself: finding commands, global options, exit statuses, what it costs to start."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlotel import _plugins, cli
from mlotel._version import __version__
from spool_recorder import Recorder, flights

COLOUR = re.compile(r"\x1b\[[0-9]+m")


@pytest.fixture
def store(tmp_path):
    """A .mlotel folder with one run in it."""
    recorder = Recorder(**{"vcs.ref.head.revision": "9f2c1e7a55"})
    flights(recorder)
    recorder.write(tmp_path / ".mlotel" / "spool" / "box-812-20260105T120000-3f9a1c.001.jsonl")
    return tmp_path / ".mlotel"


def mlotel(*arguments, **options):
    """Run the command as a user does."""
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": 60} | options
    return subprocess.run([sys.executable, "-m", "mlotel", *map(str, arguments)], **options)


@pytest.fixture(autouse=True)
def without_colour_settings(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_command_it_lists_the_commands():
    """`mlotel` alone says what can be typed, and that is no error."""
    done = mlotel()

    assert (done.returncode, done.stderr) == (0, "")
    for name in _plugins.names("cli"):
        assert re.search(rf"^  {name} +\S", done.stdout, re.MULTILINE)
    assert {"runs", "show"} <= set(_plugins.names("cli"))
    assert mlotel("--help").stdout == done.stdout


@pytest.mark.parametrize("name", _plugins.names("cli"))
def test_every_command_has_what_main_needs_and_explains_itself(name, capsys):
    """A command's file has NAME, HELP in a line, add_arguments and run; its --help shows its and the global options."""
    command = _plugins.load("cli", name)

    assert name == command.NAME
    assert command.HELP.endswith(".")
    assert "\n" not in command.HELP
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: mlotel {name} ")
    assert all(option in text for option in ("--store", "--json", "--no-color", "--quiet", "--version"))


def test_global_options_stand_before_or_after_the_command(store):
    """Both places mean the same, with = or a space."""
    told = {
        mlotel(*arguments).stdout
        for arguments in (
            ["--store", store, "--json", "runs"],
            ["runs", "--store", store, "--json"],
            [f"--store={store}", "runs", "--json"],
            ["--json", "runs", f"--store={store}"],
        )
    }

    assert len(told) == 1
    assert told.pop().startswith("[\n")


@pytest.mark.parametrize("arguments", [["--version"], ["runs", "--version"], ["--json", "show", "--version"]])
def test_the_version_is_told(arguments, capsys):
    """--version prints it wherever it stands."""
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == f"mlotel {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnus"], "There is no command 'rnus'. Did you mean 'runs'? Commands: "),
        (["_base"], "There is no command '_base'."),
        (["\x1b[31m\n\udcff"], r"There is no command '\x1b[31m\n\udcff'."),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["runs", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["runs", "extra"], "unrecognized arguments: extra"),
        (["runs", "--lim", "3"], "unrecognized arguments: --lim 3"),
        (["runs", "--limit", "0"], "'0' is no count; give a whole number from 1"),
        (["runs", "--limit", "-1"], "'-1' is no count"),
        (["runs", "--limit", "many"], "'many' is no count"),
        (["runs", "--since", "yesterday"], "'yesterday' is no age; give a number and s, m, h, d or w, such as 24h"),
        (["runs", "--status", "fine"], "invalid choice: 'fine'"),
        (["--store"], "expected one argument"),
        (["runs", "--store", ""], "--store got an empty path"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_right(arguments, said, capsys):
    """What cannot be meant goes to standard error; standard output stays empty."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "\x1b" not in err


@pytest.mark.parametrize("json", [[], ["--json"]])
@pytest.mark.parametrize("command", [["runs"], ["show"], ["show", "8c1f"]])
def test_nothing_recorded_is_status_3_and_says_what_to_type(command, json, capsys):
    """An empty machine gets the way to a first run, on standard error only."""
    assert cli.main([*command, *json]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mlotel: Nothing is recorded in .mlotel/spool or ")
    assert "state/mlotel/spool" in err
    assert "mlotel.configure()" in err
    assert "--store PATH" in err


def test_an_endpoint_that_takes_the_records_is_named(monkeypatch, capsys):
    """Who sends runs to a collector learns why there are none here; the address itself is not printed."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:password@collector:4318")

    assert cli.main(["runs"]) == 3
    err = capsys.readouterr().err
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set: what runs under it is sent there" in err
    assert "password" not in err


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_store_without_records_is_status_3(what, tmp_path, capsys):
    """A path that is not there, and a folder without files, are nothing found."""
    (tmp_path / "empty").mkdir()

    assert cli.main(["runs", "--store", str(tmp_path / what)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path / what) in err


def test_a_file_without_a_run_is_status_3(tmp_path, capsys):
    """Telemetry without pipelines and components is no run."""
    recorder = Recorder()
    recorder.span("GET /", 0, 1)
    recorder.write(tmp_path / "traces.jsonl")

    for command in ("runs", "show"):
        assert cli.main([command, "--store", str(tmp_path / "traces.jsonl")]) == 3
        assert "There are no runs in" in capsys.readouterr().err


def test_the_working_folder_is_looked_at_before_the_state_folder(store, tmp_path, monkeypatch):
    """Without --store the spool is found where configure() would write: here, or in the user's state folder."""
    state = Path(os.environ["XDG_STATE_HOME"]) / "mlotel" / "spool"
    recorder = Recorder()
    recorder.pipeline("in-state-folder", 0, 1, "state-run")
    recorder.write(state / "box-1-20260105T120000-aaaaaa.001.jsonl")

    elsewhere = mlotel("runs", "-q")
    monkeypatch.chdir(tmp_path)
    here = mlotel("runs", "-q")
    monkeypatch.setenv("MLOTEL_SPOOL", str(state))
    told = mlotel("runs", "-q")

    assert "in-state-folder" in elsewhere.stdout
    assert "flight-delays" in here.stdout
    assert "in-state-folder" not in here.stdout
    assert "in-state-folder" in told.stdout


def on_terminal(*arguments, columns=80, **environment):
    """What the command writes to a pseudo-terminal of ``columns`` cells, and its exit status."""
    control, terminal = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "mlotel", *map(str, arguments)],
        stdin=terminal, stdout=terminal, stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment},
    )  # fmt: skip
    os.close(terminal)
    written = b""
    while True:
        try:
            part = os.read(control, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not part:
            break
        written += part
    os.close(control)
    return written.decode().replace("\r\n", "\n"), process.wait(timeout=60)


@pytest.mark.parametrize("command", ["runs", "show"])
def test_colour_is_for_terminals(command, store):
    """A terminal gets colours, unless NO_COLOR or --no-color; a pipe gets none, unless FORCE_COLOR."""
    coloured, status = on_terminal(command, "--store", store)
    plain, _ = on_terminal(command, "--store", store, NO_COLOR="1")
    asked, _ = on_terminal("--no-color", command, "--store", store)

    assert status == 0
    assert "\x1b[32m" in coloured
    assert "\x1b" not in plain
    assert COLOUR.sub("", coloured) == plain == asked
    assert "\x1b" not in mlotel(command, "--store", store).stdout
    assert "\x1b[32m" in mlotel(command, "--store", store, env={**os.environ, "FORCE_COLOR": "1"}).stdout


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_tree_fits_the_terminal(columns, store):
    """The terminal's own width counts."""
    text, _ = on_terminal("show", "--store", store, columns=columns)

    lines = COLOUR.sub("", text).splitlines()
    assert columns - 25 < max(map(len, lines)) <= columns


def test_a_stream_without_unicode_gets_ascii(store):
    """Under an ASCII locale the tree is drawn with plain characters, and nothing fails."""
    done = mlotel("show", "--store", store, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "|- ingest" in done.stdout


def test_a_pipe_that_is_closed_early_is_no_error(tmp_path):
    """`mlotel runs | head -1` ends like any other tool: quietly, with the status of SIGPIPE."""
    recorder = Recorder()
    for number in range(3000):
        recorder.pipeline(f"pipeline-{number}", number, number + 1, f"run-{number}-" + "x" * 20)
    recorder.write(tmp_path / "many.jsonl")

    process = subprocess.Popen(
        [sys.executable, "-m", "mlotel", "runs", "--limit", "3000", "--store", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read()

    assert (process.wait(timeout=60), said) == (141, b"")


@pytest.mark.parametrize("command", [["runs"], ["show", "--json"], []])
def test_a_pipe_that_nobody_reads_is_no_error(command, store):
    """Also when all of the output is still waiting to be written at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    done = mlotel(*command, "--store", store, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


def test_a_closed_standard_output_is_no_error(store):
    """Without any standard output there is nothing to say, and nothing to complain about."""
    command = f'"{sys.executable}" -m mlotel runs --store "{store}" >&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_is_status_130(tmp_path):
    """An interrupt ends it without a traceback."""
    script = (
        "import os, signal, sys, time\n"
        "from mlotel import cli\n"
        "from mlotel.cli import runs\n"
        "runs.run = lambda args: os.kill(os.getpid(), signal.SIGINT) or time.sleep(30)\n"  # it may come a moment later
        "sys.exit(cli.main(['runs']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (130, "")
    assert signal.SIGINT == 2


@pytest.mark.parametrize(
    "command",
    [["runs"], ["runs", "--json"], ["show"], ["show", "8c1f", "--attrs"], ["show", "--json"], ["nonsense"], []],
)
def test_reading_imports_neither_opentelemetry_nor_anything_heavy(command, store):
    """Commands that only read start with the standard library alone."""
    script = (
        "import sys\n"
        "from mlotel import cli\n"
        f"status = cli.main({[*command, '--store', str(store)]!r})\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = {'opentelemetry', 'numpy', 'scipy', 'pandas', 'polars', 'pyarrow', 'sklearn', 'torch', 'xxhash'}\n"
        "print(sorted(names & heavy), status, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.stderr.splitlines()[-1] == f"[] {2 if command == ['nonsense'] else 0}"


def test_listing_runs_costs_little(store):
    """`mlotel runs` takes at most 0.15 s of CPU time, Python's own start included."""
    costs = []
    for _ in range(3):
        before = os.times()
        done = mlotel("runs", "--store", store)
        after = os.times()
        assert done.returncode == 0
        costs.append(after.children_user + after.children_system - before.children_user - before.children_system)

    assert min(costs) <= 0.15


def test_the_latest_runs_are_found_without_reading_old_files(tmp_path):
    """Files that were last changed long before the runs that are listed are not opened."""
    noon = time.time_ns() - 10**9
    for day in range(5):
        recorder = Recorder(noon - day * 86_400 * 10**9)
        recorder.pipeline(f"day-{day}", 0, 1, f"run-{day}")
        recorder.write(tmp_path / f"box-{day}-20260105T120000-aaaaaa.001.jsonl", changed=2)
    (tmp_path / "box-4-20260105T120000-aaaaaa.001.jsonl").write_text("damaged\n")
    os.utime(tmp_path / "box-4-20260105T120000-aaaaaa.001.jsonl", ns=(noon - 4 * 86_400 * 10**9,) * 2)

    few = mlotel("runs", "-q", "--limit", "2", "--store", tmp_path)
    recent = mlotel("runs", "--since", "50h", "--store", tmp_path)
    every = mlotel("runs", "--store", tmp_path)

    assert [line.split()[0] for line in few.stdout.splitlines()] == ["run-0", "run-1"]
    assert [line.split()[0] for line in recent.stdout.splitlines()] == ["id", "run-0", "run-1", "run-2"]
    assert [line.split()[0] for line in every.stdout.splitlines()] == ["id", "run-0", "run-1", "run-2", "run-3"]
    assert (few.stderr, recent.stderr) == ("", "")
    assert "1 record in" in every.stderr
