"""Plain values and collections of them."""

import collections
import datetime
import decimal
import enum
import math
import struct
import zoneinfo
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlotel import artifacts


def identify(value):
    return artifacts.identify(value).id


def scope(value):
    return artifacts.identify(value).scope


class Colour(enum.Enum):
    RED = 1
    ROT = 1  # noqa: PIE796 - an alias: the same member
    BLUE = 2


class Weight(enum.IntEnum):
    RED = 1


class Mode(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int


Other = collections.namedtuple("Other", "x y")

UTC = datetime.timezone.utc


def test_the_order_of_dicts_and_sets_does_not_count():
    """Dicts with the same items are one value however they were filled; so are sets."""
    assert identify({"a": 1, "b": 2}) == identify({"b": 2, "a": 1})
    assert identify({1: "x", "1": "y", None: "z"}) == identify({None: "z", "1": "y", 1: "x"})
    assert identify({"x", "y", 3}) == identify({3, "y", "x"}) == identify(frozenset({"x", 3, "y"}))
    assert identify({1: "x"}) != identify({"1": "x"})


def test_dicts_of_the_standard_library_are_dicts():
    """OrderedDict, defaultdict and Counter are what they hold; a subclass of the user's may hold more."""
    plain = {"a": 2, "b": 1}
    assert identify(collections.OrderedDict(plain)) == identify(plain)
    assert identify(collections.defaultdict(int, plain)) == identify(plain)
    assert identify(collections.Counter("aab")) == identify(plain)

    class Config(dict):
        pass

    assert scope(Config(plain)) == "none"


def test_named_tuples_count_by_name_and_fields():
    """A named tuple is neither a plain tuple nor one with another name."""
    assert identify(Point(1, 2)) == identify(Point(1, 2))
    assert len({identify(Point(1, 2)), identify(Other(1, 2)), identify((1, 2)), identify(Point(2, 1))}) == 4


def test_enum_members_count_by_class_name_and_value():
    """Members of two classes differ even where their values are equal; an alias is its member."""
    found = [identify(Colour.RED), identify(Colour.BLUE), identify(Weight.RED), identify(Mode.A | Mode.B), identify(1)]
    assert len(set(found)) == 5
    assert identify(Colour.ROT) == identify(Colour.RED)


def test_numbers_of_any_size():
    """Integers beyond 64 bits, their neighbours and their negatives are told apart."""
    numbers = [2**64, 2**64 + 1, -(2**64), 10**400, 10**400 + 1, 255, 256, -255, -256, 127, 128, -128, -129]
    assert len({identify(number) for number in numbers}) == len(numbers)


def test_all_nans_are_equal_and_zeros_have_a_sign():
    """NaNs are one value whatever their payload and sign; -0.0 is not 0.0."""
    payload = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_1234))[0]
    assert identify(math.nan) == identify(payload) == identify(-math.nan) == identify(float("inf") - float("inf"))
    assert identify(complex(math.nan, 1)) == identify(complex(payload, 1))
    assert identify(-0.0) != identify(0.0)
    assert len({identify(value) for value in (math.inf, -math.inf, math.nan, 0.0, 5e-324)}) == 5


def test_decimals_are_equal_by_their_number():
    """Trailing zeros do not count, signs and every digit do, and no rounding takes place."""
    same = [decimal.Decimal("1.10"), decimal.Decimal("1.1"), decimal.Decimal("1.1000"), decimal.Decimal("110e-2")]
    assert len({identify(value) for value in same}) == 1
    assert identify(decimal.Decimal("1000")) == identify(decimal.Decimal("1E+3"))
    long = decimal.Decimal("1." + "3" * 60)
    others = ["1", "-1", "0", "-0", "NaN", "Infinity", "-Infinity", "1.01", "11", "0.11"]
    values = [long, long + decimal.Decimal("0.1"), *map(decimal.Decimal, others)]
    values.append(decimal.Decimal("1." + "3" * 59 + "4"))
    assert len({identify(value) for value in values}) == len(values)
    assert identify(decimal.Decimal("NaN")) == identify(decimal.Decimal("sNaN"))


