"""Spool: what is on disk, what of it waits, and whether the folder is fit for it."""

import os
import shutil
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlotel.doctor._base import SIGNALS, Case, Result, Section
from mlotel.export import _claims
from mlotel.export.replay import Replayer
from mlotel.export.spool import FILE_NAME, MAX_TOTAL_BYTES
from mlotel.terminal import wording
from mlotel.types import Signal

_COUNTING_S = 2.0
_FEW_BYTES = 100_000_000
_NEARLY_FULL = 0.9
_LONG_S = 3600.0
_WORTH_SAYING_S = 60.0


@dataclass
class _Seen:
    """What a folder holds.

    Attributes:
        size: Bytes of all spool files.
        oldest: When the oldest changed last, in seconds since 1970.
        pending: Files that wait for an endpoint.
        recordings: Files that stay.
        writers: Ids of living processes that wrote here.
        elsewhere: Hosts that changed a file within the hour.
        open_to_others: Files that others can read.
        foreign: Files of other users.
    """

    size: int = 0
    oldest: float | None = None
    pending: list[Path] = field(default_factory=list)
    recordings: list[Path] = field(default_factory=list)
    writers: set[int] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    open_to_others: int = 0
    foreign: int = 0
    oldest_pending: float | None = None


def _look(case: Case) -> list[Result]:
    results: list[Result] = []
    for number, folder in enumerate(case.folders):
        if folder.is_dir():
            results += _folder(case, folder)
        elif number == 0:
            results.append(_missing(folder))
    return results


def _missing(folder: Path) -> Result:
    facts = {"folder": os.fspath(folder), "exists": False}
    above = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    if folder.exists() or not above.is_dir():
        said = f"{above} is no folder: records go to the user's state folder"
        return Result("warn", "folder", said, "Name another with configure(spool=) or MLOTEL_SPOOL.", facts)
    if not os.access(above, os.W_OK):
        said = f"{folder} does not exist and cannot be made: {above} cannot be written. The user's state folder serves"
        return Result("warn", "folder", said, "Name another with configure(spool=) or MLOTEL_SPOOL.", facts)
    return Result("ok", "folder", f"{folder} does not exist yet; it is made at the first record", facts=facts)


def _folder(case: Case, folder: Path) -> list[Result]:
    try:
        seen = _list(case, folder)
    except OSError as error:
        said = f"{folder} cannot be read ({error.strerror or error})"
        return [Result("fail", "folder", said, "Give this user the right to read it.", {"folder": os.fspath(folder)})]
    cap = _cap()
    facts: dict[str, Any] = {
        "folder": os.fspath(folder),
        "exists": True,
        "files": len(seen.pending) + len(seen.recordings),
        "size_bytes": seen.size,
        "cap_bytes": cap,
        "oldest": seen.oldest,
        "writers": sorted(seen.writers),
    }
    said = f"{folder}: {wording.count(facts['files'], 'file')}, {wording.size(seen.size)} of {wording.size(cap)}"
    if seen.oldest is not None:
        said += f", the oldest {_age(case.now - seen.oldest)} old"
    is_full = seen.size > cap * _NEARLY_FULL
    remedy = "Raise MLOTEL_SPOOL_MAX_BYTES, send what waits (mlotel flush), or move files away." if is_full else ""
    if is_full:
        said += ". The oldest files go first when it is full"
    results = [Result("warn" if is_full else "ok", "folder", said, remedy, facts)]
    results += _contents(case, folder, seen)
    results += _rights(folder, seen)
    results += _disk(folder, cap - seen.size)
    return results


def _list(case: Case, folder: Path) -> _Seen:
    seen = _Seen()
    for entry in os.scandir(folder):
        match = FILE_NAME.fullmatch(entry.name)
        if match is None:
            continue
        try:
            facts = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(facts.st_mode):
            continue
        if not _claims.is_ours(facts):
            seen.foreign += 1
            continue
        host, pid = match["host"], int(match["pid"])
        seen.size += facts.st_size
        seen.oldest = min(facts.st_mtime, seen.oldest or facts.st_mtime)
        (seen.pending if match["pending"] else seen.recordings).append(folder / entry.name)
        if match["pending"]:
            seen.oldest_pending = min(facts.st_mtime, seen.oldest_pending or facts.st_mtime)
        seen.open_to_others += bool(facts.st_mode & 0o077)
        if _claims.is_kept(host, pid, match["start"]):
            seen.writers.add(pid)
        elif host != _claims.host_name() and case.now - facts.st_mtime < _claims.QUIET_S:
            seen.elsewhere.add(host)
    return seen


