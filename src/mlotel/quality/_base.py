"""What a quality check is, what it gives, and the table that it looks at."""

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mlotel.errors import EmptySampleError, InvalidTypeError
from mlotel.quality._columns import Column, read, table_columns
from mlotel.types import Check

__all__ = ["Column", "Facts", "QualityCheck", "Result", "Table", "against", "classes_of", "facts_of", "table_of"]


@dataclass(frozen=True)
class Table:
    """A table whose columns were read once.

    Attributes:
        rows: How many.
        columns: By name, in the order of the table.
        skipped: Columns that cannot be read, with the reason.
    """

    rows: int
    columns: Mapping[str, Column]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What is known of a column of the reference.

    Attributes:
        kind: ``number``, ``boolean``, ``time``, ``duration`` or ``category``.
        minimum: Smallest finite value; times and durations in seconds. None for categories, or when there is none.
        maximum: Largest finite value.
        labels: Values of a category or boolean column; None for others, and when they are not known.
    """

    kind: str
    minimum: float | int | None = None
    maximum: float | int | None = None
    labels: frozenset[Any] | None = None


@dataclass(frozen=True)
class Result:
    """What a check found: a number for each column, each class, or the whole table.

    Attributes:
        name: The check.
        unit: Of the values, as OpenTelemetry writes units: ``{fraction}`` of the rows, ``{ratio}``.
        rows: Rows that were looked at.
        values: By column or class; a value of the whole table has the key ``rows``.
        counts: Rows behind each value, where it is a fraction of them.
        skipped: Columns that the check says nothing about, with the reason.
        by: Whether it has a value for each ``column``, for each ``class``, or one for the ``whole``.

    Example:
        >>> from mlotel import quality
        >>> result = quality.measure("missing", {"age": [31, None, 45, 28], "carrier": ["AA", "DL", "AA", "UA"]})
        >>> result["age"], result.counts["age"]
        (0.25, 1)
        >>> print(result)
        missing, 4 rows
        age      0.25  1
        carrier  0     0
        >>> result.check(at_most=0.1)
        Check('failed', 'missing of age is 0.25, more than 0.1', age=0.25)
    """

    name: str
    unit: str
    rows: int
    values: Mapping[str, float]
    counts: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    by: Literal["column", "class", "whole"] = "column"

    @classmethod
    def shares(cls, name: str, looked: Table, counts: Mapping[str, int], skipped: Mapping[str, str]) -> "Result":
        """The result of a check that counts rows of each column."""
        values = {column: count / max(looked.rows, 1) for column, count in counts.items()}
        return cls(name, "{fraction}", looked.rows, values, counts, skipped)

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def findings(self, at_least: float) -> list[str]:
        """Names of what reaches a limit, the largest value first."""
        found = [name for name, value in self.values.items() if value >= at_least]
        return sorted(found, key=lambda name: -self.values[name])

    def check(self, *, at_most: float) -> Check:
        """The result as a check of a component: failed when a value is above the limit.

        Args:
            at_most: The largest value that passes.

        Example:
            >>> import mlotel
            >>> from mlotel import quality
            >>> def hardly_missing(table):
            ...     return quality.measure("missing", table).check(at_most=0.05)
            >>> @mlotel.component(before=[hardly_missing])
            ... def train(table): ...
        """
        above = sorted((name for name, value in self.values.items() if value > at_most), key=lambda n: -self.values[n])
        if not above:
            return Check(True, f"{self.name} is at most {at_most:g}")
        others = f", and {len(above) - 1} more" if len(above) > 1 else ""
        of = "" if self.by == "whole" else f" of {above[0]}"
        message = f"{self.name}{of} is {self.values[above[0]]:.4g}, more than {at_most:g}{others}"
        return Check(False, message, **{name: self.values[name] for name in above[:10]})

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists and numbers."""
        return {
            "name": self.name,
            "unit": self.unit,
            "by": self.by,
            "rows": self.rows,
            "values": dict(self.values),
            "counts": dict(self.counts),
            "skipped": dict(self.skipped),
        }

    def __str__(self) -> str:
        width = max([0, *(len(name) for name in (*self.values, *self.skipped))])
        shown = {name: f"{value:.4g}" for name, value in self.values.items()}
        wide = max([0, *map(len, shown.values())])
        lines = [f"{self.name}, {self.rows:,} rows"]
        for name, value in shown.items():
            count = f"{self.counts[name]:,}" if name in self.counts else ""
            lines.append(f"{name:<{width}}  {value:<{wide}}  {count}".rstrip())
        lines += [f"{name:<{width}}  – {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        cells = [
            f"<tr><td>{html.escape(name)}</td><td>{value:.4g}</td><td>{self.counts.get(name, '')}</td></tr>"
            for name, value in self.values.items()
        ]
        cells += [
            f"<tr><td>{html.escape(name)}</td><td colspan=2>{html.escape(reason)}</td></tr>"
            for name, reason in self.skipped.items()
        ]
        head = f"<caption>{html.escape(self.name)}, {self.rows:,} rows</caption>"
        return f"<table>{head}<tr><th></th><th>{html.escape(self.unit)}</th><th>rows</th></tr>{''.join(cells)}</table>"


