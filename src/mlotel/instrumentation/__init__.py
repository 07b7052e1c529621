"""Recording what libraries do, without a change to the code that uses them.

``mlotel.instrument("io")`` makes reading and writing of files inside a component its ``read`` and ``write``: of pandas,
polars, pyarrow, numpy, joblib, pickle and torch, as far as they are installed. Each file says where the library lists
what it replaces.

>>> import mlotel
>>> mlotel.instrument("io")
>>> mlotel.uninstrument("io")

What is recorded, and what is not:

- Inside a component only. Outside one, in a thread that did not inherit it (``mlotel.carry``), and under
  ``suppress_instrumentation()`` a call goes straight through.
- The file, once it was read or written: a path, a URL (without user and query), or an open file that has a name.
  Buffers, compressed streams and file systems of one's own have no file. Its span carries in
  ``ml.artifact.content.id`` the id of the table, array or model that was read or written, where there is one: not of
  iterators, chunks, lazy frames and memory maps, not where a part of the file was asked for (``columns=``, ``nrows=``),
  and not where several files make one table.
- Once, by the outermost call: ``DataFrame.to_parquet`` calls pyarrow, which is not recorded again.
- A call that fails is not recorded, although it may leave a part of a file. A value that was changed by the call itself
  is recorded as it is afterwards.
- Arguments, results, exceptions and the lines that warnings are about stay what they are. Captured files are not shown
  to checks.
- A function that was taken out of its library before (``from pandas import read_csv`` above ``instrument``) is not
  recorded, and while its library is instrumented it cannot be pickled: pickle looks by name and finds another one.

A library that is not loaded is instrumented when it is: nothing is imported for it here. The files of this folder
therefore import their library inside functions that are called after it was loaded.
"""

import difflib
import functools
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Iterable
from typing import Protocol, cast

from mlotel import _plugins, _settings
from mlotel._guard import guard
from mlotel.errors import InvalidTypeError, NotFoundError
from mlotel.instrumentation._patch import Patch

__all__ = ["instrument", "uninstrument"]

FOLDER = "instrumentation"
GROUPS = {"io": ("joblib", "numpy", "pandas", "pickle", "polars", "pyarrow", "torch")}
"""Names that stand for several libraries, those of them that are installed."""

_SIMPLE = re.compile(r"[A-Za-z0-9._-]+>=([0-9]+(?:\.[0-9]+)*)")
_RELEASE = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:\+.*)?")  # of a preview only packaging knows where it belongs


class Instrumentation(Protocol):
    """What a file of this folder holds."""

    REQUIRES: str | None
    """The distribution and its versions, ``"pandas>=2.2"``; None, or absent, where nothing has to be installed."""

    def install(self, patch: Patch, /) -> None:
        """Replace what is to be replaced, at once or after the library was imported."""


_installed: dict[str, Patch] = {}
_complete: set[str] = set()
_lock = threading.Lock()  # never held while a plugin runs: it imports, and imports have locks of their own


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def instrument(*names: str) -> None:
    """Record what libraries do inside components. Calling it again changes nothing.

    Args:
        *names: Libraries by import name (``"pandas"``), or ``"io"``: reading and writing of files by all libraries that
            are supported and installed. No name: everything supported that is installed, which may be nothing;
            then ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` is heeded.

    Raises:
        NotFoundError: If a name is unknown, or a library is absent or too old.
        InvalidTypeError: If a name is no string.

    Example:
        >>> import pathlib, pickle, tempfile, mlotel, mlotel.testing
        >>> mlotel.instrument("pickle")
        >>> with tempfile.TemporaryDirectory() as folder, mlotel.testing.capturing() as capture:
        ...     with mlotel.component("save"), open(pathlib.Path(folder, "model.pkl"), "wb") as file:
        ...         pickle.dump({"weight": 0.5}, file)
        >>> [span.name for span in capture.spans()]
        ['write model.pkl', 'component save']
        >>> mlotel.uninstrument("pickle")
    """
    install(resolve(names) if names else found())


def uninstrument(*names: str) -> None:
    """Put back every function as it was. What is not instrumented is left out.

    Args:
        *names: As for ``instrument``; no name: everything that is instrumented.

    Raises:
        NotFoundError: If a name is unknown.
        InvalidTypeError: If a name is no string.

    Example:
        >>> import mlotel
        >>> mlotel.uninstrument()
    """
    remove([plugin for name in names for plugin in _expand(name, "uninstrument() got ")] if names else list(_installed))


def found() -> list[str]:
    """Every supported library that is installed, less those that ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` names."""
    listed = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    off = {name.strip() for name in listed}
    off |= {library for group in off & GROUPS.keys() for library in GROUPS[group]}
    return [] if "*" in off else _present(name for name in _plugins.names(FOLDER) if name not in off)


def present(name: str) -> list[str]:
    """The libraries that a name of ``known()`` means, as far as they are installed and recent enough."""
    return _present(_expand(name, "instrument() got "))


def known() -> list[str]:
    """Everything that can be asked for, sorted: libraries and groups."""
    return sorted({*_plugins.names(FOLDER), *GROUPS})


