"""The list of runs as a table."""

import time
from collections.abc import Sequence
from itertools import pairwise

from mlotel.terminal import text, wording
from mlotel.terminal.render import mark
from mlotel.terminal.style import Line, Style
from mlotel.terminal.summary import Summary

__all__ = ["render_table", "shortest_digits"]

_COLUMNS = ("id", "pipeline", "when", "took", "status", "steps", "outputs")
_WIDE = 100  # cells from which a status is a word and not only a symbol
_LONGEST_NAME = 40
_SHORTEST_NAME = 16
_SHORTEST_OUTPUTS = 20
_GAP = "  "


def shortest_digits(ids: Sequence[str], least: int = 6) -> int:
    """How many digits of run ids tell them apart.

    Example:
        >>> shortest_digits(["8c1f2a90", "8c1f2a33", "07aa1b44"])
        7
    """
    ordered = sorted(set(ids))
    digits = least
    for one, other in pairwise(ordered):
        same = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        digits = max(digits, same + 1)
    return digits


def render_table(runs: Sequence[Summary], style: Style, *, now_ns: int | None = None) -> list[str]:
    """One line for each of ``runs``, below a line of titles.

    Args:
        runs: In the order to show them.
        style: Where it will be written.
        now_ns: Nanoseconds since 1970, to say "today" by; the present by default.

    Returns:
        Lines, none wider than ``style.width``.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    digits = shortest_digits([run.id for run in runs])
    rows = [_cells(run, style, now_ns, digits) for run in runs]
    titles = {column: (column if column != "status" or style.width >= _WIDE else "", "dim") for column in _COLUMNS}
    sizes = {column: max(text.width(row[column][0]) for row in [titles, *rows]) for column in _COLUMNS}
    sizes["pipeline"] = min(sizes["pipeline"], _LONGEST_NAME)
    sizes["outputs"] = style.width - sum(sizes[column] + len(_GAP) for column in _COLUMNS[:-1])
    if sizes["outputs"] < _SHORTEST_OUTPUTS:  # names give way, but not all of them
        given = min(_SHORTEST_OUTPUTS - sizes["outputs"], max(0, sizes["pipeline"] - _SHORTEST_NAME))
        sizes["pipeline"] -= given
        sizes["outputs"] += given
    return [style.paint(_row(row, sizes, style)) for row in [titles, *rows]]


def _cells(run: Summary, style: Style, now_ns: int, digits: int) -> dict[str, tuple[str, str]]:
    symbol, look = mark(run.status, style)
    return {
        "id": (style.clean(wording.short_id(run.id, digits), 200), "bold"),
        "pipeline": (style.clean(run.name, 200), ""),
        "when": (wording.when(run.start_ns, now_ns), "dim"),
        "took": (wording.duration(run.duration_ns, style.glyphs), ""),
        "status": (f"{symbol} {run.status}" if style.width >= _WIDE else symbol, look),
        "steps": (_steps(run, style), ""),
        "outputs": (_outputs(run, style, now_ns), ""),
    }


def _outputs(run: Summary, style: Style, now_ns: int) -> str:
    said = ", ".join(name[:200] for name in run.outputs[:5])
    if run.status == "lost":  # nothing more will come: when it stopped is what people look for
        said = f"(last seen {wording.when(run.last_seen_ns, now_ns)}) {said}".rstrip()
    return style.clean(said)


def _steps(run: Summary, style: Style) -> str:
    said = f"{run.steps:,}"
    if run.failed_steps:
        said += f" {style.glyphs.bad}{run.failed_steps:,}"
    if run.failed_checks:
        said += f" {style.glyphs.warn}{run.failed_checks:,}"
    return said


def _row(row: dict[str, tuple[str, str]], sizes: dict[str, int], style: Style) -> Line:
    line: Line = []
    for column in _COLUMNS:
        value, look = row[column]
        shown = style.cut(value, max(0, sizes[column]))
        blanks = " " * (sizes[column] - text.width(shown))
        line.append((blanks + shown if column == "took" else shown, look))
        line.append((_GAP if column == "took" else blanks + _GAP, ""))
    return line
