"""Records on disk: OTLP/JSON, one export request a line, one file a process.

The form is the one that OpenTelemetry collectors write and read (``file`` exporter, ``otlpjsonfile`` receiver).
"""

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
from mlotel.export import _claims
from mlotel.export._folders import lock, prepare, state_folder, sync_folder
from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome, Reason
from mlotel.export._records import count, encode
from mlotel.types import Signal

MAX_FILE_BYTES = 64_000_000
MAX_TOTAL_BYTES = 1_000_000_000

FILE_NAME = re.compile(
    r"^(?P<host>.+)-(?P<pid>[0-9]+)-(?P<start>[0-9]{8}T[0-9]{6})-[0-9a-f]{6}\.(?P<part>[0-9]{3,})(?P<pending>\.pending)?"
    r"\.jsonl$"
)
"""Names of spool files: ``<host>-<pid>-<UTC start>-<6 hex digits>.<part>.jsonl`` for records that stay here, and
``….<part>.pending.jsonl`` for records that wait for an endpoint. A pending file holds one signal only."""

PROGRESS_SUFFIX = ".sent"
"""Added to a file's name: how much of it has been delivered. It goes when the file goes."""

_TRIES = 5
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SpoolFullError(Exception):
    """The folder has reached its limit, and every file in it is being written."""


