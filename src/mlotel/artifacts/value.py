"""Plain values, and dicts, lists, tuples and sets of anything that has an identity.

Each token starts with a letter for its type, then its length where that varies. What has a kind of its own (arrays,
frames, files) takes part by its id.
"""

import collections
import datetime
import decimal
import enum
import struct
import sys
from collections.abc import Callable
from typing import Any

from mlotel.artifacts import _dispatch
from mlotel.artifacts._base import SAMPLE, Changed, Hasher, Unidentifiable
from mlotel.artifacts._look import origin
from mlotel.types import Identity

_DAY_US = 86_400_000_000
_NAN = struct.pack("<d", float("nan"))
_SAMPLE_VALUES = 100 * SAMPLE  # of a nested value in all
_DICTS = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
_PANDAS = frozenset({"Timestamp", "Timedelta", "NaTType", "NAType", "Period", "Interval"})


def matches(value: Any) -> bool:
    """Whether this is a plain value or a collection; subclasses that may carry more are not."""
    return is_plain(type(value))


def is_plain(kind: type) -> bool:
    """Whether values of this very type are described here."""
    if kind in _SCALARS or kind in _COLLECTIONS:
        return True
    root, name = origin(kind)
    if root == "numpy":
        return issubclass(kind, sys.modules["numpy"].generic)
    return (root == "pandas" and name in _PANDAS) or _is_enum(kind) or _is_named_tuple(kind)


