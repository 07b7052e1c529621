"""Bytes, and typed memory that is no numpy array."""

import array
import sys
from typing import Any

from mlotel.artifacts._base import CHUNK, Hasher, Unidentifiable
from mlotel.types import Identity

_BYTES = frozenset("Bbc")
_SAMPLES = 256
_SAMPLE_BYTES = 4096


def matches(value: Any) -> bool:
    """Whether the value is bytes, a bytearray, a memoryview or an array of the module ``array``."""
    return type(value) in (bytes, bytearray, memoryview, array.array)


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of the bytes: the same for ``bytes``, ``bytearray`` and a ``memoryview`` of them.

    Memory of other items than bytes also counts by the items' format and shape.
    """
    with memoryview(value) as view:
        form = view.format.lstrip("@=<") if sys.byteorder == "little" else view.format
        if any(letter in form for letter in "OP&X"):
            raise Unidentifiable("memory that holds addresses")
        hasher.text("bytes")
        hasher.text("" if form in _BYTES and view.ndim == 1 else form)
        hasher.number(view.ndim)
        for length in view.shape or ():
            hasher.number(length)
        if view.nbytes:
            _add(hasher, view)
        return hasher.identity(size=view.nbytes)


def _add(hasher: Hasher, view: memoryview) -> None:
    if not view.c_contiguous:
        if view.ndim != 1:
            hasher.raw(view.tobytes())  # in C order
            return
        step = max(1, CHUNK // view.itemsize)
        stride = hasher.stride(len(view) // step + 1, _SAMPLES)
        for start in range(0, len(view), step * stride):
            hasher.raw(view[start : start + step].tobytes())
        return
    flat = view.cast("B")
    stride = hasher.stride(flat.nbytes, _SAMPLES)
    if stride <= _SAMPLE_BYTES:
        hasher.raw(flat)
        return
    for start in range(0, flat.nbytes, stride):
        hasher.raw(flat[start : start + _SAMPLE_BYTES])
