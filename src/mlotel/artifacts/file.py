"""Files by their bytes, large ones remembered while the file stays as it was; folders by what is in them."""

import os
import stat
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from mlotel.artifacts._base import CHUNK, Changed, Hasher, Unidentifiable
from mlotel.artifacts._look import is_path
from mlotel.types import Identity

_REMEMBERED = 4096
_WORTH = 1 << 24  # bytes; a smaller file is read sooner than it is known whether it may be remembered
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a common file system (FAT): a later write may not move mtime
_SAMPLES = 64
_SAMPLE_BYTES = 1 << 16

_known: OrderedDict[tuple[Any, ...], Identity] = OrderedDict()
_lock = threading.Lock()


def matches(value: Any) -> bool:
    """Whether the value is an ``os.PathLike``."""
    return is_path(value)


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of the bytes, or of the folder, that a path leads to; symbolic links are followed.

    Raises:
        Unidentifiable: If it is neither a regular file nor a folder, or changed while it was read.
        OSError: If it is not there or cannot be read.
    """
    path = os.fspath(value)
    if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - a path can also be bytes
        from mlotel.artifacts import _folder  # which needs this module for the files in it

        return _folder.identify(path, hasher)
    return identify_file(path, hasher)


def identify_file(path: str | bytes, hasher: Hasher, *, follow: bool = True) -> Identity:
    """Identity of the bytes of a regular file.

    Args:
        path: Where it is.
        hasher: Takes the description.
        follow: Whether symbolic links are followed.

    Raises:
        Unidentifiable: If it is no regular file, or changed while it was read.
        OSError: If it is not there or cannot be read.
    """
    # opening a pipe would wait, opening a device may do anything
    if not stat.S_ISREG(os.stat(path, follow_symlinks=follow).st_mode):  # noqa: PTH116 - a path can also be bytes
        raise Unidentifiable("a special file")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    try:
        return _identify(path, descriptor, hasher)
    finally:
        os.close(descriptor)


def _identify(path: str | bytes, descriptor: int, hasher: Hasher) -> Identity:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise Unidentifiable("a special file")
    key = (hasher.scheme, path, *_facts(before))
    with _lock:
        known = _known.get(key)
        if known is not None:
            _known.move_to_end(key)
            return known
    settled = time.time_ns() - before.st_mtime_ns > _SETTLED_NS
    content = hasher.child()
    read = _sample(descriptor, content, before.st_size) if hasher.sampling else _read(descriptor, content)
    if _facts(os.fstat(descriptor)) != _facts(before) or (not hasher.sampling and read != before.st_size):
        raise Changed("a file that changed while it was read")
    hasher.text("file")
    hasher.number(before.st_size)
    hasher.token(content.digest())
    identity = replace(hasher.identity(), size=before.st_size)
    if settled and not hasher.sampling and before.st_size >= _WORTH and not _is_mapped(before):
        with _lock:
            _known[key] = identity
            while len(_known) > _REMEMBERED:
                _known.popitem(last=False)
    return identity


def _is_mapped(found: os.stat_result) -> bool:
    """Whether this process can write to the file through memory: that moves mtime once, and not at each write."""
    try:
        with open("/proc/self/maps", "rb") as file:  # noqa: PTH123 - no such thing outside Linux
            maps = file.read()
    except OSError:
        return False
    inode = b" %d " % found.st_ino
    if inode not in maps:  # most files: nothing to take apart
        return False
    return any(inode in line and line.split(maxsplit=2)[1][1::2] == b"ws" for line in maps.splitlines())


def _facts(found: os.stat_result) -> tuple[int, ...]:
    """What changes when a file does. ctime as well: programs can set mtime back, not ctime."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(descriptor: int, content: Hasher) -> int:
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    total = 0
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        while count := file.readinto(view):
            content.raw(view[:count])
            total += count
    return total


def _sample(descriptor: int, content: Hasher, size: int) -> int:
    total = 0
    stride = max(_SAMPLE_BYTES, content.stride(size, _SAMPLES))
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        for start in range(0, size, stride):
            file.seek(start)
            data = file.read(_SAMPLE_BYTES)
            content.raw(data)
            total += len(data)
    return total


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
