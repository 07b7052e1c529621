"""Text of any origin, made fit for a terminal: no control characters, and as wide as it may be."""

import unicodedata

__all__ = ["clean", "cut", "pad", "width", "wrap"]

MAX_TEXT = 4000  # characters looked at; nothing that is printed on a line needs more
_MAX_MARKS = 4  # combining marks on one character; no script needs more, and stacks of them cover other lines
_JOINERS = "\u200c\u200d"  # invisible, and needed to write Persian, Hindi and some emoji


def clean(text: str, encoding: str = "utf-8", limit: int = MAX_TEXT) -> str:
    r"""``text`` on one line, without anything that a terminal would obey instead of showing.

    Args:
        text: Any string, also with lone surrogates.
        encoding: What the stream can write; other characters are shown by their code.
        limit: Characters to look at; the rest is left out.

    Example:
        >>> print(clean("red \x1b[31malert\nnew line"))
        red \x1b[31malert\nnew line
    """
    shown = text if len(text) <= limit else text[:limit]
    if shown.isascii() and shown.isprintable():
        return shown
    shown = "".join(_visible(shown))
    if encoding not in ("utf-8", "utf8"):
        shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    return shown


def _visible(text: str) -> list[str]:
    parts: list[str] = []
    marks = 0
    for char in text:
        if char.isascii() and char.isprintable():
            parts.append(char)
            marks = 0
            continue
        category = unicodedata.category(char)
        if category in ("Mn", "Me"):
            marks += 1
            if marks <= _MAX_MARKS:
                parts.append(char)
            continue
        if category == "Cs":
            parts.append("\ufffd")
        elif category == "Zs":
            parts.append(" ")
        elif category in ("Cc", "Cf", "Zl", "Zp") and char not in _JOINERS:
            parts.append(char.encode("unicode_escape").decode("ascii"))
        else:
            parts.append(char)
        marks = marks if char in _JOINERS else 0
    return parts


def _char_width(char: str) -> int:
    if char in _JOINERS or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def width(text: str) -> int:
    """Cells that ``text`` takes: two for most East Asian characters and emoji, none for combining marks.

    Example:
        >>> width("naïve"), width("特徴量"), width("cafe\u0301")
        (5, 6, 4)
    """
    return len(text) if text.isascii() else sum(map(_char_width, text))


def cut(text: str, cells: int, ellipsis: str = "…") -> str:
    """``text`` in at most ``cells`` cells; what is left out is marked.

    Example:
        >>> cut("clean-flights", 8), cut("clean", 8)
        ('clean-f…', 'clean')
    """
    if width(text) <= cells:
        return text
    room = cells - width(ellipsis)
    if room < 0:
        return ellipsis[: max(0, cells)]
    if text.isascii():
        return text[:room] + ellipsis
    kept = []
    for char in text:
        room -= _char_width(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + ellipsis


def pad(text: str, cells: int) -> str:
    """``text``, filled up with spaces to ``cells`` cells."""
    return text + " " * (cells - width(text))


def wrap(text: str, cells: int) -> list[str]:
    """``text`` in lines of at most ``cells`` cells, broken at spaces where there are any.

    Example:
        >>> wrap("could not convert string to float", 12)
        ['could not', 'convert', 'string to', 'float']
    """
    cells = max(cells, 2)  # one wide character must fit
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and width(line) + 1 + width(word) <= cells:
            line += " " + word
            continue
        if line:
            lines.append(line.rstrip())
        line = word
        while width(line) > cells:
            head = cut(line, cells, "")
            lines.append(head)
            line = line[len(head) :]
    lines.append(line)
    return lines
