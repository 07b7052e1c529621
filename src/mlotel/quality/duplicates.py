"""Rows that are there twice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlotel.errors import InvalidArgumentError
from mlotel.quality._base import Column, QualityCheck, Result, table_of

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # splitmix64


def duplicates(table: Any, *, columns: Sequence[str] | None = None) -> Result:
    """Share of the rows that equal an earlier row in every column.

    Args:
        table: ``n`` rows: a pandas or polars frame, a pyarrow table, a 2-D array or ``{name: values}``. The index of a
            frame does not count. Missing values equal each other.
        columns: Names of the columns that count; None for all.

    Returns:
        From 0 to 1, under the key ``rows``, and the rows behind it.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If it is no table.
        InvalidArgumentError: If a column is not there.

    Example:
        >>> duplicates({"flight": [11, 12, 11], "carrier": ["AA", "AA", "AA"]}).counts
        {'rows': 1}
    """
    looked = table_of(table, "duplicates")
    absent = [name for name in columns or () if name not in looked.columns]
    if absent:
        raise InvalidArgumentError(
            f"Cannot measure duplicates: there is no column {absent[0]!r}. There are: {', '.join(looked.columns)}."
        )
    chosen = [looked.columns[name] for name in (looked.columns if columns is None else columns)]
    count = _repeated(chosen, looked.rows) if chosen else 0
    return Result(
        name="duplicates",
        unit="{fraction}",
        rows=looked.rows,
        values={"rows": count / max(looked.rows, 1)},
        counts={"rows": count},
        skipped=looked.skipped if columns is None else {},
        by="whole",
    )


def _repeated(columns: list[Column], rows: int) -> int:
    """Rows that equal an earlier one: those of equal hash, then compared value by value."""
    words = [_words(column) for column in columns]
    mixed = np.zeros(rows, dtype=np.uint64)
    for word in words:
        mixed = _mix(mixed + np.uint64(0x9E3779B97F4A7C15) ^ word)
    order = np.argsort(mixed, kind="stable")
    same = np.flatnonzero(mixed[order[1:]] == mixed[order[:-1]])
    candidates = np.unique(order[np.concatenate([same, same + 1])])
    if not candidates.size:
        return 0
    narrow = np.stack([word[candidates] for word in words], axis=1)
    return int(candidates.size - len(np.unique(narrow, axis=0)))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * _MIX[0]
    words = (words ^ (words >> np.uint64(27))) * _MIX[1]
    return words ^ (words >> np.uint64(31))


def _words(column: Column) -> NDArray[np.uint64]:
    """64 bits a row that are equal exactly where the values are; the missing share a word of their own."""
    if column.kind == "category":
        return column.codes()[0].astype(np.int64).view(np.uint64)
    values = column.values
    if values.dtype.kind == "f":
        values = values + 0.0  # -0.0 becomes 0.0
    words = np.ascontiguousarray(values if values.dtype.itemsize == 8 else values.astype(np.int64)).view(np.uint64)
    if column.missing.any():
        words = words.copy()
        words[column.missing] = _unused(words[~column.missing])
    return words


def _unused(words: NDArray[np.uint64]) -> np.uint64:
    """A word that no value has."""
    distinct = np.unique(words)
    free = np.flatnonzero(distinct != np.arange(distinct.size, dtype=np.uint64))
    return np.uint64(free[0] if free.size else distinct.size)


CHECK = QualityCheck(name="duplicates", measure=duplicates)
