"""From values of any type to attribute values: bounded, clean, without secrets, and never an error.

The rules: numbers and words pass; numpy scalars become plain ones; integers beyond 64 bits become strings; strings are
cut at 2,048 characters with a mark and lose lone surrogates, credentials and whatever ``redact=`` takes out; short
lists of scalars stay lists; everything else is described by its type. Nothing here calls ``repr``, ``len``, ``bool`` or
``==`` of a user's object, and types are asked for with ``type()``: ``isinstance`` would ask the object for its
``__class__``.
"""

import datetime
import decimal
import enum
import fractions
import pathlib
import re
import sys
import types
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from opentelemetry import context

from mlotel import _current, _settings
from mlotel._guard import report, say_once
from mlotel.tracing.secrets import is_secret, without_credentials
from mlotel.types import AttributeValue

MAX_TEXT = 2048
MAX_ITEMS = 128
MAX_PARAMS = 64  # the SDK keeps 128 attributes a span and evicts the oldest: params must never push out ml.run.id
REDACTED = "[redacted]"


class Types:
    """A set of types that is asked by identity: hash and equality of a class are its metaclass's, which users write."""

    __slots__ = ("_ids",)

    def __init__(self, *types: type) -> None:
        self._ids = frozenset(map(id, types))  # built-in types live for ever

    def __contains__(self, kind: object) -> bool:
        return id(kind) in self._ids


_PLAIN_TEXT_TYPES = Types(
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    decimal.Decimal,
    fractions.Fraction,
    uuid.UUID,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    complex,
    range,
)
_FUNCTIONS = Types(types.FunctionType, types.BuiltinFunctionType, types.MethodType)
SCALARS = Types(type(None), bool, int, float, str)
_DICTS = Types(dict, OrderedDict, defaultdict)
_LISTS = Types(list, tuple, set, frozenset)
_SIZED = Types(list, tuple, set, frozenset, dict, OrderedDict, defaultdict, bytes, bytearray)
_KEY_NOISE = re.compile(r"[^A-Za-z0-9_.\-]+")


def text(value: str, limit: int = MAX_TEXT) -> str:
    """``value`` as it may leave the process: without lone surrogates, credentials and what ``redact=`` takes out.

    It is at most ``limit`` characters long; a cut leaves a mark.
    """
    shown = _readable(value, limit)
    if _settings.current.redact is not None:
        shown = _redacted(shown)
    return _cut(shown, limit, str.__len__(value))


def clean(value: str, limit: int = MAX_TEXT) -> str:
    """``text()`` before ``redact=``: for what is declared before mlotel is set up."""
    return _cut(_readable(value, limit), limit, str.__len__(value))


def _readable(value: str, limit: int) -> str:
    # A margin beyond the cut, so that a secret is recognised although the cut goes through it.
    long = str.__len__(value) > 2 * limit
    shown = str.__getitem__(value, slice(0, 2 * limit)) if long else str.__str__(value)
    if not shown.isascii():
        shown = shown.encode("utf-8", "replace").decode("utf-8")
    return without_credentials(shown, REDACTED) if "://" in shown else shown


def _cut(shown: str, limit: int, size: int) -> str:
    if size <= 2 * limit and len(shown) <= limit:
        return shown
    mark = f"… [cut, {max(size, len(shown))} characters]"
    return shown[: max(0, limit - len(mark))] + mark


def _redacted(shown: str) -> str:
    return redacted_by(_settings.current.redact, shown)  # type: ignore[arg-type]  # callers have looked: there is one


def redacted_by(redact: Callable[[str], str], shown: str) -> str:
    """What ``redact`` leaves of ``shown``; ``[redacted]`` when it fails."""
    token = context.attach(_current.silent())  # a redact= that is recorded itself would redact its own words, for ever
    try:
        result = redact(shown)
    except Exception as error:
        _say_redact_failed(f"it raised {qualified(type(error))}")
        return REDACTED
    finally:
        context.detach(token)
    if not issubclass(type(result), str):
        _say_redact_failed(f"it returned {qualified(type(result))}, not a str")
        return REDACTED
    return str.__str__(result).encode("utf-8", "replace").decode("utf-8")


