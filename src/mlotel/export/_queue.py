"""A bounded queue of records with a thread that delivers them, and one that puts on disk what cannot wait.

The SDK's batch processors are not used: they drop in silence, block ``shutdown`` for 30 seconds and answer True when
everything was lost.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from mlotel import _guard
from mlotel._current import silence
from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome, Target
from mlotel.export._records import count
from mlotel.types import Signal

_SIZE_VARIABLE: dict[Signal, str] = {"traces": "OTEL_BSP_MAX_QUEUE_SIZE", "logs": "OTEL_BLRP_MAX_QUEUE_SIZE"}
_LOCK_PATIENCE_S = 0.5

Keep: TypeAlias = Callable[[Sequence[Any]], Outcome]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes and times of one queue.

    Attributes:
        records: Items that may wait. What comes on top goes to disk; where there is none, the oldest item is dropped.
        batch: Items in one delivery, at most.
        delay_s: How long an item waits for others, at most.
    """

    records: int = 2048
    batch: int = 512
    delay_s: float = 5.0


class _Marker:
    """Stands in the queue for a question: what has become of everything before me?"""

    __slots__ = ("left", "reached")

    def __init__(self, reached: threading.Event) -> None:
        self.reached = reached
        self.left = 0  # batches before it that are under way


class _Flight:
    """A batch under way. Whoever claims it decides what becomes of it: the worker, or the thread that spills."""

    __slots__ = ("_claim", "items", "markers")

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.markers: list[_Marker] = []
        self._claim = threading.Lock()

    def claim(self) -> bool:
        return self._claim.acquire(blocking=False)


