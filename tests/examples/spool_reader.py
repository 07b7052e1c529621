"""Reads spool files with plain json and nothing else, so that no code of mlotel vouches for itself."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Span:
    """A span as the spool has it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: int
    attributes: dict[str, Any]
    links: list[dict[str, Any]]
    resource: dict[str, Any]


@dataclass
class Spool:
    """Everything in the files of a spool folder; of a metric series its latest point."""

    spans: list[Span] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    points: dict[tuple[str, frozenset[tuple[str, Any]]], dict[str, Any]] = field(default_factory=dict)

    def component(self, name: str) -> Span:
        [found] = [span for span in self.spans if span.name == f"component {name}"]
        return found

    def under(self, parent: Span) -> list[Span]:
        return sorted((s for s in self.spans if s.parent_id == parent.span_id), key=lambda s: (s.start_ns, s.end_ns))

    def artifact(self, component: str, name: str) -> Span:
        [found] = [s for s in self.under(self.component(component)) if s.name == name]
        return found

    def count(self, metric: str, **attributes: Any) -> int:
        """Value of the one series of ``metric`` with these attributes; ``__`` in a keyword is a dot."""
        wanted = {(key.replace("__", "."), value) for key, value in attributes.items()}
        [point] = [p for (name, have), p in self.points.items() if name == metric and wanted <= have]
        return int(point["asInt"] if "asInt" in point else point["count"])


def plain(value: dict[str, Any]) -> Any:
    [(kind, inner)] = value.items() if value else [("stringValue", "")]
    if kind == "arrayValue":
        return tuple(plain(item) for item in inner.get("values", []))
    return int(inner) if kind == "intValue" else inner


def attributes(owner: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: plain(item["value"]) for item in owner.get("attributes", [])}


def read_spool(folder: Path) -> Spool:
    """Everything in the ``*.jsonl`` files of ``folder``."""
    spool = Spool()
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            request = json.loads(line)
            for group in request.get("resourceSpans", []):
                for scope in group["scopeSpans"]:
                    spool.spans.extend(span_of(span, attributes(group["resource"])) for span in scope["spans"])
            for group in request.get("resourceLogs", []):
                spool.events.extend(record for scope in group["scopeLogs"] for record in scope["logRecords"])
            for group in request.get("resourceMetrics", []):
                for metric in (metric for scope in group["scopeMetrics"] for metric in scope["metrics"]):
                    [points] = [metric[kind]["dataPoints"] for kind in ("sum", "histogram", "gauge") if kind in metric]
                    for point in points:
                        series = metric["name"], frozenset(attributes(point).items())
                        before = spool.points.get(series)
                        if before is None or int(before["timeUnixNano"]) <= int(point["timeUnixNano"]):
                            spool.points[series] = point
    return spool


def span_of(span: dict[str, Any], resource: dict[str, Any]) -> Span:
    links = [{"span": link["spanId"], "trace": link["traceId"], **attributes(link)} for link in span.get("links", [])]
    start_ns, end_ns = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    status = span.get("status", {}).get("code", 0)
    ids = span["traceId"], span["spanId"], span.get("parentSpanId", "")
    return Span(span["name"], *ids, start_ns, end_ns, status, attributes(span), links, resource)
