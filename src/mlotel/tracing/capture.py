"""What of a decorated function's arguments and result is recorded, and as what.

The rule, which ``docs/concepts.md`` states for users:

- tables, arrays, models, bytes and paths (``os.PathLike``) are artifacts, named after the parameter, or after the
  function when returned; ``inputs=`` and ``outputs=`` rename;
- lists, tuples and dicts of artifacts are that many artifacts: ``split.0``, ``split.train``, ``load.0.1``; of one
  collection the first 32 are recorded and the rest is counted;
- scalars, short lists of scalars, and dicts, dataclasses and named tuples of scalars are params;
- everything else is a param that says its type, no more;
- a path that does not exist yet is an output, if it exists after the call; one that was changed meanwhile is an input
  and, as it is now, an output of the role ``mutated``;
- ``self`` and ``cls`` are left out.

Collections may be large, so only their first members are looked at.
"""

import inspect
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

from mlotel import artifacts
from mlotel._guard import report
from mlotel.tracing import attributes
from mlotel.tracing.arguments import require_name

MAX_COLLECTION = 32  # artifacts of one argument or result; more are counted, not hashed
MAX_LOOK = 256  # members of a collection that are looked at
MAX_LOOK_INSIDE = 8  # likewise, of a collection in a collection: a list of rows must not take long
MAX_DEPTH = 3

Named: TypeAlias = tuple[str, Any]


