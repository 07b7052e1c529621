"""Columns by their logical content, the same for every library that holds them.

A column is described by a type, which is a word, and by streams of bytes that do not depend on how its rows came:

- values: fixed-width little-endian numbers, or the length in bytes of each string or list; 0 where there is a null;
- data: the bytes of the strings, one after another;
- nulls: a byte a row, only if there is a null at all;
- children: elements of lists, fields of structs.

Each stream has a digest and the column's digest is that of the type and these digests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlotel.artifacts import value as plain
from mlotel.artifacts._base import CHUNK, Hasher, Unidentifiable, hash_schema
from mlotel.artifacts._numbers import Array, blocks, canonical, feed, little, missing_in
from mlotel.types import Identity

ROWS = 1 << 16
"""Rows converted at a time where a conversion needs memory."""

_ZEROS = bytes(CHUNK)
_LONGEST = 1 << 32
_NUMBERS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


class Column:
    """Digest of one column, fed with consecutive runs of rows.

    Attributes:
        values: The stream of values; kinds that encode element by element write to it, then call ``count``.
        size: Bytes of all streams so far.
    """

    __slots__ = ("_children", "_data", "_hasher", "_nulls", "_rows", "size", "values")

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self.values = hasher.child()
        self.size = 0
        self._data: Hasher | None = None
        self._nulls: Hasher | None = None
        self._children: list[Column] = []
        self._rows = 0

    def numbers(self, values: Array, nulls: Array | None = None, *, nan_is_null: bool = False, scale: int = 1) -> None:
        """Add fixed-width values.

        Args:
            values: ``(n,)``, of any stride and byte order.
            nulls: ``(n,)`` booleans; None if there is no null.
            nan_is_null: Whether NaN and NaT are nulls, as in pandas.
            scale: Integers are multiplied by it.
        """
        if nulls is None and scale == 1 and values.dtype.kind in "iu" and values.ndim == 1 and _is_plain(values):
            self.values.raw(values.view(np.uint8))  # nothing to look for, so no block by block
            self.size += values.nbytes
            self.count(len(values))
            return
        start = 0
        for block in blocks(values):
            missing = None if nulls is None else nulls[start : start + len(block)]
            start += len(block)
            if nan_is_null:
                found = missing_in(block)
                if found is not None:
                    missing = found if missing is None else missing | found
            clean = block.view(np.int64) if block.dtype.kind in "mM" else block
            if missing is not None and missing.any():
                clean = clean.copy()
                clean[missing] = 0
            if not (nan_is_null and block.dtype.kind in "fc"):  # there every NaN is a null, and gone by now
                clean = canonical(clean)
            if scale != 1:
                clean = _scaled(clean, scale)
            feed(self.values, clean)
            self.size += clean.nbytes
            self.count(len(block), missing)

    def varied(self, lengths: Array, data: Any, nulls: Array | None = None) -> None:
        """Add strings or bytes.

        Args:
            lengths: ``(n,)`` bytes of each; 0 for nulls.
            data: Their bytes, one after another.
            nulls: As for ``numbers``.
        """
        self.lengths(lengths, nulls)
        if self._data is None:
            self._data = self._hasher.child()
        self._data.raw(data)
        self.size += memoryview(data).nbytes

    def lengths(self, lengths: Array, nulls: Array | None = None) -> None:
        """Add the lengths of lists whose elements go to ``child(0)``."""
        if lengths.dtype.itemsize > 4 and len(lengths) and lengths.max() >= _LONGEST:
            raise Unidentifiable("a single value of 4 GiB or more")
        narrow = np.ascontiguousarray(lengths, dtype="<u4")
        self.values.raw(narrow.view(np.uint8))
        self.size += narrow.nbytes
        self.count(len(lengths), nulls)

    def count(self, rows: int, nulls: Array | None = None) -> None:
        """Add rows whose values are in already; ``nulls`` is as for ``numbers``."""
        if self._nulls is None and nulls is not None and nulls.any():
            self._nulls = self._hasher.child()
            for start in range(0, self._rows, CHUNK):
                self._nulls.raw(_ZEROS[: min(CHUNK, self._rows - start)])
        if self._nulls is not None:
            self._nulls.raw(_ZEROS[:rows] if nulls is None and rows <= CHUNK else _bytes_of(nulls, rows))
        self._rows += rows

    def child(self, index: int) -> "Column":
        """The column of the elements of lists, or of one field of structs."""
        while len(self._children) <= index:
            self._children.append(Column(self._hasher))
        return self._children[index]

    def digest(self) -> bytes:
        """Digest of all streams; the types are described beside it."""
        parts = [self._rows.to_bytes(8, "little", signed=True), self.values.digest()]
        parts += [b"\0" if stream is None else b"\1" + stream.digest() for stream in (self._data, self._nulls)]
        for child in self._children:
            if child._rows:  # whether somebody asked for a child of no rows is no content
                parts.append(child.digest())
                self.size += child.size
        return self._hasher.digest_of(b"".join(parts))


def _is_plain(values: Array) -> bool:
    return values.flags.c_contiguous and values.dtype == little(values.dtype)


def _bytes_of(nulls: Array | None, rows: int) -> Array:
    if nulls is None:
        return np.zeros(rows, np.uint8)
    return np.ascontiguousarray(nulls).view(np.uint8)


def _scaled(block: Array, scale: int) -> Array:
    limit = np.iinfo(np.int64).max // scale
    if block.max() > limit or block.min() < -limit:
        raise Unidentifiable("a time too far away to be counted in milliseconds")
    return block * scale


def number_type(dtype: "np.dtype[Any]") -> str:
    """Logical type of a numpy dtype of numbers: ``int64``, ``float32``, ``bool``."""
    if dtype.kind == "b":
        return "bool"
    if dtype.kind in "fc" and dtype.itemsize > 8 * (1 + (dtype.kind == "c")):
        return "long" + _NUMBERS[dtype.kind]  # as wide as the platform makes it
    return f"{_NUMBERS[dtype.kind]}{8 * dtype.itemsize}"


def time_type(word: str, unit: str, zone: str | None = None) -> tuple[str, int]:
    """Logical type of ``timestamp`` or ``duration``, and what its integers must be multiplied by.

    Parquet has no seconds and stores milliseconds for them, so both are one type.
    """
    scale = 1000 if unit == "s" else 1
    unit = "ms" if unit == "s" else unit
    return (f"{word}[{unit}]" if zone is None else f"{word}[{unit}, {zone}]"), scale


def zone_name(zone: str) -> str:
    """One name for UTC."""
    return "UTC" if zone in ("UTC", "Etc/UTC", "+00:00", "utc") else zone


def extension_type(name: str, detail: str, storage: str) -> str:
    """Logical type of an Arrow extension type, or of what pandas stores as one."""
    return f"extension<{name!r}, {detail!r}, {storage}>"


def extension_detail(name: str, metadata: str) -> str:
    """What counts of an extension type's metadata: of pandas' own types, what pandas itself knows."""
    known = {"pandas.period": "freq", "pandas.interval": "closed"}.get(name)
    if known is None:
        return metadata
    import json  # for two rare types

    return str(json.loads(metadata)[known])


def category(
    hasher: Hasher,
    labels: Sequence[Any],
    label_type: str,
    ordered: bool,
    codes: Sequence[tuple[Array, Array | None]],
) -> tuple[str, bytes, int]:
    """Type, digest and size of a categorical column.

    Args:
        hasher: Of the whole.
        labels: Plain values; None stands for a null.
        label_type: Their logical type.
        ordered: Whether the order of labels counts.
        codes: Runs of positions in ``labels``, and where they are null.
    """
    step = hasher.stride(len(labels))
    encoded: list[bytes | None] = []
    for position, label in enumerate(labels):
        if label is None:
            encoded.append(None)
        elif step == 1 or position % step == 0:
            encoded.append(plain.encode(label, hasher))
        else:
            encoded.append(b"")  # a sample does not tell these labels apart
        if position % 1024 == 0:
            hasher.check()
    distinct = list(dict.fromkeys(word for word in encoded if word is not None))
    if not ordered:
        distinct.sort()
    place = {word: code for code, word in enumerate(distinct)}
    width = np.min_scalar_type(max(0, len(distinct) - 1))
    table = np.array([0 if word is None else place[word] for word in encoded] or [0], dtype=width)
    void = np.array([word is None for word in encoded] or [True])
    some_void = bool(void.any())
    column = Column(hasher)
    for positions, nulls in codes:
        for start in range(0, len(positions), ROWS):
            part = positions[start : start + ROWS]
            missing = None if nulls is None else nulls[start : start + ROWS]
            if missing is not None and missing.any():
                part = np.where(missing, 0, part)
            if some_void:
                missing = void[part] if missing is None else missing | void[part]
            column.numbers(table[part], missing)
    total = hasher.child()
    total.number(len(distinct))
    for word in distinct:
        total.number(len(word))
        total.token(word)
    total.token(column.digest())
    inner = label_type if distinct else "null"
    return f"category<{inner}, {'ordered' if ordered else 'unordered'}>", total.digest(), column.size


@dataclass(slots=True)
class Field:
    """One described column.

    Attributes:
        name: Its label: a string, or any plain value in pandas.
        type: Its logical type.
        digest: Digest of its content.
        size: Bytes of its content.
    """

    name: Any
    type: str
    digest: bytes
    size: int


def table_identity(
    hasher: Hasher, rows: int, fields: Sequence[Field], index: Sequence[Field] = (), labels: Sequence[Any] = ()
) -> Identity:
    """Identity of a table.

    Args:
        hasher: Of the whole.
        rows: Rows of the whole table, also when only a sample of them was described.
        fields: Its columns.
        index: The columns of its index, unless that is the default one.
        labels: Names of the column index, if it has any.
    """
    hasher.text("table")
    return _identity(hasher, rows, fields, index, labels, ["table"])


def series_identity(hasher: Hasher, rows: int, field: Field, index: Sequence[Field] = ()) -> Identity:
    """Identity of a single column with or without a name."""
    hasher.text("series")
    return _identity(hasher, rows, [field], index, (), ["series"])


def _identity(
    hasher: Hasher,
    rows: int,
    fields: Sequence[Field],
    index: Sequence[Field],
    labels: Sequence[Any],
    schema: list[str],
) -> Identity:
    columns = len(fields) if schema == ["table"] else None
    hasher.number(rows)
    for part in (fields, index):
        hasher.number(len(part))
        for field in part:
            name = plain.encode(field.name, hasher)
            hasher.number(len(name))
            hasher.token(name)
            hasher.text(field.type)
            hasher.token(field.digest)
            schema += [name.hex(), field.type]
        schema.append("")
    hasher.number(len(labels))
    for label in labels:
        name = plain.encode(label, hasher)
        hasher.number(len(name))
        hasher.token(name)
    size = None if hasher.sampling else sum(field.size for part in (fields, index) for field in part)
    return hasher.identity(schema_hash=hash_schema(schema), rows=rows, columns=columns, size=size)
