"""What the three signals differ in: how many records a queued item is, how a batch is taken apart and written down."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics

from mlotel.export._lines import request_of
from mlotel.types import Signal


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
    text = json.dumps(request_of(signal, batch), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def halves(signal: Signal, batch: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """Two batches of about half the records each; None for a single record."""
    if signal == "metrics":
        found = [point for data in batch for point in flat(data)]
        middle = len(found) // 2
        return ([together(found[:middle])], [together(found[middle:])]) if middle else None
    middle = len(batch) // 2
    return (batch[:middle], batch[middle:]) if middle else None


def _of(data: Any, points: list[Any]) -> Any:
    """``data`` of the same kind with other points."""
    return replace(data, data_points=points)


class Point(NamedTuple):
    """One data point with all that it belongs to."""

    resource: ResourceMetrics
    scope: ScopeMetrics
    metric: Metric
    point: Any


def flat(data: MetricsData) -> list[Point]:
    """The data points of one collection."""
    return [
        Point(resource, scope, metric, point)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def together(points: Iterable[Point]) -> MetricsData:
    """One collection of ``points``, in their order: the reverse of ``flat``."""
    tree: dict[int, tuple[ResourceMetrics, dict[int, tuple[ScopeMetrics, dict[int, tuple[Metric, list[Any]]]]]]] = {}
    for resource, scope, metric, point in points:
        scopes = tree.setdefault(id(resource), (resource, {}))[1]
        metrics = scopes.setdefault(id(scope), (scope, {}))[1]
        metrics.setdefault(id(metric), (metric, []))[1].append(point)
    return MetricsData(
        [
            replace(
                resource,
                scope_metrics=[
                    replace(
                        scope,
                        metrics=[replace(metric, data=_of(metric.data, found)) for metric, found in metrics.values()],
                    )
                    for scope, metrics in scopes.values()
                ],
            )
            for resource, scopes in tree.values()
        ]
    )
