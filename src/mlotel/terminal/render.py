"""The tree of a run as lines of text."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mlotel.semconv import attributes as names
from mlotel.terminal import facts, text, wording
from mlotel.terminal.flow import flow
from mlotel.terminal.nodes import Group, Node, Run, folded, walk
from mlotel.terminal.style import Line, Style

__all__ = ["Notes", "render_run"]

BAR_CELLS = 10
MAX_DEPTH = 12
"""Levels that are drawn; what lies deeper is counted."""
_MIN_WIDTH = 20
_UNLIMITED = 1_000_000
_NOTE_LINES = 3  # of an error or a check's message
_TITLE_CELLS = 44  # of the header, so that its figures are in one place from run to run

Notes = Callable[[Node, Style], list[Line]]
"""Gives further lines about a node, to be written below it: whole, however long."""

_LOOKS = {"ok": "ok", "error": "bad", "running": "", "warn": "warn"}


@dataclass(slots=True)
class _Step:
    """A line of the tree for one node or group, before the columns are aligned."""

    indent: str
    name: str
    look: str
    bar: str
    took: str
    flows: list[Line]


@dataclass(slots=True)
class _Note:
    """A line below a node."""

    indent: str
    line: Line
    is_whole: bool = False


def render_run(
    run: Run,
    style: Style,
    *,
    now_ns: int | None = None,
    notes: Notes | None = None,
    digits: int = 6,
    max_lines: int | None = None,
) -> list[str]:
    """The header of ``run`` and its tree.

    Args:
        run: What to show.
        style: Where it will be written.
        now_ns: Nanoseconds since 1970, to say "today" by; the present by default.
        notes: Adds lines below each node; None adds nothing.
        digits: Digits of the run id in the header.
        max_lines: Lines of the tree at most; what is left out is counted.

    Returns:
        Lines, none wider than ``style.width``, but for ``notes`` that go to no terminal: those stay whole.
    """
    narrow = replace(style, width=max(style.width, _MIN_WIDTH))
    now_ns = now_ns if now_ns is not None else time.time_ns()
    rows = list(_Rows(run, narrow, notes, now_ns).all())
    if max_lines is not None and len(rows) > max_lines:
        left_out = sum(isinstance(row, _Step) for row in rows[max_lines:])
        rows = rows[:max_lines]
        rows.append(_Note(narrow.glyphs.corner, [(f"{wording.count(left_out, 'more step')}", "dim")]))
    header = _header(run, narrow, now_ns, digits)
    return [*map(narrow.paint, header), *_aligned(rows, narrow)]


def mark(status: str, style: Style) -> tuple[str, str]:
    """The symbol of a status, and how it looks."""
    glyphs = style.glyphs
    symbols = {"ok": glyphs.ok, "error": glyphs.bad, "running": glyphs.dot}
    return symbols.get(status, glyphs.warn), _LOOKS.get(status, "warn")


def revision(run: Run) -> str:
    """Short name of the commit that ran, with a mark when the work tree had changes; empty when unknown."""
    commit = run.resource.get(names.VCS_REF_HEAD_REVISION)
    if not isinstance(commit, str) or not commit:
        return ""
    return f"git {commit[:7]}" + ("+" if run.resource.get(names.ML_VCS_DIRTY) is True else "")


def _header(run: Run, style: Style, now_ns: int, digits: int) -> list[Line]:
    symbol, look = mark(run.status, style)
    took = wording.duration(run.duration_ns, style.glyphs)
    state = {"ok": took, "error": f"failed after {took}"}.get(run.status, f"{run.status}, {took} so far")
    if run.status == "lost":
        state = f"lost, last seen {wording.when(run.last_seen_ns, now_ns)}"
    short = style.clean(wording.short_id(run.id, digits))
    details = [part for part in (wording.when(run.start_ns, now_ns), style.clean(revision(run)), short) if part]
    while len(details) > 1 and text.width("   ".join([f"{symbol} {state}", *details])) > style.width:
        del details[-2]  # the id stays: it is what can be typed
    title = style.clean(run.name, 200)
    right: Line = [(f"{symbol} {state}", look), ("   " + "   ".join(details), "dim")]
    gap = style.width - sum(text.width(piece) for piece, _ in right)
    if text.width(title) + 3 > gap and gap < 24:  # no room beside each other: one below the other
        return [[(title, "bold")], right]
    title = text.pad(style.cut(title, gap - 3), min(gap, max(text.width(title) + 3, _TITLE_CELLS)))
    return [[(title, "bold"), *right]]


class _Rows:
    """Walks the tree of one run and gives its rows, top down."""

    def __init__(self, run: Run, style: Style, notes: Notes | None, now_ns: int) -> None:
        self._run = run
        self._now_ns = now_ns
        self._style = style
        self._notes = notes
        # One pipeline is the header itself; several are nodes of their own below it.
        self._top = run.roots[0] if len(run.roots) == 1 and run.roots[0].kind == facts.PIPELINE else None

    def all(self) -> Iterator[_Step | _Note]:
        glyphs = self._style.glyphs
        children = folded(self._run.roots if self._top is None else self._top.children)
        if self._top is not None:
            yield from self._below(self._top, glyphs.line if children else "")
        waiting = [(child, "", index == 0) for index, child in enumerate(reversed(children))]
        while waiting:
            child, indent, is_last = waiting.pop()
            branch = indent + (glyphs.corner if is_last else glyphs.tee)
            inner = indent + (" " * len(glyphs.line) if is_last else glyphs.line)
            if isinstance(child, Group):
                yield self._group(child, branch)
                yield from self._below_group(child, inner)
                continue
            grandchildren = folded(child.children)
            yield self._step(child, branch)
            yield from self._below(child, inner + (glyphs.line if grandchildren else " " * len(glyphs.line)))
            if len(inner) // len(glyphs.line) >= MAX_DEPTH and grandchildren:
                yield _Note(inner + glyphs.corner, [(f"{glyphs.ellipsis} {self._deeper(child)} deeper", "dim")])
                continue
            waiting.extend((one, inner, index == 0) for index, one in enumerate(reversed(grandchildren)))

    def _deeper(self, node: Node) -> str:
        return wording.count(sum(1 for _ in walk(node.children)), "step")

    def _step(self, node: Node, branch: str) -> _Step:
        style = self._style
        status = "warn" if node.status == "ok" and (node.failed_checks or node.stale) else node.status
        name = style.clean(node.name, 200) + (" (pipeline)" if node.kind == facts.PIPELINE else "")
        took = wording.duration(node.duration_ns, style.glyphs)
        return _Step(branch, name, status, self._bar(node.start_ns, node.end_ns), took, flow(node, style))

    def _below(self, node: Node, indent: str) -> list[_Note]:
        """What is to say about a node besides its line: rows removed, checks failed, the error."""
        style = self._style
        lines: list[Line] = []
        if node is self._top and (node.inputs or node.outputs):
            lines.append(flow(node, style)[0])
        lines += _removed(node.removed, style)
        lines += [[(f"{style.glyphs.warn} stale: {style.clean(reason)}", "warn")] for reason in node.stale]
        lines += _failed_checks(node, style)
        lines += _error(node, style)
        lines += self._without_end(node)
        notes = [_Note(indent, line) for line in lines]
        if self._notes is not None:
            notes += [_Note(indent, line, is_whole=True) for line in self._notes(node, style)]
        return notes

    def _without_end(self, node: Node) -> list[Line]:
        """What is known of an execution that has not ended."""
        glyphs = self._style.glyphs
        seen = f"last seen {wording.when(node.last_seen_ns, self._now_ns)}"
        took = wording.duration(node.duration_ns, glyphs)
        return {
            "running": [[(f"{glyphs.dot} running, {seen}", "dim")]],
            "lost": [[(f"{glyphs.warn} lost: {seen}, after {took}; it was killed, or cannot send", "warn")]],
            "unfinished": [[(f"{glyphs.warn} no end was recorded: it is still running, or was killed", "warn")]],
        }.get(node.status, [])

    def _group(self, group: Group, branch: str) -> _Step:
        style, nodes = self._style, group.nodes
        lengths = sorted(node.duration_ns for node in nodes)
        p95 = lengths[-(-95 * len(lengths) // 100) - 1]  # nearest rank: a duration that was measured
        failed = sum(node.status == "error" for node in nodes)
        has_warnings = any(node.failed_checks or node.stale or node.status in facts.OPEN for node in nodes)
        detail: Line = [("in all, ", "dim"), (f"p95 {wording.duration(p95, style.glyphs)}", "")]
        if failed:
            detail.append((f"   {failed:,} of {len(nodes):,} failed", "bad"))
        return _Step(
            branch,
            f"{style.clean(group.name, 200)} {style.glyphs.times}{len(nodes):,}",
            "error" if failed else "warn" if has_warnings else "ok",
            self._bar(min(node.start_ns for node in nodes), max(node.end_ns for node in nodes)),
            wording.duration(sum(lengths), style.glyphs),
            [detail],
        )

    def _below_group(self, group: Group, indent: str) -> list[_Note]:
        """The sums over a group, and the first of each kind of trouble."""
        style = self._style
        removed: dict[str, int] = {}
        failures: dict[str, list[str]] = {}
        errors: dict[str, list[Node]] = {}
        for node in group.nodes:
            for reason, rows in node.removed.items():
                removed[reason] = removed.get(reason, 0) + rows
            for check in node.failed_checks:
                failures.setdefault(check.name, []).append(check.message)
            if node.status == "error":
                errors.setdefault(node.error_type, []).append(node)
        lines = _removed(removed, style)
        for name, messages in failures.items():
            times = f" {style.glyphs.times}{len(messages):,}" if len(messages) > 1 else ""
            lines.append(_check_line(name, messages[0], style, times))
        for nodes in errors.values():
            times = f" {style.glyphs.times}{len(nodes):,}" if len(nodes) > 1 else ""
            lines.append(_error_line(nodes[0], style, times))
        return [_Note(indent + " " * len(style.glyphs.line), line) for line in lines]

    def _bar(self, start_ns: int, end_ns: int) -> str:
        """When in the run it ran, in half cells."""
        total = self._run.duration_ns
        cells = BAR_CELLS if self._style.width >= 72 else BAR_CELLS // 2
        if self._style.width < 56:
            return ""
        halves = 2 * cells
        if total <= 0:
            return " " * cells
        first = min(halves - 1, max(0, halves * (start_ns - self._run.start_ns) // total))
        last = min(halves, max(first + 1, -(-halves * (end_ns - self._run.start_ns) // total)))
        glyphs = self._style.glyphs
        shapes = {(True, True): glyphs.full, (True, False): glyphs.left, (False, True): glyphs.right}
        return "".join(
            shapes.get((first <= cell < last, first <= cell + 1 < last), " ") for cell in range(0, halves, 2)
        )


def _removed(removed: dict[str, int], style: Style) -> list[Line]:
    removed = {reason: rows for reason, rows in removed.items() if rows}
    if not removed:
        return []
    total = sum(removed.values())
    reasons = sorted(removed.items(), key=lambda item: -item[1])
    said = f"{style.glyphs.minus} {wording.count(total, 'row')} removed: "
    if len(reasons) == 1:
        return [[(said + style.clean(reasons[0][0], 100), "dim")]]
    return [[(said + ", ".join(f"{style.clean(reason, 100)} {rows:,}" for reason, rows in reasons), "dim")]]


def _failed_checks(node: Node, style: Style) -> list[Line]:
    return [_check_line(check.name, check.message, style) for check in node.failed_checks]


def _check_line(name: str, message: str, style: Style, times: str = "") -> Line:
    said = f": {_first_line(message, style)}" if message else ""
    return [(f"{style.glyphs.warn} check {style.clean(name, 100)} failed{times}", "warn"), (said, "")]


def _error(node: Node, style: Style) -> list[Line]:
    """The error, where it happened: not again on each level that it passed, nor where a failed check says it."""
    if node.status != "error":
        return []
    if any(child.status == "error" and child.error_type == node.error_type for child in node.children):
        return []
    if node.failed_checks and node.error_type.rpartition(".")[2] == "CheckFailed":
        return []
    return [_error_line(node, style)]


def _error_line(node: Node, style: Style, times: str = "") -> Line:
    kind = style.clean(node.error_type, 100) or "error"
    said = f": {_first_line(node.message, style)}" if node.message else ""
    return [(f"{style.glyphs.bad} {kind}{times}", "bad"), (said, "")]


def _first_line(message: str, style: Style) -> str:
    first, _, rest = message.strip().partition("\n")
    return style.clean(first.rstrip(), 1000) + (f" {style.glyphs.ellipsis}" if rest.strip() else "")


def _aligned(rows: list[_Step | _Note], style: Style) -> list[str]:
    """Rows as text: names padded to one width, durations to the right, as much of the flow as there is room for."""
    steps = [row for row in rows if isinstance(row, _Step)]
    longest = max((text.width(step.indent) + text.width(step.name) for step in steps), default=0)
    names_take = min(longest, max(12, style.width * 2 // 5))
    took_takes = max((text.width(step.took) for step in steps), default=0)
    lines: list[str] = []
    for row in rows:
        if isinstance(row, _Note):
            # Programs that read a pipe want one fact a line; people want lines that fit.
            page = replace(style, width=_UNLIMITED) if row.is_whole and not style.is_terminal else style
            lines += map(page.paint, _note(row, page))
            continue
        symbol, look = mark(row.look, style)
        indent = row.indent
        if text.width(indent) + text.width(row.name) > names_take:  # however deep, some of the name is to be seen
            indent = style.cut(indent, max(3, names_take - 8))
        name = style.cut(row.name, names_take - text.width(indent))
        line: Line = [
            (indent, "dim"),
            (text.pad(name, names_take - text.width(indent)), ""),
            (f"  {symbol} ", look),
            (f"{row.bar} " if row.bar else "", "bar"),
            (" " * (took_takes - text.width(row.took)) + row.took, ""),
        ]
        room = style.width - sum(text.width(piece) for piece, _ in line) - 2
        lines.append(style.paint([*line, ("  ", ""), *_fitting(row.flows, room)]))
    return lines


def _fitting(flows: list[Line], room: int) -> Line:
    """The first, fullest form that has room; the last one, which will be cut, when none has."""
    for form in flows:
        if sum(text.width(piece) for piece, _ in form) <= room:
            return form
    return flows[-1] if flows else []


def _note(note: _Note, style: Style) -> list[Line]:
    """A note, wrapped below itself when it is long."""
    indent = style.cut(note.indent, style.width // 2)
    room = style.width - text.width(indent)
    if sum(text.width(piece) for piece, _ in note.line) <= room:
        return [[(indent, "dim"), *note.line]]
    (head, head_look), *rest = note.line
    look = rest[0][1] if rest else head_look
    lines = text.wrap(head + "".join(piece for piece, _ in rest), room - 2)
    if len(lines) > _NOTE_LINES and not note.is_whole:
        lines[_NOTE_LINES - 1 :] = [style.cut(" ".join(lines[_NOTE_LINES - 1 : _NOTE_LINES + 1]), room - 2)]
    first = [(lines[0][: len(head)], head_look), (lines[0][len(head) :], look)]
    return [[(indent, "dim"), *first], *([(indent, "dim"), ("  " + line, look)] for line in lines[1:])]
