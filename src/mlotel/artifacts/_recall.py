"""Columns that were described before, told by their bytes as they lie.

To make the bytes of a column canonical they are looked at several times and partly copied: nulls are found and taken
out, strings get lengths. The same columns come again and again: written by one component, read by the next, hashed
once more to see whether the component changed them. One hash of the raw bytes, at the speed of memory, tells that a
column is one of those; it is as wide as the ids are, so it can be wrong no sooner than they.

Nothing is assumed to be unchanged: every byte is read each time. Ids of blake3 and sha256 are for those who do not
trust xxh3, so for them nothing is recalled.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import xxhash

from mlotel.artifacts._base import Hasher

__all__ = ["recalled"]

Described: TypeAlias = tuple[bytes, int]
"""Digest and size of a column."""

LEAST = 1 << 16
"""Bytes below which a column is described sooner than it is recalled."""

REMEMBERED = 8192
_PIECE = 1 << 24  # between two looks at the budget

_known: OrderedDict[tuple[Any, ...], Described] = OrderedDict()
_lock = threading.Lock()


def recalled(
    hasher: Hasher, about: tuple[Any, ...], buffers: Sequence[Any], describe: Callable[[], Described]
) -> Described:
    """What ``describe()`` returns, or has returned for the same bytes.

    Args:
        hasher: Of the whole.
        about: All that the description depends on beside the bytes: the type, the number of rows, a word for the way.
        buffers: C-contiguous.
        describe: Describes the column.
    """
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    if hasher.scheme != "xxh3" or hasher.sampling or sum(view.nbytes for view in views) < LEAST:
        return describe()
    raw = xxhash.xxh3_128()
    for view in views:
        for start in range(0, view.nbytes, _PIECE):
            hasher.check()
            raw.update(view[start : start + _PIECE])
    key = (*about, *(view.nbytes for view in views), raw.digest())
    with _lock:
        known = _known.get(key)
        if known is not None:
            _known.move_to_end(key)
            return known
    described = describe()
    with _lock:
        _known[key] = described
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return described


def forget() -> None:
    """Describe every column anew, for who measures."""
    with _lock:
        _known.clear()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
