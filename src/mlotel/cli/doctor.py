"""``mlotel doctor``: is my telemetry arriving, and if not, why?"""

import argparse
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlotel._version import __version__
from mlotel.cli import _base, _receiver
from mlotel.terminal import text, wording
from mlotel.terminal.style import Line, Style, style_of

if TYPE_CHECKING:
    from mlotel.doctor import Result, Section, Verdict

NAME = "doctor"
HELP = "Say whether telemetry arrives: settings, endpoints, what was sent and lost, the spool, versions, conflicts."

_INDENT = 2
_WIDEST_SUBJECT = 24
_WIDEST = 100  # cells of a line; longer ones are hard to read
_NARROWEST = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--endpoint", metavar="URL", help="ask this one, as configure(endpoint=) would use it")
    parser.add_argument("--protocol", metavar="NAME", help="http/protobuf or grpc, as configure(protocol=)")
    _receiver.add_header(parser, "to the endpoint")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_receiver.seconds(at_most=60),
        default=3.0,
        help="for each endpoint to answer (default: 3)",
    )


def run(args: argparse.Namespace) -> int:
    """Examine, and print.

    Raises:
        InvalidArgumentError: If an argument cannot be used.
        NotFoundError: If ``--store`` names no folder.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC writes what the doctor says better; read when it loads
    from mlotel.doctor import Case, examine, worst  # slow to load

    folders = _receiver.folders(args.store)
    case = Case(tuple(folders), args.endpoint, args.protocol, dict(args.header), timeout_s=args.timeout)
    found = examine(case)
    results = [result for section in found.values() for result in section]
    if args.json:
        _base.print_json(_as_object(found, worst(results)))
    else:
        style = style_of(sys.stdout, no_colour=args.no_color)
        lines = _lines(found, style, is_quiet=args.quiet)
        if lines:
            _base.print_lines(lines)
    return int(any(result.is_finding for result in results))


def _lines(found: "Mapping[Section, list[Result]]", style: Style, *, is_quiet: bool) -> list[str]:
    lines: list[str] = []
    results = [result for section in found.values() for result in section]
    for section, all_of_it in found.items():
        shown = _findings(all_of_it) if is_quiet else all_of_it
        if not shown:
            continue
        if not is_quiet:
            lines += ["", style.paint([(section.title, "bold")])] if lines else [style.paint([(section.title, "bold")])]
        subjects = [text.width(style.clean(result.subject)) + _INDENT * result.is_below for result in shown]
        column = max((size for size in subjects if size <= _WIDEST_SUBJECT), default=0)
        for result in shown:
            lines += _result(result, style, column)
    if not is_quiet:
        lines += ["", style.paint(_summary(results, style))]
    return lines


def _findings(results: "list[Result]") -> "list[Result]":
    """The findings, each below what it belongs to."""
    kept: list[Result] = []
    above: Result | None = None
    for result in results:
        if not result.is_below:
            above = result
        if result.is_finding:
            if result.is_below and above is not None and above not in kept:
                kept.append(above)
            kept.append(result)
    return kept


def _result(result: "Result", style: Style, column: int) -> list[str]:
    """Symbol, subject, what was found and the remedy, in lines that fit."""
    symbol, look = _mark(result.verdict, style)
    indent = _INDENT + _INDENT * result.is_below
    subject = style.clean(result.subject)
    width = max(min(style.width, _WIDEST), _NARROWEST)
    room = _INDENT + 2 + column + 2  # where the text of a section stands
    head: Line = [(" " * indent, ""), (symbol, look), (" ", ""), (subject, "bold" if result.is_finding else "")]
    used = indent + 2 + text.width(subject)
    says = style.clean(result.says)
    wanted = max(room, used + 2) if text.width(says) + used + 2 <= width else room
    if used + 2 <= room or wanted > room:
        first, *rest = text.wrap(says, max(width - wanted, _NARROWEST // 2))
        lines = [style.paint([*head, (" " * (wanted - used), ""), (first, "")])]
        lines += [style.paint([(" " * wanted, ""), (line, "")]) for line in rest]
        hanging = wanted if used + 2 <= room else indent + 2
    else:
        hanging = indent + 2
        lines = [style.paint(head)]
        lines += [style.paint([(" " * hanging, ""), (line, "")]) for line in text.wrap(says, width - hanging)]
    if result.remedy:
        arrow = f"{style.glyphs.arrow} "
        size = text.width(arrow)
        for number, line in enumerate(text.wrap(style.clean(result.remedy), max(width - hanging - size, 20))):
            lines.append(style.paint([(" " * hanging, ""), (arrow if number == 0 else " " * size, "dim"), (line, "")]))
    return lines


def _mark(verdict: "Verdict", style: Style) -> tuple[str, str]:
    return {
        "ok": (style.glyphs.ok, "ok"),
        "info": (style.glyphs.dot, "dim"),
        "warn": (style.glyphs.warn, "warn"),
        "fail": (style.glyphs.bad, "bad"),
    }[verdict]


def _summary(results: "list[Result]", style: Style) -> Line:
    failed, warned = (sum(result.verdict == verdict for result in results) for verdict in ("fail", "warn"))
    if not failed and not warned:
        return [(style.glyphs.ok, "ok"), (" Nothing wrong was found.", "")]
    line: Line = []
    if failed:
        line += [(style.glyphs.bad, "bad"), (f" {wording.count(failed, 'problem')}", "bold")]
    if warned:
        line += [
            ("   " if line else "", ""),
            (style.glyphs.warn, "warn"),
            (f" {wording.count(warned, 'warning')}", "bold"),
        ]
    return line


def _as_object(found: "Mapping[Section, list[Result]]", verdict: "Verdict") -> dict[str, Any]:
    """What ``--json`` prints; its keys stay as they are."""
    return {
        "mlotel": __version__,
        "verdict": verdict,
        "sections": [
            {
                "title": section.title,
                "results": [
                    {
                        "verdict": result.verdict,
                        "subject": result.subject,
                        "says": result.says,
                        "remedy": result.remedy,
                        "facts": dict(result.facts),
                    }
                    for result in results
                ],
            }
            for section, results in found.items()
        ],
    }
