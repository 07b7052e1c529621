"""PNG: a text chunk. Pixels are never read.

Source: "Portable Network Graphics (PNG) Specification (Third Edition)", 5 and 11.3.3.
"""

import zlib
from collections.abc import Iterator

from mlotel.artifacts.carriers._base import KEY, MAX_BYTES, Stamp, count
from mlotel.artifacts.carriers._files import AnyPath, CorruptError, Piece, View, digest_without, read_stamp, write_stamp

SUFFIXES = (".png",)

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 1000  # before the first pixels; real files have a dozen
_AFTER_KEY = 16  # what an iTXt chunk holds between keyword and text, with a language tag
_TEXT_KEY = KEY.encode() + b"\0"
_NO_COMPRESSION_NO_LANGUAGE = b"\0\0\0\0"


def read(path: AnyPath) -> Stamp | None:
    """The stamp in a text chunk before the pixels, or None."""
    return read_stamp("png", path, _find)


def write(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp into a file that was written already, as a ``tEXt`` chunk after the header.

    Returns:
        Whether it is there now. False for what is no PNG file; see ``carriers.embed`` for the rest.
    """
    return write_stamp("png", path, stamp, _find, _plan)


def data_id(path: AnyPath, scheme: str) -> str | None:
    """Digest of a file without its stamp, by a hash of that name; None for what is no PNG file."""
    return digest_without("png", path, scheme, _bare)


def _find(view: View) -> bytes | None:
    if not _is_png(view):
        return None
    found = None
    for kind, start, length in _chunks(view):
        if not _is_ours(view, kind, start, length):
            continue
        if length > MAX_BYTES + len(_TEXT_KEY) + _AFTER_KEY:
            count("png", "too_large")
            continue
        body = view.at(start, length)
        if zlib.crc32(kind + body) != int.from_bytes(view.at(start + length, 4), "big"):
            raise CorruptError("the checksum of the stamp is wrong")
        text = body[len(_TEXT_KEY) :]
        if kind == b"iTXt":
            if not text.startswith(_NO_COMPRESSION_NO_LANGUAGE):
                continue  # mlotel writes no such thing, and what is compressed can become very large
            text = text[len(_NO_COMPRESSION_NO_LANGUAGE) :]
        found = text
    return found


def _bare(view: View) -> list[Piece] | None:
    return _with_chunk(view, b"")


def _plan(view: View, text: str) -> list[Piece] | None:
    body = _TEXT_KEY + text.encode("ascii")
    chunk = len(body).to_bytes(4, "big") + b"tEXt" + body + zlib.crc32(b"tEXt" + body).to_bytes(4, "big")
    return _with_chunk(view, chunk)


def _with_chunk(view: View, chunk: bytes) -> list[Piece] | None:
    """The file with our chunk after its header, in place of an earlier one."""
    if not _is_png(view):
        return None
    pieces: list[Piece] = []
    copied = 0
    for kind, start, length in _chunks(view):
        if kind == b"IHDR" and not pieces:
            copied = start + length + 4
            pieces += [(0, copied), chunk]
        elif _is_ours(view, kind, start, length):
            pieces.append((copied, start - 8))
            copied = start + length + 4
    return [*pieces, (copied, view.size)] if pieces else None


def _is_png(view: View) -> bool:
    return view.size > len(_SIGNATURE) and view.at(0, len(_SIGNATURE)) == _SIGNATURE


def _is_ours(view: View, kind: bytes, start: int, length: int) -> bool:
    return kind in (b"tEXt", b"iTXt") and length >= len(_TEXT_KEY) and view.at(start, len(_TEXT_KEY)) == _TEXT_KEY


def _chunks(view: View) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of the body of each chunk before the first pixels."""
    at = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        head = view.at(at, 8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"IDAT", b"IEND"):
            return
        at += 8 + length + 4
        if at > view.size:
            raise CorruptError("a chunk goes beyond the end")
        yield kind, at - length - 4, length
    raise CorruptError("it has too many chunks")
