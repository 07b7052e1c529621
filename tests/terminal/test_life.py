"""Runs without an end: those that live are told from those that are lost, with what is known of them."""

import pytest

from mlotel.store.otlp import records
from mlotel.terminal.details import details
from mlotel.terminal.objects import run_object, summary_object
from mlotel.terminal.render import render_run
from mlotel.terminal.style import Style
from mlotel.terminal.summary import Summaries
from mlotel.terminal.table import render_table
from mlotel.terminal.tree import build_runs
from spool_recorder import NOON, RUN, Recorder, lost_context, outline

PIPELINE, TRAIN = lost_context(0xAB << 96, 0x1), lost_context(0xAB << 96, 0x2)


def started(recorder, second, context, interval=60.0, run_id=RUN):
    values = {"ml.run.id": run_id, "ml.pipeline.name": "nightly"}
    recorder.event(
        "ml.run.started", second, context, "started", **values,
        **({} if interval is None else {"ml.run.heartbeat.interval": interval}),
    )  # fmt: skip


def beat(recorder, second, context, component="", since=None, run_id=RUN):
    """One heartbeat: an event in the context of what runs, and a span below that."""
    values = {
        "ml.run.id": run_id, "ml.pipeline.name": "nightly", "ml.run.duration": float(second),
        "ml.run.heartbeat.interval": 60.0, **({"ml.component.name": component} if component else {}),
    }  # fmt: skip
    recorder.event("ml.run.heartbeat", second, context, "lives", **values)
    active = component or "nightly"
    start = second - 60 if since is None else since
    recorder.span(f"heartbeat {active}", start, second, context, {**values, "ml.run.active.name": active})


def found(*recorders):
    return [record for recorder in recorders for request in recorder.requests() for record in records(request)]


def at(second):
    return NOON + round(second * 1e9)


def told(known, second):
    """The run as the tree and as the list see it at ``second``: both must say the same."""
    [run] = build_runs(known, now_ns=at(second))
    summaries = Summaries(at(second))
    summaries.add(known)
    [summary] = summaries.newest_first()
    assert (summary.status, summary.name, summary.start_ns, summary.last_seen_ns) == (
        run.status, run.name, run.start_ns, run.last_seen_ns,
    )  # fmt: skip
    return run, summary


@pytest.mark.parametrize(
    ("last_beat", "now", "status"),
    [(None, 179, "running"), (None, 181, "lost"), (600, 779, "running"), (600, 781, "lost"), (600, -100, "running")],
)
def test_three_intervals_of_silence_make_a_run_lost(last_beat, now, status):
    """A run without an end is running until three intervals after its last sign of life."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE)
    if last_beat is not None:
        beat(recorder, last_beat, PIPELINE)

    run, _ = told(found(recorder), now)

    assert (run.status, run.roots[0].status) == (status, status)
    assert run.last_seen_ns == at(last_beat or 0)


@pytest.mark.parametrize("interval", [None, 0.0, float("nan"), "often", -1])
def test_where_no_heartbeat_was_promised_nobody_can_say(interval):
    """Without an interval silence means nothing: such a run stays unfinished."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE, interval)

    assert told(found(recorder), 1e6)[0].status == "unfinished"


def test_any_record_is_a_sign_of_life():
    """A component that ended a moment ago says as much as a heartbeat."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE)
    recorder.component("clean", 500, 600, PIPELINE)

    assert told(found(recorder), 700)[0].status == "running"
    started(recorder, 0, PIPELINE)
    recorder.component("clean", 500, 600, PIPELINE)
    assert told(found(recorder), 790)[0].status == "lost"


def test_a_lost_run_shows_the_component_that_was_open():
    """What heartbeats named and what has no span is in the tree, from when it was first heard of to when last."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE)
    recorder.component("clean", 1, 20, PIPELINE)
    beat(recorder, 60, TRAIN, "train", since=21)
    beat(recorder, 120, TRAIN, "train")
    known = found(recorder)

    run, summary = told(known, 3600)

    assert outline(run.roots) == [("nightly", ["clean", "train"])]
    clean, train = run.roots[0].children
    assert (clean.status, train.status, train.span) == ("ok", "lost", None)
    assert (train.start_ns, train.end_ns, train.last_seen_ns) == (at(21), at(120), at(120))
    lines = render_run(run, Style(), now_ns=at(3600))
    assert "▲ lost, last seen today 12:02" in lines[0]
    assert lines[1:] == [
        "│  ▲ lost: last seen today 12:02, after 2 min 00 s; it was killed, or cannot send",
        "├─ clean  ✓ ━━             19.0 s",
        "└─ train  ▲  ╺━━━━━━━━ 1 min 39 s",
        "      ▲ lost: last seen today 12:02, after 1 min 39 s; it was killed, or cannot send",
    ]
    [row] = render_table([summary], Style(), now_ns=at(3600))[1:]
    assert row.endswith("2 min 00 s  ▲ lost  1      (last seen today 12:02)")


