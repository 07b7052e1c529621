"""Replacing functions of other libraries, and putting them back exactly as they were.

A function that stands for another one keeps its name, signature, documentation and ``__wrapped__``, can be pickled by
name, and is passed over when a warning looks for the line it is about. A Python function is replaced by one; what is
written in C by an object which, like the original, does not bind when it is found on a class, and is equal to it.

Who took a function out of its library before (``from pandas import read_csv``) keeps the original, and who took it
meanwhile keeps what stood for it, which after ``undo()`` only passes calls on.
"""

import copy
import functools
import os
import pkgutil
import sys
import threading
import weakref
from collections.abc import Callable
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

from mlotel._guard import guard
from mlotel.instrumentation._imports import when_imported

__all__ = ["Patch", "Wrapper", "passed_over"]

Wrapper: TypeAlias = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called instead of a function, with the function and its arguments, ``self`` among them; returns the result."""

_ABSENT = object()

# ``warnings.warn(stacklevel=…)`` does not count frames whose file name holds both words, so that imports are passed
# over (Lib/warnings.py, _is_internal_frame). Without them the warnings of a library would be about our line instead of
# the user's, and filters that name the user's module would miss them.
_PASSED_OVER = "<mlotel.instrumentation, importlib._bootstrap>"


class _Switch:
    """Whether the functions of a patch do more than pass calls on."""

    __slots__ = ("is_on",)

    def __init__(self) -> None:
        self.is_on = True


class _Mark:
    """On what stands for a function: what it stands for. Other wrappers may copy the mark; it names its owner."""

    __slots__ = ("of", "raw", "switch")

    def __init__(self, of: object, raw: Any, switch: _Switch) -> None:
        self.of = of
        self.raw = raw
        self.switch = switch


class _Site:
    """One attribute that was replaced."""

    __slots__ = ("is_own", "name", "owner", "raw", "replacement")

    def __init__(self, owner: Any, name: str, raw: Any, replacement: Any) -> None:
        self.owner = owner
        self.name = name
        self.raw = raw
        self.replacement = replacement
        self.is_own = name in vars(owner)

    def place(self) -> None:
        setattr(self.owner, self.name, self.replacement)

    def restore(self) -> None:
        if vars(self.owner).get(self.name) is not self.replacement:
            return  # somebody has put something over it, or restored it
        if self.is_own:
            setattr(self.owner, self.name, _below(self.raw))
        else:
            delattr(self.owner, self.name)


class _PassingSite:
    """One attribute that was replaced, of an owner that nothing here keeps alive: a class that may go again."""

    __slots__ = ("__weakref__", "_owner", "_switch", "name")

    def __init__(self, owner: Any, name: str, switch: _Switch, gone: Callable[[Any], None]) -> None:
        self._owner = weakref.ref(owner, gone)
        self.name = name
        self._switch = switch

    def restore(self) -> None:
        owner = self._owner()
        raw = None if owner is None else vars(owner).get(self.name)
        mark = getattr(_inner(raw), "_self_mlotel", None)
        # Another wrapper may lie over ours, with a copy of its mark.
        if isinstance(mark, _Mark) and mark.of is _inner(raw) and mark.switch is self._switch:
            setattr(owner, self.name, _below(mark.raw))


class Patch:
    """The functions that were replaced for one library.

    Args:
        suits: Asked once the library is loaded, before anything of it is replaced: whether its version is supported.
            None where that is known.

    Example:
        >>> import json
        >>> original = json.loads
        >>> def counted(wrapped, args, kwargs):
        ...     counted.calls += 1
        ...     return wrapped(*args, **kwargs)
        >>> counted.calls = 0
        >>> patch = Patch()
        >>> patch.around(json, "loads", counted)
        >>> json.loads("[1]"), counted.calls
        ([1], 1)
        >>> patch.undo()
        >>> json.loads is original
        True
    """

    def __init__(self, suits: Callable[[], bool] | None = None) -> None:
        self._suits = suits
        self._switch = _Switch()
        self._seen: tuple[object, list[ModuleType]] = (None, [])
        self._sites: dict[tuple[int, str], _Site] = {}
        self._passing: dict[tuple[int, str], _PassingSite] = {}

    @property
    def is_open(self) -> bool:
        """Whether it was not undone."""
        return self._switch.is_on

    @property
    def sites(self) -> list[tuple[Any, str, Any]]:
        """Owner, name and original of each attribute that is replaced."""
        with _lock:
            return [(site.owner, site.name, site.raw) for site in self._sites.values()]

    def around(self, owner: Any, name: str, wrapper: Wrapper, *, everywhere: bool = False) -> None:
        """Have ``wrapper`` called instead of ``owner.name``. Does nothing the second time, and after ``undo()``.

        Args:
            owner: A module, a class or an instance.
            name: Attribute of it: a function, a method, a static or class method.
            wrapper: Called as ``wrapper(wrapped, args, kwargs)``, with ``self`` in ``args``.
            everywhere: Whether the same function is replaced under this name in the library's other public modules,
                as far as they are loaded.

        Raises:
            AttributeError: If the owner has no such attribute.
        """
        with _lock:
            if not self._switch.is_on or (id(owner), name) in self._sites:
                return
            raw = _below(_look_up(owner, name))
            passed_over(wrapper)
            replacement = _stand_in(raw, wrapper, self._switch, _home(owner), name)
            sites = [_Site(owner, name, raw, replacement)]
            if everywhere:
                sites += [
                    _Site(module, name, raw, replacement)
                    for module in self._public_modules(owner)
                    if module is not owner and _vars(module).get(name) is raw
                ]
            for site in sites:
                site.place()
                self._sites[id(site.owner), name] = site
            _keep_picklable(replacement, owner, name)

    def around_own(self, owner: Any, name: str, wrapper: Wrapper, *, by_value: bool = False) -> None:
        """Like ``around``, for an attribute of the owner's own, which is not kept alive: a class that was made late.

        Args:
            owner: A class, or an object that a class holds.
            name: Attribute that is stored on it.
            wrapper: As for ``around``.
            by_value: Whether the owner cannot be imported, so that cloudpickle sends it to workers piece by piece:
                then the original function is what is sent.
        """
        with _lock:
            key = id(owner), name
            if not self._switch.is_on or key in self._passing:
                return
            raw = _below(vars(owner)[name])
            passed_over(wrapper)
            if by_value:
                replacement = _SentStandIn(raw, wrapper, self._switch)
                vars(replacement)["_self_mlotel"] = _Mark(replacement, raw, self._switch)
            else:
                replacement = _stand_in(raw, wrapper, self._switch, _home(owner), name)
            self._passing[key] = _PassingSite(owner, name, self._switch, lambda _: self._gone(key))
            setattr(owner, name, replacement)
            if not by_value:
                _keep_picklable(replacement, owner, name)

    def _gone(self, key: tuple[int, str]) -> None:
        self._passing.pop(key, None)

    def suits(self) -> bool:
        """Whether the library that was loaded is one that is supported."""
        return self._suits is None or self._suits()

    def _public_modules(self, owner: Any) -> list[ModuleType]:
        """The public ones of ``_modules``. All are looked through once as long as nothing is imported."""
        if not isinstance(owner, ModuleType):
            return []
        state = _library(owner), len(sys.modules), next(reversed(sys.modules), None)
        if self._seen[0] != state:
            self._seen = state, [module for module in _modules(owner) if _is_public(module)]
        return self._seen[1]

    def after_import(self, module: str, then: "Callable[[Patch], None]") -> None:
        """Call ``then`` with this patch as soon as ``module`` is loaded: now, if it is.

        Args:
            module: Name of a module; it is not imported.
            then: Imports it and replaces what it needs to. Its errors are logged; they never reach who imports.
        """
        with _lock:
            waiting = _waiting.setdefault(module, [])
            if self._switch.is_on and (self, then) not in waiting:
                waiting.append((self, then))
            is_hooked = module in _hooked
            _hooked.add(module)
        if sys.modules.get(module) is not None:
            _imported(module)
        elif not is_hooked:
            when_imported(module, lambda: _imported(module))

    def undo(self) -> None:
        """Put everything back. What somebody else has put over a replacement stays; ours then only passes calls on."""
        with _lock:
            self._switch.is_on = False
            for waiting in _waiting.values():
                waiting[:] = [one for one in waiting if one[0] is not self]
            sites = list(self._sites.values())
            self._sites.clear()
            for site in reversed(sites):
                site.restore()
            for passing in list(self._passing.values()):
                passing.restore()
            self._passing.clear()
            self._seen = (None, [])
            _put_back([site for site in sites if isinstance(site.owner, ModuleType)])


_lock = threading.RLock()  # reentrant: setting an attribute may run code of the owner's
_waiting: dict[str, list[tuple[Patch, Callable[[Patch], None]]]] = {}
_hooked: set[str] = set()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _put_back(sites: list[_Site]) -> None:
    """Put the originals into modules that were loaded meanwhile, and have taken replacements over."""
    originals = {id(site.replacement): site.raw for site in sites}
    by_library: dict[str, tuple[ModuleType, set[str]]] = {}
    for site in sites:
        by_library.setdefault(_library(site.owner), (site.owner, set()))[1].add(site.name)
    for owner, names in by_library.values():
        for module in _modules(owner):
            held = _vars(module)
            for name in [name for name in names if name in held]:
                if id(held[name]) in originals:
                    setattr(module, name, _below(originals[id(held[name])]))


def _imported(module: str) -> None:
    with _lock:
        _hooked.discard(module)
        waiting = _waiting.pop(module, [])
    for patch, then in waiting:  # not under the lock: it imports, and another thread may import and wait for the lock
        if patch.is_open:
            with guard(f"instrument {module}"):
                if patch.suits():
                    then(patch)


def _look_up(owner: Any, name: str) -> Any:
    """The attribute as it is stored: a static method as such, a method as a function."""
    if isinstance(owner, type):
        for kind in owner.__mro__:
            if name in vars(kind):
                return vars(kind)[name]
    elif isinstance(owner, ModuleType) and name in vars(owner):
        return vars(owner)[name]
    return getattr(owner, name)


def _inner(raw: Any) -> Any:
    return raw.__func__ if isinstance(raw, staticmethod | classmethod) else raw


def _below(raw: Any) -> Any:
    """``raw``, or what is below it when it is one of ours that was undone."""
    while True:
        inner = _inner(raw)
        mark = getattr(inner, "_self_mlotel", None)
        if not isinstance(mark, _Mark) or mark.of is not inner or mark.switch.is_on:
            return raw
        raw = mark.raw


def _stand_in(raw: Any, wrapper: Wrapper, switch: _Switch, home: str, name: str) -> Any:
    """What takes the place of ``raw``."""
    wrapped = _inner(raw)
    made: Any
    if isinstance(wrapped, FunctionType):
        made = _function(wrapped, wrapper, switch)
    else:
        made = _StandIn(wrapped, wrapper, switch)
        vars(made)["_self_home"] = f"{home}.{name}" if ":" in home else f"{home}:{name}"
    vars(made)["_self_mlotel"] = _Mark(made, raw, switch)
    return made if wrapped is raw else type(raw)(made)


def _function(wrapped: Callable[..., Any], wrapper: Wrapper, switch: _Switch) -> Callable[..., Any]:
    @functools.wraps(wrapped)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        if switch.is_on:
            return wrapper(wrapped, args, kwargs)
        return wrapped(*args, **kwargs)

    passed_over(replacement)
    return replacement


class _StandIn:
    """Stands for a function that is written in C, and for other callable objects."""

    def __init__(self, wrapped: Any, wrapper: Wrapper, switch: _Switch) -> None:
        looks: dict[str, Any] = dict(getattr(wrapped, "__dict__", {}))
        looks |= {name: getattr(wrapped, name) for name in functools.WRAPPER_ASSIGNMENTS if hasattr(wrapped, name)}
        looks |= {"__wrapped__": wrapped, "_self_wrapper": wrapper, "_self_switch": switch}
        vars(self).update(looks)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        own = vars(self)
        if own["_self_switch"].is_on:
            return own["_self_wrapper"](own["__wrapped__"], args, kwargs)
        return own["__wrapped__"](*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind where the original does: methods do, builtin functions do not."""
        binds = instance is not None and hasattr(type(vars(self)["__wrapped__"]), "__get__")
        return MethodType(self, instance) if binds else self

    @property  # type: ignore[misc]  # nothing sets it
    def __class__(self) -> Any:
        return type(vars(self)["__wrapped__"])

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["__wrapped__"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(vars(self)["__wrapped__"], name)

    def __repr__(self) -> str:
        return repr(vars(self)["__wrapped__"])

    def __eq__(self, other: object) -> Any:
        return self is other or vars(self)["__wrapped__"] == other

    def __hash__(self) -> int:
        return hash(vars(self)["__wrapped__"])

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pkgutil.resolve_name, (vars(self)["_self_home"],)  # by name, and readable where mlotel is absent

    def __copy__(self) -> Any:
        return self  # as functions do

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class _SentStandIn(_StandIn):
    """Stands for a function of a class that is pickled by value: the function itself is pickled."""

    @property  # type: ignore[misc]  # nothing sets it
    def __class__(self) -> Any:  # cloudpickle takes whatever says that it is a function apart, and asks it nothing
        return _SentStandIn

    def __reduce_ex__(self, protocol: Any) -> Any:
        return copy.copy, (vars(self)["__wrapped__"],)  # a copy of a function is the function


def passed_over(function: Callable[..., Any]) -> None:
    """Have the frames of ``function`` count as none when a warning looks for its line."""
    if isinstance(function, FunctionType) and function.__code__.co_filename != _PASSED_OVER:
        function.__code__ = function.__code__.replace(co_filename=_PASSED_OVER)


passed_over(_StandIn.__call__)


def _home(owner: Any) -> str:
    """Where ``owner`` can be found: ``module``, or ``module:class``."""
    if isinstance(owner, ModuleType):
        return owner.__name__
    kind = owner if isinstance(owner, type) else type(owner)
    return f"{kind.__module__}:{kind.__qualname__}"


def _keep_picklable(replacement: Any, owner: Any, name: str) -> None:
    """Pickle finds a function by its module and name: say where it is, unless it is where it says."""
    function = _inner(replacement)
    if not isinstance(function, FunctionType) or not isinstance(owner, type | ModuleType):
        return
    found: Any = sys.modules.get(function.__module__)  # nothing is imported for this
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is function:
        return
    module, _, kind = _home(owner).partition(":")
    function.__module__ = module
    function.__qualname__ = f"{kind}.{name}" if kind else name


def _modules(owner: ModuleType) -> list[ModuleType]:
    """The loaded modules of the library that a module belongs to."""
    root = _library(owner)
    within = f"{root}."
    found = [module for name, module in list(sys.modules.items()) if name == root or name.startswith(within)]
    return [module for module in found if isinstance(module, ModuleType)]


def _library(module: ModuleType) -> str:
    return module.__name__.partition(".")[0]


def _vars(module: ModuleType) -> dict[str, Any]:
    """Attributes of a module; a lazy one is not loaded by this."""
    found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return found


def _is_public(module: ModuleType) -> bool:
    return not any(part.startswith("_") for part in str(_vars(module).get("__name__", "_")).split("."))
