"""Fixed-width numbers as canonical bytes: little-endian, one NaN, clean booleans; without copies where possible."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from mlotel.artifacts._base import CHUNK, Hasher

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

NAT = np.iinfo(np.int64).min
"""What numpy and pandas write where a time is missing."""


def little(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """The little-endian dtype of the same values."""
    return dtype.newbyteorder("<")


def blocks(array: Array) -> Iterator[Array]:
    """The elements in C order, as one-dimensional contiguous little-endian arrays of about ``CHUNK`` bytes.

    Contiguous native data are seen through views; anything else is copied a block at a time.
    """
    if array.size == 0:
        return
    if array.ndim > 1 and array.flags.c_contiguous:
        array = array.reshape(-1)
    if array.ndim == 0:
        array = array.reshape(1)
    row_bytes = array.nbytes // array.shape[0]
    if array.ndim > 1 and row_bytes > CHUNK:
        for row in array:
            yield from blocks(row)
        return
    dtype = little(array.dtype)
    step = max(1, CHUNK // max(1, row_bytes))
    for start in range(0, array.shape[0], step):
        yield np.ascontiguousarray(array[start : start + step], dtype=dtype).reshape(-1)


def missing_in(block: Array) -> Array | None:
    """Where a block of floats has NaN or a block of times has NaT; None if nowhere.

    One pass that finds the smallest element, which is NaN or NaT if there is any: the block is still in the cache,
    so this costs less than half of reading it from memory.
    """
    kind = block.dtype.kind
    if kind in "fc":
        parts = block if kind == "f" else block.view(_part(block.dtype))
        with np.errstate(invalid="ignore"):  # a signalling NaN would warn
            return np.isnan(block) if np.isnan(parts.min()) else None
    if kind in "mM":
        integers = block.view(np.int64)
        return integers == NAT if integers.min() == NAT else None
    return None


def canonical(block: Array) -> Array:
    """The block with all NaNs alike and booleans of 0 and 1; itself where that is so already."""
    kind = block.dtype.kind
    if kind == "f":
        missing = missing_in(block)
        if missing is not None:
            block = block.copy()
            block[missing] = np.nan
    elif kind == "c":
        parts = block.view(_part(block.dtype))
        clean = canonical(parts)
        block = block if clean is parts else clean.view(block.dtype)
    elif kind == "b" and block.view(np.uint8).max() > 1:
        block = block.view(np.uint8) != 0
    return block


def feed(hasher: Hasher, block: Array) -> None:
    """Add the bytes of a non-empty contiguous block."""
    if block.dtype.kind in "fc" and block.dtype.itemsize > 8 * (1 + (block.dtype.kind == "c")):
        _feed_long(hasher, block)
    else:
        hasher.raw(block.view(np.uint8))


def _feed_long(hasher: Hasher, block: Array) -> None:
    """Extended precision: x86 keeps 10 bytes of value in 12 or 16, and the rest is whatever was there before."""
    parts = block.view(np.longdouble)
    raw = parts.view(np.uint8).reshape(len(parts), -1)
    used = 10 if np.finfo(np.longdouble).nmant == 63 else raw.shape[1]
    hasher.raw(np.ascontiguousarray(raw[:, :used]).reshape(-1))


def _part(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """The dtype of the real part."""
    return np.empty(0, dtype).real.dtype
