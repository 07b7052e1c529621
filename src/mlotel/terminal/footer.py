"""The last line below a tree: where the record is, and what to type next."""

import shlex

from mlotel.terminal import text, wording
from mlotel.terminal.nodes import Run
from mlotel.terminal.style import Line, Style

__all__ = ["footer"]


def footer(run: Run, style: Style, where: str | None) -> list[str]:
    """Lines that say where the record of ``run`` went.

    Args:
        run: The run that was shown.
        style: Where they will be written.
        where: A folder, for which the next commands are given, or an address. None gives no lines.
    """
    if not where:
        return []
    place = style.clean(where, 500)
    if "://" in where:
        return [style.paint([("sent to ", "dim"), (place, "")])]
    commands = [f"mlotel show {shlex.quote(style.clean(wording.short_id(run.id)))}", "mlotel runs"]
    follow: Line = [("next: ", "dim"), (f" {style.glyphs.dot} ".join(commands), "")]
    recorded: Line = [("recorded in ", "dim"), (place, "")]
    joined: Line = [*recorded, ("   ", ""), *follow]
    if sum(text.width(piece) for piece, _ in joined) <= style.width:
        return [style.paint(joined)]
    return [style.paint(recorded), style.paint(follow)]
