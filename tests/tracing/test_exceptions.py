"""Exceptions of the user: the same object passes, one event says so, and nothing of it is kept."""

import asyncio
import concurrent.futures
import contextlib
import gc
import sys
import threading
import traceback
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

import mlotel
from mlotel.testing import capturing


def exception_events(capture):
    return [event.log_record for event in capture.events("ml.exception")]


def test_the_event_of_an_exception(capture):
    """``ml.exception`` carries type, message, stack trace and the names around it, in the context of the span."""
    with pytest.raises(KeyError), mlotel.pipeline("p") as run, mlotel.component("clean"):
        raise KeyError("arr_delay")

    [record] = exception_events(capture)
    attributes = dict(record.attributes)
    stacktrace = attributes.pop("exception.stacktrace")
    assert attributes == {
        "exception.type": "KeyError",
        "exception.message": "'arr_delay'",
        "ml.component.name": "clean",
        "ml.run.id": run.id,
    }
    assert stacktrace.startswith("Traceback (most recent call last):\n")
    assert 'raise KeyError("arr_delay")' in stacktrace
    assert stacktrace.endswith("KeyError: 'arr_delay'\n")
    span = capture.span("component clean")
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert record.severity_text == "ERROR"
    assert record.body == "component clean failed: KeyError: 'arr_delay'"
    assert span.start_time < record.timestamp <= capture.span("pipeline p").end_time


