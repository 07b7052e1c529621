"""``mlotel flush``: sends what waits on disk to an endpoint."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlotel.cli import _base, _receiver
from mlotel.errors import InvalidArgumentError, NotFoundError
from mlotel.terminal import wording
from mlotel.terminal.style import Line, Style, style_of
from mlotel.types import Signal

if TYPE_CHECKING:  # what records and sends is slow to load, and only wanted once there is something to send
    from mlotel._setup._options import Route
    from mlotel.export._sender import Answer, Sender
    from mlotel.export.replay import Replayer

NAME = "flush"
HELP = "Send what waits on disk to an endpoint: records of an outage, and of programs that ended without one."

_SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_FATES = ("sent", "refused", "torn", "unreadable", "left")
_REASONS = {"refused": "refused", "torn": "torn", "encode": "unreadable"}
_MOST_FILES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "--endpoint", metavar="URL", help="such as http://localhost:4318 (default: OTEL_EXPORTER_OTLP_ENDPOINT)"
    )
    parser.add_argument("--protocol", metavar="NAME", help="http/protobuf or grpc (default: http/protobuf)")
    _receiver.add_header(parser, "with each request")
    parser.add_argument(
        "--all", action="store_true", help="send local recordings, too; they stay, and are not sent a second time"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_receiver.seconds(),
        default=60.0,
        help="stop after this time (default: 60)",
    )


class Problem(NamedTuple):
    """Where a delivery was to go, what was wrong, and what to do about it."""

    where: str
    what: str
    remedy: str


@dataclass
class Result:
    """What a flush did.

    Attributes:
        records: For each signal how many records were sent, refused, torn, unreadable, and how many are left.
        sent: Files of which nothing is left.
        left: Files that are left, and why.
        problems: For each signal that could not be delivered, why.
    """

    records: dict[Signal, dict[str, int]] = field(
        default_factory=lambda: {signal: dict.fromkeys(_FATES, 0) for signal in _SIGNALS}
    )
    sent: int = 0
    left: dict[Path, str] = field(default_factory=dict)
    problems: dict[Signal, Problem] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether everything that was there has been delivered."""
        lost = sum(counts[fate] for counts in self.records.values() for fate in _FATES if fate != "sent")
        return not lost and not self.left

    def add(self, signal: Signal, fate: str, records: int) -> None:
        """Count ``records``."""
        self.records[signal][fate] += records


def run(args: argparse.Namespace) -> int:
    """Send what waits.

    Raises:
        InvalidArgumentError: If there is no endpoint, or an argument cannot be used.
        NotFoundError: If nothing waits.
    """
    folders = _receiver.folders(args.store)
    routes = _routes(args)
    from mlotel.export._outbox import Outbox

    waiting = {folder: len(Outbox(folder, recordings=args.all).waiting()) for folder in folders}
    if not any(waiting.values()):
        raise NotFoundError(_nothing(folders, args.all))
    if not routes:
        raise InvalidArgumentError(
            "There is no endpoint. Pass --endpoint http://localhost:4318, or set OTEL_EXPORTER_OTLP_ENDPOINT."
        )
    deadline = time.monotonic() + args.timeout
    result = Result()
    senders = {signal: _open(signal, route) for signal, route in routes.items()}
    try:
        for folder in (folder for folder in folders if waiting[folder]):
            _flush(folder, senders, routes, deadline, args.all, result)
    finally:
        for sender in senders.values():
            sender.close()
    if args.json:
        _base.print_json(_as_object(result, routes))
    else:
        style = style_of(sys.stdout, no_colour=args.no_color)
        _base.print_lines(_lines(result, style, is_quiet=args.quiet))
    style = style_of(sys.stderr, no_colour=args.no_color)
    for problem in dict.fromkeys(result.problems.values()):
        signals = wording.listed([signal for signal in _SIGNALS if result.problems.get(signal) == problem])
        said = f"mlotel: Cannot deliver {signals} to {problem.where}: {problem.what} {problem.remedy}"
        print(style.clean(said), file=sys.stderr)
    return 0 if result.is_complete else 1


def _flush(
    folder: Path,
    senders: "Mapping[Signal, Sender]",
    routes: "Mapping[Signal, Route]",
    deadline: float,
    has_recordings: bool,
    result: Result,
) -> None:
    """Send what is in one folder, and add what became of it to ``result``."""
    from mlotel.export._explain import bare
    from mlotel.export._secrets import hidden, secrets_of
    from mlotel.export.replay import Replayer

    replayer = Replayer(
        folder,
        {signal: _sending(signal, sender, deadline) for signal, sender in senders.items()},
        on_delivered=lambda path, signal, records: result.add(signal, "sent", records),
        on_dropped=lambda path, signal, records, reason: result.add(signal, _REASONS[reason], records),
        recordings=has_recordings,
        share=1.0,
        is_urgent=True,
    )
    before = {found.path for found in replayer.waiting()}
    while True:
        replayer.run(deadline, threading.Event())
        pause_s = _pause_s(replayer.answers)
        if pause_s is None or time.monotonic() + pause_s >= deadline:
            break
        time.sleep(pause_s)
    for signal, answer in replayer.answers.items():
        what, remedy = answer.cause or ("it does not take the records now", "Try again later.")
        route = routes[signal]
        message = hidden(answer.message, secrets_of(route.endpoint, route.headers)).strip().rstrip(".")
        said = f" It says: {message}." if message else ""
        where = bare(route.endpoint).removesuffix(f"/v1/{signal}")
        result.problems[signal] = Problem(where, f"{what.rstrip('.')}.{said}", remedy)
    _count_left(replayer, before, folder, result, is_late=time.monotonic() >= deadline)


