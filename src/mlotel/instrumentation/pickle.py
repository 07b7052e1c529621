"""pickle: ``dump`` and ``load`` of open files.

Several objects in one file are that many reads or writes of it, each as the file was after the call. What was written
is flushed, so that it can be looked at. The content is unknown where a part of it lies elsewhere: with
``buffer_callback=`` or ``buffers=``.

Not recorded: ``Pickler`` and ``Unpickler``, and functions that were taken out of the module before. Both functions are
written in C, so only the attributes of the module ``pickle`` can be replaced.
"""

from typing import Any

from mlotel.instrumentation._base import argument, reads, writes
from mlotel.instrumentation._patch import Patch

REQUIRES = None  # a part of Python


def install(patch: Patch) -> None:
    """Record files that pickle reads and writes inside components."""
    patch.after_import("pickle", _install)


def _install(patch: Patch) -> None:
    import pickle

    dumped = argument(0, "obj")

    def loaded_whole(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return result if kwargs.get("buffers") is None else None

    def dumped_whole(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return dumped(result, args, kwargs) if kwargs.get("buffer_callback") is None else None

    reads(patch, pickle, ["load"], content=loaded_whole, everywhere=False)
    writes(patch, pickle, ["dump"], at=1, content=dumped_whole, everywhere=False)
