"""Whatever way user code leaves, and whatever it does where mlotel calls it: nothing hangs, no context stays behind."""

import asyncio
import builtins
import contextlib
import contextvars
import datetime
import gc
import sys
import threading

import pytest
from hostile import no_recursion_room
from opentelemetry import context
from opentelemetry.sdk.trace import SpanProcessor

import mlotel
from mlotel import _guard
from mlotel.testing import capturing


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Failures of ours are logged and not raised."""
    monkeypatch.setattr(_guard, "STRICT", False)


@pytest.fixture(autouse=True)
def no_context_left():
    """The context of the test is afterwards what it was before."""
    before = context.get_current()
    yield
    assert context.get_current() is before


def ended(capture, name):
    return [span.attributes.get("error.type") for span in capture.spans(f"component {name}")]


# How code leaves


class Awful(Exception):
    """Its texts fail, each in another way."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__

    @property
    def args(self):
        raise RuntimeError("no args")

    def __getattribute__(self, name):
        if name in ("__notes__", "__cause__", "__context__", "add_note"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


class NotText(Exception):
    """Its text is none."""

    def __str__(self):
        return 3


class Quiet(BaseException):
    """No Exception."""


def errors():
    yield Awful()
    yield NotText()
    yield Quiet()
    yield KeyboardInterrupt()
    yield SystemExit(1)
    yield GeneratorExit()
    yield StopIteration(3)
    yield MemoryError()
    yield RecursionError()
    yield asyncio.CancelledError()
    yield ValueError("x" * 100_000_000)
    yield UnicodeDecodeError("utf-8", b"\xff", 0, 1, "\ud800")
    if sys.version_info >= (3, 11):
        group = builtins.BaseExceptionGroup
        yield group("group", [Awful(), group("inner", [Quiet(), KeyboardInterrupt()])])
        noted = ValueError("noted")
        noted.add_note("\udfff")
        noted.__notes__.append(3)
        yield noted
    circle = ValueError("circle")
    circle.__cause__ = RuntimeError("cause")
    circle.__cause__.__cause__ = circle
    yield circle


@pytest.mark.parametrize("number", range(len(list(errors()))))
@pytest.mark.parametrize("decorated", [False, True])
def test_an_exception_passes_as_it_is(number, decorated):
    """The very object arrives, with its own cause and context, through pipeline and component; each span is ended."""
    error = list(errors())[number]
    before = (BaseException.__getattribute__(error, "__cause__"), BaseException.__getattribute__(error, "__context__"))

    @mlotel.component
    def fails():
        raise error

    caught = None
    with capturing() as capture:
        try:
            with mlotel.pipeline("p"):
                if decorated:
                    fails()
                else:
                    with mlotel.component("fails"):
                        raise error
        except BaseException as arrived:
            caught = arrived

    after = (BaseException.__getattribute__(error, "__cause__"), BaseException.__getattribute__(error, "__context__"))
    assert caught is error
    assert after == before
    assert len(ended(capture, "fails")) == 1
    assert len(capture.spans("pipeline p")) == 1
    error.__traceback__ = None


def test_a_cancelled_task_ends_its_component_as_cancelled():
    """Cancellation and time-outs reach the task; what was open is ended, in whatever order the tasks stop."""

    @mlotel.component
    async def waits(number):
        await asyncio.sleep(60)

    async def main():
        tasks = [asyncio.create_task(waits(number)) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks[::2], return_exceptions=True)
        for task in tasks[1::2]:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.001)
        return results

    with capturing() as capture:
        results = asyncio.run(main())

    assert {type(result) for result in results} == {asyncio.CancelledError}
    assert ended(capture, "waits") == ["asyncio.exceptions.CancelledError"] * 20


@pytest.mark.parametrize("way", ["close", "throw", "drop", "drop in a thread", "drop in another context", "never"])
def test_generators_that_are_not_finished(way):
    """Closed early, thrown into, dropped here or in another thread or context: its span ends, and nothing stays."""

    @mlotel.component
    def numbers():
        with mlotel.component("inside"):
            yield from range(3)

    with capturing() as capture:
        running = numbers()
        assert next(running) == 0
        box = [running]
        del running
        if way == "close":
            box[0].close()
        elif way == "throw":
            with pytest.raises(KeyError):
                box[0].throw(KeyError("k"))
        elif way == "drop in a thread":
            thread = threading.Thread(target=box.clear)
            thread.start()
            thread.join()
        elif way == "drop in another context":
            contextvars.Context().run(box.clear)
        elif way == "drop":
            box.clear()
        gc.collect()
        assert not context.get_current()
        with mlotel.component("next"):
            pass
        if way != "never":
            assert len(ended(capture, "numbers")) == len(ended(capture, "inside")) == 1
        box.clear()

    [following] = capture.spans("component next")
    assert following.parent is None


