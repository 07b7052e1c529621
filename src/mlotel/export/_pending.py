"""The disk behind an endpoint: where records wait that could not be delivered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Histogram,
    Sum,
)

from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome, Reason
from mlotel.export._records import Point, encode, flat, together
from mlotel.export.spool import SpoolTarget, SpoolWriter
from mlotel.types import Signal


class Pending:
    """Keeps the batches of one signal until its endpoint takes them.

    A cumulative sum or histogram says all that its earlier points said, so of each such series only the latest point is
    kept, however long the endpoint is down. Everything else is kept whole.

    Args:
        signal: Which records these are.
        folder: The spool's folder.
        ledger: Told of records that had to make room, and of points that newer ones took the place of.
        is_synced: As ``SpoolWriter`` takes it.
        max_total_bytes: As ``SpoolWriter`` takes it.
    """

    def __init__(self, signal: Signal, folder: Path, ledger: Ledger, *, is_synced: bool, max_total_bytes: int) -> None:
        self.signal = signal
        self._ledger = ledger
        number = 2 if signal == "metrics" else 1
        self._writers = [
            SpoolWriter(folder, pending=True, is_synced=is_synced, max_total_bytes=max_total_bytes)
            for _ in range(number)
        ]
        self._lines = SpoolTarget(signal, self._writers[0], ledger)
        self._latest = _Latest(self._writers[1], ledger) if signal == "metrics" else None
        self._ended: set[Path] = set()

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Write ``batch``; safe for several threads at once."""
        if self._latest is None:
            return self._lines(batch)
        points = [point for data in batch for point in flat(data)]
        series = [point for point in points if _is_cumulative(point)]
        try:
            kept = self._latest(series)
        except Exception:  # a point that cannot be encoded: found one by one below
            return self._lines([together([point]) for point in points])
        rest = [point for point in points if not _is_cumulative(point)]
        return kept + self._lines([together(rest)]) if rest else kept

    @property
    def folder(self) -> Path:
        """Where the files are by now."""
        return self._writers[0].folder

    @property
    def file(self) -> Path | None:
        """The file that was begun last; None before the first record."""
        return next((writer.file for writer in reversed(self._writers) if writer.file is not None), None)

    def is_empty(self) -> bool:
        """Whether nothing of this process waits here."""
        return not any(writer.has_parts() for writer in self._writers)

    def is_open(self, file: Path) -> bool:
        """Whether ``file`` is being written at the moment."""
        return any(writer.file == file and not writer.is_idle() for writer in self._writers)

    def rotate(self) -> None:
        """Let this process's own records be replayed; what was let go before is not added to until it has gone."""
        self._ended = {file for file in self._ended if any(writer.holds(file) for writer in self._writers)}
        if self._ended:
            return
        for writer in self._writers:
            ended = writer.rotate()
            if ended is not None:
                self._ended.add(ended)
        if self._latest is not None:
            self._latest.forget()

    def pass_over(self, file: Path) -> None:
        """Take note that what is left of ``file`` will take long: later files do not wait for it."""
        self._ended.discard(file)

    def delivered(self, file: Path, records: int) -> None:
        """Take note that records of ``file`` arrived."""
        if any(writer.settle(file, self.signal, records) for writer in self._writers):
            self._ledger.replay(self.signal, records)

    def dropped(self, file: Path, records: int, reason: Reason) -> None:
        """Take note that records of ``file`` are lost."""
        is_ours = any(writer.settle(file, self.signal, records) for writer in self._writers)
        self._ledger.drop(self.signal, records, reason, origin="disk" if is_ours else "others")

    def check(self) -> None:
        """Count what somebody has removed from the disk, or sent from another machine."""
        for writer in self._writers:
            for held in writer.missing():
                self._ledger.drop(self.signal, held.get(self.signal, 0), "evicted", origin="disk")
            for file, held in writer.gone().items():
                from mlotel.export._outbox import was_sent  # rare

                if was_sent(file):
                    self._ledger.replay(self.signal, held.get(self.signal, 0))
                else:
                    self._ledger.drop(self.signal, held.get(self.signal, 0), "evicted", origin="disk")

    def close(self) -> None:
        """Close the files; the next process delivers them."""
        for writer in self._writers:
            writer.close()

    def restart(self) -> None:
        """In a forked child: what is on disk is the parent's."""
        for writer in self._writers:
            writer.restart()
        self._ended = set()
        if self._latest is not None:
            self._latest.forget()


class _Latest:
    """One file with the latest point of each cumulative series."""

    def __init__(self, writer: SpoolWriter, ledger: Ledger) -> None:
        self._writer = writer
        self._ledger = ledger
        self._target = SpoolTarget("metrics", writer, ledger, is_replacing=True)
        self._series: dict[Any, Point] = {}

    def __call__(self, points: Sequence[Point]) -> Outcome:
        if not points:
            return Outcome()
        if self._writer.is_idle():
            self._series = {}  # the file was ended, or somebody removed it: what it held is not ours to repeat
        merged = dict(self._series)
        for point in points:
            merged[_key(point)] = point
        line = encode("metrics", [together(merged.values())])
        kept = self._target.keep(line, len(merged))
        if not kept.spooled:
            return Outcome(dropped={reason: len(points) for reason in kept.dropped})
        self._ledger.supersede("metrics", len(points) + len(self._series) - len(merged))
        self._series = merged
        return Outcome(spooled=len(points))

    def forget(self) -> None:
        """Begin anew: the file is delivered by somebody else."""
        self._series = {}


def _is_cumulative(point: Point) -> bool:
    data = point.metric.data
    return (
        isinstance(data, Sum | Histogram | ExponentialHistogram)
        and data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    )


def _key(point: Point) -> Any:
    return (
        point.scope.scope,
        point.metric.name,
        point.metric.unit,
        type(point.metric.data),
        frozenset((point.point.attributes or {}).items()),
    )
