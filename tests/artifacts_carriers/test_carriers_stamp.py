"""A stamp is checked in full wherever it comes from; what is no stamp is counted and ignored."""

import json
import os
import threading
from dataclasses import fields, replace

import pytest
from carrier_cases import OTHER, STAMP
from hypothesis import given, settings
from hypothesis import strategies as st

from mlotel.artifacts import carriers
from mlotel.artifacts.carriers import Stamp
from mlotel.artifacts.evidence import TRUST, Producer
from mlotel.errors import InvalidArgumentError, MlotelError

GOOD = json.loads(STAMP.to_json())
MADE = Producer(
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    span_id="00f067aa0ba902b7",
    trace_flags=1,
    component="clean",
    run_id="run-7",
    written_ns=1_700_000_000_000_000_000,
    artifact_id="xxh3:0123456789abcdef0123456789abcdef",
    name="clean-flights",
    uri="file://host/data/flights",
    evidence="process",
)


def counted(data):
    """Why ``data`` is no stamp."""
    before = carriers.ignored()
    assert Stamp.from_json(data, source="here") is None
    after = carriers.ignored()
    [(reason, number)] = [
        (reason, number - before.get((source, reason), 0))
        for (source, reason), number in after.items()
        if number != before.get((source, reason), 0)
    ]
    assert number == 1
    return reason


def test_what_stands_in_a_file():
    """The entry is one line of JSON with these names; what is not known is not there."""
    assert Stamp(STAMP.traceparent, content_id=STAMP.content_id, created_ns=5).to_json() == (
        '{"version":1,"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",'
        '"content_id":"xxh3:0123456789abcdef0123456789abcdef","created_ns":5}'
    )
    assert set(GOOD) == {
        "version", "traceparent", "content_id", "component", "run_id", "name", "uri", "schema_hash", "created_ns",
        "data_id",
    }  # fmt: skip


@pytest.mark.parametrize("stamp", [STAMP, OTHER, replace(STAMP, file_id="blake3:" + "c" * 64, content_id=None)])
def test_text_and_bytes_round_trip(stamp):
    """JSON of a stamp is the stamp again, as text and as bytes."""
    assert Stamp.from_json(stamp.to_json()) == Stamp.from_json(stamp.to_json().encode()) == stamp


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=256).filter(
    lambda text: not set(text) & set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)


@settings(max_examples=60, deadline=None)
@given(component=TEXT, run_id=TEXT, name=TEXT, uri=TEXT)
def test_any_text_fits(component, run_id, name, uri):
    """Whatever the names, a stamp is at most 4 KB of ASCII; the run and the ids are never left out."""
    stamp = replace(STAMP, component=component, run_id=run_id, name=name, uri=uri * 8)
    text = stamp.to_json()

    assert len(text) <= 4096
    assert text.isascii()
    found = Stamp.from_json(text)
    assert (found.traceparent, found.content_id, found.run_id) == (stamp.traceparent, stamp.content_id, run_id)
    assert all(getattr(found, field.name) in (getattr(stamp, field.name), None) for field in fields(found))


def test_producers_become_stamps_and_back():
    """A stamp holds what is known of a producer, and says it as a claim about the id that matched."""
    stamp = Stamp.of(MADE, content_id=MADE.artifact_id, data_id=STAMP.data_id, schema_hash="0" * 32)

    assert stamp == STAMP
    assert stamp.producer("embedded") == replace(MADE, evidence="embedded")
    both = Stamp.of(MADE, content_id=MADE.artifact_id, file_id="xxh3:" + "f" * 32)
    assert both.producer("sidecar", both.file_id) == replace(MADE, evidence="sidecar", artifact_id=both.file_id)
    assert Stamp.of(MADE, file_id=both.file_id).content_id is None
    assert Stamp.of(MADE, file_id=both.file_id).producer("sidecar").artifact_id == both.file_id


@pytest.mark.parametrize("text", ["", "x" * 257, "line\nline", "\x1b[31mred", "right \u202e left", "half \ud800"])
def test_texts_that_cannot_travel_are_left_out(text):
    """A name that is too long, or not plain text, is left out of the stamp and not cut: a cut name is another one."""
    stamp = Stamp.of(replace(MADE, component=text, name=text, run_id=text))

    assert (stamp.component, stamp.name, stamp.run_id, stamp.uri) == (None, None, None, MADE.uri)


@pytest.mark.parametrize("artifact_id", ["ref:" + "0" * 32, "partial:" + "0" * 32, "meta:" + "0" * 32])
def test_only_full_ids_are_vouched_for(artifact_id):
    """An id that does not mean equal content cannot be in a stamp."""
    with pytest.raises(InvalidArgumentError, match="content_id = '"):
        Stamp.of(replace(MADE, artifact_id=artifact_id))


def test_a_stamp_vouches_for_something():
    """Without any id there is no stamp, and inside a file without the content's id neither."""
    with pytest.raises(InvalidArgumentError, match="would vouch for nothing"):
        Stamp(STAMP.traceparent)
    with pytest.raises(ValueError, match="would vouch for nothing"):
        Stamp(STAMP.traceparent, file_id="xxh3:" + "0" * 32).embedded()


