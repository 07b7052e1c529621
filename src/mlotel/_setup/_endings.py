"""The ends of a process, and its forks: where records would be lost unless somebody thinks of them.

- Return, an uncaught exception, ``sys.exit``, Ctrl-C: ``atexit``, in two steps. The first, registered by the last
  ``configure()``, delivers while everything still works; the second, registered by ``import mlotel``, shuts down after
  the handlers of the application, which may record too.
- SIGTERM and SIGHUP: a flush before the default action, where that was set; then it happens.
- ``multiprocessing`` children leave by ``os._exit()``: a finalizer of theirs.
- A fork: the child begins at zero.

Python runs signal handlers in the main thread, between two steps of the interpreter. While that thread is inside a long
call of C code, the signal waits; records leave meanwhile as ever, in threads of their own, as long as that code lets go
of the interpreter. ``signal.set_wakeup_fd`` would tell at once, and is not used: there is one in a process, asyncio and
trio need it, and in a child forked by C code its byte would reach the parent.
"""

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from _signal import getsignal  # type: ignore[import-not-found]  # signal.getsignal() calls repr() of a handler
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from mlotel import _guard
from mlotel._setup._telemetry import Telemetry

_TIME_LIMIT_S = 5.0
_LAST_S = 0.5  # for what was recorded between the two steps of the end, however long the first one took
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Holder(Protocol):
    """Who knows which ``Telemetry`` is open at the moment."""

    def telemetry(self) -> Telemetry | None:
        """The open one."""

    def before_fork(self) -> None:
        """In the parent, before the process is copied."""

    def after_fork_in_parent(self) -> None:
        """In the parent, afterwards."""

    def after_fork_in_child(self) -> None:
        """In the child."""


class _Anchor:
    """Something that multiprocessing can hold a weak reference to."""


_anchor = _Anchor()
_holder: Holder | None = None
_is_known_to_multiprocessing = False
_ending_since: float | None = None  # monotonic; when the end began
_is_ending = False  # while records are delivered there
_deferred: int | None = None  # a signal that came meanwhile


def arm(holder: Holder) -> None:
    """Think of every end that can be thought of. Called at each ``configure()``; most of it happens once."""
    global _holder
    if _holder is None:
        _holder = holder
        if hasattr(os, "register_at_fork"):
            # After the providers' own hooks, so in the child ours run when theirs are done.
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
            )
    atexit.unregister(_first_step)
    atexit.register(_first_step)
    _before_signals()
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:  # a worker process, set up by restore()
        _at_end_of_multiprocessing_child(_anchor)


def disarm() -> None:
    """Let signals be as they were."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if getsignal(number) is _on_signal:
                signal.signal(number, signal.SIG_DFL)


def _first_step() -> None:
    """Deliver what there is; the application may go on recording."""
    with _ending():
        _ask(lambda telemetry: telemetry.finish(_TIME_LIMIT_S))


def last_step() -> None:
    """Shut down; called when everything that was registered with ``atexit`` later than mlotel's import has run."""
    with _ending():
        spent = 0.0 if _ending_since is None else time.monotonic() - _ending_since
        _ask(lambda telemetry: telemetry.shutdown(max(_LAST_S, _TIME_LIMIT_S - spent)))


def _ask(deliver: Callable[[Telemetry], object]) -> None:
    telemetry = _holder.telemetry() if _holder is not None else None
    if telemetry is not None:
        with _guard.guard("deliver the last records"):
            deliver(telemetry)


class _ending:  # noqa: N801 - used as a statement: ``with _ending()``
    """The end is not broken off by what asks for it: a signal waits for it, and so does the first Ctrl-C."""

    def __enter__(self) -> None:
        global _ending_since, _is_ending
        _ending_since = _ending_since or time.monotonic()
        _is_ending = True
        self._is_patient = (
            threading.current_thread() is threading.main_thread()
            and getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._is_patient:
            with contextlib.suppress(ValueError):  # not the main interpreter
                signal.signal(signal.SIGINT, _on_first_interrupt)

    def __exit__(self, *_: object) -> None:
        global _is_ending
        _is_ending = False
        if self._is_patient and getsignal(signal.SIGINT) is _on_first_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if _deferred is not None:
            _die_of(_deferred)


def _on_first_interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the second one is meant


def _before_signals() -> None:
    """Put a flush before the default action; a handler of the application's own is left alone."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        with contextlib.suppress(ValueError):  # not the main interpreter
            found = getsignal(number)
            if type(found) is int and found == signal.SIG_DFL:
                signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _deferred
    if _is_ending:
        _deferred = number
        return
    signal.signal(number, signal.SIG_DFL)  # a second one does not wait
    try:
        _flush_elsewhere()
    finally:
        _die_of(number)


def _flush_elsewhere() -> None:
    """Flush in another thread: the code that was interrupted may hold any lock, and then only the time limit helps."""
    telemetry = _holder.telemetry() if _holder is not None else None
    if telemetry is None:
        return
    done = _thread.allocate_lock()
    done.acquire()

    def flush() -> None:
        try:
            with _guard.guard("deliver the last records"):
                telemetry.finish(_TIME_LIMIT_S)
        finally:
            done.release()

    with contextlib.suppress(RuntimeError):  # the interpreter is ending: see _ending
        _thread.start_new_thread(flush, ())  # threading.Thread takes a lock of its own
        done.acquire(timeout=_TIME_LIMIT_S + _LAST_S)


def _die_of(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _before_fork() -> None:
    if _holder is not None:
        _holder.before_fork()


def _after_fork_in_parent() -> None:
    if _holder is not None:
        _holder.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _is_known_to_multiprocessing, _ending_since, _is_ending, _deferred
    _ending_since, _is_ending, _deferred = None, False, None  # the parent may be at its end: the child is not
    if _holder is not None:
        _holder.after_fork_in_child()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_known_to_multiprocessing:
        # A multiprocessing child forgets the finalizers it inherited, then calls these, and leaves by os._exit().
        util.register_after_fork(_anchor, _at_end_of_multiprocessing_child)
        _is_known_to_multiprocessing = True


def _at_end_of_multiprocessing_child(anchor: object) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, last_step, exitpriority=-100)  # after everything else that ends with the process
