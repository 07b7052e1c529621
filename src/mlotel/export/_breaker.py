"""Decides whether an endpoint is tried, so that one that is down costs a try now and then and nothing else."""

import random
import threading
import time
from collections.abc import Callable

from mlotel.export._explain import Cause
from mlotel.export._sender import Answer

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MISCONFIGURED_PAUSE_S = 300.0
_PROBE_S = 60.0


class Breaker:
    """Open while an endpoint is left alone. Closed at first.

    A failure opens it for a pause: as long as the receiver asks, else a second, twice as long after each further
    failure, a minute at most, each a little longer or shorter so that many processes do not come back at once. Then one
    request goes through; its answer decides.

    It goes by a clock that nobody can set.

    Args:
        clock: Seconds that only grow.
        jitter: What a pause is multiplied by.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self.restart()

    def restart(self) -> None:
        """Close it, also in a forked child, where the lock may have been copied locked."""
        self._lock = threading.Lock()
        self._failures = 0
        self._until: float | None = None  # None: closed
        self._is_asked_for = False
        self._probing_since: float | None = None
        self.taken = 0
        """Requests that the endpoint has taken or judged."""
        self.cause: Cause | None = None
        """Why the endpoint did not take the last request; None while it is taking them."""

    @property
    def is_open(self) -> bool:
        """Whether the endpoint is being left alone, or has not answered since."""
        return self._until is not None

    def admits(self) -> bool:
        """Whether a request may be sent now. Whoever gets True must ``report`` the answer, or ``withdraw``."""
        with self._lock:
            if self._until is None:
                return True
            now = self._clock()
            if now < self._until:
                return False
            if self._probing_since is not None and now - self._probing_since < _PROBE_S:
                return False
            self._probing_since = now
            return True

    def report(self, answer: Answer) -> bool:
        """Take note of an answer; returns whether it ended an outage."""
        with self._lock:
            self._probing_since = None
            if answer.verdict not in ("later", "misconfigured"):
                was_open, self._until, self._failures = self._until is not None, None, 0
                self.cause = None
                self.taken += 1
                return was_open
            self.cause = answer.cause or self.cause
            self._is_asked_for = True
            if answer.verdict == "misconfigured":
                pause_s = _MISCONFIGURED_PAUSE_S
            elif answer.retry_after_s is not None:
                pause_s = answer.retry_after_s
            else:
                self._is_asked_for = False
                pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures, 10) * self._jitter())
            self._failures += 1
            self._until = self._clock() + pause_s
            return False

    def withdraw(self) -> None:
        """Take note that a request that was admitted has no answer: it was given up."""
        with self._lock:
            self._probing_since = None

    def invite(self) -> None:
        """End the pause for somebody who waits for the answer, unless the receiver has asked for it."""
        with self._lock:
            if self._until is not None and not self._is_asked_for:
                self._until = self._clock()

    def due_in_s(self) -> float | None:
        """Seconds until the next request may go through; None while closed."""
        with self._lock:
            return None if self._until is None else max(0.0, self._until - self._clock())
