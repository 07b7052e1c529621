"""pyarrow tables, record batches and arrays. A batch is a table; how rows are chunked does not count."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # as above

from mlotel.artifacts import value as plain
from mlotel.artifacts._base import Hasher, Unidentifiable
from mlotel.artifacts._columns import (
    ROWS,
    Column,
    Field,
    category,
    extension_detail,
    extension_type,
    number_type,
    series_identity,
    table_identity,
    time_type,
    zone_name,
)
from mlotel.artifacts._numbers import Array
from mlotel.artifacts._objects import decimal_type
from mlotel.artifacts._recall import recalled
from mlotel.types import Identity

_types = pa.types
_ENOUGH_CELLS = 100_000  # of a sampled table


def matches(value: Any) -> bool:
    """Whether the value is a table, a record batch or an array."""
    return isinstance(value, (pa.Table, pa.RecordBatch, pa.ChunkedArray, pa.Array))


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of a table or an array; schema metadata and nullability do not count."""
    rows = len(value)
    single = isinstance(value, (pa.ChunkedArray, pa.Array))
    if hasher.sampling:
        width = 1 if single else max(1, value.num_columns)
        step = hasher.stride(rows, max(1, min(1000, _ENOUGH_CELLS // width)))
        value = value.take(pa.array(np.arange(0, rows, step)))
    if single:
        return series_identity(hasher, rows, describe(None, value, hasher))
    fields = [describe(name, value.column(i), hasher) for i, name in enumerate(value.schema.names)]
    return table_identity(hasher, rows, fields)


def describe(name: Any, values: Any, hasher: Hasher, *, nan_is_null: bool = False) -> Field:
    """Describe an array or chunked array.

    Args:
        name: Label of the column.
        values: pyarrow's.
        hasher: Of the whole.
        nan_is_null: Whether it is a column of a pandas frame.
    """
    hasher.check()
    if _types.is_dictionary(values.type):
        return Field(name, *_category(values, hasher))
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]

    def described() -> tuple[bytes, int]:
        column = Column(hasher)
        for chunk in chunks:
            for start in range(0, len(chunk), ROWS):
                _add(column, chunk.slice(start, ROWS), nan_is_null)
                hasher.check()
        return column.digest(), column.size

    raw = _raw(values.type, chunks)
    found = described() if raw is None else recalled(hasher, *raw, described)
    return Field(name, _word(values.type), *found)


def _raw(kind: Any, chunks: Sequence[Any]) -> tuple[tuple[Any, ...], list[Any]] | None:
    """What a column of strings consists of: what there is beside the bytes, and the buffers. None for other columns."""
    if not (_types.is_string(kind) or _types.is_large_string(kind)) or any(chunk.offset % 8 for chunk in chunks):
        return None
    buffers: list[Any] = []
    for chunk in chunks:
        valid, _, data = chunk.buffers()
        ends = _ends(chunk)
        if valid is not None:
            buffers.append(memoryview(valid)[chunk.offset // 8 : (chunk.offset + len(chunk) + 7) // 8])
        buffers += [ends, b"" if data is None else memoryview(data)[ends[0] : ends[-1]]]
    return ("arrow", str(kind), *((len(chunk), chunk.buffers()[0] is None) for chunk in chunks)), buffers


def _category(values: Any, hasher: Hasher) -> tuple[str, bytes, int]:
    kind = values.type
    chunks = values.unify_dictionaries().chunks if isinstance(values, pa.ChunkedArray) else [values]
    labels = chunks[0].dictionary.to_pylist() if chunks else []
    codes = [(chunk.indices.fill_null(0).to_numpy(zero_copy_only=False), _nulls(chunk.indices)) for chunk in chunks]
    return category(hasher, labels, _word(kind.value_type), kind.ordered, codes)


def _nulls(array: Any) -> Array | None:
    if not array.null_count:
        return None
    found: Array = array.is_null().to_numpy(zero_copy_only=False)
    return found


def _width(kind: Any) -> "np.dtype[Any] | None":
    """The dtype of values that lie in one buffer side by side."""
    if _types.is_integer(kind) or _types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    if _types.is_date32(kind) or _types.is_time32(kind):
        return np.dtype(np.int32)
    if _types.is_temporal(kind) and not _types.is_interval(kind):
        return np.dtype(np.int64)
    return None


def _add(column: Column, array: Any, nan_is_null: bool) -> None:
    """Describe one run of rows."""
    kind = array.type
    if _types.is_date64(kind):
        array = array.cast(pa.date32())
    elif _types.is_time32(kind) or (_types.is_time64(kind) and kind.unit != "ns"):
        array = array.cast(pa.time64("ns"))
    dtype = _width(array.type)
    nulls = _nulls(array)
    if dtype is not None:
        values = np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)
        seconds = (_types.is_timestamp(kind) or _types.is_duration(kind)) and kind.unit == "s"
        column.numbers(values, nulls, nan_is_null=nan_is_null, scale=1000 if seconds else 1)
    elif _types.is_boolean(kind):
        bits = np.frombuffer(array.buffers()[1], np.uint8)
        first = array.offset // 8
        bits = bits[first : (array.offset + len(array) + 7) // 8]
        values = np.unpackbits(bits, bitorder="little")[array.offset - first * 8 :][: len(array)]
        column.numbers(values.view(bool), nulls)
    elif _types.is_null(kind):
        column.count(len(array), np.ones(len(array), dtype=bool))
    elif _is_varied(kind):
        _varied(column, array, nulls)
    elif _types.is_decimal(kind) or _types.is_interval(kind):
        _wide(column, array, nulls)
    elif isinstance(kind, pa.BaseExtensionType):
        _add(column, array.storage, nan_is_null)
    else:
        _nested(column, array, nulls, nan_is_null)


def _is_varied(kind: Any) -> bool:
    return bool(
        _types.is_string(kind)
        or _types.is_binary(kind)
        or _types.is_large_string(kind)
        or _types.is_large_binary(kind)
        or _types.is_fixed_size_binary(kind)
        or _types.is_string_view(kind)
        or _types.is_binary_view(kind)
    )


def _varied(column: Column, array: Any, nulls: Array | None) -> None:
    kind = array.type
    text = _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind)
    if _types.is_string_view(kind) or _types.is_binary_view(kind) or _types.is_fixed_size_binary(kind):
        offsets = pa.large_string() if text else pa.large_binary()
        try:
            array = array.cast(offsets)
        except pa.ArrowNotImplementedError:  # views, before pyarrow 18
            array = pa.array(array.to_pylist(), offsets)
    ends = _ends(array)
    lengths = _lengths(ends)
    if nulls is not None and lengths[nulls].any():  # a null may hide bytes
        array = pc.fill_null(array, "" if text else b"")
        ends = _ends(array)
        lengths = _lengths(ends)
    data = array.buffers()[2]
    column.varied(lengths, b"" if data is None else memoryview(data)[ends[0] : ends[-1]], nulls)


def _ends(array: Any) -> Array:
    """Where each string starts, and where the last one ends."""
    is_short = _types.is_string(array.type) or _types.is_binary(array.type)
    dtype = np.dtype(np.int32 if is_short else np.int64)
    return np.frombuffer(array.buffers()[1], dtype, len(array) + 1, array.offset * dtype.itemsize)


def _lengths(ends: Array) -> Array:
    """Bytes of each string. Where all together fit into 32 bits the differences do too, also of ends that do not."""
    narrow = ends.astype("<u4") if ends[-1] - ends[0] < 1 << 32 else ends
    lengths: Array = narrow[1:] - narrow[:-1]
    return lengths


def _wide(column: Column, array: Any, nulls: Array | None) -> None:
    """Decimals, as integers of 16 or 32 bytes, and calendar intervals."""
    kind = array.type
    if _types.is_decimal(kind) and kind.bit_width < 128:
        array = array.cast(pa.decimal128(kind.precision, kind.scale))
    width = array.type.bit_width // 8
    raw = np.frombuffer(array.buffers()[1], np.uint8, width * len(array), array.offset * width).reshape(-1, width)
    if nulls is not None:
        raw = raw.copy()
        raw[nulls] = 0
    column.values.raw(raw.reshape(-1))
    column.size += raw.nbytes
    column.count(len(array), nulls)


def _nested(column: Column, array: Any, nulls: Array | None, nan_is_null: bool) -> None:
    kind = array.type
    if _types.is_dictionary(kind):
        _add(column, array.dictionary_decode(), nan_is_null)
    elif _types.is_run_end_encoded(kind):
        _add(column, pc.run_end_decode(array), nan_is_null)
    elif _types.is_struct(kind):
        column.count(len(array), nulls)
        for position, part in enumerate(array.flatten()):  # with the nulls of the struct in its fields
            _add(column.child(position), part, nan_is_null)
    elif _types.is_fixed_size_list(kind):
        column.count(len(array), nulls)
        _add_elements(column, array.flatten(), nan_is_null)
    elif _types.is_map(kind):
        _maps(column, array, nulls, nan_is_null)
    elif _is_list(kind):
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        column.lengths(lengths, nulls)
        _add_elements(column, array.flatten(), nan_is_null)  # leaves out what nulls may hide
    else:  # unions
        write = plain.writer(column.values)
        for element in array.to_pylist():
            write(element)
        column.count(len(array))


def _is_list(kind: Any) -> bool:
    return bool(
        _types.is_list(kind)
        or _types.is_large_list(kind)
        or _types.is_list_view(kind)
        or _types.is_large_list_view(kind)
    )


def _add_elements(column: Column, elements: Any, nan_is_null: bool) -> None:
    for start in range(0, len(elements), ROWS):
        _add(column.child(0), elements.slice(start, ROWS), nan_is_null)


def _maps(column: Column, array: Any, nulls: Array | None, nan_is_null: bool) -> None:
    offsets = array.offsets.to_numpy()
    lengths = np.diff(offsets)
    if nulls is not None and lengths[nulls].any():
        raise Unidentifiable("a map column with entries below nulls")
    column.lengths(lengths, nulls)
    count = int(offsets[-1] - offsets[0])
    for position, part in enumerate((array.keys, array.items)):
        _add(column.child(position), part.slice(int(offsets[0]), count), nan_is_null)


def _word(kind: Any) -> str:
    """Logical type of an Arrow type."""
    if _types.is_integer(kind) or _types.is_floating(kind):
        return number_type(np.dtype(kind.to_pandas_dtype()))
    if _types.is_boolean(kind) or _types.is_null(kind):
        return "bool" if _types.is_boolean(kind) else "null"
    if _is_varied(kind):
        text = _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind)
        return "string" if text else "binary"
    if _types.is_date(kind):
        return "date"
    if _types.is_time(kind):
        return "time"
    if _types.is_timestamp(kind):
        return time_type("timestamp", kind.unit, None if kind.tz is None else zone_name(kind.tz))[0]
    if _types.is_duration(kind):
        return time_type("duration", kind.unit)[0]
    if _types.is_decimal(kind):
        return decimal_type(kind.bit_width, kind.scale)
    if isinstance(kind, pa.BaseExtensionType):
        metadata = kind.__arrow_ext_serialize__() if hasattr(kind, "__arrow_ext_serialize__") else str(kind).encode()
        detail = extension_detail(kind.extension_name, metadata.decode("utf-8", "backslashreplace"))
        return extension_type(kind.extension_name, detail, _word(kind.storage_type))
    return _nested_word(kind)


def _nested_word(kind: Any) -> str:
    if _types.is_dictionary(kind):  # inside lists and structs, where labels cannot be told from values
        return f"encoded<{_word(kind.value_type)}>"
    if _types.is_run_end_encoded(kind):
        return _word(kind.value_type)
    if _types.is_struct(kind):
        return (
            "struct<"
            + ", ".join(f"{kind.field(i).name!r}: {_word(kind.field(i).type)}" for i in range(kind.num_fields))
            + ">"
        )
    if _types.is_fixed_size_list(kind):
        return f"array<{_word(kind.value_type)}, {kind.list_size}>"
    if _types.is_map(kind):
        return f"map<{_word(kind.key_type)}, {_word(kind.item_type)}>"
    if _is_list(kind):
        return f"list<{_word(kind.value_type)}>"
    return f"arrow<{kind}>"
