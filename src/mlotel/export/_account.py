"""The ledger of a process as a small file beside its spool files, for ``mlotel doctor``.

``<host>-<pid>-<UTC start>-<6 hex digits>.account.json``, for its owner only, replaced as a whole. It tells what became
of the records of a process that has ended, or runs elsewhere. A process whose records all arrive, and whose spool
folder does not exist, makes none: it leaves nothing on the disk.
"""

import contextlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from mlotel.export import _claims
from mlotel.export._breaker import Breaker
from mlotel.export._explain import Cause
from mlotel.export._folders import prepare
from mlotel.export._ledger import SIGNALS, Entry, Fate, Ledger, Origin
from mlotel.export._outcome import Reason
from mlotel.types import Signal

__all__ = ["Account", "Told", "read_all"]

EVERY_S: Final = 5.0
"""Seconds between two writes while all is well."""

_AFTER_LOSS_S: Final = 1.0
_AFTER_FAILURE_S: Final = 60.0
_PATIENCE_S: Final = 0.2
_VERSION: Final = 1
_MOST: Final = 200
_OLDEST_S: Final = 7 * 86_400.0
_MAX_BYTES: Final = 65_536
_MAX_TEXT: Final = 256
_MAX_COUNT: Final = 2**63
_NAME: Final = re.compile(
    r"(?P<host>.+)-(?P<pid>[0-9]{1,10})-(?P<start>[0-9]{8}T[0-9]{6})-[0-9a-f]{6}\.account\.json(?P<new>\.new)?"
)


