"""The run tree in the terminal: records in, text out. Standard library only, no OpenTelemetry."""

from collections.abc import Sequence
from typing import TextIO

from mlotel._guard import guard
from mlotel.types import SpanRecord

__all__ = ["print_run"]

MAX_LINES = 100
"""Lines of a tree printed at the end of a run: what scrolled away is not read. ``mlotel show`` has them all."""


def print_run(
    spans: Sequence[SpanRecord],
    *,
    where: str | None,
    stream: TextIO,
    lost: int | None = 0,
    no_colour: bool = False,
) -> None:
    """Print the tree of a run that has ended, where its record went, and what to type next. Never raises.

    Args:
        spans: Ended spans of the run, in any order; some may be missing.
        where: Folder or address that the record went to; None prints nothing about it.
        lost: Spans that did not arrive there so far; None while they are under way.
        stream: Where to print. Colours and width follow what it can show.
        no_colour: Print without colours, whatever it can show.

    Example:
        >>> import sys
        >>> from mlotel.types import SpanRecord
        >>> run = {"ml.run.id": "nightly-07", "ml.pipeline.name": "nightly"}
        >>> span = SpanRecord("5b8e" * 8, "eee1" * 4, None, "pipeline nightly", 0, 2_000_000_000, run)
        >>> print_run([span], where=".mlotel/spool", stream=sys.stdout)  # doctest: +ELLIPSIS
        <BLANKLINE>
        nightly          ...✓ 2.0 s   1970-01-01 ...   nightly-07
        recorded in .mlotel/spool   next: mlotel show nightly-07 · mlotel runs
    """
    with guard("print the tree of a run"):
        from mlotel.terminal.footer import footer
        from mlotel.terminal.render import render_run
        from mlotel.terminal.style import style_of
        from mlotel.terminal.tree import build_runs

        runs = build_runs(spans)
        if not runs:
            return
        style = style_of(stream, no_colour=no_colour)
        lines = render_run(runs[-1], style, max_lines=MAX_LINES)
        lines += footer(runs[-1], style, where, lost=lost)
        try:
            stream.write("\n" + "\n".join(lines) + "\n")
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more: a closed pipe, a closed file
            pass