def _contents(case: Case, folder: Path, seen: _Seen) -> list[Result]:
    """What waits, what stays, what is torn, and who is writing."""
    waiting, torn, is_whole = _count(folder)
    results = []
    if seen.pending:
        more = "" if is_whole else " at least"
        said = f"{wording.count(len(seen.pending), 'file')} for an endpoint: {_words(waiting)}{more}"
        age_s = case.now - (seen.oldest_pending or case.now)
        facts = {"files": len(seen.pending), "records": waiting, "counted_all": is_whole, "oldest_s": round(age_s)}
        is_late = not seen.writers or age_s > _LONG_S
        if age_s > _WORTH_SAYING_S:
            said += f", for {_age(age_s)}"
        remedy = "Send them: mlotel flush (with --endpoint URL where none is set here)" if is_late else ""
        results.append(Result("warn" if is_late else "info", "waiting", said, remedy, facts, is_below=True))
    if seen.recordings:
        said = f"{wording.count(len(seen.recordings), 'file')}, kept here: mlotel runs lists what is in them"
        facts = {"files": len(seen.recordings)}
        results.append(Result("info", "recordings", said, facts=facts, is_below=True))
    if torn:
        said = f"{wording.count(torn, 'line')} cut off or unreadable: a process or machine stopped in the middle"
        remedy = "Nothing to do: the rest is read and sent, and they are counted as lost."
        results.append(Result("warn", "torn", said, remedy, {"lines": torn}, is_below=True))
    if seen.writers or seen.elsewhere:
        who = [
            *(f"process {pid}" for pid in sorted(seen.writers)),
            *(f"host {name}" for name in sorted(seen.elsewhere)),
        ]
        shown = ", ".join(who[:5]) + (f" and {len(who) - 5} more" if len(who) > 5 else "")
        facts = {"pids": sorted(seen.writers), "hosts": sorted(seen.elsewhere)}
        results.append(Result("info", "written by", shown, facts=facts, is_below=True))
    return results


def _count(folder: Path) -> tuple[dict[Signal, int], int, bool]:
    """Records that wait by signal, torn lines, and whether there was time for all. Opens files only to read them."""
    deadline = time.monotonic() + _COUNTING_S
    replayer = Replayer(folder, {}, on_delivered=_nothing, on_dropped=_nothing)
    counts: dict[Signal, int] = {}
    for found in replayer.waiting():
        if time.monotonic() > deadline:
            return _ordered(counts), _torn(folder, deadline)[0], False
        try:
            for signal, records in replayer.left_in(found).items():
                counts[signal] = counts.get(signal, 0) + records
        except OSError:
            continue
    torn, is_whole = _torn(folder, deadline)
    return _ordered(counts), torn, is_whole


def _nothing(*_: object) -> None:
    """Nothing is sent here, so nothing is told."""


def _ordered(counts: dict[Signal, int]) -> dict[Signal, int]:
    return {signal: counts[signal] for signal in SIGNALS if counts.get(signal)}


def _torn(folder: Path, deadline: float) -> tuple[int, bool]:
    """Lines that are no whole object, by their two ends; the last one of a file that is being written may yet grow."""
    from mlotel.export._outbox import open_to_read

    torn = 0
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        match = FILE_NAME.fullmatch(entry.name)
        if match is None or not entry.is_file(follow_symlinks=False):
            continue
        if time.monotonic() > deadline:
            return torn, False
        is_written = _claims.is_kept(match["host"], int(match["pid"]), match["start"])
        try:
            with open_to_read(folder / entry.name) as file:
                torn += sum(
                    not (line.startswith(b"{") and line.rstrip().endswith(b"}"))
                    for line in file
                    if line.strip() and (line.endswith(b"\n") or not is_written)
                )
        except OSError:
            continue
    return torn, True


def _rights(folder: Path, seen: _Seen) -> list[Result]:
    results = []
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        said, remedy = f"others on this machine can look into {folder} (mode {mode:o})", f"chmod 700 {folder}"
        results.append(Result("warn", "rights", said, remedy, {"mode": f"{mode:o}"}, is_below=True))
    if os.name == "posix" and seen.open_to_others:
        said = f"others can read {wording.count(seen.open_to_others, 'file')} in {folder}"
        facts = {"files": seen.open_to_others}
        results.append(Result("warn", "rights", said, f"chmod 600 {folder}/*.jsonl", facts, is_below=True))
    if not os.access(folder, os.W_OK):
        said = f"{folder} cannot be written: new records go to the user's state folder"
        remedy = "Make it writable, or name another with configure(spool=) or MLOTEL_SPOOL."
        results.append(Result("warn", "rights", said, remedy, {"writable": False}, is_below=True))
    if seen.foreign:
        said = f"{wording.count(seen.foreign, 'file')} of other users, left to them"
        results.append(Result("info", "others", said, facts={"files": seen.foreign}, is_below=True))
    if _claims.is_far(folder):
        said = "a network file system: several machines may share it; writing waits for the network"
        remedy = "MLOTEL_SPOOL=/a/local/folder is faster, where the records may stay on this machine."
        results.append(Result("info", "file system", said, remedy, {"network": True}, is_below=True))
    return results


def _disk(folder: Path, room: int) -> list[Result]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return []
    if free >= min(max(room, 0), _FEW_BYTES):
        return []
    said = f"{wording.size(free)} are left on it, less than the spool may need"
    return [Result("warn", "disk", said, "Free some space.", {"free_bytes": free}, is_below=True)]


def _cap() -> int:
    from mlotel._setup import _environment

    return int(_environment.number("MLOTEL_SPOOL_MAX_BYTES", MAX_TOTAL_BYTES, at_least=10_000))


def _words(sums: dict[Signal, int]) -> str:
    names = {"traces": "span", "metrics": "data point", "logs": "log record"}
    return (
        ", ".join(wording.count(records, names[signal]) for signal, records in sums.items()) or "nothing left to send"
    )


def _age(seconds: float) -> str:
    seconds = max(seconds, 0)
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_s * 1.5:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"


SECTION = Section(title="Spool", place=4, look=_look)