def is_collection(kind: type) -> bool:
    """Whether values of this very type hold others."""
    return kind in _COLLECTIONS or _is_named_tuple(kind)


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of a plain value; strings say their size in bytes."""
    hasher.text("value")
    _Writer(hasher.token, hasher).write(value)
    return hasher.identity(size=len(value.encode("utf-8", "surrogatepass")) if type(value) is str else None)


def encode(value: Any, hasher: Hasher) -> bytes:
    """The tokens of one value, for kinds that hold plain values such as labels.

    Args:
        value: A plain value.
        hasher: Of the whole; collections and nested kinds use children of it.
    """
    known = _SCALARS.get(type(value))
    if known is not None:
        return known(value)
    tokens: list[bytes] = []
    _Writer(tokens.append, hasher).write(value)
    return b"".join(tokens)


def writer(hasher: Hasher) -> Callable[[Any], None]:
    """A function that adds the tokens of one value after another."""
    return _Writer(hasher.token, hasher).write


class _Writer:
    """Walks through a value.

    Args:
        token: Takes each token.
        hasher: Makes children, keeps the time, says whether to sample.
    """

    __slots__ = ("_hasher", "_left", "_path", "_token")

    def __init__(self, token: Callable[[bytes], object], hasher: Hasher) -> None:
        self._token = token
        self._hasher = hasher
        self._path = hasher.open  # address of each open collection, and its depth
        self._left = _SAMPLE_VALUES if hasher.sampling else -1

    def write(self, value: Any) -> None:
        if self._left >= 0:
            if self._left == 0:
                self._token(b"~")
                return
            self._left -= 1
        kind = type(value)
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            self._token(scalar(value))
            return
        collection = _COLLECTIONS.get(kind)
        if collection is None and _is_named_tuple(kind):
            collection = _Writer._named_tuple
        if collection is None:
            self._other(value, kind)
            return
        address = id(value)
        if address in self._path:  # a collection that holds itself: say how far up it is
            self._token(b"R" + _count(len(self._path) - self._path[address]))
            return
        self._path[address] = len(self._path)
        try:
            collection(self, value)
        finally:
            del self._path[address]

    def _list(self, value: list[Any] | tuple[Any, ...]) -> None:
        self._sequence(b"l", value)

    def _tuple(self, value: tuple[Any, ...]) -> None:
        self._sequence(b"t", value)

    def _named_tuple(self, value: tuple[Any, ...]) -> None:
        kind: Any = type(value)
        self._token(b"u" + _text(kind.__name__) + _count(len(kind._fields)))
        for field in kind._fields:
            self._token(_text(field))
        self._sequence(b"t", value)

    def _sequence(self, letter: bytes, value: list[Any] | tuple[Any, ...]) -> None:
        count = tuple.__len__(value) if isinstance(value, tuple) else list.__len__(value)
        self._token(letter + _count(count))
        members = iter(value) if not self._hasher.sampling else iter(value[:: self._hasher.stride(count)])
        for member in members:
            self.write(member)
        if len(value) != count:
            raise Changed("a list that changed while it was read")

    def _set(self, value: set[Any] | frozenset[Any]) -> None:
        self._token(b"S" + _count(len(value)))
        if self._hasher.stride(len(value)) == 1:
            for member in sorted(map(self._alone, value)):
                self._token(member)

    def _dict(self, value: dict[Any, Any]) -> None:
        count = dict.__len__(value)
        if all(type(key) is str for key in dict.keys(value)):
            self._token(b"D" + _count(count))
            for key in sorted(dict.keys(value))[:: self._hasher.stride(count)]:
                self._token(_str(key))
                self.write(dict.__getitem__(value, key))
        else:
            self._token(b"E" + _count(count))
            if self._hasher.stride(count) == 1:
                # keys can be alike to us and not to the dict, as two NaNs: then the values decide
                for pair in sorted(self._alone(key) + self._alone(member) for key, member in dict.items(value)):
                    self._token(pair)
        if dict.__len__(value) != count:
            raise Changed("a dict that changed while it was read")

    def _alone(self, value: Any) -> bytes:
        """One member of a collection without an order, by itself so that it can be sorted: token or digest."""
        scalar = _SCALARS.get(type(value))
        if scalar is not None:
            return scalar(value)
        token = self._token
        child = self._hasher.child()
        self._token = child.token
        try:
            self.write(value)
        finally:
            self._token = token
        return b"#" + child.digest()

    def _other(self, value: Any, kind: Any) -> None:
        root, name = origin(kind)
        if root == "numpy" and issubclass(kind, sys.modules["numpy"].generic):
            self._numpy(value, name)
        elif root == "pandas" and name in _PANDAS:
            self._pandas(value, name)
        elif _is_enum(kind):
            self._token(b"e" + _text(f"{kind.__module__}.{kind.__qualname__}"))
            # combined flags have a name in some versions of Python
            self.write(value._name_ if value._name_ in kind._member_map_ else None)
            self.write(value._value_)
        else:
            described = _dispatch.kind_for(value)
            if described is None:
                raise Unidentifiable(f"a value of type {kind.__qualname__}")
            address = ~id(value)  # the kind may note the address itself, when it walks through the value
            if address in self._path:  # an array of objects that is an element of itself
                self._token(b"R" + _count(len(self._path) - self._path[address]))
                return
            self._path[address] = len(self._path)
            try:
                self._nested(described.identify(value, self._hasher.child()), kind)
            finally:
                del self._path[address]

    def _nested(self, identity: Identity, kind: type) -> None:
        if identity.scope == "none" or (identity.scope != "full" and not self._hasher.sampling):
            raise Unidentifiable(f"a value of type {kind.__qualname__}")
        self._token(b"k" + _text(identity.id))

    def _numpy(self, value: Any, name: str) -> None:
        plain = _NUMPY.get(name)
        if plain is not None:
            self._token(_SCALARS[plain](plain(value)))
            return
        from mlotel.artifacts import array  # numpy is loaded: the value is numpy's

        self._nested(array.identify(sys.modules["numpy"].asarray(value), self._hasher.child()), type(value))

    def _pandas(self, value: Any, name: str) -> None:
        if name == "NaTType":
            self._token(b"PT")
        elif name == "NAType":
            self._token(b"PA")
        elif name == "Timestamp":
            self._token(_datetime(value))
        elif name == "Timedelta":
            self._token(_timedelta(value))
        elif name == "Period":
            self._token(b"PP" + _text(value.freqstr) + _int(value.ordinal))
        else:
            self._token(b"PI" + _text(value.closed))
            self.write(value.left)
            self.write(value.right)


def _is_enum(kind: type) -> bool:
    return any(ancestor is enum.Enum for ancestor in type.__getattribute__(kind, "__mro__"))


def _is_named_tuple(kind: type) -> bool:
    bases = type.__getattribute__(kind, "__bases__")
    return bases == (tuple,) and "_fields" in kind.__dict__ and "_make" in kind.__dict__


_COUNTS = [number.to_bytes(8, "little") for number in range(256)]


def _count(number: int) -> bytes:
    return _COUNTS[number] if number < 256 else number.to_bytes(8, "little")


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return _count(len(data)) + data


def _str(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"s" + _count(len(data)) + data


def _bytes(value: bytes | bytearray) -> bytes:
    return b"b" + _count(len(value)) + value


def _int(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"i" + _count(len(data)) + data


_pack = struct.Struct("<d").pack


def _double(value: float) -> bytes:
    return _NAN if value != value else _pack(value)


def _float(value: float) -> bytes:
    return b"f" + (_pack(value) if value == value else _NAN)


def _decimal(value: decimal.Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):  # n, N or F: signalling NaN, NaN, infinity
        return b"d" + _text("nan" if exponent in "nN" else f"{sign}{exponent}")
    figures = "".join(map(str, digits)).lstrip("0")
    bare = figures.rstrip("0")  # 1.10 is 1.1, and rounding has no part in it
    return b"d" + _text(f"{sign}:{bare}:{exponent + len(figures) - len(bare) if bare else 0}")


def _zone(value: datetime.datetime | datetime.time) -> bytes:
    offset = value.utcoffset()
    if value.tzinfo is None:
        return b"0"
    # a time of day in a zone with summer time has no offset
    shift = b"?" if offset is None else _int(offset // datetime.timedelta(microseconds=1))
    return b"1" + _text(time_zone(value.tzinfo) or "") + shift


def time_zone(zone: datetime.tzinfo) -> str | None:
    """Name of a time zone; None for fixed offsets and for classes that do not tell."""
    root = origin(type(zone))[0]
    if root == "datetime":
        return "UTC" if zone == datetime.timezone.utc else None
    name = {"zoneinfo": "key", "pytz": "zone"}.get(root)
    key = getattr(zone, name) if name is not None else None
    if root == "dateutil":
        return "UTC" if type(zone).__name__ == "tzutc" else None
    return key if isinstance(key, str) else None


def _datetime(value: datetime.datetime) -> bytes:
    of_day = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    nanoseconds = of_day * 1000 + getattr(value, "nanosecond", 0)  # pandas has them
    return b"M" + _count(value.toordinal()) + _count(nanoseconds) + _zone(value)


def _time(value: datetime.time) -> bytes:
    of_day = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    return b"H" + _count(of_day) + _zone(value)


def _timedelta(value: datetime.timedelta) -> bytes:
    microseconds = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
    return b"L" + _int(microseconds * 1000 + getattr(value, "nanoseconds", 0))


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): {None: b"N"}.__getitem__,
    bool: {True: b"T", False: b"F"}.__getitem__,
    int: _int,
    float: _float,
    complex: lambda value: b"c" + _double(value.real) + _double(value.imag),
    str: _str,
    bytes: _bytes,
    bytearray: _bytes,
    datetime.date: lambda value: b"Y" + _count(value.toordinal()),
    datetime.datetime: _datetime,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    decimal.Decimal: _decimal,
}
_COLLECTIONS: dict[type, Callable[[_Writer, Any], None]] = {
    list: _Writer._list,
    tuple: _Writer._tuple,
    set: _Writer._set,
    frozenset: _Writer._set,
    **dict.fromkeys(_DICTS, _Writer._dict),
}
_NUMPY: dict[str, type] = {
    "bool": bool,
    "bool_": bool,
    "int64": int,
    "float64": float,
    "complex128": complex,
    "str_": str,
    "bytes_": bytes,
}
