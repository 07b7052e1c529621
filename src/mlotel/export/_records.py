"""What the three signals differ in: how many records a queued item is, and how a batch becomes a line of OTLP/JSON."""

import json
import re
from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.json.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics.export import MetricsData

from mlotel.types import Signal

_WIDE_INTEGER = re.compile(r'"intValue":"(-?[0-9]{19,})"')


def count(signal: Signal, batch: Sequence[Any]) -> int:
    """Records in ``batch``: spans, log records, or the data points of its metrics."""
    if signal == "metrics":
        return sum(points(data) for data in batch)
    return len(batch)


def points(data: MetricsData) -> int:
    """Data points in one collection of metrics."""
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def merge(batch: Sequence[MetricsData]) -> MetricsData:
    """Several collections of metrics as one request."""
    if len(batch) == 1:
        return batch[0]
    return MetricsData([resource for data in batch for resource in data.resource_metrics])


def encode(signal: Signal, batch: Sequence[Any]) -> bytes:
    r"""One export request as OTLP/JSON: a line of UTF-8 with its line end.

    Args:
        signal: Which kind of records ``batch`` holds.
        batch: Spans, log records, or collections of metrics.

    Returns:
        Compact JSON that ends with ``\n`` and has no other line end. Half of a surrogate pair becomes ``?``, an integer
        beyond 64 bits a string: one odd value must not make the whole line unreadable.

    Raises:
        Exception: Whatever the encoder meets in records that cannot be encoded.
    """
    request: Any
    if signal == "traces":
        request = encode_spans(batch)
    elif signal == "logs":
        request = encode_logs(batch)
    else:
        request = encode_metrics(merge(batch))
    text = json.dumps(request.to_dict(), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    text = _WIDE_INTEGER.sub(_fit, text)  # inside a string the quotes are escaped, so only values match
    return text.encode("utf-8", "replace") + b"\n"


def _fit(found: "re.Match[str]") -> str:
    digits = found.group(1)
    return found.group(0) if -(2**63) <= int(digits) < 2**63 else f'"stringValue":"{digits}"'
