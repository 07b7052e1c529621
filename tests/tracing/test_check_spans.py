"""Checks: what they may return, when they run, what a failure does and what is recorded of each."""

import asyncio
import functools
import warnings
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
from opentelemetry import context
from opentelemetry.trace import StatusCode

import mlotel
from mlotel import Check, errors


def passes():
    return True


def names(capture):
    return [span.name for span in capture.spans()]


def test_a_passed_check_is_a_span_and_an_event(capture):
    """A check records its name, stage, status, message and values on a span and on an ``ml.check.result`` event."""

    def enough(rows):
        return Check(True, "plenty", count=len(rows), share=0.5, label="ok")

    with mlotel.pipeline("p") as run, mlotel.component("clean", after=[enough]) as c:
        c.write([1, 2], name="rows")

    span = capture.span("check enough")
    expected = {
        "ml.check.name": "enough",
        "ml.check.stage": "after",
        "ml.check.status": "passed",
        "ml.check.message": "plenty",
        "ml.check.value.count": 2,
        "ml.check.value.share": 0.5,
        "ml.check.value.label": "ok",
        "ml.component.name": "clean",
        "ml.run.id": run.id,
    }
    assert dict(span.attributes) == expected
    assert span.parent.span_id == capture.span("component clean").context.span_id
    assert span.status.status_code is StatusCode.UNSET
    [event] = capture.events("ml.check.result")
    assert dict(event.log_record.attributes) == expected
    assert event.log_record.span_id == span.context.span_id
    assert event.log_record.trace_id == span.context.trace_id
    assert event.log_record.severity_text == "INFO"
    assert event.log_record.body == "check enough passed: plenty"
    assert event.log_record.timestamp
    assert "ml.check.failures" not in capture.metric_names()


def test_a_failed_check_is_counted(capture):
    """A failure sets the status of the check's span, an error type, a warning event and the counter."""

    def enough(rows):
        return Check(False, "too few rows", count=len(rows))

    with mlotel.component("clean", after=[enough]) as c:
        c.write([1], name="rows")

    span = capture.span("check enough")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "too few rows")
    assert span.attributes["ml.check.status"] == "failed"
    assert span.attributes["error.type"] == "mlotel.errors.CheckFailed"
    [event] = capture.events("ml.check.result")
    assert event.log_record.severity_text == "WARN"
    assert event.log_record.attributes["error.type"] == "mlotel.errors.CheckFailed"
    assert capture.metric("ml.check.failures", ml_check_name="enough", ml_component_name="clean") == 1
    assert capture.span("component clean").status.status_code is StatusCode.UNSET
    assert capture.events("ml.exception") == []


class Refuses:
    """Cannot be asked whether it is true."""

    def __bool__(self):
        raise RuntimeError("the truth of this is ambiguous")


Point = namedtuple("Point", "x y")


def crash():
    raise KeyError("missing column")


def assert_false():
    assert 1 == 2, "one is not two"


class NoMessage(Exception):
    def __str__(self):
        raise RuntimeError("cannot be read")


def crash_without_message():
    raise NoMessage


async def is_async():
    return True


ANSWERS = [
    (lambda: True, "passed", ""),
    (lambda: None, "passed", ""),
    (lambda: np.True_, "passed", ""),
    (lambda: Check("passed"), "passed", ""),
    (lambda: Check(np.True_), "passed", ""),
    (lambda: Check("skipped", "no data today"), "skipped", "no data today"),
    (lambda: False, "failed", ""),
    (lambda: np.False_, "failed", ""),
    (lambda: np.array([1, 2]).max() > 3, "failed", ""),
    (lambda: pd.Series([1, 2]).gt(3).any(), "failed", ""),
    (lambda: Check(False), "failed", ""),
    (lambda: Check("failed", "bad"), "failed", "bad"),
    (lambda: Check(False, 7), "failed", "7"),
    (assert_false, "failed", "one is not two\nassert 1 == 2"),
    (crash, "failed", "crashed with KeyError: 'missing column'"),
    (crash_without_message, "failed", f"crashed with {__name__}.NoMessage: <its message cannot be read>"),
    (lambda: 1, "failed", "returned int; return a bool, a Check or None, or raise AssertionError"),
    (lambda: "yes", "failed", "returned str; return a bool, a Check or None, or raise AssertionError"),
    (
        lambda: pd.DataFrame({"a": [1]}),
        "failed",
        f"returned {pd.DataFrame.__module__}.DataFrame; return a bool, a Check or None, or raise AssertionError",
    ),
    (
        lambda: Refuses(),
        "failed",
        f"returned {__name__}.Refuses; return a bool, a Check or None, or raise AssertionError",
    ),
    (is_async, "failed", "is async, and nobody awaits checks; write a plain function"),
]


