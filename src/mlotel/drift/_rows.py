"""The short ways into a detector: single rows, and tables of plain numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlotel.drift._columns import NUMBERS, SCALARS
from mlotel.drift._window import BLOCK, Window

_SCALARS = frozenset(SCALARS)


def _is_scalar(value: Any) -> bool:
    """Whether a value is none of the things that hold others."""
    return isinstance(value, str) or not hasattr(type(value), "__len__")


class Rows:
    """Single rows wait here and are taken together; whole blocks of numbers go straight into the window.

    Args:
        names: Columns of a row, in order.
        window: Takes blocks.
        is_plain: Whether every column is one feature that is a number, so that a row is a row of the window.
    """

    def __init__(self, names: list[str], window: Window, is_plain: bool) -> None:
        self._names = names
        self._known = set(names)
        self._width = len(names)
        self._window = window
        self._is_plain = is_plain
        self._waiting: list[Any] = []

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether a block of rows waits."""
        return len(self._waiting) >= BLOCK

    def take(self, given: Any) -> bool:
        """Keep a single row; returns False when it is none."""
        kind = type(given)
        if kind is list or kind is tuple:
            # a list for a reference of one column could be that column: with one value both are the same
            if len(given) != self._width or not (type(given[0]) in _SCALARS or _is_scalar(given[0])):
                return False
            self._waiting.append(given[:])
            return True
        if kind is np.ndarray and given.ndim == 1 and self._width > 1 and len(given) == self._width:
            self._waiting.append(given.tolist())
            return True
        if kind is dict and given.keys() == self._known:
            row = [given[name] for name in self._names]
            if all(type(value) in _SCALARS or _is_scalar(value) for value in row):
                self._waiting.append(row)
                return True
        return False

    def drain(self) -> "dict[str, list[Any]] | None":
        """The rows that wait, as columns, unless they could be taken as a block."""
        if not self._waiting:
            return None
        waiting, self._waiting = self._waiting, []
        if self._is_plain and self._take_rows(waiting):
            return None
        return {name: list(column) for name, column in zip(self._names, zip(*waiting, strict=True), strict=True)}

    def _take_rows(self, waiting: list[Any]) -> bool:
        try:
            block = np.array(waiting, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):  # text, or what stands for a missing value
            return False
        if any(str in set(map(type, row)) for row in waiting):  # numpy reads "1.5" as a number
            return False
        self._window.add_rows(block)
        return True

    def take_block(self, given: Any) -> bool:
        """Take a table of plain numbers whose columns are those of the window; returns False for any other."""
        if not self._is_plain:
            return False
        if isinstance(given, np.ndarray):
            block = given
        elif isinstance(given, Mapping) or not hasattr(given, "to_numpy") or not hasattr(given, "columns"):
            return False
        elif list(map(str, given.columns)) == self._names and not self._has_nulls_apart(given):
            block = given.to_numpy()
        else:
            return False
        if block.ndim != 2 or block.shape[1] != self._width or block.dtype.kind not in NUMBERS:
            return False
        self._window.add_rows(block)
        return True

    @staticmethod
    def _has_nulls_apart(given: Any) -> bool:
        """Whether a frame's missing values are more than NaN, which an array of numbers could lose."""
        return type(given).__module__.partition(".")[0] not in ("pandas", "polars")
