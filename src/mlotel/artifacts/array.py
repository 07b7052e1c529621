"""numpy arrays: shape, dtype and elements; strides, memory order, byte order and padding do not count."""

from typing import Any

import numpy as np

from mlotel.artifacts import value as plain
from mlotel.artifacts._base import Hasher, Unidentifiable, hash_schema
from mlotel.artifacts._columns import number_type
from mlotel.artifacts._numbers import Array, blocks, canonical, feed, little
from mlotel.types import Identity


def matches(value: Any) -> bool:
    """Whether the value is an array of numpy's own; a subclass of others may hold more, such as a unit."""
    return isinstance(value, np.ndarray) and type(value).__module__.partition(".")[0] == "numpy"


def identify(value: Array, hasher: Hasher) -> Identity:
    """Identity of an array: ``(n,)`` has n rows, ``(n, m)`` also m columns."""
    hasher.text("array")
    shape = value.shape
    _describe(value, hasher)
    return hasher.identity(
        schema_hash=hash_schema(["array", _word(value.dtype), *map(str, shape[1:])]),
        rows=shape[0] if shape else None,
        columns=shape[1] if len(shape) == 2 else None,
        size=None if value.dtype.hasobject else value.nbytes,
    )


def _describe(array: Array, hasher: Hasher) -> None:
    """Describe shape, dtype and elements, also for the fields of structured arrays."""
    hasher.number(array.ndim)
    for length in array.shape:
        hasher.number(length)
    hasher.text(_word(array.dtype))
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        hasher.text("masked")
        _describe(mask, hasher)
        filled = np.array(array.data)  # what is under the mask is noise
        filled[mask] = np.zeros((), array.dtype)
        array = filled
    array = np.ndarray.view(array, np.ndarray)
    if array.dtype.names is not None:
        for name in array.dtype.names:
            hasher.text(name)
            _describe(array[name], hasher)
        return
    _elements(_sample(array, hasher), hasher)


def _elements(array: Array, hasher: Hasher) -> None:
    kind = array.dtype.kind
    if kind in "biufcmM":
        for block in blocks(array):
            feed(hasher, canonical(block))
    elif kind in "OT":
        write = plain.writer(hasher)
        for element in array.flat:
            write(element)
    elif kind in "US":
        _strings(array, hasher)
    elif kind == "V":
        hasher.number(array.dtype.itemsize)
        for block in blocks(array):
            hasher.raw(block.view(np.uint8))
    else:
        raise Unidentifiable(f"an array of dtype {array.dtype}")


def _strings(array: Array, hasher: Hasher) -> None:
    """Fixed-width strings, as wide as the longest of them: dtypes are wider than that by accident."""
    longest = 0
    for block in blocks(array):
        longest = max(longest, int(np.char.str_len(block).max()))
        hasher.check()
    hasher.number(longest)
    if longest:
        narrow = np.dtype(f"<{array.dtype.kind}{longest}")
        for block in blocks(array):
            hasher.raw(block.astype(narrow).view(np.uint8))


def _sample(array: Array, hasher: Hasher) -> Array:
    """A strided sample of at most 1,000 rows and 100,000 elements when only that is wanted."""
    for axis, length in enumerate(array.shape):
        limit = 1000 if axis == 0 else max(1, 100_000 // max(1, int(np.prod(array.shape[:axis]))))
        array = array[(slice(None),) * axis + (slice(None, None, hasher.stride(length, limit)),)]
    return array


def _word(dtype: "np.dtype[Any]") -> str:
    """The dtype without byte order, width of strings, offsets and padding."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"{_word(base)}{list(shape)}"
    if dtype.names is not None:
        return "{" + ", ".join(f"{name!r}: {_word(dtype[name])}" for name in dtype.names) + "}"
    if dtype.kind in "biufc":
        return number_type(dtype)
    if dtype.kind in "mM":
        return little(dtype).str
    return {"O": "object", "U": "str", "S": "bytes", "T": "string", "V": f"void{dtype.itemsize}"}.get(
        dtype.kind, str(dtype)
    )
