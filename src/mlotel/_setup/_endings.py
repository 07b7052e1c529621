"""The ends of a process, and its forks: where records would be lost unless somebody thinks of them."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Protocol

from mlotel import _guard
from mlotel._setup._telemetry import Telemetry

_TIME_LIMIT_S = 5.0


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


def arm(holder: Holder) -> None:
    """Think of every end that can be thought of. Called at each ``configure()``; most of it happens once."""
    global _holder
    if _holder is None:
        _holder = holder
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            # After the providers' own hooks, so in the child ours run when theirs are done.
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
            )
    _before_sigterm()
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:  # a worker process, set up by restore()
        _at_end_of_multiprocessing_child(_anchor)


def disarm() -> None:
    """Let SIGTERM be as it was."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _at_exit() -> None:
    telemetry = _holder.telemetry() if _holder is not None else None
    if telemetry is not None:
        with _guard.guard("deliver the last records"):
            telemetry.shutdown(_TIME_LIMIT_S)


def _before_sigterm() -> None:
    """Put a flush before the default action of SIGTERM; a handler of the application's own is left alone."""
    if threading.current_thread() is not threading.main_thread():
        return
    with contextlib.suppress(ValueError):  # not the main interpreter
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    try:
        telemetry = _holder.telemetry() if _holder is not None else None
        if telemetry is not None:
            telemetry.flush(_TIME_LIMIT_S)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def _before_fork() -> None:
    if _holder is not None:
        _holder.before_fork()


def _after_fork_in_parent() -> None:
    if _holder is not None:
        _holder.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _is_known_to_multiprocessing
    if _holder is not None:
        _holder.after_fork_in_child()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_known_to_multiprocessing:
        # A multiprocessing child forgets the finalizers it inherited, then calls these, and leaves by os._exit().
        util.register_after_fork(_anchor, _at_end_of_multiprocessing_child)
        _is_known_to_multiprocessing = True


def _at_end_of_multiprocessing_child(anchor: object) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, _at_exit, exitpriority=-100)  # after everything else that ends with the process
