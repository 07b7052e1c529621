"""Replay that is killed, crowded, or denied the disk: real processes, a real receiver, every record looked for."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import spool_files
from spool_files import line, log_line, metric_line

PROGRAM = Path(__file__).with_name("replay_program.py")


def run(*arguments):
    """Run the program, and return what it printed."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=110,
        cwd=PROGRAM.parent,
        check=True,
    )
    return json.loads(done.stdout)


def arrivals(sink):
    """``number: [span ids]`` of everything that arrived."""
    found = {}
    for span in sink.spans():
        found.setdefault(span["attributes"]["n"], []).append((span["trace_id"], span["span_id"]))
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_anywhere_it_loses_nothing(tmp_path, http_sink, seed):
    """Each record arrives; a kill costs at most that one line is sent a second time, with equal ids."""
    folder = tmp_path / "spool"
    groups = []
    for file in range(6):
        groups += [range(len(groups) * 3 + 3 * row, len(groups) * 3 + 3 * row + 3) for row in range(10)]
        spool_files.put(folder, [line(group) for group in groups[-10:]], unique=f"{file:06x}", changed=1e9 + file)

    kills = run("kill", folder, http_sink.endpoint, seed)["kills"]

    found = arrivals(http_sink)
    assert kills >= 3, "otherwise this says little"
    assert found.keys() == {number for group in groups for number in group}
    assert all(len(set(ids)) == 1 for ids in found.values()), "a record that comes again has the ids it had"
    repeated = 0
    for group in groups:
        times = {len(found[number]) for number in group}
        assert len(times) == 1, "lines come as a whole"
        repeated += times.pop() - 1
    assert repeated <= kills
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("locks", ["yes", "no"])
def test_eight_at_once_send_each_line_once(tmp_path, http_sink, locks):
    """However they share the folder between them, every record arrives exactly once, of every signal."""
    folder = tmp_path / "spool"
    made = 0
    for file in range(16):
        lines = []
        for _ in range(3):
            lines += [line([made]), log_line(made), metric_line(made)]
            made += 1
        spool_files.put(folder, lines, unique=f"{file:06x}", changed=1e9 + file)

    assert run("crowd", folder, http_sink.endpoint, locks)["statuses"] == [0] * 8

    once = dict.fromkeys(range(made), 1)
    assert Counter(span["attributes"]["n"] for span in http_sink.spans()) == once
    assert Counter(log["attributes"]["n"] for log in http_sink.logs()) == once
    assert Counter(point["value"] for point in http_sink.metrics()) == once
    counted = [json.loads(row) for file in tmp_path.glob("spool.counts*") for row in file.read_text().splitlines()]
    assert sum(records for _, records in counted) == 3 * made
    assert list(folder.iterdir()) == []


BLOCKED = """
import logging, os, resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
logging.basicConfig(format="%(message)s")
import records
from spool_files import Receiver, line
from mlotel.export.replay import Replayer

receiver = Receiver("accepted", "later", "accepted", "later")
receiver.run(Path("elsewhere"))  # everything is loaded now
os.chdir({folder!r})
{denied}
for number in range(2):  # each pass as after an outage, by a replayer of its own
    receiver.run(Path())
    print(receiver.numbers(), sorted(os.listdir()))
receiver.run(Path())
print(receiver.numbers(), len(os.listdir()))
receiver.run(Path())
print(receiver.numbers(), len(os.listdir()))
"""


def run_blocked(folder, denied):
    code = BLOCKED.format(tests=str(Path(__file__).parent), folder=str(folder), denied=denied)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_full_disk_makes_it_remember(tmp_path):
    """Where progress cannot be written down, this process still sends nothing twice; that is said once."""
    path = spool_files.put(tmp_path / "spool", [line([0]), line([1]), line([2])])

    done = run_blocked(tmp_path / "spool", "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))")

    name = path.name
    assert done.stdout.splitlines() == [f"[0, 2] ['{name}']"] * 2 + ["[0, 2, 1] 0"] * 2
    assert done.stderr.count("cannot note in") == 1
    assert "File too large" in done.stderr


def test_a_folder_that_cannot_be_written_makes_it_remember(tmp_path):
    """Nor does it send again what it could not remove. The next process would; its receiver sees equal ids."""
    folder = tmp_path / "spool"
    path = spool_files.put(folder, [line([0]), line([1]), line([2])])
    user = os.geteuid() or 65_534
    os.chown(path, user, -1)
    folder.chmod(0o555)

    done = run_blocked(folder, f"os.setuid({user})" if os.geteuid() == 0 else "")

    name = path.name
    assert done.stdout.splitlines() == [f"[0, 2] ['{name}']"] * 2 + ["[0, 2, 1] 1"] * 2
    assert done.stderr.count("cannot note in") == 1
    assert "Permission denied" in done.stderr
    folder.chmod(0o755)
