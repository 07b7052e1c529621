"""Where in the code something was opened: the values of ``code.function.name``."""

from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from mlotel.tracing import attributes

MAX_KNOWN = 4096

_known: dict[int, tuple[str, CodeType]] = {}  # by id, kept alive: equal code in two modules has two names


def name_of_frame(frame: FrameType) -> str:
    """Qualified name of the function that ``frame`` runs, before ``redact=``."""
    code = frame.f_code
    known = _known.get(id(code))
    if known is not None:
        return known[0]
    module = frame.f_globals.get("__name__", "")
    if module == "contextlib" and frame.f_back is not None:  # an ExitStack opened what is to be named
        return name_of_frame(frame.f_back)
    function = getattr(code, "co_qualname", code.co_name)  # co_qualname is new in Python 3.11
    name = attributes.clean(f"{module}.{function}")
    if len(_known) < MAX_KNOWN:
        _known[id(code)] = name, code
    return name


def name_of_function(function: Callable[..., Any]) -> str:
    """Qualified name of a function, or of the class of an object that can be called, before ``redact=``."""
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str):  # a partial, or an object with __call__
        return attributes.clean(attributes.qualified(type(function)))
    return attributes.clean(f"{getattr(function, '__module__', None) or ''}.{name}".lstrip("."))
