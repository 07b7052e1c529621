"""Writes the help texts of the commands into docs/cli.md: ``python tools/generate_cli_docs.py [--check]``.

Each command has a section ``## mlotel NAME``, in the order of ``mlotel --help``; the text between the markers is
rewritten, the rest of the page is written by hand. ``--check`` writes nothing, and exits with 1 when the page is out of
step.
"""

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path

from mlotel import _plugins, cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
BEGIN = "<!-- help of the commands: written by tools/generate_cli_docs.py -->"
END = "<!-- end of the help -->"
COLUMNS = "100"


def help_of(*arguments: str) -> str:
    """What ``mlotel ARGUMENTS --help`` prints on a terminal of 100 columns."""
    os.environ.update(COLUMNS=COLUMNS, NO_COLOR="1")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = cli.main([*arguments, "--help"])
    if status != cli.FINE:
        raise SystemExit(f"mlotel {' '.join(arguments)} --help ended with {status}")
    return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())


def sections() -> str:
    """The generated part of the page."""
    parts = [f"## mlotel\n\n```console\n$ mlotel --help\n{help_of()}\n```\n"]
    for name in _plugins.names("cli"):
        about = _plugins.load("cli", name).HELP
        parts.append(f"## mlotel {name}\n\n{about}\n\n```console\n$ mlotel {name} --help\n{help_of(name)}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Write, or compare; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of step")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE.name} must hold the lines {BEGIN} and {END}")
    wanted = f"{before}{BEGIN}\n\n{sections()}\n{END}{after}"
    if page == wanted:
        return 0
    if check:
        print("docs/cli.md is out of step with the commands; run: python tools/generate_cli_docs.py", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    print("wrote docs/cli.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
