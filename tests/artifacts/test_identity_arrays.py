"""numpy arrays: what counts is shape, dtype and elements."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlotel import artifacts


def identify(value):
    return artifacts.identify(value).id


def scope(value):
    return artifacts.identify(value).scope


def test_memory_order_and_strides_do_not_count():
    """Fortran order, transposed, reversed and strided views equal their copies in C order."""
    grid = np.random.default_rng(0).random((300, 500))
    assert identify(np.asfortranarray(grid)) == identify(grid)
    assert identify(np.ascontiguousarray(grid.T).T) == identify(grid)
    for view in (
        grid.T,
        grid[::-1],
        grid[:, ::2],
        grid[::3, 1:7],
        grid[5],
        grid[:, 5],
        np.broadcast_to(grid[0], (9, 500)),
    ):
        assert identify(view) == identify(np.ascontiguousarray(view))


def test_rows_longer_than_a_chunk():
    """Strided arrays whose single rows exceed what is read at a time equal their copies."""
    wide = np.random.default_rng(0).random((3, 2, 200_000))
    assert identify(wide[:, :, ::2]) == identify(np.ascontiguousarray(wide[:, :, ::2]))
    assert identify(wide[:, ::-1]) == identify(np.ascontiguousarray(wide[:, ::-1]))


@pytest.mark.parametrize("dtype", ["i2", "u8", "f2", "f4", "f8", "c8", "c16", "M8[us]", "m8[s]", "U5", "i4,f8"])
def test_byte_order_does_not_count(dtype):
    """Big-endian arrays equal native ones, and have the same schema."""
    little = np.zeros(7, dtype=dtype) if "," in dtype else np.arange(7).astype(dtype)
    big = little.astype(little.dtype.newbyteorder(">"))
    assert big.dtype.str[0] == ">" or big.dtype.names
    assert artifacts.identify(big) == artifacts.identify(little)


def test_all_nans_are_equal_also_signalling_ones():
    """Payload, sign and kind of a NaN do not count, alone or among numbers; -0.0 is not 0.0."""
    plain = np.array([1.0, np.nan, 3.0, np.nan] * 1000)
    odd = plain.copy()
    odd.view(np.uint64)[1::4] = 0x7FF0_0000_0000_0001  # signalling
    odd.view(np.uint64)[3::4] = 0xFFF8_0000_DEAD_BEEF
    assert identify(odd) == identify(plain)
    single, half = np.array([1.0, np.nan], "f4"), np.array([1.0, np.nan], "f2")
    assert identify(np.array([0x3F80_0000, 0x7F80_0001], "u4").view("f4")) == identify(single)
    assert identify(np.array([0x3C00, 0xFC01], "u2").view("f2")) == identify(half)
    assert identify(np.array([complex(np.nan, 1), complex(2, np.nan)])) == identify(
        np.array([complex(-np.nan, 1), complex(2, -np.nan)])
    )
    assert identify(np.zeros(3)) != identify(-np.zeros(3))
    assert identify(np.array([np.nan])) != identify(np.array([np.inf]))


def test_a_nan_in_each_chunk_position_counts():
    """One NaN anywhere in a long array makes it another one."""
    numbers = np.arange(300_000.0)
    found = {identify(numbers)}
    for position in (0, 65_535, 65_536, 150_000, 299_999):
        other = numbers.copy()
        other[position] = np.nan
        found.add(identify(other))
    assert len(found) == 6


def test_padding_of_structured_arrays_is_noise():
    """The same fields in a packed and in an aligned layout, and with garbage between them, are one artifact."""
    packed = np.zeros(100, dtype=np.dtype([("a", "i1"), ("b", "f8")]))
    aligned = np.zeros(100, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True))
    packed["a"], packed["b"] = np.arange(100), np.arange(100.0)
    raw = aligned.view(np.uint8)
    raw[:] = 0xAB
    aligned["a"], aligned["b"] = packed["a"], packed["b"]
    assert identify(aligned) == identify(packed)
    assert identify(packed.view(np.recarray)) == identify(packed)


def test_nested_and_subarray_fields():
    """Fields inside fields and arrays inside fields count."""
    dtype = np.dtype([("at", [("x", "f4"), ("y", "f4")]), ("grid", "i2", (2, 3))])
    values = np.zeros(10, dtype=dtype)
    inner, element = values.copy(), values.copy()
    inner["at"]["y"][5] = 1
    element["grid"][5, 1, 2] = 1
    assert len({identify(values), identify(inner), identify(element)}) == 3
    assert identify(values.copy()) == identify(values)


def test_extended_precision_without_its_padding():
    """Bytes that a long double does not use are noise."""
    numbers = np.arange(10, dtype=np.longdouble) / 3
    other = numbers.copy()
    if np.finfo(np.longdouble).nmant == 63:
        other.view(np.uint8).reshape(10, -1)[:, 10:] = 0xAB
    assert np.array_equal(numbers, other)
    assert identify(other) == identify(numbers)
    assert identify(numbers + np.longdouble(1e-18)) != identify(numbers)


def test_strings_are_as_wide_as_they_are():
    """Unused width of fixed-width strings and of bytes does not count."""
    assert identify(np.array(["a", "bb"], "U2")) == identify(np.array(["a", "bb"], "U50"))
    assert identify(np.array([b"a", b"bb"], "S2")) == identify(np.array([b"a", b"bb"], "S50"))
    assert identify(np.array(["a", "b"])) != identify(np.array(["ab", ""]))


def test_booleans_are_true_or_false():
    """A byte of 2 under a boolean view is True like any other."""
    assert identify(np.array([0, 1, 2, 255], np.uint8).view(bool)) == identify(np.array([False, True, True, True]))


def test_strings_of_variable_width_and_raw_bytes():
    """numpy's own string type and unstructured bytes count element by element."""
    raw = np.array([b"ab", b"cd"], "V2")
    assert identify(raw) == identify(raw.copy())
    assert len({identify(raw), identify(raw[::-1]), identify(np.array([b"ab", b"cd"], "S2"))}) == 3
    if hasattr(np.dtypes, "StringDType"):
        words = np.array(["a", "bb", "a much longer one"], np.dtypes.StringDType())
        assert identify(words) == identify(words.copy())
        assert len({identify(words), identify(words[::-1]), identify(np.array(["a", "bb", "a much longer one"]))}) == 3


