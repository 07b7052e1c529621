"""Delivers what waits on disk when its endpoint is there: after an outage, and of earlier processes."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from mlotel import _guard
from mlotel.export._breaker import Breaker
from mlotel.export._folders import replay_folders
from mlotel.export._outcome import Reason
from mlotel.export._pending import Pending
from mlotel.export._sender import Answer, Sender
from mlotel.types import Signal

_LOOK_EVERY_S = 1.0
_FIRST_REST_S = 1.0
_LONGEST_REST_S = 60.0
_END_PATIENCE_S = 0.2


@dataclass(frozen=True, slots=True)
class Lane:
    """What replay needs to know of one signal.

    Attributes:
        breaker: Shared with live delivery: one outage for both.
        pending: What this process has kept, in the folder that others keep theirs in.
        open: Makes a sender of replay's own, so that live batches do not wait behind old ones.
        timeout_s: Seconds for one request.
    """

    breaker: Breaker
    pending: Pending
    open: Callable[[], Sender]
    timeout_s: float


class Recovery:
    """A thread that sends what waits, whenever there is reason to think that it can be sent.

    Args:
        lanes: A signal each, for the signals that have an endpoint.
    """

    def __init__(self, lanes: Mapping[Signal, Lane]) -> None:
        self._lanes = dict(lanes)
        self._left_to_parent: list[Any] = []
        self._begin()

    def restart(self) -> None:
        """In a forked child: begin anew. What waits is the parent's to deliver, or the next process's."""
        self._left_to_parent.append(self._senders)  # kept: closing would end a connection that the parent uses
        self._begin()

    def _begin(self) -> None:
        self._asked: SimpleQueue[tuple[threading.Event | None, float | None]] = SimpleQueue()
        self._stop = threading.Event()
        self._is_gentle_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._senders: dict[Signal, Sender] = {}
        self._behind: set[Signal] = set()  # signals of which earlier processes left records that could not be sent
        self._taken_before: dict[Signal, int] = {}  # by the endpoint, when replay failed last
        self._is_proof: dict[Signal, bool] = {}
        self._delivered_in_pass = 0
        self._rest_s = _FIRST_REST_S
        self._next_pass_at = 0.0

    def wake(self) -> None:
        """Look for what can be delivered, in the background: at the start, and when an endpoint answers again."""
        self._ask(None, None)

    def ask(self, deadline: float) -> threading.Event:
        """Ask for a pass that takes all it can get until ``deadline``; returns an event that is set at its end."""
        done = threading.Event()
        if self._ask(done, deadline):
            self._is_gentle_over.set()  # a slow pass under way makes room for this one
        else:
            done.set()
        return done

    def has_work(self) -> bool:
        """Whether this process has records on disk whose endpoint may be tried."""
        return any(not lane.pending.is_empty() and not lane.breaker.due_in_s() for lane in self._lanes.values())

    def invite(self) -> None:
        """Let endpoints be tried that are left alone only because they did not answer before."""
        for lane in self._lanes.values():
            lane.breaker.invite()

    def close(self, patience_s: float) -> None:
        """End, after the request under way: were it cut off, its records might be sent a second time.

        Args:
            patience_s: Seconds that it has. Then it is cut off, and what it was for stays on disk.
        """
        self._stop.set()
        self._is_gentle_over.set()
        self._asked.put((None, None))
        thread = self._thread
        if thread is None:
            return
        thread.join(patience_s)
        if thread.is_alive():
            for sender in list(self._senders.values()):
                sender.interrupt()
            thread.join(_END_PATIENCE_S)

    def _ask(self, done: threading.Event | None, deadline: float | None) -> bool:
        if self._stop.is_set():
            return False
        self._asked.put((done, deadline))
        if self._thread is not None:
            return True
        if not self._starting.acquire(blocking=False):
            return True  # somebody else does it this moment
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="mlotel-replay", daemon=True)
                thread.start()
                self._thread = thread
            return True
        except RuntimeError:  # the interpreter is ending and allows no threads: the next process delivers
            return False
        finally:
            self._starting.release()

    def _work(self) -> None:
        while not self._stop.is_set():
            asked = self._requests()
            if not self._stop.is_set() and (asked or self._is_due()):
                deadlines = [deadline for _, deadline in asked if deadline is not None]
                with _guard.guard("deliver what waits on disk"):
                    self._pass(max(deadlines, default=None))
            for done, _ in asked:
                if done is not None:
                    done.set()
        for sender in self._senders.values():
            sender.close()

    def _requests(self) -> list[tuple[threading.Event | None, float | None]]:
        """What is asked for within the next moments."""
        asked: list[tuple[threading.Event | None, float | None]] = []
        try:
            asked.append(self._asked.get(timeout=_LOOK_EVERY_S))
            while True:  # one pass answers all who are waiting
                asked.append(self._asked.get_nowait())
        except Empty:
            return asked

    def _is_due(self) -> bool:
        return time.monotonic() >= self._next_pass_at and any(
            (signal in self._behind or not lane.pending.is_empty()) and not lane.breaker.due_in_s()
            for signal, lane in self._lanes.items()
        )

    def _pass(self, deadline: float | None) -> None:
        """Go through the folders once, with a deadline at full speed, without one so that nobody notices."""
        from mlotel.export.replay import GENTLE, Replayer

        lanes = {signal: lane for signal, lane in self._lanes.items() if not lane.breaker.due_in_s()}
        for lane in lanes.values():
            lane.pending.rotate()
        self._delivered_in_pass = 0
        behind: set[Signal] = set()
        is_over = self._stop
        if deadline is None:
            is_over = self._is_gentle_over
            is_over.clear()
            if self._stop.is_set() or not self._asked.empty():
                return  # it may have been set, and cleared just now
        for folder in {found: None for lane in lanes.values() for found in replay_folders(lane.pending.folder)}:
            if not folder.is_dir():
                continue
            replayer = Replayer(
                folder,
                {signal: self._sending(signal, lane) for signal, lane in lanes.items()},
                on_delivered=self._delivered,
                on_dropped=self._dropped,
                is_open=lambda path: any(lane.pending.is_open(path) for lane in self._lanes.values()),
                share=GENTLE if deadline is None else 1.0,
                proves=lambda signal: self._is_proof.get(signal, False),
            )
            replayer.run(deadline, is_over)
            behind |= replayer.answers.keys()
            for path, signals in replayer.aside.items():
                behind |= signals
                for lane in lanes.values():
                    lane.pending.pass_over(path)
        self._behind = (self._behind - lanes.keys()) | behind
        self._rest_s = _FIRST_REST_S if self._delivered_in_pass else min(_LONGEST_REST_S, self._rest_s * 2)
        self._next_pass_at = time.monotonic() + self._rest_s

    def _sending(self, signal: Signal, lane: Lane) -> Callable[[bytes], Answer]:
        def send(body: bytes) -> Answer:
            if self._stop.is_set() or not lane.breaker.admits():
                return Answer("later")
            if signal not in self._senders:
                self._senders[signal] = lane.open()
            answer = self._senders[signal].send(body, lane.timeout_s)
            is_failure = answer.verdict in ("later", "misconfigured")
            if is_failure:
                self._is_proof[signal] = lane.breaker.taken != self._taken_before.get(signal, 0)
                self._taken_before[signal] = lane.breaker.taken
            if answer.verdict == "later" and (
                self._stop.is_set()  # we gave it up ourselves
                or (self._is_proof[signal] and answer.retry_after_s is None)  # it takes others: see Replayer
            ):
                lane.breaker.withdraw()
            else:
                lane.breaker.report(answer)
            return answer

        return send

    def _delivered(self, path: Path, signal: Signal, records: int) -> None:
        self._delivered_in_pass += records
        if signal in self._lanes:
            self._lanes[signal].pending.delivered(path, records)

    def _dropped(self, path: Path, signal: Signal, records: int, reason: Reason) -> None:
        if signal not in self._lanes:
            return
        self._lanes[signal].pending.dropped(path, records, reason)
        _guard.say_once(
            ("replay", signal, reason),
            "Some %s that waited in %s could not be delivered and are dropped (%s).",
            signal,
            path.parent,
            {"refused": "the receiver refuses them", "torn": "a line was cut off"}.get(reason, "a line is unreadable"),
        )
