"""Ends what takes longer than agreed.

A socket's own time-out begins anew with every byte, so that a receiver that answers a byte a second keeps its caller
for hours. One thread looks after all requests under way; it sleeps while there are none.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

_INTERVAL_S = 0.1

_ends: dict[int, tuple[float, Callable[[], None]]] = {}
_numbers = itertools.count()
_news: SimpleQueue[None] = SimpleQueue()
_thread: threading.Thread | None = None
_starting = threading.Lock()


@contextmanager
def at_most(seconds: float, end: Callable[[], None]) -> Iterator[None]:
    """Within it, ``end`` is called from another thread when ``seconds`` are over; at most a tenth of a second late."""
    number = next(_numbers)
    _ends[number] = (time.monotonic() + seconds, end)
    _news.put(None)
    if _thread is None:
        _start()
    try:
        yield
    finally:
        _ends.pop(number, None)


def _start() -> None:
    global _thread
    with _starting, suppress(RuntimeError):  # the interpreter is ending: the socket's own time-out has to do
        if _thread is None:
            thread = threading.Thread(target=_work, name="mlotel-watch", daemon=True)
            thread.start()
            _thread = thread


def _work() -> None:
    while True:
        if not _ends:
            _news.get()
            continue
        now = time.monotonic()
        for number, (deadline, end) in list(_ends.items()):
            if deadline <= now and _ends.pop(number, None) is not None:
                with suppress(Exception):
                    end()
        time.sleep(_INTERVAL_S)


def _after_fork() -> None:
    """In a forked child: the thread and what it looks after are the parent's."""
    global _ends, _news, _thread, _starting
    _ends, _news, _thread, _starting = {}, SimpleQueue(), None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
