"""Decorated functions of every kind behave as before, and each call is one component."""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import inspect
import pickle
import sys

import pytest
from opentelemetry import context, trace

import mlotel
from mlotel import errors


def names(capture):
    return [span.name for span in capture.spans()]


@mlotel.component
def module_level(values, digits=2):
    """Mean of the values.

    More text.
    """
    return round(sum(values) / len(values), digits)


def test_bare(capture):
    """``@mlotel.component`` alone names the component after the function, and says what it is from its docstring."""
    assert module_level([1.0, 2.0]) == 1.5

    attributes = capture.span("component module_level").attributes
    assert attributes["ml.component.description"] == "Mean of the values."
    assert attributes["code.function.name"] == f"{__name__}.module_level"


@pytest.mark.parametrize("arguments", [{}, {"name": "n"}, {"type": "t"}])
def test_called(capture, arguments):
    """``@mlotel.component(…)`` takes a name and whatever else a component takes."""

    @mlotel.component(**arguments, description="Given.")
    def work():
        """Docstring."""
        return 1

    assert work() == 1
    span = capture.span(f"component {arguments.get('name', 'work')}")
    assert span.attributes["ml.component.description"] == "Given."
    assert span.attributes.get("ml.component.type") == arguments.get("type")


def test_the_function_stays_what_it_is():
    """Name, module, docstring, signature, annotations, kind and the function itself can be asked for as before."""

    def work(a: int, *rest: str, b: float = 1.0, **more: bytes) -> list[int]:
        """Words."""
        return [a]

    async def coroutine():
        return 1

    def generator():
        yield 1

    async def async_generator():
        yield 1

    wrapped = mlotel.component(work)
    assert inspect.signature(wrapped) == inspect.signature(work)
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(wrapped, attribute) == getattr(work, attribute)
    assert wrapped.__wrapped__ is work
    assert inspect.iscoroutinefunction(mlotel.component(coroutine))
    assert inspect.isgeneratorfunction(mlotel.component(generator))
    assert inspect.isasyncgenfunction(mlotel.component(async_generator))
    assert not inspect.isgeneratorfunction(wrapped)
    for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert [kind(mlotel.pipeline(f)) for f in (work, coroutine, generator, async_generator)] == [
            kind(f) for f in (work, coroutine, generator, async_generator)
        ]


def test_a_decorated_function_can_be_pickled():
    """A module's function goes to a worker process under its name."""
    assert pickle.loads(pickle.dumps(module_level)) is module_level


def test_wrong_arguments_fail_as_without_us(capture):
    """A call with wrong arguments raises the function's own TypeError."""

    def work(a):
        return a

    with pytest.raises(TypeError) as plain:
        work()
    with pytest.raises(TypeError) as ours:
        mlotel.component(work)()

    assert str(ours.value) == str(plain.value)


def test_methods(capture):
    """Methods, static and class methods, getters and dataclass methods work in either order of decorators."""

    class Step:
        factor = 2

        @mlotel.component
        def method(self, x):
            return x * self.factor

        @staticmethod
        @mlotel.component
        def static_inner(x):
            return x

        @mlotel.component
        @staticmethod
        def static_outer(x):
            return x

        @classmethod
        @mlotel.component
        def class_inner(cls, x):
            return x * cls.factor

        @mlotel.component
        @classmethod
        def class_outer(cls, x):
            return x * cls.factor

        @property
        @mlotel.component
        def value(self):
            return self.factor

    @dataclasses.dataclass
    class Cleaner:
        limit: int

        @mlotel.component("clean")
        def __call__(self, x):
            return min(x, self.limit)

    step = Step()
    assert [step.method(3), Step.static_inner(3), step.static_outer(3), Step.class_inner(3), step.class_outer(3)] == [
        6, 3, 3, 6, 6,
    ]  # fmt: skip
    assert step.value == 2
    assert Cleaner(5)(9) == 5

    assert names(capture) == [
        "component method", "component static_inner", "component static_outer", "component class_inner",
        "component class_outer", "component value", "component clean",
    ]  # fmt: skip
    for span in capture.spans():
        params = {key for key in span.attributes if key.startswith("ml.param.")}
        assert "ml.param.self" not in params
        assert "ml.param.cls" not in params
    assert capture.span("component method").attributes["code.function.name"].endswith("Step.method")


