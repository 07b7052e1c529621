"""Columns of Python objects: the type of such a column is that of the values in it."""

import datetime
import decimal
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mlotel.artifacts import value as plain
from mlotel.artifacts._base import Hasher, Unidentifiable
from mlotel.artifacts._columns import ROWS, Column, number_type
from mlotel.artifacts._numbers import Array

IsNull: TypeAlias = Callable[[Array], Array]

_EPOCH = datetime.datetime(1970, 1, 1)
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_MICROSECOND = datetime.timedelta(microseconds=1)
_WIDE = 10**38  # the most that Arrow's and Parquet's usual decimals hold
_STRINGS = frozenset({str, np.str_})
_BYTES = frozenset({bytes, np.bytes_})
_BOOLS = frozenset({bool, np.bool_})
_INTS = frozenset({int, np.int64})
_FLOATS = frozenset({float, np.float64})
_LISTS = frozenset({list, np.ndarray})


def add_objects(column: Column, values: Array, is_null: IsNull, hasher: Hasher) -> str:
    """Describe a column of objects; returns its logical type.

    Args:
        column: Takes the values.
        values: ``(n,)`` objects.
        is_null: Tells which objects of a run are nulls; asked only about values of known types.
        hasher: Of the whole.

    Raises:
        Unidentifiable: If there is an object among them whose content cannot be hashed.
    """
    nulls = np.zeros(len(values), dtype=bool)
    kinds: set[type] = set()
    for start in range(0, len(values), ROWS):
        part = values[start : start + ROWS]
        present = set(map(type, part))
        for kind in present - kinds:
            if not (plain.is_plain(kind) or kind is np.ndarray):
                raise Unidentifiable(f"a column with a value of type {kind.__qualname__}")
        if present <= _STRINGS:  # the most frequent, and no string is a null
            kinds |= present
        else:
            missing = is_null(part)
            nulls[start : start + ROWS] = missing
            kinds |= set(map(type, part[~missing])) if missing.any() else present
        hasher.check()
    if not kinds:
        column.count(len(values), nulls)
        return "null"
    for known, add in _KNOWN:
        if kinds <= known:
            described = add(column, values, nulls, is_null, hasher)
            if described is not None:
                return described
    if len(kinds) == 1 and issubclass(kind := kinds.pop(), np.number):
        return _numbers(column, values, nulls, np.dtype(kind))
    _mixed(column, values, nulls, hasher)
    return "object"


def add_strings(column: Column, values: Array, nulls: Array) -> None:
    """Describe ``(n,)`` objects that are ``str``, whatever stands where there are nulls."""
    for start in range(0, len(values), ROWS):
        part, missing = values[start : start + ROWS], nulls[start : start + ROWS]
        encoded = _encoded(part, missing)
        if encoded is not None:
            column.varied(*encoded, missing)
            continue
        if missing.any():
            part = part.copy()
            part[missing] = ""
        words = part.tolist()
        joined = "".join(words)
        if joined.isascii():
            lengths, data = map(len, words), joined.encode()
        else:
            data = b"".join(texts := [word.encode("utf-8", "surrogatepass") for word in words])
            lengths = map(len, texts)
        column.varied(np.fromiter(lengths, np.int64, len(words)), data, missing)


def _encoded(words: Array, nulls: Array) -> tuple[Array, Any] | None:
    """Lengths and bytes of strings, by pyarrow where pandas has loaded it; it takes half of the time.

    None where there is no pyarrow, or half of a surrogate pair, which it refuses.
    """
    arrow = sys.modules.get("pyarrow")
    if arrow is None or not len(words):
        return None
    try:
        made = arrow.array(words, type=arrow.large_string(), mask=nulls if nulls.any() else None)
        _, offsets, data = made.buffers()
        if made.null_count != np.count_nonzero(nulls):
            return None
    except Exception:  # whatever it is, Python can do it too
        return None
    ends = np.frombuffer(offsets, np.int64, len(made) + 1, 8 * made.offset)
    return np.diff(ends), (b"" if data is None else memoryview(data)[ends[0] : ends[-1]])


