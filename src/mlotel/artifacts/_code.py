"""Names of functions and classes: code is known by the name under which it can be imported, not by what it does."""

import sys
from typing import Any

from mlotel.artifacts._base import Unidentifiable

_MOVING = frozenset({"numpy", "scipy", "sklearn", "torch"})  # their private modules move between versions
_PROGRAMS = frozenset({"__main__", "__mp_main__"})  # every program and notebook has these names for other code
_HOMES = ("numpy", "scipy.special", "torch", "torch.nn.functional")  # of functions that do not tell theirs


def public_name(kind: type) -> str:
    """Module and qualified name of a class, without the private modules of libraries that move them about.

    A name to find rules by; it need not lead anywhere.

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
    """The name by which a class can be imported: the public one if there is one, so that versions agree.

    Raises:
        Unidentifiable: If no name leads to the class, as inside a function or the program itself: another may have the
            same.
    """
    name: str = type.__getattribute__(kind, "__qualname__")
    found = _name_in(type.__getattribute__(kind, "__module__"), name, kind)
    if found is None:
        raise Unidentifiable(f"an object of the class {name}, which cannot be imported by that name")
    return found


def function_name(function: Any) -> str:
    """Module and qualified name of a function or a ufunc.

    Raises:
        Unidentifiable: If it cannot be imported by that name, as lambdas and functions inside others or the program
            itself.
    """
    names = [getattr(function, attribute, None) for attribute in ("__qualname__", "__name__")]
    for home in (getattr(function, "__module__", None), *_HOMES):
        for name in names:
            if isinstance(home, str) and isinstance(name, str):
                found = _name_in(home, name, function)
                if found is not None:
                    return found
    raise Unidentifiable(f"the function {names[0] or names[1]}, which cannot be imported by that name")


def _name_in(module: Any, name: str, wanted: Any) -> str | None:
    if not isinstance(module, str) or module in _PROGRAMS:
        return None
    return next((f"{home}.{name}" for home in (_public(module), module) if _leads_to(home, name, wanted)), None)


def _public(module: str) -> str:
    root, _, rest = module.partition(".")
    if root not in _MOVING:
        return module
    return ".".join([root, *(part for part in rest.split(".") if part and not part.startswith("_"))])


def _leads_to(module: str, name: str, wanted: Any) -> bool:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        try:
            found = getattr(found, part, None)
        except ImportError:  # an experimental class of scikit-learn that nobody has asked for: the name is its own
            return True
    return found is wanted