def test_a_running_run_shows_what_it_does():
    """While it lives the header says how long so far, and the open component when it was last heard of."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE)
    beat(recorder, 60, TRAIN, "train", since=21)

    run, summary = told(found(recorder), 100)

    lines = render_run(run, Style(), now_ns=at(100))
    assert "· running, 1 min 00 s so far" in lines[0]
    assert lines[-1] == "      · running, last seen today 12:01"
    assert "· running" in render_table([summary], Style(), now_ns=at(100))[1]


def test_a_run_that_has_ended_is_what_it_ended_as():
    """Heartbeats of an ended run change neither its status nor its tree; one without a span is not made up."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 200, **{"ml.run.heartbeat.interval": 60.0})
    started(recorder, 0, top)
    train = recorder.component("train", 1, 199, top)
    beat(recorder, 60, train, "train", since=1)
    beat(recorder, 120, lost_context(top.trace_id, 0x77), "never-seen")

    run, summary = told(found(recorder), 1e6)

    assert (run.status, outline(run.roots)) == ("ok", [("nightly", ["train"])])
    assert (summary.steps, run.end_ns) == (1, at(200))
    assert summary_object(summary)["last_seen"] is None


def test_heartbeats_alone_are_a_run():
    """Where the record of the start is gone, heartbeats tell of the pipeline, or of what ran in it."""
    alone, within = Recorder(), Recorder()
    beat(alone, 60, PIPELINE, since=0)
    beat(within, 60, TRAIN, "train", since=0)

    assert outline(told(found(alone), 100)[0].roots) == ["nightly"]
    run, _ = told(found(within), 100)
    assert (run.name, run.status, outline(run.roots)) == ("nightly", "running", ["train"])


def test_of_two_processes_only_the_silent_one_is_lost():
    """The run lives as long as one of its processes does; the node of the other one is lost."""
    first, second = Recorder(**{"service.instance.id": "a"}), Recorder(**{"service.instance.id": "b"})
    started(first, 0, PIPELINE)
    other = lost_context(0xCD << 96, 0x1)
    started(second, 1, other)
    beat(second, 1000, other)

    run, _ = told(found(first, second), 1100)

    assert run.status == "running"
    assert [node.status for node in run.roots] == ["lost", "running"]


def test_json_has_the_status_and_when_it_was_last_seen():
    """Programs get the time of the last sign of life, of the run and of each node without an end."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE)
    beat(recorder, 60, TRAIN, "train", since=21)

    run, summary = told(found(recorder), 3600)

    assert summary_object(summary)["status"] == "lost"
    assert summary_object(summary)["last_seen"] == "2026-01-05T12:01:00.000000Z"
    shown = run_object(run, {})
    assert (shown["status"], shown["last_seen"]) == ("lost", "2026-01-05T12:01:00.000000Z")
    assert [(node["name"], node["status"], node["end"], node["last_seen"]) for node in shown["nodes"]] == [
        ("nightly", "lost", None, "2026-01-05T12:01:00.000000Z"),
        ("train", "lost", None, "2026-01-05T12:01:00.000000Z"),
    ]
    assert [event["name"] for event in shown["events"]] == ["ml.run.started", "ml.run.heartbeat"]


def test_a_thousand_heartbeats_are_one_line_of_the_details():
    """`mlotel show --attrs` tells the last heartbeat of a component, not all of a day."""
    recorder = Recorder()
    started(recorder, 0, PIPELINE)
    for minute in range(1, 1001):
        beat(recorder, 60 * minute, TRAIN, "train")

    run, _ = told(found(recorder), 60_100)

    lines = render_run(run, Style(), now_ns=at(60_100), notes=details(run, {}))
    assert sum("ml.run.heartbeat" in line and "interval" not in line for line in lines) == 1
