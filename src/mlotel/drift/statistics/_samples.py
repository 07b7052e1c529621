"""Two raw samples made comparable: finite numbers, or counts in bins that the reference chose."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from mlotel.drift.statistics._bins import bin_counts, decile_edges, given_edges
from mlotel.drift.statistics._counts import Counts, Floats, Ordered
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError
from mlotel.quality._columns import ACCEPTED, Column, read

Bins: TypeAlias = int | Iterable[float]


def finite(values: Any, what: str) -> Floats:
    """The finite numbers of one sample; times are seconds since 1970.

    Args:
        values: A column of pandas, polars or pyarrow, a numpy array or a list, of numbers, booleans or times.
        what: ``reference`` or ``current``, for errors.

    Raises:
        EmptySampleError: If there is no finite value.
        InvalidTypeError: If it holds text, or is no column.

    Example:
        >>> finite([1, None, float("inf"), 2], "reference")
        array([1., 2.])
    """
    return numbers_of(_usable(values, what), what)


def finite_with_origin(values: Any) -> tuple[Floats, float]:
    """The finite numbers of one sample less an origin, and the origin: see ``finite_pair``."""
    column = _usable(values, "the sample")
    origin = None if column.kind == "category" else _common_origin(column, column)
    return numbers_of(column, "the sample", origin), float(_as_number(origin))


def finite_pair(reference: Any, current: Any) -> tuple[Floats, Floats]:
    """The finite numbers of both samples.

    Integers and times lose a common origin on the way, so that neither nanoseconds nor digits beyond the 53 bits of a
    float are lost: differences and order are those of the samples.

    Raises:
        EmptySampleError: If either sample has no finite value.
        InvalidTypeError: If one holds text, is no column, or cannot be compared with the other.
    """
    a, b = _usable(reference, "reference"), _usable(current, "current")
    for column, what in ((a, "reference"), (b, "current")):
        if column.kind == "category":
            raise _no_numbers(what)
    a, b = _compatible(a, b)
    origin = _common_origin(a, b)
    return numbers_of(a, "reference", origin), numbers_of(b, "current", origin)


def counts_of(reference: Any, current: Any, *, bins: Bins = 10, ordered: bool = False) -> Counts:
    """Counts of one feature from two raw samples, in bins chosen by the reference.

    Numbers: open-ended quantile bins of equal mass; a value that fills a bin alone has one of its own. Text, labels and
    booleans: every value of either sample is a bin. Missing and infinite values share the last bin.

    Args:
        reference: ``(n,)`` of any kind.
        current: ``(m,)`` of the same kind.
        bins: Number of quantile bins, 2 or more, or their inner edges, ascending. Text and labels ignore the number.
        ordered: Whether to count each distinct number too, for statistics that need the order.

    Raises:
        EmptySampleError: If either sample has no usable value.
        InvalidTypeError: If the samples cannot be compared.
        InvalidArgumentError: If ``bins`` cannot be used.
    """
    a, b = _usable(reference, "reference"), _usable(current, "current")
    wanted = _checked_bins(bins)
    if "category" in (a.kind, b.kind):
        if a.kind != b.kind:
            raise _different_kinds(a, b)
        if not isinstance(wanted, int):
            raise InvalidArgumentError("Got edges in bins= for text or labels, which have none. Leave bins= out.")
        return _label_counts(a, b)
    a, b = _compatible(a, b)
    origin = _common_origin(a, b)
    x, y = np.sort(numbers_of(a, "reference", origin)), np.sort(numbers_of(b, "current", origin))
    edges = decile_edges(x, wanted) if isinstance(wanted, int) else wanted - float(_as_number(origin))
    invalid = [len(a) - x.size, len(b) - y.size]
    rows = [np.append(bin_counts(one, edges), lost) for one, lost in zip((x, y), invalid, strict=True)]
    return Counts(rows[0][None].astype(float), rows[1][None].astype(float), _each_value(x, y) if ordered else None)


def numbers_of(column: Column, what: str, origin: Any = None) -> Floats:
    """The finite numbers of a column that has some."""
    if column.kind == "category":
        raise _no_numbers(what)
    return column.seconds_or_numbers(origin)[column.finite()]


def _usable(values: Any, what: str) -> Column:
    column = read(values, what)
    usable = column.finite()
    if not usable.any():
        kind = "usable" if column.kind == "category" else "finite"
        raise EmptySampleError(
            f"{_cannot(what)} has 0 {kind} values out of {len(column)}. Pass at least one, or drop the feature."
        )
    return column


def _cannot(what: str) -> str:
    """Beginning of a message: what was asked, and whose fault it is."""
    return f"Cannot compare the samples: {what}" if what in ("reference", "current") else f"Cannot describe {what}: it"


def _no_numbers(what: str) -> InvalidTypeError:
    return InvalidTypeError(
        f"{_cannot(what)} holds text or labels, which have no order. "
        "Pass numbers, or use psi, js, hellinger, tvd, chi2 or cramers_v."
    )


def _different_kinds(a: Column, b: Column) -> InvalidTypeError:
    words = {"category": "text or labels", "number": "numbers", "boolean": "booleans", "time": "times"}
    kinds = [words.get(column.kind, "durations") for column in (a, b)]
    return InvalidTypeError(
        f"Cannot compare the samples: reference holds {kinds[0]}, current holds {kinds[1]}. "
        f"Convert one of them, so that both are of one kind; each may be {ACCEPTED}."
    )


def _compatible(a: Column, b: Column) -> tuple[Column, Column]:
    """Numbers with booleans as numbers, times in one unit."""
    if a.kind == b.kind and a.kind not in ("time", "duration"):
        return a, b
    if {a.kind, b.kind} == {"number", "boolean"}:
        return tuple(  # type: ignore[return-value]  # a tuple of two
            Column("number", column.values.astype(np.int64), column.missing) if column.kind == "boolean" else column
            for column in (a, b)
        )
    if a.kind != b.kind:
        raise _different_kinds(a, b)
    if a.values.dtype == b.values.dtype:
        return a, b
    finer = np.promote_types(a.values.dtype, b.values.dtype)
    for column in (a, b):  # a year far away does not fit into nanoseconds: then both in the coarser unit
        if not (column.values.astype(finer).astype(column.values.dtype) == column.values)[~column.missing].all():
            finer = column.values.dtype
    return Column(a.kind, a.values.astype(finer), a.missing), Column(b.kind, b.values.astype(finer), b.missing)


def _common_origin(a: Column, b: Column) -> Any:
    """Smallest value of both samples where subtracting it is exact and useful; else None."""
    if any(column.values.dtype.kind not in "iumM" for column in (a, b)) or a.values.dtype != b.values.dtype:
        return None
    lowest = min(a.present.min(), b.present.min())
    highest = max(a.present.max(), b.present.max())
    if a.values.dtype.kind in "mM":
        fits = int(highest.astype(np.int64)) - int(lowest.astype(np.int64)) < 2**63
    else:
        fits = int(highest) - int(lowest) < 2**63
    return lowest if fits else None


def _as_number(origin: Any) -> Any:
    if origin is None:
        return 0.0
    if isinstance(origin, np.datetime64):
        origin = origin - np.datetime64(0, "s")
    return origin / np.timedelta64(1, "s") if isinstance(origin, np.timedelta64) else origin


def _checked_bins(bins: Bins) -> int | Floats:
    if not isinstance(bins, (int, np.integer)):
        return given_edges(bins)
    if isinstance(bins, bool) or bins < 2:
        raise InvalidArgumentError(f"Got bins={bins}. Pass 2 or more bins, or a list of ascending edges.")
    return int(bins)


def _label_counts(a: Column, b: Column) -> Counts:
    codes_a, labels = a.codes()
    codes_b, other = b.codes()
    place = {label: code for code, label in enumerate(labels)}
    moved = np.array([place.setdefault(label, len(place)) for label in other] + [-1], dtype=np.intp)
    codes_b = moved[codes_b]  # -1, missing, is the last
    rows = [np.bincount(codes[codes >= 0], minlength=len(place)) for codes in (codes_a, codes_b)]
    missing = [int((codes < 0).sum()) for codes in (codes_a, codes_b)]
    found = [np.append(row, lost)[None].astype(float) for row, lost in zip(rows, missing, strict=True)]
    return Counts(found[0], found[1])


def _each_value(x: Floats, y: Floats) -> Ordered:
    """Every distinct value of the sorted reference begins a bin."""
    edges = np.unique(x)
    rows = [bin_counts(one, edges)[None].astype(float) for one in (x, y)]
    return Ordered(features=np.array([0]), edges=edges[None], reference=rows[0], current=rows[1])