@pytest.mark.parametrize("room", range(0, 160, 3))
def test_near_the_recursion_limit_nothing_stays_behind(room):
    """With little room on the stack a call may fail as any call would; it leaves no context and no open span."""
    with capturing() as capture:
        for _ in range(2):
            with contextlib.suppress(RecursionError), no_recursion_room(room), mlotel.component("c") as c:
                c.param(a=1)
                c.write([1.0, 2.0], name="n")
        assert not context.get_current()
        with mlotel.component("after"):
            pass

    assert capture.span("component after").parent is None


def test_a_recursion_without_end_in_a_component():
    """RecursionError of the user's own reaches the user, and the component has failed with it."""

    @mlotel.component
    def deeper(number):
        return deeper(number + 1)

    with capturing() as capture, pytest.raises(RecursionError):
        deeper(0)

    assert {"RecursionError"} >= set(ended(capture, "deeper"))
    assert len(ended(capture, "deeper")) > 20


# What user code does where mlotel calls it


class Elsewhere:
    """Opens a component in another thread, and waits for it: with a lock held here, neither would go on."""

    def __init__(self):
        self.times = 0
        self.stuck = 0
        self._inside = threading.local()

    def __call__(self):
        if threading.current_thread().name == "elsewhere":
            return
        self.times += 1
        thread = threading.Thread(target=self._work, name="elsewhere", daemon=True)
        thread.start()
        thread.join(5)
        self.stuck += thread.is_alive()

    def _work(self):
        with mlotel.pipeline("elsewhere"), mlotel.component("elsewhere") as c:
            c.read([1.0], name="there")
            c.write(object(), name="made there")
            c.removed(1, reason="there")
            c.param(there=1)


class Processor(SpanProcessor):
    """A span processor of the host's."""

    def __init__(self, do):
        self.on_start = lambda span, parent_context=None: do()
        self.on_end = lambda span: do()


def use_everything(do, at_death=lambda: None):
    """Give mlotel code of the user's to call, wherever it does call any."""

    class Error(Exception):
        def __str__(self):
            do()
            return "words"

    class Path:
        def __fspath__(self):
            do()
            return "nowhere.csv"

    class Zone(datetime.tzinfo):
        def utcoffset(self, when):
            do()
            return datetime.timedelta(hours=1)

        def tzname(self, when):
            return "there"

        dst = utcoffset

    class Content:
        def __mlotel_content__(self):
            do()
            return b"content"

    class Dying:
        def __del__(self):
            at_death()

    def check(path):
        do()
        return mlotel.Check(False, "no")

    when = datetime.datetime(2026, 1, 1, tzinfo=Zone())
    with (
        mlotel.pipeline("p", params={"when": when}),
        contextlib.suppress(Error),
        mlotel.component("c", before=[check]) as c,
    ):
        c.read(Path(), name="path")
        c.write(Content(), name="content")
        c.read(Dying(), name="dying")
        c.param(dying=Dying(), when=when)
        raise Error


@pytest.mark.parametrize("redacts", [False, True])
def test_no_lock_is_held_while_user_code_runs(redacts):
    """Checks, exceptions, paths, time zones, redact=, processors and destructors may wait for threads that record."""
    elsewhere = Elsewhere()

    def redact(text):
        elsewhere()
        return text

    with capturing(redact=redact if redacts else None) as capture:
        capture.tracer_provider.add_span_processor(Processor(elsewhere))
        use_everything(elsewhere, elsewhere)

    assert elsewhere.times > (30 if redacts else 12)
    assert elsewhere.stuck == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError, Quiet])
def test_whatever_user_code_raises_inside_recording(error):
    """Ctrl-C in the middle of recording reaches the program; an Exception does not; neither leaves a context."""
    calls = 0

    def fail():
        nonlocal calls
        calls += 1
        raise error

    with capturing() as capture:
        for _ in range(2):
            with contextlib.suppress(KeyboardInterrupt, SystemExit, Quiet):
                use_everything(fail)
        assert not context.get_current()
        with mlotel.component("after"):
            pass

    assert calls >= 2
    assert capture.span("component after").parent is None