WRONG = {
    "version": [0, -1, True, 1.0, "1", None],
    "traceparent": [
        None, 1, "", "00", "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ],
    "content_id": [5, "", "xxh3:", "xxh3:" + "0" * 31, "xxh3:" + "g" * 32, "md5:" + "0" * 32, "ref:" + "0" * 32,
                   "sha256:" + "0" * 32, "xxh3:" + "0" * 32 + "\n", ["xxh3:" + "0" * 32]],
    "file_id": [5, "", "partial:" + "0" * 32],
    "data_id": [5, "", "partial:" + "0" * 32, "xxh3:" + "0" * 31],
    "is_test": [None, 0, 1, "true", []],
    "schema_hash": [5, "", "0" * 31, "0" * 33],
    "component": [5, "", {}, [], True, "x" * 257, "a\nb", "\x00", "\x1b[2J", "\u202e"],
    "run_id": [5, "", "x" * 257, "\x7f"],
    "name": [5, "", "x" * 257, "\x9b31m"],
    "uri": [5, "", "x" * 2049, "\u2028"],
    "created_ns": [-1, 2**63, 1.5, "1", None, True, float("nan"), float("inf")],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_wrong_fields(field, value):
    """One field that cannot be what it should be makes the whole no stamp."""
    assert counted(json.dumps({**GOOD, field: value})) == "foreign"


@pytest.mark.parametrize("data", ["null", "1", '"text"', "[]", "[{}]", "{}", '{"version":1}', '{"mlotel":{}}'])
def test_foreign_entries(data):
    """JSON of somebody else is no stamp."""
    assert counted(data) == counted(data.encode()) == "foreign"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"\xff\xfe{}", STAMP.to_json()[:-1].encode(), STAMP.to_json().encode("utf-16"),
        b"[" * 4000, b'{"a":' * 800, b"\x00" * 100, b"\xef\xbb\xbf" + STAMP.to_json().encode(),
        b'{"version":' + b"9" * 4000 + b"}x", STAMP.to_json().encode()[:-1] + b',"name":"other"}', b"{}{}",
        b'{"name":"\xed\xa0\x80"}',
    ],
)  # fmt: skip
def test_corrupt_entries(data):
    """What is no JSON, is nested without end, no UTF-8, or says a thing twice is counted as corrupt."""
    assert counted(data) == "corrupt"


def test_endless_numbers():
    """A number of thousands of digits is no version, whatever Python makes of it."""
    assert counted(b'{"version":' + b"9" * 4000 + b"}") in ("corrupt", "version")


def test_large_entries():
    """What is longer than 4 KB is not even looked at."""
    assert counted(json.dumps({**GOOD, "more": "x" * 4096})) == "too_large"
    assert counted(b"\xff" * 10_000_000) == "too_large"


def test_later_versions():
    """A form that a later release writes is ignored, and a later field of this form is no obstacle."""
    assert counted(json.dumps({**GOOD, "version": 2, "traceparent": "new"})) == "version"
    assert Stamp.from_json(json.dumps({**GOOD, "colour": "blue"})) == STAMP


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_is_a_stamp_or_none(data):
    """No input raises."""
    assert Stamp.from_json(data) is None


def test_counting_is_exact_and_a_copy():
    """Many threads count without losing one, and what is handed out is not what is counted in."""
    before = carriers.ignored().get(("threads", "corrupt"), 0)
    threads = [
        threading.Thread(target=lambda: [Stamp.from_json("{", source="threads") for _ in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = carriers.ignored()
    found["threads", "corrupt"] = 0

    assert carriers.ignored()["threads", "corrupt"] - before == 1600


def test_a_forked_child_counts_its_own():
    """A child starts at nothing, so that parent and child together report each entry once."""
    Stamp.from_json("{", source="before")
    child = os.fork()
    if child == 0:
        Stamp.from_json("{", source="child")
        os._exit(0 if carriers.ignored() == {("child", "corrupt"): 1} else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert ("child", "corrupt") not in carriers.ignored()


def test_producers_are_checked():
    """A claim with an impossible id, flag, time or evidence is a mistake in the call, told at once."""
    wrong = {
        "trace_id": ["0" * 32, "4BF92F3577B34DA6A3CE929D0E0E4736", 5, None],
        "span_id": ["0" * 16, "00f067aa0ba902b", b"00f067aa0ba902b7"],
        "trace_flags": [-1, 256, True, "1"],
        "written_ns": [-1, 2**63, 1.0, None],
        "artifact_id": ["", "xxh3", "xxh3:zz", "xxh3:" + "0" * 32 + "\n", None],
        "component": [5, b"clean"],
        "evidence": ["rumour", None],
    }
    for field, values in wrong.items():
        for value in values:
            with pytest.raises(InvalidArgumentError, match=rf"^Producer\(\) got {field} = .*\. Use ") as raised:
                replace(MADE, **{field: value})
            assert isinstance(raised.value, MlotelError)


def test_producers_in_words():
    """A producer has the W3C form of its span, and a label for people."""
    assert MADE.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert MADE.label == "clean@run-7"
    assert replace(MADE, component=None).label == "@run-7"
    assert replace(MADE, component=None, run_id=None).label is None


def test_the_order_of_trust():
    """The surest evidence comes first; `attrs` is no evidence of identity at all."""
    assert TRUST == ("process", "embedded", "sidecar", "index", "backend", "declared")
