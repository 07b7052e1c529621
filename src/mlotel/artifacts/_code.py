"""Names of functions and classes: code is known by the name under which it can be imported, not by what it does."""

import sys
from typing import Any

from mlotel.artifacts._base import Unidentifiable
from mlotel.artifacts._look import origin

_MOVING = frozenset({"numpy", "scipy", "sklearn", "torch"})  # their private modules move between versions
_HOMES = ("numpy", "scipy.special", "torch", "torch.nn.functional")  # of functions that do not tell theirs


def public_name(kind: type) -> str:
    """Module and qualified name of a class; without the private modules of libraries that move them about.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> from mlotel.artifacts import _code
        >>> _code.public_name(Ridge)
        'sklearn.linear_model.Ridge'
    """
    module: str = type.__getattribute__(kind, "__module__")
    name: str = type.__getattribute__(kind, "__qualname__")
    return f"{_public(module)}.{name}"


def class_name(kind: type) -> str:
    """The public name of a class that can be imported.

    Raises:
        Unidentifiable: If the name does not lead to the class, as inside a function: another may have the same.
    """
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    if origin(kind)[0] not in _MOVING and not _leads_to(module, name, kind):
        raise Unidentifiable(f"an object of the class {name}, which cannot be imported by that name")
    return public_name(kind)


def function_name(function: Any) -> str:
    """Module and qualified name of a function or a ufunc.

    Raises:
        Unidentifiable: If it cannot be imported by that name, as lambdas and functions inside others.
    """
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    module = getattr(function, "__module__", None)
    for home in (module, *_HOMES):
        for known in (name, getattr(function, "__name__", None)):
            if isinstance(home, str) and isinstance(known, str) and _leads_to(home, known, function):
                return f"{_public(home)}.{known}"
    raise Unidentifiable(f"the function {name}, which cannot be imported by that name")


def _public(module: str) -> str:
    root, _, rest = module.partition(".")
    if root not in _MOVING:
        return module
    return ".".join([root, *(part for part in rest.split(".") if part and not part.startswith("_"))])


def _leads_to(module: str, name: str, wanted: Any) -> bool:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is wanted
