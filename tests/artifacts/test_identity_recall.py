"""A column that was described before is told by its raw bytes, and never taken for another one."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlotel.artifacts import _recall, identify


@pytest.fixture(autouse=True)
def recalling(monkeypatch):
    """Columns of any size are recalled, beginning with none."""
    monkeypatch.setattr(_recall, "LEAST", 0)
    _recall.forget()
    yield
    _recall.forget()


def anew(value):
    """The identity where nothing is recalled."""
    known = _recall._known.copy()
    _recall.forget()
    found = identify(value)
    _recall.forget()
    _recall._known.update(known)
    return found


def frame():
    texts = ["a", None, "", "ä" * 9, "b", "c", "d", "e", "f"] * 9
    return pd.DataFrame(
        {
            "float": np.where(np.arange(81) % 7 == 0, np.nan, np.arange(81) / 3),
            "narrow": np.arange(81, dtype=np.float32),
            "time": pd.date_range("2024", periods=81, freq="h", tz="Europe/Berlin", unit="us"),
            "lasts": pd.to_timedelta(np.arange(81), "s").as_unit("s"),
            "text": pd.array(texts, "string[pyarrow]"),
            "str": pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
        }
    )


def test_what_is_recalled_is_what_was_described():
    """The second identity of equal content is the first one, in every field, also of another object."""
    first = anew(frame())

    assert identify(frame()) == first
    assert len(_recall._known) == 6
    assert identify(frame()) == first
    assert len(_recall._known) == 6


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("float", 0.5),
        ("float", -0.0),
        ("float", np.nan),
        ("narrow", np.inf),
        ("time", pd.NaT),
        ("time", pd.Timestamp("2024-01-01 04:00:00.000001", tz="Europe/Berlin")),
        ("lasts", pd.NaT),
        ("text", "A"),
        ("text", None),
        ("str", ""),
    ],
)
def test_a_change_in_place_is_seen(column, value):
    """One value that is changed in the very same frame gives the id of the changed frame."""
    data = frame()
    before = identify(data)
    data.loc[4, column] = value

    after = identify(data)

    assert after.id != before.id
    assert after == anew(data)


def test_times_of_equal_bytes_are_told_apart():
    """Seconds, milliseconds, zones, durations and numbers of the very same bits are as many contents."""
    ticks = np.arange(100, dtype=np.int64)
    made = [ticks.view(kind) for kind in ("M8[s]", "M8[ms]", "M8[us]", "m8[s]", "m8[us]", "f8")]
    found = [identify(pd.Series(values)) for values in made]
    found.append(identify(pd.Series(made[2]).dt.tz_localize("UTC")))

    assert len({one.id for one in found}) == len(found)
    assert found[:6] == [anew(pd.Series(values)) for values in made]


def test_a_change_in_a_buffer_that_is_shared_is_seen():
    """The bytes are read each time: a change behind the back of pandas is one like any other."""
    values = np.arange(1000.0)
    data = pd.DataFrame({"x": values}, copy=False)
    assert np.shares_memory(values, data["x"].to_numpy())
    before = identify(data)

    values[500] = -1.0

    assert identify(data).id != before.id
    assert identify(data) == anew(data)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_parts_of_arrow_arrays_are_told_apart(kind):
    """Slices share buffers, and validity bits in one byte: each has the id of a copy of its rows."""
    texts = ["a", None, "bb", "", None, "c", "dd", "e"] * 20
    array = pa.array(texts, kind)
    for start in range(18):
        for length in (0, 1, 7, 8, 9, 40):
            part = array.slice(start, length)
            expected = anew(pa.array(texts[start : start + length], kind))
            assert identify(part) == expected
            assert identify(part) == expected


def test_how_rows_are_chunked_does_not_count():
    """Chunks are other bytes and the same content."""
    texts = ["a", None, "bb", "c"] * 10
    whole = identify(pa.chunked_array([pa.array(texts)]))

    assert identify(pa.chunked_array([pa.array(texts[:16]), pa.array(texts[16:])])) == whole
    assert identify(pa.chunked_array([pa.array(texts[:3]), pa.array(texts[3:])])) == whole


def test_text_that_lies_under_a_null_does_not_count():
    """What a null hides is other bytes and the same content."""
    valid = pa.py_buffer(bytes([0b101]))
    ends = pa.py_buffer(np.array([0, 1, 2, 3], np.int32))
    arrays = [
        pa.StringArray.from_buffers(3, ends, pa.py_buffer(text), valid, null_count=1) for text in (b"axc", b"ayc")
    ]

    assert identify(arrays[0]) == identify(arrays[1]) == anew(pa.array(["a", None, "c"]))


def test_who_does_not_trust_the_hash_gets_nothing_recalled():
    """Ids of sha256 are made from all bytes, each time."""
    identify(frame(), algorithm="sha256")

    assert not _recall._known


def test_what_is_known_is_bounded(monkeypatch):
    """However many columns there are, only so many are remembered, the latest."""
    monkeypatch.setattr(_recall, "REMEMBERED", 3)
    for number in range(10):
        identify(pd.DataFrame({"x": [float(number)]}))

    assert len(_recall._known) == 3
