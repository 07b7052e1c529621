"""Which execution a ``with`` statement ends, when one declaration is open several times."""

from types import FrameType
from typing import Generic, TypeVar

from opentelemetry import context

from mlotel.errors import InvalidArgumentError

T = TypeVar("T")


class Opened(Generic[T]):
    """The executions that are open, each with the frame whose ``with`` statement opened it.

    One declaration may be open in several threads, tasks and generators at once, and a frame is in one of them. Only
    an ``ExitStack``, or a call of ``__exit__`` by hand, ends an execution from another frame: then the current one
    ends.
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: list[tuple[int, T]] = []

    def add(self, frame: FrameType, one: T) -> T:
        """Note that ``frame`` opened ``one``."""
        self._open.append((id(frame), one))  # the id: the frame itself would keep the user's data alive
        return one

    def take(self, frame: FrameType, key: str) -> T:
        """The execution that ``frame`` ends; ``key`` is where the context keeps the current one.

        Raises:
            InvalidArgumentError: If none is open.
        """
        if len(self._open) == 1:
            return self._open.pop(0)[1]  # not the last: another thread may have added one meanwhile
        if not self._open:
            raise InvalidArgumentError("__exit__() was called, and nothing is open. Leave it to a with statement.")
        wanted = id(frame)
        found = [entry for entry in self._open if entry[0] == wanted]
        if not found:
            current = context.get_value(key)
            found = [entry for entry in self._open if entry[1] is current] or self._open
        last = found[-1]
        self._open.remove(last)
        return last[1]
