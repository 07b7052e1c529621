"""A small file beside the artifact: ``flights.csv.mlotel.json``. For every format, and for folders; never made unasked.

It stands beside the file that a symbolic link leads to, and is looked for beside the link first.
"""

import os
import stat
from pathlib import Path

from mlotel import _guard
from mlotel.artifacts.carriers._base import MAX_BYTES, Stamp, count
from mlotel.artifacts.carriers._files import AnyPath, View, put_in_place, read_stamp, temporary, write_all

SUFFIXES: tuple[str, ...] = ()
"""Of no format in particular."""

ENDING = ".mlotel.json"


def read(path: AnyPath) -> Stamp | None:
    """The stamp beside a file or folder, or None."""
    given = os.fsdecode(path)
    found = read_stamp("sidecar", _beside(given), _find)
    if found is not None or (target := _target(given)) is None:
        return found
    return read_stamp("sidecar", _beside(target), _find)


def write(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp beside a file or folder, in place of an earlier one.

    The sidecar may be read and written by whom the file itself may be. It is replaced in one step, so a reader finds
    the old one or the new one.

    Returns:
        Whether it is there now. False when there is nothing at ``path``, or something that is no file bears the
        sidecar's name, or it cannot be written.
    """
    try:
        target = os.path.realpath(os.fsdecode(path))
        place = Path(_beside(target))
        mode = Path(target).stat().st_mode & 0o666
        if os.path.lexists(place) and not stat.S_ISREG(place.lstat().st_mode):
            raise FileExistsError("something else bears its name")
        with temporary(place.parent) as (descriptor, name):
            write_all(descriptor, stamp.to_json().encode() + b"\n")
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            put_in_place(name, place)
    except (OSError, ValueError) as error:
        count("sidecar", "not_written")
        _guard.report("write a sidecar", error, level=10)
        return False
    return True


def _target(path: str) -> str | None:
    """Where a symbolic link leads; None for what is none."""
    try:
        return os.path.realpath(path) if Path(path).is_symlink() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _beside(path: str) -> str:
    return path.rstrip(os.sep) + ENDING


def _find(view: View) -> bytes:
    return view.at(0, min(view.size, MAX_BYTES + 2)).rstrip(b"\r\n")  # too long by now: counted as such
