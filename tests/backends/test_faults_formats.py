"""Spool files as other versions of mlotel write them: what was kept once can be delivered by every later version."""

import json
import os
import subprocess
import sys
from pathlib import Path

import disk
import pytest
from account import has_all
from fault_programs import OFTEN, Plan, Program
from receiver import HttpReceiver

TRACE = "5b8efff798038103d269b633813fc60c"
NOON_NS = 1_767_614_400_000_000_000


def span(number, **more):
    """A span as it stands in a line: ids in hex, times and integers as text."""
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "name": "work",
        "kind": 1,
        "startTimeUnixNano": str(NOON_NS),
        "endTimeUnixNano": str(NOON_NS + 1_000_000),
        "attributes": [{"key": "rows", "value": {"intValue": "7"}}],
        "status": {},
        **more,
    }


def traces(*spans, **more):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "old"}}]}
    return {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}], **more}
        ]
    }


def logs(name):
    record = {
        "timeUnixNano": str(NOON_NS),
        "observedTimeUnixNano": str(NOON_NS),
        "eventName": "faults.step",
        "body": {"stringValue": "x"},
        "attributes": [{"key": "test.id", "value": {"stringValue": name}}],
    }
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {"name": "s"}, "logRecords": [record]}]}]}


def write(spool, name, *requests):
    spool.mkdir(parents=True, exist_ok=True)
    file = spool / name
    file.write_text("".join(json.dumps(request, separators=(",", ":")) + "\n" for request in requests))
    os.utime(file, (NOON_NS / 1e9, NOON_NS / 1e9))
    return file


def deliver(receiver, folder, wanted):
    """Run a program with an endpoint until ``wanted`` names of spans have arrived."""
    program = Program(Plan("mlotel", receiver.endpoint, spans=1, ending="wait"), folder, OFTEN)
    receiver.wait_for(lambda r: wanted <= set(r.taken("traces")) and has_all(r, program)(), 10)
    program.go_on()
    return program.finish()


def name_of(number):
    return f"{TRACE}.{number:016x}"


def test_files_that_wait_and_recordings_lie_side_by_side(folder, spool):
    """A program with an endpoint delivers what waits for one, and leaves recordings of the first version alone.

    The command sends those too when it is asked to, once, and leaves them there.
    """
    old = write(spool, "host-1-20260105T120000-0a0b0c.001.jsonl", traces(span(1), span(2)), logs("one"))
    new = write(spool, "host-2-20260105T120000-0a0b0d.001.pending.jsonl", traces(span(3)), traces(span(4)))
    with HttpReceiver() as receiver:
        result = deliver(receiver, folder, {name_of(3), name_of(4)})

        assert set(receiver.taken("traces")) == {name_of(3), name_of(4), *result.made["traces"]}
        assert not new.exists()
        assert old.exists()

        for _ in range(2):
            command = [Path(sys.executable).with_name("mlotel"), "flush", "--all", "--endpoint", receiver.endpoint]
            done = subprocess.run([*command, "--store", spool], capture_output=True, text=True, cwd=folder)
            assert done.returncode in (0, 3), done.stderr

        assert receiver.taken("traces")[name_of(1)] == receiver.taken("traces")[name_of(2)] == 1
        assert receiver.taken("logs")["one"] == 1
        assert old.exists()
        assert disk.read(spool).undelivered["traces"] == []


def test_a_line_of_a_later_version_is_delivered_as_far_as_it_is_understood(folder, spool):
    """Unknown fields, and integers that are numbers, do not keep a record from its receiver."""
    later = span(1, futureField={"a": [1, 2]}, flags=257, startTimeUnixNano=NOON_NS)
    write(spool, "host-2-20260105T120000-0a0b0d.001.pending.jsonl", traces(later, futureGroup="x"), traces(span(2)))
    with HttpReceiver() as receiver:
        deliver(receiver, folder, {name_of(1), name_of(2)})

        assert receiver.taken("traces")[name_of(1)] == receiver.taken("traces")[name_of(2)] == 1
        assert disk.read(spool).files == []


@pytest.mark.parametrize("first", [{"resourceProfiles": [{}]}, [1, 2], "text", {}], ids=str)
def test_a_line_that_nobody_knows_does_not_stop_the_rest(first, folder, spool):
    """Whatever stands in a line, what follows it is delivered."""
    write(spool, "host-2-20260105T120000-0a0b0d.001.pending.jsonl", first, traces(span(2)))
    with HttpReceiver() as receiver:
        result = deliver(receiver, folder, {name_of(2)})

        assert receiver.taken("traces")[name_of(2)] == 1
        assert "Traceback" not in result.log


def test_files_of_others_are_left_alone(folder, spool):
    """What only looks like a spool file is neither sent nor removed."""
    mine = write(spool, "notes.jsonl", traces(span(1)))
    copied = write(spool, "host-2-20260105T120000-0a0b0d.001.pending.jsonl.bak", traces(span(2)))
    write(spool, "host-2-20260105T120000-0a0b0d.001.pending.jsonl", traces(span(3)))
    with HttpReceiver() as receiver:
        deliver(receiver, folder, {name_of(3)})

        assert not {name_of(1), name_of(2)} & set(receiver.taken("traces"))
        assert mine.exists()
        assert copied.exists()
