"""``mlotel runs``: the latest runs, one a line."""

import argparse
import re
import sys
import time

from mlotel.cli import _base
from mlotel.errors import NotFoundError
from mlotel.terminal.objects import summary_object
from mlotel.terminal.style import style_of
from mlotel.terminal.summary import Summary
from mlotel.terminal.table import render_table

NAME = "runs"
HELP = "List the latest runs: when, how long, how they ended, what they made."

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--limit", metavar="N", type=_count, default=20, help="how many at most (default: 20)")
    parser.add_argument("--pipeline", metavar="NAME", help="only runs of this pipeline")
    parser.add_argument(
        "--status",
        choices=("ok", "error", "running", "lost", "unfinished"),
        help="only runs that ended like this, or have no end: lost ones have stopped to show signs of life",
    )
    parser.add_argument(
        "--since", metavar="AGE", type=_age, help="only runs that started within this time: 90m, 24h, 7d, 2w"
    )


def run(args: argparse.Namespace) -> int:
    """List runs.

    Raises:
        NotFoundError: If there is none that matches.
    """
    spool = _base.open_spool(args.store)

    def wanted(run: Summary) -> bool:
        return args.pipeline in (None, run.name) and args.status in (None, run.status)

    since_ns = 0 if args.since is None else time.time_ns() - args.since * 10**9
    found = _base.newest_runs(spool, args.limit, since_ns=since_ns, wanted=wanted)
    _base.print_notes(spool, args)
    if not found:
        if args.pipeline is None and args.status is None and args.since is None:
            raise NotFoundError(f"There are no runs in {spool.path}.\n{_base.HOW_TO_RECORD}")
        raise NotFoundError(f"No run in {spool.path} matches. List all: mlotel runs")
    if args.json:
        _base.print_json([summary_object(run) for run in found])
        return 0
    lines = render_table(found, style_of(sys.stdout, no_colour=args.no_color))
    _base.print_lines(lines[1:] if args.quiet else lines)
    return 0


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give a whole number from 1")
    return int(text)


def _age(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age; give a number and s, m, h, d or w, such as 24h")
    return int(match[1]) * _UNITS_S[match[2]]
