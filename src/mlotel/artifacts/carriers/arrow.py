"""Arrow IPC and Feather files: an entry of the footer's metadata, or of the schema's.

A stamp is put into the footer, where it is no part of the table: who reads the file and writes the table elsewhere does
not carry it along. To write a file that bears the stamp from the start, in its schema, give pyarrow a schema
``with_stamp``; streams can have it only so.

Source: "Arrow Columnar Format", IPC file and streaming format.
"""

from mlotel.artifacts.carriers import _flat
from mlotel.artifacts.carriers._base import KEY, Stamp
from mlotel.artifacts.carriers._files import AnyPath, CorruptError, Piece, View, digest_without, read_stamp, write_stamp

SUFFIXES = (".arrow", ".feather", ".ipc", ".arrows")

_MAGIC = b"ARROW1"
_CONTINUATION = b"\xff\xff\xff\xff"
_MAX_METADATA = 32 << 20
_KEY = KEY.encode()
_FOOTER_SCHEMA, _FOOTER_METADATA = 1, 4
_SCHEMA_METADATA = 2
_MESSAGE_KIND, _MESSAGE_HEADER, _IS_SCHEMA = 1, 2, 1


def read(path: AnyPath) -> Stamp | None:
    """The stamp in a file's footer, else the one in its schema, or None."""
    return read_stamp("arrow", path, _find)


def write(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp into the footer of a file that was written already.

    Returns:
        Whether it is there now. False for what is no Arrow file, for streams and for the first version of Feather; see
        ``carriers.embed`` for the rest.
    """
    return write_stamp("arrow", path, stamp, _find, _plan)


def data_id(path: AnyPath, scheme: str) -> str | None:
    """Digest of a file without its stamp, by a hash of that name; None for what is no Arrow file."""
    return digest_without("arrow", path, scheme, _bare)


def _footer(view: View) -> tuple[int, bytes] | None:
    """Where the footer begins, and its bytes."""
    if view.size < 22 or view.at(0, len(_MAGIC)) != _MAGIC:
        return None
    tail = view.at(view.size - 10, 10)
    if tail[4:] != _MAGIC:
        return None
    length = int.from_bytes(tail[:4], "little")
    if length > _MAX_METADATA:
        return None
    start = view.size - 10 - length
    if start < 8:
        raise CorruptError("the footer is longer than the file")
    return start, view.at(start, length)


def _find(view: View) -> bytes | None:
    found = _footer(view)
    data = _schema_message(view) if found is None else found[1]
    if data is None or _KEY not in data:  # most files: nothing to take apart
        return None
    root = _flat.root_of(data)
    if found is None:
        if _flat.byte(data, root, _MESSAGE_KIND) != _IS_SCHEMA:
            return None
        schema = _flat.child(data, root, _MESSAGE_HEADER)
    else:
        entry = _last(data, _flat.child(data, root, _FOOTER_METADATA))
        if entry is not None:
            return entry
        schema = _flat.child(data, root, _FOOTER_SCHEMA)
    return None if schema is None else _last(data, _flat.child(data, schema, _SCHEMA_METADATA))


def _bare(view: View) -> list[Piece] | None:
    return _plan(view, None)


def _plan(view: View, text: str | None) -> list[Piece] | None:
    """The file with an entry of that text; without one for None."""
    found = _footer(view)
    if found is None:
        return None
    start, data = found
    footer = _flat.without_ours(data) if text is None else _flat.with_entry(data, _KEY, text.encode())
    return [(0, start), footer, len(footer).to_bytes(4, "little") + _MAGIC]


def _last(data: bytes, vector: int | None) -> bytes | None:
    last = None
    for _, key, value in _flat.entries(data, vector):
        last = value if key == _KEY else last
    return last


def _schema_message(view: View) -> bytes | None:
    """The first message of a stream."""
    if view.size < 8 or view.at(0, 4) != _CONTINUATION:
        return None
    length = int.from_bytes(view.at(4, 4), "little")
    if length > min(_MAX_METADATA, view.size - 8):
        return None
    return view.at(8, length)
