"""Finds the kind that describes a value, loading only what can match.

A kind for the values of a library is the file, or the entry point of another distribution, named after the library's
import name; the few that bear another name stand in the table below. Plain values, buffers and paths are told by
their types.
"""

from typing import Any, cast

from mlotel import _plugins
from mlotel.artifacts._base import Kind
from mlotel.artifacts._look import ancestry, has_content, is_path, kind_of, origin
from mlotel.errors import NotFoundError

FOLDER = "artifacts"

_NAMED_OTHERWISE = {"numpy": "array", "pyarrow": "arrow"}
_NO_LIBRARIES = ("buffer", "carriers", "content", "evidence", "file", "value")
_GENERAL = frozenset({*_NAMED_OTHERWISE.values(), *_NO_LIBRARIES})
_BUFFERS = frozenset({("builtins", "bytes"), ("builtins", "bytearray"), ("builtins", "memoryview"), ("array", "array")})


def kind_for(value: Any) -> Kind | None:
    """The kind that describes a value, or None for an unknown object."""
    if is_path(value):
        return _load("file")
    if has_content(value):
        return _load("content")
    seen = {"builtins"}
    for ancestor in ancestry(value):
        where = origin(ancestor)
        if where in _BUFFERS and ancestor is type(value):  # a subclass may hold more than its bytes
            return _load("buffer")
        root = where[0]
        if root in seen:
            continue
        seen.add(root)
        name = _NAMED_OTHERWISE.get(root, root)
        if (name in _GENERAL and root not in _NAMED_OTHERWISE) or not _plugins.has(FOLDER, name):
            continue
        try:
            kind = _load(name)
        except NotFoundError:  # a broken plugin of another distribution, reported by now
            continue
        if kind.matches(value):
            return kind
    plain = _load("value")
    if plain.matches(value):
        return plain
    return _load("sklearn") if kind_of(value) == "model" else None  # what only behaves like an estimator


def _load(name: str) -> Kind:
    return cast("Kind", _plugins.load(FOLDER, name))
