"""pandas DataFrames and Series. In pandas a null is a null, whatever stands for it."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # pandas ships no types

from mlotel.artifacts import value as plain
from mlotel.artifacts._base import Hasher, Unidentifiable
from mlotel.artifacts._columns import (
    ROWS,
    Column,
    Field,
    category,
    extension_type,
    number_type,
    series_identity,
    table_identity,
    time_type,
    zone_name,
)
from mlotel.artifacts._numbers import Array
from mlotel.artifacts._objects import add_objects, add_strings
from mlotel.artifacts._recall import recalled
from mlotel.types import Identity

_ENOUGH_CELLS = 100_000  # of a sampled frame


def matches(value: Any) -> bool:
    """Whether the value is a DataFrame or a Series; subclasses that carry more, such as a projection, are not."""
    return any(
        isinstance(value, base) and type(value)._metadata == base._metadata for base in (pd.DataFrame, pd.Series)
    )


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of a DataFrame or a Series, with its index unless that is the default one."""
    rows = len(value)
    is_default = _is_default(value.index)
    width = 1 if isinstance(value, pd.Series) else max(1, value.shape[1])
    if hasher.sampling:
        limit = max(1, min(1000, _ENOUGH_CELLS // width))
        value = value.iloc[:: hasher.stride(rows, limit)]
    index: Sequence[Field] = ()
    if not is_default:
        levels = value.index
        index = [
            _field(levels.names[level], _array(levels.get_level_values(level)), hasher)
            for level in range(levels.nlevels)
        ]
    if isinstance(value, pd.Series):
        return series_identity(hasher, rows, _field(value.name, _array(value), hasher), index)
    labels = value.columns.tolist()
    fields = [_field(label, array, hasher) for label, array in zip(labels, _arrays(value), strict=True)]
    names = list(value.columns.names)
    return table_identity(hasher, rows, fields, index, names if any(name is not None for name in names) else ())


def _arrays(frame: Any) -> Iterable[Any]:
    """The columns of a frame, as numpy or extension arrays.

    ``items()`` makes a Series of each, which takes longer than to hash a column of a thousand rows.
    """
    if hasattr(frame, "_iter_column_arrays"):  # pandas 2 and 3 have it, but do not promise it
        return frame._iter_column_arrays()  # type: ignore[no-any-return]  # pandas ships no types
    return (_array(series) for _, series in frame.items())


def _array(values: Any) -> Any:
    """The numpy or extension array of a Series or an Index, numpy's own dtypes as numpy arrays."""
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array


def _is_default(index: Any) -> bool:
    """Whether an index says nothing but the position, whatever class it has."""
    if index.nlevels != 1 or index.name is not None:
        return False
    rows = len(index)
    if isinstance(index, pd.RangeIndex):
        return rows == 0 or (index.start == 0 and index.step == 1)
    if rows == 0:
        return bool(index.dtype == object or index.dtype == np.int64)
    if index.dtype != np.int64:
        return False
    positions = index.to_numpy()
    return bool(positions[0] == 0 and positions[-1] == rows - 1 and np.array_equal(positions, np.arange(rows)))


def _field(name: Any, array: Any, hasher: Hasher) -> Field:
    """Describe an array of numpy or pandas."""
    hasher.check()
    dtype = array.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Field(name, *_category(array, hasher))
    if isinstance(dtype, pd.ArrowDtype) or (isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow"):
        from mlotel.artifacts import arrow  # pyarrow is loaded: it holds the column

        return arrow.describe(name, array.__arrow_array__(), hasher, nan_is_null=True)
    if isinstance(dtype, np.dtype):
        values = np.asarray(array)
        if dtype.kind == "f":
            return Field(name, number_type(dtype), *_with_nulls(values, 1, hasher))
        if dtype.kind in "mM":
            return _times(name, values, None, hasher)
    elif isinstance(dtype, pd.DatetimeTZDtype):
        return _times(name, np.asarray(array.tz_convert(None)), _zone(dtype.tz), hasher)
    column = Column(hasher)
    word = _numpy(column, values, hasher) if isinstance(dtype, np.dtype) else _extension(column, array, hasher)
    digest = column.digest()
    return Field(name, word, digest, column.size)


def _times(name: Any, values: Array, zone: str | None, hasher: Hasher) -> Field:
    kind, unit = ("timestamp" if values.dtype.kind == "M" else "duration"), np.datetime_data(values.dtype)[0]
    word, scale = time_type(kind, unit, zone)
    return Field(name, word, *_with_nulls(values, scale, hasher))


def _with_nulls(values: Array, scale: int, hasher: Hasher) -> tuple[bytes, int]:
    """Digest and size of a column that may hold NaN or NaT, which takes several looks."""

    def describe() -> tuple[bytes, int]:
        column = Column(hasher)
        column.numbers(values, nan_is_null=True, scale=scale)
        return column.digest(), column.size

    if not values.flags.c_contiguous:
        return describe()
    return recalled(hasher, ("pandas", values.dtype.str), (values.view(np.uint8),), describe)


def _numpy(column: Column, values: Array, hasher: Hasher) -> str:
    kind = values.dtype.kind
    if kind in "mM":
        word, scale = time_type("timestamp" if kind == "M" else "duration", np.datetime_data(values.dtype)[0])
        column.numbers(values, nan_is_null=True, scale=scale)
        return word
    if kind in "biufc":
        column.numbers(values, nan_is_null=True)
        return number_type(values.dtype)
    if kind == "O":
        return add_objects(column, values, pd.isna, hasher)
    raise Unidentifiable(f"a column of dtype {values.dtype}")


def _extension(column: Column, array: Any, hasher: Hasher) -> str:
    dtype = array.dtype
    if isinstance(dtype, pd.StringDtype):
        for start in range(0, len(array), ROWS):
            part = array[start : start + ROWS]
            add_strings(column, np.asarray(part, dtype=object), np.asarray(part.isna()))
        return "string"
    if isinstance(dtype, pd.DatetimeTZDtype):
        word, scale = time_type("timestamp", dtype.unit, _zone(dtype.tz))
        column.numbers(np.asarray(array.tz_convert(None)), nan_is_null=True, scale=scale)
        return word
    if isinstance(dtype, pd.PeriodDtype):
        column.numbers(array.astype("int64"), np.asarray(array.isna()))
        return extension_type("pandas.period", dtype.name.removeprefix("period[").removesuffix("]"), "int64")
    if isinstance(dtype, pd.IntervalDtype):
        return _interval(column, array, hasher)
    if isinstance(dtype, pd.SparseDtype):
        return _numpy(column, np.asarray(array), hasher)
    numeric = getattr(dtype, "numpy_dtype", None)
    if type(array).__module__.startswith("pandas.") and isinstance(numeric, np.dtype) and numeric.kind in "biuf":
        nulls = np.asarray(array.isna())
        column.numbers(array.to_numpy(dtype=numeric, na_value=numeric.type(0)), nulls, nan_is_null=True)
        return number_type(numeric)
    return f"extension<{str(dtype)!r}, {add_objects(column, np.asarray(array, dtype=object), pd.isna, hasher)}>"


def _interval(column: Column, array: Any, hasher: Hasher) -> str:
    nulls = np.asarray(array.isna())
    column.count(len(array), nulls)
    sides = []
    for position, side in enumerate((array.left, array.right)):
        child = column.child(position)
        if not isinstance(side.dtype, np.dtype):
            sides.append(_extension(child, side.array, hasher))
        elif side.dtype.kind in "iuf":
            child.numbers(side.to_numpy(), nulls)
            sides.append(number_type(side.dtype))
        else:
            sides.append(_numpy(child, side.to_numpy(), hasher))
    storage = f"struct<'left': {sides[0]}, 'right': {sides[1]}>"
    return extension_type("pandas.interval", array.closed, storage)


def _category(array: Any, hasher: Hasher) -> tuple[str, bytes, int]:
    labels = array.categories
    inner = _field(None, _array(labels), hasher).type
    codes = np.asarray(array.codes)
    return category(hasher, labels.tolist(), inner, bool(array.ordered), [(codes, codes < 0)])


def _zone(zone: Any) -> str:
    """A name for the zone as Arrow gives it."""
    name = plain.time_zone(zone)
    if name is None and type(zone).__module__.partition(".")[0] == "dateutil":
        file = getattr(zone, "_filename", None)  # dateutil keeps no name but that of the file it read
        name = file.partition("zoneinfo/")[2] if isinstance(file, str) else None
    if name:
        return zone_name(name)
    offset = zone.utcoffset(None)
    if type(zone).__module__.partition(".")[0] not in ("datetime", "pytz", "pandas") or offset is None:
        raise Unidentifiable(f"a time zone of type {type(zone).__qualname__}")
    minutes = offset // datetime.timedelta(minutes=1)
    sign = "-" if minutes < 0 else "+"
    return zone_name(f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}")
