"""Which kind of feature a column is, and how the numbers or labels of each kind are read."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np

from mlotel.drift import _columns
from mlotel.drift._embedding import Axes
from mlotel.drift._profile import Floats, Kind
from mlotel.errors import InvalidArgumentError

Declared: TypeAlias = Literal[
    "numeric", "integer", "boolean", "category", "text", "datetime", "datetime+hour", "hour", "embedding"
]
Role: TypeAlias = Literal["input", "prediction", "label"]
DECLARED: tuple[Declared, ...] = get_args(Declared)
CATEGORIES = 1000
"""Distinct values up to which a column of text is a category."""


@dataclass(frozen=True, eq=False)
class Source:
    """One column of the table and the features that it gives.

    Attributes:
        name: Of the column.
        kind: What it is.
        axes: Of embeddings.
        role: Whether it is a column of X, a prediction or a label.
    """

    name: str
    kind: Declared
    axes: Axes | None = None
    role: Role = "input"

    @property
    def is_category(self) -> bool:
        """Whether labels are counted rather than numbers."""
        return self.kind in ("boolean", "category")

    def features(self) -> list[tuple[str, Kind]]:
        """Names and kinds of its features, in order."""
        if self.axes is not None:
            return [(f"{self.name}.{part}", "numeric") for part in self.axes.names]
        if self.kind == "datetime+hour":
            return [(self.name, "datetime"), (f"{self.name}.hour", "integer")]
        if self.kind == "hour":
            return [(self.name, "integer")]
        return [(self.name, cast("Kind", self.kind))]

    def numbers(self, values: Any) -> list[Any]:
        """``(n,)`` numbers of each of its features.

        Raises:
            WrongKindError: If the column holds something else.
        """
        if self.axes is not None:
            found = _columns.vectors(values)
            if found.shape[1] != self.axes.width:
                if np.isnan(found).all():
                    return [np.full(len(found), np.nan)] * len(self.axes.names)
                raise _columns.WrongKindError(f"vectors of {found.shape[1]} numbers")
            return list(self.axes(found).T)
        if self.kind == "text":
            return [_columns.lengths(values)]
        if self.kind in ("datetime", "datetime+hour", "hour"):
            since = _columns.seconds(values)
            parts = {"datetime": [since], "hour": [_columns.hours(since)]}
            return parts.get(self.kind) or [since, _columns.hours(since)]
        return [_columns.numbers(values)]


def kind_of(name: str, values: Any) -> Declared:
    """The kind of a column by its type and, where that does not tell, by its values.

    Two distinct values make a boolean, text with at most 1,000 a category, longer lists of texts are told by their
    length.

    Raises:
        InvalidArgumentError: If it is none of the kinds.
    """
    if _columns.is_vectors(values):
        return "embedding"
    try:
        column = _columns._read(values)
    except _columns.WrongKindError as error:
        raise InvalidArgumentError(
            f"Column {name!r} holds {error.found}. Pass numbers, booleans, times, text or vectors of one length, or "
            "drop the column."
        ) from error
    if column.kind == "boolean":
        return "boolean"
    if column.kind == "time":
        return "datetime"
    present = column.present
    if column.kind == "category":
        distinct = len(set(present.tolist()))
        return "boolean" if distinct == 2 else "category" if distinct <= CATEGORIES else "text"
    if column.values.dtype.kind == "f":
        present = present[np.isfinite(present)]
    if _has_two(np.asarray(present)):
        return "boolean"
    return "integer" if column.kind == "number" and column.values.dtype.kind in "iu" else "numeric"


def _has_two(values: Floats) -> bool:
    """Whether there are exactly two distinct values; most columns are told by their first thousand."""
    if np.unique(values[:1000]).size > 2:
        return False
    return bool(np.unique(values).size == 2)


def declared(name: str, kind: str) -> Declared:
    """A kind that a user gave.

    Raises:
        InvalidArgumentError: If there is no such kind.
    """
    if kind not in DECLARED:
        raise InvalidArgumentError(f"Got kinds={{{name!r}: {kind!r}}}. Use one of {', '.join(DECLARED)}.")
    return kind
