"""Objects by their state: class, attributes and everything that hangs on them, as far as every piece is known.

Models are graphs of Python objects with arrays at the ends. Each object is described by the name of its class and by
its attributes in the order of their names; nothing is pickled, and no method of the user's runs. A piece that hides
its state (an extension type of an unknown library, a handle, a lambda) makes the whole unidentifiable.
"""

import enum
import functools
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mlotel.artifacts import _code, _dispatch, array
from mlotel.artifacts import value as plain
from mlotel.artifacts._base import CHUNK, SAMPLE, Hasher, Unidentifiable
from mlotel.artifacts._layout import SMALL, array_head, is_as_described, is_clean, padding_of, shape_token, small_array
from mlotel.artifacts._look import ancestry, origin
from mlotel.artifacts._numbers import Array, blocks, canonical, feed
from mlotel.artifacts._rules import DROPPED, Rule, rule_for

_SAMPLE_PIECES = 100 * SAMPLE
_SAMPLE_BYTES = 1 << 12  # of a small array that a sample takes whole
_PARTS = 64  # tokens that are handed to the hasher together
_PLANS = 64  # sets of attributes that are remembered of a class


class _Integers(dict[int, bytes]):
    """Tokens of integers."""

    def __missing__(self, value: int) -> bytes:
        return plain._SCALARS[int](value)


_int = _Integers({number: plain._SCALARS[int](number) for number in range(-2, 1024)}).__getitem__
_float = plain._SCALARS[float]
_count, _text = plain._count, plain._text

# the tokens of plain values, a call less for each
_SCALARS: dict[type, Callable[[Any], bytes]] = {**plain._SCALARS, int: _int}
_NUMBERS: dict[type, Callable[[Any], bytes]] = {
    **_SCALARS,
    np.float64: lambda value: _float(float(value)),
    np.int64: lambda value: _int(int(value)),
}
"""Those, and what is described like them where it stands by itself; in sets and as a key it is not."""

_NOTHING: frozenset[str] = frozenset()
_TEXTS = frozenset({str})
_STATEFUL = frozenset({"sklearn", "scipy", "numpy"})  # their extension types hand out all they hold when reduced

Describe: TypeAlias = Callable[["Walk", Any], None]


class _Plain:
    """An ordinary class: objects of classes laid out like it hold nothing but their attributes."""


def identify_object(value: Any, hasher: Hasher) -> None:
    """Describe an object to the hasher.

    Raises:
        Unidentifiable: If a piece of it cannot be described.
    """
    with np.errstate(invalid="ignore"):  # looking for NaN would warn of signalling ones
        walk = Walk(hasher)
        walk.write(value)
        walk.flush()


