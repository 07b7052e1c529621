"""Objects that no library should touch, and the entries of mlotel that they are given to."""

import asyncio
import contextlib
import enum
import logging
import threading

import mlotel


class Touched(BaseException):
    """Something of a user's object was called. No guard stops it: it is no ``Exception``."""


def _trap(name):
    def touched(*_, **__):
        raise Touched(name)

    return touched


SPECIAL = (
    "__repr__", "__str__", "__format__", "__bytes__", "__bool__", "__len__", "__length_hint__", "__eq__", "__ne__",
    "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__iter__", "__next__", "__reversed__", "__contains__",
    "__getitem__", "__getattr__", "__int__", "__index__", "__float__", "__complex__", "__abs__", "__round__",
    "__enter__", "__exit__", "__call__", "__copy__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__",
    "__sizeof__", "__dir__", "__instancecheck__", "__array__", "__array_interface__", "__array_struct__",
    "__dataframe__", "__arrow_c_array__", "__arrow_c_stream__", "__dlpack__", "__await__", "__aiter__", "__anext__",
)  # fmt: skip

Untouchable = type("Untouchable", (), {name: _trap(name) for name in SPECIAL if name != "__call__"})
"""Whatever is asked of it raises."""


class Everything(Untouchable):
    """Not even an attribute can be looked at, and it says that it is of another class."""

    def __getattribute__(self, name):
        raise Touched(name)


class Liar(Untouchable):
    """``isinstance`` would ask it, and it would lie."""

    @property
    def __class__(self):
        raise Touched("__class__")


class Meta(type):
    """Classes whose own name, module, equality and ``isinstance`` are code."""

    __instancecheck__ = _trap("metaclass __instancecheck__")
    __subclasscheck__ = _trap("metaclass __subclasscheck__")
    __repr__ = __str__ = _trap("metaclass __repr__")
    __eq__ = _trap("metaclass __eq__")
    __hash__ = type.__hash__
    __len__ = __bool__ = __iter__ = _trap("metaclass __len__")

    def __getattribute__(cls, name):
        if name in ("__name__", "__qualname__", "__module__", "__mro__", "__dict__"):
            raise Touched(f"metaclass {name}")
        return super().__getattribute__(name)


WithMeta = Meta("WithMeta", (), {})


class EqualMeta(type):
    """Classes that cannot be hashed."""

    def __eq__(cls, other):
        raise Touched("metaclass __eq__")

    __hash__ = None


Unhashable = EqualMeta("Unhashable", (), {})


class Dying:
    """Raises when it goes."""

    def __del__(self):
        raise_in_del.append(1)


raise_in_del = []


class SlowText:
    """Takes a minute for every word."""

    def __repr__(self):
        threading.Event().wait(60)

    __str__ = __repr__


class HostileStr(str):
    """A ``str`` whose methods are code."""

    __slots__ = ()
    __str__ = __repr__ = __len__ = __eq__ = __format__ = encode = isascii = split = __contains__ = _trap("str method")
    __hash__ = str.__hash__


class HostileInt(int):
    """An ``int`` likewise."""

    __repr__ = __str__ = __int__ = __index__ = __eq__ = __lt__ = __bool__ = __format__ = _trap("int method")
    __hash__ = int.__hash__


class HostileFloat(float):
    """A ``float`` likewise."""

    __repr__ = __str__ = __float__ = __eq__ = __bool__ = __format__ = _trap("float method")
    __hash__ = float.__hash__


class HostileList(list):
    """A ``list`` likewise."""

    __len__ = __iter__ = __getitem__ = __repr__ = __bool__ = __eq__ = _trap("list method")
    __hash__ = None


class HostileDict(dict):
    """A ``dict`` likewise."""

    __len__ = __iter__ = __getitem__ = items = keys = values = __repr__ = __bool__ = __eq__ = _trap("dict method")
    __hash__ = None


class HostileTuple(tuple):
    """A ``tuple`` likewise, with fields that are code."""

    __len__ = __iter__ = __getitem__ = __repr__ = __bool__ = __eq__ = _trap("tuple method")
    __hash__ = tuple.__hash__
    _fields = property(_trap("_fields"))


class Unpathlike:
    """A path that does not know where."""

    def __fspath__(self):
        raise RuntimeError("nowhere")


class Colour(enum.Enum):
    """An enumeration whose members are code."""

    RED = 1

    __str__ = __repr__ = _trap("enum __str__")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def circle():
    value = {}
    value["self"] = [value]
    return value


