"""Columns of whatever library holds them, as numpy arrays that keep every distinction between values.

The statistics of ``mlotel.drift`` read their samples through this module too.
"""

import datetime
import decimal
import fractions
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlotel.errors import InvalidArgumentError, InvalidTypeError

Array: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal["number", "boolean", "time", "duration", "category"]

ACCEPTED = "a column of pandas, polars or pyarrow, a numpy array or a list"
_BY_DTYPE: dict[str, Kind] = {
    "b": "boolean", "i": "number", "u": "number", "f": "number", "M": "time", "m": "duration",
}  # fmt: skip
_NUMBERS = (bool, int, float, np.number, np.bool_, decimal.Decimal, fractions.Fraction)
_TIMES = (datetime.date, np.datetime64)  # datetime.datetime and pandas.Timestamp are dates too
_DURATIONS = (datetime.timedelta, np.timedelta64)
_LABELS = (str, bytes, bool, int, float, np.number, np.bool_, datetime.date, datetime.time, decimal.Decimal)
_NEVER_A_VALUE = ("NoneType", "NAType", "NaTType")
_SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True, eq=False)
class Column:
    """One column of ``n`` rows.

    Attributes:
        kind: ``number``, ``boolean``, ``time``, ``duration`` or ``category`` (text and labels).
        values: ``(n,)`` of dtype float, int, bool, ``datetime64`` (UTC), ``timedelta64`` or, for categories, object.
            What stands where a value is missing means nothing.
        missing: ``(n,)`` booleans: None, NaN, NaT or ``pd.NA``.
    """

    kind: Kind
    values: Array
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    @functools.cached_property
    def present(self) -> Array:
        """The values that are not missing; infinities are among them."""
        return self.values[~self.missing] if self.missing.any() else self.values

    def finite(self) -> Array:
        """``(n,)`` booleans: neither missing nor infinite."""
        if self.values.dtype.kind == "f":
            return np.isfinite(self.values) & ~self.missing
        return ~self.missing

    def codes(self) -> tuple[NDArray[np.intp], list[Any]]:
        """A number from 0 for each distinct value, -1 where it is missing; and the values behind the numbers."""
        codes = np.full(len(self.values), -1, dtype=np.intp)
        if self.kind == "category":
            place: dict[Any, int] = {}
            codes[~self.missing] = [place.setdefault(value, len(place)) for value in self.present.tolist()]
            return codes, list(place)
        distinct, found = np.unique(self.present, return_inverse=True)
        codes[~self.missing] = found
        return codes, distinct.tolist()

    def seconds_or_numbers(self, origin: Any = None) -> NDArray[np.float64]:
        """``(n,)`` float64; times are seconds. NaN where missing.

        Args:
            origin: Is subtracted before the conversion, while that is exact. None: 0, and for times 1970.
        """
        if self.kind == "category":
            raise InvalidTypeError("Text and categories have no numbers.")
        if self.kind == "time":
            numbers = _seconds(self.values - (np.datetime64(0, "s") if origin is None else origin))
        elif self.kind == "duration":
            numbers = _seconds(self.values if origin is None else self.values - origin)
        elif origin is None or self.values.dtype.kind not in "iu":
            numbers = self.values.astype(np.float64) - (0.0 if origin is None else float(origin))
        else:
            numbers = (self.values - self.values.dtype.type(origin)).astype(np.float64)
        if self.missing.any():
            numbers[self.missing] = np.nan
        return np.asarray(numbers, dtype=np.float64)