def test_objects_count_by_value():
    """Arrays of objects are compared by the values in them, whose types differ from those of typed arrays."""
    mixed = np.array([1, "a", None, 2.5, [1, {"b": 2}], np.arange(3)], dtype=object)
    same = np.array([1, "a", None, 2.5, [1, {"b": 2}], np.arange(3)], dtype=object)
    assert identify(mixed) == identify(same)
    same[4][1]["b"] = 3
    assert identify(mixed) != identify(same)
    loop = np.empty(1, dtype=object)
    loop[0] = loop
    assert scope(loop) == "full"


def test_masked_arrays():
    """What a mask hides does not count; the mask does."""
    one = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    other = np.ma.array([1.0, 99.0, 3.0], mask=[False, True, False])
    assert identify(one) == identify(other)
    assert len({identify(one), identify(one.data), identify(np.ma.array([1.0, 2.0, 3.0]))}) == 3


def test_mapped_files_and_matrices_are_arrays():
    """A memory-mapped array is the array it shows."""
    values = np.arange(12.0).reshape(3, 4)
    np.save("values.npy", values)
    assert identify(np.load("values.npy", mmap_mode="r")) == identify(values)
    assert identify(np.load("values.npy")) == identify(values)


def test_subclasses_of_others_may_carry_more():
    """An array with a unit is not the bare array, so a foreign subclass has no content id."""

    class Quantity(np.ndarray):
        unit = "m"

    assert scope(np.arange(3).view(Quantity)) == "none"


def test_contiguous_data_are_not_copied():
    """Identifying 80 MB takes less than 2 MB of memory; a strided view takes no copy of the whole either."""
    array = np.arange(10_000_000.0)
    artifacts.identify(array[:10])
    tracemalloc.start()
    try:
        artifacts.identify(array, budget_s=None)
        contiguous = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        artifacts.identify(array[::2], budget_s=None)
        strided = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert contiguous < 2e6
    assert strided < 4e6


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_changed_element_changes_the_id(data):
    """For any dtype and shape: a copy is equal, and one element with other bytes is not."""
    dtypes = (
        hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes(sizes=(16, 32, 64)) | hnp.datetime64_dtypes()
    )
    array = data.draw(hnp.arrays(dtypes, hnp.array_shapes(max_dims=3, max_side=6)))
    assert identify(array.copy()) == identify(array)
    position = data.draw(st.integers(0, array.size - 1))
    other = array.copy()
    other.reshape(-1)[position] = data.draw(hnp.from_dtype(array.dtype))
    both_nan = (
        array.dtype.kind == "f" and np.isnan(array.reshape(-1)[position]) and np.isnan(other.reshape(-1)[position])
    )
    assert (identify(other) == identify(array)) is bool(both_nan or other.tobytes() == array.tobytes())
