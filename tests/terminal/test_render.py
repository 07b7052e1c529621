"""The tree as text: what it says, that it fits, and that nobody's data can spoil it."""

import io
import re
import time

import pytest

from mlotel.store.otlp import records
from mlotel.terminal import print_run
from mlotel.terminal.details import details
from mlotel.terminal.origins import writers
from mlotel.terminal.render import render_run
from mlotel.terminal.style import ASCII, Style
from mlotel.terminal.summary import Summaries
from mlotel.terminal.table import render_table
from mlotel.terminal.text import width
from mlotel.terminal.tree import build_runs
from mlotel.types import SpanRecord
from spool_recorder import NOON, RUN, Recorder, flights, lost_context

TOMORROW = NOON + 24 * 3600 * 10**9
COLOUR = re.compile(r"\x1b\[[0-9]+m")


def recorded(recorder):
    return [record for request in recorder.requests() for record in records(request)]


def rendered(recorder, columns=120, **options):
    [run] = build_runs(recorded(recorder))
    return render_run(run, Style(width=columns), now_ns=TOMORROW, **options)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_run_at_120_columns():
    """Name, status, time, revision and id; then each step with its bar, rows in and out, removals, failed checks."""
    recorder = Recorder(**{"vcs.ref.head.revision": "9f2c1e7a55", "ml.vcs.dirty": True})
    flights(recorder)

    assert rendered(recorder) == [
        "flight-delays                               ✓ 44.9 s   yesterday 12:00   git 9f2c1e7+   8c1f2a",
        "├─ ingest      ▲ ━           2.4 s  flights.csv.zip 7.4 MB → flights 336,776 rows",
        "│     ▲ check wind_is_plausible failed: the highest wind is 1,048 mph",
        "├─ clean       ✓ ╺           0.4 s  flights 336,776 rows → clean-flights 327,290 rows (−2.8 %)",
        "│     − 9,486 rows removed: cancelled 8,255, missing 1,175, outlier 56",
        "├─ train       ✓ ╺━━━━━━━━  37.1 s  clean-flights 327,290 rows → delay-model 1.2 MB",
        "│  └─ fold ×8  ✓ ╺━━━━━━━   16.0 s  in all, p95 2.0 s",
        "└─ evaluate    ✓         ╺━  4.9 s  delay-model → metrics.json",
    ]


def test_the_same_run_at_80_and_50_columns():
    """With less room a line says less: first no counts of inputs, then fewer names, then no bars."""
    recorder = Recorder()
    flights(recorder)
    [run] = build_runs(recorded(recorder))

    at_80 = render_run(run, Style(width=80), now_ns=TOMORROW)
    at_50 = render_run(run, Style(width=50), now_ns=TOMORROW)

    assert at_80[3] == "├─ clean       ✓ ╺           0.4 s  → clean-flights 327,290 rows (−2.8 %)"
    assert at_50[0] == "flight-delays"
    assert at_50[1] == "✓ 44.9 s   yesterday 12:00   8c1f2a"
    assert at_50[-1] == "└─ evaluate    ✓  4.9 s  → metrics.json"


