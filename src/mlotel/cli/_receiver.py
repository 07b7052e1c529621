"""What commands that ask an OTLP receiver, or send to one, share: their arguments, and which folders they mean."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from mlotel.errors import InvalidArgumentError, NotFoundError
from mlotel.store.spool import default_folders

__all__ = ["add_header", "folders", "header", "seconds"]


def add_header(parser: argparse.ArgumentParser, where: str) -> None:
    """Add ``--header``, which may be repeated.

    Args:
        parser: Of the command.
        where: To what it is sent, for the help.
    """
    parser.add_argument(
        "--header",
        metavar="NAME=VALUE",
        type=header,
        action="append",
        default=[],
        help=f"sent {where}, may be repeated; where others see your commands, set OTEL_EXPORTER_OTLP_HEADERS",
    )


def folders(store: str | None) -> list[Path]:
    """Spool folders to look in: the one that ``--store`` names, or those that recording writes to.

    Raises:
        InvalidArgumentError: If it names a file, or nothing.
        NotFoundError: If there is no such folder.
    """
    if store is None:
        return default_folders()
    path = Path(store)
    if not store or path.is_file():
        raise InvalidArgumentError(f"--store got {store!r}. Give the folder: a .mlotel folder or a spool folder.")
    if not path.is_dir():
        raise NotFoundError(f"Cannot read {store!r}: there is no such folder.")
    return [path / "spool" if (path / "spool").is_dir() else path]


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