@pytest.mark.parametrize(("check", "status", "message"), ANSWERS)
def test_every_answer_has_a_verdict(capture, check, status, message):
    """A bool (numpy's too), None, a ``Check``, an AssertionError or a crash: each has one status and message."""
    with mlotel.component("c", before=[check]):
        pass

    [span] = [span for span in capture.spans() if span.name.startswith("check ")]
    assert span.attributes["ml.check.status"] == status
    assert span.attributes.get("ml.check.message", "").split(",")[0] == message.split(",")[0]


def test_a_crashed_check_says_which_error(capture):
    """``error.type`` of a check that crashed is the class of its exception; the component goes on."""
    with mlotel.component("c", before=[crash]):
        pass

    assert capture.span("check crash").attributes["error.type"] == "KeyError"
    assert capture.metric("ml.check.failures", ml_check_name="crash") == 1
    assert capture.span("component c").status.status_code is StatusCode.UNSET


def test_hostile_messages_and_values(capture):
    """A message or value that cannot be read is described by its type, and never raised."""

    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError

        __str__ = __repr__ = __len__ = __bool__ = lambda self: 1 / 0

    def odd():
        return Check(False, Hostile(), thing=Hostile(), password="hunter2", nested={"a": 1})

    with mlotel.component("c", before=[odd]):
        pass

    attributes = capture.span("check odd").attributes
    assert attributes["ml.check.message"].endswith("Hostile>")
    assert attributes["ml.check.value.thing"].endswith("Hostile>")
    assert attributes["ml.check.value.password"] == "[redacted]"
    assert attributes["ml.check.value.nested.a"] == 1


# When checks run, and on what


def test_checks_before_run_when_their_inputs_are_read(capture):
    """A check runs as soon as all it asks for was read, so before the work; one without inputs runs at once."""

    def one(flights):
        return True

    def both(flights, weather):
        return True

    with mlotel.component("c", before=[both, one, passes]) as c:
        assert names(capture) == ["check passes"]
        c.read([1], name="flights")
        assert names(capture)[1:] == ["read flights", "check one"]
        c.read([2], name="weather")
        assert names(capture)[3:] == ["read weather", "check both"]
    assert names(capture)[5:] == ["component c"]


def test_checks_get_the_values_themselves(capture):
    """The objects that were read and written are handed over, by names spelled as identifiers."""
    got = {}
    frame, out = [1], [2]

    def before(clean_flights, _2013):
        got["before"] = (clean_flights, _2013)

    def after(result_rows, clean_flights):
        got["after"] = (result_rows, clean_flights)

    with mlotel.component("c", before=[before], after=[after]) as c:
        c.read(frame, name="clean-flights")
        c.read(2013, name="2013")
        c.write(out, name="result rows")

    assert got["before"] == (frame, 2013)
    assert got["before"][0] is frame
    assert got["after"][0] is out
    assert got["after"][1] is frame


def test_an_output_goes_before_an_input_of_the_same_name(capture):
    """After the component a name that was both read and written means what was written."""
    got = []
    with mlotel.component("c", after=[lambda rows: got.append(rows)]) as c:
        c.read([1, 2], name="rows")
        c.write([1], name="rows")

    assert got == [[1]]


def test_a_check_may_take_any_or_optional_names(capture):
    """``**values`` gets everything; a parameter with a default is filled when there is such a value."""
    got = []

    def anything(**values):
        got.append(values)

    def optional(x, y=7, *, z=8):
        got.append((x, y, z))

    with mlotel.component("c", after=[anything, optional]) as c:
        c.write(1, name="x")
        c.write(2, name="z")

    assert got == [{"x": 1, "z": 2}, (1, 7, 2)]


