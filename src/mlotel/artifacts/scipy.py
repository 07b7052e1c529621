"""scipy's sparse arrays and matrices: shape, dtype and the entries that are stored, in whatever format.

CSR, CSC, COO, LIL and DOK of the same entries are one artifact, and so are ``csr_array`` and ``csr_matrix``. Entries
at the same place are summed, their order does not count, nor does the dtype of the indices. A stored zero counts: to
a graph it is an edge. BSR and DIA cannot help storing zeros, so there they do not count. A sparse array is never the
same artifact as a dense one.
"""

from typing import Any

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no types

from mlotel.artifacts._base import CHUNK, SAMPLE, Hasher, Unidentifiable, hash_schema
from mlotel.artifacts._numbers import Array, blocks, canonical, feed
from mlotel.artifacts.array import _word
from mlotel.types import Identity

_PADDED = frozenset({"bsr", "dia"})


def matches(value: Any) -> bool:
    """Whether the value is a sparse array or matrix of scipy's own."""
    return sparse.issparse(value) and type(value).__module__.partition(".")[0] == "scipy"


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of a sparse array: ``(n, m)`` has n rows and m columns.

    Raises:
        Unidentifiable: If it holds objects.
    """
    shape = tuple(int(length) for length in value.shape)
    if value.dtype.kind not in "biufc":
        raise Unidentifiable(f"a sparse array of dtype {value.dtype}")
    hasher.text("sparse")
    hasher.number(len(shape))
    for length in shape:
        hasher.number(length)
    word = _word(value.dtype)
    hasher.text(word)
    size = (_compressed if len(shape) == 2 else _coordinates)(value, hasher)
    return hasher.identity(
        schema_hash=hash_schema(["sparse", word, *map(str, shape[1:])]),
        rows=shape[0] if shape else None,
        columns=shape[1] if len(shape) == 2 else None,
        size=size,
    )


def _compressed(value: Any, hasher: Hasher) -> int:
    """Describe a matrix row by row; returns how many bytes its indices and entries take."""
    hasher.check()
    if value.format == "csr":  # the given object notes whether it is sorted: only a second view may be asked
        rows = sparse.csr_array((value.data, value.indices, value.indptr), shape=value.shape)
    else:
        rows = sparse.csr_array(value.tocsr())
    hasher.check()
    if value.format in _PADDED:
        rows = rows.copy()
        rows.sum_duplicates()
        rows = _without_zeros(rows)
    elif not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    count = int(rows.indptr[-1])
    hasher.number(count)
    width = np.dtype("<i4" if max(*rows.shape, count) < 2**31 else "<i8")
    for numbers in (rows.indptr, rows.indices[:count]):
        _indices(numbers, width, hasher)
    _entries(rows.data[:count], hasher)
    return int(rows.indptr.nbytes + rows.indices.nbytes + rows.data.nbytes)


def _without_zeros(rows: Any) -> Any:
    """The matrix without stored zeros, but with -0.0, which is no zero in an array either."""
    kept = rows.data.view(f"V{rows.data.dtype.itemsize}") != np.zeros((), rows.data.dtype).view(
        f"V{rows.data.dtype.itemsize}"
    )
    if kept.all():
        return rows
    before = np.concatenate([[0], np.cumsum(kept)])
    return sparse.csr_array((rows.data[kept], rows.indices[kept], before[rows.indptr]), shape=rows.shape)


def _coordinates(value: Any, hasher: Hasher) -> int:
    """Describe an array of one or of more than two dimensions by the places of its entries, in C order."""
    entries = value.tocoo().copy()
    entries.sum_duplicates()
    order = np.lexsort(entries.coords[::-1])
    hasher.check()
    hasher.number(len(order))
    width = np.dtype("<i4" if max((*entries.shape, 0)) < 2**31 else "<i8")
    for numbers in entries.coords:
        _indices(numbers[order], width, hasher)
    _entries(entries.data[order], hasher)
    return int(sum(numbers.nbytes for numbers in entries.coords) + entries.data.nbytes)


def _indices(numbers: Array, width: "np.dtype[Any]", hasher: Hasher) -> None:
    numbers = numbers[:: hasher.stride(len(numbers), 100 * SAMPLE)]
    step = CHUNK // width.itemsize
    for start in range(0, len(numbers), step):
        hasher.raw(np.ascontiguousarray(numbers[start : start + step], dtype=width))


def _entries(data: Array, hasher: Hasher) -> None:
    for block in blocks(data[:: hasher.stride(len(data), 100 * SAMPLE)]):
        feed(hasher, canonical(block))
