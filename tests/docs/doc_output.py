"""Makes two printed texts comparable that differ only in what changes from run to run.

Everything else must be the same, to the letter. What changes is replaced by a word in angle brackets:

- ids of runs, spans and traces, numbered in the order in which they appear: ``<id 1>``; a short id, the first digits of
  a run's, has a number of its own. Ids of content (``xxh3:…``) stay: equal data have equal ids everywhere;
- durations, moments and the bars that show when something ran;
- processor time; a line about memory is left out, since there is none when a component sets no new peak;
- what a saved model weighs, which is the business of the library that saved it;
- host and process in addresses, and what a spool file is called after: host, process, start.

Blanks between words count as one, since columns move with the figures in them; those that indent a line stay.
"""

import re

_DURATION = r"(?:\d+(?:\.\d)? (?:µs|ms|s)|\d+ min \d\d s|\d+ h \d\d min)"
_RULES = [
    # name of a spool file: <host>-<pid>-<UTC start>-<6 hex>.<part>.jsonl
    (re.compile(r"[A-Za-z0-9_.-]+-\d+-\d{8}T\d{6}-[0-9a-f]{6}\.(\d{3})\.jsonl"), r"<spool file>.\1.jsonl"),
    # a step of a tree: its symbol, ten cells of a bar, how long it took
    (re.compile(rf"([✓✗▲]) [ ━╸╺]{{10}} +{_DURATION}(?=\s|$)"), r"\1 <bar> <time>"),
    (re.compile(r"\b(?:today|yesterday|\d{4}-\d\d-\d\d) \d\d:\d\d(?::\d\d)?\b"), "<moment>"),
    (re.compile(rf"\bp95 {_DURATION}(?!\w)"), "p95 <time>"),
    (re.compile(rf"(?<![\w.,]){_DURATION}(?!\w)"), "<time>"),
    (re.compile(r"(?<=\d (?:passed|failed) )in \d+\.\d\ds"), "in <time>"),  # pytest
    (re.compile(r"(?<=ml\.component\.cpu\.time = )\d+(?:\.\d+)?(?:e-\d+)?$", re.MULTILINE), "<seconds>"),
    (re.compile(r"^ *ml\.component\.memory\.peak = \d+\n", re.MULTILINE), ""),  # absent when there was no new peak
    (re.compile(r"(?<=\.joblib )\d+(?:\.\d)? (?:B|kB|MB)\b"), "<size>"),
    (re.compile(r"\binmemory://[^/\s]+/\d+/"), "inmemory://<host>/<pid>/"),
    (re.compile(r"\bfile://[^/\s]+/"), "file://<host>/"),
]
_LONG_ID = r"(?<![\w:])(?:[0-9a-f]{32}|[0-9a-f]{16})(?!\w)"
_SHORT_ID = (
    r"(?<=mlotel show )[0-9a-f]{6}(?= |$)|(?<= in run )[0-9a-f]{6}(?= |$)|(?<=   )[0-9a-f]{6}$|^[0-9a-f]{6}(?=  )"
)
_ID = re.compile(f"{_LONG_ID}|{_SHORT_ID}", re.MULTILINE)
_UNHASHED = re.compile(r"(?<=ref:)[0-9a-f]{32}|(?<=partial:)[0-9a-f]{32}")
_GAP = re.compile(r"(?<=[^\s│├└─]) {2,}")


class Comparable:
    """Makes the outputs of one page comparable, one after the other: ids keep their number from block to block."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def text(self, printed: str) -> str:
        """``printed`` without what changes from run to run."""
        printed = _ID.sub(self._number, printed)
        printed = _UNHASHED.sub(self._number, printed)
        for pattern, replacement in _RULES:
            printed = pattern.sub(replacement, printed)
        return "".join(f"{_GAP.sub(' ', line.rstrip())}\n" for line in printed.splitlines())

    def _number(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found[0], f"<id {len(self._ids) + 1}>")