def read(values: Any, what: str = "values") -> Column:
    """Read one column.

    Args:
        values: A pandas or polars series, a pyarrow array, a numpy array of one column, a list, tuple or range of
            numbers, booleans, dates, times or text; a ``Column`` is returned as it is.
        what: What errors call it.

    Raises:
        InvalidTypeError: If it is no column, or holds something else.
        InvalidArgumentError: If it is an array of several columns.

    Example:
        >>> read([1, None, 3]).missing.tolist()
        [False, True, False]
        >>> read(["AA", "DL", None]).kind
        'category'
    """
    if isinstance(values, Column):
        return values
    for root in _roots(type(values)):
        if root in _LIBRARIES:
            return _LIBRARIES[root](values, what)
    if isinstance(values, (str, bytes, bytearray, Mapping)) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"Cannot read {what}: got {_type_name(values)}. Pass {ACCEPTED}.")
    if hasattr(values, "__array__"):
        return _from_numpy(np.asarray(values), what)
    return _from_objects(_objects(list(values)), what)


def table_columns(table: Any, what: str = "the table") -> dict[str, Any]:
    """The columns of a table, unread, by name.

    Args:
        table: A pandas or polars frame, a pyarrow table, a 2-D array (its columns are ``"0"``, ``"1"``, …) or a
            mapping of names to columns.
        what: What errors call it.

    Raises:
        InvalidTypeError: If it is no table.
        InvalidArgumentError: If the columns of a mapping differ in length, or two columns have one name.

    Example:
        >>> list(table_columns({"age": [31, 45], "carrier": ["AA", "DL"]}))
        ['age', 'carrier']
    """
    if isinstance(table, Mapping):
        found = [(str(name), column) for name, column in table.items()]
        lengths = {name: len(column) for name, column in found if _has_length(column)}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name!r} {length:,}" for name, length in list(lengths.items())[:5])
            raise InvalidArgumentError(f"Columns of {what} differ in length: {shown}. Pass columns of equal length.")
    elif isinstance(table, np.ndarray) and table.ndim == 2:
        found = [(str(place), table[:, place]) for place in range(table.shape[1])]
    elif "pandas" in _roots(type(table)) and hasattr(table, "iloc") and hasattr(table, "columns"):
        found = [(str(name), table.iloc[:, place]) for place, name in enumerate(table.columns)]
    elif "polars" in _roots(type(table)) and hasattr(table, "get_columns"):
        found = [(column.name, column) for column in table.get_columns()]
    elif "pyarrow" in _roots(type(table)) and hasattr(table, "column_names"):
        found = [(name, table.column(place)) for place, name in enumerate(table.column_names)]
    else:
        raise InvalidTypeError(
            f"Cannot read {what}: got {_type_name(table)}. Pass a pandas or polars frame, a pyarrow table, a 2-D array "
            "or {name: values}."
        )
    columns = dict(found)
    if len(columns) < len(found):
        names = [name for name, _ in found]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgumentError(f"Two columns of {what} are called {twice!r}. Rename one of them.")
    return columns


def _has_length(column: Any) -> bool:
    return hasattr(column, "__len__") and getattr(column, "ndim", 1) > 0  # an array of no dimension has none


def _seconds(durations: Array) -> Array:
    """Seconds as floats; whole ones apart from the rest, since nanoseconds of years are beyond 53 bits."""
    whole = durations.astype("m8[s]")
    return np.asarray(whole / _SECOND + (durations - whole) / _SECOND)