class SpoolWriter:
    r"""Appends lines to this process's file in a folder.

    The file is made at the first line, for its owner only. A file that has reached its limit is followed by the next
    part. The folder is kept below its limit by removing the oldest files: only such as bear a spool file's name, and
    never one that a living process writes. Where the folder cannot be used, the user's state folder serves
    (``$XDG_STATE_HOME/mlotel/spool``, else ``~/.local/state/mlotel/spool``).

    While a part is being written the writer holds a lock on it (``flock``), which the system lets go of when the
    process ends, however it ends. A part without a lock is whole: whoever takes the lock may deliver it.

    Args:
        folder: Where the files go; made when it is missing.
        pending: Whether the records wait for an endpoint; their files are called ``….pending.jsonl``.
        is_synced: Whether a line is on the disk itself, not only in the system's memory, when ``write`` returns.
        max_total_bytes: Size of all spool files in the folder together.
        max_file_bytes: Size at which the next part begins; by default 64 MB, and an eighth of ``max_total_bytes`` at
            most. A line is never split: a single one may be larger.

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
        self,
        folder: Path,
        *,
        pending: bool = False,
        is_synced: bool = True,
        max_total_bytes: int = MAX_TOTAL_BYTES,
        max_file_bytes: int | None = None,
    ) -> None:
        self._folder = folder
        self._is_pending = pending
        self._suffix = ".pending.jsonl" if pending else ".jsonl"
        self._is_synced = is_synced
        self._max_total_bytes = max_total_bytes
        self._max_file_bytes = min(max_file_bytes or MAX_FILE_BYTES, max_total_bytes)
        if max_file_bytes is None:
            self._max_file_bytes = min(self._max_file_bytes, max(1, max_total_bytes // 8))
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()  # between the workers of the three signals; never taken by user code
        self._pid = os.getpid()
        self._stem = _stem(self._pid)
        self._part = 0
        self._descriptor: int | None = None
        self._size = 0
        self._check_at = 0
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
            removed = self._missing()
            if self._descriptor is None or (self._size and self._size + len(line) > self._max_file_bytes):
                self._close_part()
                removed += self._next_part(len(line))
            elif self._size + len(line) > self._check_at:  # others write in the folder too
                removed += self._make_room(self._folder, len(line))
            self._keep(line, records)
            return removed

    def replace(self, line: bytes, records: Mapping[Signal, int]) -> list[Mapping[Signal, int]]:
        r"""Write ``line`` in place of the part that is open: into the next one, then the one before goes.

        Args:
            line: One export request that says all that the part said, ending with ``\n``.
            records: How many records it holds.

        Returns:
            What was in parts that had to make room. What the replaced part held is not among it.

        Raises:
            OSError: As ``write`` does. The part before is still there.
            SpoolFullError: As ``write`` does.
        """
        with self._lock:
            removed = self._missing()
            before, file, size, check_at = self._descriptor, self._file, self._size, self._check_at
            try:
                removed += self._next_part(len(line))
                try:
                    self._keep(line, records)
                except OSError:
                    self._close_part()
                    raise
            except (OSError, SpoolFullError):
                self._descriptor, self._file, self._size, self._check_at = before, file, size, check_at
                raise
            if before is not None and file is not None:
                file.unlink(missing_ok=True)  # before its lock goes, or somebody might deliver it
                self._held.pop(file, None)
                os.close(before)
            return removed

    def rotate(self) -> Path | None:
        """End the part that is open, so that it can be delivered; a later line opens the next one.

        Returns:
            The part that was ended; None when none was open.
        """
        with self._lock:
            ended = self._file if self._descriptor is not None else None
            self._close_part()
            return ended

    def settle(self, file: Path, signal: Signal, records: int) -> bool:
        """Take note that records of ``file`` are not kept any more: delivered, or refused.

        Args:
            file: A spool file.
            signal: Which records.
            records: How many of them.

        Returns:
            Whether this writer wrote the file. What others wrote is theirs to count.
        """
        with self._lock:
            held = self._held.get(file)
            if held is None:
                return False
            held[signal] = held.get(signal, 0) - records
            if not any(held.values()) and file != self._file:
                del self._held[file]
            return True

    def gone(self) -> dict[Path, Mapping[Signal, int]]:
        """What was in parts that waited for an endpoint, were ended, and are not there any more.

        Asked of a part that is neither being delivered by this process nor open: its records are counted nowhere else.
        """
        with self._lock:
            files = [file for file in self._held if file != self._file or self._descriptor is None]
            return {file: self._held.pop(file) for file in files if self._is_pending and not os.path.lexists(file)}

    def missing(self) -> list[Mapping[Signal, int]]:
        """What was in parts that somebody removed: records that are on no disk any more."""
        with self._lock:
            return self._missing()

    def holds(self, file: Path) -> bool:
        """Whether this writer has records in ``file`` that are not settled."""
        return file.exists() and any(self._held.get(file, {}).values())

    def is_idle(self) -> bool:
        """Whether no part is open, or somebody removed it."""
        with self._lock:
            return self._descriptor is None or os.fstat(self._descriptor).st_nlink == 0

    def has_parts(self) -> bool:
        """Whether this process has written records that are not settled."""
        return any(any(held.values()) for held in list(self._held.values()))

    def close(self) -> None:
        """Close the file. A later line opens the next part."""
        self.rotate()

    def restart(self) -> None:
        """Take a file of its own in a forked child; does nothing when that was done."""
        if self._pid == os.getpid():
            return
        if self._descriptor is not None:
            os.close(self._descriptor)  # the child's copy only; nothing is buffered
        self._begin()

    def _keep(self, line: bytes, records: Mapping[Signal, int]) -> None:
        assert self._descriptor is not None
        assert self._file is not None
        self._append(self._descriptor, line)
        self._size += len(line)
        held = self._held.setdefault(self._file, {})
        for signal, number in records.items():
            held[signal] = held.get(signal, 0) + number

    def _append(self, descriptor: int, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(descriptor, line[written:])
            if self._is_synced:
                os.fsync(descriptor)
        except OSError:
            try:
                os.ftruncate(descriptor, self._size)
            except OSError:
                self._close_part()  # the torn line stays last in its part, where a reader skips it
            raise

    def _missing(self) -> list[Mapping[Signal, int]]:
        """What parts held that somebody removed. Of those that waited for an endpoint some may have been sent."""
        gone = []
        if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
            assert self._file is not None
            gone.append(self._file)
            self._close_part()  # what is written into it would be on no disk
        if not self._is_pending:
            gone += [file for file in self._held if file not in gone and not file.exists()]
        return [held for file in gone if (held := self._held.pop(file, None)) is not None]

    def _next_part(self, coming: int) -> list[Mapping[Signal, int]]:
        try:
            return self._start_part(self._folder, coming)
        except OSError as error:
            fallback = state_folder()
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
        prepare(folder)
        self._size = 0
        removed = self._make_room(folder, coming)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        for _ in range(_TRIES):
            self._part += 1
            file = folder / f"{self._stem}.{self._part:03d}{self._suffix}"
            descriptor = os.open(file, flags, 0o600)
            lock(descriptor)
            if os.fstat(descriptor).st_nlink:  # else somebody made room, between its making and its locking
                break
            os.close(descriptor)
        else:
            raise FileNotFoundError(errno.ENOENT, "new files are removed at once")
        self._descriptor, self._file = descriptor, file
        if self._is_synced:
            sync_folder(folder)
        return removed

    def _close_part(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _make_room(self, folder: Path, coming: int) -> list[Mapping[Signal, int]]:
        """Remove the oldest files until a whole part fits below the limit, and say when to look again.

        Living processes share that room: each looks again when it has used up its share.
        """
        files = []
        writers = {(_claims.host_name(), self._pid)}
        for entry in os.scandir(folder):
            match = FILE_NAME.fullmatch(entry.name)
            if match is not None and entry.is_file(follow_symlinks=False):
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # sent and removed since the folder was listed
                    continue
                writer = match["host"], int(match["pid"])
                files.append((found.st_mtime_ns, Path(entry.path), found.st_size, writer))
                writers.add(writer)
        total = sum(size for _, _, size, _ in files)
        allowed = self._max_total_bytes - max(self._max_file_bytes, coming)
        removed: list[Mapping[Signal, int]] = []
        number = 0
        for _, file, size, writer in sorted(files):
            if total <= allowed:
                break
            if not _claims.remove_unless_in_use(file, *writer, self._is_writing):
                continue
            _claims.remove(file.with_name(file.name + PROGRESS_SUFFIX))
            total -= size
            number += 1
            removed.append(self._held.pop(file, {}))
        if number:
            _guard.say_once(
                ("spool room", str(folder)),
                "The spool folder %s reached its limit of %g MB: the oldest files are removed to make room. Deliver or "
                "move them earlier, or configure(endpoint=…).",
                folder,
                self._max_total_bytes / 1_000_000,
            )
        if total + coming > self._max_total_bytes:
            raise SpoolFullError(f"{folder} holds {total} bytes, and every file in it is being written")
        living = sum(writer == (_claims.host_name(), self._pid) or _claims.is_there(*writer) for writer in writers)
        self._check_at = self._size + max(coming, self._max_file_bytes // max(4, 2 * living))
        return removed

    def _is_writing(self, file: Path) -> bool:
        """Whether this process may be writing ``file``; asked only where the file system has no locks."""
        return file == self._file or file not in self._held


class SpoolTarget:
    """Writes the batches of one signal through a writer that the signals share.

    Args:
        signal: Which records these are.
        writer: The process's file.
        ledger: Told of records that had to make room for newer ones.
        is_replacing: Whether a line takes the place of the one before.
    """

    def __init__(self, signal: Signal, writer: SpoolWriter, ledger: Ledger, *, is_replacing: bool = False) -> None:
        self.signal = signal
        self._writer = writer
        self._ledger = ledger
        self._write = writer.replace if is_replacing else writer.write

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Write ``batch`` as one line; records that cannot be encoded are left out and counted."""
        try:
            line = encode(self.signal, batch)
        except Exception as error:
            return self._one_by_one(batch, error)
        return self.keep(line, count(self.signal, batch))

    def hurry(self) -> None:
        """Nothing to break: the disk answers or it does not."""

    def interrupt(self) -> None:
        """Nothing to break either."""

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def restart(self) -> None:
        """Take a file of its own in a forked child."""
        self._writer.restart()

    def keep(self, line: bytes, records: int) -> Outcome:
        """Write a line that holds ``records``."""
        reason: Reason
        try:
            removed = self._write(line, {self.signal: records})
        except SpoolFullError as error:
            reason, said = "spool_full", str(error)
        except OSError as error:
            reason = "spool_full" if error.errno in _FULL else "spool_unusable"
            said = f"{self._writer.folder}: {error.strerror or error}"
        else:
            for held in removed:
                for signal, number in held.items():
                    self._ledger.drop(signal, number, "evicted", origin="disk")
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
        kept = self.keep(encode(self.signal, good), count(self.signal, good))
        return Outcome(spooled=kept.spooled, dropped={**kept.dropped, "encode": odd})


def _stem(pid: int) -> str:
    host = re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname())[:64] or "host"
    return f"{host}-{pid}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
