"""Just enough of Thrift's compact protocol to take a Parquet footer apart and put it together again.

Source: "Thrift compact protocol encoding", doc/specs/thrift-compact-protocol.md of Apache Thrift.
"""

from typing import NamedTuple

from mlotel.artifacts.carriers._files import CorruptError

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)

_FIXED = {BYTE: 1, DOUBLE: 8, UUID: 16}
_MAX_DEPTH = 32


class Field(NamedTuple):
    """One field of a struct: ``data[start:stop]`` is its value; booleans have none, their kind is the value."""

    number: int
    kind: int
    start: int
    stop: int


def struct_at(data: bytes, at: int) -> tuple[list[Field], int]:
    """The fields of the struct that begins at ``at``, and where it ends.

    Raises:
        CorruptError: If it cannot be one.
        IndexError: If it goes beyond the end of ``data``.
    """
    found: list[Field] = []
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            zigzag, at = varint(data, at)
            number = (zigzag >> 1) ^ -(zigzag & 1)
        kind = head & 15
        stop = at if kind in (TRUE, FALSE) else skip(data, at, kind)
        if stop > len(data):
            raise CorruptError("a field goes beyond the end")
        found.append(Field(number, kind, at, stop))
        at = stop
    return found, at + 1


def struct_of(parts: list[tuple[int, int, bytes]]) -> bytes:
    """A struct of ``(number, kind, value)`` in ascending order of numbers."""
    out = bytearray()
    last = 0
    for number, kind, value in parts:
        delta = number - last
        if 0 < delta < 16:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            out += to_varint((number << 1) ^ (number >> 63))
        out += value
        last = number
    out.append(0)
    return bytes(out)


def list_at(data: bytes, at: int) -> tuple[int, int, int]:
    """Length and kind of the elements of a list, and where the first one begins."""
    head = data[at]
    if head >> 4 != 15:
        return head >> 4, head & 15, at + 1
    length, start = varint(data, at + 1)
    return length, head & 15, start


def to_list(kind: int, elements: list[bytes]) -> bytes:
    """A list of elements that are encoded already."""
    length = len(elements)
    head = bytes([length << 4 | kind]) if length < 15 else bytes([0xF0 | kind]) + to_varint(length)
    return head + b"".join(elements)


def binary_at(data: bytes, at: int) -> tuple[int, int]:
    """Where the bytes of a string begin and end.

    Raises:
        CorruptError: If that is beyond the end of ``data``.
    """
    length, start = varint(data, at)
    if start + length > len(data):
        raise CorruptError("a string goes beyond the end")
    return start, start + length


def to_binary(value: bytes) -> bytes:
    """A string with its length before it."""
    return to_varint(len(value)) + value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of up to 64 bits, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise CorruptError("a number is longer than 64 bits")


def to_varint(value: int) -> bytes:
    """An unsigned number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def skip(data: bytes, at: int, kind: int, depth: int = 0) -> int:
    """Where a value ends. Footers have a field for every statistic of every column chunk, hence the flat loops."""
    if depth > _MAX_DEPTH:
        raise CorruptError("it is nested too deeply")
    if kind in (I32, I64, I16):
        while data[at] > 127:
            at += 1
        return at + 1
    if kind == BINARY:
        length, at = varint(data, at)
        return at + length
    if kind == STRUCT:
        return _skip_struct(data, at, depth)
    if kind in (LIST, SET):
        length, inner, at = list_at(data, at)
        return _skip_elements(data, at, inner, length, depth)
    if kind == MAP:
        length, at = varint(data, at)
        if not length:
            return at
        kinds = data[at]
        at += 1
        for _ in range(length):
            at = _skip_elements(data, at, kinds >> 4, 1, depth)
            at = _skip_elements(data, at, kinds & 15, 1, depth)
        return at
    if kind in _FIXED:
        return at + _FIXED[kind]
    raise CorruptError("it has a value of an unknown kind")


def _skip_struct(data: bytes, at: int, depth: int) -> int:
    while head := data[at]:
        at += 1
        kind = head & 15
        if head < 16:  # the number stands in full
            while data[at] > 127:
                at += 1
            at += 1
        if kind in (I32, I64):
            while data[at] > 127:
                at += 1
            at += 1
        elif kind == BINARY and data[at] < 128:
            at += data[at] + 1
        elif kind not in (TRUE, FALSE):
            at = skip(data, at, kind, depth + 1)
    return at + 1


def _skip_elements(data: bytes, at: int, kind: int, length: int, depth: int) -> int:
    if kind in (TRUE, FALSE):
        kind = BYTE  # one byte each, inside a list
    if kind in _FIXED:
        return at + _FIXED[kind] * length
    for _ in range(length):  # every element takes a byte or more, so the data end before a false length does
        at = skip(data, at, kind, depth + 1)
    return at
