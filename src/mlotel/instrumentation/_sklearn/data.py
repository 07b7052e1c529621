"""What is said of the data that an estimator is given: shapes, types, shares. Never a value, but for class labels."""

import sys
from typing import Any

from mlotel import artifacts
from mlotel._guard import guard
from mlotel.artifacts._look import ancestry, origin
from mlotel.semconv import attributes as names
from mlotel.tracing import attributes
from mlotel.types import AttributeValue

__all__ = ["class_facts", "data_facts", "missing_share"]

MAX_CLASSES = 50
MAX_DTYPES = 16
MAX_CELLS = 1_000_000
"""Cells that are looked at for missing values; of larger tables, evenly spaced rows."""
MAX_LABELS = 500_000
"""Labels that are counted; of more, evenly spaced ones."""

_SPARSE = ("spmatrix", "_spbase", "sparray")


def data_facts(value: Any) -> dict[str, AttributeValue]:
    """Rows, columns, types of the columns, and whether it is sparse; as far as that is known without computing."""
    found: dict[str, AttributeValue] = {}
    with guard("describe the data of a call"):
        rows, columns = _shape(value)
        if rows is not None:
            found[names.ML_DATA_ROW_COUNT] = rows
        if columns is not None:
            found[names.ML_DATA_COLUMN_COUNT] = columns
        dtypes = _dtypes(value)
        if dtypes:
            found[names.ML_DATA_DTYPES] = dtypes
        if _is_sparse(value):
            found[names.ML_DATA_SPARSE] = True
    return found


def _shape(value: Any) -> tuple[int | None, int | None]:
    if type(value) in (list, tuple):
        first: Any = value[0] if value else None
        return len(value), len(first) if type(first) in (list, tuple) else None
    if _is_sparse(value):
        return int(value.shape[0]), int(value.shape[1])
    return artifacts.shape_of(value)


def _is_sparse(value: Any) -> bool:
    return any(origin(kind)[0] == "scipy" and kind.__name__ in _SPARSE for kind in ancestry(value))


def _library(value: Any) -> str:
    """The library whose table or array ``value`` is; empty for anything else."""
    for kind in ancestry(value):
        root, name = origin(kind)
        if name in ("DataFrame", "Series", "ndarray", "Table") and root in ("pandas", "polars", "numpy", "pyarrow"):
            return str(root)
    return "scipy" if _is_sparse(value) else ""


def _dtypes(value: Any) -> list[str]:
    """Types of the columns, each with how many there are when there are several: ``["float64: 3", "int64: 1"]``."""
    library = _library(value)
    if library in ("numpy", "scipy") or (library == "pandas" and hasattr(type(value), "dtype")):
        return [attributes.text(str(value.dtype), 64)]
    if library == "pyarrow":
        each = [str(kind) for kind in value.schema.types]
    elif library in ("pandas", "polars") and hasattr(type(value), "dtypes"):
        each = [str(kind) for kind in value.dtypes]
    else:
        return []
    counts: dict[str, int] = {}
    for kind in each:
        counts[kind] = counts.get(kind, 0) + 1
    if len(counts) == 1:
        return [attributes.text(next(iter(counts)), 64)]
    common = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_DTYPES]
    return [attributes.text(f"{kind}: {number}", 64) for kind, number in common]


def missing_share(value: Any) -> float | None:
    """Share of the cells that are missing, from 0 to 1; None where it is not known.

    Args:
        value: ``(n, d)`` or ``(n,)`` numbers or a table.
    """
    library = _library(value)
    if library not in ("numpy", "pandas", "polars"):
        return None
    rows, columns = artifacts.shape_of(value)
    if not rows or columns == 0:
        return None
    stride = -(-rows * (columns or 1) // MAX_CELLS)
    numpy = sys.modules["numpy"]
    if library == "numpy":
        sample = value[::stride]
        return float(numpy.isnan(sample).mean()) if sample.dtype.kind == "f" else None
    if library == "pandas":
        return float(numpy.asarray(value.iloc[::stride].isna()).mean())
    sample = value.gather_every(stride)
    nulls = sample.null_count()
    total = nulls if isinstance(nulls, int) else sum(nulls.row(0))
    return total / (len(sample) * (columns or 1))


def class_facts(y: Any) -> dict[str, AttributeValue]:
    """Labels of the classes and their shares among the rows, the most frequent first.

    Args:
        y: ``(n,)`` or ``(n, 1)`` labels: an array, a column or a list.
    """
    if not (type(y) in (list, tuple) or _library(y)):
        return {}
    numpy = sys.modules["numpy"]
    labels = numpy.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.size == 0:
        return {}
    labels = labels[:: -(-labels.size // MAX_LABELS)]
    counted = _counted(labels, numpy)
    common = sorted(counted, key=lambda pair: -pair[1])[:MAX_CLASSES]
    return {
        names.ML_CLASS_LABELS: [attributes.text(label, 128) for label, _ in common],
        names.ML_CLASS_PROPORTIONS: [number / labels.size for _, number in common],
        names.ML_CLASS_COUNT: len(counted),
    }


def _counted(labels: Any, numpy: Any) -> list[tuple[str, int]]:
    if labels.dtype.kind == "O":  # labels of any kind; they are the user's, so they are counted as texts
        counts: dict[str, int] = {}
        for label in labels.tolist():
            word = str(label) if type(label) in attributes.SCALARS else attributes.describe(label)
            counts[word] = counts.get(word, 0) + 1
        return list(counts.items())
    found, numbers = numpy.unique(labels, return_counts=True)
    return [(str(label), number) for label, number in zip(found.tolist(), numbers.tolist(), strict=True)]