def test_partials_and_callable_objects(capture):
    """A partial, an object with ``__call__``, a bound method and a built-in can be decorated."""

    class Scaler:
        def __call__(self, x):
            return x * 10

        def bound(self, x):
            return x + 1

    class Waits:
        async def __call__(self, x):
            await asyncio.sleep(0)
            return trace.get_current_span().get_span_context().span_id

    def add(a, b):
        return a + b

    async def double(x):
        return trace.get_current_span().get_span_context().span_id

    assert mlotel.component(functools.partial(add, 1))(2) == 3
    assert mlotel.component(Scaler())(2) == 20
    assert mlotel.component(Scaler().bound)(2) == 3
    assert mlotel.component("sum")(sum)([1, 2]) == 3
    assert mlotel.component("max")(max)(1, 2) == 2  # a built-in without a signature
    for function in (Waits(), functools.partial(double)):
        decorated = mlotel.component(function)
        assert inspect.iscoroutinefunction(decorated)
        inside = asyncio.run(decorated(1))
        assert inside == capture.spans()[-1].context.span_id  # the body ran inside the span

    assert names(capture) == [
        "component add", "component Scaler", "component bound", "component sum", "component max", "component Waits",
        "component double",
    ]  # fmt: skip
    assert capture.spans()[1].attributes["code.function.name"].endswith("Scaler")


def test_recursion_and_nesting(capture):
    """A component that calls itself nests; the depth of the spans is that of the calls."""

    @mlotel.component
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert factorial(3) == 6

    spans = capture.spans("component factorial")
    assert [span.attributes["ml.param.n"] for span in spans] == [0, 1, 2, 3]
    assert [span.parent and span.parent.span_id for span in spans] == [
        *(span.context.span_id for span in spans[1:]),
        None,
    ]


def test_twice_decorated_is_two_components(capture):
    """Decorators stack."""

    @mlotel.component("outer")
    @mlotel.component("inner")
    def work():
        return 1

    assert work() == 1
    assert names(capture) == ["component inner", "component outer"]


# Coroutines


def test_coroutines_run_inside_their_span(capture):
    """The body of an async component runs in its span, across awaits; gathered ones do not mix."""

    @mlotel.component
    async def step(n):
        before = trace.get_current_span().get_span_context().span_id
        await asyncio.sleep(0.001 * (3 - n))
        mlotel.read([n], name=f"r{n}")
        assert trace.get_current_span().get_span_context().span_id == before
        return n

    async def main():
        with mlotel.pipeline("p"):
            return await asyncio.gather(*(step(n) for n in range(3)))

    assert asyncio.run(main()) == [0, 1, 2]

    by_param = {span.attributes["ml.param.n"]: span for span in capture.spans("component step")}
    run = capture.span("pipeline p")
    for n, span in by_param.items():
        assert span.parent.span_id == run.context.span_id
        assert capture.span(f"read r{n}").parent.span_id == span.context.span_id


def test_one_declaration_open_in_many_tasks(capture):
    """A declaration that several tasks enter at once gives each its own span, however they end."""
    step = mlotel.component("step")

    async def work(n):
        with step as c:
            c.param(n=n)
            await asyncio.sleep(0.001 * (5 - n))
            if n == 2:
                raise ValueError(n)
            mlotel.read([n], name=f"r{n}")

    async def main():
        return await asyncio.gather(*(work(n) for n in range(5)), return_exceptions=True)

    assert [type(result) for result in asyncio.run(main())] == [type(None)] * 2 + [ValueError] + [type(None)] * 2

    spans = {span.attributes["ml.param.n"]: span for span in capture.spans("component step")}
    assert [n for n, span in spans.items() if "error.type" in span.attributes] == [2]
    for n in (0, 1, 3, 4):
        assert capture.span(f"read r{n}").parent.span_id == spans[n].context.span_id