def resolve(names: Iterable[str], asked: str = "instrument() got ") -> list[str]:
    """The libraries that are meant by ``names``; nothing is instrumented yet.

    Args:
        names: As for ``instrument``.
        asked: Beginning of the message of an error.

    Raises:
        NotFoundError: If a name is unknown, or a library that was named by itself is absent or too old.
        InvalidTypeError: If a name is no string.
    """
    found: list[str] = []
    for name in names:
        expanded = _expand(name, asked)
        if name in GROUPS:
            expanded = _present(expanded)
        elif (lack := _lack(name)) is not None:
            raise NotFoundError(f"{asked}{name!r}, {lack}")
        found += expanded
    return list(dict.fromkeys(found))


def require_known(names: Iterable[str], asked: str) -> None:
    """Raise for the first of ``names`` that is unknown, whatever is installed; see ``resolve``."""
    for name in names:
        _expand(name, asked)


def install(plugins: Iterable[str]) -> list[str]:
    """Instrument libraries.

    Args:
        plugins: What ``resolve`` returned.

    Returns:
        Those that were not instrumented before.
    """
    if _settings.is_disabled():
        return []
    new: list[str] = []
    due: dict[str, Patch] = {}
    with _lock:
        for name in plugins:
            if name not in _installed:
                _installed[name] = Patch(functools.partial(_is_recent, name))
                new.append(name)
            _settings.captures_files = True
            if name not in _complete:  # another thread may be at it: doing it twice is doing it once
                due[name] = _installed[name]
    for name, patch in due.items():
        with guard(f"instrument {name}"):
            _load(name).install(patch)
        with _lock:
            if _installed.get(name) is patch:
                _complete.add(name)
    return new


def remove(plugins: Iterable[str]) -> None:
    """Put back the functions of libraries, as far as they are instrumented."""
    for name in plugins:
        with _lock:
            patch = _installed.pop(name, None)
            _settings.captures_files = bool(_installed)
            _complete.discard(name)
        if patch is not None:
            patch.undo()


def _load(name: str) -> Instrumentation:
    return cast("Instrumentation", _plugins.load(FOLDER, name))


def _expand(name: str, asked: str) -> list[str]:
    """The libraries that a name means."""
    if not isinstance(name, str):
        raise InvalidTypeError(f"{asked}a value of type {type(name).__qualname__}. Pass names: {', '.join(known())}.")
    if name in GROUPS:
        return list(GROUPS[name])
    if not _plugins.has(FOLDER, name):
        close = difflib.get_close_matches(name, known(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise NotFoundError(f"{asked}{name!r}, which does not exist.{hint} There are: {', '.join(known())}.")
    return [name]


def _present(plugins: Iterable[str]) -> list[str]:
    return [name for name in plugins if _is_present(name)]


def _is_present(name: str) -> bool:
    """Whether a library is there and, as far as that is known before it is loaded, recent enough.

    To read the versions of what is installed takes longer than all the rest of ``configure()``; a library that is
    loaded says its own, and is asked once it is loaded.
    """
    try:
        requires = getattr(_load(name), "REQUIRES", None)
    except NotFoundError:  # the plugin of another distribution, reported by now
        return False
    if requires is None:
        return True
    return _is_recent(name) if name in sys.modules else _is_importable(name)


def _is_recent(name: str) -> bool:
    """Whether a library that is loaded is as recent as its instrumentation requires."""
    needed = _SIMPLE.fullmatch(str(getattr(_load(name), "REQUIRES", None)))
    found = _RELEASE.fullmatch(str(getattr(sys.modules.get(name), "__version__", "")))
    if needed is None or found is None:
        return _lack(name) is None
    return _numbers(found.group(1)) >= _numbers(needed.group(1))


def _numbers(release: str) -> list[int]:
    numbers = [int(part) for part in release.split(".")]
    while numbers[-1:] == [0]:  # 2 is 2.0
        numbers.pop()
    return numbers


def _lack(name: str) -> str | None:
    """Why a library cannot be instrumented; None when it can."""
    try:
        requires = getattr(_load(name), "REQUIRES", None)
    except NotFoundError:  # the plugin of another distribution
        return "which is installed and cannot be loaded; the log says why."
    if requires is None:
        return None
    from importlib import metadata  # with packaging, 15 ms that only those pay who instrument

    from packaging.requirements import InvalidRequirement, Requirement  # comes with opentelemetry-instrumentation

    try:
        requirement = Requirement(requires)
    except InvalidRequirement:
        return f'whose requirement {requires!r} cannot be read. Write it as "pandas>=2.2".'
    command = f"pip install '{requires}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:  # it may be there under another name: polars comes as polars-lts-cpu too
        return None if _is_importable(name) else f"which is not installed. Install it: {command}"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"but {requirement.name} {version} is installed and mlotel needs {requires}: {command}"


def _is_importable(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a finder that fails, a name that no module can have
        return False
    return spec is not None and spec.loader is not None  # a folder of that name is no library