def _roots(kind: type) -> list[str]:
    """Import names of the libraries that define a type and its bases."""
    return [str(type.__getattribute__(base, "__module__")).partition(".")[0] for base in kind.__mro__]


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _objects(values: Sequence[Any]) -> Array:
    """``(n,)`` of dtype object; numpy itself would open the values that are sequences."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _from_numpy(values: Any, what: str) -> Column:
    array = np.asarray(values)
    masked = np.ma.getmaskarray(values).ravel() if isinstance(values, np.ma.MaskedArray) else None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        shape = " × ".join(map(str, array.shape)) or "no dimension"
        raise InvalidArgumentError(f"Cannot read {what}: got an array of {shape}. Pass one column of it at a time.")
    if array.dtype.kind in "USTO":
        column = _from_objects(array.astype(object), what)
    elif array.dtype.kind in _BY_DTYPE:
        column = _from_native(array)
    else:
        raise InvalidTypeError(
            f"Cannot read {what}: values of dtype {array.dtype} have no order. Pass their parts as columns, or drop it."
        )
    return column if masked is None else Column(column.kind, column.values, column.missing | masked)


def _from_native(array: Array, nulls: NDArray[np.bool_] | None = None) -> Column:
    """A column of a numpy dtype that can be kept."""
    kind = array.dtype.kind
    if kind == "f":
        array = array.astype(np.float64, copy=False)
        missing = np.isnan(array)
    elif kind in "mM":
        if np.datetime_data(array.dtype)[0] in ("Y", "M"):  # a month has no fixed length, its first day has a date
            array = array.astype(f"{kind}8[D]")
        missing = np.isnat(array)
    else:
        missing = np.zeros(len(array), dtype=bool)
        if kind == "u":
            small = array.dtype.itemsize < 8 or not len(array) or int(array.max()) <= np.iinfo(np.int64).max
            array = array.astype(np.int64) if small else array
        elif kind == "i":
            array = array.astype(np.int64, copy=False)
    return Column(_BY_DTYPE[kind], array, missing if nulls is None else missing | nulls)


def _from_objects(array: Array, what: str) -> Column:
    """A column of Python objects, by the types of its values."""
    kinds = {type(value) for value in array.tolist()}
    if kinds <= {str}:
        return Column("category", array, np.zeros(len(array), dtype=bool))
    missing = np.fromiter((_is_missing(value) for value in array.tolist()), dtype=bool, count=len(array))
    present = array[~missing].tolist()
    kinds = {type(value) for value in present}
    if not kinds:
        return Column("number", np.full(len(array), np.nan), missing)
    converted: Array | None = None
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        converted = np.array(present, dtype=bool)
    elif all(issubclass(kind, _NUMBERS) for kind in kinds):
        converted = _numbers(present)
    elif all(issubclass(kind, _TIMES) for kind in kinds):
        converted = np.array([_utc(value) for value in present])
    elif all(issubclass(kind, _DURATIONS) for kind in kinds):
        converted = np.array([np.timedelta64(value) for value in present])
    if converted is not None:
        values = np.zeros(len(array), dtype=converted.dtype)
        values[~missing] = converted
        return _from_native(values, missing)
    strange = [kind for kind in kinds if not issubclass(kind, _LABELS)]
    if strange:
        raise InvalidTypeError(
            f"Cannot read {what}: it holds values of type {strange[0].__qualname__}. "
            "Pass numbers, booleans, dates, times or text, or turn the values into text first."
        )
    labels = np.empty(len(array), dtype=object)
    labels[~missing] = _objects([str.__str__(value) if isinstance(value, str) else value for value in present])
    return Column("category", labels, missing)


def _is_missing(value: Any) -> bool:
    if type(value).__name__ in _NEVER_A_VALUE:
        return True
    if isinstance(value, (float, np.floating)):
        return bool(value != value)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, decimal.Decimal) and value.is_nan()


def _numbers(values: list[Any]) -> Array:
    if all(isinstance(value, (bool, int, np.integer, np.bool_)) for value in values):
        try:
            return np.array([int(value) for value in values], dtype=np.int64)
        except OverflowError:
            pass  # beyond 64 bits: as floats
    return np.array([_float(value) for value in values], dtype=np.float64)


def _float(value: Any) -> float:
    """A number as a float; one beyond all floats is infinite, as decimals and fractions of that size are."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _utc(value: Any) -> np.datetime64:
    if isinstance(value, np.datetime64):
        return value
    if hasattr(value, "to_datetime64"):  # a pandas.Timestamp, whose nanoseconds datetime does not know
        stamp: np.datetime64 = value.to_datetime64()
        return stamp
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return np.datetime64(value)


