"""Every exception and warning of mlotel.

::

    MlotelError
    ├─ InvalidArgumentError     also a ValueError         a value that cannot be used, such as an empty name
    │  └─ EmptySampleError                                a sample without a single usable value
    ├─ InvalidTypeError         also a TypeError          a wrong type or an unknown keyword
    ├─ AlreadyConfiguredError   also a RuntimeError       configure() a second time, with other settings
    ├─ NotFoundError            also a LookupError        a run, a plugin or a file that is not there
    └─ CheckFailed              also an AssertionError    a check with on_failure="raise" failed
    CheckWarning                a UserWarning             a check with on_failure="warn" failed

A wrong call raises at once. Failures while recording never reach user code: they are logged once, by the logger
``mlotel``, and the program goes on.
"""

__all__ = [
    "AlreadyConfiguredError",
    "CheckFailed",
    "CheckWarning",
    "EmptySampleError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "MlotelError",
    "NotFoundError",
]


class MlotelError(Exception):
    """Base class of what mlotel raises."""


class InvalidArgumentError(MlotelError, ValueError):
    """An argument has the right type and a value that cannot be used."""


class EmptySampleError(InvalidArgumentError):
    """A sample has no value that can be used: it is empty, or all of it is missing."""


class InvalidTypeError(MlotelError, TypeError):
    """An argument has the wrong type, or a keyword is unknown."""


class AlreadyConfiguredError(MlotelError, RuntimeError):
    """``configure()`` was called a second time with other settings."""


class NotFoundError(MlotelError, LookupError):
    """What was asked for does not exist: a run, a plugin, a record."""


class CheckFailed(MlotelError, AssertionError):  # noqa: N818 - reads as the fact it states, like AssertionError's own users expect
    """A check failed and its component was declared with ``on_failure="raise"``.

    Attributes:
        check: Name of the check.
        message: What the check said.
    """

    def __init__(self, check: str, message: str) -> None:
        super().__init__(check, message)
        self.check = check
        self.message = message

    def __str__(self) -> str:
        return f"Check {self.check!r} failed: {self.message}" if self.message else f"Check {self.check!r} failed."


class CheckWarning(UserWarning):
    """A check failed and its component was declared with ``on_failure="warn"``."""
