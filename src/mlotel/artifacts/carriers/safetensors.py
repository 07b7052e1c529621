"""safetensors: an entry of ``__metadata__`` in the JSON header. Tensors are never read.

Source: "Format" in the README of huggingface/safetensors.
"""

import json
from typing import Any

from mlotel.artifacts.carriers._base import KEY, Stamp
from mlotel.artifacts.carriers._files import AnyPath, CorruptError, Piece, View, digest_without, read_stamp, write_stamp

SUFFIXES = (".safetensors",)

_MAX_HEADER = 16 << 20  # the library allows 100 MB; models of a hundred thousand tensors need 12
_METADATA = "__metadata__"
_ALIGNMENT = 8


def read(path: AnyPath) -> Stamp | None:
    """The stamp in a file's header, or None."""
    return read_stamp("safetensors", path, _find)


def write(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp into the header of a file that was written already.

    Returns:
        Whether it is there now. False for what is no safetensors file; see ``carriers.embed`` for the rest.
    """
    return write_stamp("safetensors", path, stamp, _find, _plan)


def data_id(path: AnyPath, scheme: str) -> str | None:
    """Digest of a file without its stamp, by a hash of that name; None for what is no safetensors file."""
    return digest_without("safetensors", path, scheme, _bare)


def _header(view: View) -> bytes | None:
    if view.size < 10:
        return None
    length = int.from_bytes(view.at(0, 8), "little")
    if length > min(_MAX_HEADER, view.size - 8) or view.at(8, 1) != b"{":
        return None
    return view.at(8, length)


def _find(view: View) -> str | None:
    header = _header(view)
    if header is None or f'"{KEY}"'.encode() not in header:  # most files: nothing to take apart
        return None
    entry: str | None = _parsed(header).get(_METADATA, {}).get(KEY)
    return entry


def _bare(view: View) -> list[Piece] | None:
    header = _header(view)
    if header is None:
        return None
    tensors = _parsed(header)
    kept = {key: value for key, value in tensors.pop(_METADATA, {}).items() if key != KEY}
    plain = json.dumps([kept, tensors], separators=(",", ":"), sort_keys=True).encode()
    return [len(plain).to_bytes(8, "little"), plain, (8 + len(header), view.size)]


def _plan(view: View, text: str) -> list[Piece] | None:
    header = _header(view)
    if header is None:
        return None
    tensors = _parsed(header)
    kept = {key: value for key, value in tensors.pop(_METADATA, {}).items() if key != KEY}
    edited = json.dumps({_METADATA: {**kept, KEY: text}, **tensors}, separators=(",", ":"), ensure_ascii=False).encode()
    edited += b" " * (-len(edited) % _ALIGNMENT)  # tensors are mapped into memory: they keep their alignment
    return [len(edited).to_bytes(8, "little"), edited, (8 + len(header), view.size)]


def _parsed(header: bytes) -> dict[str, Any]:
    found = json.loads(header, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise CorruptError("its header is no object")
    metadata = found.get(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CorruptError("its metadata are not texts")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CorruptError("a name stands twice in its header")
    return found
