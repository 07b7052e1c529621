"""Reading a few bytes of files that may be anything, and replacing a file by an edited copy or not at all.

The digest of a file without its stamp is that of the bytes it would have if it had never got one. It says whether the
file is the one that was written, whatever a library makes of it when it is read.

What a replaced file keeps: every byte that the edit does not name, its mode, owner, extended attributes, access and
modification times (the data are as old as they were). It gets a new inode, so programs that have it open or mapped go
on with the old one. A symbolic link stays a link: the file that it leads to is replaced.

What is left alone: what is no regular file, what has several names (hard links: the names would come apart), what must
not be written or would change its owner, and what somebody else changes meanwhile.
"""

import contextlib
import errno
import os
import stat
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from mlotel import _guard
from mlotel.artifacts._base import Hasher, OverBudget, deadline_of
from mlotel.artifacts.carriers._base import Stamp, count
from mlotel.errors import InvalidArgumentError

Piece: TypeAlias = bytes | tuple[int, int]
"""A part of the edited copy: new bytes, or from where to where the old file is copied."""

AnyPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_CHUNK = 1 << 20
_BUDGET_S = 2.0  # as for the id of an artifact
_SETTLED_NS = 2_000_000_000  # younger files may change again without a new time of modification
_REMEMBERED = 1024
_TEMPORARY = ".mlotel-"
_BAD_DATA = (ValueError, LookupError, struct.error, OverflowError, RecursionError, MemoryError)
_NO_FAST_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class CorruptError(ValueError):
    """A file is not what its first bytes say it is."""


class _LeftAloneError(Exception):
    """Why a file is not replaced."""


