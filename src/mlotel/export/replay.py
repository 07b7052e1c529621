"""Sends what waits on disk: records of an outage, and of processes that ended before they were through."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias

from mlotel import _guard
from mlotel._current import silence
from mlotel.export._claims import InUseError
from mlotel.export._outbox import Found, Held, Outbox, Place, open_to_read
from mlotel.export._outcome import Reason
from mlotel.export._sender import Answer
from mlotel.export._transcode import Request, count, guess, signal_of, transcode
from mlotel.types import Signal

__all__ = ["OnDelivered", "OnDropped", "Replayer"]

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of a line, as for those who read the spool: a longer one is no batch of ours."""

GENTLE: Final = 0.06
"""Share of one core that replay takes beside a program that records. They share one interpreter lock, so this is also
how much the program can become slower."""

_SHORTEST_PAUSE_S = 0.001
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")

OnDelivered: TypeAlias = Callable[[Path, Signal, int], None]
"""Called with a file, a signal and a number of records that the receiver has confirmed."""


class OnDropped(Protocol):
    """Called with records of a file that are lost."""

    def __call__(self, path: Path, signal: Signal, records: int, reason: Reason, /) -> None:
        """``reason`` is ``refused``, ``torn`` or ``encode``."""


class Replayer:
    """Sends the spool files of a folder whose writers are done with them, and removes what has been sent.

    Any number of processes may do so at once: a file is sent by one of them. A line that is delivered is noted before
    the next one goes out: when a process dies in between, that line is sent once more, and nothing else.

    Args:
        folder: The spool's folder.
        send: For each signal that has a receiver, what sends it one serialized export request, once, and says what
            came of it. Records of other signals stay where they are.
        on_delivered: Told of records that were delivered.
        on_dropped: Told of records that are lost: refused by the receiver, in a torn line, or unreadable.
        recordings: Whether to send local recordings, too. They are marked as sent, not removed.
        share: Share of one core that this may take, up to 1.
        is_open: Says of a file that bears this process's id whether this process still writes it; asked where the file
            system has no locks.

    Attributes:
        signals: Those that have a receiver.
        answers: For each signal whose delivery the last pass gave up, the answer that was the reason.
        left: Files that the last pass could not have, and why.

    Example:
        >>> sent = []
        >>> replayer = Replayer(
        ...     Path("no/such/folder"),
        ...     {"traces": lambda body: Answer("accepted")},
        ...     on_delivered=lambda path, signal, records: sent.append(records),
        ...     on_dropped=lambda path, signal, records, reason: None,
        ... )
        >>> replayer.run(deadline=None, stop=threading.Event())
        >>> sent
        []
    """

    def __init__(
        self,
        folder: Path,
        send: Mapping[Signal, Callable[[bytes], Answer]],
        *,
        on_delivered: OnDelivered,
        on_dropped: OnDropped,
        recordings: bool = False,
        share: float = GENTLE,
        is_open: Callable[[Path], bool] | None = None,
    ) -> None:
        self.answers: dict[Signal, Answer] = {}
        self.left: dict[Path, str] = {}
        self._outbox = Outbox(folder, recordings=recordings, is_open=is_open)
        self.signals = frozenset(send)
        self._send = dict(send)
        self._on_delivered = on_delivered
        self._on_dropped = on_dropped
        self._share = share

    def waiting(self) -> list[Found]:
        """Files that are not all sent; see ``Outbox.waiting``."""
        return self._outbox.waiting()

    def left_in(self, found: Found) -> dict[Signal, int]:
        """How many records of a file are not done with, by a count that decodes only what it must.

        Raises:
            OSError: If the file cannot be read.
        """
        places = self._outbox.places(found.path)
        counts: dict[Signal, int] = {}
        with open_to_read(found.path) as file:
            for line in _lines(file, min(places.get(signal, Place()).offset for signal in _SIGNALS)):
                for signal, records in count(line.text).items() if line.text.strip() else ():
                    place = places.get(signal, Place())
                    if line.end > place.offset:
                        done = place.records if line.offset == place.offset else 0
                        counts[signal] = counts.get(signal, 0) + max(0, records - done)
        return counts

    def run(self, deadline: float | None, stop: threading.Event) -> None:
        """Go through the folder once, oldest file first. Never raises.

        A signal whose receiver answers ``later`` or ``misconfigured`` is not tried again in this pass: what is left of
        it stays on disk, while the others go on.

        Args:
            deadline: When to stop, by ``time.monotonic()``; None for no such time.
            stop: Set it to end the pass after the request under way.
        """
        self.answers, self.left = {}, {}
        try:
            waiting = self._outbox.waiting()
        except OSError as error:
            self.left[self._outbox.folder] = error.strerror or str(error)
            return
        clock = _Clock(deadline, stop, self._share)
        with silence():  # a patched HTTP library must not record our own requests
            self._pass(waiting, clock)

    def _pass(self, waiting: list[Found], clock: "_Clock") -> None:
        for found in waiting:
            if clock.is_over() or self.answers.keys() >= self._send.keys():
                return
            try:
                with self._outbox.take(found) as held:
                    self._file(held, clock)
            except InUseError as reason:
                self.left[found.path] = str(reason)
            except FileNotFoundError:
                continue  # somebody else was faster
            except OSError as error:
                self.left[found.path] = error.strerror or str(error)
            except Exception as error:
                self.left[found.path] = _guard.describe_error(error)
                _guard.report("deliver a spool file", error)

    def _file(self, held: Held, clock: "_Clock") -> None:
        """Send what is left of one file."""
        blocked = {signal for signal in _SIGNALS if signal not in self._send or signal in self.answers}
        met: set[Signal] = set()  # a signal that nobody takes keeps no file that has no record of it
        end = min(held.place(signal).offset for signal in _SIGNALS)
        for line in _lines(held.file, end):
            known = signal_of(line.text)
            met.update(_SIGNALS if known is None else (known,))
            if clock.is_over() or not self._line(held, line, blocked, clock):
                return
            if blocked.issuperset(_SIGNALS):
                return
            end = line.end
            clock.rest()
        if end >= held.size:  # it may have grown meanwhile, where the file system has no locks
            held.finish(but=blocked & met)

    def _line(self, held: Held, line: "_Line", blocked: set[Signal], clock: "_Clock") -> bool:
        """Send one line, of which some signals may be done with; those that cannot go on are added to ``blocked``.

        Returns:
            Whether there was time for it.
        """

        def is_due(signal: Signal) -> bool:
            return signal not in blocked and held.place(signal).offset < line.end

        known = signal_of(line.text)
        if (known is not None and not is_due(known)) or not line.text.strip():
            return True
        try:
            with clock.computing():
                requests, left_out = transcode(line.text)
        except ValueError:
            signal, records = guess(line.text)
            if is_due(signal):
                self._on_dropped(held.path, signal, records, "torn" if line.is_torn else "encode")
                self._note(held, line, blocked)
            return True
        for request in requests:
            if is_due(request.signal):
                is_done = self._deliver(held, request, line, clock)
                if is_done is None:
                    return False
                if not is_done:
                    blocked.add(request.signal)
                elif len(requests) > 1:
                    held.advance({request.signal: Place(line.end)})
        for signal, records in left_out.items():
            if is_due(signal):
                self._on_dropped(held.path, signal, records, "encode")
        self._note(held, line, blocked)
        return True

    def _note(self, held: Held, line: "_Line", blocked: set[Signal]) -> None:
        """Note that a line is done with. After the last one the file itself goes, which says as much."""
        if blocked or not held.is_pending or line.end < held.size:
            held.advance({signal: Place(line.end) for signal in _SIGNALS if signal not in blocked})

    def _deliver(self, held: Held, request: Request, line: "_Line", clock: "_Clock") -> bool | None:
        """Send one request, in parts where it is too large.

        Returns:
            Whether all of it is done with; None when time was over before.
        """
        signal = request.signal
        place = held.place(signal)
        start = place.records if place.offset == line.offset else 0
        size = request.records - start
        while start < request.records:
            if clock.is_over():
                return None
            with clock.computing():
                part = request.part(start, start + size)
                body = part.body()
            answer = self._send[signal](body)
            if answer.verdict in ("later", "misconfigured"):
                self.answers[signal] = answer
                return False
            if answer.verdict == "too_large" and part.records > 1:
                size = part.records // 2
                continue
            lost = min(answer.rejected, part.records) if answer.verdict == "accepted" else part.records
            if lost < part.records:
                self._on_delivered(held.path, signal, part.records - lost)
            if lost > 0:
                self._on_dropped(held.path, signal, lost, "refused")
            start += part.records
            if start < request.records:
                held.advance({signal: Place(line.offset, start)})
        return True


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a file: from where to where, and its text, cut where it is longer than any of ours."""

    offset: int
    end: int
    text: bytes

    @property
    def is_torn(self) -> bool:
        return not self.text.endswith(b"\n") and len(self.text) < MAX_LINE


def _lines(file: BinaryIO, begin: int) -> Iterator[_Line]:
    """Lines from ``begin``, which is the start of one."""
    file.seek(begin)
    offset = begin
    while text := file.readline(MAX_LINE):
        end = offset + len(text)
        if len(text) == MAX_LINE and not text.endswith(b"\n"):
            while rest := file.readline(MAX_LINE):
                end += len(rest)
                if rest.endswith(b"\n"):
                    break
        yield _Line(offset, end, text)
        offset = end


class _Clock:
    """How long a pass may go on, and how much of the processor it may take."""

    def __init__(self, deadline: float | None, stop: threading.Event, share: float) -> None:
        self._deadline = math.inf if deadline is None else deadline
        self._stop = stop
        self._pause_per_s = 1 / min(max(share, 0.001), 1.0) - 1
        self._rested_s = time.thread_time()
        self._waited_s = 0.0

    def is_over(self) -> bool:
        """Whether to stop now."""
        return self._stop.is_set() or time.monotonic() >= self._deadline

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Around what does nothing but compute.

        What it takes beyond processor time is time in which others wanted the interpreter lock, or the processor while
        we had that lock. The more there is of it, the longer the pauses have to be.
        """
        begin_s, used_s = time.perf_counter(), time.thread_time()
        yield
        self._waited_s += max(0.0, time.perf_counter() - begin_s - (time.thread_time() - used_s))

    def rest(self) -> None:
        """Pause in proportion to the time that was taken from others since the last pause."""
        pause_s = (time.thread_time() - self._rested_s + self._waited_s) * self._pause_per_s
        if pause_s >= _SHORTEST_PAUSE_S:
            self._stop.wait(min(pause_s, self._deadline - time.monotonic()))
            self._rested_s, self._waited_s = time.thread_time(), 0.0