def test_a_cancelled_task_ends_its_component(capture):
    """Cancelling a task passes CancelledError through and ends the span with its type."""

    @mlotel.component
    async def waits():
        await asyncio.sleep(10)

    async def main():
        task = asyncio.create_task(waits())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert capture.span("component waits").attributes["error.type"] == "asyncio.exceptions.CancelledError"


# Generators


def test_a_generator_is_one_component(capture):
    """The span lasts from the first item to the end; what is returned comes out; items are as they were."""

    @mlotel.component
    def batches(n):
        for index in range(n):
            mlotel.read([index], name=f"r{index}")
            yield index
        return "done"

    def outer():
        result = yield from batches(2)
        assert result == "done"

    made = batches(2)
    assert names(capture) == []  # nothing has begun
    made.close()
    assert names(capture) == []
    assert list(outer()) == [0, 1]

    span = capture.span("component batches")
    assert names(capture) == ["read r0", "read r1", "component batches"]
    assert span.attributes["ml.param.n"] == 2
    assert {s.parent.span_id for s in capture.spans()[:2]} == {span.context.span_id}


def test_spans_of_the_consumer_are_not_children(capture):
    """A generator's span is current only while its body runs: what the consumer does lies beside it."""

    @mlotel.component
    def batches():
        yield 1
        yield 2

    with mlotel.component("consumer"):
        for item in batches():
            mlotel.read([item], name=f"r{item}")

    consumer = capture.span("component consumer")
    for name in ("read r1", "read r2", "component batches"):
        assert capture.span(name).parent.span_id == consumer.context.span_id


def test_cpu_time_of_a_generator_is_its_own(capture):
    """Only the time of the body counts: each look at the processor clock is one step here, two a step of the body."""

    @mlotel.component
    def batches():
        yield 1
        yield 2

    for _ in batches():
        pass

    assert capture.span("component batches").attributes["ml.component.cpu.time"] == pytest.approx(0.005)


def test_send_and_throw(capture):
    """Values sent in and exceptions thrown in reach the body, and its answers come back."""

    @mlotel.component
    def echo():
        got = []
        while len(got) < 3:
            try:
                got.append((yield len(got)))
            except KeyError as error:
                got.append(error)
        return got

    made = echo()
    thrown = KeyError("k")
    assert next(made) == 0
    assert made.send("a") == 1
    assert made.throw(thrown) == 2
    with pytest.raises(StopIteration) as stop:
        made.send("c")
    assert stop.value.value == ["a", thrown, "c"]
    assert "error.type" not in capture.span("component echo").attributes


def test_an_exception_of_the_body_is_as_without_us(capture):
    """What the body raises after something was thrown in has the context that it has without us."""

    def body():
        with contextlib.suppress(KeyError):
            yield 1
        raise ValueError("new")

    def outcome(function):
        made = function()
        next(made)
        with pytest.raises(ValueError, match="new") as caught:
            made.throw(KeyError("thrown"))
        return caught.value

    plain, ours = outcome(body), outcome(mlotel.component(body))
    assert plain.__context__ is None
    assert ours.__context__ is None
    assert capture.span("component body").attributes["error.type"] == "ValueError"


def test_an_exception_thrown_in_and_not_caught_is_the_same_object(capture):
    """What is thrown into a generator that does not catch it comes out as it went in."""

    @mlotel.component
    def batches():
        yield 1

    made = batches()
    next(made)
    thrown = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        made.throw(thrown)
    assert caught.value is thrown


def test_closing_early_is_no_failure(capture):
    """A consumer that stops early ends the span without an error, after the body has cleaned up."""
    cleaned = []

    @mlotel.component
    def batches():
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(trace.get_current_span().get_span_context().span_id)

    for _ in batches():
        break
    gc.collect()

    span = capture.span("component batches")
    assert cleaned == [span.context.span_id]
    assert "error.type" not in span.attributes
    assert capture.events("ml.exception") == []