class Signature:
    """The parameters of a decorated function.

    Attributes:
        name: Name of the function, which names its component and its output.
    """

    __slots__ = ("_defaults", "_known", "_names", "_parameters", "_signature", "_skipped", "name")

    def __init__(self, function: Callable[..., Any], word: str) -> None:
        own = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
        self.name = require_name(word, own if own is not None else type(function).__name__)
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # some built-ins have none: their arguments stay unrecorded
            self._signature = None
        self._parameters = list(self._signature.parameters.values()) if self._signature is not None else []
        kinds = {parameter.kind for parameter in self._parameters}
        # Most functions have plain parameters only: binding them by hand costs a fifth of Signature.bind().
        self._names: list[str] | None = None
        if kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}:
            self._names = [parameter.name for parameter in self._parameters]
        self._known = {parameter.name for parameter in self._parameters}
        self._defaults = {p.name: p.default for p in self._parameters if p.default is not p.empty}
        method = "." in getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
        self._skipped = 0
        if method and self._parameters and self._parameters[0].name in ("self", "cls"):
            del self._parameters[0]
            self._skipped = 1

    @property
    def has_parameters(self) -> bool:
        """Whether the function takes anything besides ``self``."""
        return bool(self._parameters)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Values by parameter, defaults included; nothing when the call is wrong, for then it fails by itself."""
        if self._signature is None:
            return {}
        if self._names is not None:
            return self._bound(self._names, args, kwargs)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return {}
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for parameter in self._parameters:
            value = bound.arguments[parameter.name]
            if parameter.kind is parameter.VAR_KEYWORD:
                found.update(value)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                found.update({f"{parameter.name}.{index}": item for index, item in enumerate(value[:MAX_LOOK])})
            else:
                found[parameter.name] = value
        return found

    def _bound(self, names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        found = dict(zip(names, args, strict=False))
        if len(args) > len(names) or not found.keys().isdisjoint(kwargs) or not kwargs.keys() <= self._known:
            return {}
        found.update(kwargs)
        whole = {}
        for name in names:
            if name in found:
                whole[name] = found[name]
            elif name in self._defaults:
                whole[name] = self._defaults[name]
            else:
                return {}
        if self._skipped:
            del whole[names[0]]
        return whole


class Captured:
    """Values sorted into artifacts and params.

    Attributes:
        artifacts: Name and value of each, paths excepted.
        paths: Name and place of each ``os.PathLike``.
        params: The rest.
        omitted: Artifacts beyond ``MAX_COLLECTION`` in one value, as far as they were seen; members of a collection
            of artifacts that were not looked at count as such.
    """

    __slots__ = ("_room", "artifacts", "omitted", "params", "paths")

    def __init__(self) -> None:
        self.artifacts: list[Named] = []
        self.paths: list[tuple[str, pathlib.Path]] = []
        self.params: dict[str, Any] = {}
        self.omitted = 0
        self._room = MAX_COLLECTION

    def add(self, name: str, value: Any) -> None:
        """Sort ``value`` in."""
        self._room = MAX_COLLECTION
        self._add(name, value, MAX_DEPTH)

    def _add(self, name: str, value: Any, depth: int) -> None:
        if type(value) in attributes.SCALARS:
            self.params[name] = value
            return
        kind = artifacts.kind_of(value)
        if kind is not None:
            self._room -= 1
            if self._room < 0:
                self.omitted += 1
            else:
                path = path_of(value) if kind == "file" else None
                if path is None:
                    self.artifacts.append((name, value))
                else:
                    self.paths.append((name, path))
            return
        found, size = members(value, MAX_LOOK if depth == MAX_DEPTH else MAX_LOOK_INSIDE)
        if not any(_has_artifact(item, depth - 1) for _, item in found):
            self.params[name] = value
            return
        for part, item in found:
            self._add(f"{name}.{part}", item, depth - 1)
        self.omitted += size - len(found)


def _has_artifact(value: Any, depth: int) -> bool:
    if type(value) in attributes.SCALARS:
        return False
    if artifacts.kind_of(value) is not None:
        return True
    return depth > 0 and any(_has_artifact(item, depth - 1) for _, item in members(value, MAX_LOOK_INSIDE)[0])


def members(value: Any, limit: int = MAX_LOOK) -> tuple[list[Named], int]:
    """Name and value of the first members of a list, tuple or dict, and how many members there are."""
    kind = type(value)
    if kind is dict:
        return [(attributes.word(key), item) for key, item in islice(value.items(), limit)], len(value)
    if kind is list or kind is tuple:
        return [(str(index), item) for index, item in enumerate(value[:limit])], len(value)
    if issubclass(kind, tuple):
        fields = attributes.fields_of(kind)
        items = tuple.__getitem__(value, slice(0, limit))
        if len(fields) == tuple.__len__(value):
            return list(zip(fields, items, strict=False)), len(fields)
    return [], 0


def arguments_of(arguments: Mapping[str, Any], renames: Mapping[str, str]) -> Captured:
    """What of the arguments of a call is recorded."""
    captured = Captured()
    for name, value in arguments.items():
        captured.add(renames.get(name, name), value)
    return captured


def result_of(result: Any, name: str, outputs: str | tuple[str, ...] | None) -> Captured:
    """What of a result is recorded."""
    captured = Captured()
    if result is None:
        return captured
    if outputs is None or isinstance(outputs, str):
        captured.add(outputs or name, result)
        return captured
    parts, size = members(result)
    if not parts:
        captured.add(outputs[0] if outputs else name, result)
        return captured
    for index, (part, item) in enumerate(parts):
        captured.add(outputs[index] if index < len(outputs) else f"{name}.{part}", item)
    captured.omitted += max(0, size - MAX_LOOK)
    return captured


class PathWatch:
    """The paths among the arguments: which were there before the call, and which the call made or changed."""

    __slots__ = ("_before",)

    def __init__(self, paths: Iterable[tuple[str, pathlib.Path]]) -> None:
        self._before = [(name, path, _state(path)) for name, path in paths]

    def existing(self) -> Iterator[tuple[str, pathlib.Path]]:
        """Paths that there are: inputs."""
        return ((name, path) for name, path, state in self._before if state is not None)

    def made(self, returned: Iterable[tuple[str, pathlib.Path]]) -> Iterator[tuple[str, pathlib.Path, bool]]:
        """Paths that the call made, or changed (True). Those that the call returned are left to its result."""
        known = {path for _, path in returned}
        for name, path, before in self._before:
            now = _state(path)
            if now is not None and now != before and path not in known:
                yield name, path, before is not None


def path_of(value: Any) -> pathlib.Path | None:
    """Where an ``os.PathLike`` leads; None when it cannot say: ``__fspath__`` is the user's."""
    try:
        return pathlib.Path(os.fsdecode(value))
    except Exception as error:
        report("ask a path where it leads", error, level=10)
        return None


def _state(path: pathlib.Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
