"""Numbers and times in the words people read."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from mlotel.terminal.style import Glyphs

__all__ = ["count", "duration", "listed", "share", "short_id", "size", "when"]

_HEX = frozenset("0123456789abcdef")
_LONGEST_ID = 24


def count(number: int, noun: str = "") -> str:
    """``number`` with thousands apart, and ``noun`` in the right number.

    Example:
        >>> count(336776, "row"), count(1, "row")
        ('336,776 rows', '1 row')
    """
    return f"{number:,}" + (f" {noun}{'' if number == 1 else 's'}" if noun else "")


def duration(length_ns: int, glyphs: Glyphs) -> str:
    """A length of time, with as many digits as tell something."""
    length_s = max(length_ns, 0) / 1e9
    if length_s < 0.00095:
        return f"{length_s * 1e6:.0f} {glyphs.micro}s"
    if length_s < 0.0995:
        return f"{length_s * 1e3:.0f} ms" if length_s >= 0.00995 else f"{length_s * 1e3:.1f} ms"
    if length_s < 59.95:
        return f"{length_s:.1f} s"
    minutes, seconds = divmod(round(length_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def listed(words: Sequence[str]) -> str:
    """``words`` as a sentence has them.

    Example:
        >>> listed(["traces", "metrics", "logs"]), listed(["traces"])
        ('traces, metrics and logs', 'traces')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def share(before: int, after: int, glyphs: Glyphs) -> str:
    """How much ``after`` is less or more than ``before``: ``−2.8 %``. Empty when that says nothing.

    A table of another size altogether (an aggregate, an exploded list) is no "−99.9 %".
    """
    if before <= 0 or after == before or not before * 0.05 <= after <= before * 10:
        return ""
    change = (after - before) / before * 100
    sign = glyphs.minus if change < 0 else "+"
    return f"{sign}{abs(change):.1f} %" if abs(change) >= 0.05 else f"{sign}{abs(after - before):,}"


def size(number: int) -> str:
    """A number of bytes."""
    if number < 1000:
        return f"{number} B"
    amount = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
    return f"{amount:,.0f} TB"


def when(time_ns: int, now_ns: int) -> str:
    """A moment, in local time: ``today 06:00``, ``yesterday 06:00``, ``2026-01-05 06:00``."""
    moment, today = datetime.fromtimestamp(time_ns / 1e9), datetime.fromtimestamp(now_ns / 1e9).date()
    if moment.date() == today:
        return f"today {moment:%H:%M}"
    if moment.date() == today - timedelta(days=1):
        return f"yesterday {moment:%H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"


def short_id(run_id: str, digits: int = 6) -> str:
    """What to type for a run: the first digits of a random id; an id that a person chose stays whole if it can.

    Example:
        >>> short_id("8c1f2a90b3d44e5f8a67c2d1e0f9b8a7"), short_id("nightly-07")
        ('8c1f2a', 'nightly-07')
    """
    is_random = len(run_id) == 32 and _HEX.issuperset(run_id)
    return run_id[: digits if is_random else max(digits, _LONGEST_ID)]
