"""What a stream can show: colour, box characters, how many cells."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from mlotel.terminal import text

__all__ = ["Glyphs", "Line", "Style", "style_of"]

Line = list[tuple[str, str]]
"""A line in pieces: text that is clean already, and the word for how it looks (a key of ``_CODES``, or empty)."""

PIPE_WIDTH = 120  # cells when nobody looks: wide enough for what people grep, and the same everywhere
_CODES: Final = {"bold": "1", "dim": "2", "bad": "31", "ok": "32", "warn": "33", "bar": "36"}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters that the output is drawn with."""

    tee: str
    corner: str
    line: str
    ok: str
    bad: str
    warn: str
    arrow: str
    times: str
    minus: str
    ellipsis: str
    dot: str
    full: str
    left: str
    right: str
    micro: str


UNICODE: Final = Glyphs("├─ ", "└─ ", "│  ", "✓", "✗", "▲", "→", "×", "−", "…", "·", "━", "╸", "╺", "µ")
ASCII: Final = Glyphs("|- ", "`- ", "|  ", "+", "x", "!", "->", "x", "-", "...", "-", "=", "-", "-", "u")


@dataclass(frozen=True, slots=True)
class Style:
    """How to write to one stream.

    Attributes:
        glyphs: What to draw with.
        has_colour: Whether ANSI colours are written.
        width: Cells of a line.
        is_terminal: Whether somebody looks at it.
        encoding: What the stream can write.
    """

    glyphs: Glyphs = UNICODE
    has_colour: bool = False
    width: int = PIPE_WIDTH
    is_terminal: bool = False
    encoding: str = "utf-8"

    def clean(self, value: object, limit: int = text.MAX_TEXT) -> str:
        """``value`` as one line that this stream can show."""
        return text.clean(value if isinstance(value, str) else str(value), self.encoding, limit)

    def cut(self, value: str, cells: int) -> str:
        """``value`` in at most ``cells`` cells."""
        return text.cut(value, cells, self.glyphs.ellipsis)

    def paint(self, line: Line) -> str:
        """``line`` as text, cut at the width, with colours if the stream has them, without blanks at its end."""
        room, kept = self.width, []
        for piece, look in _without_end_blanks(line):
            size = text.width(piece)
            kept.append((piece if size <= room else self.cut(piece, room), look))
            room -= size
            if room < 0:
                break
        return "".join(self._coloured(piece, look) for piece, look in _without_end_blanks(kept))

    def _coloured(self, piece: str, look: str) -> str:
        code = _CODES.get(look)
        return f"\x1b[{code}m{piece}\x1b[0m" if code and self.has_colour and piece.strip(" ") else piece


def _without_end_blanks(line: Line) -> Line:
    kept = list(line)
    while kept and not kept[-1][0].strip(" "):
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(" "), kept[-1][1])
    return kept


def style_of(stream: TextIO, *, no_colour: bool = False, environment: Mapping[str, str] | None = None) -> Style:
    """The style for ``stream``.

    Args:
        stream: Where the text will go.
        no_colour: Whether the user asked for no colours; wins over everything.
        environment: Variables to go by; those of the process by default. ``NO_COLOR`` switches colours off and
            ``FORCE_COLOR`` on, when not empty; otherwise a terminal has them. ``COLUMNS`` sets the width.
    """
    variables = os.environ if environment is None else environment
    is_terminal = _is_terminal(stream)
    if no_colour or variables.get("NO_COLOR"):
        has_colour = False
    elif variables.get("FORCE_COLOR", "").lower() not in ("", "0", "false"):
        has_colour = True
    else:
        has_colour = is_terminal and variables.get("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    return Style(_glyphs(encoding), has_colour, _width(stream, is_terminal, variables), is_terminal, encoding)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # not quite a file, or closed
        return False


def _glyphs(encoding: str) -> Glyphs:
    try:
        "".join(getattr(UNICODE, name) for name in Glyphs.__slots__).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def _width(stream: TextIO, is_terminal: bool, variables: Mapping[str, str]) -> int:
    columns = variables.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    if not is_terminal:
        return PIPE_WIDTH
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return shutil.get_terminal_size().columns
