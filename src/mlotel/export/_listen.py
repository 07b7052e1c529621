"""Hears what the published encoders log about our own records, and keeps it out of the application's log.

An encoder says only in a log line that it left a value out. The filter acts on the encoders' loggers and only in a
thread that is encoding for mlotel, so exporters of the host application log as before.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("opentelemetry.exporter.otlp.proto.common._internal",)

_delivering = threading.local()


class _Ear(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        heard: list[str] | None = getattr(_delivering, "heard", None)
        if heard is None:
            return True
        heard.append(record.getMessage())
        return False


_ear = _Ear()


def install() -> None:
    """Listen from now on. Before other filters, since the exporters' own drop what was said shortly before."""
    for name in _LOGGERS:
        filters = logging.getLogger(name).filters
        if _ear not in filters:
            filters.insert(0, _ear)


def remove() -> None:
    """Leave the loggers as they were."""
    for name in _LOGGERS:
        logging.getLogger(name).removeFilter(_ear)


@contextmanager
def listening() -> Iterator[list[str]]:
    """Within it, log lines of the encoders in this thread go to the list and nowhere else."""
    before = getattr(_delivering, "heard", None)
    heard: list[str] = []
    _delivering.heard = heard
    try:
        yield heard
    finally:
        _delivering.heard = before
