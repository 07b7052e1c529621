"""Plugins: a file in a plugin folder, or an entry point of another distribution.

``src/mlotel/<folder>/<name>.py`` is the plugin ``name`` of ``folder``; modules that start with ``_`` are not plugins,
nor are folders inside, and the few modules that a table below names.
Other distributions join by the entry-point group ``mlotel.<folder>``. Names can be listed without importing anything;
a plugin is imported when it is asked for. One that cannot be imported is said once and left out from then on.
"""

import functools
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

from mlotel import _guard
from mlotel.errors import NotFoundError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_NO_PLUGINS = {  # what a folder offers to others beside its plugins
    "artifacts": frozenset({"evidence"}),
    "artifacts.carriers": frozenset({"index", "sidecar"}),
}
_broken: set[tuple[str, str]] = set()


def names(folder: str) -> list[str]:
    """Names of the plugins of a folder, sorted; none of them is imported.

    Args:
        folder: Folder below ``mlotel``, with dots: ``cli``, ``artifacts``, ``drift.statistics``.

    Raises:
        NotFoundError: If mlotel has no such folder.

    Example:
        >>> from mlotel import _plugins
        >>> "value" in _plugins.names("artifacts")
        True
    """
    return sorted({*own(folder), *(name for name in _foreign(folder) if (folder, name) not in _broken)})


def has(folder: str, name: str) -> bool:
    """Whether there is a plugin of that name; looks at other distributions only when mlotel has none itself."""
    return name in own(folder) or (name in _foreign(folder) and (folder, name) not in _broken)


def load(folder: str, name: str) -> ModuleType:
    """Import one plugin.

    Args:
        folder: As for ``names``.
        name: One of ``names(folder)``; mlotel's own plugin wins over another distribution's of the same name.

    Returns:
        The module, or whatever object the entry point of another distribution names.

    Raises:
        NotFoundError: If there is no such plugin, or it belongs to another distribution and cannot be imported.
        ImportError: If a plugin of mlotel itself needs a library that is not installed.
    """
    if name in own(folder):
        return importlib.import_module(f"mlotel.{folder}.{name}")
    entry = _foreign(folder).get(name)
    if entry is not None and (folder, name) not in _broken:
        try:
            plugin: ModuleType = entry.load()
        except (Exception, SystemExit) as error:  # a module may call sys.exit() when it is imported
            _guard.report(f"load the plugin {name!r} of {_owner(entry)} ({entry.value})", error)
            _broken.add((folder, name))
        else:
            return plugin
    raise NotFoundError(_absent(folder, name))


@functools.cache
def own(folder: str) -> frozenset[str]:
    """Names of mlotel's own plugins of a folder."""
    spec = _spec(folder)
    if spec is None or spec.submodule_search_locations is None:
        raise NotFoundError(f"mlotel has no plugin folder {folder!r}.")
    found = pkgutil.iter_modules(list(spec.submodule_search_locations))
    others = _NO_PLUGINS.get(folder, frozenset())
    return frozenset(
        module.name for module in found if not (module.ispkg or module.name.startswith("_") or module.name in others)
    )


def _spec(folder: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(f"mlotel.{folder}")
    except ModuleNotFoundError:  # the parent of a dotted folder
        return None


def _foreign(folder: str) -> Mapping[str, "EntryPoint"]:
    return _entry_points(folder, tuple(sys.path))


@functools.lru_cache(maxsize=64)
def _entry_points(folder: str, path: tuple[str, ...]) -> Mapping[str, "EntryPoint"]:
    """Entry points of other distributions; looked up again when ``sys.path`` has changed since."""
    if not _may_offer_plugins(path):
        return {}
    from importlib import metadata  # slow to import, and slow to read all that is installed

    found: dict[str, EntryPoint] = {}
    for entry in metadata.entry_points(group=f"mlotel.{folder}"):
        if _owner(entry) != "mlotel":
            found.setdefault(entry.name, entry)
    return found


@functools.lru_cache(maxsize=8)
def _may_offer_plugins(path: tuple[str, ...]) -> bool:
    """Whether anything that is installed may have an entry point in one of our groups; mostly nothing has."""
    if any(finder is not PathFinder and hasattr(finder, "find_distributions") for finder in sys.meta_path):
        return True  # distributions that are not in folders
    for folder in dict.fromkeys(path):
        try:
            with os.scandir(folder or ".") as entries:
                found = [entry.name for entry in entries]
        except NotADirectoryError:  # an archive
            return True
        except OSError:
            continue
        for name in found:
            if name.endswith(".egg"):
                return True
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            try:
                with open(f"{folder or '.'}/{name}/entry_points.txt", "rb") as file:  # noqa: PTH123 - hundreds of them
                    if b"[mlotel." in file.read():
                        return True
            except OSError:  # most distributions have none
                continue
    return False


def _owner(entry: "EntryPoint") -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"


def _absent(folder: str, name: str) -> str:
    import difflib  # only on the way to an error

    existing = names(folder)
    close = difflib.get_close_matches(name, existing, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if (folder, name) in _broken:
        hint = " It is installed but cannot be loaded; the log says why." + hint
    known = ", ".join(existing) or "none"
    return f"mlotel.{folder} has no plugin {name!r}.{hint} There are: {known}."
