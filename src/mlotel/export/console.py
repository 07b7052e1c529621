"""Records as text on standard output, for ``OTEL_TRACES_EXPORTER=console`` and its like."""

import sys
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from mlotel.export._outcome import Outcome, Target
from mlotel.export._records import count, merge
from mlotel.types import Signal


class ConsoleTarget:
    """Prints the batches of one signal, and passes them on when another target is named beside it.

    Args:
        signal: Which records these are.
        beside: Where they go as well; its outcome counts.
    """

    def __init__(self, signal: Signal, beside: Target | None = None) -> None:
        self.signal = signal
        self._beside = beside
        self._exporter: Any = {
            "traces": ConsoleSpanExporter,
            "metrics": ConsoleMetricExporter,
            "logs": ConsoleLogRecordExporter,
        }[signal](out=sys.stdout)

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Print ``batch``. Without a target beside it, printed is exported."""
        printed = True
        try:
            self._exporter.export(merge(batch) if self.signal == "metrics" else batch)
        except Exception:  # a closed standard output, or values that the SDK cannot print
            printed = False
        if self._beside is not None:
            return self._beside(batch)
        records = count(self.signal, batch)
        return Outcome(exported=records) if printed else Outcome(dropped={"encode": records})

    def hurry(self) -> None:
        """Pass it on."""
        if self._beside is not None:
            self._beside.hurry()

    def interrupt(self) -> None:
        """Pass it on."""
        if self._beside is not None:
            self._beside.interrupt()

    def close(self) -> None:
        """Pass it on; standard output stays open."""
        if self._beside is not None:
            self._beside.close()

    def restart(self) -> None:
        """Pass it on."""
        if self._beside is not None:
            self._beside.restart()
