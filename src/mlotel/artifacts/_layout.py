"""Arrays that lie in memory as they are described, so that their bytes can be taken without a look at each part."""

import functools
import struct
import sys
from typing import Any

import numpy as np

from mlotel.artifacts import array
from mlotel.artifacts._numbers import Array

_SMALL = 1 << 12  # bytes of an array that are copied rather than looked at in pieces


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
    if values.nbytes > _SMALL or not is_as_described(values):
        return None
    return array_head(values.dtype) + shape_token(values.shape) + values.tobytes()


def is_as_described(values: Array) -> bool:
    """Whether an array of numbers lies in memory as it is described: little-endian, in C order, without NaN."""
    dtype = values.dtype
    kind = dtype.kind
    if kind not in "iuf" or not dtype.isnative or not values.flags.c_contiguous or sys.byteorder == "big":
        return False
    if kind == "f" and values.size:
        lowest = np.minimum.reduce(values, axis=None)
        return bool(dtype.itemsize <= 8 and lowest == lowest)
    return True


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
        words = data.view(np.uint64).reshape(-1, itemsize // 8)[:, -1]
        used_bits = 8 * (8 - (itemsize - padding[0][0]))
        return int(np.bitwise_or.reduce(words)) >> used_bits == 0
    rows = data.reshape(-1, itemsize)
    return not any(rows[:, first:last].any() for first, last in padding)