def test_closing_is_as_without_us(capture):
    """A body that returns a value on close, or that ignores it, behaves as without us."""

    def returns():
        try:
            yield 1
        except GeneratorExit:
            return "last"

    def ignores():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    def close(function):
        made = function()
        next(made)
        try:
            return made.close()
        except RuntimeError as error:
            return str(error)

    for body in (returns, ignores):
        assert close(body) == close(mlotel.component(body))
    assert close(returns) == ("last" if sys.version_info >= (3, 13) else None)
    gc.collect()


def test_an_abandoned_generator_ends_when_it_is_collected(capture):
    """A generator that nobody finishes ends its span when it goes, also in another thread, and leaves no context."""
    import threading

    @mlotel.component
    def batches():
        yield 1
        yield 2

    made = batches()
    next(made)
    box = [made]
    del made
    before = context.get_current()
    thread = threading.Thread(target=box.pop)
    thread.start()
    thread.join()
    gc.collect()

    assert names(capture) == ["component batches"]
    assert context.get_current() is before


def test_a_generator_that_raises(capture):
    """An exception of the body ends the span with it and passes to the consumer."""

    @mlotel.component
    def batches():
        yield 1
        raise OSError("disk")

    made = batches()
    next(made)
    with pytest.raises(OSError, match="disk"):
        next(made)
    assert list(made) == []
    assert capture.span("component batches").attributes["error.type"] == "OSError"


def test_generators_that_interleave(capture):
    """Several generators of one component at once have a span each, and leave nothing current."""

    @mlotel.component
    def batches(n):
        for index in range(2):
            mlotel.read([n, index], name=f"r{n}{index}")
            yield index

    before = context.get_current()
    assert list(zip(batches(1), batches(2), strict=True)) == [(0, 0), (1, 1)]

    assert context.get_current() is before
    spans = {span.attributes["ml.param.n"]: span for span in capture.spans("component batches")}
    for n, index in ((1, 0), (1, 1), (2, 0), (2, 1)):
        assert capture.span(f"read r{n}{index}").parent.span_id == spans[n].context.span_id


def test_a_generator_that_goes_on_after_its_consumer_ended(capture):
    """A generator that another component began is current while its body runs, also after that component ended."""

    @mlotel.component
    def batches():
        with mlotel.component("inside"):
            yield 1
            mlotel.read([1], name="x")
            yield 2

    before = context.get_current()
    with mlotel.component("consumer"):
        made = batches()
        next(made)
        mlotel.read([2], name="beside")
    next(made)
    assert context.get_current() is before
    assert list(made) == []

    assert capture.span("read beside").attributes["ml.component.name"] == "consumer"
    assert capture.span("component inside").parent.span_id == capture.span("component batches").context.span_id
    assert context.get_current() is before
    assert capture.span("read x").attributes["ml.component.name"] == "inside"
    assert capture.span("component batches").parent.span_id == capture.span("component consumer").context.span_id


def test_undecorated_generators_with_a_component_inside(capture):
    """A ``with`` statement inside generators that take turns ends each component once and leaves nothing current."""

    def batches(n):
        with mlotel.component(f"c{n}"):
            yield n

    before = context.get_current()
    first, second = batches(1), batches(2)
    next(first)
    next(second)
    assert list(first) == []
    inside = context.get_current()
    assert list(second) == []

    assert context.get_current() is before
    assert inside is not before
    assert names(capture) == ["component c1", "component c2"]


# Async generators


def test_an_async_generator_is_one_component(capture):
    """Items, sent values, thrown exceptions and early closing reach the body; the consumer's spans lie beside it."""
    closed = []

    @mlotel.component
    async def batches():
        try:
            sent = yield 1
            try:
                yield sent
            except KeyError as error:
                yield error.args[0]
            mlotel.read([1], name="body")
            yield "last"
        finally:
            closed.append(trace.get_current_span().get_span_context().span_id)

    async def main():
        made = batches()
        with mlotel.component("consumer"):
            assert await anext(made) == 1
            mlotel.read([2], name="beside")
            assert await made.asend("a") == "a"
            assert await made.athrow(KeyError("k")) == "k"
            assert await anext(made) == "last"
            await made.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(made)

    asyncio.run(main())

    span, consumer = capture.span("component batches"), capture.span("component consumer")
    assert closed == [span.context.span_id]
    assert span.parent.span_id == consumer.context.span_id
    assert capture.span("read body").parent.span_id == span.context.span_id
    assert capture.span("read beside").parent.span_id == consumer.context.span_id
    assert "error.type" not in span.attributes


