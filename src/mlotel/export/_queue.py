"""A bounded queue of records with a thread that delivers them.

The SDK's batch processors are not used: they drop in silence, block ``shutdown`` for 30 seconds and answer True when
everything was lost.
"""

import threading
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from opentelemetry.instrumentation.utils import suppress_instrumentation

from mlotel import _guard
from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome, Target
from mlotel.export._records import count
from mlotel.types import Signal

_SIZE_VARIABLE: dict[Signal, str] = {"traces": "OTEL_BSP_MAX_QUEUE_SIZE", "logs": "OTEL_BLRP_MAX_QUEUE_SIZE"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes and times of one queue.

    Attributes:
        records: Items that may wait; the oldest goes when one more comes.
        batch: Items in one delivery, at most.
        delay_s: How long an item waits for others, at most.
    """

    records: int = 2048
    batch: int = 512
    delay_s: float = 5.0


class _Marker:
    """Stands in the queue for a question: has everything before me been delivered?"""

    __slots__ = ("reached",)

    def __init__(self, reached: threading.Event) -> None:
        self.reached = reached


class _Flight:
    """A batch under delivery. Whoever claims it first counts it: the worker, or the caller who gave up waiting."""

    __slots__ = ("_claim", "items")

    def __init__(self, items: list[Any]) -> None:
        self.items = items
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
    """

    def __init__(self, signal: Signal, target: Target, ledger: Ledger, limits: Limits) -> None:
        self.signal = signal
        self.target = target
        self._ledger = ledger
        self._limits = limits
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._items: deque[Any] = deque()
        self._wakes: SimpleQueue[bool] = SimpleQueue()  # its put() is safe in signal handlers, an Event's set() is not
        self._is_woken = False
        self._is_overflowing = False
        self._worker: threading.Thread | None = None
        self._starting = threading.Lock()
        self._taking = threading.Lock()  # between the worker that forms a batch and the caller who closes
        self._flight: _Flight | None = None

    def put(self, item: Any, *, urgent: bool = False) -> None:
        """Add ``item``; the oldest one is dropped, and counted, when the queue is full.

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
            self._drop_oldest()
            self._is_overflowing = True
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

    def close(self) -> None:
        """End without waiting: what has not been delivered is counted as dropped, also the batch under delivery."""
        with self._taking:
            self._is_closed = True
            left = []
            while (item := self._pop()) is not None:
                if isinstance(item, _Marker):
                    item.reached.set()
                else:
                    left.append(item)
            flight = self._flight
        if flight is not None and flight.claim():
            left += flight.items
        self._ledger.drop(self.signal, count(self.signal, left), "refused")
        self._wakes.put(True)  # lets the worker end

    def restart(self) -> None:
        """Start empty in a forked child: what waited is the parent's, and its thread did not come along."""
        self._begin()
        self.target.restart()

    def _pop(self) -> Any | None:
        """The oldest item, or None: between a look at the length and the pop another thread may be faster."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

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
                worker = threading.Thread(target=self._work, name=f"mlotel-{self.signal}", daemon=True)
                worker.start()
                self._worker = worker
            return True
        except RuntimeError:
            return False
        finally:
            self._starting.release()

    def _work(self) -> None:
        with suppress_instrumentation():  # a patched HTTP library must not record our own requests
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

    def _take(self, everything: bool) -> _Flight | None:
        with self._taking:
            self._flight = None
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
                    item.reached.set()
            if batch:
                self._flight = _Flight(batch)
            return self._flight

    def _deliver(self, flight: _Flight) -> None:
        try:
            outcome = self.target(flight.items)
        except Exception as error:
            _guard.report(f"deliver {self.signal}", error)
            outcome = Outcome(dropped={"refused": count(self.signal, flight.items)})
        if flight.claim():
            self._ledger.write(self.signal, outcome)
            self._ledger.tidy()
        if self._is_overflowing:  # said here and not in put(), where the program would wait for its log
            self._is_overflowing = False
            _guard.say_once(
                ("queue", self.signal),
                "%s are recorded faster than they can be delivered: the oldest are dropped and counted (queue_full). "
                "Record less of them, or raise %s.",
                self.signal.capitalize(),
                _SIZE_VARIABLE.get(self.signal, "OTEL_METRIC_EXPORT_INTERVAL"),
            )
