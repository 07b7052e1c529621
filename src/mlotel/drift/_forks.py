"""Detectors across ``fork``: their locks are free in the child, and what they guard is whole."""

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from mlotel.drift.detector import Detector

_PATIENCE_S = 1.0

_detectors: "WeakSet[Detector]" = WeakSet()
_held: "list[threading.Lock]" = []


def protect(detector: "Detector") -> None:
    """Let no fork happen while another thread is in ``detector``."""
    _detectors.add(detector)


def _before() -> None:
    for detector in list(_detectors):
        if detector._lock.acquire(timeout=_PATIENCE_S):
            _held.append(detector._lock)


def _after_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_in_child() -> None:
    _held.clear()
    for detector in list(_detectors):
        detector._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
