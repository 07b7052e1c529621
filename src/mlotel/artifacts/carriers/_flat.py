"""Just enough of FlatBuffers to read an Arrow file's metadata and to add an entry to its footer.

Everything in a flat buffer points forward, so a new outermost table can stand before an old buffer and share its
parts: nothing inside needs to be understood.

Source: "FlatBuffers binary format" (flatbuffers.dev), and ``format/File.fbs`` and ``Schema.fbs`` of apache/arrow.
"""

import struct
from collections.abc import Iterator

from mlotel.artifacts.carriers._files import CorruptError

_MARK = b"mlotel"
_MAX_ENTRIES = 10_000


def root_of(data: bytes) -> int:
    """Where the outermost table is."""
    return _offset(data, 0)


def field(data: bytes, table: int, index: int) -> int | None:
    """Where a field of a table is; None when the table does not have it."""
    vtable = table - _number(data, table, "<i")
    place = 4 + 2 * index
    if place + 2 > _number(data, vtable, "<H"):
        return None
    distance = _number(data, vtable + place, "<H")
    return table + distance if distance else None


def child(data: bytes, table: int, index: int) -> int | None:
    """Where the table, vector or string is that a field points to; None when the table does not have it."""
    at = field(data, table, index)
    return None if at is None else _offset(data, at)


def byte(data: bytes, table: int, index: int) -> int:
    """A field of one byte; 0 when the table does not have it."""
    at = field(data, table, index)
    return 0 if at is None else _number(data, at, "<B")


def entries(data: bytes, vector: int | None) -> Iterator[tuple[int, bytes, bytes]]:
    """Place, key and value of each ``KeyValue`` in a vector of them.

    Raises:
        CorruptError: If it points beyond the end of ``data``, or is longer than any real one.
    """
    if vector is None:
        return
    length = _number(data, vector, "<I")
    if length > _MAX_ENTRIES:
        raise CorruptError("it has too many entries")
    for index in range(length):
        table = _offset(data, vector + 4 + 4 * index)
        yield table, _string(data, child(data, table, 0)), _string(data, child(data, table, 1))


def with_entry(footer: bytes, key: bytes, value: bytes) -> bytes:
    """An Arrow footer with an entry in its ``custom_metadata``, in place of an earlier one of that key.

    What stands before the old footer is, every number at an address that its size divides: the place of the outermost
    table, our mark and the length of all this, the table's directory and the table, the vector of entries, our entry.
    """
    footer = without_ours(footer)
    root = root_of(footer)
    version = field(footer, root, 0)
    parts = [child(footer, root, index) for index in (1, 2, 3)]  # schema, dictionaries, record batches
    kept = [at for at, name, _ in entries(footer, child(footer, root, 4)) if name != key]

    vtable, table = 12, 28  # 14 bytes of directory, then up to a multiple of 4
    vector = table + 24
    directory = vector + 4 + 4 * (len(kept) + 1)
    entry = directory + 8
    key_at = entry + 12
    value_at = key_at + _string_size(key)
    length = -(-(value_at + _string_size(value)) // 8) * 8
    out = bytearray(length)
    struct.pack_into("<I6sH", out, 0, table, _MARK, length // 8)
    # A field that the old table does not have gets no place in the new one either.
    places = [4 if version is not None else 0, *(8 + 4 * n if at is not None else 0 for n, at in enumerate(parts)), 20]
    struct.pack_into("<7H", out, vtable, 14, 24, *places)
    struct.pack_into("<i", out, table, table - vtable)
    if version is not None:
        out[table + 4 : table + 6] = footer[version : version + 2]
    for n, at in enumerate(parts):
        if at is not None:
            struct.pack_into("<I", out, table + 8 + 4 * n, length + at - (table + 8 + 4 * n))
    struct.pack_into("<I", out, table + 20, vector - (table + 20))
    struct.pack_into("<I", out, vector, len(kept) + 1)
    for n, at in enumerate([*(length + at for at in kept), entry]):
        place = vector + 4 + 4 * n
        struct.pack_into("<I", out, place, at - place)
    struct.pack_into("<4H", out, directory, 8, 12, 4, 8)
    struct.pack_into("<iII", out, entry, entry - directory, key_at - (entry + 4), value_at - (entry + 8))
    for at, text in ((key_at, key), (value_at, value)):
        struct.pack_into("<I", out, at, len(text))
        out[at + 4 : at + 4 + len(text)] = text
    return bytes(out) + footer


def without_ours(footer: bytes) -> bytes:
    """The footer as it was before ``with_entry``."""
    if len(footer) < 12 or footer[4:10] != _MARK:
        return footer
    return footer[_number(footer, 10, "<H") * 8 :]


def _string_size(text: bytes) -> int:
    return 4 + -(-(len(text) + 1) // 4) * 4  # a zero byte ends it


def _string(data: bytes, at: int | None) -> bytes:
    if at is None:
        return b""
    length = _number(data, at, "<I")
    if at + 4 + length > len(data):
        raise CorruptError("a text goes beyond the end")
    return data[at + 4 : at + 4 + length]


def _offset(data: bytes, at: int) -> int:
    return at + _number(data, at, "<I")


def _number(data: bytes, at: int, form: str) -> int:
    if at < 0:  # struct would count from the end
        raise CorruptError("it points before its beginning")
    (number,) = struct.unpack_from(form, data, at)
    return int(number)