def test_a_missing_name_is_a_failure_that_says_what_there_is(capture):
    """A check whose input or output never came fails, with the names that were there."""

    def needs(wether, flights):
        return True

    with mlotel.component("c", before=[needs], after=[lambda out: True]) as c:
        c.read([1], name="flights")
        c.read([1], name="weather")

    before, after = (span for span in capture.spans() if span.name.startswith("check"))
    assert before.attributes["ml.check.message"] == "no input named wether; there is: flights, weather"
    assert after.attributes["ml.check.message"] == "no output named out; there is: flights, weather"
    assert before.attributes["ml.check.stage"] == "before"
    assert capture.metric("ml.check.failures", ml_check_name="needs") == 1


def test_each_check_runs_once(capture):
    """Reading the same name again does not run a check again."""
    calls = []
    with mlotel.component("c", before=[lambda x: calls.append(x)]) as c:
        c.read(1, name="x")
        c.read(2, name="x")

    assert calls == [1]


def test_checks_after_do_not_run_when_the_component_failed(capture):
    """A component that raised has no outputs to check."""
    calls = []
    with pytest.raises(ZeroDivisionError), mlotel.component("c", after=[lambda: calls.append(1)]):
        1 / 0  # noqa: B018 - raises

    assert calls == []


def test_values_that_no_check_asks_for_are_not_kept(capture):
    """A component with checks keeps only the values that they name: the rest goes with the user's ``del``."""
    import gc
    import weakref

    big, wanted = np.zeros(10), np.ones(10)
    with mlotel.component("c", after=[lambda wanted: True]) as c:
        c.read(big, name="big")
        c.read(wanted, name="wanted")
        gone, kept = weakref.ref(big), weakref.ref(wanted)
        del big, wanted
        gc.collect()
        assert gone() is None
        assert kept() is not None
    gc.collect()
    assert kept() is None


def test_spans_inside_a_check_are_its_children(capture):
    """What a check itself records belongs to the check."""
    tracer = capture.tracer_provider.get_tracer("app")

    def asks():
        with tracer.start_as_current_span("query"):
            return True

    with mlotel.component("c", before=[asks]):
        pass

    assert capture.span("query").parent.span_id == capture.span("check asks").context.span_id


def test_names_of_checks(capture):
    """A check is named after its function, also through a partial or a method; a lambda by its place."""

    class Rules:
        def method(self):
            return True

        def __call__(self):
            return True

    def named(limit):
        return limit > 1

    with mlotel.component("c", before=[functools.partial(named, 3), Rules().method, Rules(), lambda: True]):
        pass

    assert names(capture)[:4] == ["check named", "check method", "check before.2", "check before.3"]


def test_a_built_in_without_a_signature_as_a_check(capture):
    """A check whose parameters nobody can know gets every value, and says itself what is wrong."""
    with mlotel.component("c", after=[max]) as c:
        c.write([1, 2], name="iterable")

    message = capture.span("check max").attributes["ml.check.message"]
    assert message.startswith("crashed with TypeError: max")


def test_one_check_needs_no_list(capture):
    """``before=`` and ``after=`` take a function alone."""
    with mlotel.component("c", before=passes, after=passes):
        pass

    assert names(capture) == ["check passes", "check passes", "component c"]


# What a failure does


def fails(x):
    return Check(False, "x is bad")


def never(x):
    raise SystemExit("this check must not run")