def _say_redact_failed(why: str) -> None:
    # Not the message of the exception: it may well hold what was to be taken out.
    say_once(("redact", why), "mlotel could not apply redact= (%s). Texts that it fails on do not leave.", why)


def redacted(value: str) -> str:
    """``value``, made with ``clean()``, as it may leave now."""
    return value if _settings.current.redact is None else text(value)


def declared(values: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """``values``, made with ``clean()`` when something was declared, as they may leave now."""
    if _settings.current.redact is None:
        return values
    return {name: text(value) if isinstance(value, str) else value for name, value in values.items()}


def uri(value: str) -> str:
    """``value`` without user information, query and fragment: where something is, not who may read it.

    Addresses of fsspec can be chains, ``zip://flights.csv::https://host/flights.zip``: each link is one.
    """
    shown = str.__getitem__(value, slice(0, 2 * MAX_TEXT))
    if "://" not in shown:
        return text(value)
    return text("::".join(text(re.split(r"[?#]", link, maxsplit=1)[0]) for link in chain(shown)))


def chain(address: str) -> list[str]:
    """The links of an address: mostly one. In brackets ``::`` is part of a number."""
    return re.split(r"::(?![^\[\]]*\])", address)


def attribute(value: Any) -> AttributeValue:
    """``value`` as an attribute value; see the rules at the top of this module."""
    try:
        scalar = _scalar(value)
        if scalar is not None:
            return scalar
        if type(value) in _LISTS:
            return _list(value)
    except Exception as error:  # a time zone, the name of an enum's member: code of the user's after all
        report("read the value of a param", error, level=10)
    return describe(value)


def _scalar(value: Any) -> str | bool | int | float | None:
    """The attribute value of a scalar; None when ``value`` is none."""
    if value is None:
        return "None"
    if value is True or value is False:
        return value
    kind = type(value)
    if issubclass(kind, str) and not issubclass(kind, enum.Enum):
        return text(value)
    if issubclass(kind, enum.Enum):
        return text(f"{_name(kind)}.{_member(value)}")
    if issubclass(kind, int):
        number = int.__add__(value, 0)
        return number if -(2**63) <= number < 2**63 else _big(number)
    if issubclass(kind, float):
        return float.__add__(value, 0.0)
    if kind in _PLAIN_TEXT_TYPES:
        return text(str(value))
    if kind in _FUNCTIONS:
        return text(f"{value.__module__}.{value.__qualname__}")
    if issubclass(kind, type):
        return text(f"{_module(value)}.{_name(value)}")
    numpy = sys.modules.get("numpy")  # where it was never loaded, no value is of its types
    return None if numpy is None else _numpy_scalar(value, kind, numpy)


def _numpy_scalar(value: Any, kind: type, numpy: Any) -> str | bool | int | float | None:
    if kind is numpy.ndarray and value.ndim == 0:
        return _scalar(value[()])
    if not issubclass(kind, numpy.generic):
        return None
    if issubclass(kind, numpy.bool_ | numpy.integer) and not issubclass(kind, numpy.timedelta64):
        return _scalar(value.item())
    if issubclass(kind, numpy.floating):
        return float(value)  # item() of a long double is a long double again
    if issubclass(kind, numpy.datetime64 | numpy.timedelta64 | numpy.complexfloating):
        return text(str(value))  # item() of times in nanoseconds is a bare int
    return None


def _member(member: enum.Enum) -> str:
    name = member._name_
    if type(name) is str:
        return name
    value = member._value_  # several flags at once have no name
    return str(value) if type(value) in (int, str) else "unnamed"


def _big(number: int) -> str:
    digits = number.bit_length()
    return str(number) if digits <= 1024 else f"<int of {digits} bits>"  # str() of a huge int is slow, or refused


def _list(value: Iterable[Any]) -> AttributeValue:
    size = len(value)  # type: ignore[arg-type]  # exact built-in types only
    if size > MAX_ITEMS:
        return describe(value)
    plain = [attribute(item) if type(item) not in _LISTS else describe(item) for item in value]
    kinds = {type(item) for item in plain}
    if kinds == {int, float}:
        return [float(cast("float", item)) for item in plain]
    words = plain if len(kinds) <= 1 else [item if isinstance(item, str) else str(item) for item in plain]
    # sets have no order, so one is made: the same params look the same in every process
    return cast("AttributeValue", sorted(words) if type(value) in (set, frozenset) else words)


def describe(value: Any) -> str:
    """What kind of thing ``value`` is: ``<pandas.DataFrame>``, ``<dict of 12>``."""
    kind = type(value)
    return text(f"<{qualified(kind)} of {len(value)}>" if kind in _SIZED else f"<{qualified(kind)}>")


def qualified(kind: type) -> str:
    """Qualified name of a class, bare for built-ins, as ``error.type`` wants it."""
    module = _module(kind)
    return _name(kind) if module in ("builtins", "") else f"{module}.{_name(kind)}"


def _name(kind: type) -> str:
    name: str = type.__getattribute__(kind, "__qualname__")  # past a metaclass, which is the user's
    return name


def _module(kind: type) -> str:
    module = type.__getattribute__(kind, "__module__")
    return module if type(module) is str else ""


def key(raw: object) -> str:
    """``raw`` as the last part of an attribute key: letters, digits, ``_``, ``-`` and ``.``, at most 128 long."""
    shown = word(raw)
    if _settings.current.redact is not None:
        shown = _redacted(shown)[:128]
    return shown if shown.isidentifier() and shown.isascii() else _KEY_NOISE.sub("_", shown).strip(".") or "_"


def params(template: str, values: Mapping[str, Any], limit: int = MAX_PARAMS) -> dict[str, AttributeValue]:
    """Attributes ``<template>.<key>`` of ``values``, with nested dicts and dataclasses flattened by one level."""
    found: dict[str, AttributeValue] = {}
    for name, value in values.items():
        for full_name, item in flattened(word(name), value):
            if len(found) >= limit:
                say_full(limit)
                return found
            attribute_name = key(full_name)
            found[f"{template}.{attribute_name}"] = REDACTED if is_secret(full_name, item) else attribute(item)
    return found


def say_full(limit: int) -> None:
    """Say once that there were too many params."""
    report(f"keep more than {limit} params of one span", ValueError("the rest is left out"))


def flattened(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    """``value`` under ``name``, or its parts when it is a dict, a dataclass or a named tuple."""
    kind = type(value)
    if kind in SCALARS:
        return ((name, value),)
    if kind in _DICTS:
        if 0 < len(value) <= MAX_PARAMS:  # a larger one is data, and would leave no room for other params
            return [(f"{name}.{word(inner)}", item) for inner, item in value.items()]
        return [(name, value)]
    found = [(f"{name}.{field}", _stored(value, kind, field)) for field in fields_of(kind)]
    return [(full_name, item) for full_name, item in found if item is not _ABSENT] or [(name, value)]


def word(raw: object) -> str:
    """A name or a key of the user's as a plain string, at most 128 long."""
    if issubclass(type(raw), str):
        return str.__getitem__(cast("str", raw), slice(0, 128))
    scalar = attribute(raw)
    return (scalar if isinstance(scalar, str) else str(scalar))[:128]


_ABSENT = object()


def fields_of(kind: type) -> tuple[str, ...]:
    """Names of the fields of a dataclass or a named tuple."""
    for ancestor in type.__getattribute__(kind, "__mro__"):
        own = type.__getattribute__(ancestor, "__dict__")
        names = own.get("__dataclass_fields__", own.get("_fields") if issubclass(kind, tuple) else None)
        if type(names) in (dict, tuple):
            return tuple(name for name in names if type(name) is str)
    return ()


def _stored(value: Any, kind: type, field: str) -> Any:
    """What lies in a field. A property, or ``__getattr__``, would be code of the user's."""
    if issubclass(kind, tuple):
        names = fields_of(kind)
        return tuple.__getitem__(value, names.index(field)) if len(names) == tuple.__len__(value) else _ABSENT
    for ancestor in type.__getattribute__(kind, "__mro__"):
        own = type.__getattribute__(ancestor, "__dict__")
        slot = own.get("__dict__")
        if type(slot) is types.GetSetDescriptorType:
            state = slot.__get__(value)
            if type(state) is dict and field in state:
                return state[field]
        slot = own.get(field)
        if type(slot) is types.MemberDescriptorType:
            try:
                return slot.__get__(value)
            except AttributeError:  # never set
                return _ABSENT
    return _ABSENT
