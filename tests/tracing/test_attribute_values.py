"""How values of any type become attribute values: the table of conversions, cuts, and never an error."""

import datetime
import decimal
import enum
import fractions
import math
import pathlib
import types
import uuid
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlotel
from mlotel.testing import capturing


def recorded(capture, value):
    """``value`` as it arrives on a span, as a param."""
    with mlotel.component("c") as c:
        c.param(x=value)
    return capture.spans()[-1].attributes["ml.param.x"]


class Color(enum.Enum):
    RED = 1


class Loss(str, enum.Enum):
    MAE = "mae"


class Level(enum.IntEnum):
    HIGH = 3


class Flags(enum.Flag):
    A = 1
    B = 2


class Word(str):
    def __str__(self):
        raise RuntimeError

    __len__ = __getitem__ = __format__ = isascii = encode = __str__


class Number(int):
    def __add__(self, other):
        raise RuntimeError

    __index__ = __int__ = __lt__ = __add__


class Real(float):
    def __add__(self, other):
        raise RuntimeError

    __float__ = __add__


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        raise RuntimeError


def function():
    pass


TABLE = [
    (None, "None"),
    (True, True),
    (np.True_, True),
    (0, 0),
    (-(2**63), -(2**63)),
    (2**63 - 1, 2**63 - 1),
    (2**63, "9223372036854775808"),
    (-(2**63) - 1, "-9223372036854775809"),
    (1 << 5000, "<int of 5001 bits>"),
    (np.int8(3), 3),
    (np.uint64(2**64 - 1), "18446744073709551615"),
    (Number(7), 7),
    (0.5, 0.5),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (np.float32(0.5), 0.5),
    (np.float16(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (Real(0.25), 0.25),
    ("word", "word"),
    ("", ""),
    ("größe ✓ \U0001f600", "größe ✓ \U0001f600"),
    ("lone \ud800 surrogate", "lone ? surrogate"),
    ("nul \0 and \n newline", "nul \0 and \n newline"),
    (Word("mine"), "mine"),
    (np.str_("np"), "np"),
    (b"bytes", "<bytes of 5>"),
    (1 + 2j, "(1+2j)"),
    (np.complex64(1 + 2j), "(1+2j)"),
    (np.clongdouble(1 + 2j), "(1+2j)"),
    (decimal.Decimal("1.10"), "1.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.PurePosixPath("/data/x.csv"), "/data/x.csv"),
    (datetime.datetime(2013, 1, 1, 5), "2013-01-01 05:00:00"),
    (datetime.date(2013, 1, 1), "2013-01-01"),
    (datetime.timedelta(hours=3), "3:00:00"),
    (np.datetime64("2013-01-01T05", "ns"), "2013-01-01T05:00:00.000000000"),
    (np.timedelta64(3, "h"), "3 hours"),
    (range(3), "range(0, 3)"),
    (Color.RED, "Color.RED"),
    (Loss.MAE, "Loss.MAE"),
    (Level.HIGH, "Level.HIGH"),
    (np.array(3), 3),
    (np.array("s"), "s"),
    (np.array(None, dtype=object), "None"),
    (np.array([1, 2]), "<numpy.ndarray>"),
    (pd.DataFrame({"a": [1]}), f"<{pd.DataFrame.__module__}.DataFrame>"),
    (pd.NA, f"<{type(pd.NA).__module__}.NAType>"),
    ([], ()),
    ([1, 2], (1, 2)),
    ((True, False), (True, False)),
    ([1, 0.5], (1.0, 0.5)),
    (["a", "b"], ("a", "b")),
    ([1, "a", None, True], ("1", "a", "None", "True")),
    ([np.int64(1), 2], (1, 2)),
    ([2**70, 1], ("1180591620717411303424", "1")),
    ([[1], {"a": 1}], ("<list of 1>", "<dict of 1>")),
    ({"b", "a"}, ("a", "b")),
    (frozenset({2, 1}), (1, 2)),
    (list(range(128)), tuple(range(128))),
    (list(range(129)), "<list of 129>"),
    (object(), "<object>"),
    (int, "builtins.int"),
    (function, f"{__name__}.function"),
    (len, "builtins.len"),
    ("".join, "<method str.join>"),
    (types.SimpleNamespace(a=1), "<types.SimpleNamespace>"),
    (datetime.datetime(2013, 1, 1, tzinfo=Zone()), "<datetime.datetime>"),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=lambda value: type(value).__name__)
def test_the_table(capture, value, expected):
    """Each value becomes exactly this value of exactly this type."""
    if expected == "<method str.join>":
        expected = "None.str.join"
    found = recorded(capture, value)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(found, tuple):
        assert [type(item) for item in found] == [type(item) for item in expected]


def test_nan_is_kept(capture):
    """NaN is a number as others, from Python and from numpy."""
    for value in (math.nan, np.float64("nan"), np.longdouble("nan")):
        found = recorded(capture, value)
        assert type(found) is float
        assert math.isnan(found)


def test_flags_without_a_name(capture):
    """Several flags at once are recorded, whatever the version of Python calls them."""
    assert recorded(capture, Flags.A | Flags.B).startswith("Flags.")


def test_strings_are_cut_with_a_mark(capture):
    """2,048 characters stay; longer strings are cut to that length, with a mark that says how long they were."""
    assert recorded(capture, "x" * 2048) == "x" * 2048
    cut = recorded(capture, "x" * 2049)
    assert len(cut) == 2048
    assert cut.endswith("x… [cut, 2049 characters]")
    assert recorded(capture, "x" * 100_000_000).endswith("x… [cut, 100000000 characters]")


def test_a_nested_dict_is_flattened_once(capture):
    """Keys become the last part of the attribute: what is no letter, digit, ``_``, ``-`` or ``.`` becomes ``_``."""
    with mlotel.component("c") as c:
        c.param(x={"a b": 1, "ü/ß": 2, 3: 4, None: 5, (1, 2): 6, "": 7, "z" * 500: 8, "deep": {"er": 1}})

    attributes = capture.ml_attributes(capture.span("component c"))
    params = {key.removeprefix("ml.param."): v for key, v in attributes.items() if key.startswith("ml.param.")}
    assert params == {
        "x.a_b": 1, "x._": 2, "x.3": 4, "x.None": 5, "x._1_2_": 6, "x": 7, "x." + "z" * 126: 8, "x.deep": "<dict of 1>",
    }  # fmt: skip


class Row(NamedTuple):
    a: int
    b: object


def test_a_named_tuple_is_flattened(capture):
    """Fields of a named tuple are params."""
    with mlotel.component("c") as c:
        c.param(x=Row(1, [2]))

    attributes = capture.span("component c").attributes
    assert (attributes["ml.param.x.a"], attributes["ml.param.x.b"]) == (1, (2,))


class Hostile:
    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __len__(self):
        raise RuntimeError

    __bool__ = __repr__ = __str__ = __hash__ = __iter__ = __float__ = __int__ = __index__ = __len__

    def __eq__(self, other):
        raise RuntimeError


class Lies:
    """Says that it is a str, and a dataclass."""

    __class__ = str
    __dataclass_fields__ = {"a": 1}  # noqa: RUF012 - a lie


class FakeNumpy:
    item = ndim = property(lambda self: 1 / 0)


FakeNumpy.__module__ = "numpy"


@pytest.mark.parametrize(
    ("make", "described"),
    [
        (Hostile, f"<{__name__}.Hostile>"),
        (Lies, f"<{__name__}.Lies>"),
        (FakeNumpy, "<numpy.FakeNumpy>"),
        (lambda: [Hostile()], (f"<{__name__}.Hostile>",)),
        (lambda: {"k": Hostile()}, f"<{__name__}.Hostile>"),
    ],
)
def test_hostile_values_cost_only_themselves(capture, make, described):
    """A value that raises whatever it is asked is described, and the params beside it are recorded."""
    with mlotel.component("c") as c:
        c.param(before=1, x=make(), after=2)

    attributes = capture.span("component c").attributes
    assert (attributes["ml.param.before"], attributes["ml.param.after"]) == (1, 2)
    assert [value for key, value in attributes.items() if key.startswith("ml.param.x")] == [described]


def test_params_of_any_name(capture):
    """Keys of ``param(**…)`` may be any string."""
    with mlotel.component("c") as c:
        c.param(**{"": 1, ".": 2, "a.b": 3, "ml.run.id": 4, "\ud800": 5})

    attributes = capture.span("component c").attributes
    assert attributes["ml.param.a.b"] == 3
    assert attributes["ml.param.ml.run.id"] == 4
    assert "ml.run.id" not in attributes


anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.complex_numbers(),
        st.decimals(), st.fractions(), st.dates(), st.datetimes(), st.timedeltas(), st.uuids(),
        st.characters(categories=["Cs"]),
    ),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5) | st.tuples(inner, inner),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(anything)
def test_any_value_becomes_a_valid_attribute(value):
    """Whatever plain value is recorded, what arrives is a scalar or a flat list of one type, encodable and bounded."""
    from mlotel.tracing import attributes

    for found in (attributes.attribute(value), *attributes.params("ml.param", {"x": value}).values()):
        items = found if isinstance(found, list) else [found]
        assert len({type(item) for item in items}) <= 1
        for item in items:
            assert type(item) in (str, bool, int, float)
            if type(item) is str:
                assert len(item) <= 2048
                item.encode()
            if type(item) is int:
                assert -(2**63) <= item < 2**63


def test_nothing_is_converted_while_nobody_listens():
    """Without providers a param is not even looked at."""

    class Fails:
        def __getattribute__(self, name):
            raise AssertionError("was looked at")

    with mlotel.component("c") as c:
        c.param(x=Fails())

    with capturing() as capture, mlotel.component("c") as c:
        c.param(x=1)
    assert capture.spans()[0].attributes["ml.param.x"] == 1
