"""What the instrumentations of reading and writing share: calls that record the file they were about."""

import functools
import inspect
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from opentelemetry.context import get_current

from mlotel._current import COMPONENT
from mlotel._guard import guard
from mlotel.instrumentation._patch import Patch, Wrapper
from mlotel.instrumentation._targets import Target, target_of
from mlotel.tracing.captured import omit_files, record_file

__all__ = ["argument", "nothing", "one_file", "reads", "result_of", "some_files", "writes"]

Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]
Content: TypeAlias = Callable[[Any, Args, Kwargs], Any]
"""What was read or written, of a call's result and arguments; None where nobody can tell without reading it again."""
Find: TypeAlias = Callable[[Any, Kwargs], Target | None]
"""The file, of the argument that says where and the keywords of the call."""

SELECTIONS = frozenset(
    {
        "columns", "count", "filters", "max_rows", "n_rows", "nrows", "offset", "row_index_name", "skip_footer",
        "skip_rows_after_header", "skipfooter", "start", "stop", "usecols", "where",
    }
)  # fmt: skip
"""Arguments with which the libraries read a part of a file, or add to it; None, 0 and -1 mean all of it."""

SPLITS = frozenset({"columns", "partition_by", "partition_cols", "partitioning"})
"""Arguments with which the libraries write a part of a table, or write it into many files."""

UNTOLD = {"fromfile": ("file", "dtype", "count", "sep", "offset")}
"""Parameters of functions that have no signature in some version of their library, here numpy 1.26."""

_recording: ContextVar[bool] = ContextVar("mlotel-recording-a-file", default=False)


def one_file(value: Any, kwargs: Kwargs) -> Target | None:
    """One path or open file of this system: with ``filesystem=`` the same path may be another file."""
    return target_of(value) if _is_local(kwargs.get("filesystem")) else None


def some_files(value: Any, kwargs: Kwargs) -> Target | None:
    """Like ``one_file``, where lists and patterns are several files."""
    return target_of(value, several=True) if _is_local(kwargs.get("filesystem")) else None


def _is_local(file_system: Any) -> bool:
    return file_system is None or type(file_system).__name__ == "LocalFileSystem"  # pyarrow's and fsspec's


def result_of(result: Any, args: Args, kwargs: Kwargs) -> Any:
    """What the call returned, unless that yields the data later: an iterator, a reader of chunks."""
    return None if hasattr(type(result), "__next__") else result


def nothing(result: Any, args: Args, kwargs: Kwargs) -> None:
    """The content stays unknown."""


def argument(position: int, name: str) -> Content:
    """The argument at ``position``, or of that name."""

    def content(result: Any, args: Args, kwargs: Kwargs) -> Any:
        return args[position] if len(args) > position else kwargs.get(name)

    return content


def always(result: Any) -> bool:
    """The call has done its work when it returns."""
    return True


def reads(
    patch: Patch,
    owner: Any,
    names: Iterable[str],
    *,
    at: int = 0,
    content: Content = result_of,
    find: Find = one_file,
    everywhere: bool = True,
) -> None:
    """Record what functions read.

    Args:
        patch: Keeps the originals.
        owner: Module or class that has the functions.
        names: Names of the functions; those that this version of the library lacks are left out.
        at: Position of the argument that says where to read.
        content: What was read.
        find: The file.
        everywhere: As for ``Patch.around``.
    """
    for name in names:
        if hasattr(owner, name):
            patch.around(owner, name, _recorder("input", at, content, find, always), everywhere=everywhere)


def writes(
    patch: Patch,
    owner: Any,
    names: Iterable[str],
    *,
    at: int,
    content: Content,
    find: Find = one_file,
    is_done: Callable[[Any], bool] = always,
    everywhere: bool = True,
) -> None:
    """Record what functions have written; see ``reads``.

    Args:
        patch: Keeps the originals.
        owner: Module or class that has the functions.
        names: Names of the functions.
        at: Position of the argument that says where to write, ``self`` counted.
        content: What was written.
        find: The file.
        is_done: Whether a result says that the file was written, and not that it will be.
        everywhere: As for ``Patch.around``.
    """
    for name in names:
        if hasattr(owner, name):
            patch.around(owner, name, _recorder("output", at, content, find, is_done), everywhere=everywhere)


def _recorder(
    role: Literal["input", "output"], at: int, content: Content, find: Find, is_done: Callable[[Any], bool]
) -> Wrapper:
    def recorded(wrapped: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        if get_current().get(COMPONENT) is None or _recording.get():
            return wrapped(*args, **kwargs)
        token = _recording.set(True)
        try:
            target = _target(wrapped, args, kwargs, at, find)
            if role == "output" and target is not None and target.tell is not None:
                with guard("find out whether a file was begun"):
                    target = replace(target, is_begun=target.tell() != 0)
            result = wrapped(*args, **kwargs)
            if target is not None and is_done(result):
                _record(role, target, content, result, wrapped, args, kwargs)
            return result
        finally:
            _recording.reset(token)

    return recorded


def _target(wrapped: Callable[..., Any], args: Args, kwargs: Kwargs, at: int, find: Find) -> Target | None:
    """What the call will read or write. Asked before it: afterwards an open file may be closed."""
    with guard("find out which file a call is about"):
        if len(args) > at:
            return find(args[at], kwargs)
        names = _parameters(wrapped)
        return find(kwargs.get(names[at]) if len(names) > at else None, kwargs)
    return None


def _given(wrapped: Callable[..., Any], args: Args, kwargs: Kwargs) -> Kwargs:
    """Arguments by the names of their parameters."""
    return {**dict(zip(_parameters(wrapped), args, strict=False)), **kwargs}


def _adds(given: Kwargs) -> bool:
    """Whether what a call writes is not all that the file holds afterwards, or not all that it was given."""
    if any(given.get(name) is not None for name in SPLITS):
        return True
    mode = given.get("mode")
    return given.get("append") is True or (type(mode) is str and mode.startswith("a"))


def _without_index(value: Any, given: Kwargs) -> Any:
    """A frame as ``index=False`` writes it: pandas leaves out the index, which counts for the frame in memory."""
    if given.get("index") is False and type(value).__module__.partition(".")[0] == "pandas":
        return value.reset_index(drop=True)
    return value


def _selects(given: Kwargs) -> bool:
    """Whether the call asks for a part of the file: then what it returns is not what is in the file."""
    for name in SELECTIONS & given.keys():
        value = given[name]
        if value is not None and not (type(value) is int and value in (-1, 0)):
            return True
    return False


@functools.lru_cache(maxsize=512)
def _parameters(wrapped: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters in order: libraries rename theirs from version to version."""
    try:
        return tuple(inspect.signature(wrapped).parameters)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return UNTOLD.get(getattr(wrapped, "__name__", ""), ())


def _record(
    role: Literal["input", "output"],
    target: Target,
    content: Content,
    result: Any,
    wrapped: Callable[..., Any],
    args: Args,
    kwargs: Kwargs,
) -> None:
    with guard("record a file"):
        if target.flush is not None and role == "output":
            target.flush()
        places = target.existing()
        if not places:
            return
        is_whole = len(places) == 1 and not target.omitted
        given = _given(wrapped, args, kwargs)
        if is_whole:
            is_whole = not (_selects(given) if role == "input" else target.is_begun or _adds(given))
        value = content(result, args, kwargs) if is_whole else None
        if role == "output":
            value = _without_index(value, given)
        for place in places:
            record_file(role, place, value, is_open=target.flush is not None)
        if target.omitted:
            omit_files(target.omitted)
