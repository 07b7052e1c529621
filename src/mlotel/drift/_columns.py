"""Columns of tables, read as what a feature counts: numbers, labels, lengths, seconds, vectors.

Reading of what libraries hold is ``mlotel.quality._columns``; here are the ways around it that serving needs, and what
only a reference needs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlotel.drift._bins import short
from mlotel.drift._profile import Floats
from mlotel.errors import InvalidArgumentError, InvalidTypeError, MlotelError
from mlotel.quality._columns import Column, read, table_columns

Tally: TypeAlias = dict[str | None, int]
NUMBERS = "fiub"
SCALARS = (float, int, str, bool, type(None))


class WrongKindError(MlotelError):
    """A column holds something else than its kind; ``found`` is what."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def columns_of(table: Any, what: str) -> dict[str, Any]:
    """The columns of a table by name; of one column or list, by the name ``"0"``.

    Raises:
        InvalidTypeError: If it is no table.
        InvalidArgumentError: If its columns differ in length, or two have one name.
    """
    kind = type(table)
    if isinstance(table, (list, tuple)):
        return _columns_of_rows(table, what)
    if isinstance(table, Mapping):
        for name, values in table.items():
            if not is_sized(values):
                raise InvalidTypeError(
                    f"Column {name!r} of {what} is one value of type {type(values).__qualname__}. Pass a list, an "
                    "array or another column for each name."
                )
    if isinstance(table, np.ndarray) and table.ndim == 1:
        return {"0": table}
    if kind.__module__.partition(".")[0] == "torch" and hasattr(table, "detach"):
        return columns_of(table.detach().cpu().numpy(), what)
    if kind.__module__.partition(".")[0] == "scipy" and hasattr(table, "toarray"):
        return columns_of(table.toarray(), what)
    return table_columns(table, what)


def row_as_table(given: Any) -> Any:
    """A row given as ``{name: value}``, or as a row of pandas, as ``{name: [value]}``; anything else as it is.

    One value that is no column makes it a row: the others may be lists all the same, as embeddings are.
    """
    if type(given).__module__.partition(".")[0] == "pandas" and getattr(given, "ndim", 0) == 1:
        names = given.index.tolist()
        return {name: [value] for name, value in given.items()} if all(type(name) is str for name in names) else given
    if not isinstance(given, Mapping) or all(map(is_sized, given.values())):
        return given
    return {name: [value] for name, value in given.items()}