class Account:
    """Keeps the file of one ``configure()`` up to date.

    Args:
        folder: Says where the spool files of this process are by now.
        ledger: What is told.
        service_name: Of the process.
        endpoints: Where each signal goes, without anything secret.
        breakers: For the signals that have an endpoint, whether it is tried at the moment.
        hide: Takes secrets out of what a receiver or a library said.

    Example:
        >>> import tempfile
        >>> ledger, folder = Ledger(), Path(tempfile.mkdtemp())
        >>> account = Account(lambda: folder, ledger, "nightly", {"traces": "spool"}, {})
        >>> ledger.drop("traces", 3, "refused")
        >>> account.close()
        >>> [told] = read_all(folder)[0]
        >>> told.service_name, told.is_ended, told.dropped()
        ('nightly', True, {('traces', 'refused'): 3})
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        ledger: Ledger,
        service_name: str,
        endpoints: Mapping[Signal, str],
        breakers: Mapping[Signal, Breaker],
        hide: Callable[[str], str] = str,
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._service_name = service_name
        self._endpoints = dict(endpoints)
        self._breakers = dict(breakers)
        self._hide = hide
        ledger.on_tidy = self.tell
        self.restart()

    def restart(self) -> None:
        """Begin a file of its own, also in a forked child."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._started = time.time()
        start = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._started))
        self._name = f"{_claims.host_name()}-{self._pid}-{start}-{secrets.token_hex(3)}.account.json"
        self._due_at = 0.0
        self._at = 0.0
        self._lost = 0
        self._has_pruned = False

    def tell(self) -> None:
        """Bring the file up to date if that was not done a short time ago; for threads that deliver. Never raises."""
        now = time.monotonic()
        if now < self._due_at and (now < self._at + _AFTER_LOSS_S or _lost(self._ledger) == self._lost):
            return
        if self._lock.acquire(blocking=False):
            try:
                self._write(now, is_ended=False)
            finally:
                self._lock.release()

    def settle(self) -> None:
        """Bring the file up to date, at the end of a flush. Never raises."""
        self._finish(is_ended=False)

    def close(self) -> None:
        """Bring the file up to date for the last time."""
        self._finish(is_ended=True)

    def _finish(self, *, is_ended: bool) -> None:
        if self._lock.acquire(timeout=_PATIENCE_S):  # a signal handler may have interrupted its holder
            try:
                self._write(time.monotonic(), is_ended=is_ended)
            finally:
                self._lock.release()

    def _write(self, now: float, *, is_ended: bool) -> None:
        entries = self._ledger.counts()
        folder = self._folder()
        self._at, self._due_at, self._lost = now, now + EVERY_S, _lost(self._ledger)
        if not entries or not (folder.is_dir() or any(entry.fate in ("spooled", "dropped") for entry in entries)):
            return
        content = {
            "version": _VERSION,
            "service_name": self._service_name,
            "pid": self._pid,
            "started": self._started,
            "updated": time.time(),
            "ended": is_ended,
            "endpoints": self._endpoints,
            "failures": {signal: self._failure(breaker) for signal, breaker in self._breakers.items() if breaker.cause},
            "counts": [list(entry) for entry in entries],
        }
        try:
            prepare(folder)
            if not self._has_pruned:
                self._has_pruned = True
                _prune(folder)
            _replace(folder / self._name, json.dumps(content).encode())
        except (OSError, ValueError):  # a read-only or full disk has been said by whoever keeps the records
            self._due_at = now + _AFTER_FAILURE_S

    def _failure(self, breaker: Breaker) -> list[str]:
        cause = breaker.cause or Cause("", "")
        return [self._hide(cause.what)[:_MAX_TEXT], self._hide(cause.remedy)[:_MAX_TEXT]]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What one account says.

    Attributes:
        path: The file.
        host: Where the process ran.
        pid: Its id.
        is_running: Whether it is there now, on this machine.
        is_ended: Whether it came to its end in order.
        service_name: Of the process.
        started: Seconds since 1970.
        updated: Seconds since 1970.
        endpoints: Where each signal went.
        failures: For signals whose endpoint did not take the last request: why, and the remedy.
        counts: The ledger.
    """

    path: Path
    host: str
    pid: int
    is_running: bool
    is_ended: bool
    service_name: str
    started: float
    updated: float
    endpoints: Mapping[Signal, str]
    failures: Mapping[Signal, Cause]
    counts: tuple[Entry, ...]

    def sums(self, fate: Fate) -> dict[Signal, int]:
        """Records of this process with one fate, as ``Flush`` counts them; signals without any are left out."""
        found: dict[Signal, int] = {}
        for entry in self.counts:
            if entry.fate == fate and entry.origin != "others":
                found[entry.signal] = found.get(entry.signal, 0) + entry.records
            if fate == "spooled" and entry.fate != "spooled" and entry.origin == "disk":
                found[entry.signal] = found.get(entry.signal, 0) - entry.records
        return {signal: records for signal, records in found.items() if records > 0}

    def dropped(self) -> dict[tuple[Signal, Reason], int]:
        """Records that are lost, by signal and reason, also those that other processes had left."""
        found: dict[tuple[Signal, Reason], int] = {}
        for entry in self.counts:
            if entry.fate == "dropped" and entry.reason is not None:
                found[entry.signal, entry.reason] = found.get((entry.signal, entry.reason), 0) + entry.records
        return found


def read_all(folder: Path) -> tuple[list[Told], int]:
    """The accounts in a folder, the latest first, and how many files could not be used.

    Links, files of other users, and what is corrupt, too large or of a later version, are passed over.
    """
    found: list[Told] = []
    ignored = 0
    for path, name in _files(folder):
        if name["new"]:
            continue
        try:
            found.append(_read(path, name))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            ignored += 1
    return sorted(found, key=lambda told: told.updated, reverse=True), ignored


def _read(path: Path, name: "re.Match[str]") -> Told:
    descriptor = os.open(path, _claims.flags(os.O_RDONLY))
    try:
        if not _claims.is_ours(os.fstat(descriptor)):
            raise ValueError("not a file of this user")
        text = os.read(descriptor, _MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(text) > _MAX_BYTES:
        raise ValueError("no account of ours is so large")
    said: dict[str, Any] = json.loads(text, parse_constant=_no_constant)
    host, pid = name["host"], int(name["pid"])
    if said["version"] != _VERSION or said["pid"] != pid or len(said["counts"]) > 1000:
        raise ValueError("not an account of ours")
    return Told(
        path=path,
        host=host,
        pid=pid,
        is_running=pid == os.getpid() or _claims.is_kept(host, pid, name["start"]),
        is_ended=said["ended"] is True,
        service_name=_text(said["service_name"]),
        started=float(said["started"]),
        updated=float(said["updated"]),
        endpoints={signal: _text(said["endpoints"][signal]) for signal in SIGNALS if signal in said["endpoints"]},
        failures={
            signal: Cause(*map(_text, said["failures"][signal])) for signal in SIGNALS if signal in said["failures"]
        },
        counts=tuple(_entry(*values) for values in said["counts"]),
    )


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value[:_MAX_TEXT]


def _entry(fate: Any, signal: Any, reason: Any, origin: Any, records: Any) -> Entry:
    is_known = fate in get_args(Fate) and signal in SIGNALS and origin in get_args(Origin)
    if not is_known or not (reason is None or reason in get_args(Reason)):
        raise ValueError("not an entry of ours")
    if type(records) is not int or not 0 <= records < _MAX_COUNT:
        raise ValueError("not a count")
    return Entry(fate, signal, reason, origin, records)


def _lost(ledger: Ledger) -> int:
    return sum(entry.records for entry in ledger.counts() if entry.fate == "dropped")


def _files(folder: Path) -> "list[tuple[Path, re.Match[str]]]":
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    return [(path, match) for path in paths if (match := _NAME.fullmatch(path.name)) is not None]


def _prune(folder: Path) -> None:
    """Remove old accounts of this user, and what killed writers have left."""
    found = []
    for path, name in _files(folder):
        with contextlib.suppress(OSError):
            facts = os.lstat(path)
            if _claims.is_ours(facts):
                found.append((bool(name["new"]), time.time() - facts.st_mtime, path))
    kept = 0
    for is_new, age_s, path in sorted(found):
        kept += not is_new
        if age_s > (EVERY_S * 12 if is_new else _OLDEST_S) or kept >= _MOST:
            _claims.remove(path)


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    _claims.remove(new)  # left by a write that failed; nobody else uses this name
    descriptor = os.open(new, _claims.flags(os.O_WRONLY | os.O_CREAT | os.O_EXCL), 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    new.replace(path)
