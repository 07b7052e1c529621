"""Rows on their way into counts: whatever holds them, and however their columns differ from the reference's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlotel.drift import _columns
from mlotel.drift._calibrate import label_places
from mlotel.drift._fit import LABEL, PREDICTION, named
from mlotel.drift._kinds import Source
from mlotel.drift._layout import Layout
from mlotel.drift._rows import Rows
from mlotel.drift._window import Window
from mlotel.errors import MlotelError

_MOST_CHANGES = 1000


class Intake:
    """Counts rows.

    Args:
        sources: Columns of the reference.
        layout: Bins of its features, those that are numbers first.

    Attributes:
        window: Counts of the features that are numbers.
        categories: ``(bins,)`` of the others, one after another.
        changes: Detail and rows for each way in which a column differed.
    """

    def __init__(self, sources: Sequence[Source], layout: Layout) -> None:
        ordered, rest = layout.profiles[: layout.ordered], layout.profiles[layout.ordered :]
        self.window = Window(ordered)
        self.categories = np.zeros(int(layout.starts[-1] - layout.starts[layout.ordered]), np.int64)
        self.changes: dict[tuple[str, str], tuple[str, int]] = {}
        self._sources = sources
        self._inputs = [source for source in sources if source.role == "input"]
        self._names = [source.name for source in self._inputs]
        self._places = {profile.name: place for place, profile in enumerate(ordered)}
        starts = layout.starts[layout.ordered :] - layout.starts[layout.ordered]
        self._labels = {p.column: (int(first), label_places(p), p.top) for first, p in zip(starts, rest, strict=False)}
        is_plain = not rest and len(ordered) == len(self._inputs) == len(sources)
        is_plain = is_plain and all(source.kind in ("numeric", "integer") for source in self._inputs)
        self._rows = Rows(self._names, self.window, is_plain)

    def add(self, table: Any, predictions: Any, labels: Any) -> None:
        """Count rows, or keep single ones until there are more."""
        if predictions is None and labels is None and self._rows.take(table):
            if self._rows.is_full:
                self.drain()
            return
        self.drain()
        if table is not None:
            self._add_table(table)
        self._add_extra(PREDICTION, predictions)
        self._add_extra(LABEL, labels)

    @property
    def waiting(self) -> int:
        """Single rows that wait to come into the window."""
        return self._rows.waiting

    def drain(self) -> None:
        """Bring single rows that wait into the window."""
        waiting = self._rows.drain()
        if waiting is not None:
            self._add_table(waiting)

    def _add_table(self, table: Any) -> None:
        if self._rows.take_block(table):
            return
        try:
            columns = _columns.columns_of(_columns.row_as_table(table), "X")
        except (MlotelError, TypeError, ValueError) as error:
            self.note("unreadable", "", str(error), 0)
            return
        rows = _columns.rows_of(next(iter(columns.values()))) if columns else 0
        if not rows:
            return
        if not (columns.keys() & set(self._names)) or _is_nameless(table):
            if len(columns) != len(self._names):
                wide = f"{len(columns)} columns" if len(columns) > 1 else "one column"
                self.note(
                    "unreadable", "", f"{wide}, none with a known name; the reference has {len(self._names)}", rows
                )
                return
            if _is_nameless(table):
                columns = dict(zip(self._names, columns.values(), strict=True))
        for name in columns.keys() - set(self._names):
            self.note("new", name, "the reference has no such column", rows)
        for name in self._names:
            if name not in columns:
                self.note("missing", name, "the rows have no such column", rows)
        self._add_columns(self._inputs, columns, rows)

    def _add_extra(self, role: str, values: Any) -> None:
        """Predictions or labels."""
        if values is None:
            return
        try:
            columns = named(values, role)
        except (MlotelError, TypeError, ValueError) as error:
            self.note("unreadable", role, str(error), 0)
            return
        sources = [source for source in self._sources if source.role == role]
        known = {source.name for source in sources}
        rows = _columns.rows_of(next(iter(columns.values())))
        for name in columns.keys() - known:
            self.note("new", name, "the reference has no such column", rows)
        if rows and columns.keys() & known:
            self._add_columns(sources, columns, rows)

    def _add_columns(self, sources: Sequence[Source], columns: Mapping[str, Any], rows: int) -> None:
        numbers: list[NDArray[np.number] | None] = [None] * len(self.window.buffer)
        for source in sources:
            if source.name not in columns:
                continue
            try:
                if source.is_category:
                    self._count_labels(source.name, _columns.tally(columns[source.name]), rows)
                else:
                    parts = source.numbers(columns[source.name])
                    if any(len(part) != rows for part in parts):
                        raise _columns.WrongKindError(f"{len(parts[0])} values in {rows} rows")
                    for (feature, _), part in zip(source.features(), parts, strict=True):
                        numbers[self._places[feature]] = part
            except _columns.WrongKindError as error:
                self.note("type", source.name, f"{error.found} where the reference has {source.kind}", rows)
            except Exception as error:  # whatever the values are that raise: the other columns count
                self.note("unreadable", source.name, f"reading it raised {type(error).__qualname__}", rows)
        if any(column is not None for column in numbers):
            self.window.add_columns(numbers, rows)

    def _count_labels(self, column: str, tally: _columns.Tally, rows: int) -> None:
        if sum(tally.values()) != rows:
            raise _columns.WrongKindError(f"{sum(tally.values())} values in {rows} rows")
        first, labels, top = self._labels[column]
        for label, count in tally.items():
            self.categories[first + (top + 2 if label is None else labels.get(label, top + 1))] += count

    def note(self, what: str, column: str, detail: str, rows: int) -> None:
        """Remember that a column differs from the reference's."""
        key = what, column
        if key in self.changes or len(self.changes) < _MOST_CHANGES:
            self.changes[key] = detail, self.changes.get(key, ("", 0))[1] + rows


def _is_nameless(table: Any) -> bool:
    """Whether columns have positions and no names."""
    if isinstance(table, (list, tuple)):
        return not (table and isinstance(table[0], Mapping))
    return not isinstance(table, Mapping) and not hasattr(table, "columns") and not hasattr(table, "column_names")
