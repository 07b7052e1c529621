"""numpy: ``load``, ``save``, ``savez``, ``savez_compressed``, and files of text and of plain numbers.

The content of an ``.npz`` file that was loaded is unknown, for its arrays are read when they are asked for; likewise of
a memory map. What was written is recorded as the array that ``load`` gives.

Not recorded: ``ndarray.tofile`` and ``ndarray.dump``, which are methods of a type written in C that nobody can replace;
``numpy.memmap`` and ``numpy.lib.format``.
"""

import inspect
import os
from collections.abc import Callable
from typing import Any

from mlotel.instrumentation._base import argument, reads, writes
from mlotel.instrumentation._patch import Patch
from mlotel.instrumentation._targets import Target, target_of

REQUIRES = "numpy>=1.26"


def install(patch: Patch) -> None:
    """Record files that numpy reads and writes inside components."""
    patch.after_import("numpy", _install)


def _install(patch: Patch) -> None:
    import numpy as np

    array = argument(1, "arr")
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    options = {name for name, found in inspect.signature(np.savez).parameters.items() if found.kind in kinds}

    def loaded(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return result if type(result) is np.ndarray else None

    def saved(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return np.asarray(array(result, args, kwargs))

    def archived(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        named = {name: value for name, value in kwargs.items() if name not in options}
        named |= {f"arr_{index}": value for index, value in enumerate(args[1:])}
        return {name: np.asarray(value) for name, value in named.items()}

    reads(patch, np, ["load", "loadtxt", "genfromtxt", "fromregex", "fromfile"], content=loaded, find=_path)
    writes(patch, np, ["save"], at=0, content=saved, find=_with(".npy"))
    writes(patch, np, ["savez", "savez_compressed"], at=0, content=archived, find=_with(".npz"))
    writes(patch, np, ["savetxt"], at=0, content=argument(1, "X"), find=_path)


def _path(value: Any, _: dict[str, Any]) -> Target | None:
    return target_of(value, bytes_are_paths=True)


def _with(suffix: str) -> Callable[[Any, dict[str, Any]], Target | None]:
    """The file that numpy writes: it adds the suffix to a path that lacks it."""

    def find(value: Any, _: dict[str, Any]) -> Target | None:
        if isinstance(value, str | os.PathLike):
            path = os.fsdecode(os.fspath(value))
            value = path if path.endswith(suffix) else path + suffix
        return target_of(value)

    return find
