"""Arrays that lie in memory as they are described, so that their bytes can be taken without a look at each part."""

import functools
import struct
import sys
from typing import Any

import numpy as np

from mlotel.artifacts import array
from mlotel.artifacts._numbers import Array

SMALL = 1 << 14
"""Bytes of an array that are copied rather than looked at in pieces."""


@functools.lru_cache(maxsize=256)
def array_head(dtype: "np.dtype[Any]") -> bytes:
    """What is said of a dtype; where the fields lie counts when they are taken as they lie."""
    word = array._word(dtype)
    if dtype.fields is not None:
        word += f"@{[dtype.fields[name][1] for name in dtype.names or ()]}/{dtype.itemsize}"
    data = word.encode()
    return b"a" + len(data).to_bytes(8, "little") + data


@functools.lru_cache(maxsize=1024)
def shape_token(shape: tuple[int, ...]) -> bytes:
    """How many axes, and their lengths."""
    return struct.pack(f"<{1 + len(shape)}q", len(shape), *shape)


def small_array(values: Array) -> bytes | None:
    """All tokens of a small array of numbers that lies in memory as it is described; None for others."""
    if values.nbytes > SMALL or not values.flags.c_contiguous:
        return None
    dtype = values.dtype
    head = _plain_head(dtype)
    if head is not None:
        if dtype.kind == "f":
            square = np.vdot(values, values)  # takes half as long as the least element, for so few
            if square != square:  # squares do not cancel out, so there is NaN among them
                return None
        return head + shape_token(values.shape) + values.tobytes()
    head = _records_head(dtype)
    if head is None or not values.size:
        return None
    data = values.tobytes()
    padding = padding_of(dtype)
    if padding and not is_clean(np.frombuffer(data, np.uint8), padding, dtype.itemsize):
        return None
    return head + shape_token(values.shape) + data


def is_as_described(values: Array) -> bool:
    """Whether an array of numbers lies in memory as it is described: little-endian, in C order, without NaN."""
    if _plain_head(values.dtype) is None or not values.flags.c_contiguous:
        return False
    if values.dtype.kind != "f" or not values.size:
        return True
    lowest = np.minimum.reduce(values, axis=None)  # NaN, if there is one
    return bool(lowest == lowest)


@functools.lru_cache(maxsize=256)
def _plain_head(dtype: "np.dtype[Any]") -> bytes | None:
    """What is said of a dtype of plain little-endian numbers; None for others."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or not dtype.isnative or sys.byteorder == "big":
        return None
    return array_head(dtype)


@functools.lru_cache(maxsize=64)
def _records_head(dtype: "np.dtype[Any]") -> bytes | None:
    """What is said of a dtype of records that are taken as they lie; None for others."""
    return None if padding_of(dtype) is None else b"A" + array_head(dtype)


@functools.lru_cache(maxsize=64)
def padding_of(dtype: "np.dtype[Any]") -> tuple[tuple[int, int], ...] | None:
    """Ranges of bytes between the fields; None for dtypes that hold more than plain little-endian numbers."""
    if dtype.fields is None or sys.byteorder == "big":
        return None
    fields = sorted((offset, part) for part, offset, *_ in dtype.fields.values())
    gaps, end = [], 0
    for offset, part in fields:
        if part.kind not in "biuf" or not part.isnative or part.itemsize > 8 or offset < end:
            return None
        if offset > end:
            gaps.append((end, offset))
        end = offset + part.itemsize
    if end < dtype.itemsize:
        gaps.append((end, dtype.itemsize))
    return tuple(gaps)


def is_clean(data: Array, padding: tuple[tuple[int, int], ...], itemsize: int) -> bool:
    """Whether there are only zeros between the fields; told by whole words where the gap is at the end of one."""
    if len(padding) == 1 and itemsize % 8 == 0 and padding[0][1] == itemsize and padding[0][0] >= itemsize - 8:
        words = data.view(np.uint64)[itemsize // 8 - 1 :: itemsize // 8]
        used_bits = 8 * (8 - (itemsize - padding[0][0]))
        return int(np.bitwise_or.reduce(words)) >> used_bits == 0
    rows = data.reshape(-1, itemsize)
    return not any(rows[:, first:last].any() for first, last in padding)
