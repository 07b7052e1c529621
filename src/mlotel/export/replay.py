"""Sends what waits on disk: records of an outage, and of processes that ended before they were through."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias

from mlotel import _guard
from mlotel._current import silence
from mlotel.export._claims import InUseError
from mlotel.export._outbox import Found, Held, Outbox, open_to_read
from mlotel.export._outcome import Reason
from mlotel.export._progress import MOST_ASIDE, Aside, Place
from mlotel.export._sender import Answer
from mlotel.export._transcode import Request, count, guess, signal_of, transcode
from mlotel.types import Signal

__all__ = ["OnDelivered", "OnDropped", "Replayer"]

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of a line, as for those who read the spool: a longer one is no batch of ours."""

GENTLE: Final = 0.06
"""Share of one core that replay takes beside a program that records. They share one interpreter lock, so this is also
how much the program can become slower."""

MOST_TRIES: Final = 20
GIVE_UP_AFTER_S: Final = 86_400.0
"""A line that the receiver failed on so often, over so long, while it took others, is given up. Nothing waits behind
it, so there is no hurry."""

_MOST_SUSPECTS = 4
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

    A receiver that answers ``later`` is down, or it fails on that very line. What tells is whether it takes others: a
    line that it fails on while it does is set aside, the rest goes on, and it is tried again now and then. It is given
    up, and counted as refused, after ``MOST_TRIES`` over ``GIVE_UP_AFTER_S``.

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
        proves: Says of a signal, after a failure, whether its receiver has taken something since the failure before.
            Without it only what this replayer sends counts.
        is_urgent: Whether lines that were set aside are tried without waiting for their time.
        now_s: Seconds since 1970.

    Attributes:
        signals: Those that have a receiver.
        answers: For each signal whose delivery the last pass gave up, the answer that was the reason.
        left: Files that the last pass could not have, or could not send all of, and why.
        aside: Signals of lines that were set aside, by file.

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
        proves: Callable[[Signal], bool] | None = None,
        is_urgent: bool = False,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.answers: dict[Signal, Answer] = {}
        self.left: dict[Path, str] = {}
        self.aside: dict[Path, set[Signal]] = {}
        self._outbox = Outbox(folder, recordings=recordings, is_open=is_open)
        self.signals = frozenset(send)
        self._send = dict(send)
        self._on_delivered = on_delivered
        self._on_dropped = on_dropped
        self._share = share
        self._taking: set[Signal] = set()  # signals whose receiver took the last request
        self._failed_now: set[tuple[Path, Signal, int]] = set()  # lines of which this pass need not ask again
        self._proves = proves or self._taking.__contains__
        self._is_urgent = is_urgent
        self._now_s = now_s

    def waiting(self) -> list[Found]:
        """Files that are not all sent; see ``Outbox.waiting``."""
        return self._outbox.waiting()

    def left_in(self, found: Found) -> dict[Signal, int]:
        """How many records of a file are not done with, by a count that decodes only what it must.

        Raises:
            OSError: If the file cannot be read.
        """
        counts: dict[Signal, int] = {}
        with open_to_read(found.path) as file:
            progress = self._outbox.progress(found.path).checked(file, os.fstat(file.fileno()).st_size)
            for signal, lines in progress.aside.items():
                for aside in lines:
                    records = count(next(_lines(file, aside.offset)).text).get(signal, 0)
                    counts[signal] = counts.get(signal, 0) + max(0, records - aside.records)
            places = progress.places
            for line in _lines(file, min(places.get(signal, Place()).offset for signal in _SIGNALS)):
                for signal, records in count(line.text).items() if line.text.strip() else ():
                    place = places.get(signal, Place())
                    if line.end > place.offset:
                        done = place.records if line.offset == place.offset else 0
                        counts[signal] = counts.get(signal, 0) + max(0, records - done)
        return counts

    def run(self, deadline: float | None, stop: threading.Event) -> None:
        """Go through the folder once, oldest file first. Never raises.

        A signal whose receiver answers ``misconfigured``, or ``later`` while it takes nothing else, is not tried again
        in this pass: what is left of it stays on disk, while the others go on.

        Args:
            deadline: When to stop, by ``time.monotonic()``; None for no such time.
            stop: Set it to end the pass after the request under way.
        """
        self.answers, self.left, self.aside = {}, {}, {}
        self._taking.clear()
        self._failed_now.clear()
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
            if not self._one(found, clock):
                return
        for found in waiting:  # lines that were set aside, and of which no other has told anything
            if found.path in self.aside and not self._one(found, clock, is_last=True):
                return

    def _one(self, found: Found, clock: "_Clock", *, is_last: bool = False) -> bool:
        """Send one file; says whether there may be more to do."""
        if clock.is_over() or self.answers.keys() >= self._send.keys():
            return False
        try:
            with self._outbox.take(found) as held:
                self._file(held, clock, is_last=is_last)
        except InUseError as reason:
            self.left[found.path] = str(reason)
        except FileNotFoundError:
            pass  # somebody else was faster
        except OSError as error:
            self.left[found.path] = error.strerror or str(error)
        except Exception as error:
            self.left[found.path] = _guard.describe_error(error)
            _guard.report("deliver a spool file", error)
        return True

    def _file(self, held: Held, clock: "_Clock", *, is_last: bool) -> None:
        """Send what is left of one file; what was set aside only while others are taken, or as the last."""
        blocked = {signal for signal in _SIGNALS if signal not in self._send or signal in self.answers}
        met: set[Signal] = set()  # a signal that nobody takes keeps no file that has no record of it
        end = min(held.place(signal).offset for signal in _SIGNALS)
        for line in _lines(held.file, end):
            known = signal_of(line.text)
            met.update(_SIGNALS if known is None else (known,))
            if clock.is_over() or not self._line(held, line, blocked, clock):
                self._tell_of_aside(held)
                return
            if held.has_aside and not self._again(held, blocked, clock):
                return
            if blocked.issuperset(_SIGNALS):
                self._tell_of_aside(held)
                return
            end = line.end
            clock.rest()
        is_end = end >= held.size  # it may have grown meanwhile, where the file system has no locks
        if is_end and (not held.has_aside or self._again(held, blocked, clock, is_last=is_last)):
            held.finish(but=blocked & met)
        self._tell_of_aside(held)

    def _tell_of_aside(self, held: Held) -> None:
        signals = {signal for signal in _SIGNALS if held.aside(signal)}
        if signals:
            self.aside[held.path] = signals
            self.left[held.path] = "the receiver fails on some of it, and is asked again later"
        elif self.aside.pop(held.path, None):
            self.left.pop(held.path, None)

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
            signal = request.signal
            if not is_due(signal):
                continue
            place = held.place(signal)
            parts = _Parts(
                place.records if place.offset == line.offset else 0,
                note=partial(_note_part, held, signal, line.offset),
            )
            answer = self._deliver(held.path, request, parts, clock)
            if answer is not None:
                self._failed(held, Aside(line.offset, parts.done), line.end, signal, answer, blocked)
            elif parts.done < request.records:
                return False
            elif len(requests) > 1:
                held.advance({signal: Place(line.end)})
        for signal, records in left_out.items():
            if is_due(signal):
                self._on_dropped(held.path, signal, records, "encode")
        self._note(held, line, blocked)
        return True

    def _failed(self, held: Held, line: Aside, end: int, signal: Signal, answer: Answer, blocked: set[Signal]) -> None:
        """Set aside the line that ends at ``end``, where it is the reason, or may be; else the signal has to wait."""
        is_proven = self._is_proven(held, signal, line.offset, answer)
        known = held.aside(signal)
        is_suspect = answer.is_suspicious and sum(not other.tries for other in known) < _MOST_SUSPECTS
        has_room = len(known) < MOST_ASIDE
        if has_room and is_proven:
            now_s = self._now_s()
            held.set_aside(signal, line._replace(tries=1, since_s=now_s, tried_s=now_s), end)
            return
        if has_room and is_suspect and _is_about_a_line(answer):  # the next pass begins after it, and so finds out
            held.set_aside(signal, line, end)
        self._block(signal, answer, blocked)

    def _is_proven(self, held: Held, signal: Signal, offset: int, answer: Answer) -> bool:
        """Whether the receiver failed on that line, while it took another."""
        is_proven = _is_about_a_line(answer) and self._proves(signal)
        self._taking.discard(signal)
        self._failed_now.add((held.path, signal, offset))
        return is_proven

    def _block(self, signal: Signal, answer: Answer, blocked: set[Signal]) -> None:
        self.answers[signal] = answer
        blocked.add(signal)

    def _again(self, held: Held, blocked: set[Signal], clock: "_Clock", *, is_last: bool = False) -> bool:
        """Try the lines that were set aside.

        Args:
            held: The file.
            blocked: Signals that have to wait; more are added.
            clock: Says when time is over.
            is_last: Whether to try them although no other line has told that the receiver takes anything.

        Returns:
            Whether there was time for it.
        """
        for signal in _SIGNALS:
            for aside in sorted(held.aside(signal), key=lambda line: line.tries):
                if signal in blocked or not (is_last or signal in self._taking):
                    break
                is_due = (self._is_urgent and is_last) or not aside.due_in_s(self._now_s())
                if not is_due or (held.path, signal, aside.offset) in self._failed_now:
                    continue
                if clock.is_over():
                    return False
                self._one_again(held, signal, aside, blocked, clock)
                clock.rest()
        return True

    def _one_again(self, held: Held, signal: Signal, aside: Aside, blocked: set[Signal], clock: "_Clock") -> None:
        end = held.place(signal).offset
        here = held.file.tell()
        text = next(_lines(held.file, aside.offset)).text
        held.file.seek(here)  # whoever reads the file line by line goes on there
        with clock.computing():
            requests, _ = transcode(text)  # it could be read before
        [request] = [found for found in requests if found.signal == signal]
        parts = _Parts(aside.records, lambda done: held.set_aside(signal, aside._replace(records=done), end))
        answer = self._deliver(held.path, request, parts, clock)
        if answer is None:
            if parts.done >= request.records:  # else time was over
                held.take_back(signal, aside.offset)
            return
        is_proven = self._is_proven(held, signal, aside.offset, answer)
        if not is_proven:
            self._block(signal, answer, blocked)
            return
        now_s = self._now_s()
        since_s = aside.since_s if aside.tries and aside.since_s <= now_s else now_s
        aside = aside._replace(records=parts.done, tries=aside.tries + 1, since_s=since_s, tried_s=now_s)
        if aside.tries >= MOST_TRIES and now_s - since_s >= GIVE_UP_AFTER_S:
            self._on_dropped(held.path, signal, request.records - parts.done, "refused")
            held.take_back(signal, aside.offset)
        else:
            held.set_aside(signal, aside, end)

    def _note(self, held: Held, line: "_Line", blocked: set[Signal]) -> None:
        """Note that a line is done with. After the last one the file itself goes, which says as much."""
        if blocked or not held.is_pending or line.end < held.size:
            held.advance({signal: Place(line.end) for signal in _SIGNALS if signal not in blocked})

    def _deliver(self, path: Path, request: Request, parts: "_Parts", clock: "_Clock") -> Answer | None:
        """Send one request, in parts where it is too large.

        Args:
            path: Of the file that it stands in.
            request: What is to be sent.
            parts: How much of it is done with; brought up to date.
            clock: Says when time is over.

        Returns:
            The answer that ended it; None when all is done with, or time was over.
        """
        signal = request.signal
        size = request.records - parts.done
        while parts.done < request.records and not clock.is_over():
            with clock.computing():
                part = request.part(parts.done, parts.done + size)
                body = part.body()
            answer = self._send[signal](body)
            if answer.verdict in ("later", "misconfigured"):
                return answer
            self._taking.add(signal)
            if answer.verdict == "too_large" and part.records > 1:
                size = part.records // 2
                continue
            lost = min(answer.rejected, part.records) if answer.verdict == "accepted" else part.records
            if lost < part.records:
                self._on_delivered(path, signal, part.records - lost)
            if lost > 0:
                self._on_dropped(path, signal, lost, "refused")
            parts.done += part.records
            if parts.done < request.records:
                parts.note(parts.done)
        return None


def _is_about_a_line(answer: Answer) -> bool:
    """Whether a failure may be that of one line: a receiver that says when to come back means all."""
    return answer.verdict == "later" and answer.retry_after_s is None


@dataclass(slots=True)
class _Parts:
    """How many records of a request are done with, and what notes that before the next of them go out."""

    done: int
    note: Callable[[int], None]


def _note_part(held: Held, signal: Signal, offset: int, done: int) -> None:
    held.advance({signal: Place(offset, done)})


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