def _runs(values: Array, nulls: Array, filler: Any) -> Any:
    """Runs of values with ``filler`` where there are nulls, and the nulls."""
    for start in range(0, len(values), ROWS):
        part, missing = values[start : start + ROWS], nulls[start : start + ROWS]
        if missing.any():
            part = part.copy()
            part[missing] = filler
        yield part, missing


def _strings(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str:
    add_strings(column, values, nulls)
    return "string"


def _bytes(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str:
    for part, missing in _runs(values, nulls, b""):
        column.varied(np.fromiter(map(len, part), np.int64, len(part)), b"".join(part), missing)
    return "binary"


def _bools(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str:
    for part, missing in _runs(values, nulls, False):
        column.numbers(part.astype(bool), missing)
    return "bool"


def _ints(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str | None:
    present = values[~nulls]
    low, high = min(present), max(present)  # older versions of numpy wrap what does not fit
    if low >= -(2**63) and high < 2**63:
        return _numbers(column, values, nulls, np.dtype(np.int64))
    if low >= 0 and high < 2**64:
        return _numbers(column, values, nulls, np.dtype(np.uint64))
    return None


def _floats(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str:
    return _numbers(column, values, nulls, np.dtype(np.float64))


def _numbers(column: Column, values: Array, nulls: Array, dtype: "np.dtype[Any]") -> str:
    for part, missing in _runs(values, nulls, dtype.type(0)):
        column.numbers(part.astype(dtype), missing)
    return number_type(dtype)


def _dates(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str:
    for part, missing in _runs(values, nulls, datetime.date(1970, 1, 1)):
        days = np.fromiter((day.toordinal() - _EPOCH_DAY for day in part), np.int32, len(part))
        column.numbers(days, missing)
    return "date"


def _datetimes(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str | None:
    if any(moment.tzinfo is not None for moment in values[~nulls]):
        return None
    for part, missing in _runs(values, nulls, _EPOCH):
        column.numbers(
            np.fromiter(((moment - _EPOCH) // _MICROSECOND for moment in part), np.int64, len(part)), missing
        )
    return "timestamp[us]"


def _times(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str | None:
    if any(time.tzinfo is not None for time in values[~nulls]):
        return None
    for part, missing in _runs(values, nulls, datetime.time()):
        seconds = (((t.hour * 60 + t.minute) * 60 + t.second, t.microsecond) for t in part)
        column.numbers(
            np.fromiter((second * 10**9 + micro * 1000 for second, micro in seconds), np.int64, len(part)), missing
        )
    return "time"


def _timedeltas(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str:
    for part, missing in _runs(values, nulls, datetime.timedelta()):
        column.numbers(np.fromiter((delta // _MICROSECOND for delta in part), np.int64, len(part)), missing)
    return "duration[us]"


def _decimals(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str | None:
    tuples = [number.as_tuple() for number in values[~nulls]]
    if any(not isinstance(parts.exponent, int) for parts in tuples):
        return None  # infinities
    scale = max(0, *(-int(parts.exponent) for parts in tuples))
    if scale > 76 or any(int(parts.exponent) > 76 for parts in tuples):
        return None
    numbers = iter([unscaled(parts, scale) for parts in tuples])
    return _add_unscaled(column, [None if missing else next(numbers) for missing in nulls], scale)


def unscaled(parts: decimal.DecimalTuple, scale: int) -> int:
    """A finite decimal times 10 to the power of ``scale``, without rounding."""
    digits = int("".join(map(str, parts.digits)) or "0")
    shift: int = 10 ** (scale + int(parts.exponent))
    return (-digits if parts.sign else digits) * shift


def _add_unscaled(column: Column, numbers: list[int | None], scale: int) -> str | None:
    """Describe decimals as integers of 10 to the power of ``-scale``; None if they do not fit into 256 bits."""
    widest = max((abs(number) for number in numbers if number is not None), default=0)
    if widest >= 10**76:
        return None
    width = 16 if widest < _WIDE else 32
    for start in range(0, len(numbers), ROWS):
        part = numbers[start : start + ROWS]
        data = b"".join((number or 0).to_bytes(width, "little", signed=True) for number in part)
        column.values.raw(data)
        column.size += len(data)
        column.count(len(part), np.array([number is None for number in part]))
    return decimal_type(8 * width, scale)


def decimal_type(bits: int, scale: int) -> str:
    """Logical type of decimals; how many digits there could be is storage."""
    return f"decimal[{scale}]" if bits <= 128 else f"decimal256[{scale}]"


def _lists(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str | None:
    present = values[~nulls]
    arrays = [item for item in present if isinstance(item, np.ndarray)]
    if any(item.ndim != 1 or type(item) is not np.ndarray for item in arrays):
        return None
    lengths = np.zeros(len(values), np.int64)
    lengths[~nulls] = [len(item) for item in present]
    flat: Array
    if len(arrays) == len(present) and len({item.dtype for item in arrays}) == 1:
        flat = np.concatenate(arrays)
    else:
        total = int(lengths.sum())
        flat = np.empty(total, dtype=object)
        place = 0
        for item in present:
            flat[place : place + len(item)] = _as_objects(item)
            place += len(item)
    column.lengths(lengths, nulls)
    inner = add_array(column.child(0), flat, is_null, hasher)
    return None if inner is None else f"list<{inner}>"


def _as_objects(item: Any) -> Array:
    """``(n,)`` objects; numpy would make a matrix of nested lists."""
    objects = np.empty(len(item), dtype=object)
    objects[:] = item.tolist() if isinstance(item, np.ndarray) and item.dtype != object else item
    return objects


def add_array(column: Column, values: Array, is_null: IsNull, hasher: Hasher) -> str:
    """Describe ``(n,)`` elements of lists, in pandas' sense of null."""
    if values.dtype.kind in "biufc":
        column.numbers(values, nan_is_null=True)
        return number_type(values.dtype)
    if values.dtype == object:
        return add_objects(column, values, is_null, hasher)
    return add_objects(column, _as_objects(values), is_null, hasher)


def _dicts(column: Column, values: Array, nulls: Array, is_null: IsNull, hasher: Hasher) -> str | None:
    """Dicts of the same keys are structs; others are plain values."""
    present = values[~nulls]
    keys = list(present[0])
    if (
        not keys
        or any(type(key) is not str for key in keys)
        or any(item.keys() != present[0].keys() for item in present)
    ):
        return None
    column.count(len(values), nulls)
    described = []
    for position, key in enumerate(keys):
        members = np.empty(len(values), dtype=object)
        members[~nulls] = _as_objects([item[key] for item in present])
        described.append(f"{key!r}: {add_objects(column.child(position), members, is_null, hasher)}")
    return "struct<" + ", ".join(described) + ">"


def _mixed(column: Column, values: Array, nulls: Array, hasher: Hasher) -> None:
    write = plain.writer(column.values)
    for start in range(0, len(values), ROWS):
        missing = nulls[start : start + ROWS]
        for element, absent in zip(values[start : start + ROWS], missing, strict=True):
            if not absent:
                write(element)
        column.count(len(missing), missing)


_Add: TypeAlias = Callable[[Column, Array, Array, IsNull, Hasher], str | None]

_KNOWN: tuple[tuple[frozenset[type], _Add], ...] = (
    (_STRINGS, _strings),
    (_BYTES, _bytes),
    (_BOOLS, _bools),
    (_INTS, _ints),
    (_FLOATS, _floats),
    (frozenset({datetime.date}), _dates),
    (frozenset({datetime.datetime}), _datetimes),
    (frozenset({datetime.time}), _times),
    (frozenset({datetime.timedelta}), _timedeltas),
    (frozenset({decimal.Decimal}), _decimals),
    (_LISTS, _lists),
    (frozenset({dict}), _dicts),
)
