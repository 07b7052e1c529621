"""Being told when a module was imported, without importing it.

wrapt does the same; to import it takes longer than to instrument every library that is supported, because it brings
asyncio along. A finder of its own stands first on ``sys.meta_path``, lets the others find the module, and has its
loader say when the module is there. Before the module runs it has its own loader back: nothing of ours is left in it.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["when_imported"]

_waiting: dict[str, Callable[[], None]] = {}
_lock = threading.Lock()


def when_imported(name: str, then: Callable[[], None]) -> None:
    """Call ``then`` at the end of the next import of a module, once.

    Args:
        name: Of a module that is not loaded. A second call for the same module replaces the first.
        then: Called in the thread that imports, before the import is over for others. Must not raise.

    Example:
        >>> import sys
        >>> _ = sys.modules.pop("colorsys", None)
        >>> when_imported("colorsys", lambda: print("now it is there"))
        >>> import colorsys
        now it is there
    """
    with _lock:
        _waiting[name] = then
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)


class _Finder:
    """Finds what is waited for with the other finders, and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is None:
                continue
            if hasattr(spec.loader, "exec_module"):  # a namespace has no loader, and one of before 3.4 cannot say
                spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # behaves like one
            return spec
        return None


class _Loader:
    """A module's loader until the module runs."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    @property  # type: ignore[misc]  # nothing sets it
    def __class__(self) -> Any:  # who looks for a module without importing it may ask what loads it
        return type(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None and spec.loader is self:  # type: ignore[comparison-overlap]  # put there by the finder
            spec.loader = self._loader
        if module.__dict__.get("__loader__") is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        with _lock:
            then = _waiting.pop(module.__name__, None)
        if then is not None:
            then()


_finder: Any = _Finder()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