def test_an_async_generator_that_ends_or_raises(capture):
    """A finished async generator ends well; one that raises ends with the exception; wrong arguments raise theirs."""

    @mlotel.component
    async def batches(fail):
        yield 1
        if fail:
            raise OSError("disk")

    async def collect(fail):
        return [item async for item in batches(fail)]

    async def wrong():
        return [item async for item in batches()]

    assert asyncio.run(collect(False)) == [1]
    with pytest.raises(OSError, match="disk"):
        asyncio.run(collect(True))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'fail'"):
        asyncio.run(wrong())

    assert [span.attributes.get("error.type") for span in capture.spans()] == [None, "OSError", "TypeError"]


def test_an_abandoned_async_generator(capture, caplog):
    """An async generator that is left behind is closed by the loop; nothing is logged and nothing stays current."""

    @mlotel.component
    async def batches():
        yield 1
        yield 2

    async def main():
        async for _ in batches():
            break
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert names(capture) == ["component batches"]
    assert caplog.records == []


def test_a_component_in_an_abandoned_async_generator(capture, caplog):
    """A ``with`` statement in an async generator that the loop closes from elsewhere ends its span quietly."""

    async def batches():
        with mlotel.component("c"):
            yield 1

    async def main():
        made = batches()
        await anext(made)
        await asyncio.create_task(made.aclose())

    asyncio.run(main())
    assert names(capture) == ["component c"]
    assert caplog.records == []


# Without anybody listening


def test_functions_of_every_kind_work_while_nobody_listens():
    """Without providers all kinds of decorated functions do what they do without us."""

    @mlotel.component
    def plain(x):
        return x

    @mlotel.component
    async def coroutine(x):
        return x

    @mlotel.component
    def generator(x):
        got = yield x
        return got

    @mlotel.component
    async def async_generator(x):
        got = yield x
        yield got

    @mlotel.pipeline
    def nightly(x):
        return x

    assert nightly(4) == 4

    async def main():
        made = async_generator(1)
        assert await anext(made) == 1
        assert await made.asend(2) == 2
        await made.aclose()
        return await coroutine(3)

    assert plain(3) == 3
    assert asyncio.run(main()) == 3
    made = generator(1)
    assert next(made) == 1
    with pytest.raises(StopIteration) as stop:
        made.send(5)
    assert stop.value.value == 5


# Wrong uses


def test_a_class_cannot_be_decorated():
    """A decorator on a class is an error that says where it belongs."""
    with pytest.raises(errors.InvalidTypeError) as caught:

        @mlotel.component
        class Model:
            pass

    assert str(caught.value) == (
        "@mlotel.component was put on the class "
        "test_a_class_cannot_be_decorated.<locals>.Model. Put it on the methods that do the work."
    )


@pytest.mark.parametrize("word", ["component", "pipeline"])
def test_what_cannot_be_called_cannot_be_decorated(word):
    """Decorating a value that is no function is an error, with its type."""
    with pytest.raises(errors.InvalidTypeError, match=rf"^mlotel\.{word}\(\) got a int\. Pass a name"):
        getattr(mlotel, word)("x")(3)


def test_pipelines_of_every_kind(capture):
    """Decorated pipelines may be async and generators, with a run around all of it."""

    @mlotel.pipeline
    async def nightly():
        await asyncio.sleep(0)
        mlotel.read([1], name="async")

    @mlotel.pipeline("hourly")
    def hourly():
        mlotel.read([1], name="gen")
        yield 1

    asyncio.run(nightly())
    with mlotel.component("consumer"):
        for _ in hourly():
            mlotel.read([2], name="beside")

    assert capture.span("read beside").parent.span_id == capture.span("component consumer").context.span_id
    assert capture.span("read async").parent.span_id == capture.span("pipeline nightly").context.span_id
    assert capture.span("read gen").parent.span_id == capture.span("pipeline hourly").context.span_id
