"""Records on disk: OTLP/JSON, one export request a line, one file a process.

The form is the one that OpenTelemetry collectors write and read (``file`` exporter, ``otlpjsonfile`` receiver).
"""

import contextlib
import errno
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlotel import _guard
from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome, Reason
from mlotel.export._records import count, encode
from mlotel.types import Signal

try:
    import fcntl
except ImportError:  # not on Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]  # its absence is asked for where it is used

MAX_FILE_BYTES = 64_000_000
MAX_TOTAL_BYTES = 1_000_000_000

FILE_NAME = re.compile(r"^.+-[0-9]+-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}\.[0-9]{3,}\.jsonl$")
"""Names of spool files: ``<host>-<pid>-<UTC start>-<6 hex digits>.<part>.jsonl``."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SpoolFullError(Exception):
    """The folder has reached its limit, and every file in it is being written."""


class SpoolWriter:
    r"""Appends lines to this process's file in a folder.

    The file is made at the first line, for its owner only. A file that has reached its limit is followed by the next
    part. The folder is kept below its limit by removing the oldest files: only such as bear a spool file's name, and
    never one that a living process writes. Where the folder cannot be used, the user's state folder serves
    (``$XDG_STATE_HOME/mlotel/spool``, else ``~/.local/state/mlotel/spool``).

    Args:
        folder: Where the files go; made when it is missing.
        max_file_bytes: Size at which the next part begins. A line is never split, so a file may be longer by one line.
        max_total_bytes: Size of all spool files in the folder together.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> writer = SpoolWriter(Path(tempfile.mkdtemp()))
        >>> writer.write(b'{"resourceSpans":[]}\n', {"traces": 0})
        []
        >>> writer.file.read_bytes()
        b'{"resourceSpans":[]}\n'
        >>> writer.close()
    """

    def __init__(
        self, folder: Path, *, max_file_bytes: int = MAX_FILE_BYTES, max_total_bytes: int = MAX_TOTAL_BYTES
    ) -> None:
        self._folder = folder
        self._max_file_bytes = min(max_file_bytes, max_total_bytes)
        self._max_total_bytes = max_total_bytes
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()  # between the workers of the three signals; never taken by user code
        self._pid = os.getpid()
        self._stem = _stem(self._pid)
        self._part = 0
        self._descriptor: int | None = None
        self._size = 0
        self._file: Path | None = None
        self._held: dict[Path, dict[Signal, int]] = {}  # what the parts of this process hold, for when one is removed

    @property
    def folder(self) -> Path:
        """Where the files go: the folder asked for, or the one that serves in its place."""
        return self._folder

    @property
    def file(self) -> Path | None:
        """The part that is being written; None before the first line."""
        return self._file

    def write(self, line: bytes, records: Mapping[Signal, int]) -> list[Mapping[Signal, int]]:
        r"""Append ``line``, and return when it is on the disk.

        Args:
            line: One export request, ending with ``\n``.
            records: How many records it holds.

        Returns:
            What was in parts of this process that had to be removed for it.

        Raises:
            OSError: If neither folder can be written, or the disk is full. Nothing of the line is left in the file.
            SpoolFullError: If the folder is full of files that others are writing.
        """
        with self._lock:
            removed: list[Mapping[Signal, int]] = []
            if self._descriptor is None or self._size >= self._max_file_bytes or self._is_gone():
                removed = self._next_part(len(line))
            assert self._descriptor is not None
            assert self._file is not None
            self._append(self._descriptor, line)
            self._size += len(line)
            held = self._held.setdefault(self._file, {})
            for signal, number in records.items():
                held[signal] = held.get(signal, 0) + number
            return removed

    def close(self) -> None:
        """Close the file. A later line opens the next part."""
        with self._lock:
            self._close_part()

    def restart(self) -> None:
        """Take a file of its own in a forked child; does nothing when that was done."""
        if self._pid == os.getpid():
            return
        if self._descriptor is not None:
            os.close(self._descriptor)  # the child's copy only; nothing is buffered
        self._begin()

    def _append(self, descriptor: int, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        except OSError:
            try:
                os.ftruncate(descriptor, self._size)
            except OSError:
                self._close_part()  # the torn line stays last in its part, where a reader skips it
            raise

    def _is_gone(self) -> bool:
        """Whether somebody removed the file that is open: what is written into it would be on no disk."""
        return self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0

    def _next_part(self, coming: int) -> list[Mapping[Signal, int]]:
        self._close_part()
        try:
            return self._start_part(self._folder, coming)
        except OSError as error:
            fallback = _state_folder()
            if fallback is None or self._folder == fallback or error.errno in _FULL:
                raise
            try:
                removed = self._start_part(fallback, coming)
            except OSError:
                raise error from None
            _guard.say_once(
                ("spool", str(self._folder)),
                "mlotel cannot write to %s (%s). Records go to %s instead. Name a folder that can be written with "
                "configure(spool=…) or MLOTEL_SPOOL.",
                self._folder,
                error.strerror or error,
                fallback,
            )
            self._folder = fallback
            return removed

    def _start_part(self, folder: Path, coming: int) -> list[Mapping[Signal, int]]:
        _prepare(folder)
        removed = self._make_room(folder, coming)
        self._part += 1
        file = folder / f"{self._stem}.{self._part:03d}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(file, flags, 0o600)
        self._file, self._size = file, 0
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells other processes: in use
        return removed

    def _close_part(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _make_room(self, folder: Path, coming: int) -> list[Mapping[Signal, int]]:
        """Remove the oldest files until a whole part fits below the limit."""
        files = []
        for entry in os.scandir(folder):
            if FILE_NAME.match(entry.name) and entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                files.append((found.st_mtime_ns, Path(entry.path), found.st_size))
        total = sum(size for _, _, size in files)
        allowed = self._max_total_bytes - max(self._max_file_bytes, coming)
        removed: list[Mapping[Signal, int]] = []
        number = 0
        for _, file, size in sorted(files):
            if total <= allowed:
                break
            if _is_in_use(file):
                continue
            file.unlink(missing_ok=True)
            total -= size
            number += 1
            removed.append(self._held.pop(file, {}))
        if number:
            _guard.say_once(
                ("spool room", str(folder)),
                "The spool folder %s reached its limit of %d MB: the oldest files are removed to make room. Deliver or "
                "move them earlier, or configure(endpoint=…).",
                folder,
                self._max_total_bytes // 1_000_000,
            )
        if total + coming > self._max_total_bytes:
            raise SpoolFullError(f"{folder} holds {total} bytes, and every file in it is being written")
        return removed


class SpoolTarget:
    """Writes the batches of one signal through a writer that the signals share.

    Args:
        signal: Which records these are.
        writer: The process's file.
        ledger: Told of records that had to make room for newer ones.
    """

    def __init__(self, signal: Signal, writer: SpoolWriter, ledger: Ledger) -> None:
        self.signal = signal
        self._writer = writer
        self._ledger = ledger

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Write ``batch`` as one line; records that cannot be encoded are left out and counted."""
        try:
            line = encode(self.signal, batch)
        except Exception as error:
            return self._one_by_one(batch, error)
        return self._keep(line, count(self.signal, batch))

    def interrupt(self) -> None:
        """Nothing to break: the disk answers or it does not."""

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def restart(self) -> None:
        """Take a file of its own in a forked child."""
        self._writer.restart()

    def _keep(self, line: bytes, records: int) -> Outcome:
        reason: Reason
        try:
            removed = self._writer.write(line, {self.signal: records})
        except SpoolFullError as error:
            reason, said = "spool_full", str(error)
        except OSError as error:
            reason = "spool_full" if error.errno in _FULL else "spool_unusable"
            said = f"{self._writer.folder}: {error.strerror or error}"
        else:
            for held in removed:
                for signal, number in held.items():
                    self._ledger.drop(signal, number, "evicted")
            return Outcome(spooled=records)
        _guard.say_once(
            ("spool lost", reason),
            "mlotel cannot keep its records (%s). They are dropped and counted; the program is not affected. Free some "
            "space, or name another folder with configure(spool=…) or MLOTEL_SPOOL.",
            said,
        )
        return Outcome(dropped={reason: records})

    def _one_by_one(self, batch: Sequence[Any], error: Exception) -> Outcome:
        good = []
        for item in batch:
            try:
                encode(self.signal, [item])
            except Exception:
                continue
            good.append(item)
        odd = count(self.signal, batch) - count(self.signal, good)
        _guard.say_once(
            ("encode", self.signal),
            "mlotel could not write some %s as OTLP/JSON (%s). They are dropped and counted.",
            self.signal,
            _guard.describe_error(error),
        )
        if odd == 0 or not good:  # the second: nothing left; the first: it is the batch as a whole that fails
            return Outcome(dropped={"encode": count(self.signal, batch)})
        kept = self._keep(encode(self.signal, good), count(self.signal, good))
        return Outcome(spooled=kept.spooled, dropped={**kept.dropped, "encode": odd})


def _stem(pid: int) -> str:
    host = re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname())[:64] or "host"
    return f"{host}-{pid}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def _state_folder() -> Path | None:
    """The user's own folder; None for a user without a home, as in some containers."""
    configured = os.environ.get("XDG_STATE_HOME", "")
    # The XDG rules: a relative path is to be ignored.
    try:
        base = Path(configured) if Path(configured).is_absolute() else Path("~/.local/state").expanduser()
    except RuntimeError:
        return None
    return base / "mlotel" / "spool"


def _prepare(folder: Path) -> None:
    """Make ``folder`` with what is missing above it, for the owner only, and keep it out of version control."""
    missing = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.append(path)
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    ignore = folder.parent / ".gitignore"
    if folder.parent.name == ".mlotel" and not ignore.exists():
        with contextlib.suppress(OSError):  # the folder above may belong to somebody else; records matter more
            ignore.write_text("*\n")


def _is_in_use(file: Path) -> bool:
    """Whether a living process writes ``file``: its writer holds a lock until it closes the file or ends."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
