"""Replays a folder in forked processes, as tests of crashes and of many at once need it.

    python replay_program.py kill FOLDER ENDPOINT SEED     kills replaying processes at random until all is sent
    python replay_program.py crowd FOLDER ENDPOINT LOCKS   eight processes at once, until all is sent

Prints one line of JSON.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from mlotel.export import _claims
from mlotel.export._connection import connection
from mlotel.export._http import HttpSender
from mlotel.export.replay import Replayer

SIGNALS = ("traces", "metrics", "logs")


def replay(folder, endpoint, counts):
    """Pass after pass, until nothing is left. Appends what was counted to the file ``counts``."""
    senders = {name: HttpSender(connection(name, f"{endpoint}/v1/{name}", "http/protobuf", {})) for name in SIGNALS}

    def note(*what):
        counts.write(json.dumps(what[1:]) + "\n")

    replayer = Replayer(
        folder,
        {name: lambda body, sender=sender: sender.send(body, 10.0) for name, sender in senders.items()},
        on_delivered=note,
        on_dropped=note,
        share=1.0,
    )
    deadline = time.monotonic() + 60
    while replayer.waiting() and time.monotonic() < deadline:
        replayer.run(deadline, threading.Event())
        counts.flush()
        time.sleep(0.01)


def fork(folder, endpoint, counts):
    child = os.fork()
    if child == 0:
        with counts.open("a", encoding="ascii") as file:
            replay(folder, endpoint, file)
        os._exit(0)
    return child


def kill(folder, endpoint, seed):
    """Each process is given a little time, and then killed wherever it is."""
    chance = random.Random(seed)
    kills = 0
    while any(folder.glob("*.jsonl")) and kills < 500:
        child = fork(folder, endpoint, folder.with_suffix(".counts"))
        time.sleep(chance.uniform(0.001, 0.03))
        if os.waitpid(child, os.WNOHANG)[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
    return {"kills": kills}


def crowd(folder, endpoint, locks):
    if locks == "no":
        _claims.fcntl = None
    children = [fork(folder, endpoint, folder.with_suffix(f".counts{number}")) for number in range(8)]
    return {"statuses": [os.waitpid(child, 0)[1] for child in children]}


if __name__ == "__main__":
    what, folder, endpoint, option = sys.argv[1:]
    print(json.dumps({"kill": kill, "crowd": crowd}[what](Path(folder), endpoint, option)))
