"""The user's own memory of who wrote which content: a small database in the state folder.

It finds the producer of what carries no stamp: a CSV file, a NumPy array, a file that was moved or renamed. It lives
in ``$XDG_STATE_HOME/mlotel/lineage.db`` (``~/.local/state`` by default), belongs to its owner alone, and forgets what
is older than 90 days or beyond the newest 100,000 writes. ``MLOTEL_INDEX=off`` switches it off.

Several processes may use it at once. Nothing waits longer than 50 ms for another one: what could not be written is
kept and tried again with the next entries. Entries are gathered and written in one transaction when there are 256 of
them, when one has waited for a second and the next comes, at ``flush``, and when the program ends; there is no thread.
The disk is not waited for either: after a power failure the newest entries may be missing, or the file is found to be
corrupt. A corrupt file is set aside as ``lineage.db.corrupt`` and the index begins anew.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mlotel import _guard
from mlotel.artifacts.carriers import _lineage_db as database
from mlotel.artifacts.carriers._base import CONTENT_ID, count
from mlotel.artifacts.evidence import Producer
from mlotel.errors import InvalidArgumentError

MAX_WAIT_S = 0.05
"""Longest wait for a lock that another process or thread holds."""

MAX_ROWS = 100_000
MAX_AGE_S = 90 * 86_400.0

_BATCH = 256
_MAX_PENDING = 10_000
_MAX_PENDING_S = 1.0
_MAX_PRUNED = 1000  # in one go, a few milliseconds: more than what is written in between
_CALM_S = 1.0  # after a wait in vain nobody waits again for so long: a thousand reads must not wait 50 ms each
_MAX_FAILURES = 3
_OFF = frozenset({"off", "false", "0", "no", "never", "none"})

T = TypeVar("T")

_open: "set[Index]" = set()


class Index:
    """Ids and their producers. Every method can be called from any thread, and none of them raises.

    Use ``Index.open()``.

    Attributes:
        path: The database; it is made by the first entry.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> index = Index.open(Path(tempfile.mkdtemp()) / "lineage.db")
        >>> made = Producer("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, component="clean", run_id=None,
        ...                 written_ns=time.time_ns(), artifact_id="xxh3:" + "0" * 32, name=None, uri=None,
        ...                 evidence="process")
        >>> index.add(made)
        >>> index.find(made.artifact_id).component
        'clean'
        >>> index.close()
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._reason_off: str | None = None
        self._pending: list[Producer] = []
        self._pending_since = 0.0
        self._connection: database.Connection | None = None
        self._failures = 0
        self._calm_until = 0.0
        self._make_locks()

    def _make_locks(self) -> None:
        self._list_lock = threading.RLock()  # a signal handler may add while its thread does
        self._lock = threading.Lock()  # around the database; always taken with a time limit
        self._held_for_fork = False

    @classmethod
    def open(cls, path: Path | None = None) -> "Index":
        """The user's index, or one that does nothing where it is switched off. Nothing is read or made yet.

        Args:
            path: Another database than the user's.
        """
        if os.environ.get("MLOTEL_INDEX", "").strip().lower() in _OFF:
            return cls(None)
        index = cls(path if path is not None else _default_path())
        if index.path is None:
            index._switch_off("the user has no home folder")
        return index

    @property
    def is_on(self) -> bool:
        """Whether entries are kept: it is not switched off, and nothing was found that forbids its use."""
        return self.path is not None and self._reason_off is None

    def add(self, producer: Producer) -> None:
        """Remember who wrote what. Ids that mean nothing elsewhere (``ref:``, ``partial:``, ``meta:``) are left out."""
        if not self.is_on or not CONTENT_ID.fullmatch(producer.artifact_id):
            return
        _open.add(self)
        with self._list_lock:
            if not self._pending:
                self._pending_since = time.monotonic()
            self._pending.append(producer)
            if len(self._pending) > _MAX_PENDING:
                del self._pending[0]
                count("index", "lost")
            is_due = len(self._pending) >= _BATCH or time.monotonic() - self._pending_since >= _MAX_PENDING_S
        if is_due and time.monotonic() >= self._calm_until:
            self.flush()

    def find(self, artifact_id: str, /, *, not_after_ns: int | None = None) -> Producer | None:
        """The latest known producer of what has this id.

        Args:
            artifact_id: Id of a file, or of what was in it.
            not_after_ns: Look at writes up to this time only (nanoseconds since 1970).

        Returns:
            The producer, with evidence ``index``; None when there is none, or the database was locked for too long.
        """
        if not self.is_on or not CONTENT_ID.fullmatch(artifact_id):
            return None
        with self._list_lock:
            own = [entry for entry in self._pending if entry.artifact_id == artifact_id]
        found = [replace(entry, evidence="index") for entry in own if _is_before(entry, not_after_ns)]
        rows: list[tuple[Any, ...]] = self._do(lambda connection: connection.latest(artifact_id, not_after_ns), [])
        found += filter(None, (_from_row(artifact_id, row) for row in rows))
        return max(found, key=lambda producer: producer.written_ns, default=None)

    def latest(self, name: str, component: str, *, uri: str | None = None) -> Producer | None:
        """The latest known write by ``component`` of whatever it calls ``name``; None where there is none.

        Args:
            name: Name of the artifact.
            component: Name of the component.
            uri: Where it lies; None for anywhere.
        """
        if not self.is_on:
            return None
        with self._list_lock:
            own = [
                entry
                for entry in self._pending
                if entry.name == name and entry.component == component and (uri is None or entry.uri == uri)
            ]
        found = [replace(entry, evidence="index") for entry in own]
        row: tuple[Any, ...] | None = self._do(lambda connection: connection.latest_called(name, component, uri), None)
        if row is not None and isinstance(row[0], str):
            found += filter(None, (_from_row(row[0], row[1:]),))
        return max(found, key=lambda producer: producer.written_ns, default=None)

    def flush(self) -> bool:
        """Write what was gathered. Returns whether nothing is left to write."""
        if self.is_on and self._pending:
            self._do(self._write_pending, None, create=True)
        return not self._pending

    def prune(self, *, max_rows: int = MAX_ROWS, max_age_s: float = MAX_AGE_S) -> int:
        """Forget old entries. Also happens by itself, with the values given here as defaults.

        Args:
            max_rows: How many of the newest entries stay.
            max_age_s: Seconds after which an entry goes.

        Returns:
            How many went; 0 also when the database was locked.
        """
        self.flush()
        return self._do(lambda connection: connection.prune(max_rows, _oldest_ns(max_age_s)), 0)

    def close(self) -> None:
        """Write what was gathered, and close the database. It is opened again when it is used again."""
        self._calm_until = 0.0
        if not self.flush():
            with self._list_lock:
                count("index", "lost", len(self._pending))
                self._pending.clear()
        _open.discard(self)
        if self._lock.acquire(timeout=MAX_WAIT_S):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def _do(self, work: "Callable[[database.Connection], T]", otherwise: T, *, create: bool = False) -> T:
        """What ``work`` returns; ``otherwise`` when the database cannot be had now, or fails."""
        if not self.is_on:
            return otherwise
        wait_s = 0.0 if time.monotonic() < self._calm_until else MAX_WAIT_S
        deadline = time.monotonic() + wait_s
        if not self._lock.acquire(timeout=wait_s):
            self._was_busy()
            return otherwise
        try:
            connection = self._connect(deadline, create=create)
            result = otherwise if connection is None else work(connection)
        except database.BusyError:
            self._was_busy()
        except database.CorruptDatabaseError as error:
            self._disconnect()
            self._begin_anew(error)
        except database.UnusableError as error:
            self._disconnect()
            self._switch_off(str(error))
        except (database.Error, OSError) as error:
            self._disconnect()
            self._failures += 1
            count("index", "unusable")
            if self._failures >= _MAX_FAILURES:
                self._switch_off(f"{self.path} failed several times ({_guard.describe_error(error)})")
        else:
            self._failures = 0
            return result
        finally:
            self._lock.release()
        return otherwise

    def _write_pending(self, connection: "database.Connection") -> None:
        with self._list_lock:
            batch = list(self._pending)
        connection.insert([_to_row(producer) for producer in batch])
        with self._list_lock:  # meanwhile others may have been added, and the oldest given up
            written = set(map(id, batch))
            self._pending = [producer for producer in self._pending if id(producer) not in written]
            self._pending_since = time.monotonic()
        connection.prune(MAX_ROWS, _oldest_ns(), at_most=_MAX_PRUNED)

    def _connect(self, deadline: float, *, create: bool) -> "database.Connection | None":
        assert self.path is not None
        if self._connection is not None and not self._connection.is_in_place():
            self._disconnect()  # set aside by another process, or removed
        if self._connection is None:
            _open.add(self)
            self._connection = database.connect(self.path, deadline, create=create)
        if self._connection is not None:
            self._connection.deadline = deadline
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin_anew(self, error: "database.CorruptDatabaseError") -> None:
        assert self.path is not None
        count("index", "corrupt")
        aside = database.set_aside(self.path, error.inode)
        if aside is not None:
            _guard.say_once(
                ("lineage index", "corrupt"),
                "The lineage index %s is corrupt (%s). It was set aside as %s and begins anew: who wrote what was "
                "written until now is known only from stamps in the files.",
                self.path,
                _guard.describe_error(error),
                aside.name,
            )

    def _switch_off(self, reason: str) -> None:
        self._reason_off = reason
        count("index", "unusable")
        with self._list_lock:
            count("index", "lost", len(self._pending))
            self._pending.clear()
        _guard.say_once(
            ("lineage index", "off"),
            "mlotel keeps no lineage index in this process: %s. Files that carry no stamp then have no producer in "
            "later programs. MLOTEL_INDEX=off says that this is wanted.",
            reason,
        )

    def _was_busy(self) -> None:
        count("index", "busy")
        self._calm_until = time.monotonic() + _CALM_S

    def _before_fork(self) -> None:
        # No connection may cross a fork, least of all one with an open transaction: both sides would end it.
        self._held_for_fork = self._lock.acquire(timeout=1.0)
        if self._held_for_fork:
            self._disconnect()

    def _after_fork_in_parent(self) -> None:
        if self._held_for_fork:
            self._held_for_fork = False
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        if not self._held_for_fork and self._connection is not None:
            _abandoned.append(self._connection)  # closing it would end the parent's transaction
            self._connection = None
        self._pending = []  # the parent writes them
        self._calm_until = 0.0
        self._make_locks()


