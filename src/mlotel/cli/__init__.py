"""The command ``mlotel``: finds the file of the command that was typed, parses its arguments, and runs it.

A command is a file of this folder with

- ``NAME`` and ``HELP``: what to type, and one line on what it does;
- ``add_arguments(parser)``: adds its own arguments to an ``argparse.ArgumentParser`` that has the global ones;
- ``run(args) -> int``: does it; returns the exit status.

Exit status: 0 fine, 1 findings (or the output could not be written), 2 wrong usage, 3 nothing found. With 2 and 3 a
message goes to standard error and nothing to standard output. Only the file of the command in question is imported.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from mlotel import _plugins
from mlotel._version import __version__
from mlotel.cli import _output
from mlotel.errors import MlotelError, NotFoundError
from mlotel.terminal.style import style_of

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

__all__ = ["FINDINGS", "FINE", "NOTHING_FOUND", "WRONG_USAGE", "main"]

FINE = 0
FINDINGS = 1
WRONG_USAGE = 2
NOTHING_FOUND = 3
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_NOBODY_READS = 141  # 128 + SIGPIPE

_OPTIONS_WITH_VALUE = frozenset({"--store"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; what the console script ``mlotel`` calls.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        The exit status.
    """
    try:
        status = _main(list(sys.argv[1:] if argv is None else argv))
        _output.finish()
    except BrokenPipeError:
        _forget(sys.stdout)
        return _NOBODY_READS
    except _output.OutputError as error:
        _forget(sys.stdout)
        return _say(error, FINDINGS)
    except KeyboardInterrupt as error:
        if getattr(error, "of_script", False):  # it ended what `mlotel run` ran, and Python is to end likewise
            raise
        return _INTERRUPTED
    except NotFoundError as error:
        return _say(error, NOTHING_FOUND)
    except MlotelError as error:
        return _say(error, WRONG_USAGE)
    return status


def _main(arguments: list[str]) -> int:
    position = _position_of_command(arguments)
    try:
        if position is None:
            parser = _parser("mlotel", "Shows what machine-learning runs did, from their OpenTelemetry records.")
            parser.usage = "mlotel [options] COMMAND ..."
            parser.epilog = _commands_text() if "-h" in arguments or "--help" in arguments or not arguments else None
            parser.parse_args(arguments)
            parser.epilog = _commands_text()
            _output.write(parser.format_help())
            return FINE
        name = arguments.pop(position)
        if not _plugins.has("cli", name):
            return _say(_unknown(name), WRONG_USAGE)
        command = _plugins.load("cli", name)
        parser = _parser(f"mlotel {name}", command.HELP)
        command.add_arguments(parser)
        args = parser.parse_args(arguments)
    except SystemExit as stop:  # argparse's way to say that it has printed all there is to say
        return stop.code if isinstance(stop.code, int) else FINE
    return int(command.run(args))


def _position_of_command(arguments: list[str]) -> int | None:
    """Where the command's name is: the first word that is no global option, nor the value of one."""
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument in _OPTIONS_WITH_VALUE:
            position += 2
        elif argument.startswith("-"):
            position += 1
        else:
            return position
    return None


class _Parser(argparse.ArgumentParser):
    """Prints help and version as commands print: argparse says nothing when they cannot be written."""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        if message and file is sys.stdout:
            _output.write(message)
        else:
            super()._print_message(message, file)


def _parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with the global options, which may stand before the command or after it."""
    parser = _Parser(
        prog=program,
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    options = parser.add_argument_group("global options")
    options.add_argument(
        "--store", metavar="PATH", help="a .mlotel folder, a spool folder or a file (default: .mlotel)"
    )
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--no-color", action="store_true", help="print no colours; NO_COLOR does the same")
    options.add_argument("-q", "--quiet", action="store_true", help="print no titles, notes or hints")
    options.add_argument("--version", action="version", version=f"mlotel {__version__}")
    options.add_argument("-h", "--help", action="help", help="print this and exit")
    return parser


def _commands_text() -> str:
    """The commands, one a line, for the help text."""
    names = _plugins.names("cli")
    longest = max(map(len, names), default=0)
    lines = [f"  {name:{longest}}  {_help(name)}" for name in names]
    return "\n".join(["commands:", *lines, "", "mlotel COMMAND --help says more about one."])


def _help(name: str) -> str:
    try:
        return str(_plugins.load("cli", name).HELP)
    except (ImportError, NotFoundError) as error:  # it needs a library that is not installed
        return f"(not available here: {error})"


def _unknown(name: str) -> str:
    import difflib  # only on the way to an error

    names = _plugins.names("cli")
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no command {name!r}.{hint} Commands: {', '.join(names)}."


def _say(message: object, status: int) -> int:
    """Print ``message`` to standard error, each of its lines made harmless; returns ``status``."""
    style = style_of(sys.stderr)
    text = "\n".join(style.clean(line) for line in str(message).split("\n"))
    try:
        print(f"mlotel: {text}", file=sys.stderr)
        sys.stderr.flush()
    except OSError:  # nobody reads it, or the disk behind it is full
        _forget(sys.stderr)
    return status


def _forget(stream: TextIO | None) -> None:
    """Let the interpreter flush ``stream`` at its end without an error: nobody reads it any more."""
    if stream is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
