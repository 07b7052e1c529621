"""Lineage index: where it is, how much is in it, and whether it can be used."""

import contextlib
import os
import stat
import urllib.parse
from pathlib import Path
from typing import Any

from mlotel.artifacts.carriers import ignored, index
from mlotel.doctor._base import Case, Result, Section
from mlotel.terminal import wording

try:
    import sqlite3
except ImportError:  # a Python that was built without it
    sqlite3 = None  # type: ignore[assignment]  # its absence is asked for before it is used

_APPLICATION = 0x6D6C6F74  # as it stands in the database: "mlot"
_WAIT_S = 0.2


def _look(case: Case) -> list[Result]:
    found = index.Index.open()
    results = [_index(found)]
    if any(ignored().values()):
        counts = {f"{source} {reason}": number for (source, reason), number in ignored().items()}
        said = ", ".join(f"{number} {name}" for name, number in counts.items())
        results.append(Result("info", "ignored", f"stamps and entries in this process: {said}", facts=counts))
    return results


def _index(found: index.Index) -> Result:
    if found.path is None:
        is_off = bool(os.environ.get("MLOTEL_INDEX"))
        said = "switched off by MLOTEL_INDEX" if is_off else "this user has no home folder, so there is none"
        return Result("info", "index", said, facts={"on": False})
    facts: dict[str, Any] = {"on": True, "path": os.fspath(found.path)}
    if sqlite3 is None:
        said = "this Python has no module sqlite3, so there is no index"
        return Result("warn", "index", said, "MLOTEL_INDEX=off says that this is wanted.", facts)
    try:
        mode = found.path.lstat()
    except FileNotFoundError:
        return Result("info", "index", f"{found.path} does not exist yet; it is made at the first write", facts=facts)
    except OSError as error:
        return _unusable(found.path, error.strerror or str(error), facts)
    if not stat.S_ISREG(mode.st_mode):
        return _unusable(found.path, "it is a link or no regular file", facts)
    facts["size_bytes"] = mode.st_size
    try:
        facts["rows"] = _rows(found.path)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            said = f"{found.path}: another process is writing it, so its rows were not counted"
            return Result("info", "index", said, facts=facts)
        return _unusable(found.path, str(error), facts)
    except (sqlite3.Error, ValueError) as error:
        return _unusable(found.path, str(error), facts)
    said = f"{found.path}: {wording.count(facts['rows'], 'write')} remembered, {wording.size(mode.st_size)}"
    return Result("ok", "index", said, facts=facts)


def _rows(path: Path) -> int:
    place = urllib.parse.quote(os.fsencode(path.absolute()))
    with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=_WAIT_S)) as connection:
        if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise ValueError("it is the database of another program")
        return int(connection.execute("SELECT count(*) FROM producer").fetchone()[0])


def _unusable(path: Path, why: str, facts: dict[str, Any]) -> Result:
    said = f"{path} cannot be used: {why}. Files without a stamp have no producer in later programs"
    return Result("warn", "index", said, "Move it away; a new one is made. MLOTEL_INDEX=off does without.", facts)


SECTION = Section(title="Lineage index", place=7, look=_look)
