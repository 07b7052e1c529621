"""What commands that read the spool share: finding it, finding runs in it, and printing."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlotel.cli import _output
from mlotel.errors import InvalidArgumentError, NotFoundError
from mlotel.store.spool import FileGroup, Spool, default_folders
from mlotel.terminal import wording
from mlotel.terminal.nodes import Key, Run
from mlotel.terminal.style import style_of
from mlotel.terminal.summary import Summaries, Summary
from mlotel.terminal.tree import build_runs
from mlotel.types import SpanRecord

__all__ = [
    "find_run",
    "load_run",
    "newest_runs",
    "open_spool",
    "print_json",
    "print_lines",
    "print_notes",
    "span_lookup",
]

_SLACK_NS = 3600 * 10**9
"""Clocks of hosts and file servers differ; a file is passed over only when it is older by more than this."""

_RUN_PARTS = (b"ml.run.id", b"ml.component.name", b"ml.check.name")
_SAME_IN_JSON = re.compile(r"[A-Za-z0-9 _.:@,-]+")  # other characters may be written as escapes
_MANY_TRACES = 16  # searching a line for more ids than this costs as much as decoding it


def open_spool(store: str | None) -> Spool:
    """The spool to read.

    Args:
        store: What ``--store`` says; None looks where recording writes by default.

    Raises:
        NotFoundError: If there is none; says how to make one.
    """
    if store is not None:
        if not store:
            raise InvalidArgumentError("--store got an empty path. Give a .mlotel folder, a spool folder or a file.")
        spool = Spool(store)
        if not spool.groups():
            raise NotFoundError(_nothing_in(spool))
        return spool
    folders = default_folders()
    for folder in folders:
        if folder.is_dir():
            spool = Spool(folder)
            if spool.groups():
                return spool
    looked = " or ".join(str(folder) for folder in folders)
    sent = [name for name in _ENDPOINTS if os.environ.get(name)]
    hint = f"{sent[0]} is set: what runs under it is sent there, not recorded here.\n" if sent else ""
    raise NotFoundError(f"Nothing is recorded in {looked}.\n{hint}{HOW_TO_RECORD}")


_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

HOW_TO_RECORD = (
    'Record a run: put `mlotel.configure()` and `with mlotel.pipeline("name"):` into a script, and run it.\n'
    "Look elsewhere: mlotel runs --store PATH (a .mlotel folder, a spool folder or a file)."
)


def _nothing_in(spool: Spool) -> str:
    if spool.unreadable_files:
        return f"Cannot read {spool.path}: permission denied."
    return f"There are no .jsonl files in {spool.path}.\n{HOW_TO_RECORD}"


def newest_runs(
    spool: Spool, limit: int, *, since_ns: int = 0, wanted: Callable[[Summary], bool] = lambda run: True
) -> list[Summary]:
    """The latest runs, newest first. Files that are older than all of them are not opened.

    Args:
        spool: Where to look.
        limit: How many at most.
        since_ns: Runs that started earlier are left out; nanoseconds since 1970.
        wanted: Says whether a run counts.
    """
    summaries = Summaries()

    def matching() -> list[Summary]:
        return [run for run in summaries.newest_first() if run.start_ns >= since_ns and wanted(run)][:limit]

    def needed() -> Iterator[FileGroup]:
        now_ns = time.time_ns()
        for index, group in enumerate(spool.groups()):
            if group.changed_ns < since_ns - _SLACK_NS:
                return
            if index < 32 or index % 32 == 0:  # sorting the runs after each of thousands of files would cost more
                found = matching()
                oldest_ns = found[-1].start_ns if len(found) == limit else 0
                # A clock that was ahead says nothing about the age of files.
                if oldest_ns <= now_ns and group.changed_ns < oldest_ns - _SLACK_NS:
                    return
            yield group

    summaries.add(spool.read(needed(), holds=lambda line: any(part in line for part in _RUN_PARTS)))
    return matching()


def find_run(spool: Spool, reference: str) -> Summary:
    """The run that ``reference`` names.

    Args:
        spool: Where to look.
        reference: A run id or trace id, or the beginning of one that no other has.

    Raises:
        NotFoundError: If there is none.
        InvalidArgumentError: If there are several; lists them.
    """
    if not reference:
        raise InvalidArgumentError("The id of the run is empty. `mlotel runs` lists the runs.")
    summaries = Summaries()
    summaries.add(spool.read(spool.groups(), holds=_holding([reference])))
    found = summaries.newest_first()
    lower = reference.lower()  # random ids are hex digits
    exact = [run for run in found if run.id == reference or lower in run.trace_ids]
    matches = exact or [
        run
        for run in found
        if run.id.startswith((reference, lower)) or any(trace_id.startswith(lower) for trace_id in run.trace_ids)
    ]
    if not matches:
        raise NotFoundError(f"No run in {spool.path} has an id that starts with {reference!r}. List them: mlotel runs")
    if len(matches) > 1:
        style = style_of(sys.stderr)
        now_ns = time.time_ns()
        lines = [
            f"  {style.clean(run.id)}  {style.clean(run.name, 60)}  {wording.when(run.start_ns, now_ns)}"
            for run in matches[:20]
        ]
        more = [f"  {style.glyphs.ellipsis} {len(matches) - 20} more"] if len(matches) > 20 else []
        raise InvalidArgumentError(
            "\n".join(
                [f"{len(matches)} runs have an id that starts with {reference!r}; type more of it:", *lines, *more]
            )
        )
    [match] = matches
    if match.has_id and not match.id.startswith((reference, lower)):
        # Found by one of its traces: lines of its other traces were passed over.
        return find_run(spool, match.id)
    return match


def load_run(spool: Spool, found: Summary) -> Run:
    """Everything that was recorded of a run.

    Raises:
        NotFoundError: If its files have gone since it was found.
    """
    traces = found.trace_ids
    groups = [group for group in spool.groups() if group.changed_ns >= found.start_ns - _SLACK_NS]
    holds = _holding(sorted(traces)) if len(traces) <= _MANY_TRACES else None
    for run in build_runs(spool.read(groups, holds=holds, traces=traces)):
        if run.id == found.id:
            return run
    raise NotFoundError(f"Run {found.id} is no longer in {spool.path}. List the runs: mlotel runs")


def span_lookup(spool: Spool, wanted: set[Key]) -> dict[Key, SpanRecord]:
    """The spans of ``wanted`` that are in the spool."""
    found: dict[Key, SpanRecord] = {}
    if not wanted:
        return found
    span_ids = [span_id for _, span_id in wanted]
    holds = _holding(span_ids) if len(span_ids) <= _MANY_TRACES else None
    traces = {trace_id for trace_id, _ in wanted}
    for record in spool.read(spool.groups(), holds=holds, traces=traces):
        if isinstance(record, SpanRecord) and (record.trace_id, record.span_id) in wanted:
            found[record.trace_id, record.span_id] = record
            if len(found) == len(wanted):
                break
    return found


def _holding(texts: list[str]) -> Callable[[bytes], bool] | None:
    """Says of a line whether it holds one of ``texts``; None when only decoding it can tell."""
    if not all(_SAME_IN_JSON.fullmatch(text) for text in texts):
        return None
    needles = sorted({form.encode() for text in texts for form in (text, text.lower(), text.upper())})
    return lambda line: any(needle in line for needle in needles)


def print_lines(lines: Iterable[str]) -> None:
    """Print ``lines`` to standard output."""
    _output.write("\n".join([*lines, ""]))


def print_json(value: Any) -> None:
    """Print ``value`` as JSON, in ASCII: every terminal, file and program takes that."""
    _output.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def print_notes(spool: Spool, args: argparse.Namespace) -> None:
    """Say on standard error what could not be read, unless the user wants it quiet."""
    if args.quiet:
        return
    style = style_of(sys.stderr, no_colour=args.no_color)
    if spool.skipped:
        said = f"{wording.count(spool.skipped, 'record')} in {spool.path} could not be read (torn, or not OTLP/JSON)"
        print(style.clean(f"mlotel: {said}; the rest is shown."), file=sys.stderr)
    for path in sorted(spool.unreadable_files)[:3]:
        print(style.clean(f"mlotel: {os.fspath(path)} could not be read; the rest is shown."), file=sys.stderr)
