"""From values of any type to attribute values: bounded, clean, without secrets, and never an error.

The rules: numbers and words pass; numpy scalars become plain ones; integers beyond 64 bits become strings; strings are
cut at 2,048 characters with a mark and lose lone surrogates, credentials and whatever ``redact=`` takes out; short lists
of scalars stay lists; everything else is described by its type. Nothing here calls ``repr``, ``len``, ``bool`` or ``==``
of a user's object.
"""

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, cast

from mlotel import _settings
from mlotel._guard import report
from mlotel.types import AttributeValue

MAX_TEXT = 2048
MAX_ITEMS = 128
MAX_PARAMS = 64  # the SDK keeps 128 attributes a span and evicts the oldest: params must never push out ml.run.id
REDACTED = "[redacted]"

_PLAIN_TEXT_TYPES = (
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
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)

_USERINFO = re.compile(r"(?<=://)[^\s/?#@]*@")
_SECRET_QUERY = re.compile(
    r"(?i)([?&](?:[\w-]*(?:token|secret|password|signature|credential|api-?key|api_key)[\w-]*|sig|key|auth)=)[^&\s#]+"
)
_SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "secrets", "credential", "credentials", "authorization"}
    | {"cookie", "cookies", "apikey", "dsn", "bearer"}
)
_SECRET_TEXT_WORDS = frozenset({"token", "auth", "jwt"})  # as numbers these are sizes and switches: max_token=512
_SECRET_PAIRS = frozenset(
    {("api", "key"), ("access", "key"), ("private", "key"), ("account", "key"), ("signing", "key"), ("ssh", "key")}
    | {("encryption", "key"), ("connection", "string"), ("conn", "str")}
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_KEY_NOISE = re.compile(r"[^A-Za-z0-9_.\-]+")


def text(value: str, limit: int = MAX_TEXT) -> str:
    """``value`` as it may leave the process: redacted, without lone surrogates and credentials, at most ``limit`` long."""
    size = str.__len__(value)
    # A margin beyond the cut, so that a secret is recognised although the cut goes through it.
    shown = str.__getitem__(value, slice(0, 2 * limit)) if size > 2 * limit else str.__str__(value)
    if not shown.isascii():
        shown = shown.encode("utf-8", "replace").decode("utf-8")
    if "://" in shown:
        shown = _SECRET_QUERY.sub(rf"\g<1>{REDACTED}", _USERINFO.sub("", shown))
    redact = _settings.current.redact
    if redact is not None:
        shown = _redacted(redact, shown)
    if size > 2 * limit or len(shown) > limit:
        mark = f"… [cut, {size} characters]"
        shown = shown[: max(0, limit - len(mark))] + mark
    return shown


def _redacted(redact: Any, shown: str) -> str:
    try:
        result = redact(shown)
    except Exception as error:
        report("apply redact=", error)
        return REDACTED
    if not isinstance(result, str):
        report("apply redact=", TypeError(f"it returned {type(result).__qualname__}, not a str"))
        return REDACTED
    return result.encode("utf-8", "replace").decode("utf-8")


def declared(values: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """``values``, cleaned when something was declared, as they may leave now: ``redact=`` may have come since."""
    if _settings.current.redact is None:
        return values
    return {
        name: text(value)
        if isinstance(value, str)
        else [text(item) if isinstance(item, str) else item for item in value]  # type: ignore[misc]  # a flat list
        if isinstance(value, list)
        else value
        for name, value in values.items()
    }


def uri(value: str) -> str:
    """``value`` without user information, query and fragment: where something is, not who may read it."""
    if "://" in value[: 2 * MAX_TEXT]:
        value = re.split(r"[?#]", value[: 2 * MAX_TEXT], maxsplit=1)[0]
    return text(value)


def attribute(value: Any) -> AttributeValue:
    """``value`` as an attribute value; see the rules at the top of this module."""
    scalar = _scalar(value)
    if scalar is not None:
        return scalar
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return _list(value)
    return describe(value)


def _scalar(value: Any) -> str | bool | int | float | None:
    """The attribute value of a scalar; None when ``value`` is none."""
    if value is None:
        return "None"
    if value is True or value is False:
        return cast("bool", value)
    if isinstance(value, enum.Enum):
        return text(f"{type(value).__qualname__}.{value.name}")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        number = int.__add__(value, 0)
        return number if -(2**63) <= number < 2**63 else _big(number)
    if isinstance(value, float):
        return float.__add__(value, 0.0)
    kind = type(value)
    if kind in _PLAIN_TEXT_TYPES:
        return text(str(value))
    if kind.__module__ == "numpy" and hasattr(kind, "item") and getattr(value, "ndim", None) == 0:
        plain = value.item()
        # datetime64 in nanoseconds comes out as a bare int: its own text says more
        return (
            text(str(value))
            if kind.__name__.endswith("64") and kind.__name__[:4] in ("date", "time")
            else _scalar(plain)
        )
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return text(f"{value.__module__}.{value.__qualname__}")
    return None


def _big(number: int) -> str:
    digits = number.bit_length()
    return str(number) if digits <= 1024 else f"<int of {digits} bits>"  # str() of a huge int is slow, or refused


def _list(value: Iterable[Any]) -> AttributeValue:
    size = len(value)  # type: ignore[arg-type]  # exact built-in types only
    if size > MAX_ITEMS:
        return f"<{type(value).__qualname__} of {size}>"
    items = [_scalar(item) for item in value]
    plain = [describe(raw) if item is None else item for raw, item in zip(value, items, strict=True)]
    kinds = {type(item) for item in plain}
    if len(kinds) <= 1:
        return cast("AttributeValue", plain)
    if kinds == {int, float}:
        return [float(cast("float", item)) for item in plain]
    return [item if isinstance(item, str) else str(item) for item in plain]


def describe(value: Any) -> str:
    """What kind of thing ``value`` is: ``<pandas.DataFrame>``, ``<dict of 12>``."""
    kind = type(value)
    if kind in (dict, list, tuple, set, frozenset, bytes, bytearray):
        return f"<{kind.__qualname__} of {len(value)}>"
    return text(f"<{qualified(kind)}>")


def qualified(kind: type) -> str:
    """Qualified name of a class, bare for built-ins, as ``error.type`` wants it."""
    module = getattr(kind, "__module__", None)
    name = getattr(kind, "__qualname__", None)
    if not isinstance(name, str):
        return "unknown"
    return name if module == "builtins" or not isinstance(module, str) else f"{module}.{name}"


def is_scalar(value: Any) -> bool:
    """Whether ``value`` is recorded as a single attribute value rather than described."""
    return value is None or isinstance(value, str | int | float | enum.Enum) or _scalar(value) is not None


def key(raw: object) -> str:
    """``raw`` as the last part of an attribute key: letters, digits, ``_``, ``-`` and ``.``, at most 128 long."""
    if not isinstance(raw, str):
        raw = str(raw) if isinstance(raw, int | float) else describe(raw)
    return _KEY_NOISE.sub("_", raw[:128]).strip(".") or "_"


def params(template: str, values: Mapping[str, Any], limit: int = MAX_PARAMS) -> dict[str, AttributeValue]:
    """Attributes ``<template>.<key>`` of ``values``, with nested dicts and dataclasses flattened by one level."""
    found: dict[str, AttributeValue] = {}
    for name, value in values.items():
        for full_name, item in _flattened(key(name), value):
            if len(found) >= limit:
                report(f"keep more than {limit} params", ValueError("the rest is left out"))
                return found
            found[f"{template}.{full_name}"] = REDACTED if _is_secret(full_name, item) else attribute(item)
    return found


def _flattened(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    if type(value) is dict and value:
        return [(f"{name}.{key(inner)}", item) for inner, item in list(value.items())[: MAX_PARAMS + 1]]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # only what lies in the instance: a property or a descriptor could run code of the user's
        state = getattr(value, "__dict__", {})
        fields = [field.name for field in dataclasses.fields(value) if field.name in state]
        if fields:
            return [(f"{name}.{field}", state[field]) for field in fields]
    return [(name, value)]


def _is_secret(name: str, value: Any) -> bool:
    if value is None:
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    if not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(zip(words, words[1:], strict=False)):
        return True
    return not isinstance(value, bool | int | float) and not _SECRET_TEXT_WORDS.isdisjoint(words)
