"""The last lines below a tree: where the record is, and what to type next."""

import os
import shlex
from collections.abc import Mapping
from typing import Final

from mlotel.terminal import text, wording
from mlotel.terminal.nodes import Run
from mlotel.terminal.style import Line, Style

__all__ = ["footer"]

_DEFAULT: Final = ".mlotel/spool"


def footer(
    run: Run,
    style: Style,
    where: str | None,
    environment: Mapping[str, str] | None = None,
    *,
    lost: int | None = 0,
) -> list[str]:
    """Lines that say where the record of ``run`` went.

    Args:
        run: The run that was shown.
        style: Where they will be written.
        where: A folder, for which the next commands are given, or an address. None gives no lines.
        environment: Variables to go by; those of the process by default.
        lost: Spans that did not arrive at an address so far; None while they are under way.
    """
    if not where:
        return []
    place = style.clean(where, 500)
    if "://" in where:
        if lost is None:
            return [style.paint([("still being sent to ", "dim"), (place, "")])]
        if lost:
            return [style.paint([(f"{lost:,} spans did not arrive at ", "bad"), (place, "")])]
        return [style.paint([("sent to ", "dim"), (place, "")])]
    variables = os.environ if environment is None else environment
    is_default = where == (variables.get("MLOTEL_SPOOL") or _DEFAULT)  # commands look there unasked
    store = "" if is_default else f" --store {shlex.quote(place)}"
    show = f"mlotel show {shlex.quote(style.clean(wording.short_id(run.id)))}{store}"
    runs = f"mlotel runs{store}"
    recorded: Line = [("recorded in ", "dim"), (place, "")]
    follow: Line = [("next: ", "dim"), (f"{show} {style.glyphs.dot} {runs}", "")]
    joined: Line = [*recorded, ("   ", ""), *follow]
    if _cells(joined) <= style.width:
        return [style.paint(joined)]
    if _cells(follow) <= style.width:
        return [style.paint(recorded), style.paint(follow)]
    # What is to be typed is never cut.
    return [style.paint(recorded), style.paint([("next:", "dim")]), show, runs]


def _cells(line: Line) -> int:
    return sum(text.width(piece) for piece, _ in line)
