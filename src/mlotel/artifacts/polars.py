"""polars DataFrames and Series, read by polars itself: pyarrow is not needed."""

from typing import Any

import numpy as np
import polars as pl

from mlotel.artifacts._base import Hasher, Unidentifiable
from mlotel.artifacts._columns import (
    ROWS,
    Column,
    Field,
    category,
    extension_detail,
    extension_type,
    series_identity,
    table_identity,
    time_type,
    zone_name,
)
from mlotel.artifacts._numbers import Array
from mlotel.artifacts._objects import add_objects, decimal_type, unscaled
from mlotel.types import Identity

_ENOUGH_CELLS = 100_000  # of a sampled frame


def matches(value: Any) -> bool:
    """Whether the value is a DataFrame or a Series. Lazy frames have no content yet."""
    return isinstance(value, (pl.DataFrame, pl.Series))


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of a DataFrame or a Series; an empty name of a Series is no name."""
    rows = len(value)
    if hasher.sampling:
        width = 1 if isinstance(value, pl.Series) else max(1, value.width)
        value = value.gather_every(hasher.stride(rows, max(1, min(1000, _ENOUGH_CELLS // width))))
    if isinstance(value, pl.Series):
        return series_identity(hasher, rows, _field(value.name or None, value, hasher))
    return table_identity(hasher, rows, [_field(series.name, series, hasher) for series in value.get_columns()])


def _field(name: str | None, series: pl.Series, hasher: Hasher) -> Field:
    hasher.check()
    dtype = _instance(series.dtype)
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return Field(name, *_category(series, hasher))
    column = Column(hasher)
    word = _word(dtype)
    if isinstance(dtype, pl.Object):
        word = _objects(column, series, hasher)
    else:
        _add_all(column, series, hasher)
    digest = column.digest()
    return Field(name, word, digest, column.size)


def _objects(column: Column, series: pl.Series, hasher: Hasher) -> str:
    values = np.empty(len(series), dtype=object)
    values[:] = series.to_list()
    return add_objects(column, values, lambda part: np.array([item is None for item in part], dtype=bool), hasher)


def _add_all(column: Column, series: pl.Series, hasher: Hasher) -> None:
    for chunk in series.get_chunks():
        for start in range(0, len(chunk), ROWS):
            _add(column, chunk.slice(start, ROWS), hasher)
            hasher.check()


def _category(series: pl.Series, hasher: Hasher) -> tuple[str, bytes, int]:
    """An Enum has its labels in its dtype; of a Categorical only the labels in use are known."""
    dtype = _instance(series.dtype)
    if isinstance(dtype, pl.Enum):
        labels = dtype.categories.to_list()
        positions = series.to_physical().fill_null(0).to_numpy()
    else:
        labels = series.unique().cast(pl.String).drop_nulls().to_list()
        own = pl.Enum(labels)
        positions = series.cast(pl.String).cast(own).to_physical().fill_null(0).to_numpy()
    return category(hasher, labels, "string", isinstance(dtype, pl.Enum), [(positions, _nulls(series))])


def _nulls(series: pl.Series) -> Array | None:
    return series.is_null().to_numpy() if series.null_count() else None


def _add(column: Column, series: pl.Series, hasher: Hasher) -> None:
    """Describe one run of rows."""
    dtype = _instance(series.dtype)
    nulls = _nulls(series)
    if isinstance(dtype, _WIDE):
        _wide(column, series)
    elif dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Boolean):
        physical = series.to_physical()
        if nulls is not None:
            physical = physical.fill_null(False if isinstance(dtype, pl.Boolean) else 0)
        column.numbers(physical.to_numpy(), nulls)
    elif isinstance(dtype, pl.String):
        lengths = series.str.len_bytes().fill_null(0).to_numpy()
        column.varied(lengths, series.str.join("").item().encode(), nulls)
    elif isinstance(dtype, pl.Binary):
        values = [value or b"" for value in series.to_list()]
        column.varied(np.fromiter(map(len, values), np.int64, len(values)), b"".join(values), nulls)
    elif isinstance(dtype, pl.Null):
        column.count(len(series), np.ones(len(series), dtype=bool))
    else:
        _nested(column, series, nulls, hasher)


def _wide(column: Column, series: pl.Series) -> None:
    """Decimals and integers of 128 bits."""
    dtype = _instance(series.dtype)
    signed = not isinstance(dtype, _UINT128)
    numbers: list[int | None]
    if isinstance(dtype, pl.Decimal) and _INT128 == ():
        numbers = [None if n is None else unscaled(n.as_tuple(), dtype.scale) for n in series.to_list()]
    else:
        numbers = series.to_physical().to_list()
    for number in numbers:
        column.values.token((number or 0).to_bytes(16, "little", signed=signed))
    column.size += 16 * len(numbers)
    column.count(len(numbers), _nulls(series))


def _nested(column: Column, series: pl.Series, nulls: Array | None, hasher: Hasher) -> None:
    dtype = _instance(series.dtype)
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        _add(column, series.cast(pl.String), hasher)
    elif isinstance(dtype, pl.List):
        lengths = series.list.len().fill_null(0)
        column.lengths(lengths.to_numpy(), nulls)
        held = series.filter(lengths > 0)  # explode() makes a null of an empty list
        if len(held):
            _add_all(column.child(0), held.explode(), hasher)
    elif isinstance(dtype, pl.Array):
        column.count(len(series), nulls)
        held = series.drop_nulls()
        if len(held) and dtype.size:
            _add_all(column.child(0), held.explode(), hasher)
    elif isinstance(dtype, pl.Struct):
        column.count(len(series), nulls)
        for position, field in enumerate(dtype.fields):
            _add(column.child(position), series.struct.field(field.name), hasher)
    elif isinstance(dtype, _EXTENSION):
        _add(column, series.ext.storage(), hasher)
    else:
        raise Unidentifiable(f"a column of type {dtype}")


# types that came after polars 1.0; nothing is an instance of ()
_INT128: Any = getattr(pl, "Int128", ())
_UINT128: Any = getattr(pl, "UInt128", ())
_WIDE = (pl.Decimal, _INT128, _UINT128)
_EXTENSION: Any = getattr(pl, "Extension", ())
_UNITS = {
    pl.Date: "date",
    pl.Time: "time",
    pl.Boolean: "bool",
    pl.String: "string",
    pl.Binary: "binary",
    pl.Null: "null",
}


def _word(dtype: pl.DataType) -> str:
    """Logical type of a polars type."""
    simple = _UNITS.get(type(dtype))
    if simple is not None:
        return simple
    if isinstance(dtype, pl.Datetime):
        zone = dtype.time_zone
        return time_type("timestamp", dtype.time_unit, None if zone is None else zone_name(zone))[0]
    if isinstance(dtype, pl.Duration):
        return time_type("duration", dtype.time_unit)[0]
    if isinstance(dtype, pl.Decimal):
        return decimal_type(128, dtype.scale)
    if dtype.is_numeric():
        return str(dtype).lower()  # Int64, UInt8, Float32, Int128
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return "encoded<string>"
    if isinstance(dtype, pl.List):
        return f"list<{_word(_inner(dtype))}>"
    if isinstance(dtype, pl.Array):
        return f"array<{_word(_inner(dtype))}, {dtype.size}>"
    if isinstance(dtype, pl.Struct):
        return "struct<" + ", ".join(f"{field.name!r}: {_word(_instance(field.dtype))}" for field in dtype.fields) + ">"
    if isinstance(dtype, _EXTENSION):
        extension: Any = dtype
        name = extension.ext_name()
        detail = extension_detail(name, extension.ext_metadata() or "")
        return extension_type(name, detail, _word(_instance(extension.ext_storage())))
    return str(dtype)


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return _instance(dtype.inner)


def _instance(dtype: Any) -> pl.DataType:
    """A type may stand for itself as a class: in nested types, and pl.Time in older versions."""
    instance: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return instance
