"""Spool folders and files: which are read, in which order, and what is passed over."""

import json
import os
import re
import tracemalloc
from pathlib import Path

import pytest

from mlotel.errors import NotFoundError
from mlotel.store import spool as spool_module
from mlotel.store.spool import Spool, default_folders
from mlotel.types import EventRecord, SpanRecord
from spool_recorder import RUN, Recorder, flights, read_all

FIRST = "box-812-20260105T120000-3f9a1c.001.jsonl"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".mlotel" / "spool"


def test_a_folder_around_it_the_folder_itself_and_a_file_are_the_same_store(folder):
    """--store may name .mlotel, the spool folder, or one file."""
    recorder = Recorder()
    flights(recorder)
    file = recorder.write(folder / FIRST)

    found = [read_all(path)[0] for path in (folder.parent, folder, file)]

    assert len(found[0]) > 20
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", ["missing", "missing/.mlotel", "nul\0byte"])
def test_a_store_that_is_not_there_is_said(tmp_path, name):
    """A path without anything at its end raises, and the message names it."""
    with pytest.raises(NotFoundError, match="Cannot read"):
        Spool(tmp_path / name)


def test_a_named_pipe_is_not_waited_for(folder, tmp_path):
    """Opening a pipe would block for ever, so it is no store, and in a folder it is left out."""
    folder.mkdir(parents=True)
    os.mkfifo(folder / FIRST)

    assert Spool(folder).groups() == []
    with pytest.raises(NotFoundError, match="neither a folder nor a file"):
        Spool(folder / FIRST)


def test_files_come_newest_first_and_parts_of_one_writer_together(folder):
    """A writer's parts form one group in their order; groups are sorted by their last change."""
    for name, changed in [
        ("box-1-20260105T100000-aaaaaa.001.jsonl", 10),
        ("box-2-20260105T110000-bbbbbb.001.jsonl", 20),
        ("box-1-20260105T100000-aaaaaa.002.jsonl", 30),
        ("box-3-20260105T090000-cccccc.001.jsonl", 5),
    ]:
        recorder = Recorder()
        recorder.pipeline("nightly", 0, 1)
        recorder.write(folder / name, changed=changed)
    (folder / "notes.txt").write_text("not telemetry")

    groups = Spool(folder).groups()

    assert [[path.name.split("-")[1] + path.name[-10:-6] for path in group.files] for group in groups] == [
        ["1.001", "1.002"],
        ["2.001"],
        ["3.001"],
    ]


def test_torn_and_foreign_lines_are_skipped_and_counted_once(folder):
    """Damage costs the line it is in; reading twice does not count it twice."""
    recorder = Recorder()
    flights(recorder)
    [whole] = recorder.lines()
    torn = whole[: len(whole) // 2]
    other = Recorder()
    other.pipeline("after", 0, 1, "after-run")
    folder.mkdir(parents=True)
    lines = [
        whole, torn, "hello world", "", "   ", '{"a": 1}', "[1, 2]", '{"resourceSpans": 3}', torn + whole,
        '{"resourceMetrics":[{"torn', '{"resourceMetrics":[]}', "\ufeff" + whole, *other.lines(),
    ]  # fmt: skip
    (folder / FIRST).write_bytes(
        "\n".join(lines).encode() + b'\n\xff\xfe{}\n{"resourceSpans": "\xff"}\n' + torn.encode()
    )

    spool = Spool(folder)
    names = [record.name for record in spool.read(spool.groups())]
    again = [record.name for record in spool.read(spool.groups())]

    assert names == again
    assert names.count("pipeline flight-delays") == 1
    assert names[-1] == "pipeline after"
    assert spool.skipped == 11


def test_a_span_that_is_there_twice_counts_once(folder):
    """A replayed batch, and the collector's copy of a file beside ours, change nothing."""
    recorder = Recorder()
    flights(recorder)
    [line] = recorder.lines()
    folder.mkdir(parents=True)
    (folder / FIRST).write_text(f"{line}\n{line}\n")
    (folder / "collector.jsonl").write_text(f"{line}\n")
    once = len(re.findall('"spanId":"[0-9a-f]{16}","(?:parentSpanId|flags)', line))

    found, spool = read_all(folder)

    assert len(found) == once
    assert spool.duplicates == 2 * once


def test_the_same_span_id_in_two_traces_is_two_spans(folder):
    """Span ids are unique within a trace only."""
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1)
    [line] = recorder.lines()
    folder.mkdir(parents=True)
    (folder / FIRST).write_text(
        line + "\n" + re.sub('"traceId":"[0-9a-f]{32}"', f'"traceId":"{"ab" * 16}"', line) + "\n"
    )

    assert len(read_all(folder)[0]) == 2


