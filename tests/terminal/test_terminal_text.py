"""Texts of any origin on a terminal: harmless, and as wide as they may be."""

import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlotel.terminal import text, wording
from mlotel.terminal.style import ASCII, UNICODE, Style, style_of

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=80)  # surrogates too


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("clean", "clean"),
        ("naïve 特徴量", "naïve 特徴量"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("\x9b31m", r"\x9b31m"),
        ("back\u202espelled", r"back\u202espelled"),
        ("no\u2028lines\u2029", r"no\u2028lines\u2029"),
        ("lone \ud800", "lone \ufffd"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\ufeffmark", r"\ufeffmark"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("z" + "\u0301" * 50 + "z", "z" + "\u0301" * 4 + "z"),
    ],
)
def test_nothing_is_left_that_a_terminal_would_obey(raw, shown):
    """Escapes, line breaks, text direction and lone surrogates are shown instead of done; real scripts stay."""
    assert text.clean(raw) == shown


@given(ANYTHING)
def test_clean_text_is_one_printable_line(raw):
    """Whatever the text, what is shown can be encoded and holds no control character."""
    shown = text.clean(raw)

    shown.encode("utf-8")
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    assert text.clean(raw, "ascii").isascii()


@given(ANYTHING, st.integers(1, 60))
def test_cut_text_fits(raw, cells):
    """Cut text is never wider than asked, and whole when there is room."""
    shown = text.clean(raw)

    assert text.width(text.cut(shown, cells)) <= cells
    assert text.cut(shown, text.width(shown)) == shown
    assert text.width(text.pad(text.cut(shown, cells), cells)) == cells


@given(ANYTHING, st.integers(2, 40))
def test_wrapped_text_fits_and_loses_no_word(raw, cells):
    """Every line fits, and but for blanks all is there."""
    shown = text.clean(raw)

    lines = text.wrap(shown, cells)

    assert all(text.width(line) <= cells for line in lines)
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")


def test_wide_characters_take_two_cells():
    """East Asian characters count twice, so that columns stay in line; a wide one that would be cut in half goes."""
    assert text.width("特徴量") == 6
    assert text.cut("特徴量", 4) == "特…"
    assert text.pad("特徴", 6) == "特徴  "


def test_a_text_of_megabytes_costs_no_more_than_its_beginning():
    """Only the beginning is looked at."""
    assert len(text.clean("é" * 10_000_000)) == 4000


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "no_colour", "expected"),
    [
        (_Terminal(), {}, False, True),
        (io.StringIO(), {}, False, False),
        (_Terminal(), {"NO_COLOR": "1"}, False, False),
        (_Terminal(), {"NO_COLOR": ""}, False, True),
        (_Terminal(), {}, True, False),
        (_Terminal(), {"TERM": "dumb"}, False, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, False, True),
        (io.StringIO(), {"FORCE_COLOR": "0"}, False, False),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True, False),
        (None, {}, False, False),
    ],
)
def test_colour_is_for_terminals_unless_somebody_says_otherwise(stream, environment, no_colour, expected):
    """--no-color, then NO_COLOR, then FORCE_COLOR, then whether the stream is a terminal."""
    assert style_of(stream, no_colour=no_colour, environment=environment).has_colour is expected


def test_a_closed_stream_has_a_style():
    """A stream that was closed is no terminal, and no error."""
    stream = io.StringIO()
    stream.close()

    assert style_of(stream, environment={}).is_terminal is False


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", UNICODE), ("UTF-16", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("cp437", ASCII)],
)
def test_streams_that_cannot_write_the_symbols_get_plain_ones(encoding, glyphs):
    """The tree is drawn with characters that the stream can encode."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    style = style_of(stream, environment={})

    assert style.glyphs is glyphs
    stream.write("".join(getattr(style.glyphs, name) for name in type(glyphs).__slots__) + style.clean("特徴é"))
    stream.flush()


@pytest.mark.parametrize(
    ("columns", "expected"), [("93", 93), ("0", 120), ("wide", 120), ("-5", 120), ("", 120), ("²", 120)]
)
def test_columns_sets_the_width(columns, expected):
    """COLUMNS counts when it is a positive number; a pipe has 120 cells otherwise."""
    assert style_of(io.StringIO(), environment={"COLUMNS": columns}).width == expected


def test_painting_cuts_at_the_width_and_colours_pieces():
    """Colour codes take no room; a line is cut where it ends, and blanks at its end go."""
    line = [("ab", "ok"), ("  ", "dim"), ("cdefgh", ""), ("   ", "bad")]

    assert Style(width=9).paint(line) == "ab  cdef…"
    assert Style(width=40).paint(line) == "ab  cdefgh"
    assert Style(width=9, has_colour=True).paint(line) == "\x1b[32mab\x1b[0m  cdef…"


@pytest.mark.parametrize(
    ("length_s", "shown"),
    [
        (0, "0 µs"), (-5, "0 µs"), (0.0004, "400 µs"), (0.0021, "2.1 ms"), (0.0999, "0.1 s"), (0.0312, "31 ms"),
        (0.6, "0.6 s"), (38.71, "38.7 s"), (59.96, "1 min 00 s"), (150, "2 min 30 s"), (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"), (200_000, "2 d 7 h"),
    ],
)  # fmt: skip
def test_durations_have_as_many_digits_as_tell_something(length_s, shown):
    """Microseconds to days, each rounded into its own unit."""
    assert wording.duration(round(length_s * 1e9), UNICODE) == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (336_776, 327_290, "−2.8 %"), (100, 150, "+50.0 %"), (100, 100, ""), (0, 5, ""), (26_115, 26_114, "−1"),
        (336_776, 12, ""), (10, 0, ""), (1, 5000, ""),
    ],
)  # fmt: skip
def test_a_change_of_rows_is_said_where_it_means_something(before, after, shown):
    """Aggregates and exploded tables are no loss or gain of rows; a few rows of many are a number."""
    assert wording.share(before, after, UNICODE) == shown


def test_sizes_and_counts_read_easily():
    """Bytes have a unit of three digits; counts have their thousands apart."""
    assert [wording.size(n) for n in (0, 999, 1000, 1_249_000, 999_600_000, 5 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "1.2 MB", "1.0 GB", "5,000 TB",
    ]  # fmt: skip
    assert [wording.count(n, "row") for n in (0, 1, 336_776)] == ["0 rows", "1 row", "336,776 rows"]


@pytest.mark.skipif(sys.platform == "win32", reason="time zones are set by a variable on POSIX only")
def test_moments_are_local_and_near_ones_have_a_word(monkeypatch):
    """Today and yesterday are days of the reader's calendar."""
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        now = 1_767_614_400 * 10**9  # 2026-01-05 21:00 in Tokyo
        hour = 3600 * 10**9
        assert [wording.when(now - hours * hour, now) for hours in (1, 21, 22, 45, 46, -4)] == [
            "today 20:00", "today 00:00", "yesterday 23:00", "yesterday 00:00", "2026-01-03 23:00", "2026-01-06 01:00",
        ]  # fmt: skip
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
