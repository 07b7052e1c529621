"""Spool files that wait for delivery: which there are, and how far each has been sent.

How far a file has been sent stands beside it in ``….sent``, replaced as a whole with each step. Nothing here relies on
change notices, memory maps, or appends of others being atomic, which network file systems do not promise.
"""

import contextlib
import math
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final
from weakref import WeakSet

from mlotel import _guard
from mlotel.export import _claims, _progress
from mlotel.export._claims import InUseError
from mlotel.export._progress import Aside, Place, Progress
from mlotel.export.spool import FILE_NAME, PROGRESS_SUFFIX
from mlotel.types import Signal

_SYNC_EVERY_S: Final = 1.0
_BESIDE: Final = re.compile(r"(?P<file>.+\.jsonl)(\.sent(\.new)?|\.claim-.+)")
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")


_remembered: dict[Path, Progress] = {}
"""What could not be written down, of the whole process: a folder is looked through by one outbox after the other."""


@dataclass(frozen=True, slots=True)
class Found:
    """A spool file, as it was when the folder was looked at."""

    path: Path
    host: str
    pid: int
    start: str
    is_pending: bool
    size: int
    changed_ns: int


class Outbox:
    """The spool files of one folder.

    Args:
        folder: Where they are; it need not exist.
        recordings: Whether local recordings are sent too. They stay when they have been.
        is_open: Says of a file that bears this process's id whether this process still writes it. Asked only where the
            file system has no locks; without it the last part of each writer counts as open.

    Example:
        >>> Outbox(Path("no/such/folder")).waiting()
        []
    """

    def __init__(
        self, folder: Path, *, recordings: bool = False, is_open: Callable[[Path], bool] | None = None
    ) -> None:
        self.folder = folder
        self._recordings = recordings
        self._is_open = is_open
        self._is_far: bool | None = None

    def waiting(self) -> list[Found]:
        """Files that are not all sent, oldest first, whoever holds them; marks of files that are gone are removed.

        Links, folders, pipes, devices, files of other users and of other programs are passed over.

        Raises:
            OSError: If the folder exists and cannot be listed.
        """
        found: list[Found] = []
        try:
            entries = list(os.scandir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        for entry in entries:
            path = self.folder / entry.name
            if (match := FILE_NAME.fullmatch(entry.name)) is not None:
                with contextlib.suppress(FileNotFoundError):  # sent and removed since the folder was listed
                    facts = entry.stat(follow_symlinks=False)
                    if _claims.is_ours(facts) and (match["pending"] or self._recordings):
                        name = (match["host"], int(match["pid"]), match["start"], bool(match["pending"]))
                        found.append(Found(path, *name, facts.st_size, facts.st_mtime_ns))
            elif (mark := _BESIDE.fullmatch(entry.name)) is not None and FILE_NAME.fullmatch(mark["file"]):
                _remove_if_alone(path, self.folder / mark["file"])
        waiting = [file for file in found if not self._is_sent(file)]
        return sorted(waiting, key=lambda file: (file.changed_ns, file.path.name))

    def take(self, found: Found) -> "Held":
        """Claim a file. Nobody else can until it is closed, or this process ends.

        Raises:
            InUseError: If its writer lives, or somebody else holds it.
            FileNotFoundError: If it is no longer there, or is no longer that file.
            OSError: If it cannot be opened.
        """
        before = os.lstat(found.path)
        if before.st_size == 0 and _claims.has_changed(before) and not _claims.is_gone(found.host, found.pid):
            # Its writer is between making and locking it. Whoever tries the lock now may keep it from the writer.
            raise InUseError(f"process {found.pid} on {found.host} may have just made it")
        if _claims.is_kept(found.host, found.pid, found.start):
            raise InUseError(f"process {found.pid}, which wrote it, is running")
        descriptor = _open(found.path)
        claim: Path | None = None
        try:
            facts = os.fstat(descriptor)
            if not _claims.is_ours(facts):
                raise FileNotFoundError(f"{found.path} is no longer a file of this user")
            if not _claims.lock(descriptor) or (found.host != _claims.host_name() and self._is_shared()):
                if _claims.is_writing(found.path, found.host, found.pid, facts, self._is_open):
                    raise InUseError(f"process {found.pid} on {found.host} may still write it")
                claim = _claims.claim(found.path)
            # Between opening and locking it may have been sent and removed, also by a process that has ended since.
            if not os.path.samestat(facts, os.lstat(found.path)):
                raise FileNotFoundError(f"{found.path} was replaced")
        except BaseException:
            os.close(descriptor)
            if claim is not None:
                _claims.remove(claim)
            raise
        return Held(self, found, descriptor, claim)

    def progress(self, path: Path) -> Progress:
        """How far ``path`` is done with."""
        noted = _progress.read(_beside(path, PROGRESS_SUFFIX))  # somebody else may have come further than we remember
        remembered = _remembered.get(path.absolute())
        return noted if remembered is None else noted.with_memory(remembered)

    def note(self, path: Path, progress: Progress, *, is_synced: bool = True) -> None:
        """Write down how far a file has been sent, or remember it where that cannot be done.

        Args:
            path: The file.
            progress: How far it is done with.
            is_synced: Whether that is to outlast the machine's going down, too, and not only the process's.
        """
        try:
            _progress.write(_beside(path, PROGRESS_SUFFIX), progress, is_synced=is_synced)
        except OSError as error:
            self._remember(path, progress, error)
        else:
            _remembered.pop(path.absolute(), None)

    def remove(self, path: Path, progress: Progress, *, host: str) -> None:
        """Remove a file that has been sent, or remember that it has been.

        Args:
            path: The file.
            progress: All of it.
            host: Where it was written. If not here, its mark stays for a while: should its writer be alive, that is
                where it sees that the file was sent, and not lost.
        """
        mark = _beside(path, PROGRESS_SUFFIX)
        if host != _claims.host_name():
            with contextlib.suppress(OSError):
                _progress.write(mark, progress, is_synced=False)
        try:
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            self.note(path, progress)
            self._remember(path, progress, error)
            return
        # After the file: a mark alone is harmless, a file alone is sent again.
        if host == _claims.host_name():
            _claims.remove(mark)
        _remembered.pop(path.absolute(), None)

    def _remember(self, path: Path, progress: Progress, error: OSError) -> None:
        _remembered[path.absolute()] = progress.copy()
        _guard.say_once(
            ("sent", str(self.folder)),
            "mlotel cannot note in %s what it has delivered (%s). It remembers until the process ends; the next one "
            "will send those records once more, with equal ids. Free some space, or make the folder writable.",
            self.folder,
            error.strerror or error,
        )

    def _is_sent(self, found: Found) -> bool:
        """Whether there is nothing left to do. A pending file still has to be removed, unless that did not work."""
        if found.is_pending and found.path.absolute() not in _remembered:
            return False
        return self.progress(found.path).is_all(found.size)

    def _is_shared(self) -> bool:
        """Whether other machines may see the folder, without seeing our locks."""
        if self._is_far is None:
            self._is_far = _claims.is_far(self.folder)
        return self._is_far


class Held:
    """A claimed file. Closing it lets others have what is left of it.

    Attributes:
        path: Where it is.
        file: Open for reading, at its start.
        is_pending: Whether it goes when it has been sent.
    """

    def __init__(self, outbox: Outbox, found: Found, descriptor: int, claim: Path | None) -> None:
        self.path = found.path
        self.file: BinaryIO = open(descriptor, "rb", closefd=False)  # noqa: SIM115 - a descriptor; see close()
        self._descriptor: int | None = descriptor
        _held.add(self)
        self.is_pending = found.is_pending
        self._host = found.host
        self._outbox = outbox
        self._progress = outbox.progress(found.path).checked(self.file, self.size)
        self._claim = claim
        self._synced_at = -math.inf

    def __enter__(self) -> "Held":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        assert self._descriptor is not None
        return os.fstat(self._descriptor).st_size

    @property
    def has_aside(self) -> bool:
        """Whether lines were passed over that are not done with."""
        return bool(self._progress.aside)

    def place(self, signal: Signal) -> Place:
        """How far the records of ``signal`` are done with."""
        return self._progress.places.get(signal, Place())

    def aside(self, signal: Signal) -> list[Aside]:
        """Lines before that place that are not done with."""
        return list(self._progress.aside.get(signal, ()))

    def advance(self, places: Mapping[Signal, Place]) -> None:
        """Note that records up to ``places`` are done with: on disk, or in memory where it must be."""
        self._move(places)
        self._note()

    def set_aside(self, signal: Signal, line: Aside, end: int) -> None:
        """Note that the line that ends at ``end`` is passed over, or how far it has come since it was."""
        others = [known for known in self.aside(signal) if known.offset != line.offset]
        self._progress.aside[signal] = sorted([*others, line])
        self._move({signal: Place(end)})
        self._note()

    def take_back(self, signal: Signal, offset: int) -> None:
        """Note that the line at ``offset``, which was set aside, is done with."""
        left = [known for known in self.aside(signal) if known.offset != offset]
        if left:
            self._progress.aside[signal] = left
        else:
            self._progress.aside.pop(signal, None)
        self._note()

    def _move(self, places: Mapping[Signal, Place]) -> None:
        for signal, place in places.items():
            self._progress.places[signal] = max(place, self.place(signal))

    def _note(self) -> None:
        now = time.monotonic()
        # Waiting for the disk after each line takes longer than sending.
        is_synced = now - self._synced_at >= _SYNC_EVERY_S
        self._outbox.note(self.path, self._progress, is_synced=is_synced)
        if is_synced:
            self._synced_at = now
        if self._claim is not None:
            with contextlib.suppress(OSError):
                os.utime(self._claim)  # whoever wonders sees that its owner lives

    def finish(self, but: Collection[Signal] = ()) -> None:
        """Nothing is left to send but what was set aside: a pending file is removed, of a local recording it is noted.

        Args:
            but: Signals of which something may be left.
        """
        size = self.size
        places = {signal: Place(size) for signal in _SIGNALS if signal not in but}
        if self.is_pending and not but and not self.has_aside:
            if os.name == "nt":  # where an open file cannot be removed; the claim still holds
                self._let_go()
            self._outbox.remove(self.path, Progress(places), host=self._host)
        elif any(self.place(signal) < place for signal, place in places.items()):
            self.advance(places)

    def close(self) -> None:
        """Let go of the file."""
        if self._claim is not None:
            _claims.remove(self._claim)
            self._claim = None
        self._let_go()

    def _let_go(self) -> None:
        """Close the descriptor, which unlocks the file. In a forked child, too, or the lock would live on in it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_held: WeakSet[Held] = WeakSet()


def _after_fork() -> None:
    for held in list(_held):
        held._let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def open_to_read(path: Path) -> BinaryIO:
    """Open a file that others may be writing or sending; never through a link.

    Raises:
        OSError: If it cannot be opened, or is a link.
    """
    return os.fdopen(os.open(path, _claims.flags(os.O_RDONLY)), "rb")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove_if_alone(mark: Path, file: Path) -> None:
    """Remove what stands beside a file that is gone. Asked anew: the list of a folder may be older than the file.

    A mark stays for an hour, for a writer that lives on another machine, or in another container.
    """
    if os.path.lexists(file):
        return
    with contextlib.suppress(OSError):
        if not mark.name.endswith(PROGRESS_SUFFIX) or not _is_for_its_writer(file.name, os.lstat(mark)):
            mark.unlink()


def _is_for_its_writer(name: str, facts: os.stat_result) -> bool:
    match = FILE_NAME.fullmatch(name)
    if match is None or not match["pending"]:
        return False
    if match["host"] != _claims.host_name():
        return _claims.has_changed(facts)
    is_ours = int(match["pid"]) == os.getpid()
    return is_ours or _claims.is_kept(match["host"], int(match["pid"]), match["start"])


def was_sent(path: Path) -> bool:
    """Whether a pending file that is gone was sent by somebody elsewhere; the mark that says so goes, too."""
    mark = _beside(path, PROGRESS_SUFFIX)
    if os.path.lexists(path) or not os.path.lexists(mark):
        return False
    _claims.remove(mark)
    return True


def _open(path: Path) -> int:
    try:
        return os.open(path, _claims.flags(os.O_RDWR))  # over NFS only a file that is open for writing can be locked
    except FileNotFoundError:
        raise
    except OSError:
        return os.open(path, _claims.flags(os.O_RDONLY))