def _from_pandas(series: Any, what: str) -> Column:
    if getattr(series, "ndim", 0) == 2 and series.shape[1] == 1:
        series = series.iloc[:, 0]
    if getattr(series, "ndim", 0) != 1:
        raise InvalidArgumentError(f"Cannot read {what}: got {_type_name(series)}. Pass one column of it at a time.")
    dtype = series.dtype
    name = type(dtype).__name__
    if isinstance(dtype, np.dtype):
        return _from_numpy(np.asarray(series), what)
    if name == "DatetimeTZDtype":
        return _from_native(np.asarray(series, dtype=f"M8[{dtype.unit}]"))
    if name == "ArrowDtype":
        import pyarrow  # type: ignore[import-untyped]  # pyarrow ships no types; pandas has loaded it

        array = getattr(series, "array", series)
        return _from_arrow(pyarrow.array(array), what)
    missing = np.asarray(series.isna())
    if name == "CategoricalDtype":
        array = getattr(series, "array", series)
        labels = _objects([*dtype.categories.tolist(), None])
        return Column("category", labels[np.asarray(array.codes)], missing)
    if name == "PeriodDtype":
        array = getattr(series, "array", series)
        return _from_native(np.asarray(array.to_timestamp(), dtype="M8[ns]"))
    if getattr(dtype, "kind", "O") in "biuf" and hasattr(dtype, "numpy_dtype"):  # Int64, boolean, Float64, …
        native = series.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return _from_native(native, missing)
    if name == "IntervalDtype":
        return Column("category", _objects([str(value) for value in series]), missing)
    return _from_objects(np.asarray(series, dtype=object), what)


def _from_polars(series: Any, what: str) -> Column:
    import polars  # the series' own library

    if isinstance(series, polars.DataFrame):
        if series.width != 1:
            raise InvalidArgumentError(f"Cannot read {what}: got {series.width} columns. Pass one column at a time.")
        series = series.to_series()
    if not isinstance(series, polars.Series):
        raise InvalidTypeError(f"Cannot read {what}: got {_type_name(series)}. Pass {ACCEPTED}.")
    dtype = series.dtype
    nulls = series.is_null().to_numpy()
    if dtype.is_decimal():
        series, dtype = series.cast(polars.Float64), polars.Float64()
    if dtype.is_numeric() and str(dtype) not in ("Int128", "UInt128"):  # numpy has no integers of that size
        return _from_native(series.fill_null(0).to_numpy(), nulls)
    if dtype == polars.Boolean:
        return _from_native(series.fill_null(False).to_numpy(), nulls)
    if dtype.is_temporal() and dtype != polars.Time:
        return _from_native(series.to_numpy(), nulls)
    if dtype in (polars.String, polars.Categorical, polars.Enum):
        return Column("category", _objects(series.cast(polars.String).to_list()), nulls)
    return _from_objects(_objects(series.to_list()), what)


def _from_arrow(array: Any, what: str) -> Column:
    import pyarrow as pa  # the array's own library
    from pyarrow import compute, types

    if not isinstance(array, (pa.Array, pa.ChunkedArray)):
        raise InvalidTypeError(f"Cannot read {what}: got {_type_name(array)}. Pass {ACCEPTED}.")
    if types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
        labels = _from_arrow(array, what)
        return Column("category", labels.values.astype(object), labels.missing)
    nulls = np.asarray(array.is_null())
    if types.is_decimal(array.type):
        array = array.cast(pa.float64())
    if types.is_boolean(array.type) or types.is_integer(array.type):
        return _from_native(np.asarray(compute.fill_null(array, pa.scalar(0).cast(array.type))), nulls)
    if any(kind(array.type) for kind in (types.is_floating, types.is_timestamp, types.is_date, types.is_duration)):
        return _from_native(np.asarray(array.to_numpy(**_COPY[isinstance(array, pa.Array)])), nulls)
    return _from_objects(_objects(array.to_pylist()), what)


_COPY: dict[bool, dict[str, bool]] = {True: {"zero_copy_only": False}, False: {}}  # chunked arrays always copy
_LIBRARIES: dict[str, Callable[[Any, str], Column]] = {
    "numpy": _from_numpy,
    "pandas": _from_pandas,
    "polars": _from_polars,
    "pyarrow": _from_arrow,
}