@dataclass(frozen=True)
class QualityCheck:
    """A check of the quality of one sample.

    Attributes:
        name: What users type.
        measure: ``measure(sample)``, or ``measure(sample, reference)`` where there is a reference.
        unit: Unit of its values.
        looks_at: ``table``, or ``labels``: one column of classes.
        reference: Whether it ``needs`` a reference, can use one (``uses``), or has no use for it (``no``).
    """

    name: str
    measure: Callable[..., Result]
    unit: str = "{fraction}"
    looks_at: Literal["table", "labels"] = "table"
    reference: Literal["needs", "uses", "no"] = "no"


def table_of(table: Any, what: str, whose: str = "the table") -> Table:
    """Read a table; columns that cannot be read are skipped, with the reason.

    Args:
        table: A pandas or polars frame, a pyarrow table, a 2-D array, ``{name: values}``, or a ``Table`` already.
        what: The check, for errors.
        whose: What errors call the table.

    Raises:
        InvalidTypeError: If it is no table.
        EmptySampleError: If it has no rows, or no columns.
    """
    if isinstance(table, Table):
        return table
    columns: dict[str, Column] = {}
    skipped: dict[str, str] = {}
    for name, values in table_columns(table, whose).items():
        try:
            columns[name] = read(values, name)
        except InvalidTypeError:
            skipped[name] = "holds neither numbers, times, booleans nor text"
    rows = max([0, *(len(column) for column in columns.values())])
    if not rows and not skipped:
        raise EmptySampleError(
            f"Cannot measure {what}: {whose} has {rows} rows in {len(columns)} columns. Pass at least one row."
        )
    return Table(rows, columns, skipped)


def classes_of(labels: Any, reference: Any, what: str) -> tuple[int, dict[str, int]]:
    """Rows of each class, named by ``str``, and of all.

    Args:
        labels: A column; missing labels are left out.
        reference: A column whose classes are there too, with 0 rows if need be; None for none.
        what: The check, for errors.

    Raises:
        EmptySampleError: If one of them has no label.
        InvalidTypeError: If one of them is no column.
    """
    known = {} if reference is None else dict.fromkeys(_classes(reference, what, "the reference"), 0)
    counts = _classes(labels, what, "labels")
    return sum(counts.values()), {**known, **counts}


def _classes(labels: Any, what: str, whose: str) -> dict[str, int]:
    column = read(labels, whose)
    if column.missing.all():
        raise EmptySampleError(
            f"Cannot measure {what}: {whose} has 0 labels out of {len(column)} rows. Pass at least one label."
        )
    codes, found = column.codes()
    counts: dict[str, int] = {}
    for label, count in zip(found, np.bincount(codes[codes >= 0], minlength=len(found)).tolist(), strict=True):
        counts[str(label)] = counts.get(str(label), 0) + count
    return counts


def facts_of(reference: Any, what: str) -> Mapping[str, Facts]:
    """Facts of each column of a reference.

    Args:
        reference: ``{name: Facts}``, or the reference's table.
        what: The check, for errors.
    """
    if isinstance(reference, Mapping) and all(isinstance(value, Facts) for value in reference.values()):
        return reference
    return {name: _facts(column) for name, column in table_of(reference, what, "the reference").columns.items()}


def _facts(column: Column) -> Facts:
    if column.kind in ("category", "boolean"):
        return Facts(column.kind, labels=frozenset(column.codes()[1]))
    values = column.values if column.kind == "number" else column.seconds_or_numbers()
    finite = values[column.finite()]
    if not finite.size:
        return Facts(column.kind)
    return Facts(column.kind, finite.min().item(), finite.max().item())


def against(
    table: Any, reference: Any, kinds: tuple[str, ...], what: str
) -> tuple[Table, dict[str, Facts], dict[str, str]]:
    """The table, the facts that can be held against it, and why the other columns are left out.

    Args:
        table: As for ``table_of``.
        reference: As for ``facts_of``.
        kinds: Kinds of columns that the check is about; columns of other kinds are left out silently.
        what: The check, for errors.
    """
    looked, known = table_of(table, what), facts_of(reference, what)
    usable: dict[str, Facts] = {}
    skipped = dict(looked.skipped)
    for name, column in looked.columns.items():
        facts = known.get(name)
        if facts is None:
            if column.kind in kinds:
                skipped[name] = "is not in the reference"
        elif facts.kind in kinds and column.kind not in kinds and not column.missing.all():
            skipped[name] = f"is {column.kind} here, {facts.kind} in the reference"
        elif facts.kind in kinds:
            usable[name] = facts
    skipped.update(
        {
            name: "is not in the table"
            for name, facts in known.items()
            if facts.kind in kinds and name not in looked.columns and name not in skipped
        }
    )
    return looked, usable, skipped