def _default_path() -> Path | None:
    configured = os.environ.get("XDG_STATE_HOME", "")
    # The XDG rules: a relative path is to be ignored.
    if Path(configured).is_absolute():
        return Path(configured) / "mlotel" / "lineage.db"
    try:
        return Path("~/.local/state/mlotel/lineage.db").expanduser()
    except RuntimeError:  # a user without a home
        return None


def _oldest_ns(max_age_s: float = MAX_AGE_S) -> int:
    return time.time_ns() - int(max_age_s * 1e9)


def _is_before(producer: Producer, not_after_ns: int | None) -> bool:
    return not_after_ns is None or producer.written_ns <= not_after_ns


def _to_row(producer: Producer) -> tuple[Any, ...]:
    return (
        producer.artifact_id,
        producer.written_ns,
        bytes.fromhex(producer.trace_id),
        bytes.fromhex(producer.span_id),
        producer.trace_flags,
        *(_short(text) for text in (producer.component, producer.run_id, producer.name, producer.uri)),
    )


def _short(text: str | None) -> str | None:
    """The text; None when it is so long that 100,000 of them would make a large file, or cannot be stored."""
    if text is None or len(text) > database.MAX_TEXT:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return None
    return text


def _from_row(artifact_id: str, row: tuple[Any, ...]) -> Producer | None:
    written_ns, trace_id, span_id, trace_flags, *texts = row
    try:
        return Producer(
            trace_id=trace_id.hex(),
            span_id=span_id.hex(),
            trace_flags=trace_flags,
            component=texts[0],
            run_id=texts[1],
            written_ns=written_ns,
            artifact_id=artifact_id,
            name=texts[2],
            uri=texts[3],
            evidence="index",
        )
    except (InvalidArgumentError, AttributeError, TypeError):  # not a row that mlotel wrote
        count("index", "foreign")
        return None


_abandoned: list[Any] = []


def _at_exit() -> None:
    for index in list(_open):
        with _guard.guard("close the lineage index"):
            index.close()


def _each(name: str) -> None:
    for index in list(_open):
        getattr(index, name)()


class _Anchor:
    """What multiprocessing's list of things to do after a fork refers to weakly."""


_anchor = _Anchor()
_is_known_to_multiprocessing = False


def _after_fork_in_child() -> None:
    global _is_known_to_multiprocessing
    _each("_after_fork_in_child")
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_known_to_multiprocessing:
        # A multiprocessing child forgets the finalizers it inherited, then calls these, and leaves by os._exit().
        util.register_after_fork(_anchor, lambda _: util.Finalize(None, _at_exit, exitpriority=-100))
        _is_known_to_multiprocessing = True


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _each("_before_fork"),
        after_in_parent=lambda: _each("_after_fork_in_parent"),
        after_in_child=_after_fork_in_child,
    )
