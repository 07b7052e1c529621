"""The logging filter that says which run a log line belongs to."""

import logging

from opentelemetry import trace

from mlotel import _current
from mlotel._guard import guard

__all__ = ["log_filter"]


class _RunFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.run_id = record.trace_id = record.span_id = record.component = ""
        with guard("say which run a log line belongs to"):
            span = trace.get_current_span().get_span_context()
            if span.is_valid:
                record.trace_id = trace.format_trace_id(span.trace_id)
                record.span_id = trace.format_span_id(span.span_id)
            record.run_id = _current.run_id() or ""
            record.component = _current.component_name() or ""
        return True


def log_filter() -> logging.Filter:
    """A stdlib logging filter that adds ``run_id``, ``trace_id``, ``span_id`` and ``component`` to every record.

    Each is an empty string where there is none, so a format may name them always. Every record passes.

    Example:
        >>> import logging, mlotel
        >>> handler = logging.StreamHandler()
        >>> handler.addFilter(mlotel.log_filter())
        >>> handler.setFormatter(logging.Formatter("%(levelname)s %(run_id)s %(component)s %(message)s"))
    """
    return _RunFilter()
