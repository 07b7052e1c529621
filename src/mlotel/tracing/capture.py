"""What of a decorated function's arguments and result is recorded, and as what.

The rule, which ``docs/concepts.md`` states for users:

- tables, arrays, models, bytes and paths (``os.PathLike``) are artifacts, named after the parameter, or after the
  function when returned; ``inputs=`` and ``outputs=`` rename;
- lists, tuples and dicts of artifacts are that many artifacts: ``split.0``, ``split.train``;
- scalars, short lists of scalars, and dicts and dataclasses of scalars are params;
- everything else is a param that says its type, no more;
- a path that does not exist yet is an output, if it exists after the call; one that was changed meanwhile is an input
  and, as it is now, an output of the role ``mutated``;
- ``self`` and ``cls`` are left out.
"""

import inspect
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlotel import artifacts
from mlotel.tracing import attributes
from mlotel.tracing.arguments import require_name

MAX_COLLECTION = 32  # artifacts of one list or dict; more are counted, not hashed


class Signature:
    """The parameters of a decorated function.

    Attributes:
        name: Name of the function, which names its component and its output.
    """

    __slots__ = ("_parameters", "_signature", "name")

    def __init__(self, function: Callable[..., Any], word: str) -> None:
        own = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
        self.name = require_name(word, own if own is not None else type(function).__name__)
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # some built-ins have none: their arguments stay unrecorded
            self._signature = None
        self._parameters = list(self._signature.parameters.values()) if self._signature is not None else []
        method = "." in getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
        if method and self._parameters and self._parameters[0].name in ("self", "cls"):
            del self._parameters[0]

    @property
    def has_parameters(self) -> bool:
        """Whether the function takes anything besides ``self``."""
        return bool(self._parameters)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Values by parameter, defaults included; nothing when the call is wrong, for then it fails by itself."""
        if self._signature is None:
            return {}
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
                found.update({f"{parameter.name}.{index}": item for index, item in enumerate(value)})
            else:
                found[parameter.name] = value
        return found


class Captured:
    """Values sorted into artifacts and params.

    Attributes:
        artifacts: Name and value of each.
        params: The rest.
        omitted: Artifacts beyond ``MAX_COLLECTION`` in one collection.
    """

    __slots__ = ("artifacts", "omitted", "params")

    def __init__(self) -> None:
        self.artifacts: list[tuple[str, Any]] = []
        self.params: dict[str, Any] = {}
        self.omitted = 0

    def add(self, name: str, value: Any) -> None:
        """Sort ``value`` in."""
        if artifacts.kind_of(value) is not None:
            self.artifacts.append((name, value))
            return
        members = list(_members(name, value))
        if not any(artifacts.kind_of(item) is not None for _, item in members):
            self.params[name] = value
            return
        for index, (member, item) in enumerate(members):
            if artifacts.kind_of(item) is None:
                self.params[member] = item
            elif index < MAX_COLLECTION:
                self.artifacts.append((member, item))
            else:
                self.omitted += 1


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is dict:
        for key, item in value.items():
            yield f"{name}.{attributes.key(key)}", item
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            yield f"{name}.{index}", item
    elif isinstance(value, tuple):
        fields = getattr(type(value), "_fields", None)
        if isinstance(fields, tuple):
            for field, item in zip(fields, tuple.__iter__(value), strict=False):
                yield f"{name}.{field}", item


def arguments_of(arguments: Mapping[str, Any], renames: Mapping[str, str]) -> Captured:
    """What of the arguments of a call is recorded. Paths are left to ``PathWatch``."""
    captured = Captured()
    for name, value in arguments.items():
        if not isinstance(value, os.PathLike):
            captured.add(renames.get(name, name), value)
    return captured


def result_of(result: Any, name: str, outputs: str | tuple[str, ...] | None) -> Captured:
    """What of a result is recorded."""
    captured = Captured()
    if result is None:
        return captured
    if isinstance(outputs, str):
        name = outputs
    elif outputs is not None and isinstance(result, list | tuple):
        for index, item in enumerate(result[:MAX_COLLECTION]):
            captured.add(outputs[index] if index < len(outputs) else f"{name}.{index}", item)
        return captured
    elif outputs is not None:
        name = outputs[0]
    captured.add(name, result)
    return captured


class PathWatch:
    """The paths among the arguments: which were there before the call, and which the call made or changed."""

    __slots__ = ("_before",)

    def __init__(self, arguments: Mapping[str, Any], renames: Mapping[str, str]) -> None:
        self._before = [
            (renames.get(name, name), pathlib.Path(os.fsdecode(value)), _state(value))
            for name, value in arguments.items()
            if isinstance(value, os.PathLike)
        ]

    def existing(self) -> Iterator[tuple[str, pathlib.Path]]:
        """Paths that there are: inputs."""
        return ((name, path) for name, path, state in self._before if state is not None)

    def made(self, result: Any) -> Iterator[tuple[str, pathlib.Path, bool]]:
        """Paths that the call made, or changed (True). One that the call returned is left to its result."""
        returned = os.fsdecode(result) if isinstance(result, os.PathLike) else None
        for name, path, before in self._before:
            now = _state(path)
            if now is not None and now != before and os.fspath(path) != returned:
                yield name, path, before is not None


def _state(path: Any) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - any PathLike
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