def test_dates_and_times():
    """Dates, naive and aware times, zones and offsets are told apart; the same zone from two libraries is one."""
    berlin, paris = zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("Europe/Paris")
    moment = datetime.datetime(2024, 5, 1, 12)
    values = [
        datetime.date(2024, 5, 1),
        datetime.datetime(2024, 5, 1),
        moment,
        moment.replace(microsecond=1),
        moment.replace(tzinfo=UTC),
        moment.replace(tzinfo=berlin),
        moment.replace(tzinfo=paris),
        moment.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        datetime.time(12),
        datetime.time(12, tzinfo=UTC),
        datetime.time(12, tzinfo=berlin),
        datetime.timedelta(hours=12),
        datetime.timedelta(hours=-12),
        datetime.timedelta.max,
    ]
    assert len({identify(value) for value in values}) == len(values)
    assert identify(moment.replace(tzinfo=UTC)) == identify(moment.replace(tzinfo=zoneinfo.ZoneInfo("UTC")))


def test_a_hostile_time_zone_is_no_error():
    """A tzinfo that raises makes the value unidentifiable, nothing more."""

    class Broken(datetime.tzinfo):
        def utcoffset(self, when):
            raise RuntimeError("broken")

    assert scope(datetime.datetime(2024, 1, 1, tzinfo=Broken())) == "none"


def test_pandas_scalars_are_their_standard_counterparts():
    """Timestamps and Timedeltas equal datetimes where they have no nanoseconds; missing values are their own."""
    moment = datetime.datetime(2024, 5, 1, 12, 0, 0, 5)
    assert identify(pd.Timestamp(moment)) == identify(moment)
    assert identify(pd.Timestamp(moment, tz="UTC")) == identify(moment.replace(tzinfo=UTC))
    assert identify(pd.Timestamp(moment) + pd.Timedelta(1, "ns")) != identify(moment)
    assert identify(pd.Timedelta(days=1)) == identify(datetime.timedelta(days=1))
    others = [pd.NA, pd.NaT, None, math.nan, pd.Period("2024-05"), pd.Period("2024-05-01"), pd.Interval(0, 1)]
    others.append(pd.Interval(0, 1, closed="left"))
    assert len({identify(value) for value in others}) == len(others)


def test_numpy_scalars():
    """numpy's default types are Python's; narrower ones are their own."""
    pairs = [(np.bool_(True), True), (np.int64(7), 7), (np.float64(0.1), 0.1), (np.complex128(1j), 1j)]
    pairs += [(np.str_("a"), "a"), (np.bytes_(b"a"), b"a"), (np.float64("nan"), math.nan)]
    for ours, python in pairs:
        assert identify([ours]) == identify([python])
    narrow = [np.int8(1), np.int32(1), np.uint64(1), np.float32(1), np.datetime64(1, "s"), np.timedelta64(1, "s")]
    assert len({identify(value) for value in [*narrow, 1, 1.0, True]}) == 9
    assert identify(np.float32("nan")) == identify(np.array(["nan"], "f4")[0])


def test_strings_with_lone_surrogates():
    """Strings that are no valid UTF-8 have identities too, each its own."""
    strings = ["\ud800", "\udc00", "\ud800\udc00", "\U00010000", "?", "\ufffd", "a\ud800", "é", "e\u0301"]
    assert len({identify(value) for value in strings}) == len(strings)
    assert {scope(value) for value in strings} == {"full"}


def test_buffers_are_their_bytes():
    """bytes, bytearray and views of them are one artifact, also inside collections."""
    data = b"some bytes"
    assert identify(data) == identify(bytearray(data)) == identify(memoryview(data))
    assert identify(memoryview(b"s-o-m-e")[::2]) == identify(b"some")
    assert identify([data]) == identify([bytearray(data)])
    assert scope(type("Own", (bytes,), {})(data)) == "none"
    grid = memoryview(bytes(range(12))).cast("B", (3, 4))
    assert len({identify(grid), identify(grid.obj), identify(memoryview(bytes(range(12))).cast("B", (4, 3)))}) == 3
    assert identify(memoryview(np.arange(12, dtype=np.uint8).reshape(4, 3).T)) == identify(
        memoryview(np.ascontiguousarray(np.arange(12, dtype=np.uint8).reshape(4, 3).T))
    )
    assert scope(memoryview(np.array([None]))) == "none"  # addresses of objects


