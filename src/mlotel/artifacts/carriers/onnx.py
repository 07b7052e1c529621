"""ONNX: an entry of the model's ``metadata_props``. Weights are never read, and the package onnx is not needed.

A model is a protobuf message, so its outermost fields can be stepped over without knowing what is in them, and a
repeated field may stand anywhere: the entry is appended.

Source: ``onnx/onnx.proto`` (``ModelProto``), and "Encoding" of Protocol Buffers.
"""

from collections.abc import Iterator

from mlotel.artifacts.carriers._base import KEY, MAX_BYTES, Stamp, count
from mlotel.artifacts.carriers._files import AnyPath, CorruptError, Piece, View, digest_without, read_stamp, write_stamp
from mlotel.artifacts.carriers._thrift import binary_at, to_binary, to_varint, varint

SUFFIXES = (".onnx",)

_IR_VERSION, _GRAPH, _METADATA_PROPS = 1, 7, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_FIELDS = 20_000  # one for each function of the model; those that PyTorch writes have hundreds
_MAX_ENTRY = MAX_BYTES + 64
_KEY_FIELD = bytes([1 << 3 | _BYTES]) + to_binary(KEY.encode())


def read(path: AnyPath) -> Stamp | None:
    """The stamp in a model's ``metadata_props``, or None."""
    return read_stamp("onnx", path, _find)


def write(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp into a model that was written already.

    Returns:
        Whether it is there now. False for what is no ONNX model; see ``carriers.embed`` for the rest.
    """
    return write_stamp("onnx", path, stamp, _find, _plan)


def data_id(path: AnyPath, scheme: str) -> str | None:
    """Digest of a file without its stamp, by a hash of that name; None for what is no ONNX model."""
    return digest_without("onnx", path, scheme, _bare)


def _find(view: View) -> bytes | None:
    found = None
    for number, kind, _, start, stop in _fields(view):
        if number == _METADATA_PROPS and kind == _BYTES and _is_ours(view, start, stop):
            if stop - start > _MAX_ENTRY:
                count("onnx", "too_large")
                continue
            found = _value(view.at(start, stop - start))
    return found


def _bare(view: View) -> list[Piece] | None:
    """The model without our entry; None for what is none: every model has a version and a graph."""
    pieces: list[Piece] = []
    copied = 0
    seen = set()
    for number, kind, head, start, stop in _fields(view):
        seen.add((number, kind))
        if number == _METADATA_PROPS and kind == _BYTES and _is_ours(view, start, stop):
            pieces.append((copied, head))
            copied = stop
    if not {(_IR_VERSION, _VARINT), (_GRAPH, _BYTES)} <= seen:
        return None
    return [*pieces, (copied, view.size)]


def _plan(view: View, text: str) -> list[Piece] | None:
    pieces = _bare(view)
    if pieces is None:
        return None
    entry = _KEY_FIELD + bytes([2 << 3 | _BYTES]) + to_binary(text.encode())
    return [*pieces, bytes([_METADATA_PROPS << 3 | _BYTES]) + to_varint(len(entry)) + entry]


def _is_ours(view: View, start: int, stop: int) -> bool:
    return view.at(start, min(len(_KEY_FIELD), stop - start)) == _KEY_FIELD


def _value(entry: bytes) -> bytes | None:
    at = len(_KEY_FIELD)
    if at == len(entry):
        return None
    if entry[at] != 2 << 3 | _BYTES:
        raise CorruptError("the entry has no value")
    start, stop = binary_at(entry, at + 1)
    return entry[start:stop]


def _fields(view: View) -> Iterator[tuple[int, int, int, int, int]]:
    """Number, wire type, start, and start and end of the value of each outermost field."""
    at = 0
    for _ in range(_MAX_FIELDS):
        if at == view.size:
            return
        head = view.at(at, min(20, view.size - at))  # two numbers of up to 64 bits
        tag, length = varint(head, 0)
        number, kind = tag >> 3, tag & 7
        start = at + length
        if kind == _VARINT:
            stop = at + varint(head, length)[1]
        elif kind in (_FIXED64, _FIXED32):
            stop = start + (8 if kind == _FIXED64 else 4)
        elif kind == _BYTES:
            size, length = varint(head, length)
            start = at + length
            stop = start + size
        else:
            raise CorruptError("it is no protobuf message")
        if not number or stop > view.size:
            raise CorruptError("it is no protobuf message")
        yield number, kind, at, start, stop
        at = stop
    raise CorruptError("it has too many fields")