VALUES = {
    "untouchable": Untouchable,
    "everything": Everything,
    "liar": Liar,
    "metaclass": WithMeta,
    "class with a metaclass": lambda: WithMeta,
    "unhashable class": lambda: Unhashable(),
    "dying": Dying,
    "slow text": SlowText,
    "str": lambda: HostileStr("words"),
    "int": lambda: HostileInt(3),
    "float": lambda: HostileFloat(3.5),
    "list": lambda: HostileList([1]),
    "dict": lambda: HostileDict(a=1),
    "tuple": lambda: HostileTuple((1,)),
    "list of untouchable": lambda: [Untouchable(), Everything()],
    "dict of untouchable": lambda: {"a": Untouchable(), "b": [Liar()]},
    "path": Unpathlike,
    "enum": lambda: Colour.RED,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("-inf"),
    "huge int": lambda: 10**5000,
    "surrogate": lambda: "a\ud800b",
    "surrogates in a list": lambda: ["\udfff"] * 3,
    "null byte": lambda: "a\x00b",
    "bytes": lambda: b"\xff\x00" * 10,
    "deep": lambda: nested(100_000),
    "circle": circle,
    "empty": lambda: (),
    "generator": lambda: (one for one in [Touched]),
    "complex": lambda: complex("nan"),
    "lock": threading.Lock,
}


def _read(value):
    with mlotel.component("c") as c:
        return c.read(value)


def _write(value):
    with mlotel.component("c") as c:
        return c.write(value, name="out")


def _module_calls(value):
    with mlotel.component("c"):
        mlotel.param(value=value)
        mlotel.read(value, name="in")
        return mlotel.write(value)


def _alone(value):
    mlotel.write(value)
    return mlotel.read(value)


def _param(value):
    with mlotel.component("c") as c:
        c.param(value=value, nested={"deeper": value}, **{"odd key \ud800": value})
    return value


def _pipeline(value):
    with mlotel.pipeline("p", params={"value": value}, tags={"value": value}):
        return value


def _function(value):
    @mlotel.component
    def work(one, *more, two=value, **rest):
        return one

    return work(value, value, three=value)


def _pipeline_function(value):
    @mlotel.pipeline
    def work(one):
        return one

    return work(value)


def _parts(value):
    @mlotel.component(outputs=["a", "b"])
    def work(one):
        return one, [one]

    return work(value)[0]


def _method(value):
    class Job:
        __repr__ = __len__ = __bool__ = __eq__ = _trap("self")
        __hash__ = None

        @mlotel.component
        def work(self, one):
            return one

    return Job().work(value)


def driven(awaitable):
    """Run without asyncio, which calls repr() of the result."""
    steps = awaitable.__await__()
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def _coroutine(value):
    @mlotel.component
    async def work(one):
        await asyncio.sleep(0)
        return one

    return driven(work(value))


def _generator(value):
    @mlotel.component
    def work(one):
        yield one
        return one

    [item] = list(work(value))
    return item


def _async_generator(value):
    @mlotel.component
    async def work(one):
        yield one

    async def consume():
        return [item async for item in work(value)]

    [item] = driven(consume())
    return item


def _checks(value):
    seen = []

    def before(one):
        seen.append(one)
        return value  # nobody can say what it means: a failed check

    def after(result):
        return mlotel.Check(False, "no", value=value, more=[value])

    @mlotel.component(before=[before], after=[after])
    def work(one):
        return one

    result = work(value)
    assert not seen or seen[0] is value  # without anybody who records no check runs
    return result


def _carry(value):
    return mlotel.carry(lambda one: one)(value)


def _log(value):
    record = logging.LogRecord("a", logging.INFO, "f", 1, value, None, None)
    record.args = (value,)  # the constructor looks at them itself
    with mlotel.component("c"):
        assert mlotel.log_filter().filter(record)
    return record.msg


def _mutated(value):
    with mlotel.component("c") as c:
        c.read(value)
        c.read(value)
        c.write(value)
    return value


ENTRIES = {
    name.strip("_"): entry
    for name, entry in list(globals().items())
    if name.startswith("_") and callable(entry) and name not in ("_trap",) and not name.startswith("__")
}


@contextlib.contextmanager
def no_recursion_room(left):
    """Run with so few levels of the stack left."""
    import sys

    def deep(levels):
        return deep(levels - 1) if levels else None

    limit = sys.getrecursionlimit()
    depth = 0
    frame = sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + left)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
