"""What a component uses: processor time and memory."""

import threading
import time
import tracemalloc
from typing import Literal

try:
    import resource
except ImportError:  # Windows has no getrusage: the attribute is absent there
    resource = None  # type: ignore[assignment]

import sys

_UNIT = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS and in KiB elsewhere

Mode = Literal["trace"] | None


def process_peak() -> int:
    """Peak of the resident memory of this process so far, in bytes; 0 where the system does not tell."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def cpu_ns() -> int:
    """Processor time of this process so far, of all its threads: numerical libraries work in threads of their own."""
    return time.process_time_ns()


class AllocationTrace:
    """Peak of what Python allocated between ``start()`` and ``stop()``, also when several overlap.

    tracemalloc has one peak for the process. Every start and stop therefore hands the peak so far to all that are
    open, and begins a new one.
    """

    _lock = threading.Lock()
    _open: "list[AllocationTrace]" = []  # noqa: RUF012 - shared on purpose: there is one tracemalloc
    _ours = False

    __slots__ = ("base", "peak")

    def __init__(self) -> None:
        self.base = 0
        self.peak = 0

    @classmethod
    def start(cls) -> "AllocationTrace":
        """Begin, switching tracemalloc on if it is off."""
        trace = cls()
        with cls._lock:
            if not tracemalloc.is_tracing():
                tracemalloc.start()
                cls._ours = True
            cls._share_peak()
            trace.base = trace.peak = tracemalloc.get_traced_memory()[0]
            cls._open.append(trace)
        return trace

    def stop(self) -> int:
        """End, and return the rise in bytes."""
        cls = type(self)
        with cls._lock:
            cls._share_peak()
            if self in cls._open:
                cls._open.remove(self)
            if not cls._open and cls._ours:
                tracemalloc.stop()
                cls._ours = False
        return max(0, self.peak - self.base)

    @classmethod
    def _share_peak(cls) -> None:
        if tracemalloc.is_tracing():
            peak = tracemalloc.get_traced_memory()[1]
            for trace in cls._open:
                trace.peak = max(trace.peak, peak)
            tracemalloc.reset_peak()
