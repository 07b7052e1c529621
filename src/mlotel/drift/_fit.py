"""Profiles of every feature from a table that fits in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlotel.drift import _calibrate, _columns
from mlotel.drift._baseline import baseline, has_classes, proportions
from mlotel.drift._bins import category_profile, choosers, number_profile
from mlotel.drift._embedding import Axes
from mlotel.drift._kinds import Declared, Role, Source, declared, kind_of
from mlotel.drift._profile import Flags, Floats, Integers, Profile
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError

FEWEST_ROWS = 100
PREDICTION, LABEL = "prediction", "label"


@dataclass
class Fitted:
    """Everything that a reference is made of."""

    sources: list[Source] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    rows: int = 0
    proportions: dict[str, dict[str, float]] = field(default_factory=dict)
    baseline: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def fit_table(
    table: Any, predictions: Any, labels: Any, times: Any,
    *, kinds: Mapping[str, str], metrics: Sequence[str], slices: Sequence[str],
) -> Fitted:  # fmt: skip
    """Fit all columns of a table, predictions and labels."""
    columns = _columns.columns_of(table, "X")
    if not columns:
        raise EmptySampleError(
            "Reference.fit() got X without columns. Pass the rows the model was trained or tested on."
        )
    rows = _columns.rows_of(next(iter(columns.values())))
    check_rows(rows)
    extra = {**named(predictions, PREDICTION), **named(labels, LABEL)}
    check_names(columns, extra, kinds)
    for name, values in extra.items():
        columns[name] = values
    check_lengths(columns, rows)
    order = _order(times, rows)
    fitted = Fitted(rows=rows)
    chosen = choosers(rows)
    for name, values in columns.items():
        kind = declared(name, kinds[name]) if name in kinds else kind_of(name, values)
        source, profiles = _fit_column(name, kind, values, chosen, order)
        role: Role = "input" if name not in extra else "label" if name == LABEL else "prediction"
        fitted.sources.append(replace(source, role=role))
        fitted.profiles.extend(profiles)
    fitted.proportions = class_proportions(predictions, labels)
    if metrics:
        if predictions is None or labels is None:
            raise InvalidArgumentError("Reference.fit(metrics=…) needs predictions= and labels= of the same rows.")
        unknown = [name for name in slices if name not in columns]
        if unknown:
            raise InvalidArgumentError(f"Got slices={unknown!r}, which are no columns of X: {', '.join(columns)}.")
        scores = predictions if isinstance(predictions, np.ndarray) else _plain(predictions)
        fitted.baseline = baseline(scores, labels, metrics, {name: columns[name] for name in slices})
    if times is not None and order is None:
        fitted.notes.append(
            f"{rows:,} rows are too few to see dependence and cycles in times=; that takes {_calibrate.FEWEST_ROWS:,}."
        )
    return fitted


def _fit_column(
    name: str, kind: Declared, values: Any, chosen: Flags, order: Integers | None
) -> tuple[Source, list[Profile]]:
    source = Source(name, kind)
    try:
        if source.is_category:
            return source, [_fit_category(name, kind, values, chosen, order)]
        if kind == "embedding":
            found = _columns.vectors(values)
            # Axes found on the very rows that are counted would fit them better than any others.
            half = choosers_of_axes(len(found))
            source = Source(name, kind, Axes.of(found[half]))
            parts = [part[~half] for part in source.numbers(found)]
            order = None if order is None else (np.cumsum(~half) - 1)[order[~half[order]]]
            chosen = chosen[~half]
        else:
            parts = [np.asarray(part, dtype=np.float64) for part in source.numbers(values)]
    except _columns.WrongKindError as error:
        raise InvalidTypeError(
            f"Column {name!r} was declared {kind!r} and holds {error.found}. Declare another kind, or convert it."
        ) from error
    profiles = []
    for place, ((feature, feature_kind), part) in enumerate(zip(source.features(), parts, strict=True)):
        check_values(name, int(np.isfinite(part).sum()), part.size)
        profile = number_profile(feature, feature_kind, part, chosen)
        if order is not None and order.size >= _calibrate.FEWEST_ROWS:
            found_in_time = _calibrate.calibrate(profile, _calibrate.bins_of_numbers(profile, part)[order])
            profile = profile.changed(design_effect=found_in_time.design_effect, tolerance=found_in_time.tolerance)
        profiles.append(profile.changed(column=name, part=place, share=1 / len(parts)))
    return source, profiles


def _fit_category(name: str, kind: Declared, values: Any, chosen: Flags, order: Integers | None) -> Profile:
    codes, labels = _columns.coded(values)
    check_values(name, int((codes >= 0).sum()), codes.size)
    choosing, rest = _columns.counted(codes[chosen], labels), _columns.counted(codes[~chosen], labels)
    profile = category_profile(name, "boolean" if kind == "boolean" else "category", choosing, rest)
    if order is None:
        return profile
    found = _calibrate.calibrate(profile, _calibrate.bins_of_codes(profile, codes, labels)[order])
    return profile.changed(design_effect=found.design_effect, tolerance=found.tolerance)


def choosers_of_axes(rows: int) -> Flags:
    """``(rows,)`` the random half that axes of embeddings are found on."""
    half = np.zeros(rows, bool)
    half[np.random.default_rng(1).permutation(rows)[: rows // 2]] = True
    return half


def named(values: Any, name: str) -> dict[str, Any]:
    """Predictions or labels as columns: scores of several classes are one each."""
    if values is None:
        return {}
    values = _plain(values)
    if isinstance(values, np.ndarray) and values.ndim == 2:
        if values.shape[1] == 1:
            return {name: values[:, 0]}
        return {f"{name}.{place}": values[:, place] for place in range(values.shape[1])}
    return {name: values}


def _plain(values: Any) -> Any:
    """Frames of scores as arrays."""
    if isinstance(values, np.ndarray) or (getattr(values, "ndim", 1) != 2 and not hasattr(values, "column_names")):
        if hasattr(values, "detach"):
            return values.detach().cpu().numpy()
        return values
    return np.column_stack([_columns.numbers(column) for column in _columns.columns_of(values, "predictions").values()])


def class_proportions(predictions: Any, labels: Any) -> dict[str, dict[str, float]]:
    """Share of each class among predictions and labels, as far as they have classes."""
    given = {PREDICTION: predictions, LABEL: labels}
    plain = {role: _plain(values) for role, values in given.items() if values is not None}
    return {role: proportions(values) for role, values in plain.items() if has_classes(values)}


def check_rows(rows: int) -> None:
    """Refuse what is too small to say anything."""
    if rows == 0:
        raise EmptySampleError("Reference.fit() got no rows. Pass the rows the model was trained or tested on.")
    if rows < FEWEST_ROWS:
        raise EmptySampleError(
            f"Reference.fit() got {rows} rows; it takes {FEWEST_ROWS} at least, and 10,000 to see a small change."
        )


def check_values(name: str, present: int, rows: int) -> None:
    """Refuse a column without values."""
    if present == 0:
        raise EmptySampleError(
            f"Column {name!r} has 0 usable values out of {rows:,}. Drop the column, or fit rows that have it."
        )


def check_names(columns: Iterable[str], extra: Iterable[str], kinds: Mapping[str, str]) -> None:
    """Refuse names that would mean two things, or nothing."""
    both = sorted(set(columns) & set(extra))
    if both:
        raise InvalidArgumentError(f"X has a column called {both[0]!r}, as predictions or labels are. Rename it in X.")
    unknown = sorted(set(kinds) - set(columns) - set(extra))
    if unknown:
        raise InvalidArgumentError(f"Got kinds for {unknown!r}, which are no columns. There are {', '.join(columns)}.")


def check_lengths(columns: Mapping[str, Any], rows: int) -> None:
    """Refuse columns of other lengths."""
    for name, values in columns.items():
        if _columns.rows_of(values) != rows:
            raise InvalidArgumentError(
                f"X has {rows:,} rows and {name!r} has {_columns.rows_of(values):,}. Pass the same rows of each."
            )


def _order(times: Any, rows: int) -> Integers | None:
    """Rows in order of time; None when there are no times, or too few rows to see anything."""
    if times is None:
        return None
    try:
        since: Floats = np.asarray(_columns.numbers(times), dtype=np.float64)
    except _columns.WrongKindError:
        try:
            since = _columns.seconds(times)
        except _columns.WrongKindError as error:
            raise InvalidTypeError(f"times= holds {error.found}. Pass times, or seconds as numbers.") from error
    if since.size != rows:
        raise InvalidArgumentError(f"X has {rows:,} rows and times= has {since.size:,}. Pass the time of each row.")
    known = np.flatnonzero(np.isfinite(since))
    if known.size < _calibrate.FEWEST_ROWS:
        return None
    return known[np.argsort(since[known], kind="stable")]
