"""Writing to standard output, where the disk behind it may be full."""

import sys

__all__ = ["OutputError", "finish", "write"]


class OutputError(Exception):
    """Standard output takes no more; the message says why. A reader that has gone is a ``BrokenPipeError`` instead."""


def write(text: str) -> None:
    """Print ``text`` as it is.

    Raises:
        OutputError: If it cannot be written.
        BrokenPipeError: If nobody reads it any more.
    """
    try:
        print(text, end="")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(_said(error)) from error


def finish() -> None:
    """See to it that all that was printed has been written.

    Raises:
        OutputError: As ``write`` does.
        BrokenPipeError: As ``write`` does.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(_said(error)) from error


def _said(error: OSError) -> str:
    return f"The output cannot be written: {error.strerror or error}. Only a part of it is there."
