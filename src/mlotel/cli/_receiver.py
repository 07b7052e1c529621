"""What commands that ask an OTLP receiver, or send to one, share: their arguments."""

import argparse
import math
from collections.abc import Callable

__all__ = ["header", "seconds"]


def header(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` as name and value; what is wrong is said without them.

    Raises:
        argparse.ArgumentTypeError: If it is none, or could not be sent.

    Example:
        >>> header("x-team = blue")
        ('x-team', 'blue')
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or any(mark in text for mark in "\r\n"):
        raise argparse.ArgumentTypeError("write it as NAME=VALUE, in quotes where it has blanks")
    return name.strip(), value.strip()


def seconds(at_most: float = math.inf) -> Callable[[str], float]:
    """A reader of times above 0.

    Args:
        at_most: The longest, in seconds; infinity itself is never taken.

    Returns:
        A function of the text that was typed, for ``argparse``; it raises ``ArgumentTypeError``.

    Example:
        >>> seconds()("2.5")
        2.5
    """

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not 0 < found <= at_most or found == math.inf:
            limit = "" if at_most == math.inf else f", {at_most:g} at most"
            raise argparse.ArgumentTypeError(f"{text!r} is no time; give a number of seconds above 0{limit}")
        return found

    return read