class View:
    """The bytes of an open file, read where they are asked for.

    Attributes:
        size: Bytes of the file when it was opened.
    """

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def at(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``.

        Raises:
            CorruptError: If the file does not have them.
        """
        if start < 0 or length < 0 or start + length > self.size:
            raise CorruptError("it points beyond its end")
        os.lseek(self._descriptor, start, os.SEEK_SET)
        found = os.read(self._descriptor, length)
        while len(found) < length:
            more = os.read(self._descriptor, length - len(found))
            if not more:
                raise CorruptError("it became shorter")
            found += more
        return found


Find: TypeAlias = Callable[[View], bytes | str | None]
"""Finds the entry in a file, as it stands there; None when the file has none, or is not of the format."""

Plan: TypeAlias = Callable[[View, str], Sequence[Piece] | None]
"""Says how the file looks with an entry of that text; None when it cannot have one."""


Bare: TypeAlias = Callable[[View], Sequence[Piece] | None]
"""Says how the file looks without an entry, the same whether it has one or not; None for what is not of the format."""

_known: OrderedDict[tuple[object, ...], str] = OrderedDict()
_known_lock = threading.Lock()


def read_stamp(source: str, path: AnyPath, find: Find) -> Stamp | None:
    """The stamp that ``find`` finds in a file. What cannot be read is counted under ``source``; nothing raises."""
    try:
        with _regular(os.fspath(path)) as descriptor:
            entry = find(View(descriptor))
    except (OSError, _LeftAloneError):  # not there, not ours to read, no file: nothing was ignored
        return None
    except _BAD_DATA:
        count(source, "corrupt")
        return None
    return None if entry is None else Stamp.from_json(entry, source=source)


def digest_without(source: str, path: AnyPath, scheme: str, bare: Bare) -> str | None:
    """Digest of a file as it is without its stamp; None where it cannot be read, or not in time. Never raises.

    Args:
        source: What is counted under, for a file that cannot be taken apart.
        path: The file.
        scheme: Which hash: ``xxh3``, ``blake3``, ``sha256``.
        bare: Says how the file looks without a stamp.
    """
    try:
        with _regular(os.fspath(path)) as descriptor:
            before = os.fstat(descriptor)
            key = (scheme, *_facts(before))
            with _known_lock:
                known = _known.get(key)
            if known is not None:
                return known
            settled = time.time_ns() - before.st_mtime_ns > _SETTLED_NS
            found = _digest(descriptor, scheme, bare)
            if found is None or _facts(os.fstat(descriptor)) != _facts(before):
                return None
    except (OSError, _LeftAloneError, OverBudget, InvalidArgumentError):  # the latter: a hash that is not installed
        return None
    except _BAD_DATA:
        count(source, "corrupt")
        return None
    if settled:
        with _known_lock:
            _known[key] = found
            while len(_known) > _REMEMBERED:
                _known.popitem(last=False)
    return found


def _digest(descriptor: int, scheme: str, bare: Bare) -> str | None:
    pieces = bare(View(descriptor))
    if pieces is None:
        return None
    hasher = Hasher(scheme, deadline_of(_BUDGET_S))
    for piece in pieces:
        if isinstance(piece, bytes):
            hasher.raw(piece)
            continue
        start, stop = piece
        os.lseek(descriptor, start, os.SEEK_SET)
        while start < stop:
            data = os.read(descriptor, min(_CHUNK, stop - start))
            if not data:
                raise _LeftAloneError("it became shorter meanwhile")
            hasher.raw(data)
            start += len(data)
    return f"{scheme}:{hasher.digest().hex()}"


def write_stamp(source: str, path: AnyPath, stamp: Stamp, find: Find, plan: Plan) -> bool:
    """Put a stamp into a file. Returns False, and counts it, when that cannot be done; the file is then as it was."""
    if stamp.content_id is None and stamp.data_id is None:
        count(source, "not_written")
        return False
    embedded = stamp.embedded()
    try:
        _replace(os.fsdecode(path), embedded, find, plan)
    except (OSError, _LeftAloneError, *_BAD_DATA) as error:
        count(source, "not_written")
        _guard.report(f"write a stamp into a {source} file", error, level=10)
        return False
    return True


def _replace(path: str, stamp: Stamp, find: Find, plan: Plan) -> None:
    target = Path(os.path.realpath(path))
    with _regular(str(target)) as descriptor:
        before = os.fstat(descriptor)
        if before.st_nlink > 1:
            raise _LeftAloneError("it has several names")
        if not before.st_mode & 0o222 or not os.access(target, os.W_OK):
            raise _LeftAloneError("it must not be written")
        pieces = plan(View(descriptor), stamp.to_json())
        if pieces is None:
            raise _LeftAloneError("it is not of the format, or of a form of it that cannot be changed")
        with temporary(target.parent) as (copy, name):
            for piece in pieces:
                _append(copy, descriptor, piece)
            entry = find(View(copy))
            if entry is None or Stamp.from_json(entry) != stamp:
                raise CorruptError("the stamp cannot be found again")
            _take_over(before, target, copy, name)
            os.fsync(copy)
            if _facts(os.fstat(descriptor)) != _facts(before) or _facts(target.stat()) != _facts(before):
                raise _LeftAloneError("it changed meanwhile")
            put_in_place(name, target)


@contextlib.contextmanager
def _regular(path: str | bytes) -> Iterator[int]:
    """A regular file, open for reading; anything else is not opened: a pipe would wait, a device may do anything."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path can also be bytes
    except ValueError as error:  # a zero byte or half a character: no file has such a name
        raise _LeftAloneError("it has no possible name") from error
    if not stat.S_ISREG(found.st_mode):
        raise _LeftAloneError("it is no regular file")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _LeftAloneError("it is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def temporary(folder: Path) -> Iterator[tuple[int, Path]]:
    """A new file in ``folder``, for its owner only: descriptor and path. Gone at the end unless put in its place."""
    name = folder / f"{_TEMPORARY}{os.urandom(8).hex()}.tmp"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(name, flags, 0o600)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # put in its place, as it should be
            name.unlink()


def put_in_place(name: Path, target: Path) -> None:
    """Make the temporary file ``name``, which is on the disk, be ``target``: a crash leaves the old or the new one."""
    name.replace(target)
    with contextlib.suppress(OSError):  # not every file system can; the file itself is on the disk
        folder = os.open(target.parent, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _append(copy: int, original: int, piece: Piece) -> None:
    if isinstance(piece, bytes):
        write_all(copy, piece)
        return
    start, stop = piece
    if start > stop:
        raise CorruptError("its parts overlap")
    start = _copy_in_kernel(copy, original, start, stop)
    os.lseek(original, start, os.SEEK_SET)
    while start < stop:
        data = os.read(original, min(_CHUNK, stop - start))
        if not data:
            raise _LeftAloneError("it became shorter meanwhile")
        write_all(copy, data)
        start += len(data)


def _copy_in_kernel(copy: int, original: int, start: int, stop: int) -> int:
    """Copy as far as the kernel does it alone, on some file systems without any copying; returns how far."""
    if not hasattr(os, "copy_file_range"):
        return start
    try:
        while start < stop and (done := os.copy_file_range(original, copy, min(stop - start, 1 << 30), start)):
            start += done
    except OSError as error:
        if error.errno not in _NO_FAST_COPY:
            raise
    return start


def _take_over(before: os.stat_result, target: Path, copy: int, name: Path) -> None:
    import shutil  # only for those who write

    now = os.fstat(copy)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(copy, before.st_uid, before.st_gid)
    shutil.copystat(target, name)  # after the owner: a change of owner clears bits of the mode


def _facts(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _after_fork() -> None:
    global _known_lock
    _known_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
