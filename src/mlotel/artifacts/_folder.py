"""Folders as manifests: the names in them, and what each leads to, level by level.

What counts: names (as bytes), whether each is a file, a folder or a symbolic link, the ids of files, the targets of
links. Links inside are not followed, so there are no loops. The folder's own name, times, owners and modes do not
count, nor does the order in which the file system lists the names. A folder with anything that cannot be read, or
with a pipe, a socket or a device, has no content id.
"""

import os
import stat

from mlotel.artifacts import file
from mlotel.artifacts._base import SAMPLE, Changed, Hasher, Unidentifiable
from mlotel.types import Identity

_SAMPLE_NAMES = 5 * SAMPLE  # looked at in a sampled folder in all
_SAMPLE_BYTES = 1 << 26  # of files that it reads from; of the others it notes the size


def identify(path: str | bytes, hasher: Hasher) -> Identity:
    """Identity of a folder and of everything below it; its size is that of the files.

    Raises:
        Unidentifiable: If something in it has no content, or changed meanwhile.
        OSError: If something cannot be read.
    """
    hasher.text("folder")
    reader = _Reader(hasher)
    hasher.token(reader.digest(path))
    return hasher.identity(size=None if hasher.sampling else reader.size)


class _Reader:
    """Reads folders one in another.

    Args:
        hasher: Makes children, keeps the time, says whether to sample.

    Attributes:
        size: Bytes of all files so far.
    """

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._left = _SAMPLE_NAMES
        self.size = 0

    def digest(self, path: str | bytes) -> bytes:
        """Digest of one folder's manifest."""
        before = _facts(path)
        with os.scandir(path) as entries:
            names = sorted(((os.fsencode(entry.name), os.fspath(entry.path)) for entry in entries), key=_first)
        manifest = self._hasher.child()
        manifest.text("folder")
        manifest.number(len(names))
        for name, place in names[:: self._hasher.stride(len(names))]:
            if self._hasher.sampling:
                self._left -= 1
                if self._left < 0:
                    break
            self._hasher.check()
            manifest.number(len(name))
            manifest.raw(name)
            self._entry(place, manifest)
        if _facts(path) != before:
            raise Changed("a folder that changed while it was read")
        return manifest.digest()

    def _entry(self, path: str | bytes, manifest: Hasher) -> None:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(os.fsencode(path))  # noqa: PTH115 - as above
            manifest.token(b"l")
            manifest.number(len(target))
            manifest.raw(target)
        elif stat.S_ISDIR(mode):
            manifest.token(b"d")
            manifest.token(self.digest(path))
        elif stat.S_ISREG(mode):
            if self._hasher.sampling and self.size > _SAMPLE_BYTES:
                manifest.token(b"?")
                manifest.number(os.lstat(path).st_size)
                return
            found = file.identify_file(path, self._hasher.child(), follow=False)
            self.size += found.size or 0
            manifest.token(b"f")
            manifest.text(found.id)
        else:
            raise Unidentifiable("a folder with a special file")


def _first(pair: tuple[bytes, str | bytes]) -> bytes:
    return pair[0]


def _facts(path: str | bytes) -> tuple[int, ...]:
    """What changes when names in a folder do."""
    found = os.stat(path)  # noqa: PTH116 - a path can also be bytes
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