def _count_left(replayer: "Replayer", before: set[Path], folder: Path, result: Result, *, is_late: bool) -> None:
    """Add up what is still there, and why."""
    if folder in replayer.left:
        result.left[folder] = replayer.left[folder]
    after = replayer.waiting()
    result.sent += len(before - {found.path for found in after})
    for found in after:
        reason = replayer.left.get(found.path) or ("time was over" if is_late else "")
        try:
            counts = replayer.left_in(found)
        except FileNotFoundError:  # sent by another process a moment ago
            continue
        except OSError as error:
            counts, reason = {}, error.strerror or str(error)
        for signal, records in counts.items():
            result.add(signal, "left", records)
        missing = [signal for signal in counts if signal not in replayer.signals]
        if not reason:
            reason = f"no endpoint for {wording.listed(missing)}" if missing else "could not be delivered"
        result.left[found.path] = reason


def _sending(signal: Signal, sender: "Sender", deadline: float) -> "Callable[[bytes], Answer]":
    from mlotel._setup import _environment

    general = _environment.number("OTEL_EXPORTER_OTLP_TIMEOUT", 10.0, at_least=0.001)
    own = _environment.number(f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", general, at_least=0.001)
    return lambda body: sender.send(body, max(0.05, min(own, deadline - time.monotonic())))


def _pause_s(answers: "Mapping[Signal, Answer]") -> float | None:
    """How long the receiver asks to be left alone; None where asking again now makes no sense."""
    pauses = [answer.retry_after_s for answer in answers.values() if answer.verdict == "later"]
    return min((pause for pause in pauses if pause is not None), default=None)


def _open(signal: Signal, route: "Route") -> "Sender":
    from mlotel.export.otlp import sender

    try:
        return sender(signal, route.endpoint, route.protocol, route.headers)
    except RuntimeError as error:  # a provider of credentials that is not installed
        raise InvalidArgumentError(str(error)) from error


def _routes(args: argparse.Namespace) -> "dict[Signal, Route]":
    """Where each signal goes, as ``mlotel.configure()`` would say; those without an endpoint are left out."""
    from mlotel.doctor import routes

    found = routes(args.endpoint, args.protocol, dict(args.header))
    return {signal: route for signal, route in found.items() if route.kind == "otlp"}


def _nothing(folders: list[Path], is_all: bool) -> str:
    looked = " or ".join(map(str, folders))
    from mlotel.export._outbox import Outbox

    if not is_all and any(Outbox(folder, recordings=True).waiting() for folder in folders):
        return f"Nothing waits for an endpoint in {looked}. Send the local recordings there with: mlotel flush --all"
    return f"Nothing waits in {looked}."


def _lines(result: Result, style: Style, *, is_quiet: bool) -> list[str]:
    """The result as a table, and a line for each file that is left."""
    shown = [signal for signal in _SIGNALS if any(result.records[signal].values())]
    rows = [("", *_FATES), *((signal, *(f"{result.records[signal][fate]:,}" for fate in _FATES)) for signal in shown)]
    sizes = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines: list[Line] = []
    for number, row in enumerate(rows):
        line: Line = [(row[0].ljust(sizes[0]), "dim" if number == 0 else "bold")]
        for column, cell in enumerate(row[1:], start=1):
            look = "dim" if number == 0 else _look(_FATES[column - 1], cell)
            line += [("  ", ""), (cell.rjust(sizes[column]), look)]
        lines.append(line)
    if not shown:
        lines = []
    elif is_quiet:
        lines = lines[1:]
    painted = [style.paint(line) for line in lines]
    if not is_quiet:
        painted.append(f"{wording.count(result.sent, 'file')} sent, {len(result.left):,} left")
        for path, reason in list(result.left.items())[:_MOST_FILES]:  # whole, however long: names are there to be used
            painted.append(f"  {style.clean(os.fspath(path))}: {style.clean(reason)}")
        if len(result.left) > _MOST_FILES:
            painted.append(f"  {style.glyphs.ellipsis} {len(result.left) - _MOST_FILES:,} more")
    return painted


def _look(fate: str, cell: str) -> str:
    if cell == "0":
        return "dim"
    return {"sent": "ok", "left": "warn"}.get(fate, "bad")


def _as_object(result: Result, routes: "Mapping[Signal, Route]") -> dict[str, Any]:
    """What ``--json`` prints."""
    from mlotel.export._explain import bare

    return {
        "endpoints": {signal: bare(route.endpoint) for signal, route in routes.items()},
        "records": result.records,
        "files_sent": result.sent,
        "files_left": [{"file": os.fspath(path), "reason": reason} for path, reason in result.left.items()],
        "problems": [{"signal": signal, **problem._asdict()} for signal, problem in result.problems.items()],
    }
