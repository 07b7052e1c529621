"""Decorating functions of every kind: plain, async, generators, async generators, static and class methods."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol, TypeVar, cast

from mlotel.errors import InvalidTypeError

F = TypeVar("F")


class Execution(Protocol):
    """One call of a decorated function, while it runs."""

    def attach(self) -> None:
        """Make the execution current until it is finished."""

    def resume(self) -> None:
        """Make it current for a step of a generator's body, with what that left current at its last ``yield``."""

    def suspend(self) -> None:
        """Make current again what was before the step."""

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The function is about to be called with these. May raise CheckFailed."""

    def outputs(self, result: Any) -> None:
        """The function returned. May raise CheckFailed."""

    def finish(self, error: BaseException | None) -> None:
        """The call is over; ``error`` is on its way to the caller."""


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Execution | None]
"""Starts an execution; None when there is nothing to do but call the function."""


def wrap(function: F, word: str, make: Callable[[Callable[..., Any]], Begin]) -> F:
    """``function`` with an execution around each call; its kind, signature and type stay.

    Args:
        function: What was decorated.
        word: ``pipeline`` or ``component``, for messages.
        make: Called once with the function; returns what begins an execution.

    Raises:
        InvalidTypeError: If ``function`` is a class or cannot be called.
    """
    if isinstance(function, staticmethod | classmethod):
        return cast("F", type(function)(wrap(function.__func__, word, make)))
    if isinstance(function, type):
        raise InvalidTypeError(
            f"@mlotel.{word} was put on the class {function.__qualname__}. Put it on the methods that do the work."
        )
    if not callable(function):
        raise InvalidTypeError(
            f"mlotel.{word}() got a {type(function).__qualname__}. Pass a name (a string), or decorate a function."
        )
    begin = make(function)
    called = _called(function)
    if inspect.isasyncgenfunction(called):
        wrapper: Any = _async_generator(function, begin)
    elif inspect.iscoroutinefunction(called):
        wrapper = _coroutine(function, begin)
    elif inspect.isgeneratorfunction(called):
        wrapper = _generator(function, begin)
    else:
        wrapper = _plain(function, begin)
    return cast("F", functools.wraps(function)(wrapper))


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that runs in the end: behind a partial, or the ``__call__`` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        execution = begin(args, kwargs)
        if execution is None:
            return function(*args, **kwargs)
        execution.attach()
        try:
            execution.inputs(args, kwargs)
            result = function(*args, **kwargs)
            execution.outputs(result)
        except BaseException as error:
            execution.finish(error)
            raise
        execution.finish(None)
        return result

    return call


def _coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        execution = begin(args, kwargs)
        if execution is None:
            return await function(*args, **kwargs)
        execution.attach()
        try:
            execution.inputs(args, kwargs)
            result = await function(*args, **kwargs)
            execution.outputs(result)
        except BaseException as error:
            execution.finish(error)
            raise
        execution.finish(None)
        return result

    return call


def _generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        execution = begin(args, kwargs)
        if execution is None:
            return (yield from function(*args, **kwargs))

        def advance(step: Callable[[Any], Any], value: Any) -> tuple[bool, Any]:
            # Current only while the body runs: a consumer's spans must not become children of the generator's.
            execution.resume()
            try:
                return True, step(value)
            except StopIteration as stop:
                return False, stop.value
            finally:
                execution.suspend()

        def start(_: None) -> Generator[Any, Any, Any]:
            execution.inputs(args, kwargs)
            return function(*args, **kwargs)  # type: ignore[no-any-return]  # a generator function, as was looked at

        try:
            body = advance(start, None)[1]
            going, item = advance(body.send, None)
            while going:
                thrown: list[BaseException] = []
                try:
                    sent = yield item
                except BaseException as error:  # GeneratorExit too: the body may catch it, and return a value
                    thrown.append(error)
                if thrown:  # not in the except clause: what the body raises next would get a context by it
                    going, item = advance(lambda box: body.throw(box.pop()), thrown)
                else:
                    going, item = advance(body.send, sent)
            advance(execution.outputs, item)
        except BaseException as error:
            execution.finish(error)
            raise
        execution.finish(None)
        return item

    return call


def _async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        execution = begin(args, kwargs)

        async def advance(step: Callable[[Any], Any], value: Any) -> tuple[bool, Any]:
            if execution is not None:
                execution.resume()
            try:
                return True, await step(value)
            except StopAsyncIteration:
                return False, None
            finally:
                if execution is not None:
                    execution.suspend()

        async def start(_: None) -> AsyncGenerator[Any, Any]:
            if execution is not None:
                execution.inputs(args, kwargs)
            return function(*args, **kwargs)  # type: ignore[no-any-return]  # an async generator function likewise

        async def end(_: None) -> None:
            if execution is not None:
                execution.outputs(None)

        try:
            body = (await advance(start, None))[1]
            going, item = await advance(body.asend, None)
            while going:
                thrown: list[BaseException] = []
                try:
                    sent = yield item
                except BaseException as error:  # as in a plain generator
                    thrown.append(error)
                if thrown:
                    going, item = await advance(lambda box: body.athrow(box.pop()), thrown)
                else:
                    going, item = await advance(body.asend, sent)
            await advance(end, None)
        except BaseException as error:
            if execution is not None:
                execution.finish(error)
            raise
        if execution is not None:
            execution.finish(None)

    return call
