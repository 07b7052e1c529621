"""What pipelines and components demand of their arguments. A wrong call is an error at once, with the way out."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlotel.errors import InvalidArgumentError, InvalidTypeError


def kind_of(value: object) -> str:
    """Name of the type of ``value``, for messages."""
    name: str = type.__getattribute__(type(value), "__qualname__")  # past a metaclass, which may be the user's
    return name


def refuse_unknown(call: str, unknown: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise InvalidTypeError for the first of ``unknown``, with the nearest of ``known``."""
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidTypeError(f"{call}() got an unknown keyword {name!r}.{hint} It takes {', '.join(known)}.")


def require_text(call: str, argument: str, value: object) -> str:
    """``value`` as a non-empty string."""
    if not isinstance(value, str):
        raise InvalidTypeError(f"{call}() got {argument}={shown(value)}. Pass a string.")
    if not value.strip():
        raise InvalidArgumentError(f"{call}() got an empty {argument}. Pass a name that people will recognise.")
    return value


def require_name(call: str, value: object) -> str:
    """``value`` as the name of a pipeline or component."""
    if not isinstance(value, str):
        raise InvalidTypeError(
            f"{call}() got {shown(value)} as its name. Pass a string: mlotel.{call}('clean'); "
            f"to wrap a function, decorate it with @mlotel.{call}."
        )
    return require_text(call, "name", value)


def require_mapping(call: str, argument: str, value: object) -> Mapping[str, Any]:
    """``value`` as a mapping with string keys."""
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"{call}() got {argument}={shown(value)}. Pass a dict: {argument}={{'depth': 6}}.")
    for key in value:
        if not isinstance(key, str):
            raise InvalidTypeError(f"{call}() got {argument} with the key {shown(key)}. Keys must be strings.")
    return value


def require_choice(call: str, argument: str, value: object, choices: Sequence[str]) -> str:
    """``value`` as one of ``choices``."""
    text = require_text(call, argument, value)
    if text not in choices:
        near = difflib.get_close_matches(text, choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidArgumentError(f"{call}() got {argument}={text!r}.{hint} Use one of: {', '.join(choices)}.")
    return text


def require_seconds(call: str, argument: str, value: object) -> float:
    """``value`` as a positive, finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(f"{call}() got {argument}={shown(value)}. Pass seconds as a number.")
    if not 0 < value < float("inf"):
        raise InvalidArgumentError(f"{call}() got {argument}={value!r}. Pass a positive number of seconds.")
    return float(value)


def require_checks(argument: str, value: object) -> tuple[Callable[..., Any], ...]:
    """``value``, one function or a list of them, as a tuple of functions."""
    found = (value,) if callable(value) else value
    if not isinstance(found, list | tuple):
        raise InvalidTypeError(f"component() got {argument}={shown(value)}. Pass a list of functions.")
    for check in found:
        if not callable(check):
            raise InvalidTypeError(f"component() got {shown(check)} in {argument}. Every check must be a function.")
    return tuple(found)


def shown(value: object) -> str:
    """Plain values as they are, anything else by its type: its ``repr`` is the user's code."""
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is float:
        return repr(value)
    if type(value) is str:
        return repr(value if len(value) <= 60 else value[:59] + "…")
    return f"a {kind_of(value)}"
