"""Parquet: an entry of the footer's key-value metadata, beside the schema that pandas and Arrow keep there.

The footer is edited as it stands, so a file of any writer keeps its pages, statistics and encodings byte for byte, and
no library is needed. To write a file that bears the stamp from the start, give pyarrow a schema ``with_stamp``.

Source: parquet-format, ``src/main/thrift/parquet.thrift`` and "File format".
"""

from mlotel.artifacts.carriers import _thrift
from mlotel.artifacts.carriers._base import KEY, Stamp
from mlotel.artifacts.carriers._files import AnyPath, CorruptError, Piece, View, digest_without, read_stamp, write_stamp

SUFFIXES = (".parquet", ".pq")

_MAGIC = b"PAR1"  # PARE, an encrypted footer, is somebody else's secret
_MAX_FOOTER = 32 << 20  # that of a few hundred thousand column chunks; taking it apart would take seconds
_KEY = KEY.encode()
_KEY_FIELD = bytes([1 << 4 | _thrift.BINARY]) + _thrift.to_binary(_KEY)
_KEY_VALUE_METADATA = 5
_ENCRYPTION = (8, 9)  # encryption_algorithm, footer_signing_key_metadata: the footer is signed


def read(path: AnyPath) -> Stamp | None:
    """The stamp in a file's footer, or None."""
    return read_stamp("parquet", path, _find)


def write(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp into the footer of a file that was written already.

    Returns:
        Whether it is there now. False for what is no Parquet file, or one with an encrypted or signed footer; see
        ``carriers.embed`` for the rest.
    """
    return write_stamp("parquet", path, stamp, _find, _plan)


def data_id(path: AnyPath, scheme: str) -> str | None:
    """Digest of a file without its stamp, by a hash of that name; None for what is no Parquet file."""
    return digest_without("parquet", path, scheme, _bare)


def _footer(view: View) -> tuple[int, bytes] | None:
    """Where the footer begins, and its bytes."""
    if view.size < 12 or view.at(0, 4) != _MAGIC:
        return None
    tail = view.at(view.size - 8, 8)
    if tail[4:] != _MAGIC:
        return None
    length = int.from_bytes(tail[:4], "little")
    if length > _MAX_FOOTER:
        return None
    start = view.size - 8 - length
    if start < 4:
        raise CorruptError("the footer is longer than the file")
    return start, view.at(start, length)


def _find(view: View) -> bytes | None:
    found = _footer(view)
    if found is None or _KEY_FIELD not in found[1]:  # most files: nothing to take apart
        return None
    data = found[1]
    fields, _ = _thrift.struct_at(data, 0)
    last = None
    for field in fields:
        if field.number == _KEY_VALUE_METADATA:
            for key, value, _ in _entries(data, field):
                last = value if key == _KEY else last
    return last


def _bare(view: View) -> list[Piece] | None:
    return _plan(view, None)


def _plan(view: View, text: str | None) -> list[Piece] | None:
    """The file with an entry of that text; without one for None."""
    found = _footer(view)
    if found is None:
        return None
    start, data = found
    fields, end = _thrift.struct_at(data, 0)
    if end != len(data) or any(field.number in _ENCRYPTION for field in fields):
        return None
    entries = [
        raw
        for field in fields
        if field.number == _KEY_VALUE_METADATA
        for key, _, raw in _entries(data, field)
        if key != _KEY
    ]
    if text is not None:
        parts = [(1, _thrift.BINARY, _thrift.to_binary(_KEY)), (2, _thrift.BINARY, _thrift.to_binary(text.encode()))]
        entries.append(_thrift.struct_of(parts))
    parts = [
        (field.number, field.kind, data[field.start : field.stop])
        for field in fields
        if field.number != _KEY_VALUE_METADATA
    ]
    if entries:
        parts.append((_KEY_VALUE_METADATA, _thrift.LIST, _thrift.to_list(_thrift.STRUCT, entries)))
    footer = _thrift.struct_of(sorted(parts))
    return [(0, start), footer, len(footer).to_bytes(4, "little") + _MAGIC]


def _entries(data: bytes, field: _thrift.Field) -> list[tuple[bytes, bytes, bytes]]:
    """Key, value and encoded form of each entry of the key-value metadata."""
    if field.kind != _thrift.LIST:
        raise CorruptError("its metadata are no list")
    length, kind, at = _thrift.list_at(data, field.start)
    if kind != _thrift.STRUCT:
        raise CorruptError("its metadata are no list of structs")
    found = []
    for _ in range(length):
        parts, stop = _thrift.struct_at(data, at)
        texts = {part.number: part for part in parts if part.kind == _thrift.BINARY}
        if 1 not in texts:
            raise CorruptError("an entry of its metadata has no key")
        key, value = (
            data[slice(*_thrift.binary_at(data, texts[number].start))] if number in texts else b"" for number in (1, 2)
        )
        found.append((key, value, data[at:stop]))
        at = stop
    return found