def test_record_goes_on(capture):
    """``on_failure="record"``, the default, changes nothing for the program."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mlotel.component("c", after=[fails, passes]) as c:
            c.write(1, name="x")

    assert names(capture) == ["write x", "check fails", "check passes", "component c"]


def test_warn_warns_at_the_line_of_the_user(capture):
    """``on_failure="warn"`` warns once a failure, naming the file and line that read, or that called."""

    @mlotel.component("f", before=[fails], on_failure="warn")
    def function(x):
        return x

    with mlotel.component("c", before=[fails], on_failure="warn") as c:
        with pytest.warns(errors.CheckWarning) as caught:
            c.read(1, name="x")
        with pytest.warns(errors.CheckWarning) as again:
            function(1)

    caught = [*caught, *again]
    assert [str(one.message) for one in caught] == ["check fails failed: x is bad"] * 2
    assert {one.filename for one in caught} == {__file__}
    assert caught[1].lineno == caught[0].lineno + 2


def test_raise_raises_at_the_read(capture):
    """``on_failure="raise"`` raises CheckFailed where the bad input is read; later checks and the work do not run."""

    def work():
        with mlotel.component("c", before=[fails, never], after=[never], on_failure="raise") as c:
            c.read(1, name="x")
            pytest.fail("the work went on")

    with pytest.raises(errors.CheckFailed) as caught:
        work()

    assert (caught.value.check, caught.value.message) == ("fails", "x is bad")
    assert str(caught.value) == "Check 'fails' failed: x is bad"
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, mlotel.errors.MlotelError)
    assert names(capture) == ["read x", "check fails", "component c"]
    assert capture.span("component c").attributes["error.type"] == "mlotel.errors.CheckFailed"
    [event] = capture.events("ml.exception")
    assert event.log_record.attributes["exception.type"] == "mlotel.errors.CheckFailed"
    assert capture.metric("ml.check.failures", ml_check_name="fails") == 1


def test_raise_at_the_end(capture):
    """A failed check after the work raises out of the ``with`` statement."""
    with (
        pytest.raises(errors.CheckFailed, match="x is bad"),
        mlotel.component("c", after=[fails], on_failure="raise") as c,
    ):
        c.write(1, name="x")

    assert capture.span("component c").status.status_code is StatusCode.ERROR


def test_raise_at_the_beginning(capture):
    """A check without inputs raises before anything else happens, and nothing stays current."""
    from opentelemetry import context

    before = context.get_current()
    declared = mlotel.component("c", before=[lambda: False], on_failure="raise")
    with pytest.raises(errors.CheckFailed, match=r"^Check 'before\.0' failed\.$"), declared:
        pytest.fail("the work began")

    assert context.get_current() is before
    assert names(capture) == ["check before.0", "component c"]


@pytest.mark.parametrize(("check", "cause"), [(crash, KeyError), (assert_false, AssertionError), (fails, None)])
def test_the_cause_of_a_failed_check_is_kept(capture, check, cause):
    """CheckFailed of a check that crashed or asserted names that exception as its cause."""
    with (
        pytest.raises(errors.CheckFailed) as caught,
        mlotel.component("c", after=[check], on_failure="raise") as c,
    ):
        c.write(1, name="x")

    assert type(caught.value.__cause__) is (cause or type(None))


def test_the_function_is_not_called_when_a_check_before_it_raises(capture):
    """Every check before a decorated function runs first, whatever it asks for; a failure keeps it from running."""
    calls = []

    def optional(x=None):
        return False

    def anything(**values):
        return "x" not in values

    for check in (fails, optional, anything, lambda: False):

        @mlotel.component(before=[check], on_failure="raise")
        def work(x):
            calls.append(x)

        with pytest.raises(errors.CheckFailed):
            work(1)

    assert calls == []


def test_without_providers_raising_checks_still_run():
    """Where nobody listens, checks that were asked to raise do, and the others are not even called."""
    with pytest.raises(errors.CheckFailed), mlotel.component("c", before=[fails], on_failure="raise") as c:
        c.read(1, name="x")

    for on_failure in ("record", "warn"):
        with mlotel.component("c", before=[never], after=[never], on_failure=on_failure) as c:
            c.read(1, name="x")

    got = []
    with mlotel.component("c", before=[lambda x: got.append(x)], after=[lambda y: got.append(y)], on_failure="raise"):
        mlotel.read(1, name="x")
        assert got == [1]
        mlotel.write(2, name="y")
    assert got == [1, 2]
    assert dict(context.get_current()) == {}

    @mlotel.component(before=[fails], on_failure="raise")
    def work(x):
        pytest.fail("the function was called")

    with pytest.raises(errors.CheckFailed):
        work(1)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1), asyncio.CancelledError()])
def test_what_must_stop_the_program_passes_a_check(capture, stop):
    """KeyboardInterrupt and its like are no verdict: they pass, and the check's span ends with their type."""

    def stops():
        raise stop

    with pytest.raises(type(stop)), mlotel.component("c", before=[stops]):
        pass

    span = capture.span("check stops")
    assert span.attributes["error.type"].endswith(type(stop).__name__)
    assert span.status.status_code is StatusCode.ERROR
    assert capture.span("component c").status.status_code is StatusCode.ERROR


# Decorated functions


