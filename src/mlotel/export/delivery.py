"""The three signals together: what ``flush``, ``shutdown`` and a fork have to be told."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence

from mlotel.export._account import Account
from mlotel.export._collect import Collector
from mlotel.export._ledger import SIGNALS, Ledger
from mlotel.export._pending import Pending
from mlotel.export._queue import Queue
from mlotel.export._recovery import Recovery
from mlotel.types import Flush, Signal

_GRACE_S = 0.6
"""Before the end of the time given: what is left goes to disk then."""

_NO_ANSWER_S = 0.8
"""How long the end of a program waits for an endpoint that takes nothing."""

_HURRY_S = 0.2
"""How long a request that is given up may take to end."""

_STEP_S = 0.02


class Delivery:
    """Queues, the metric collector, the disk behind the endpoints and the ledger of one ``configure()``.

    Args:
        queues: One a signal, for the signals that mlotel itself delivers.
        collector: Makes collections for the queue of metrics; None without one.
        ledger: The account that the queues write to.
        pending: Where records wait, for the signals that have an endpoint and a spool.
        recovery: Delivers what waits; None where nothing does.
        account: Tells ``mlotel doctor`` what is in the ledger; None without a spool.
    """

    def __init__(
        self,
        queues: Mapping[Signal, Queue],
        collector: Collector | None,
        ledger: Ledger,
        pending: Mapping[Signal, Pending] | None = None,
        recovery: Recovery | None = None,
        account: Account | None = None,
    ) -> None:
        self._queues = dict(queues)
        self._collector = collector
        self._ledger = ledger
        self._pending = dict(pending or {})
        self._recovery = recovery
        self._account = account
        self._is_collector_held = False
        self._given_up: set[str] = set()  # places that took nothing while the program was to end

    def begin(self) -> None:
        """Deliver what earlier processes have left, in the background."""
        if self._recovery is not None:
            self._recovery.wake()

    def flush(self, timeout_s: float, signals: Collection[Signal] = SIGNALS) -> bool:
        """Deliver what was recorded before the call, metrics collected once more.

        Returns:
            Whether everything was delivered, put on disk, or counted as lost, within ``timeout_s`` seconds. When the
            time is over, delivery goes on in the background.
        """
        deadline = time.monotonic() + timeout_s
        return _wait(self._ask(signals, timeout_s), deadline)

    def settle(self, timeout_s: float) -> bool:
        """``flush``, and leave nothing in memory: what is not delivered shortly before the end goes to disk.

        Then what waits on disk is delivered, as far as there is time.

        Returns:
            Whether all was settled in time. Where nothing is kept on disk, delivery goes on in the background.
        """
        deadline = time.monotonic() + timeout_s
        grace_s = min(_GRACE_S, timeout_s / 4)
        if self._recovery is not None:
            self._recovery.invite()
        events = self._ask(SIGNALS, timeout_s)
        is_settled = _wait(events, deadline - grace_s)
        if not is_settled:
            self._spill(deadline - grace_s / 2, events)
            is_settled = _wait(events, deadline)
        elif self._recovery is not None and self._recovery.has_work():
            self._recovery.ask(deadline - grace_s).wait(max(0.0, deadline - time.monotonic()))
        self.check()
        if self._account is not None:
            self._account.settle()
        return is_settled

    def lost(self, signal: Signal) -> int:
        """Records of ``signal`` that were dropped so far."""
        return self._ledger.result().dropped[signal]

    def kept(self, signal: Signal) -> int:
        """Records of ``signal`` that are on disk now."""
        return self._ledger.result().spooled[signal]

    def check(self) -> None:
        """Count what somebody has removed from the disk."""
        for pending in self._pending.values():
            pending.check()

    def finish(self, timeout_s: float, *, is_last: bool = False) -> None:
        """Deliver for as long as something is being taken, and put the rest on disk: for the end of a program.

        Args:
            timeout_s: Seconds to wait, at most.
            is_last: Whether nothing is recorded afterwards.
        """
        deadline = time.monotonic() + timeout_s
        grace_s = min(_GRACE_S, timeout_s / 4)
        if self._recovery is not None and not self._given_up:
            self._recovery.invite()
        others = [queue for signal, queue in self._queues.items() if signal != "metrics"]
        self._finish([queue.mark() for queue in others], others, deadline, grace_s, is_last=is_last)
        if self._collector is not None:  # last, so that it tells of the rest
            self._finish([self._collector.mark()], [self._queues["metrics"]], deadline, grace_s, is_last=is_last)
        if self._recovery is not None and not self._given_up:
            self._replay(deadline - grace_s)
        self.check()
        if self._account is not None and not is_last:
            self._account.settle()

    def close(self, timeout_s: float) -> Flush:
        """``finish``, then end. Without a disk, what could not be delivered in time is counted as dropped."""
        deadline = time.monotonic() + timeout_s
        self.finish(timeout_s, is_last=True)
        if self._recovery is not None:
            left_s = max(0.0, deadline - time.monotonic())
            self._recovery.close(0.0 if self._given_up else min(_NO_ANSWER_S, left_s))
        if self._collector is not None:
            self._collector.stop()
        for queue in self._queues.values():
            queue.close()
        for queue in self._queues.values():
            queue.target.close()
        self.check()
        for pending in self._pending.values():
            pending.close()
        if self._account is not None:
            self._account.close()
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
        if self._account is not None:
            self._account.restart()
        for queue in self._queues.values():
            queue.restart()
        for pending in self._pending.values():
            pending.restart()
        if self._recovery is not None:
            self._recovery.restart()

    def _ask(self, signals: Collection[Signal], timeout_s: float) -> list[threading.Event]:
        """Ask for delivery. Metrics come last, so that they tell of the rest, but wait half the time at most."""
        events = [queue.mark() for signal, queue in self._queues.items() if signal in signals and signal != "metrics"]
        if "metrics" in signals and self._collector is not None:
            _wait(events, time.monotonic() + timeout_s / 2)
            events.append(self._collector.mark())
        return events

    def _spill(self, deadline: float, events: list[threading.Event]) -> None:
        """Give up what is under way, and put on disk what is not there by itself a moment later."""
        for signal in self._pending:
            self._queues[signal].target.hurry()
        _wait(events, min(deadline, time.monotonic() + _HURRY_S))
        for signal in self._pending:
            self._queues[signal].spill()

    def _finish(
        self,
        events: Sequence[threading.Event],
        queues: Sequence[Queue],
        deadline: float,
        grace_s: float,
        *,
        is_last: bool,
    ) -> None:
        """Wait for ``events``, one a queue, while things move; what nobody takes goes to disk, or is dropped."""
        begun = time.monotonic()
        given_up: dict[Signal, float] = {}
        while unreached := [(event, queue) for event, queue in zip(events, queues, strict=True) if not event.is_set()]:
            now = time.monotonic()
            for _, queue in unreached:
                if queue.signal in given_up:
                    if now - given_up[queue.signal] >= _HURRY_S:
                        given_up[queue.signal] = deadline  # once
                        queue.spill()  # its thread does not come back: another one puts the rest on disk
                    continue
                since = queue.stands_since()
                is_stuck = since is not None and now - max(begun, since) >= _NO_ANSWER_S
                if (is_stuck and queue.signal in self._pending) or now >= deadline - grace_s:
                    given_up[queue.signal] = now
                    self._give_up(queue.place, is_last=is_last)
            if now >= deadline:
                return
            unreached[0][0].wait(_STEP_S)

    def _give_up(self, place: str, *, is_last: bool) -> None:
        """End delivery to ``place``, of every signal: they would all wait for nothing."""
        self._given_up.add(place)
        for queue in self._queues.values():
            if queue.place == place and (is_last or queue.signal in self._pending):
                # What it leaves goes to disk, in the worker's own thread.
                (queue.target.interrupt if is_last else queue.target.hurry)()

    def _replay(self, deadline: float) -> None:
        """Deliver what this process put on disk, while something is being taken."""
        assert self._recovery is not None
        if not self._recovery.has_work() or time.monotonic() >= deadline:
            return
        done = self._recovery.ask(deadline)
        before, since = self._ledger.result().exported, time.monotonic()
        while not done.wait(_STEP_S) and time.monotonic() < deadline and time.monotonic() - since < _NO_ANSWER_S:
            now = self._ledger.result().exported
            if now != before:
                before, since = now, time.monotonic()


def _wait(events: list[threading.Event], deadline: float) -> bool:
    """Wait until all events are set, or until the deadline; says whether they are."""
    return all(event.wait(max(0.0, deadline - time.monotonic())) for event in events)