def test_large_parts_of_collections():
    """Long strings and bytes inside collections count to the end."""
    for part in (b"x" * 200_000, "x" * 200_000):
        found = {identify([part]), identify([part, part]), identify([part + part]), identify([part[:-1]])}
        assert len(found) == 4


def test_nested_kinds_take_part():
    """Arrays, frames and files inside collections count by their content."""
    frame = pd.DataFrame({"a": [1, 2]})
    path = Path("data.bin").absolute()
    path.write_bytes(b"content")
    one = identify({"X": np.arange(3), "frame": frame, "files": [path]})
    assert one == identify({"files": [path], "frame": frame.copy(), "X": np.arange(3)})
    assert one != identify({"X": np.arange(3), "frame": frame + 1, "files": [path]})
    path.write_bytes(b"another")
    assert one != identify({"X": np.arange(3), "frame": frame, "files": [path]})


def test_one_unknown_object_inside_makes_the_whole_unidentifiable():
    """Nothing that holds an object of unknown content has a content id, however deep it is."""
    for value in ([object()], {"a": {"b": (1, object())}}, {object()}, {object(): 1}, np.array([object()]), lambda: 1):
        assert scope(value) == "none"
        assert identify(value).startswith("ref:")


def test_collections_that_hold_themselves():
    """A cycle ends, equal cycles are equal, and where it leads counts."""
    one, two = [1], [1]
    one.append(one)
    two.append(two)
    assert identify(one) == identify(two)
    assert scope(one) == "full"
    deeper = [1, [1]]
    deeper[1].append(deeper)
    assert identify(deeper) != identify(one)
    loop = {"a": {}}
    loop["a"]["b"] = loop
    other = {"a": {}}
    other["a"]["b"] = other["a"]
    assert scope(loop) == scope(other) == "full"
    assert identify(loop) != identify(other)


@pytest.mark.parametrize("wrap", [lambda array: array, lambda array: pd.DataFrame({"a": array})])
def test_object_arrays_that_hold_themselves(wrap):
    """Arrays and columns of objects with a cycle in them end too, with a content id or with none."""

    def made(last):
        array = np.empty(2, dtype=object)
        inner = [1]
        inner.append(inner)
        array[:] = [inner, last]
        return wrap(array)

    def itself():
        array = np.empty(1, dtype=object)
        array[0] = array
        return wrap(array)

    one, two, other = (artifacts.identify(made(last)) for last in (1, 1, 2))
    assert one.scope in ("full", "none")
    if one.scope == "full":
        assert one.id == two.id != other.id
    assert artifacts.identify(itself()).scope in ("full", "none")


def test_a_part_used_twice_is_no_cycle():
    """The same list in two places is two equal lists."""
    part = [1, 2]
    assert identify([part, part]) == identify([[1, 2], [1, 2]])


def test_depth_beyond_the_stack_is_no_error():
    """Nesting deeper than the interpreter can walk has no content id."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert scope(deep) == "none"
    while deep:  # taken apart, since freeing it at once would need the stack too
        deep = deep.pop()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5)
    | st.binary(max_size=5)
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def canonical(value):
    """A second notation in which values are the same exactly if identify() must say so."""
    kind = type(value).__name__
    if isinstance(value, float):
        return kind, "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(canonical, value))
    if isinstance(value, dict):
        return kind, frozenset((canonical(key), canonical(item)) for key, item in value.items())
    if isinstance(value, decimal.Decimal):
        if value.is_nan():
            return kind, "nan"
        if not value:
            return kind, value.is_signed()
        return kind, str(value) if value.is_infinite() else value  # equal Decimals hash alike
    return kind, value


@settings(max_examples=150, deadline=None)
@given(plain, plain)
def test_ids_are_equal_exactly_where_values_are(one, other):
    """Two generated values share an id if and only if an independent notation calls them the same."""
    assert (identify(one) == identify(other)) is (canonical(one) == canonical(other))
    assert scope([one, other]) == "full"


@pytest.mark.parametrize("value", [None, True, 5, 0.5, 1j, "text", b"bytes", (1,), [1], {1}, {"a": 1}])
def test_plain_values_have_no_rows(value):
    """Plain values and collections have neither rows nor columns nor a schema."""
    identity = artifacts.identify(value)
    assert (identity.schema_hash, identity.row_count, identity.column_count) == (None, None, None)
