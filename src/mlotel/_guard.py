"""Keeps failures of mlotel out of the programs it watches.

Every place where recording starts goes through here. What goes wrong inside is logged once per place and kind of
error, and the program goes on without that piece of telemetry. ``STRICT`` lets our own tests see such failures.
"""

import logging
import os
import threading
from types import TracebackType
from typing import Literal

logger = logging.getLogger("mlotel")

STRICT = False
"""Re-raise instead of logging: for our own tests, where a swallowed failure would hide a defect."""

_said: set[tuple[str, ...]] = set()
_lock = threading.Lock()
_SAID_LIMIT = 1000  # what is said once is remembered; a program that never ends must not grow by it


def say_once(key: tuple[str, ...], message: str, *args: object, level: int = logging.WARNING) -> bool:
    """Log ``message`` the first time that ``key`` is seen; returns whether it was logged."""
    with _lock:
        if key in _said:
            return False
        if len(_said) < _SAID_LIMIT:
            _said.add(key)
    logger.log(level, message, *args)
    return True


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when the process was copied


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def forget() -> None:
    """Forget what was said, so that tests start alike."""
    with _lock:
        _said.clear()


class guard:  # noqa: N801 - used as a statement: ``with guard("write")``
    """Context manager around recording code: an ``Exception`` inside is logged once and ends there.

    Args:
        doing: What mlotel was doing, for the log line: "record an artifact".

    ``KeyboardInterrupt``, ``SystemExit`` and other exceptions that are no ``Exception`` pass.
    """

    __slots__ = ("doing",)

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception) or STRICT:
            return False
        report(self.doing, error)
        return True


def report(doing: str, error: BaseException, level: Literal[10, 30] = 30) -> None:
    """Say once that ``doing`` failed with ``error``."""
    kind = type(error)
    say_once(
        (doing, kind.__module__, kind.__qualname__),
        "mlotel could not %s (%s: %s). The program is not affected; this piece of telemetry is missing.",
        doing,
        kind.__qualname__,
        describe_error(error),
        level=level,
    )


def describe_error(error: BaseException) -> str:
    """``str(error)``, also for exceptions whose own ``__str__`` fails."""
    try:
        return str(error)
    except Exception:
        return "<its message cannot be read>"