class Odd(Exception):
    """An exception with attributes, arguments and notes of its own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.payload = {"a": 1}


@pytest.mark.parametrize("how", ["with", "decorated", "generator", "coroutine"])
def test_the_exception_passes_unchanged(capture, how):
    """The same object comes out, with its attributes, notes, cause and frames, through pipelines and components."""
    cause = ValueError("cause")
    error = Odd("message", 7)
    if sys.version_info >= (3, 11):
        error.add_note("a note")

    def raises_it():
        raise error from cause

    def plain():
        raises_it()

    def generator():
        yield 1
        raises_it()

    async def coroutine():
        raises_it()

    def run():
        with mlotel.pipeline("p"):
            if how == "with":
                with mlotel.component("c"), mlotel.component("d"):
                    plain()
            elif how == "decorated":
                mlotel.component(mlotel.component(plain))()
            elif how == "generator":
                list(mlotel.component(generator)())
            else:
                asyncio.run(mlotel.component(coroutine)())

    before = dict(vars(error))
    with pytest.raises(Odd) as caught:
        run()

    assert caught.value is error
    assert vars(error) == before
    assert error.args == ("message", 7)
    assert error.__cause__ is cause
    assert error.__context__ is cause or error.__context__ is None
    functions = [step.name for step in traceback.extract_tb(error.__traceback__)]
    assert functions[-1] == "raises_it"
    assert "run" in functions
    assert len(exception_events(capture)) == 1


def test_one_event_on_the_innermost_span(capture):
    """Spans outside the innermost get status and type only."""
    with (
        pytest.raises(RuntimeError),
        mlotel.pipeline("outer"),
        mlotel.component("a"),
        mlotel.pipeline("inner"),
        mlotel.component("b"),
        mlotel.component("c"),
    ):
        raise RuntimeError("boom")

    [record] = exception_events(capture)
    assert record.span_id == capture.span("component c").context.span_id
    assert len(capture.spans()) == 5
    for span in capture.spans():
        assert span.attributes["error.type"] == "RuntimeError"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "boom")
        assert span.events == ()


def test_each_retry_is_an_event_of_its_own(capture):
    """Equal exceptions of a retry loop, which reuse the memory of the one before, are one event each."""

    def attempt():
        raise TimeoutError("try again")

    @mlotel.component
    def decorated():
        attempt()

    with contextlib.suppress(TimeoutError), mlotel.component("outer"):
        for _ in range(10):
            with contextlib.suppress(TimeoutError), mlotel.component("inner"):
                attempt()
            with contextlib.suppress(TimeoutError):
                decorated()
        attempt()

    spans = [record.span_id for record in exception_events(capture)]
    assert len(spans) == len(set(spans)) == 21
    assert spans[-1] == capture.span("component outer").context.span_id


def test_an_exception_raised_again_later_is_one_event(capture):
    """The same object, kept and raised again from another component, was said already."""
    with pytest.raises(OSError, match="disk") as caught, mlotel.component("first"):
        raise OSError("disk")
    with pytest.raises(OSError, match="disk"), mlotel.component("second"):
        raise caught.value

    [record] = exception_events(capture)
    assert record.span_id == capture.span("component first").context.span_id
    assert capture.span("component second").attributes["error.type"] == "OSError"


def test_raise_from_is_two_exceptions(capture):
    """An exception made from another is its own event, on the span where it was made; its trace shows both."""

    def work():
        with mlotel.component("outer"):
            try:
                with mlotel.component("inner"):
                    raise KeyError("k")
            except KeyError as error:
                raise RuntimeError("translated") from error

    with pytest.raises(RuntimeError):
        work()

    inner, outer = exception_events(capture)
    assert inner.attributes["exception.type"] == "KeyError"
    assert outer.attributes["exception.type"] == "RuntimeError"
    assert "The above exception was the direct cause" in outer.attributes["exception.stacktrace"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is new in Python 3.11")
def test_exception_groups(capture):
    """A group is one exception on the span that it leaves; what it holds was said where it was raised."""

    async def fails(n):
        with mlotel.component(f"c{n}"):
            await asyncio.sleep(0)
            raise ValueError(n)

    async def main():
        with mlotel.component("all"):
            async with asyncio.TaskGroup() as group:
                group.create_task(fails(1))
                group.create_task(fails(2))

    with pytest.raises(Exception, match="unhandled errors in a TaskGroup") as caught:
        asyncio.run(main())

    assert [type(error) for error in caught.value.exceptions] == [ValueError, ValueError]
    records = exception_events(capture)
    assert [record.attributes["exception.type"] for record in records] == ["ValueError", "ValueError", "ExceptionGroup"]
    assert capture.span("component all").attributes["error.type"] == "ExceptionGroup"


@pytest.mark.parametrize("carried", [True, False])
def test_exceptions_through_futures(capture, carried):
    """An exception of a component in a thread, raised again by ``result()``, is one event, with or without carry."""

    @mlotel.component
    def work(n):
        raise ValueError(n)

    with mlotel.component("main"), concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(mlotel.carry(work) if carried else work, n) for n in range(4)]
        for future in futures:
            with contextlib.suppress(ValueError), mlotel.component("collect"):
                future.result()

    records = exception_events(capture)
    assert len(records) == 4
    workers = {span.context.span_id for span in capture.spans("component work")}
    assert {record.span_id for record in records} == workers
    assert len(capture.spans("component collect")) == 4
    assert all(span.attributes["error.type"] == "ValueError" for span in capture.spans("component collect"))


def test_gathered_exceptions(capture):
    """Of several tasks that fail at once each exception is one event, also the one that leaves the outer component."""

    @mlotel.component
    async def work(n):
        await asyncio.sleep(0)
        raise ValueError(n)

    async def main():
        with mlotel.component("outer"):
            await asyncio.gather(*(work(n) for n in range(5)))

    with pytest.raises(ValueError, match="0"):
        asyncio.run(main())

    assert len(exception_events(capture)) == 5
    assert capture.span("component outer").attributes["error.type"] == "ValueError"


# What is a failure


@pytest.mark.parametrize("code", [None, 0, False])
def test_a_program_that_exits_well_did_not_fail(capture, code):
    """``sys.exit()`` and ``sys.exit(0)`` end a run that is ok."""
    with pytest.raises(SystemExit), mlotel.pipeline("p") as run, mlotel.component("c"):
        sys.exit(code)

    assert run.status == "ok"
    assert exception_events(capture) == []
    for span in capture.spans():
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in span.attributes


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (SystemExit(1), "SystemExit"),
        (SystemExit("no data"), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (Odd(), f"{__name__}.Odd"),
        (concurrent.futures.TimeoutError(), "TimeoutError" if sys.version_info >= (3, 11) else None),
    ],
)
def test_everything_else_is_a_failure(capture, error, type_):
    """An exit with a status, an interrupt and a cancellation are failures with their qualified type."""
    with pytest.raises(type(error)) as caught, mlotel.pipeline("p") as run, mlotel.component("c"):
        raise error

    assert caught.value is error
    assert run.status == "error"
    assert capture.span("component c").attributes["error.type"] == (type_ or "concurrent.futures._base.TimeoutError")
    assert len(exception_events(capture)) == 1


def test_leaving_a_generator_early_is_no_failure(capture):
    """GeneratorExit passing a ``with`` statement ends the component well."""

    def batches():
        with mlotel.component("c"):
            yield 1

    made = batches()
    next(made)
    made.close()
    assert "error.type" not in capture.span("component c").attributes


# Exceptions that are hard to read


class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


def test_an_exception_that_cannot_be_read(capture):
    """An exception whose own methods raise passes all the same, and is recorded by its type and frames."""
    with pytest.raises(Unreadable), mlotel.component("c"):
        raise Unreadable

    span = capture.span("component c")
    assert span.attributes["error.type"] == f"{__name__}.Unreadable"
    assert span.status.description == "<its message cannot be read>"
    [record] = exception_events(capture)
    assert "test_an_exception_that_cannot_be_read" in record.attributes["exception.stacktrace"]


def test_long_messages_and_traces_are_cut(capture):
    """Messages are cut at 2,048 characters and traces at 16,384, at their beginning: the end says what happened."""

    def dig(n):
        if n:
            dig_deeper(n)
        else:
            raise ValueError("x" * 10_000 + "\ud800")

    def dig_deeper(n):
        dig(n - 1)

    with pytest.raises(ValueError, match="x"), mlotel.component("c"):
        dig(150)

    [record] = exception_events(capture)
    assert len(record.attributes["exception.message"]) == 2048
    assert len(record.attributes["exception.stacktrace"]) <= 16_384
    assert record.attributes["exception.stacktrace"].startswith("… [cut]\n")
    assert record.attributes["exception.stacktrace"].endswith("x?\n")
    assert len(capture.span("component c").status.description) == 2048


def test_a_stack_that_is_full(capture):
    """RecursionError passes and is recorded."""

    def endless(n):
        return endless(n + 1)

    with pytest.raises(RecursionError), mlotel.component("c"):
        endless(0)

    assert capture.span("component c").attributes["error.type"] == "RecursionError"
    assert len(exception_events(capture)) == 1


def test_only_types_leave_where_that_is_wanted(monkeypatch):
    """``MLOTEL_CAPTURE_ERRORS=type`` keeps messages and source lines inside: type and place are left."""
    monkeypatch.setenv("MLOTEL_CAPTURE_ERRORS", "type")

    def secretive(x):
        assert x == 1, "x is hunter2"

    def crashes(x):
        raise KeyError("hunter2")

    @mlotel.component("c", after=[secretive, crashes])
    def work():
        try:
            raise KeyError("hunter2 inside")
        except KeyError as cause:
            raise ValueError("hunter2") from cause

    with capturing() as capture:
        with pytest.raises(ValueError, match="hunter2"):
            work()
        with mlotel.component("d", after=[secretive, crashes]) as c:
            c.write(2, name="x")

        [record] = exception_events(capture)
        recorded = [
            *(str(span.attributes) + span.name + str(span.status.description) for span in capture.spans()),
            *(str(event.log_record.body) + str(dict(event.log_record.attributes)) for event in capture.events()),
        ]
    assert "hunter2" not in "".join(recorded)
    lines = record.attributes["exception.stacktrace"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2].startswith(f'  File "{__file__}", line ')
    assert lines[-2].endswith(", in work")
    assert lines[-1] == "ValueError"
    assert record.attributes["exception.message"] == ""
    assert record.body == "component c failed: ValueError"
    failed = [span.attributes["ml.check.message"] for span in capture.spans() if "check" in span.name]
    assert failed == ["raised AssertionError", "crashed with KeyError"]


# Nothing is kept


class Payload:
    """Data in a frame of the failing code."""


@pytest.mark.parametrize("how", ["with", "decorated", "generator", "thrown", "check"])
def test_a_failed_component_keeps_nothing_alive(capture, how):
    """When the user has dropped the exception, its frames and their data are gone, without the garbage collector."""
    gone = []

    def raises():
        payload = Payload()
        gone.append(weakref.ref(payload))
        raise ValueError("x")

    def generator():
        payload = Payload()
        gone.append(weakref.ref(payload))
        try:
            yield 1
        except KeyError:
            raise ValueError("x") from None
        raise ValueError("x")

    def run():
        try:
            with mlotel.pipeline("p"), mlotel.component("outer"):
                if how == "with":
                    with mlotel.component("c"):
                        raises()
                elif how == "decorated":
                    mlotel.component(raises)()
                elif how == "generator":
                    list(mlotel.component(generator)())
                elif how == "check":
                    with mlotel.component("c", after=[raises], on_failure="raise"):
                        pass
                else:
                    made = mlotel.component(generator)()
                    next(made)
                    made.throw(KeyError())
        except (ValueError, AssertionError):
            pass

    gc.collect()
    gc.disable()
    try:
        run()
        assert [ref() for ref in gone] == [None]
    finally:
        gc.enable()


def test_a_component_itself_goes_without_the_garbage_collector():
    """An ended component, its declaration and its context are freed at once: loops of components do not fill memory."""
    with capturing():
        gc.collect()
        gc.disable()
        try:
            before = count_of_ours()
            with mlotel.pipeline("p"):
                for _ in range(500):
                    with mlotel.component("c"):
                        pass
            rise = count_of_ours() - before
        finally:
            gc.enable()
    assert rise <= 5  # the event of the run's start, kept in memory here, holds its context


def count_of_ours():
    return sum(
        str(type.__getattribute__(type(one), "__module__")).startswith("mlotel.tracing") for one in gc.get_objects()
    )


def test_an_exception_without_a_traceback(capture):
    """A component that is ended by hand with an exception that was never raised records it."""
    declared = mlotel.component("c")
    with mlotel.component("outer"):
        declared.__enter__()
        declared.__exit__(ValueError, ValueError("made"), None)

    [record] = exception_events(capture)
    assert record.attributes["exception.stacktrace"] == "ValueError: made\n"
    assert capture.span("component c").attributes["error.type"] == "ValueError"


def test_what_is_remembered_of_exceptions_is_bounded(capture):
    """A component in which very many others fail keeps a bounded number of places, and still knows the latest."""

    def work():
        with mlotel.component("outer") as outer:
            for _ in range(600):
                with contextlib.suppress(KeyError), mlotel.component("inner"):
                    raise KeyError
            assert len(outer._scope._seen) <= 257
            with mlotel.component("inner"):
                raise ValueError("last")

    with pytest.raises(ValueError, match="last"):
        work()
    assert len(exception_events(capture)) == 601


def test_the_context_is_restored_after_a_failure(capture):
    """After any exception nothing of the component stays current."""
    before = trace.get_current_span()
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with contextlib.suppress(error), mlotel.pipeline("p"), mlotel.component("c"):
            raise error
    assert trace.get_current_span() is before


def test_failures_in_many_threads(capture):
    """Components that fail in threads at once lose no event and mix none up."""

    def work(n):
        for index in range(25):
            with contextlib.suppress(ValueError), mlotel.component(f"t{n}"):
                raise ValueError(index)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    spans = {span.context.span_id for span in capture.spans()}
    assert {record.span_id for record in exception_events(capture)} == spans
    assert len(spans) == 100
