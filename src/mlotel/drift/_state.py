"""Numbers of a detector as bytes: equal state, equal bytes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlotel.errors import InvalidArgumentError

VERSION = 1
_DIGEST = 16


def pack(what: bytes, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Plain values and arrays, little-endian, with a digest.

    Args:
        what: Eight bytes that say what this is.
        plain: For JSON.
        arrays: Of integers and floats.
    """
    little = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    header = {
        "version": VERSION,
        "plain": plain,
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in sorted(little.items())],
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    encoded = text.encode("utf-8", "backslashreplace")  # a lone surrogate as JSON's escape
    body = b"".join([len(encoded).to_bytes(8, "little"), encoded, *(little[name].tobytes() for name in sorted(little))])
    return what + hashlib.blake2b(body, digest_size=_DIGEST).digest() + body


def unpack(what: bytes, data: Any, maker: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What ``pack`` was given.

    Args:
        what: As for ``pack``.
        data: The bytes.
        maker: The call that makes such bytes, for errors.

    Raises:
        InvalidArgumentError: If they are something else, damaged, or of another version.
    """
    is_bytes = isinstance(data, (bytes, bytearray, memoryview))
    body = bytes(data) if is_bytes else b""
    if body[: len(what)] != what:
        shown = f"{len(body):,} bytes of something else" if is_bytes else f"a value of type {type(data).__qualname__}"
        raise InvalidArgumentError(f"Got {shown}. Pass the bytes that {maker} returned.")
    digest, body = body[len(what) : len(what) + _DIGEST], body[len(what) + _DIGEST :]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise InvalidArgumentError(f"These bytes are cut or damaged. Pass all bytes that {maker} returned.")
    length = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + length])
    if header["version"] != VERSION:
        raise InvalidArgumentError(
            f"These bytes have version {header['version']}, and this mlotel reads version {VERSION}. Start the "
            "detector anew from its reference."
        )
    at, arrays = 8 + length, {}
    for name, dtype, shape in header["arrays"]:
        kind = np.dtype(dtype)
        size = kind.itemsize * int(np.prod(shape))
        found = np.frombuffer(body[at : at + size], kind).reshape(shape)
        arrays[name] = found.astype(kind.newbyteorder("="))
        at += size
    return header["plain"], arrays