def test_a_line_without_an_end_is_not_taken_into_memory(folder, monkeypatch):
    """A line longer than any batch is skipped as it is read, and what follows it is read."""
    monkeypatch.setattr(spool_module, "MAX_LINE", 100_000)
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1)
    [line] = recorder.lines()
    folder.mkdir(parents=True)
    with (folder / FIRST).open("w") as file:
        file.write("{" + "x" * 30_000_000 + "}\n" + line + "\n")

    tracemalloc.start()
    found, spool = read_all(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [record.name for record in found] == ["pipeline nightly"]
    assert spool.skipped == 1
    assert peak < 2_000_000


def test_memory_does_not_grow_with_the_folder(folder):
    """Reading keeps only the ids of spans, a small part of what is on disk."""
    recorder = Recorder()
    for second in range(300):
        recorder.component(f"step {second}", second, second + 1, **{"ml.param.note": "x" * 2000})
    [line] = recorder.lines()
    folder.mkdir(parents=True)
    with (folder / FIRST).open("w") as file:
        for copy in range(40):
            file.write(re.sub('"traceId":"[0-9a-f]{28}', f'"traceId":"{copy:028x}', line) + "\n")
    size = (folder / FIRST).stat().st_size

    spool = Spool(folder)
    tracemalloc.start()
    count = sum(1 for _ in spool.read(spool.groups()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 12_000
    assert size > 20_000_000
    assert peak < 8 * len(line) + 200 * count


def test_lines_that_cannot_matter_are_not_decoded(folder):
    """The question decides by the bytes of a line; metrics are never decoded."""
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1)
    recorder.event("ml.run.started", 0)
    recorder.write(folder / FIRST)
    with (folder / FIRST).open("a") as file:
        file.write('{"resourceMetrics":[{"scopeMetrics":[]}]}\n')
    asked = []

    spool = Spool(folder)
    found = list(spool.read(spool.groups(), holds=lambda line: not asked.append(line) and b"resourceLogs" in line))

    assert [type(record) for record in found] == [EventRecord]
    assert len(asked) == 2
    assert all(json.loads(line) for line in asked)


def test_a_file_that_cannot_be_opened_is_named_and_the_rest_is_read(folder, tmp_path):
    """One unreadable file costs nothing but itself."""
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1)
    recorder.write(folder / FIRST)
    spool = Spool(folder)
    groups = spool.groups()
    (folder / FIRST).rename(folder / "taken.away")
    (folder / FIRST).mkdir()  # root can read everything but a folder
    other = Recorder()
    other.pipeline("other", 0, 1, "other-run")
    other.write(folder / "other.001.jsonl")

    found = list(spool.read([*groups, *Spool(folder / "other.001.jsonl").groups()]))

    assert [record.name for record in found if isinstance(record, SpanRecord)] == ["pipeline other"]
    assert spool.unreadable_files == {folder / FIRST}


def test_a_file_that_was_rotated_away_meanwhile_is_no_matter(folder):
    """Files vanish while they are read: the writer keeps the folder below its size."""
    recorder = Recorder()
    recorder.pipeline("nightly", 0, 1)
    recorder.write(folder / FIRST)
    spool = Spool(folder)
    groups = spool.groups()
    (folder / FIRST).unlink()

    assert list(spool.read(groups)) == []
    assert (spool.skipped, spool.unreadable_files) == (0, set())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, [".mlotel/spool", "~/.local/state/mlotel/spool"]),
        ({"XDG_STATE_HOME": "/state"}, [".mlotel/spool", "/state/mlotel/spool"]),
        ({"XDG_STATE_HOME": "relative"}, [".mlotel/spool", "~/.local/state/mlotel/spool"]),
        ({"MLOTEL_SPOOL": "/data/spool", "XDG_STATE_HOME": "/state"}, ["/data/spool", "/state/mlotel/spool"]),
    ],
)
def test_where_recording_writes_is_where_reading_looks(environment, expected):
    """MLOTEL_SPOOL or the working folder first, then the user's state folder, as the XDG specification finds it."""
    assert default_folders(environment) == [Path(path).expanduser() for path in expected]


def test_a_user_without_a_home_has_the_working_folder(monkeypatch):
    """No HOME, and nobody by this user id, as in some containers: what is left is the first folder."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 5)

    assert default_folders({}) == [Path(".mlotel/spool")]


def test_every_event_and_span_of_a_run_is_there(folder):
    """A whole run, written by the SDK and encoded by OpenTelemetry, comes back complete."""
    recorder = Recorder()
    top = flights(recorder)
    recorder.started("flight-delays", 0, top)
    recorder.write(folder / FIRST)

    found, spool = read_all(folder)

    assert sum(isinstance(record, SpanRecord) for record in found) == 23
    assert [record.attributes["ml.run.id"] for record in found if isinstance(record, EventRecord)] == [RUN]
    assert spool.skipped == 0
