"""What lies in a spool folder, read without any code of mlotel.

A file holds one export request in OTLP/JSON a line. Beside it ``FILE.sent`` says of each signal how many bytes of the
file are done with, and how many records of the line that begins there; under ``aside`` stand lines before it that are
not done with: where each begins, and how many of its records are.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from wire import SIGNALS, of_json


@dataclass
class Disk:
    """The records in one or several folders.

    Attributes:
        undelivered: Items by signal that no mark says were delivered.
        delivered: Items by signal that are still there and marked as delivered.
        torn: Lines that are no whole request.
        files: Names of the files.
    """

    undelivered: dict = field(default_factory=lambda: {signal: [] for signal in SIGNALS})
    delivered: dict = field(default_factory=lambda: {signal: [] for signal in SIGNALS})
    torn: int = 0
    files: list = field(default_factory=list)

    def ids(self, signal):
        return {item.id for item in self.undelivered[signal]}


def read(*folders):
    """Everything in the files of ``folders``; those that are missing are empty."""
    disk = Disk()
    for file in sorted(path for folder in folders for path in Path(folder).glob("*.jsonl")):
        disk.files.append(file.name)
        marks = marks_of(file)
        end = 0
        for line in file.read_bytes().splitlines(keepends=True):
            start, end = end, end + len(line)
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("half a line")
                signal, items = of_json(line)
            except (ValueError, KeyError):
                disk.torn += 1
                continue
            offset, records = marks.get(signal, (0, 0))
            aside = {line[0]: line[1] for line in marks.get("aside", {}).get(signal, ())}
            done = len(items) if end <= offset else records if start == offset else 0
            done = aside.get(start, done)
            disk.delivered[signal] += items[:done]
            disk.undelivered[signal] += items[done:]
    return disk


def marks_of(file):
    """Bytes that are done with and records of the line after them, by signal, by the mark beside ``file``."""
    try:
        return json.loads(file.with_name(file.name + ".sent").read_text())
    except FileNotFoundError:
        return {}