def test_checks_of_a_decorated_function(capture):
    """Checks before ask for parameters by their own names; after, for the function's name or ``result`` as well."""
    got = []

    def before(flights, limit):
        got.append(("before", flights, limit))

    def after(flights, clean, result):
        got.append(("after", flights, clean, result))

    @mlotel.component(before=[before], after=[after], inputs={"flights": "raw-flights"})
    def clean(flights, limit=3):
        got.append("work")
        return flights[:limit]

    clean([1, 2, 3, 4])

    assert got == [("before", [1, 2, 3, 4], 3), "work", ("after", [1, 2, 3, 4], [1, 2, 3], [1, 2, 3])]


def test_parts_of_a_result_have_names(capture):
    """Parts of a tuple, a dict, a named tuple, and those renamed with ``outputs=``, are asked for by their names."""
    got = []

    def by_key(mae, r2):
        got.append((mae, r2))

    def by_index(_0, _1):
        got.append((_0, _1))

    def by_field(x, y):
        got.append((x, y))

    def by_rename(train, test):
        got.append((train, test))

    for check, result, outputs in (
        (by_key, {"mae": 1.0, "r2": 0.5}, None),
        (by_index, (1.0, 0.5), None),
        (by_field, Point(1.0, 0.5), None),
        (by_rename, (1.0, 0.5), ("train", "test")),
        (by_rename, {"a": 1.0, "b": 0.5}, ["train", "test"]),
    ):
        mlotel.component("c", after=[check], outputs=outputs)(lambda result=result: result)()

    assert got == [(1.0, 0.5)] * 5


def test_checks_of_generators_and_coroutines(capture):
    """Of async functions and generators of both kinds, checks before run at the start and checks after at the end."""

    @mlotel.component("coroutine", before=[passes], after=[lambda result: result == 3])
    async def coroutine():
        await asyncio.sleep(0)
        return 3

    @mlotel.component("generator", before=[passes], after=[passes])
    def generator():
        yield 1

    @mlotel.component("async generator", before=[passes], after=[passes])
    async def async_generator():
        yield 1

    async def main():
        await coroutine()
        return [item async for item in async_generator()]

    assert asyncio.run(main()) == [1]
    assert list(generator()) == [1]

    assert names(capture) == [
        "check passes", "check after.0", "component coroutine",
        "check passes", "check passes", "component async generator",
        "check passes", "check passes", "component generator",
    ]  # fmt: skip
    assert {span.attributes["ml.check.status"] for span in capture.spans() if "check" in span.name} == {"passed"}


def test_a_failed_check_ends_an_async_component(capture):
    """CheckFailed before an async function keeps its body from running; the span ends with it."""

    @mlotel.component(before=[lambda: False], on_failure="raise")
    async def work():
        pytest.fail("the body ran")

    with pytest.raises(errors.CheckFailed):
        asyncio.run(work())

    assert capture.span("component work").attributes["error.type"] == "mlotel.errors.CheckFailed"


def test_a_check_for_an_impossible_name_is_refused_when_declared():
    """A check before a function that asks for what is no parameter is an error at once, with the nearest name."""

    def good(fligths):
        return True

    with pytest.raises(errors.InvalidArgumentError) as caught:

        @mlotel.component(before=[good])
        def clean(flights, limit):
            pass

    assert str(caught.value) == (
        "The check 'good' asks for 'fligths', and "
        "test_a_check_for_an_impossible_name_is_refused_when_declared.<locals>.clean() has no such parameter. "
        "Did you mean 'flights'? It has: flights, limit."
    )


def test_a_check_that_says_no_more_than_false_is_explained_by_its_docstring(capture):
    """The first line of the docstring says what does not hold; a check without one has no message."""

    def sorted_by_time(clean):
        """Rows are in the order of their time.

        Later steps rely on it.
        """
        return False

    def unexplained(clean):
        return False

    with mlotel.component("c", after=[sorted_by_time, unexplained]) as c:
        c.write([1], name="clean")

    assert (
        capture.span("check sorted_by_time").attributes["ml.check.message"]
        == "does not hold: Rows are in the order of their time."
    )
    assert "ml.check.message" not in capture.span("check unexplained").attributes


def test_a_check_that_asks_for_what_is_not_there_is_told_what_is(capture):
    """All names that could be asked for, not only those that another check asked for."""

    def small(flights):
        return True

    with mlotel.component("c", after=[small]) as c:
        c.read([1], name="raw")
        c.write([1], name="clean-flights")

    assert (
        capture.span("check small").attributes["ml.check.message"]
        == "no output named flights; there is: clean_flights, raw"
    )
