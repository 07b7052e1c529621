"""Which file a call is about: the path, URL or open file that it was given.

Only what is certain counts. A string is a path when a file of that name is there after the call, so that text which a
library takes for content (``read_json('{"a": 1}')``) is never taken for a name. An open file counts when it is a plain
file of this system that can be found under its name, not a buffer, a compressed stream or a pipe.
"""

import glob
import io
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_PLACES", "Target", "target_of"]

MAX_PLACES = 32  # of one call; more are counted
_MAX_PATH = 4096

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*::)*[A-Za-z][A-Za-z0-9+.\-]*://")  # fsspec chains addresses
_PATTERN = re.compile(r"[*?\[]")
_BUFFERED = (io.BufferedReader, io.BufferedWriter, io.BufferedRandom)


@dataclass(frozen=True, slots=True)
class Target:
    """What a call reads or writes.

    Attributes:
        places: Paths and URLs, as they were given.
        omitted: Further ones that were left out.
        flush: Brings what was written to an open file onto the disk.
        tell: Says how far an open file was written.
        is_begun: Whether an open file held something before the call.
    """

    places: tuple[str, ...]
    omitted: int = 0
    flush: Callable[[], object] | None = None
    tell: Callable[[], int] | None = None
    is_begun: bool = False

    def existing(self) -> list[str]:
        """URLs, and those paths at which there is a file or a folder now."""
        return [place for place in self.places if _URL.match(place) or _is_there(place)]


def target_of(value: Any, *, bytes_are_paths: bool = False, several: bool = False) -> Target | None:
    """What ``value``, the argument of a call, leads to.

    Args:
        value: Whatever the user passed.
        bytes_are_paths: Whether the library takes ``bytes`` for a path, not for content.
        several: Whether it takes lists of paths, and patterns such as ``*.parquet``.

    Returns:
        The target, or None where there is no file.
    """
    kind = type(value)
    if issubclass(kind, str):
        return _of_text(str.__str__(value), several)
    if issubclass(kind, bytes):
        return _of_text(os.fsdecode(value), False) if bytes_are_paths else None
    if several and kind in (list, tuple):
        return _of_many(value)
    file = _open_file(value)
    if file is not None:
        return Target((file,), flush=value.flush, tell=value.tell)
    path = _path(value)
    return None if path is None else _of_text(path, False)


def _of_many(values: Sequence[Any]) -> Target | None:
    """What a list of paths leads to; other things in it are content."""
    places: list[str] = []
    omitted = 0
    for value in values:
        if len(places) >= MAX_PLACES:
            omitted += 1
            continue
        path = _path(value)
        target = None if path is None else _of_text(path, True)
        if target is not None:
            places += target.places
            omitted += target.omitted
    omitted += max(0, len(places) - MAX_PLACES)
    return Target(tuple(places[:MAX_PLACES]), omitted) if places else None


def _of_text(text: str, several: bool) -> Target | None:
    if not text or len(text) > _MAX_PATH or "\0" in text:
        return None
    if _URL.match(text):
        return Target((text,))
    if text.startswith("~") and not os.path.lexists(text):
        text = os.path.expanduser(text)  # noqa: PTH111 - not normalized: it is shown as it was given
    if several and _PATTERN.search(text) and not os.path.lexists(text):
        found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - the pattern may be absolute
        return Target(tuple(found[:MAX_PLACES]), max(0, len(found) - MAX_PLACES)) if found else None
    return Target((text,))


def _path(value: Any) -> str | None:
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)
    # Asking fsspec's open files for their path opens them once more.
    if hasattr(kind, "__fspath__") and kind.__module__.partition(".")[0] != "fsspec":
        return os.fsdecode(os.fspath(value))
    return None


def _open_file(value: Any) -> str | None:
    """Name of the file that an open file object reads or writes, if that is a plain file which is still there."""
    if (type(value).__module__, type(value).__name__) == ("tempfile", "_TemporaryFileWrapper"):
        value = value.file
    try:
        if issubclass(type(value), io.TextIOWrapper):
            value = value.buffer
        if issubclass(type(value), _BUFFERED):
            value = value.raw
        if not issubclass(type(value), io.FileIO) or not isinstance(value.name, str | bytes):
            return None
        opened, named = os.fstat(value.fileno()), os.stat(value.name)  # noqa: PTH116 - the name can be bytes
    except (OSError, ValueError):  # closed, detached, removed or renamed
        return None
    return os.fsdecode(value.name) if stat.S_ISREG(opened.st_mode) and os.path.samestat(opened, named) else None


def _is_there(place: str) -> bool:
    try:
        mode = os.stat(place).st_mode  # noqa: PTH116 - as it was given
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
