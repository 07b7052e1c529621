"""The account of what became of every record."""

import threading
from collections import deque
from collections.abc import Callable
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from mlotel.export._outcome import Outcome, Reason
from mlotel.types import Flush, Signal

Fate: TypeAlias = Literal["exported", "spooled", "dropped", "superseded"]

Origin: TypeAlias = Literal["fresh", "disk", "others"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")


class Entry(NamedTuple):
    """A number of records of one signal with one fate.

    Attributes:
        fate: ``superseded`` is a data point of a cumulative metric whose successor holds all that it said.
        signal: Which records.
        reason: Why, for those that were dropped.
        origin: Where they were before: ``fresh`` from this process's memory; on its ``disk``, so that they had been
            counted as spooled; or on disk from ``others``, whose records are in no result of this process.
        records: How many.
    """

    fate: Fate
    signal: Signal
    reason: Reason | None
    origin: Origin
    records: int


class Ledger:
    """Counts a signal and a fate, since ``configure()``. Metrics are counted in data points.

    Attributes:
        on_tidy: Called after ``tidy``, by threads that deliver.

    Writing an entry is one append, which is atomic: it can be done from a signal handler, from a destructor, and while
    another thread reads.
    """

    def __init__(self) -> None:
        self.on_tidy: Callable[[], None] | None = None
        self._entries: deque[Entry] = deque()
        self._counts: dict[tuple[Fate, Signal, Reason | None, Origin], int] = {}
        self._is_folding = False
        self._lock = threading.RLock()  # re-entrant: a signal handler may read while its own thread was reading

    def write(self, signal: Signal, outcome: Outcome) -> None:
        """Enter what became of one batch."""
        if outcome.exported:
            self._entries.append(Entry("exported", signal, None, "fresh", outcome.exported))
        if outcome.spooled:
            self._entries.append(Entry("spooled", signal, None, "fresh", outcome.spooled))
        for reason, records in outcome.dropped.items():
            self.drop(signal, records, reason)

    def drop(self, signal: Signal, records: int, reason: Reason, origin: Origin = "fresh") -> None:
        """Enter ``records`` that are lost for ``reason``.

        Args:
            signal: Which records.
            records: How many.
            reason: Why they are lost.
            origin: Where they were before. Those that were on ``disk`` are spooled no longer.
        """
        if records:
            self._entries.append(Entry("dropped", signal, reason, origin, records))

    def replay(self, signal: Signal, records: int) -> None:
        """Enter ``records`` that were spooled and have been delivered now."""
        if records:
            self._entries.append(Entry("exported", signal, None, "disk", records))

    def supersede(self, signal: Signal, records: int) -> None:
        """Enter data points that were spooled, and whose place newer ones of the same series have taken."""
        if records:
            self._entries.append(Entry("superseded", signal, None, "disk", records))

    def tidy(self) -> None:
        """Add entries up, so that they do not pile up where nobody asks. Never waits for a thread that is reading."""
        if self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()
        if self.on_tidy is not None:
            self.on_tidy()

    def _fold(self) -> None:
        if self._is_folding:  # a signal handler came in between: whoever was interrupted goes on afterwards
            return
        self._is_folding = True
        try:
            while self._entries:
                entry = self._entries.popleft()
                key = (entry.fate, entry.signal, entry.reason, entry.origin)
                self._counts[key] = self._counts.get(key, 0) + entry.records
        finally:
            self._is_folding = False

    def counts(self) -> list[Entry]:
        """The sums so far."""
        with self._lock:
            self._fold()
            return [Entry(*key, records) for key, records in self._counts.items()]

    def result(self) -> Flush:
        """The sums as ``flush`` and ``shutdown`` return them: ``spooled`` is what is on disk now."""
        exported: dict[Signal, int] = dict.fromkeys(SIGNALS, 0)
        spooled, dropped, superseded = dict(exported), dict(exported), dict(exported)
        fates: dict[Fate, dict[Signal, int]] = {
            "exported": exported, "spooled": spooled, "dropped": dropped, "superseded": superseded
        }  # fmt: skip
        for fate, signal, _, origin, records in self.counts():
            if origin != "others":
                fates[fate][signal] += records
            if origin == "disk":
                spooled[signal] -= records
        return Flush(MappingProxyType(exported), MappingProxyType(spooled), MappingProxyType(dropped))

    def restart(self) -> None:
        """Begin at zero in a forked child: what came before is the parent's to count."""
        self._entries = deque()
        self._counts = {}
        self._is_folding = False
        self._lock = threading.RLock()
