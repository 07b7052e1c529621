"""Every public entry, given every kind of object that a library should not touch: contract tests."""

import contextlib
import gc
import time
import traceback
import tracemalloc
import weakref

import pytest
from hostile import ENTRIES, VALUES, Touched, Untouchable
from opentelemetry import context
from opentelemetry.sdk.trace import TracerProvider

import mlotel
from mlotel import _guard, _providers
from mlotel.testing import capturing
from mlotel.tracing import lineage


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Failures of ours are logged and not raised: what then still gets out would reach users."""
    monkeypatch.setattr(_guard, "STRICT", False)


def outcome(entry, value):
    """What ``entry`` gives for ``value``; and, as text, what it raised and where."""
    try:
        return entry(value), ""
    except BaseException as error:
        said = f"{type(error).__name__} {error}" if type(error) is Touched else type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        return None, said + "".join(f"\n{frame.filename}:{frame.lineno} {frame.line}" for frame in frames)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", VALUES)
def test_nothing_is_raised_touched_or_changed(kind, entry, caplog):
    """Every entry gives the very value back, soon, leaves no context behind, and its spans are all ended."""
    value = VALUES[kind]()
    before = context.get_current()
    with capturing() as capture:
        began = time.monotonic()
        result, where = outcome(ENTRIES[entry], value)
        spent = time.monotonic() - began
        inside = context.get_current()
        opened = capture.spans()

    is_same = result is value
    del result, value  # pytest would look at them to show them
    assert where == ""
    assert is_same
    assert spent < 20
    assert context.get_current() is before
    assert not inside or inside == {}
    assert opened or entry == "carry"
    assert all(span.end_time is not None for span in opened)
    assert [record.getMessage() for record in caplog.records if "could not" in record.getMessage()] == []


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", VALUES)
def test_the_same_without_anybody_who_records(kind, entry):
    """With nothing configured the entries do even less."""
    value = VALUES[kind]()
    result, where = outcome(ENTRIES[entry], value)
    is_same = result is value
    del result, value

    assert (where, is_same) == ("", True)


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind not in ("int", "huge int")])
def test_rows_that_are_no_count_are_refused_without_a_look(kind):
    """removed() wants a whole number, and says so of everything else without asking it anything."""
    value = VALUES[kind]()
    with capturing(), mlotel.component("c") as c, pytest.raises((TypeError, ValueError)) as raised:
        c.removed(value, reason="outlier")

    assert "Pass how many were removed" in str(raised.value)


def test_a_text_of_100_megabytes_costs_no_copy_of_itself():
    """A huge string is cut before anything is done with it: time and memory are those of the part that is kept."""
    text = "ä" * 50_000_000
    with capturing(redact=lambda shown: shown) as capture:
        tracemalloc.start()
        began = time.thread_time()
        with mlotel.pipeline("p", params={"text": text}, tags={"text": text}), mlotel.component("c") as c:
            c.param(text=text, items=[text])
            c.removed(1, reason=text)
        spent, peak = time.thread_time() - began, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert spent < 1.0
    assert peak < 4_000_000
    assert len(capture.span("component c").attributes["ml.param.text"]) == 2048


def test_nothing_of_ten_thousand_of_them_is_kept(monkeypatch):
    """Objects, classes, failures and their messages go when the program lets go, and what is remembered is bounded."""
    monkeypatch.setattr(lineage, "MAX_PRODUCERS", 100)
    alive = weakref.WeakSet()

    class Value(Untouchable):
        __hash__ = object.__hash__
        __eq__ = object.__eq__

    class Error(Exception):
        def __str__(self):
            raise RuntimeError(str(id(self)))

    def use(number):
        value, error = Value(), Error()
        alive.update((value, error))
        with mlotel.component("c", after=[lambda: value]) as c:
            c.read(value)
            c.write(value, name=f"n{number % 100}")
            c.param(**{f"p{number % 100}": value})
        with contextlib.suppress(Error), mlotel.component("d"):
            raise error

    before = _providers.use(_providers.Providers(tracer_provider=TracerProvider(shutdown_on_exit=False)))
    try:
        for number in range(1000):
            use(number)
        gc.collect()
        tracemalloc.start()
        for number in range(9000):
            use(number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        _providers.use(before)

    assert len(alive) == 0
    assert grown < 200_000  # bytes


def test_touching_would_be_seen():
    """The traps work: what is asked of such an object does raise, through any ``except Exception``."""
    value = Untouchable()
    for ask in (repr, bool, len, hash, iter, lambda one: one == 1, lambda one: one.anything):
        with pytest.raises(Touched):
            ask(value)
