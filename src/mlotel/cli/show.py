"""``mlotel show``: the tree of one run."""

import argparse
import shlex
import sys

from mlotel.cli import _base
from mlotel.errors import NotFoundError
from mlotel.terminal import wording
from mlotel.terminal.details import details
from mlotel.terminal.objects import run_object
from mlotel.terminal.origins import missing_writers, writer_of, writers
from mlotel.terminal.render import render_run
from mlotel.terminal.style import style_of

NAME = "show"
HELP = "Show one run as a tree: components, data in and out, rows removed, checks, errors."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("id", nargs="?", help="run id or trace id, or its first digits (default: the latest run)")
    parser.add_argument(
        "--attrs", action="store_true", help="everything that was recorded: params, resource, artifacts"
    )


def run(args: argparse.Namespace) -> int:
    """Show a run.

    With ``--json`` one object is printed, described at ``mlotel.terminal.objects.run_object``.

    Raises:
        NotFoundError: If there is no such run.
        InvalidArgumentError: If several ids start with the one given.
    """
    spool = _base.open_spool(args.store)
    if args.id is None:
        latest = _base.newest_runs(spool, 1)
        if not latest:
            raise NotFoundError(f"There are no runs in {spool.path}.\n{_base.HOW_TO_RECORD}")
        [summary] = latest
    else:
        summary = _base.find_run(spool, args.id)
    found = _base.load_run(spool, summary)
    known = writers(found)
    if args.attrs or args.json:
        elsewhere = _base.span_lookup(spool, missing_writers(found, known))
        known |= {key: writer_of(span) for key, span in elsewhere.items()}
    _base.print_notes(spool, args)
    if args.json:
        _base.print_json(run_object(found, known))
        return 0
    style = style_of(sys.stdout, no_colour=args.no_color)
    lines = render_run(found, style, notes=details(found, known) if args.attrs else None)
    if not (args.quiet or args.attrs):
        store = f" --store {shlex.quote(args.store)}" if args.store else ""
        command = f"mlotel show {shlex.quote(wording.short_id(found.id))} --attrs{store}"
        lines.append(style.paint([("params, resource, artifact ids: ", "dim"), (style.clean(command), "")]))
    _base.print_lines(lines)
    return 0