def is_sized(value: Any) -> bool:
    """Whether a value can be a column: neither one value, nor text, nor an array without a dimension."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return hasattr(type(value), "__len__") and not isinstance(value, (str, bytes))


def _columns_of_rows(rows: "list[Any] | tuple[Any, ...]", what: str) -> dict[str, Any]:
    if rows and isinstance(rows[0], Mapping):
        names = dict.fromkeys(str(name) for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
    if rows and hasattr(type(rows[0]), "columns"):
        raise InvalidTypeError(
            f"{what} is a list of {type(rows[0]).__qualname__}. Pass one table; to Reference.fit() also iter(…) of "
            "that list, to have its tables read one after another."
        )
    if rows and all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise InvalidArgumentError(
                f"Rows of {what} have {min(widths)} to {max(widths)} values. Pass rows of equal length."
            )
        return {str(place): list(column) for place, column in enumerate(zip(*rows, strict=True))}
    return {"0": list(rows)}


def rows_of(column: Any) -> int:
    """Rows of a column."""
    return len(column)


def kind_of(column: Column) -> str:
    """What a column holds, in a word for people."""
    return {"number": "numbers", "boolean": "booleans", "time": "times", "duration": "durations", "category": "text"}[
        column.kind
    ]


def kind_of_values(values: Any) -> str:
    """``number``, ``boolean``, ``time``, ``duration`` or ``category``.

    Raises:
        WrongKindError: If it is none of them.
    """
    return _read(values).kind


def numbers(values: Any) -> NDArray[np.number]:
    """``(n,)`` numbers; NaN where missing. Durations are seconds, booleans 0 and 1.

    Raises:
        WrongKindError: If they are no numbers.
    """
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in NUMBERS:
        return values
    native = getattr(values, "dtype", None)
    if isinstance(native, np.dtype) and native.kind in NUMBERS and values.ndim == 1:  # a column of pandas
        return np.asarray(values)
    column = _read(values)
    if column.kind in ("category", "time") and not column.missing.all():
        raise WrongKindError(kind_of(column))
    return column.seconds_or_numbers() if column.kind != "category" else np.full(len(column), np.nan)


def seconds(values: Any) -> Floats:
    """``(n,)`` seconds since 1970; NaN where missing.

    Raises:
        WrongKindError: If they are no times.
    """
    column = _read(values)
    if column.kind != "time" and not column.missing.all():
        raise WrongKindError(kind_of(column))
    return column.seconds_or_numbers() if column.kind == "time" else np.full(len(column), np.nan)


def hours(since: Floats) -> Floats:
    """Hour of the day, UTC, from 0 to 23; NaN where missing."""
    return np.floor(since % 86_400 / 3600)


def lengths(values: Any) -> Floats:
    """``(n,)`` characters of texts; NaN where missing.

    Raises:
        WrongKindError: If they are no texts.
    """
    column = _read(values)
    if column.kind != "category":
        if column.missing.all():
            return np.full(len(column), np.nan)
        raise WrongKindError(kind_of(column))
    found = np.full(len(column), np.nan)
    found[~column.missing] = [
        len(value) if isinstance(value, (str, bytes)) else len(str(value)) for value in column.present
    ]
    return found


def tally(values: Any) -> Tally:
    """Rows of each label; None is missing.

    Raises:
        WrongKindError: If there is no way to see labels in them.
    """
    if type(values) in (list, tuple) and all(type(value) in (str, type(None)) for value in values):
        return _shortened(Counter(values))
    coded_already = _codes(values)
    if coded_already is None:
        column = _read(values)
        if column.kind == "category":
            found = _shortened(Counter(column.present.tolist()))
        else:
            distinct, counts = np.unique(column.present, return_counts=True)
            found = _shortened(dict(zip(distinct.tolist(), counts.tolist(), strict=True)))
        missing = len(column) - len(column.present)
        if missing:
            found[None] = found.get(None, 0) + missing
        return found
    return counted(*coded_already)


def coded(values: Any) -> "tuple[NDArray[np.int64], list[str | None]]":
    """``(n,)`` a number for each row, -1 where it is missing, and the labels that the numbers stand for.

    Raises:
        WrongKindError: If there is no way to see labels in them.
    """
    codes, distinct = _codes(values) or _read(values).codes()
    place: dict[str | None, int] = {}
    again = [place.setdefault(label_of(value), len(place)) for value in distinct]
    return np.append(again, -1).astype(np.int64)[codes], list(place)


def counted(codes: "NDArray[np.integer]", labels: "list[Any]") -> Tally:
    """Rows of each label, from what ``coded`` gives."""
    counts = np.bincount(codes + 1, minlength=len(labels) + 1).tolist()
    return _shortened({label: count for label, count in zip([None, *labels], counts, strict=True) if count})


def _codes(values: Any) -> "tuple[NDArray[np.integer], list[Any]] | None":
    """Codes, -1 for missing, and labels of what pandas has coded already or codes fastest."""
    if type(values).__module__.partition(".")[0] != "pandas" or getattr(values, "ndim", 0) != 1:
        return None
    name = type(values.dtype).__name__
    if name == "CategoricalDtype":
        return np.asarray(values.array.codes, dtype=np.int64), values.array.categories.tolist()
    if name == "StringDtype":
        import pandas  # type: ignore[import-untyped]  # its own column; it ships no types

        codes, labels = pandas.factorize(values)
        return codes, labels.tolist()
    return None


def _shortened(found: "Mapping[Any, int]") -> Tally:
    """By the names of categories."""
    result: Tally = {}
    for value, count in found.items():
        label = label_of(value)
        result[label] = result.get(label, 0) + count
    return result


def label_of(value: Any) -> str | None:
    """Name of a category: whole numbers as integers, whatever type holds them; None for what is missing."""
    if type(value) is str:
        return short(value)
    if value is None or value != value:
        return None
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if np.isfinite(value) and value == int(value) else repr(float(value))
    return short(str(value))


def vectors(values: Any) -> Floats:
    """``(n, d)`` embeddings; NaN where missing.

    Raises:
        WrongKindError: If they are not numbers of one length.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return np.asarray(values, dtype=np.float64)
    if type(values).__module__.partition(".")[0] == "pyarrow":
        values = values.to_pylist()
    rows = values.to_list() if hasattr(values, "to_list") else list(values)
    try:
        width = next((len(row) for row in rows if row is not None and not _is_nan(row)), 0)
        blank = [np.nan] * width
        return np.array([blank if row is None or _is_nan(row) else row for row in rows], dtype=np.float64).reshape(
            len(rows), width
        )
    except (TypeError, ValueError):
        raise WrongKindError("values that are no vectors of one length") from None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def is_vectors(values: Any) -> bool:
    """Whether a column holds embeddings: a 2-D array, or a list of numbers in each row."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return True
    first = _first(values)
    if isinstance(first, np.ndarray):
        return first.ndim == 1 and first.dtype.kind in NUMBERS
    return isinstance(first, (list, tuple)) and bool(first) and all(isinstance(part, (int, float)) for part in first)


def _first(values: Any) -> Any:
    """The first value that is not missing, of columns that can hold lists."""
    root = type(values).__module__.partition(".")[0]
    dtype = getattr(values, "dtype", getattr(values, "type", None))
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return None
    if root in ("polars", "pyarrow") and not any(word in str(dtype).lower() for word in ("list", "array", "object")):
        return None
    items: Iterable[Any] = values.to_pylist() if root == "pyarrow" else values
    if root == "polars" and hasattr(values, "to_list"):
        items = values.to_list()
    return next((item for item in items if item is not None and not _is_nan(item)), None)


def _read(values: Any) -> Column:
    try:
        return read(values, "the column")
    except InvalidArgumentError as error:
        raise WrongKindError("vectors") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongKindError("values that are no numbers, times or text") from error