@pytest.mark.parametrize("columns", [1, 20, 33, 40, 57, 60, 72, 80, 81, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(columns):
    """At every width lines fit and every step is there."""
    recorder = Recorder(**{"vcs.ref.head.revision": "9f2c1e7a55"})
    top = flights(recorder)
    recorder.component("特徴量を計算する" * 5, 41, 42, top)
    recorder.component("x" * 10_000, 42, 43, top, error=("ValueError", "long " * 500))

    lines = rendered(recorder, columns)

    assert max(map(width, lines)) <= max(columns, 20)
    assert sum(line.startswith(("├─ ", "└─ ")) for line in lines) == 6


def test_an_error_is_told_once_where_it_happened():
    """The innermost step has type and first line of the message; the levels it passed have only their mark."""
    recorder = Recorder()
    error = ("pkg.BadColumn", "column 'dest' is missing\nand more")
    top = recorder.pipeline("nightly", 0, 9, error=error)
    outer = recorder.component("outer", 1, 8, top, error=error)
    recorder.component("inner", 2, 7, outer, error=error)

    lines = rendered(recorder, 80)

    assert "✗ failed after 9.0 s" in lines[0]
    assert lines[1:] == [
        "└─ outer     ✗  ━━━━━━━━  7.0 s",
        "   └─ inner  ✗   ━━━━━━   5.0 s",
        "         ✗ pkg.BadColumn: column 'dest' is missing …",
    ]


def test_an_error_of_the_pipeline_itself_is_below_the_header():
    """What no component raised is told at the top."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9, error=("KeyError", "'dest'"))
    recorder.component("step", 1, 8, top)

    assert rendered(recorder)[1:] == ["│  ✗ KeyError: 'dest'", "└─ step  ✓  ━━━━━━━━  7.0 s"]


def test_a_failed_check_that_raised_is_told_once():
    """on_failure="raise" gives a failed check and an error with the same words; one of them is enough."""
    recorder = Recorder()
    error = ("mlotel.errors.CheckFailed", "Check 'no_nulls' failed: 12 of 90 are null")
    top = recorder.pipeline("nightly", 0, 9, error=error)
    step = recorder.component("step", 1, 8, top, error=error)
    recorder.check("no_nulls", 8, step, "failed", "12 of 90 are null")
    recorder.check("skipped", 8, step, "skipped", "no data")

    assert rendered(recorder)[1:] == [
        "└─ step  ✗  ━━━━━━━━  7.0 s",
        "      ▲ check no_nulls failed: 12 of 90 are null",
    ]


def test_a_killed_run_says_so():
    """A run without an end has the mark of trouble, and a line on what that means."""
    recorder = Recorder()
    top = lost_context(0xAB, 0x1)
    recorder.started("nightly", 0, top)
    recorder.component("ingest", 1, 3, top)

    lines = rendered(recorder)

    assert "▲ unfinished, 3.0 s so far" in lines[0]
    assert lines[1:] == [
        "│  ▲ no end was recorded: it is still running, or was killed",
        "└─ ingest  ✓    ━━━━━━━ 2.0 s",
    ]


def test_several_processes_are_several_nodes():
    """Roots of one run stand below its header, each with what ran in it."""
    first, second = Recorder(), Recorder()
    step = first.pipeline("nightly", 0, 4)
    first.component("load", 1, 2, step)
    second.pipeline("nightly", 4, 8)
    [run] = build_runs([*recorded(first), *recorded(second)])

    assert render_run(run, Style(), now_ns=TOMORROW)[1:] == [
        "├─ nightly (pipeline)  ✓ ━━━━━      4.0 s",
        "│  └─ load             ✓  ━╸        1.0 s",
        "└─ nightly (pipeline)  ✓      ━━━━━ 4.0 s",
    ]


def test_a_group_sums_up_what_went_wrong_in_it():
    """Folded components have the sum of their removals, and each kind of trouble with its first message."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 100)
    for second in range(20):
        failed = ("ValueError", f"bad row {second}") if second in (7, 9) else None
        step = recorder.component(
            "load",
            second,
            second + 1,
            top,
            error=failed,
            **{"ml.removal.rows.missing": 2, "ml.component.type": "ingest"},
        )
        if second > 15:
            recorder.check("not_empty", second, step, "failed", f"{second} is empty")

    assert rendered(recorder)[1:] == [
        "└─ load ×20  ✗ ━━         20.0 s  in all, p95 1.0 s   2 of 20 failed",
        "      − 40 rows removed: missing",
        "      ▲ check not_empty failed ×4: 16 is empty",
        "      ✗ ValueError ×2: bad row 7",
    ]


def test_stale_inputs_and_changed_inputs_are_seen():
    """Reasons of staleness have a line each; what a component changed in place is said."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    step = recorder.component("fill", 1, 8, top, **{"ml.component.staleness": ["flights is 40 days old"]})
    recorder.artifact("read", "flights", 1, step, 10)
    recorder.artifact("write", "flights", 1, step, 10, **{"ml.artifact.role": "mutated"})

    assert rendered(recorder)[1:] == [
        "└─ fill  ▲  ━━━━━━━━  7.0 s  flights 10 rows → flights (changed in place) 10 rows",
        "      ▲ stale: flights is 40 days old",
    ]


def test_reasons_that_removed_no_row_are_left_out():
    """A removal of nothing is no news."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    recorder.component("a", 0, 4, top, **{"ml.removal.rows.outlier": 0})
    recorder.component("b", 4, 9, top, **{"ml.removal.rows.outlier": 0, "ml.removal.rows.missing": 3})

    assert [line for line in rendered(recorder) if "removed" in line] == ["      − 3 rows removed: missing"]


def test_artifacts_of_the_pipeline_itself_are_below_the_header():
    """What was read outside any component is shown with the pipeline."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    recorder.artifact("read", "config.yaml", 0, top, kind="file", **{"ml.artifact.size": 312})

    assert rendered(recorder)[1:] == ["config.yaml 312 B"]


def test_hostile_names_and_messages_cannot_leave_their_line():
    """Escape sequences, line breaks and lone surrogates in any text are shown, not obeyed."""
    evil = "\x1b[2J\x1b]0;owned\x07\r\n├─ fake\u202e\ud800"
    top = SpanRecord(
        "ab" * 16, "01" * 8, None, f"pipeline {evil}", NOON, NOON + 10**9,
        {"ml.pipeline.name": evil, "ml.run.id": evil, "error.type": evil}, "error", evil,
        resource={"vcs.ref.head.revision": evil},
    )  # fmt: skip
    values = {
        "ml.component.name": evil, "ml.run.id": evil, f"ml.removal.rows.{evil}": 3, "ml.component.staleness": [evil],
    }  # fmt: skip
    step = SpanRecord("ab" * 16, "02" * 8, "01" * 8, f"component {evil}", NOON, NOON + 10**9, values)
    read = {"ml.artifact.name": evil, "ml.artifact.type": evil, "ml.artifact.id": evil, "ml.artifact.uri": evil}
    check = {"ml.check.name": evil, "ml.check.status": "failed", "ml.check.message": evil, "ml.check.value.x": evil}
    found = [
        top, step,
        SpanRecord("ab" * 16, "03" * 8, "02" * 8, f"read {evil}", NOON, NOON, read),
        SpanRecord("ab" * 16, "04" * 8, "02" * 8, f"check {evil}", NOON, NOON, check),
    ]  # fmt: skip
    [run] = build_runs(found)
    summaries = Summaries()
    summaries.add(found)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    lines = render_run(run, Style(), now_ns=TOMORROW, notes=details(run, writers(run)))
    lines += render_table(summaries.newest_first(), Style(), now_ns=TOMORROW)
    print_run(found, where=evil, stream=stream)

    stream.seek(0)
    printed = stream.read()
    assert all(line.isprintable() for line in lines)
    assert all(line.isprintable() for line in printed.split("\n"))
    assert not any(line.startswith("├─ fake") for line in [*lines, *printed.split("\n")])


def test_plain_symbols_where_the_stream_has_no_others():
    """A stream that writes ASCII only gets a tree of ASCII, and names it cannot write by their codes."""
    recorder = Recorder()
    top = flights(recorder)
    recorder.component("特徴", 41, 42, top)
    [run] = build_runs(recorded(recorder))

    lines = render_run(run, Style(ASCII, encoding="ascii", width=100), now_ns=TOMORROW)

    assert all(line.isascii() for line in lines)
    assert lines[3].startswith("|- clean")
    assert "-> clean-flights 327,290 rows (-2.8 %)" in lines[3]
    assert any(r"\u7279\u5fb4" in line for line in lines)


def test_colour_changes_nothing_but_the_colour():
    """Without its colour codes a coloured tree is the plain one."""
    recorder = Recorder()
    flights(recorder)
    [run] = build_runs(recorded(recorder))

    plain = render_run(run, Style(width=80), now_ns=TOMORROW)
    coloured = render_run(run, Style(width=80, has_colour=True), now_ns=TOMORROW)

    assert [COLOUR.sub("", line) for line in coloured] == plain
    assert "\x1b[32m" in coloured[0]


def test_depth_is_drawn_up_to_a_limit():
    """A thousand levels are twelve and a count, at any width."""
    recorder = Recorder()
    above = recorder.pipeline("nightly", 0, 2000)
    for level in range(1000):
        above = recorder.component(f"level {level}", level, 2000 - level, above)
    [run] = build_runs(recorded(recorder))

    for columns in (40, 120):
        lines = render_run(run, Style(width=columns), now_ns=TOMORROW)
        assert sum("level " in line for line in lines) == 12
        assert "… 988 steps deep" in lines[-1]
        assert max(map(width, lines)) <= columns


def test_all_that_was_recorded_is_in_the_details():
    """With details each step has its artifacts with ids and origins, its checks and all its attributes."""
    recorder = Recorder(**{"host.name": "box"})
    top = flights(recorder)
    recorder.event(
        "ml.exception", 44, top, "it failed",
        **{"exception.stacktrace": "Traceback (most recent call last):\n  File x.py\nValueError: bad\n"},
    )  # fmt: skip
    [run] = build_runs(recorded(recorder))

    lines = render_run(run, Style(), now_ns=TOMORROW, notes=details(run, writers(run)))

    for expected in (
        f"│  run id = {RUN}",
        "│  resource host.name = box",
        "│  ml.param.rows = all",
        "│  ml.tag.team = ops",
        "│  event ml.exception: Traceback (most recent call last):",
        "│      File x.py",
        "│     write flights: dataset, 336,776 rows × 19 columns, xxh3:" + "3e" * 16,
        "│       made by ingest in this run (evidence: process)",
        "      check beats_the_baseline: passed   mae = 18.25",
        "│  │  ml.component.type = train",
    ):
        assert expected in lines
    assert not any(" ml.run.id = " in line or " ml.removal.rows." in line for line in lines)  # the tree says it


def test_long_details_wrap_on_a_terminal_and_stay_whole_in_a_pipe():
    """People get lines that fit, programs get one fact a line."""
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 9, **{"ml.param.note": "word " * 100})
    [run] = build_runs(recorded(recorder))
    notes = details(run, {})

    for_people = render_run(run, Style(width=60, is_terminal=True), now_ns=TOMORROW, notes=notes)
    for_programs = render_run(run, Style(width=60), now_ns=TOMORROW, notes=notes)

    assert max(map(len, for_people)) <= 60
    assert sum(line.count("word") for line in for_people) == 100
    assert [line.count("word") for line in for_programs if "word" in line] == [100]


def test_a_claim_that_was_not_believed_is_said():
    """A read whose file claims another maker has the reason below it, not only no line."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    step = recorder.component("fit", 1, 5, top)
    doubt = "embedded: The content is not what clean wrote."
    recorder.artifact("read", "t.parquet", 2, step, **{"ml.artifact.claim.doubt": doubt})
    [run] = build_runs(recorded(recorder))

    lines = render_run(run, Style(), now_ns=TOMORROW, notes=details(run, writers(run)))

    assert any(line.endswith(f"▲ not believed, {doubt}") for line in lines)
