"""How far a spool file has been sent: the content of ``….sent`` beside it.

``{"traces": [4711, 0]}``: of the spans, 4711 bytes of the file are done with, and no record of the line there.
``"aside": {"traces": [[512, 0, 3, 1767600000.0, 1767600020.0]]}``: but for the line at byte 512; see ``Aside``.
"""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from mlotel.export import _claims
from mlotel.types import Signal

MOST_ASIDE: Final = 32
"""Lines of one signal in one file that may be set aside; more are no odd lines but a receiver that does not work."""

_NEW: Final = ".new"
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
_LARGEST: Final = 2**53


class Place(NamedTuple):
    """How far the records of one signal in a file are done with: delivered, or counted as lost.

    Attributes:
        offset: Bytes of the file.
        records: Records of the line at ``offset``: a request that is too large is sent in parts.
    """

    offset: int = 0
    records: int = 0


class Aside(NamedTuple):
    """A line that was passed over, because the receiver failed on it: it is tried again while the others go on.

    Attributes:
        offset: Where it begins.
        records: How many of its records are done with.
        tries: How often it failed while others were taken; 0 where that is not known yet.
        since_s: When it first did, in seconds since 1970.
        tried_s: When it last did.
    """

    offset: int
    records: int = 0
    tries: int = 0
    since_s: float = 0.0
    tried_s: float = 0.0

    def due_in_s(self, now_s: float) -> float:
        """Seconds until it may be tried again: after the first try none, then 1, 4, 16, … up to an hour."""
        pause_s = min(3600.0, 4.0 ** (self.tries - 2)) if self.tries > 1 else 0.0
        waited_s = now_s - self.tried_s
        return max(0.0, pause_s - waited_s) if waited_s >= 0 else 0.0  # somebody has set the clock back


@dataclass
class Progress:
    """How far a file is done with.

    Attributes:
        places: By signal; those at the start are left out.
        aside: By signal the lines before its place that are not done with, in the order of the file.
    """

    places: dict[Signal, Place] = field(default_factory=dict)
    aside: dict[Signal, list[Aside]] = field(default_factory=dict)

    def copy(self) -> "Progress":
        """One that can be changed."""
        return Progress(dict(self.places), {signal: list(lines) for signal, lines in self.aside.items()})

    def with_memory(self, remembered: "Progress") -> "Progress":
        """What was written down, and what could not be: of both the farther."""
        found = remembered.copy()
        for signal, place in self.places.items():
            ours = found.places.get(signal, Place())
            found.places[signal] = max(place, ours)
            lines = [aside for aside in self.aside.get(signal, ()) if aside.offset >= ours.offset]
            if lines:
                found.aside[signal] = [*found.aside.get(signal, ()), *lines]
        return found

    def checked(self, file: BinaryIO, size: int) -> "Progress":
        """Without what cannot be true of ``file``: places beyond its end, or in the middle of a line.

        A mark that is wrong makes nothing be passed over: it is sent once more.
        """
        found = Progress()
        for signal, place in self.places.items():
            if place.offset == size or (place.offset < size and _begins_line(file, place.offset)):
                found.places[signal] = place
                lines = [
                    aside
                    for aside in self.aside.get(signal, ())
                    if aside.offset < place.offset and _begins_line(file, aside.offset)
                ]
                if lines:
                    found.aside[signal] = lines
        return found

    def is_all(self, size: int) -> bool:
        """Whether nothing is left of a file of ``size`` bytes."""
        return not self.aside and all(self.places.get(signal, Place()).offset == max(size, 1) for signal in _SIGNALS)


def read(path: Path) -> Progress:
    """What the mark ``path`` says; nothing where it is missing, or none of ours: then the file counts as not sent."""
    try:
        found: Any = json.loads(_claims.read_small(path))
        places = {signal: Place(*_whole(found[signal])) for signal in _SIGNALS if signal in found}
        lines = found.get("aside", {})
        aside = {signal: [_aside(*line) for line in lines[signal]] for signal in _SIGNALS if lines.get(signal)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Progress()
    return Progress(places, {signal: found for signal, found in aside.items() if signal in places})


def write(path: Path, progress: Progress, *, is_synced: bool) -> None:
    """Replace the mark as a whole. Only who holds the file does so, hence one name for the new one is enough.

    Args:
        path: The mark.
        progress: What it is to say.
        is_synced: Whether that is to outlast the machine's going down, too, and not only the process's.

    Raises:
        OSError: If it cannot be written.
    """
    new = path.with_name(path.name + _NEW)
    said: dict[str, Any] = {signal: list(place) for signal, place in progress.places.items()}
    if progress.aside:
        said["aside"] = {signal: [list(line) for line in lines] for signal, lines in progress.aside.items()}
    text = json.dumps(said, separators=(",", ":"))
    try:
        descriptor = _create(new)
    except FileExistsError:  # left by a process that was killed
        _claims.remove(new)
        descriptor = _create(new)
    try:
        try:
            os.write(descriptor, text.encode() + b"\n")
            if is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
    except OSError:
        _claims.remove(new)
        raise


def _whole(found: Any) -> list[int]:
    if not isinstance(found, list) or not all(type(number) is int and 0 <= number < _LARGEST for number in found[:2]):
        raise ValueError("not a place of ours")
    return found[:2]


def _aside(*found: Any) -> Aside:
    tries, *times = found[2:5]
    if (
        type(tries) is not int
        or tries < 0
        or not all(isinstance(at, int | float) and math.isfinite(at) for at in times)
    ):
        raise ValueError("not a line of ours")
    offset, records = _whole(list(found))
    since_s, tried_s = map(float, times)
    return Aside(offset, records, min(tries, 1000), since_s, tried_s)


def _begins_line(file: BinaryIO, offset: int) -> bool:
    if offset == 0:
        return True
    file.seek(offset - 1)
    return file.read(1) == b"\n"


def _create(path: Path) -> int:
    return os.open(path, _claims.flags(os.O_WRONLY | os.O_CREAT | os.O_EXCL), 0o600)
