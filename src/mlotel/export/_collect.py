"""Makes collections of metrics, at an interval and when asked, and puts them in the queue."""

import threading
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import Aggregation

from mlotel import _guard
from mlotel.export._queue import Queue

_FORK_PATIENCE_S = 1.0


class Collector(MetricReader):
    """A metric reader with a thread that collects; the queue's worker delivers.

    Args:
        queue: Takes one ``MetricsData`` a collection.
        interval_s: Seconds from one collection to the next.
        timeout_s: Seconds that the callbacks of observable instruments have together.
        temporality: As ``MetricReader`` takes it.
        aggregation: As ``MetricReader`` takes it.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        interval_s: float = 60.0,
        timeout_s: float = 30.0,
        temporality: Mapping[type, AggregationTemporality] | None = None,
        aggregation: Mapping[type, Aggregation] | None = None,
    ) -> None:
        super().__init__(dict(temporality or {}), dict(aggregation or {}))
        self._queue = queue
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._requests: SimpleQueue[threading.Event | None] = SimpleQueue()
        # Held while collecting and while forking: the SDK's own lock would stay locked in the child for ever.
        self._collecting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Collect from now on. Call it after the reader has been added to its provider."""
        self._queue.start()
        self._thread = threading.Thread(target=self._work, name="mlotel-collect", daemon=True)
        self._thread.start()

    def mark(self) -> threading.Event:
        """Ask for one more collection; returns an event that is set when it has been delivered."""
        delivered = threading.Event()
        if self._thread is None or not self._thread.is_alive():
            delivered.set()
        else:
            self._requests.put(delivered)
        return delivered

    def stop(self) -> None:
        """Collect no more; does not wait for a collection in progress."""
        self._is_stopped = True
        self._requests.put(None)

    def leave(self, provider: MeterProvider) -> None:
        """Take the reader from ``provider``, after the collection in progress."""
        with self._collecting:
            provider.remove_metric_reader(self)

    def before_fork(self) -> bool:
        """Keep collections out of the fork; returns whether that worked in time."""
        return self._collecting.acquire(timeout=_FORK_PATIENCE_S)

    def forget(self) -> None:
        """In a forked child: leave the parent's thread, its requests and its lock alone."""
        self._thread = None
        self._requests = SimpleQueue()
        self._collecting = threading.RLock()

    def after_fork_in_parent(self) -> None:
        """Let collections go on."""
        self._collecting.release()

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Called by the provider that the reader is taken from."""
        self.stop()

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._queue.put(metrics_data)

    def _work(self) -> None:
        due = time.monotonic() + self._interval_s
        while True:
            asked: list[threading.Event | None] = []
            try:
                asked.append(self._requests.get(timeout=max(0.0, due - time.monotonic())))
                while True:  # one collection answers all who are waiting
                    asked.append(self._requests.get_nowait())
            except Empty:
                pass
            waiting = [delivered for delivered in asked if delivered is not None]
            if waiting or not asked:
                self._collect_once()
            for delivered in waiting:
                self._queue.mark(delivered)
            if None in asked:
                return
            if not asked:
                due = time.monotonic() + self._interval_s

    def _collect_once(self) -> None:
        try:
            with self._collecting:
                if not self._is_stopped:
                    self.collect(timeout_millis=self._timeout_s * 1000)
        except Exception as error:  # a callback that takes too long
            _guard.report("collect metrics", error)