class Queue:
    """Takes records without ever waiting, delivers them in batches, counts what becomes of them.

    ``put`` takes no lock, so it may run in a signal handler or a destructor, in the middle of another ``put``. The
    worker thread starts with the first record, also in a forked child.

    Args:
        signal: Which records these are.
        target: Takes the batches.
        ledger: Where every record is counted, once.
        limits: Sizes and times.
        keep: Puts a batch on disk; None where nothing is kept beside what the target itself keeps.
        place: Where the target delivers to: what does not answer one signal will not answer another.
    """

    def __init__(
        self,
        signal: Signal,
        target: Target,
        ledger: Ledger,
        limits: Limits,
        keep: Keep | None = None,
        place: str = "",
    ) -> None:
        self.signal = signal
        self.target = target
        self.place = place or signal
        self._keep = keep
        self._ledger = ledger
        self._limits = limits
        self._most = limits.records if keep is None else 2 * limits.records
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._items: deque[Any] = deque()
        self._wakes: SimpleQueue[bool] = SimpleQueue()  # its put() is safe in signal handlers, an Event's set() is not
        self._spills: SimpleQueue[bool] = SimpleQueue()
        self._is_woken = False
        self._is_overflowing = False
        self._is_dropping = False
        self._worker: threading.Thread | None = None
        self._spiller: threading.Thread | None = None
        self._starting = threading.Lock()
        self._taking = threading.Lock()  # between those who form batches; never held while anything is delivered
        self._flights: list[_Flight] = []
        self._moved_at = time.monotonic()

    def put(self, item: Any, *, urgent: bool = False) -> None:
        """Add ``item``. What is too much goes to disk from another thread; the oldest is dropped only beyond that.

        Args:
            item: A span, a log record or a collection of metrics.
            urgent: Deliver at once, not waiting for a batch.
        """
        if self._is_closed:
            self._ledger.drop(self.signal, count(self.signal, (item,)), "queue_full")
            return
        self._items.append(item)
        waiting = len(self._items)
        if waiting > self._limits.records:
            self._overflow(waiting)
        if urgent:
            self._wakes.put(True)
        elif waiting >= self._limits.batch and not self._is_woken:
            self._is_woken = True  # one wake is enough until the worker has seen it
            self._wakes.put(False)
        if self._worker is None:
            self._start()

    def start(self) -> None:
        """Start the worker before the first record: at the end of a program some Pythons start no thread any more."""
        self._start()

    def mark(self, reached: threading.Event | None = None) -> threading.Event:
        """Ask for delivery of everything that was put before; returns an event that is set when it is done."""
        reached = reached or threading.Event()
        if self._is_closed or (self._worker is None and not self._items):
            reached.set()
            return reached
        self._items.append(_Marker(reached))
        self._wakes.put(True)
        if self._worker is None and not self._start():
            reached.set()  # the interpreter is ending and allows no threads: do not wait for what cannot come
        return reached

    def stands_since(self) -> float | None:
        """When something last moved, by ``time.monotonic()``, while a batch is under way; None while none is."""
        return self._moved_at if self._flights else None

    def spill(self) -> None:
        """Put on disk what waits and what is under way, from another thread; what was marked is reached by that."""
        if self._keep is not None:
            self._ask_for_spill(everything=True)

    def close(self) -> None:
        """End: what has not been delivered goes to disk, also the batch under way; without a disk it is dropped."""
        self._is_closed = True
        if self._keep is not None and self._items_or_flights():
            self._spill(everything=True)
        if self._taking.acquire(timeout=_LOCK_PATIENCE_S):  # a signal handler may have interrupted its holder
            try:
                left, markers = self._pop_all()
                flights = list(self._flights)
            finally:
                self._taking.release()
            for flight in flights:
                if flight.claim():
                    left += flight.items
            self._ledger.drop(self.signal, count(self.signal, left), "refused")
            for marker in markers:
                marker.reached.set()
        self._wakes.put(True)  # lets the threads end
        self._spills.put(False)

    def restart(self) -> None:
        """Start empty in a forked child: what waited is the parent's, and its threads did not come along."""
        self._begin()
        self.target.restart()

    def _items_or_flights(self) -> bool:
        return bool(self._items or self._flights)

    def _overflow(self, waiting: int) -> None:
        self._is_overflowing = True
        if waiting > self._most:
            self._is_dropping = True
            self._drop_oldest()
        if self._keep is not None and self._spills.empty():
            self._ask_for_spill(everything=False)

    def _ask_for_spill(self, *, everything: bool) -> None:
        self._spills.put(everything)
        if self._spiller is None and not self._start_spiller() and everything:
            self._spill(everything=True)  # the interpreter is ending and allows no threads

    def _pop(self) -> Any | None:
        """The oldest item, or None: between a look at the length and the pop another thread may be faster."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    def _pop_all(self) -> tuple[list[Any], list[_Marker]]:
        items, markers = [], []
        while (item := self._pop()) is not None:
            if isinstance(item, _Marker):
                markers.append(item)
            else:
                items.append(item)
        return items, markers

    def _drop_oldest(self) -> None:
        markers = []
        while (item := self._pop()) is not None:
            if not isinstance(item, _Marker):
                self._ledger.drop(self.signal, count(self.signal, (item,)), "queue_full")
                break
            markers.append(item)
        self._items.extendleft(reversed(markers))

    def _start(self) -> bool:
        if not self._starting.acquire(blocking=False):
            return True  # somebody else does it this moment
        try:
            if self._worker is None:
                self._worker = _thread(self._work, f"mlotel-{self.signal}")
            return True
        except RuntimeError:
            return False
        finally:
            self._starting.release()

    def _start_spiller(self) -> bool:
        if not self._starting.acquire(blocking=False):
            return True
        try:
            if self._spiller is None:
                self._spiller = _thread(self._work_on_spills, f"mlotel-spill-{self.signal}")
            return True
        except RuntimeError:
            return False
        finally:
            self._starting.release()

    def _work(self) -> None:
        with silence():  # a patched HTTP library must not record our own requests
            while True:
                try:
                    everything = self._wakes.get(timeout=self._limits.delay_s)
                except Empty:
                    everything = True
                self._is_woken = False
                while (flight := self._take(everything)) is not None:
                    self._deliver(flight)
                if self._is_closed:
                    return

    def _work_on_spills(self) -> None:
        with silence():
            while True:
                everything = self._spills.get()
                self._spill(everything=everything)
                if self._is_closed:
                    return

    def _take(self, everything: bool) -> _Flight | None:
        with self._taking:
            if self._is_closed or (not everything and len(self._items) < self._limits.batch):
                return None
            batch: list[Any] = []
            while len(batch) < self._limits.batch and (item := self._pop()) is not None:
                if not isinstance(item, _Marker):
                    batch.append(item)
                elif batch:
                    self._items.appendleft(item)  # it is reached when what comes before it has been delivered
                    break
                else:
                    self._reach(item)
            return self._launch(batch) if batch else None

    def _launch(self, items: list[Any]) -> _Flight:
        flight = _Flight(items)
        self._flights.append(flight)
        self._moved_at = time.monotonic()
        return flight

    def _reach(self, marker: _Marker) -> None:
        """Everything before ``marker`` has left the queue: it is reached when that is no longer under way."""
        marker.left = len(self._flights)
        for flight in self._flights:
            flight.markers.append(marker)
        if not marker.left:
            marker.reached.set()

    def _land(self, flight: _Flight) -> None:
        with self._taking:
            self._moved_at = time.monotonic()
            if flight not in self._flights:
                return
            self._flights.remove(flight)
            for marker in flight.markers:
                marker.left -= 1
                if not marker.left:
                    marker.reached.set()

    def _deliver(self, flight: _Flight) -> None:
        try:
            outcome = self.target(flight.items)
        except Exception as error:
            _guard.report(f"deliver {self.signal}", error)
            outcome = Outcome(left=flight.items)
        if flight.claim():
            self._settle(flight, outcome)
            self._ledger.tidy()
        if self._is_overflowing:  # said here and not in put(), where the program would wait for its log
            self._say_overflow()

    def _settle(self, flight: _Flight, outcome: Outcome) -> None:
        """Count what became of a claimed flight, and keep what is left of it."""
        try:
            if outcome.left:
                outcome = Outcome(outcome.exported, outcome.spooled, outcome.dropped) + self._kept(outcome.left)
        finally:
            self._ledger.write(self.signal, outcome)
            self._land(flight)

    def _kept(self, items: Sequence[Any]) -> Outcome:
        if self._keep is not None:
            try:
                return self._keep(items)
            except Exception as error:
                _guard.report(f"keep {self.signal}", error)
        return Outcome(dropped={"refused": count(self.signal, items)})

    def _spill(self, *, everything: bool) -> None:
        """Put the oldest batches on disk, until half a queue is left, or everything, also what is under way."""
        if not self._taking.acquire(timeout=_LOCK_PATIENCE_S):
            return
        try:
            flights = []
            if everything:
                flights = [flight for flight in self._flights if flight.claim()]
                items, markers = self._pop_all()
                for start in range(0, len(items), self._limits.batch):
                    fresh = self._launch(items[start : start + self._limits.batch])
                    fresh.claim()
                    flights.append(fresh)
                for marker in markers:
                    self._reach(marker)
        finally:
            self._taking.release()
        for flight in flights:
            self._settle(flight, Outcome(left=flight.items))
        while not everything and (oldest := self._take_too_many()) is not None:
            self._settle(oldest, Outcome(left=oldest.items))

    def _take_too_many(self) -> _Flight | None:
        with self._taking:
            if len(self._items) <= self._limits.records // 2:
                return None
            batch: list[Any] = []
            markers: list[_Marker] = []
            while len(batch) < self._limits.batch and (item := self._pop()) is not None:
                (markers if isinstance(item, _Marker) else batch).append(item)
            if not batch:
                self._items.extendleft(reversed(markers))
                return None
            flight = self._launch(batch)
            flight.claim()
            for marker in markers:
                self._reach(marker)
            return flight

    def _say_overflow(self) -> None:
        self._is_overflowing = False
        if not self._is_dropping:
            return
        _guard.say_once(
            ("queue", self.signal),
            "%s are recorded faster than they can be delivered: the oldest are dropped and counted (queue_full). "
            "Record less of them, or raise %s.",
            self.signal.capitalize(),
            _SIZE_VARIABLE.get(self.signal, "OTEL_METRIC_EXPORT_INTERVAL"),
        )


def _thread(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
