"""The three signals together: what ``flush``, ``shutdown`` and a fork have to be told."""

import threading
import time
from collections.abc import Collection, Mapping

from mlotel.export._collect import Collector
from mlotel.export._ledger import SIGNALS, Ledger
from mlotel.export._queue import Queue
from mlotel.types import Flush, Signal

_GRACE_S = 0.3


class Delivery:
    """Queues, the metric collector and the ledger of one ``configure()``.

    Args:
        queues: One a signal, for the signals that mlotel itself delivers.
        collector: Makes collections for the queue of metrics; None without one.
        ledger: The account that the queues write to.
    """

    def __init__(self, queues: Mapping[Signal, Queue], collector: Collector | None, ledger: Ledger) -> None:
        self._queues = dict(queues)
        self._collector = collector
        self._ledger = ledger
        self._is_collector_held = False

    def flush(self, timeout_s: float, signals: Collection[Signal] = SIGNALS) -> bool:
        """Deliver what was recorded before the call, metrics collected once more.

        Returns:
            Whether everything was delivered, or counted as lost, within ``timeout_s`` seconds. When the time is over,
            delivery goes on in the background.
        """
        deadline = time.monotonic() + timeout_s
        return _wait(self._ask(signals, timeout_s), deadline)

    def lost(self, signal: Signal) -> int:
        """Records of ``signal`` that were dropped so far."""
        return self._ledger.result().dropped[signal]

    def close(self, timeout_s: float) -> Flush:
        """``flush``, then end: what could not be delivered in time is counted as dropped."""
        deadline = time.monotonic() + timeout_s
        grace = min(_GRACE_S, timeout_s / 4)
        delivered = self._ask(SIGNALS, timeout_s)
        if not _wait(delivered, deadline - grace):
            for queue in self._queues.values():
                queue.target.interrupt()  # a pause between two tries ends, and what it was for is counted
            _wait(delivered, deadline)
        if self._collector is not None:
            self._collector.stop()
        for queue in self._queues.values():
            queue.close()
        for queue in self._queues.values():
            queue.target.close()
        return self._ledger.result()

    def before_fork(self) -> None:
        """Hold what must not be in the middle of something when the process is copied."""
        self._is_collector_held = self._collector is not None and self._collector.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let go of it."""
        if self._collector is not None and self._is_collector_held:
            self._collector.after_fork_in_parent()

    def after_fork_in_child(self, collector: Collector | None) -> None:
        """Start with empty queues, counts at zero, files and connections of the child's own.

        Args:
            collector: The child's own; the parent's thread did not come along.
        """
        if self._collector is not None:
            self._collector.forget()
        self._collector = collector
        self._ledger.restart()
        for queue in self._queues.values():
            queue.restart()

    def _ask(self, signals: Collection[Signal], timeout_s: float) -> list[threading.Event]:
        """Ask for delivery. Metrics come last, so that they tell of the rest, but wait half the time at most."""
        events = [queue.mark() for signal, queue in self._queues.items() if signal in signals and signal != "metrics"]
        if "metrics" in signals and self._collector is not None:
            _wait(events, time.monotonic() + timeout_s / 2)
            events.append(self._collector.mark())
        return events


def _wait(events: list[threading.Event], deadline: float) -> bool:
    """Wait until all events are set, or until the deadline; says whether they are."""
    return all(event.wait(max(0.0, deadline - time.monotonic())) for event in events)
