"""pickle: ``dump`` and ``load`` of open files.

Several objects in one file are that many reads or writes of it, each as the file was after the call. What was written
is flushed, so that it can be looked at.

Not recorded: ``Pickler`` and ``Unpickler``, and functions that were taken out of the module before. Both functions are
written in C, so only the attributes of the module ``pickle`` can be replaced.
"""

from mlotel.instrumentation._base import argument, reads, writes
from mlotel.instrumentation._patch import Patch

REQUIRES = None  # a part of Python


def install(patch: Patch) -> None:
    """Record files that pickle reads and writes inside components."""
    patch.after_import("pickle", _install)


def _install(patch: Patch) -> None:
    import pickle

    reads(patch, pickle, ["load"], everywhere=False)
    writes(patch, pickle, ["dump"], at=1, content=argument(0, "obj"), everywhere=False)
