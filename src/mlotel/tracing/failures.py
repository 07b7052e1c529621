"""Exceptions that pass through a scope: what is said of them, and whether it was said already.

The exception must not be changed, and keeping it would keep its frames and their data alive. So what is remembered is
its id and the place where it was seen. The id can be used again once the exception is gone; but then the new one's
traceback does not lead through that place, or a scope there has seen the new one too.
"""

import os
import traceback
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import TypeAlias

from mlotel._guard import describe_error
from mlotel.tracing import attributes

MAX_STACKTRACE = 16_384
MAX_KNOWN = 256

Place: TypeAlias = tuple[int, int, int]
"""Id of an exception, id of the code that it passed through, and where in that code."""

_known: deque[Place] = deque(maxlen=MAX_KNOWN)


def is_failure(error: BaseException) -> bool:
    """Whether ``error`` means that something went wrong: leaving a generator early or ``sys.exit(0)`` does not."""
    if isinstance(error, GeneratorExit):
        return False
    if not isinstance(error, SystemExit):
        return True
    code = error.code
    return not (code is None or (isinstance(code, int) and code == 0))


def type_of(error: BaseException) -> str:
    """Value of ``error.type``."""
    return attributes.text(attributes.qualified(type(error)))


def message_of(error: BaseException) -> str:
    """What the exception says, as it may leave the process; empty where only its type may."""
    return "" if only_types() else attributes.text(describe_error(error))


def only_types() -> bool:
    """Whether ``MLOTEL_CAPTURE_ERRORS=type`` keeps messages of exceptions inside."""
    return os.environ.get("MLOTEL_CAPTURE_ERRORS", "").strip().lower() == "type"


def stacktrace_of(error: BaseException) -> str:
    """The traceback as Python prints it; places only where messages may not leave."""
    if only_types():
        joined = _places(error)
    else:
        try:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
        except Exception:  # an exception whose own methods fail; its frames still tell where
            lines = traceback.format_tb(error.__traceback__)
        joined = "".join(lines)
    # The end of a traceback says what happened, so a cut takes the beginning.
    shown = joined if len(joined) <= MAX_STACKTRACE else "… [cut]\n" + joined[-MAX_STACKTRACE + 8 :]
    return attributes.text(shown, MAX_STACKTRACE)


def _places(error: BaseException) -> str:
    steps = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    lines = [f'  File "{step.filename}", line {step.lineno}, in {step.name}\n' for step in steps]
    return "".join(["Traceback (most recent call last):\n", *lines, attributes.qualified(type(error)), "\n"])


def remember(error: BaseException) -> Place | None:
    """Note that a scope has seen ``error``, here; None for an exception without a traceback."""
    head = error.__traceback__
    if head is None:
        return None
    place = _place(error, head)
    _known.append(place)
    return place


def is_known(error: BaseException, inside: Iterable[Place]) -> bool:
    """Whether this very exception was recorded.

    Args:
        error: An exception that is about to leave a scope.
        inside: Where scopes inside this one have seen exceptions.
    """
    mine = {place for place in inside if place[0] == id(error)}
    step = error.__traceback__
    if step is None:
        return False
    if _place(error, step) in mine:
        return True
    # From another thread, or another branch of the program: seen deeper than here, since here is where a new
    # exception of the same id would pass as well.
    mine.update(place for place in list(_known) if place[0] == id(error))
    while mine and (step := step.tb_next) is not None:
        if _place(error, step) in mine:
            return True
    return False


def _place(error: BaseException, step: TracebackType) -> Place:
    return id(error), id(step.tb_frame.f_code), step.tb_lasti
