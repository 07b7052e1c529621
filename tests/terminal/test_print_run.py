"""The end of a run on a terminal, and the list of runs."""

import io
import time

import pytest

from mlotel.store.otlp import records
from mlotel.terminal import print_run
from mlotel.terminal.style import Style
from mlotel.terminal.summary import Summaries
from mlotel.terminal.table import render_table
from mlotel.terminal.text import width
from mlotel.types import SpanRecord
from spool_recorder import NOON, Recorder, flights, lost_context


def recorded(recorder):
    return [record for request in recorder.requests() for record in records(request)]


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_print_run_ends_with_where_the_record_is_and_what_to_type():
    """Below the tree stands where the record went and the next commands."""
    recorder = Recorder()
    flights(recorder)
    stream = io.StringIO()

    print_run(recorded(recorder), where=".mlotel/spool", stream=stream)

    lines = stream.getvalue().split("\n")
    assert lines[0] == ""
    assert lines[1].startswith("flight-delays")
    assert lines[-2:] == ["recorded in .mlotel/spool   next: mlotel show 8c1f2a · mlotel runs", ""]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (None, []),
        ("http://localhost:4318", ["sent to http://localhost:4318"]),
        ("/data/o k", [
            "recorded in /data/o k   next: mlotel show 8c1f2a --store '/data/o k' · mlotel runs --store '/data/o k'",
        ]),
        ("/data/" + "x" * 90, [
            "recorded in /data/" + "x" * 90, "next:",
            "mlotel show 8c1f2a --store /data/" + "x" * 90, "mlotel runs --store /data/" + "x" * 90,
        ]),
    ],
)  # fmt: skip
def test_print_run_offers_commands_that_work(where, said):
    """What went to an address is not in a spool, so no command is offered; another folder is named in the command."""
    recorder = Recorder()
    flights(recorder)
    stream = io.StringIO()

    print_run(recorded(recorder), where=where, stream=stream)

    lines = stream.getvalue().rstrip("\n").split("\n")
    assert lines[len(lines) - len(said) :] == said
    assert lines[-len(said) - 1].startswith("└─ evaluate")


def test_print_run_knows_the_folder_that_a_variable_names(monkeypatch):
    """Commands look where MLOTEL_SPOOL says by themselves."""
    monkeypatch.setenv("MLOTEL_SPOOL", "/data/spool")
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1)
    stream = io.StringIO()

    print_run(recorded(recorder), where="/data/spool", stream=stream)

    assert stream.getvalue().endswith("recorded in /data/spool   next: mlotel show 8c1f2a · mlotel runs\n")


def test_print_run_quotes_an_id_that_a_shell_would_split():
    """What is offered can be pasted."""
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1, "my run; rm -rf /")
    stream = io.StringIO()

    print_run(recorded(recorder), where=".mlotel/spool", stream=stream)

    assert "mlotel show 'my run; rm -rf /'" in stream.getvalue()


def test_print_run_never_raises():
    """No spans, spans of nobody, a closed stream, a pipe that nobody reads: nothing happens."""
    recorder = Recorder()
    flights(recorder)
    found = recorded(recorder)
    closed, broken, silent = io.StringIO(), _Broken(), io.StringIO()
    closed.close()

    print_run(found, where=None, stream=closed)
    print_run(found, where=None, stream=broken)
    print_run([], where=None, stream=silent)
    print_run([SpanRecord("ab" * 16, "01" * 8, None, "GET /", 0, 1, {})], where=None, stream=silent)

    assert silent.getvalue() == ""


@pytest.mark.lenient
def test_print_run_logs_what_it_cannot_do(caplog):
    """A failure of ours is logged once and ends there."""
    print_run([object()], where=None, stream=io.StringIO())

    assert "could not print the tree of a run" in caplog.text


class _Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def test_print_run_stops_where_nobody_would_read_on():
    """A tree of hundreds of lines is cut, and says how much is left."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 1000)
    for second in range(500):
        recorder.component(f"step {second}", second, second + 1, top)
    stream = io.StringIO()

    print_run(recorded(recorder), where=None, stream=stream)

    lines = stream.getvalue().rstrip("\n").split("\n")
    assert len(lines) < 110
    assert lines[-1] == "└─ 400 more steps"


def test_five_thousand_spans_are_printed_within_half_a_second():
    """The end of a run is not held up: building and printing take little CPU time."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 5000)
    for number in range(1250):
        step = recorder.component(f"step {number}", number, number + 1, top)
        recorder.artifact("read", "a", number, step, 10)
        recorder.artifact("write", "b", number, step, 9)
        recorder.check("c", number, step, "failed", "no")
    found = recorded(recorder)
    before = time.process_time()

    print_run(found, where=".mlotel/spool", stream=io.StringIO())
    spent = time.process_time() - before

    assert len(found) == 5001
    assert spent < 0.5


def test_the_table_at_three_widths():
    """One line a run, newest first as given; with less room a status is a symbol and outputs are cut."""
    recorder = Recorder()
    flights(recorder)
    recorder.pipeline("flight-delays", 100, 101, "nightly-07", error=("ValueError", "no"))
    recorder.started("killed", 200, lost_context(0xAB, 0x1), "8c1f" + "0" * 28)
    summaries = Summaries()
    summaries.add(recorded(recorder))
    runs = summaries.newest_first()

    at_120, at_80, at_40 = (render_table(runs, Style(width=columns), now_ns=NOON) for columns in (120, 80, 40))

    assert at_120 == [
        "id          pipeline       when           took  status        steps  outputs",
        "8c1f00      killed         today 12:03    0 µs  ▲ unfinished  0",
        "nightly-07  flight-delays  today 12:01   1.0 s  ✗ error       0",
        "8c1f2a      flight-delays  today 12:00  44.9 s  ✓ ok          12 ▲1  metrics.json",
    ]
    assert at_80[-1] == "8c1f2a      flight-delays  today 12:00  44.9 s  ✓  12 ▲1  metrics.json"
    assert max(map(width, at_40)) <= 40
    assert [line.split()[0] for line in at_40] == ["id", "8c1f00", "nightly-07", "8c1f2a"]


def test_ids_in_the_table_are_long_enough_to_tell_runs_apart():
    """Ids that start alike are shown with as many digits as it takes."""
    recorder = Recorder()
    for index, last in enumerate(("a1", "a2", "b1")):
        recorder.pipeline("nightly", index, index + 1, "8c1f2a90" + last + "0" * 22)
    summaries = Summaries()
    summaries.add(recorded(recorder))

    shown = [line.split()[0] for line in render_table(summaries.newest_first(), Style(), now_ns=NOON)]

    assert shown == ["id", "8c1f2a90b1", "8c1f2a90a2", "8c1f2a90a1"]
