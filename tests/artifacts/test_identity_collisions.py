"""The false matches of earlier tools, each with data that fooled them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mlotel import artifacts


def ids(*values):
    return [artifacts.identify(value).id for value in values]


def test_frames_that_differ_in_the_middle_row():
    """A hash of repr() sees five rows at each end of 1000."""
    frame = pd.DataFrame({"a": np.arange(1000), "b": np.arange(1000.0)})
    other = frame.copy()
    other.loc[500, "b"] += 1
    assert repr(frame) == repr(other)

    one, two = ids(frame, other)
    assert one != two


def test_arrays_that_differ_in_the_middle():
    """A hash of repr() sees three elements at each end of 5000."""
    array = np.arange(5000)
    other = array.copy()
    other[2500] = -1
    assert repr(array) == repr(other)

    one, two = ids(array, other)
    assert one != two


def test_models_with_opposite_coefficients():
    """Two fits that print alike are never one artifact."""
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    one, other = LogisticRegression().fit(X, [0, 0, 1, 1]), LogisticRegression().fit(X, [1, 1, 0, 0])
    assert repr(one) == repr(other)

    first, second = ids(one, other)
    assert first != second


def test_rows_after_the_ten_thousandth():
    """Content counts to the last row."""
    frame = pd.DataFrame({"a": np.arange(20_000), "b": [f"w{i}" for i in range(20_000)]})
    number, word = frame.copy(), frame.copy()
    number.loc[15_000, "a"] = -1
    word.loc[19_999, "b"] = "other"

    assert len(set(ids(frame, number, word))) == 3


def test_a_flipped_bool_column():
    """Boolean columns count."""
    frame = pd.DataFrame({"a": np.arange(100), "flag": np.arange(100) % 2 == 0})

    one, two = ids(frame, frame.assign(flag=~frame["flag"]))
    assert one != two


def test_a_replaced_datetime_column():
    """Datetime columns count, with and without a time zone."""
    frame = pd.DataFrame({"a": [1, 2], "at": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    later = frame.assign(at=frame["at"] + pd.Timedelta(days=1))
    zoned = frame.assign(at=frame["at"].dt.tz_localize("Europe/Berlin"))
    elsewhere = frame.assign(at=frame["at"].dt.tz_localize("Europe/Paris"))

    assert len(set(ids(frame, later, zoned, elsewhere))) == 4


@pytest.mark.parametrize("dtype", ["str", object, "string"])
def test_a_replaced_string_column_with_a_null(dtype):
    """String columns count also when a value is missing."""
    frame = pd.DataFrame({"word": pd.Series(["a", None, "c"], dtype=dtype)})
    other = pd.DataFrame({"word": pd.Series(["x", None, "z"], dtype=dtype)})

    one, two = ids(frame, other)
    assert one != two


def test_images_that_differ_from_the_thirteenth_on():
    """28 x 28 images: the first 10,000 elements are not even 13 of them."""
    images = np.random.default_rng(0).integers(0, 255, (100, 28, 28), dtype=np.uint8)
    other = images.copy()
    other[13:] = 255 - other[13:]

    one, two = ids(images, other)
    assert one != two


def test_nothing_is_shorter_than_128_bits():
    """Ids have 32 hex digits or more: among a million artifacts 8 digits would meet by chance."""
    for value in (1, "a", np.zeros(3), pd.DataFrame({"a": [1]}), object()):
        assert len(artifacts.identify(value).id.split(":")[1]) >= 32


def test_structures_of_the_same_bytes():
    """Values whose parts are the same bytes in other brackets, types or places."""
    values = [
        ([1, 2], [3]),
        ([1], [2, 3]),
        ([1, 2, 3],),
        [[1, 2], [3]],
        (1, 2, 3),
        [1, 2, 3],
        {1, 2, 3},
        {1: 2, 3: None},
        {"1": 2, "3": None},
        "1",
        1,
        True,
        1.0,
        b"1",
        "1\0",
        None,
        "None",
        "",
        b"",
        [],
        (),
        {},
        set(),
        0,
        False,
        0.0,
        -0.0,
        0j,
        ["a", "b"],
        ["ab"],
        ["a", "b", ""],
        {"a": "b"},
        [("a", "b")],
        {"a": {"b": 1}},
        {"a": {"b": 1}, "b": 1},
        np.array([1, 2, 3]),
        np.array([[1, 2, 3]]),
        np.array([[1], [2], [3]]),
        np.array([1, 2, 3], dtype="uint64"),
        np.array([1, 2, 3], dtype="m8[s]"),
        np.array([1, 2, 3], dtype="M8[s]"),
        np.array([1, 2, 3], dtype="M8[ms]"),
        np.array([1, 2, 3], dtype=object),
        np.array(["1", "2", "3"], dtype=object),
        pd.Series([1, 2, 3]),
        pd.DataFrame([1, 2, 3]),
        pd.DataFrame({"0": [1, 2, 3]}),
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame({"b": []}),
        pd.DataFrame({"a": [], "b": []}),
        pd.DataFrame({"a": pd.Series([], dtype="int64")}),
        pd.DataFrame({"a": pd.Series([], dtype="str")}),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(index=range(2)),
        np.zeros((0,)),
        np.zeros((0, 1)),
        np.zeros((0, 2)),
        np.zeros((1, 0)),
        np.zeros(()),
        np.zeros(1),
    ]
    found = ids(*values)

    assert all(one.startswith("xxh3:") for one in found)
    assert len(set(found)) == len(values)


def test_strings_of_a_column_do_not_run_into_each_other():
    """Where one string ends and the next begins counts, and whether one is missing or empty."""
    columns = [["ab", "c"], ["a", "bc"], ["abc", ""], ["", "abc"], ["abc", None], [None, "abc"], [None, None], ["", ""]]

    assert len(set(ids(*(pd.Series(words, dtype="str") for words in columns)))) == len(columns)
