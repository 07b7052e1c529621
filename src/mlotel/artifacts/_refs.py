"""Ids for objects whose content cannot be hashed: known while the process and the object live, never reused."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from mlotel.types import Identity

_known: dict[int, tuple["weakref.ref[Any]", str]] = {}  # by address: users define __hash__ and __eq__
_lock = threading.RLock()  # a collection inside the lock may run _forget in the same thread


def _random_digits() -> str:
    return os.urandom(16).hex()


new_digits: Callable[[], str] = _random_digits
"""Makes the digits of an id; ``mlotel.testing`` replaces it."""


def reference(value: Any) -> Identity:
    """Identity of scope ``none``: the same id for the same live object, a fresh one where weak references fail.

    Args:
        value: Any object; it is neither kept alive nor asked anything.
    """
    return Identity(f"ref:{_digits(value)}", "none")


def fresh() -> Identity:
    """Identity of scope ``none`` that nothing else has."""
    return Identity(f"ref:{new_digits()}", "none")


def _digits(value: Any) -> str:
    address = id(value)
    with _lock:
        entry = _known.get(address)
        if entry is not None and entry[0]() is value:
            return entry[1]
        digits = new_digits()

        def forget(gone: "weakref.ref[Any]") -> None:
            with _lock:
                current = _known.get(address)
                if current is not None and current[0] is gone:  # the address may have a new tenant
                    del _known[address]

        try:
            weak = weakref.ref(value, forget)
        except TypeError:  # int, list, slots without __weakref__
            return digits
        _known[address] = (weak, digits)
        return digits


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
