"""Objects without a content id, and objects that resist being looked at."""

import gc
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pandas as pd
import pytest

from mlotel import _guard, artifacts


class Thing:
    """An object that can be referenced weakly."""


class Slotted:
    __slots__ = ()


class Hostile:
    """Raises from whatever Python may ask of it, and counts."""

    asked = 0

    def _refuse(self, *arguments):
        type(self).asked += 1
        raise RuntimeError("do not look at me")

    __eq__ = __ne__ = __hash__ = __len__ = __bool__ = __iter__ = __getitem__ = __contains__ = _refuse
    __getattr__ = __getattribute__ = __array__ = __reduce__ = __reduce_ex__ = __repr__ = __str__ = _refuse
    __int__ = __float__ = __index__ = __complex__ = __bytes__ = __buffer__ = __dir__ = __sizeof__ = _refuse


def test_the_same_object_keeps_its_id():
    """A live object has one ref id, and no other object has it."""
    one, other = Thing(), Thing()

    first = artifacts.identify(one)

    assert artifacts.identify(one) == first
    assert artifacts.identify(other).id != first.id
    assert first.scope == "none"
    assert first.id.startswith("ref:")
    assert len(first.id) == len("ref:") + 32
    assert (first.schema_hash, first.row_count, first.column_count, first.size) == (None, None, None, None)


def test_an_id_is_not_used_again():
    """Objects that take the place of dead ones in memory get new ids, and dead ones are forgotten."""
    from mlotel.artifacts import _refs

    gc.collect()
    before = len(_refs._known)
    found = [artifacts.identify(Thing()).id for _ in range(2000)]
    gc.collect()

    assert len(set(found)) == 2000
    assert len(_refs._known) == before


def test_objects_are_not_kept_alive():
    """Identifying an object leaves no reference to it behind."""
    one = Thing()
    before = sys.getrefcount(one)
    artifacts.identify(one)
    assert sys.getrefcount(one) == before


def test_objects_that_cannot_be_referenced_weakly():
    """They get a new id each time, so that no two objects ever share one."""
    one = Slotted()
    assert artifacts.identify(one).id != artifacts.identify(one).id


def test_threads_agree_on_the_id_of_an_object():
    """Many threads that see one object for the first time get one id."""
    for _ in range(50):
        one, found = Thing(), []
        threads = [threading.Thread(target=lambda: found.append(artifacts.identify(one).id)) for _ in range(4)]  # noqa: B023 - joined below
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1


def test_hostile_objects_are_not_asked_anything():
    """An object that raises from every special method has a stable ref id, and none of them was called."""
    hostile = Hostile()
    Hostile.asked = 0

    assert artifacts.identify(hostile) == artifacts.identify(hostile)
    assert artifacts.kind_of(hostile) is None
    assert artifacts.shape_of(hostile) == (None, None)
    assert artifacts.artifact_type(hostile) == "other"
    assert Hostile.asked == 0


def test_hostile_objects_inside_known_ones_are_not_asked_anything():
    """Nor are they in lists, dicts, arrays and columns."""
    hostile = Hostile()
    objects = np.empty(2, dtype=object)
    objects[0] = hostile
    frame = pd.DataFrame({"a": pd.Series(objects, dtype=object)})
    Hostile.asked = 0

    for value in ([hostile], {"a": hostile}, (1, hostile), objects, frame, frame["a"]):
        assert artifacts.identify(value).scope == "none"
    assert Hostile.asked == 0


def test_metaclasses_that_raise():
    """A class that resists being looked at makes its objects unknown."""

    class Refusing(type):
        def __getattribute__(cls, name):
            raise RuntimeError("not my class either")

        def __hash__(cls):
            raise RuntimeError("no hash")

        def __eq__(cls, other):
            raise RuntimeError("no comparison")

    refusing = Refusing("Odd", (), {})()
    assert artifacts.identify(refusing).scope == "none"
    assert artifacts.kind_of(refusing) is None


def test_classes_functions_and_modules_are_unknown():
    """What is code, not data, has no content id."""
    for value in (Thing, len, lambda: 1, sys, Thing().__init__, iter([]), (item for item in ()), threading.Lock()):
        assert artifacts.identify(value).scope == "none"


def test_a_failure_is_one_debug_line(caplog):
    """Why a value could not be identified is said once, at level DEBUG."""
    _guard.forget()
    with caplog.at_level("DEBUG", logger="mlotel"):
        for _ in range(3):
            artifacts.identify([Thing()])

    [record] = caplog.records
    assert record.levelname == "DEBUG"
    assert "identify a value of type builtins.list" in record.getMessage()
    assert "Thing" in record.getMessage()


def test_a_list_that_changes_while_it_is_read():
    """A collection that changes meanwhile gives scope none."""

    class Zone(__import__("datetime").tzinfo):
        def utcoffset(self, when):
            growing.append(1)

    growing = [__import__("datetime").datetime(2024, 1, 1, tzinfo=Zone())]
    assert artifacts.identify(growing).scope == "none"


def test_a_keyboard_interrupt_passes(monkeypatch):
    """Ctrl-C is the user's, also in the middle of hashing."""
    from mlotel.artifacts import _base

    def interrupt(self, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(_base.Hasher, "raw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        artifacts.identify(b"bytes")


def test_nothing_heavy_is_loaded_before_it_is_needed():
    """Plain values load no library of tables or arrays; importing loads not even the hash."""
    program = """
        import sys
        heavy = {"numpy", "pandas", "polars", "pyarrow", "xxhash", "opentelemetry", "importlib.metadata"}
        from mlotel import artifacts
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        for value in (1, "a", [1, {"a": (2.5, None)}], b"bytes"):
            artifacts.kind_of(value), artifacts.shape_of(value), artifacts.artifact_type(value)
            assert artifacts.identify(value).scope == "full"
        assert heavy & set(sys.modules) == {"xxhash"}, heavy & set(sys.modules)
        import numpy
        artifacts.identify(numpy.arange(3))
        assert not {"pandas", "polars", "pyarrow", "opentelemetry"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