class Walk:
    """One walk through an object.

    Tokens are collected and handed to the hasher a few dozen at a time: that costs less than to make most of them.

    Args:
        hasher: Takes the tokens, keeps the time, says whether to sample.
        known: How values of each type are described, as far as another walk through the same object has found out.
    """

    __slots__ = ("_hasher", "_known", "_left", "_open", "_parts", "_small", "_token", "_training")

    def __init__(self, hasher: Hasher, known: "dict[type, Describe] | None" = None) -> None:
        self._hasher = hasher
        self._parts: list[bytes] = []
        self._token = self._parts.append
        self._open = hasher.open
        self._left = _SAMPLE_PIECES if hasher.sampling else -1
        self._small = _small_in_sample if hasher.sampling else small_array
        self._known = _DESCRIBE.copy() if known is None else known
        self._training = 0  # open objects whose generators, and those below them, do not count

    def write(self, value: Any) -> None:
        """Describe any value."""
        kind = type(value)
        number = _NUMBERS.get(kind)
        if number is not None:
            self._token(number(value))
        else:
            (self._known.get(kind) or self._learn(kind, value))(self, value)

    def flush(self) -> None:
        """Hand the tokens so far to the hasher."""
        self._hasher.token(b"".join(self._parts))
        self._parts.clear()

    def _learn(self, kind: type, value: Any) -> "Describe":
        """How values of a type are described, kept for the time of the walk: no class of a user lives longer by it."""
        found = self._known[kind] = _described_by(kind, value)
        return found

    def _enough(self) -> bool:
        """Whether a sample is complete."""
        if self._left > 0:
            self._left -= 1
        return self._left == 0

    def enter(self, value: Any) -> bool:
        """Note that a value is being described; False, and a token, if it is so already: it holds itself."""
        address = id(value)
        depth = self._open.get(address)
        if depth is not None:
            self._token(b"R" + _count(len(self._open) - depth))
            return False
        self._open[address] = len(self._open)
        return True

    def leave(self, value: Any) -> None:
        """The value is described."""
        del self._open[id(value)]

    def _members(
        self,
        names: Iterable[tuple[str, bytes]],
        state: Mapping[str, Any],
        ordered: frozenset[str],
        dropped: bytes = b"",
    ) -> None:
        """Describe attributes, or what hangs on keys. Tools such as loggers are as if they were not there.

        Args:
            names: Names, and their tokens.
            state: The values.
            ordered: Names of dicts whose order counts.
            dropped: What is said of a value that does not count; empty for nothing, not even the name.
        """
        known, small, add = self._known, self._small, self._token
        for name, token in names:
            value = state[name]
            kind = type(value)
            number = _NUMBERS.get(kind)
            if number is not None:
                add(token)
                add(number(value))
                continue
            if kind is np.ndarray:
                add(token)
                data = small(value)
                if data is not None:
                    add(data)
                else:
                    self._large(value)
                continue
            describe = known.get(kind) or self._learn(kind, value)
            if describe is _dropped:
                if dropped:
                    add(token + dropped)
                continue
            add(token)
            if name in ordered:
                self._pairs(value)
            else:
                describe(self, value)
        if len(self._parts) > _PARTS:
            self.flush()

    def _pairs(self, value: Mapping[str, Any]) -> None:
        self._token(b"O" + _count(len(value)))
        for name, part in value.items():
            self._token(_name(name))
            self.write(part)

    def array(self, values: Array) -> None:
        """Describe an array like ``mlotel.artifacts.array`` does, with fewer calls."""
        data = None if self._hasher.sampling else small_array(values)
        if data is not None:
            self._token(data)
        else:
            self._large(values)

    def _large(self, values: Array) -> None:
        """Describe an array that is not small, or does not lie in memory as it is described."""
        dtype = values.dtype
        if SMALL < values.nbytes <= CHUNK and not self._hasher.sampling and is_as_described(values):
            self._token(array_head(dtype) + shape_token(values.shape))
            self.flush()
            self._hasher.raw(values)
            return
        if dtype.names is not None:
            self._records(values)
            return
        if dtype.kind not in "biufcmMO":
            self.nested(values, array)
            return
        self._token(array_head(dtype) + shape_token(values.shape))
        if self._hasher.sampling:
            values = array._sample(values, self._hasher)
        if dtype.kind != "O":
            self.flush()
            for block in blocks(values):
                feed(self._hasher, canonical(block))
        elif self.enter(values):
            for element in values.ravel().tolist():
                self.write(element)
                if len(self._parts) > _PARTS:
                    self.flush()
            self.leave(values)

    def _records(self, values: Array) -> None:
        """Structured arrays as they lie in memory, with zeros between the fields: the nodes of trees."""
        dtype = values.dtype
        padding = padding_of(dtype)
        if padding is None or values.size == 0 or self._hasher.sampling:
            self.nested(values, array)
            return
        values = np.ascontiguousarray(values)
        self._token(b"A" + array_head(dtype) + shape_token(values.shape))
        self.flush()
        step = max(1, CHUNK // dtype.itemsize)
        flat = values.reshape(-1)
        for start in range(0, len(flat), step):
            data = flat[start : start + step].view(np.uint8)
            if padding and not is_clean(data, padding, dtype.itemsize):
                data = data.reshape(-1, dtype.itemsize).copy()
                for first, last in padding:
                    data[:, first:last] = 0
            self._hasher.raw(data)

    def nested(self, value: Any, kind: Any) -> None:
        """Describe a value of another kind by its id."""
        identity = kind.identify(value, self._hasher.child())
        if identity.scope == "none" or (identity.scope != "full" and not self._hasher.sampling):
            raise Unidentifiable(f"a value of type {type(value).__qualname__}")
        self._token(b"k" + _text(identity.id))


class _Plan(NamedTuple):
    """How the attributes of an object are described.

    Attributes:
        names: Those that count, in order, with their tokens.
        ordered: Those that hold dicts whose order counts.
        keeps_training: Whether there is a generator of training among them.
    """

    names: tuple[tuple[str, bytes], ...]
    ordered: frozenset[str]
    keeps_training: bool


def _plan(names: Iterable[str], rule: Rule) -> _Plan:
    """How attributes of these names are described by a rule."""
    counted = sorted(name for name in names if name not in rule.skipped)
    return _Plan(tuple((name, _name(name)) for name in counted), rule.ordered, not rule.generators.isdisjoint(names))


def _small_in_sample(values: Array) -> bytes | None:
    """What a sample takes of small arrays that are attributes."""
    return None if values.nbytes > _SAMPLE_BYTES or values.dtype.names is not None else small_array(values)


@functools.lru_cache(maxsize=4096)
def _name(name: str) -> bytes:
    return b"s" + _text(name)


def _sequence(letter: bytes) -> Describe:
    def describe(walk: Walk, value: Any) -> None:
        address, opened = id(value), walk._open
        if address in opened:
            walk.enter(value)
            return
        opened[address] = len(opened)
        token, parts, known = walk._token, walk._parts, walk._known
        token(letter + _count(len(value)))
        for member in value:
            if walk._left >= 0 and walk._enough():
                token(b"~")
                break
            kind = type(member)
            number = _NUMBERS.get(kind)
            if number is not None:
                token(number(member))
            else:
                (known.get(kind) or walk._learn(kind, member))(walk, member)
            if len(parts) > _PARTS:
                walk.flush()
        del opened[address]

    return describe


def _dict(walk: Walk, value: dict[Any, Any]) -> None:
    if not walk.enter(value):
        return
    if _TEXTS.issuperset(map(type, dict.keys(value))):
        walk._token(b"D" + _count(len(value)))
        names = sorted(dict.keys(value))[: SAMPLE if walk._left >= 0 else None]
        for start in range(0, len(names), _PARTS):
            some = names[start : start + _PARTS]
            walk._members(zip(some, map(_name, some), strict=True), value, _NOTHING, b"-")
    else:
        # keys are plain values nearly always; what they say by themselves is their order
        pairs = sorted(
            ((_alone(walk, key), position) for position, key in enumerate(dict.keys(value))), key=lambda pair: pair[0]
        )
        members = list(dict.values(value))
        walk._token(b"E" + _count(len(value)))
        for key, position in pairs:
            if walk._enough():
                walk._token(b"~")
                break
            walk._token(key)
            walk.write(members[position])
            if len(walk._parts) > _PARTS:
                walk.flush()
    walk.leave(value)


def _set(walk: Walk, value: set[Any]) -> None:
    walk._token(b"S" + _count(len(value)) + b"".join(sorted(_alone(walk, member) for member in value)))


def _alone(walk: Walk, value: Any) -> bytes:
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    child = walk._hasher.child()
    other = Walk(child, walk._known)
    other.write(value)
    other.flush()
    return b"#" + child.digest()


def _generator(walk: Walk, value: Any) -> None:
    """A ``RandomState`` by its state; one of training is only said to be there."""
    if walk._training:
        walk._token(b"g")
        return
    walk._token(b"G" + _text(type(value).__name__))
    if isinstance(value, np.random.RandomState):
        walk.write(value.get_state(legacy=False))
        return
    bits = value.bit_generator if isinstance(value, np.random.Generator) else value
    seed = bits.seed_seq if hasattr(bits, "seed_seq") else None  # numpy 1.25 has it: what spawn() would give
    walk.write(bits.state)
    walk.write(seed.state if isinstance(seed, np.random.SeedSequence) else None)


def _slice(walk: Walk, value: slice) -> None:
    walk._token(b"z")
    for part in (value.start, value.stop, value.step):
        walk.write(part)


def _range(walk: Walk, value: range) -> None:
    walk._token(b"Z")
    for part in (value.start, value.stop, value.step):
        walk.write(part)


def _function(walk: Walk, value: Any) -> None:
    walk._token(b"n" + _text(_code.function_name(value)))


def _class(walk: Walk, value: Any) -> None:
    walk._token(b"C" + _text(_code.class_name(value)))


def _module(walk: Walk, value: ModuleType) -> None:
    if sys.modules.get(value.__name__) is not value:
        raise Unidentifiable("a module that cannot be imported by its name")
    walk._token(b"n" + _text(value.__name__))


def _method(walk: Walk, value: Any) -> None:
    """A bound method: its object and the function's name."""
    if type(value) is BuiltinFunctionType and (value.__self__ is None or isinstance(value.__self__, ModuleType)):
        _function(walk, value)
        return
    walk._token(b"m" + _text(value.__name__))
    walk.write(value.__self__)


def _partial(walk: Walk, value: "functools.partial[Any]") -> None:
    walk._token(b"p")
    for part in (value.func, value.args, value.keywords):
        walk.write(part)


def _pattern(walk: Walk, value: "re.Pattern[Any]") -> None:
    walk._token(b"w")
    walk.write(value.pattern)
    walk.write(value.flags)


def _ellipsis(walk: Walk, value: Any) -> None:
    walk._token(b"_")


def _plain_value(walk: Walk, value: Any) -> None:
    walk._token(plain.encode(value, walk._hasher))


def _enum(walk: Walk, value: Any) -> None:
    walk._token(b"e" + _text(_code.class_name(type(value))) + _text(str(value._name_)))
    walk.write(value._value_)


def _named_tuple(walk: Walk, value: Any) -> None:
    walk._token(b"u" + _text(type(value).__name__))
    walk.write(list(type(value)._fields))
    _sequence(b"t")(walk, value)


def _dtype(walk: Walk, value: Any) -> None:
    walk._token(b"y" + _text(array._word(value)))


def _word(walk: Walk, value: Any) -> None:
    """What says all in its text: paths, and torch's dtypes and devices."""
    walk._token(b"W" + _text(origin(type(value))[1]) + _text(str(value)))


def _dropped(walk: Walk, value: Any) -> None:
    walk._token(b"-")


_DESCRIBE: dict[type, Describe] = {
    np.ndarray: Walk.array,
    np.memmap: lambda walk, value: walk.array(np.asarray(value)),  # how joblib reads with mmap_mode
    list: _sequence(b"l"),
    tuple: _sequence(b"t"),
    set: _set,
    frozenset: _set,
    **dict.fromkeys(plain._DICTS, _dict),
    slice: _slice,
    range: _range,
    FunctionType: _function,
    BuiltinFunctionType: _method,
    MethodType: _method,
    ModuleType: _module,
    type: _class,
    np.ufunc: _function,
    type(np.mean): _function,
    functools.partial: _partial,
    re.Pattern: _pattern,
    type(Ellipsis): _ellipsis,
    np.random.RandomState: _generator,
    np.random.Generator: _generator,
}
_learned: "weakref.WeakKeyDictionary[type, Describe]" = (
    weakref.WeakKeyDictionary()
)  # classes of users, let go with them


def _described_by(kind: type, value: Any) -> Describe:
    """How objects of a class are described; tools that do not count are ``_dropped``.

    Raises:
        Unidentifiable: If they cannot be.
    """
    known = _learned.get(kind)
    if known is None:
        order = ancestry(value)
        if any(origin(ancestor) in DROPPED for ancestor in order):
            return _dropped
        known = _learned[kind] = _how(kind, order, value)
    return known


def _how(kind: type, order: tuple[type, ...], value: Any) -> Describe:
    roots = {origin(ancestor)[0] for ancestor in order}
    if issubclass(kind, type):
        return _class
    if issubclass(kind, np.random.BitGenerator):
        return _generator
    if issubclass(kind, np.dtype):
        return _dtype
    if any(ancestor is enum.Enum for ancestor in order):
        return _enum
    if plain.is_plain(kind):
        return _plain_value if not plain._is_named_tuple(kind) else _named_tuple
    if "pathlib" in roots or origin(kind) in {("torch", "dtype"), ("torch", "device"), ("torch", "memory_format")}:
        return _word
    if origin(kind) == ("torch", "Size"):
        return _sequence(b"t")
    names = [_code.public_name(ancestor) for ancestor in order]
    if names[0] == "sklearn.utils.Bunch":
        return _dict
    if not any(is_walked(ancestor) for ancestor in order):
        other = _dispatch.kind_for(value)
        if other is not None and not getattr(other, "WALKS", False):
            found = other  # bound for the closure
            return lambda walk, part: walk.nested(part, found)
    return _object_of(kind, order, names)


def is_walked(kind: type) -> bool:
    """Whether the kinds that walk through objects describe objects of this class."""
    return origin(kind) in {("sklearn", "BaseEstimator"), ("torch", "Module")}


def _object_of(kind: type, order: tuple[type, ...], names: list[str]) -> Describe:
    head = b"o" + _text(_code.class_name(kind))
    rule = rule_for(names)
    word = kind.__qualname__  # not the class itself: what is learned of it must not keep it alive
    cached = {
        name
        for ancestor in order
        for name, member in vars(ancestor).items()
        if isinstance(member, functools.cached_property)
    }
    if cached:
        rule = rule._replace(skipped=rule.skipped | cached)
    plans: dict[tuple[str, ...], _Plan] = {}

    def described(walk: Walk, value: Any) -> None:
        address, opened = id(value), walk._open
        if address in opened:
            walk.enter(value)
            return
        opened[address] = len(opened)
        if walk._left >= 0 and walk._enough():
            walk._token(b"~")
        else:
            walk._token(head)
            state = object.__getattribute__(value, "__dict__")
            if rule.state is not None:
                state = rule.state(state)
            names = tuple(state)
            plan = plans.get(names)
            if plan is None:
                plan = _plan(names, rule)
                if len(plans) < _PLANS:
                    plans[names] = plan
            walk._training += plan.keeps_training
            walk._members(plan.names, state, plan.ordered)
            walk._training -= plan.keeps_training
            walk._token(b".")
        del opened[address]

    def reduced(walk: Walk, value: Any) -> None:
        if not walk.enter(value):
            return
        parts = value.__reduce_ex__(2)
        if isinstance(parts, str) or len(parts) > 3:
            raise Unidentifiable(f"a value of type {word}")
        arguments, state = parts[1], (parts[2] if len(parts) == 3 else None)
        if rule.state is not None:
            arguments, state = (rule.state(part) if type(part) is tuple else part for part in (arguments, state))
        walk._token(b"x" + head)
        walk.write(arguments)
        walk.write(state)
        walk.leave(value)

    if _is_plain_layout(kind):
        return described
    if origin(kind)[0] in _STATEFUL:
        return reduced
    raise Unidentifiable(f"a value of type {kind.__qualname__}, which may hold more than its attributes")


def _is_plain_layout(kind: type) -> bool:
    """Whether objects of the class have attributes and nothing else: no slots, no fields of an extension."""
    return (
        kind.__basicsize__ == _Plain.__basicsize__
        and kind.__dictoffset__ == _Plain.__dictoffset__
        and kind.__itemsize__ == 0
    )
