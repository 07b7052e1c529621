"""Profiles of every feature from batches that do not fit in memory together.

A random fifth of the rows chooses the bins and the others are counted for the limits, for every feature, since ties
cannot be ruled out beforehand. Given a callable, the batches are read twice: quantile sketches find the edges, then
every row is counted exactly. Given an iterator, counts come from the sketches too, and the limits allow for their
error.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mlotel.drift import _columns
from mlotel.drift._bins import CHOOSING, betting_edges, category_profile, merge_edges
from mlotel.drift._columns import Tally
from mlotel.drift._embedding import Axes
from mlotel.drift._fit import FEWEST_ROWS, Fitted, check_names, check_rows, check_values, choosers_of_axes
from mlotel.drift._kinds import CATEGORIES, Declared, Source, declared, kind_of
from mlotel.drift._profile import Flags, Floats, Kind, Profile
from mlotel.drift._sketch import Sketch, spread_out
from mlotel.drift.statistics._moments import Moments
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError

_MOST_LABELS = 200_000
_UNLESS_TWO: dict[str, Declared] = {"number": "numeric", "category": "category"}


def is_stream(batches: Any) -> bool:
    """Whether these are batches: an iterator, or a callable that makes one."""
    return callable(batches) or isinstance(batches, Iterator)


def fit_stream(batches: Iterator[Any] | Callable[[], Iterable[Any]], kinds: Mapping[str, str]) -> Fitted:
    """Fit all columns of batches."""
    is_repeatable = not isinstance(batches, Iterator)
    columns: dict[str, _Column] = {}
    rows = 0
    for number, batch in enumerate(_batches(batches)):
        if not columns:
            check_names(batch, (), kinds)
            columns = {name: _Column(name, values, kinds.get(name)) for name, values in batch.items()}
        rows += _feed(columns, batch, number)
    if not columns:
        raise EmptySampleError("Reference.fit() got no batches. Pass an iterator over tables that has some left.")
    check_rows(rows)
    for column in columns.values():
        column.settle(is_repeatable)
    if is_repeatable:
        again = sum(_count(columns, batch, number) for number, batch in enumerate(_batches(batches)))
        if again != rows:
            raise InvalidArgumentError(
                f"Reference.fit() was given a callable whose batches had {rows:,} rows the first time and {again:,} "
                "the second. Return the same batches each time, or pass an iterator to have them read once."
            )
    fitted = Fitted(rows=rows)
    for column in columns.values():
        fitted.sources.append(column.source)
        fitted.profiles.extend(column.profiles())
    if not is_repeatable:
        fitted.notes.append("Counts come from quantile sketches of a stream that was read once.")
    return fitted


def _batches(batches: Any) -> Iterator[dict[str, Any]]:
    """Columns of each batch that has rows."""
    given = batches() if callable(batches) else batches
    if hasattr(given, "keys") or hasattr(given, "columns") or not isinstance(given, Iterable):
        raise InvalidTypeError(
            f"Reference.fit() was given a callable that returns a value of type {type(given).__qualname__}. Return an "
            "iterator over tables, or pass the table itself."
        )
    for batch in given:
        found = _columns.columns_of(batch, "a batch")
        if found and _columns.rows_of(next(iter(found.values()))):
            yield found


def _chosen(rows: int, number: int) -> Flags:
    """The fifth of a batch that chooses: the same whenever the batch comes."""
    return np.random.default_rng((0, number)).random(rows) < CHOOSING


def _feed(columns: "dict[str, _Column]", batch: Mapping[str, Any], number: int) -> int:
    if batch.keys() != columns.keys():
        other = sorted(batch.keys() ^ columns.keys())
        raise InvalidArgumentError(
            f"Batch {number + 1} and the first one differ in the columns {', '.join(map(repr, other))}. Pass batches "
            "of one table."
        )
    rows = _columns.rows_of(next(iter(batch.values())))
    for name, column in columns.items():
        column.feed(batch[name], _chosen(rows, number), number)
    return rows


def _count(columns: "dict[str, _Column]", batch: Mapping[str, Any], number: int) -> int:
    rows = _columns.rows_of(next(iter(batch.values())))
    for name, column in columns.items():
        column.count(batch[name], _chosen(rows, number), number)
    return rows


class _Column:
    """One column of the batches, of whichever kind it turns out to be."""

    def __init__(self, name: str, values: Any, kind: str | None) -> None:
        self._is_declared = kind is not None
        found: Declared = declared(name, kind) if kind is not None else kind_of(name, values)
        if found == "boolean" and not self._is_declared:  # a first batch with two values proves nothing
            found = _UNLESS_TWO.get(_columns.kind_of_values(values), found)
        axes = None
        if found == "embedding":
            vectors = _columns.vectors(values)
            if len(vectors) < FEWEST_ROWS:
                raise InvalidArgumentError(
                    f"Column {name!r} has {len(vectors)} embeddings in the first batch, of which its axes are found; "
                    f"that takes {FEWEST_ROWS} at least. Pass larger batches."
                )
            axes = Axes.of(vectors[choosers_of_axes(len(vectors))])
        self.source = Source(name, found, axes)
        self._is_text = found in ("category", "text") and not self._is_declared
        self._numbers = [] if self.source.is_category else [_Numbers() for _ in self.source.features()]
        self._lengths = _Numbers() if self._is_text else None
        self._tallies: tuple[Tally, Tally] | None = None
        if self.source.is_category or (found in ("numeric", "integer") and not self._is_declared) or self._is_text:
            self._tallies = {}, {}

    def feed(self, values: Any, chosen: Flags, number: int) -> None:
        try:
            if self._tallies is not None:
                self._feed_labels(values, chosen)
            if self._lengths is not None:
                self._lengths.feed(_columns.lengths(values), chosen)
            elif self._numbers:
                values, chosen = self._without_axes_rows(values, chosen, number)
                for part, numbers in zip(self.source.numbers(values), self._numbers, strict=True):
                    numbers.feed(np.asarray(part, dtype=np.float64), chosen)
        except _columns.WrongKindError as error:
            raise InvalidTypeError(
                f"Column {self.source.name!r} holds {error.found} in batch {number + 1} and was {self.source.kind} "
                "before. Convert it to one kind."
            ) from error

    def _feed_labels(self, values: Any, chosen: Flags) -> None:
        assert self._tallies is not None
        codes, labels = _columns.coded(values)
        for tally, rows in zip(self._tallies, (chosen, ~chosen), strict=True):
            for label, count in _columns.counted(codes[rows], labels).items():
                tally[label] = tally.get(label, 0) + count
        distinct = max(len(tally) for tally in self._tallies)
        if (self._numbers and not self._is_text and distinct > 3) or (
            self._is_text and distinct > CATEGORIES
        ):  # no boolean
            self._tallies = None
        elif distinct > _MOST_LABELS:
            raise InvalidArgumentError(
                f"Column {self.source.name!r} has more than {_MOST_LABELS:,} categories. Declare it 'text', or drop it."
            )

    def _without_axes_rows(self, values: Any, chosen: Flags, number: int) -> tuple[Any, Flags]:
        """Of the first batch of embeddings, only the half that the axes were not found on."""
        if self.source.axes is None:
            return values, chosen
        vectors = _columns.vectors(values)
        if number:
            return vectors, chosen
        other = ~choosers_of_axes(len(vectors))
        return vectors[other], chosen[other]

    def settle(self, is_repeatable: bool) -> None:
        """Decide what it is, now that all batches were seen, and where its edges are."""
        name, kind = self.source.name, self.source.kind
        if self._tallies is not None:
            distinct = {label for tally in self._tallies for label in tally if label is not None}
            check_values(name, len(distinct), sum(sum(tally.values()) for tally in self._tallies))
            if kind in ("numeric", "integer") and len(distinct) != 2:
                self._tallies = None
            else:
                is_boolean = len(distinct) == 2 and not self._is_declared
                self.source = Source(name, "boolean" if is_boolean else kind)
                self._lengths, self._numbers = None, []
                return
        if self._lengths is not None:
            self.source, self._numbers, self._lengths = Source(name, "text"), [self._lengths], None
        for numbers in self._numbers:
            check_values(name, numbers.finite, numbers.rows)
            numbers.settle(is_repeatable)

    def count(self, values: Any, chosen: Flags, number: int) -> None:
        """Count a batch exactly."""
        if self._numbers:
            values, chosen = self._without_axes_rows(values, chosen, number)
            for part, numbers in zip(self.source.numbers(values), self._numbers, strict=True):
                numbers.count(np.asarray(part, dtype=np.float64), chosen)

    def profiles(self) -> list[Profile]:
        if self._tallies is not None:
            kind: Kind = "boolean" if self.source.kind == "boolean" else "category"
            return [category_profile(self.source.name, kind, *self._tallies)]
        return [
            numbers.profile(name, kind).changed(column=self.source.name, part=place, share=1 / len(self._numbers))
            for place, ((name, kind), numbers) in enumerate(zip(self.source.features(), self._numbers, strict=True))
        ]


class _Numbers:
    """Numbers of one feature: the fifth that chooses, and the others."""

    def __init__(self) -> None:
        self._sketches = Sketch(1), Sketch(2)
        self._rows = [0, 0]
        self._moments = Moments.nothing(1)

    @property
    def rows(self) -> int:
        return sum(self._rows)

    @property
    def finite(self) -> int:
        return sum(sketch.rows for sketch in self._sketches)

    def feed(self, values: Floats, chosen: Flags) -> None:
        finite = np.isfinite(values)
        for place, part in enumerate((chosen, ~chosen)):
            self._rows[place] += int(part.sum())
            self._sketches[place].add(values[finite & part] + 0.0)
        self._moments = self._moments.merge(Moments.of(values[:, None]))

    def settle(self, is_repeatable: bool) -> None:
        choosing, rest = self._sketches
        choice = choosing if choosing.rows else rest
        both = [sketch.items() for sketch in self._sketches]
        values, weights = (np.concatenate([items[i] for items in both]) for i in range(2))
        order = np.argsort(values, kind="stable")
        everything = spread_out(values[order], weights[order])
        ends = float(self._moments.minimum[0]), float(self._moments.maximum[0])
        everything = np.concatenate([[ends[0]], everything, [ends[1]]])
        self._edges, self._late, self._deciles = merge_edges(betting_edges(spread_out(*choice.items())), everything)
        self._median = float(np.median(everything))
        deviation = float(self._moments.std[0])
        self._center = float(self._moments.mean[0])
        self._scale = deviation if np.isfinite(deviation) and deviation > 0 else 1.0
        bins = self._edges.size + 2
        self._counts, self._sums = np.zeros((2, bins), np.int64), np.zeros(bins)
        self._uncertain = 0
        if not is_repeatable:
            self._from_sketches(values[order], weights[order])

    def _from_sketches(self, values: Floats, weights: Floats) -> None:
        for place, sketch in enumerate(self._sketches):
            below = np.rint(np.concatenate([[0.0], sketch.below(self._edges), [sketch.rows]])).astype(np.int64)
            self._counts[place, :-1] = np.diff(np.minimum(below, sketch.rows))
            self._counts[place, -1] = self._rows[place] - sketch.rows
        bins = self._edges.searchsorted(values, "right")
        standard = (values - self._center) / self._scale
        self._sums[:-1] = np.bincount(bins, weights * standard, minlength=self._edges.size + 1)
        self._uncertain = int(np.ceil(self._sketches[1].error))

    def count(self, values: Floats, chosen: Flags) -> None:
        finite = np.isfinite(values)
        for place, part in enumerate((chosen, ~chosen)):
            bins = self._edges.searchsorted(values[finite & part], "right")
            self._counts[place, :-1] += np.bincount(bins, minlength=self._edges.size + 1)
            self._counts[place, -1] += int((~finite & part).sum())
            standard = (values[finite & part] - self._center) / self._scale
            self._sums[:-1] += np.bincount(bins, standard, minlength=self._edges.size + 1)

    def profile(self, name: str, kind: Kind) -> Profile:
        moments = [float(getattr(self._moments, f"m{power}")[0]) / self._scale**power for power in (2, 3, 4)]
        has_rest = self._sketches[1].rows > 0
        limit = self._counts[1] if has_rest else self._counts[0]
        return Profile(
            name=name, kind=kind, column=name, rows=int(self._counts.sum()), counts=self._counts.sum(axis=0),
            limit_counts=limit, limit_rows=int(limit.sum()), uncertain=self._uncertain, edges=self._edges,
            late=self._late, deciles=self._deciles, sums=self._sums, center=self._center, scale=self._scale,
            minimum=float(self._moments.minimum[0]), maximum=float(self._moments.maximum[0]), median=self._median,
            moments=(moments[0], moments[1], moments[2]),
        )  # fmt: skip
