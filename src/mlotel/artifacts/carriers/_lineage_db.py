"""The SQLite file of the lineage index: made, checked, asked, written, set aside.

The file is the user's own: made for its owner only, refused when it is a link, another user's or another program's.
A rollback journal instead of a write-ahead log, because home folders are often on a network, where the latter's shared
memory does not work.
"""

import contextlib
import os
import stat
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

try:
    import sqlite3
except ImportError:  # a Python that was built without it
    sqlite3 = None  # type: ignore[assignment]  # its absence is asked for before it is used
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # its absence is asked for where it is used

MAX_TEXT = 512
"""Characters of a text in a row."""

_APPLICATION = 0x6D6C6F74
_VERSION = 1
_SCHEMA = (
    """CREATE TABLE producer (
        id INTEGER PRIMARY KEY, artifact_id TEXT NOT NULL, written_ns INTEGER NOT NULL, trace_id BLOB NOT NULL,
        span_id BLOB NOT NULL, trace_flags INTEGER NOT NULL, component TEXT, run_id TEXT, name TEXT, uri TEXT)""",
    "CREATE INDEX producer_by_artifact ON producer (artifact_id, written_ns)",
    "CREATE INDEX producer_by_name ON producer (name, component, written_ns)",
    "CREATE INDEX producer_by_place ON producer (uri, written_ns)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_COLUMNS = "artifact_id, written_ns, trace_id, span_id, trace_flags, component, run_id, name, uri"
_SLACK = 1000  # rows beyond the limit that are not worth a deletion
_SLACK_NS = 86_400 * 10**9
_MAX_NS = 2**63 - 1
_SMALLEST = 512
_BESIDE = ("-journal", "-wal", "-shm")

_Inode: TypeAlias = tuple[int, int]


class Error(Exception):
    """The database failed; it may work the next time."""


class BusyError(Error):
    """Another process held the lock for too long."""


class UnusableError(Error):
    """The database cannot or must not be used."""


class CorruptDatabaseError(Error):
    """The file is no database, or a broken one.

    Attributes:
        inode: Which file that was.
    """

    def __init__(self, message: str, inode: _Inode) -> None:
        super().__init__(message)
        self.inode = inode


def connect(path: Path, deadline: float, *, create: bool) -> "Connection | None":
    """Open the database.

    Args:
        path: Where it is.
        deadline: ``time.monotonic()`` until which another process is waited for.
        create: Whether to make what is missing; otherwise None is returned for it.

    Raises:
        Error: Of one of the kinds above.
    """
    if sqlite3 is None:
        raise UnusableError("this Python has no module sqlite3")
    try:
        inode = _checked(path, create=create)
    except OSError as error:
        raise UnusableError(f"{path} cannot be used ({error.strerror or error})") from error
    if inode is None:
        return None
    place = urllib.parse.quote(os.fsencode(path))
    with _mapped(inode):  # mode=rw: a file that vanished just now is not made again with the rights of others
        raw = sqlite3.connect(f"file:{place}?mode=rw", uri=True, isolation_level=None, check_same_thread=False)
    connection = Connection(raw, path, inode)
    connection.deadline = deadline
    try:
        if connection.check(create=create):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


class Connection:
    """An open database. One thread at a time.

    Attributes:
        deadline: ``time.monotonic()`` until which another process is waited for.
    """

    def __init__(self, raw: "sqlite3.Connection", path: Path, inode: _Inode) -> None:
        self._raw = raw
        self._path = path
        self._inode = inode
        self.deadline = 0.0
        raw.text_factory = _decoded

    def is_in_place(self) -> bool:
        """Whether the file that is open is still the one at its path."""
        try:
            return _inode_of(os.lstat(self._path)) == self._inode
        except OSError:
            return False

    def check(self, *, create: bool) -> bool:
        """Whether it is an index; a new file is made one, or left empty without ``create``."""
        with self._working():
            self._raw.execute("PRAGMA synchronous = OFF")
            self._raw.execute("BEGIN")  # one look: half of it from before another process made the tables would mislead
            try:
                is_index = self._is_index()
            finally:
                if self._raw.in_transaction:
                    self._raw.execute("ROLLBACK")
            if is_index or not create:
                return is_index
        with self._changing():
            if not self._is_index():  # another process may have come first
                for statement in _SCHEMA:
                    self._raw.execute(statement)
        return True

    def latest(self, artifact_id: str, not_after_ns: int | None) -> list[tuple[Any, ...]]:
        """The newest rows of an id, the newest first, without the id."""
        limit_ns = _MAX_NS if not_after_ns is None else max(-1, min(not_after_ns, _MAX_NS))
        with self._working():
            rows: list[tuple[Any, ...]] = self._raw.execute(
                f"SELECT {_COLUMNS.partition(', ')[2]} FROM producer WHERE artifact_id = ? AND written_ns <= ? "
                "ORDER BY written_ns DESC, id DESC LIMIT 8",
                (artifact_id, limit_ns),
            ).fetchall()
        return rows

    def latest_called(self, name: str, component: str, uri: str | None) -> tuple[Any, ...] | None:
        """The newest row of what a component wrote under a name, to an address if there is one, its id first."""
        # Many projects have a train.csv, and few files lie in one place: + keeps SQLite from going by the name there.
        where, values = "name = ? AND component = ?", [name, component]
        if uri is not None:
            where, values = "uri = ? AND +name = ? AND +component = ?", [uri, name, component]
        with self._working():
            row: tuple[Any, ...] | None = self._raw.execute(
                f"SELECT {_COLUMNS} FROM producer WHERE {where} ORDER BY written_ns DESC LIMIT 1", values
            ).fetchone()
        return row

    def insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows, all or none."""
        with self._changing():
            self._raw.executemany(f"INSERT INTO producer ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def prune(self, max_rows: int, oldest_ns: int, *, at_most: int | None = None) -> int:
        """Delete rows that are older, and all but the newest ``max_rows``; returns how many went.

        Args:
            max_rows: How many stay.
            oldest_ns: Time before which a row goes.
            at_most: Delete no more than so many, the oldest, and only when it is worthwhile: nobody shall wait for it.
        """
        if at_most is not None:
            with self._working():
                first, last, first_ns = self._raw.execute(
                    "SELECT id, (SELECT max(id) FROM producer), written_ns FROM producer ORDER BY id LIMIT 1"
                ).fetchone() or (0, 0, oldest_ns)
            if last - first < max_rows + _SLACK and first_ns >= oldest_ns - _SLACK_NS:
                return 0
        end = _MAX_NS if at_most is None else first + at_most
        with self._changing():
            before = self._raw.total_changes
            self._raw.execute("DELETE FROM producer WHERE id < ? AND written_ns < ?", (end, oldest_ns))
            # Ids go up by one. Where some are missing in between, a few less than max_rows stay: counting takes long.
            self._raw.execute(
                "DELETE FROM producer WHERE id < ? AND id <= (SELECT max(id) FROM producer) - ?", (end, max_rows)
            )
            return self._raw.total_changes - before

    def close(self) -> None:
        """Close it; nothing is pending."""
        with contextlib.suppress(sqlite3.Error):
            self._raw.close()

    def _is_index(self) -> bool:
        application, version = (
            self._raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        names = {name for (name,) in self._raw.execute("SELECT name FROM sqlite_master")}
        if application == _APPLICATION and version > _VERSION:
            raise UnusableError(f"{self._path} is of a later version of mlotel")
        if application == _APPLICATION and "producer" in names:
            return True
        if application == _APPLICATION:
            raise CorruptDatabaseError("its table is gone", self._inode)
        if application or version or names:
            raise UnusableError(f"{self._path} is the database of another program")
        return False

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        with _mapped(self._inode):
            wait_ms = max(0, round((self.deadline - time.monotonic()) * 1000))
            self._raw.execute(f"PRAGMA busy_timeout = {wait_ms}")
            yield

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with self._working():
            self._raw.execute("BEGIN EXCLUSIVE")  # every lock at once: the commit has nothing to wait for
            try:
                yield
                self._raw.execute("COMMIT")
            except BaseException:
                if self._raw.in_transaction:
                    self._raw.execute("ROLLBACK")
                raise


def set_aside(path: Path, inode: _Inode) -> Path | None:
    """Move a corrupt database out of the way, with what belongs to it.

    Args:
        path: Where it is.
        inode: Which file was found to be corrupt: another one at that place stays.

    Returns:
        Where it is now; None when another process has done it, or it cannot be done now.
    """
    aside = path.with_name(f"{path.name}.corrupt")
    try:
        with _locked(path.parent):
            if _inode_of(os.lstat(path)) != inode:
                return None
            for ending in _BESIDE:  # before the database: a new one must not find an old one's journal
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{path}{ending}").replace(f"{aside}{ending}")
            path.replace(aside)
    except OSError:
        return None
    return aside


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else sets aside in this folder; where it cannot be locked at once, an OSError says so."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _mapped(inode: _Inode) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise BusyError(str(error)) from error
        raise Error(str(error)) from error
    except sqlite3.DatabaseError as error:
        if type(error) is sqlite3.DatabaseError:  # "malformed", "not a database"; its subclasses are other matters
            raise CorruptDatabaseError(str(error), inode) from error
        raise Error(str(error)) from error
    except sqlite3.Error as error:
        raise Error(str(error)) from error


def _checked(path: Path, *, create: bool) -> _Inode | None:
    """Which file is there, for its owner only; None when there is none, and none is to be made."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if not create:
            return None
        _make(path)
        found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise UnusableError(f"{path} is a symbolic link; let XDG_STATE_HOME name the folder where it should be")
    if not stat.S_ISREG(found.st_mode):
        raise UnusableError(f"{path} is no regular file")
    if 0 < found.st_size < _SMALLEST:  # SQLite would take it for an empty one and write over it
        raise CorruptDatabaseError("it is shorter than any database", _inode_of(found))
    folder = path.parent.stat()
    if hasattr(os, "geteuid"):
        _keep_others_out(path, found, folder)
    return _inode_of(found)


def _keep_others_out(path: Path, found: os.stat_result, folder: os.stat_result) -> None:
    own = os.geteuid()
    if found.st_uid != own:
        raise UnusableError(f"{path} belongs to another user")
    if folder.st_mode & 0o022 and folder.st_uid == own and path.parent.name == "mlotel":
        path.parent.chmod(folder.st_mode & 0o7755)
    elif folder.st_mode & 0o002:  # a journal that somebody puts there would be played back
        raise UnusableError(f"others can write into {path.parent}")
    if found.st_mode & 0o077:
        path.chmod(0o600)


def _make(path: Path) -> None:
    missing = []
    for folder in path.parents:
        if folder.exists():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.suppress(FileExistsError):  # another process was quicker
        os.close(os.open(path, flags, 0o600))


def _inode_of(found: os.stat_result) -> _Inode:
    return found.st_dev, found.st_ino


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")
