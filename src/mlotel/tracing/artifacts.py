"""Read and write spans: one artifact in or out, identified by content, linked to the write that made it."""

import os
import pathlib
import re
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, format_span_id, format_trace_id

from mlotel import _clock, _current, artifacts, metrics
from mlotel._guard import guard
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv import spans
from mlotel.tracing import attributes, capture
from mlotel.tracing.scope import Records, keep_record, record_of, span_name, start_span
from mlotel.types import AttributeValue, Identity, LinkRecord

Role = Literal["input", "output", "mutated"]

TYPES = (
    "dataset",
    "features",
    "model",
    "predictions",
    "labels",
    "reference",
    "checkpoint",
    "metrics",
    "file",
    "other",
)
MAX_PRODUCERS = 10_000
MAX_PATH = 4096  # a longer string is no path on any system; taking it apart as one could take long

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://")


@dataclass(frozen=True, slots=True)
class Producer:
    """The write span that made an artifact."""

    span: SpanContext
    component: str | None
    run_id: str | None
    written_s: float

    @property
    def label(self) -> str | None:
        """``<component>@<run id>``, for people who read a backend without links; None where both are unknown."""
        return f"{self.component or ''}@{self.run_id or ''}" if self.component or self.run_id else None


class Producers:
    """Who wrote which content in this process, the latest write of each; the oldest are forgotten."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Producer] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._remake_lock)

    def _remake_lock(self) -> None:
        self._lock = threading.Lock()

    def add(self, artifact_id: str, producer: Producer) -> None:
        """Note that ``producer`` wrote this content."""
        with self._lock:
            self._by_id[artifact_id] = producer
            self._by_id.move_to_end(artifact_id)
            while len(self._by_id) > MAX_PRODUCERS:
                self._by_id.popitem(last=False)

    def find(self, artifact_id: str) -> Producer | None:
        """Who wrote this content last, in this process."""
        with self._lock:
            return self._by_id.get(artifact_id)


producers = Producers()


def _random_digits() -> str:
    return os.urandom(16).hex()


def _process() -> str:
    import socket  # only for those who record artifacts

    return f"{socket.gethostname()}/{os.getpid()}"


new_digits: Callable[[], str] = _random_digits
"""Makes ids of what cannot be looked at; ``mlotel.testing`` replaces it."""

this_process: Callable[[], str] = _process
"""Host and process, for addresses; ``mlotel.testing`` replaces it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of one artifact."""

    name: str
    identity: Identity
    span: SpanContext
    producer: Producer | None


def record(
    value: Any,
    role: Role,
    ctx: Context,
    *,
    name: str | None,
    uri: str | None,
    type: str | None,
    labels: Mapping[str, AttributeValue],
    records: Records | None,
    earlier: Recorded | None = None,
) -> Recorded:
    """Record that ``value`` was read or written, as a span in ``ctx``.

    Args:
        value: The artifact; a ``str`` is a path or a URI.
        role: ``input`` makes a read span, the others a write span.
        ctx: Context of the component, or whatever is current outside one.
        name: What people call it; the file's name or the value's type by default.
        uri: Where it is, when that is not the value itself.
        type: One of ``TYPES``; inferred by default.
        labels: ``ml.component.name`` and ``ml.run.id`` as far as there are any.
        records: Where spans are kept for the tree of the run.
        earlier: For ``mutated``: the same artifact as it was read.
    """
    start_ns, before = _clock.wall_ns(), _clock.monotonic_ns()
    place = _place(value)
    target = pathlib.Path(place) if isinstance(place, pathlib.Path) else value
    identity = _remote() if isinstance(place, str) else artifacts.identify(target)
    name = attributes.text(name if name is not None else default_name(value), 256)
    found: dict[str, AttributeValue] = {
        names.ML_ARTIFACT_ID: identity.id,
        names.ML_ARTIFACT_NAME: name,
        names.ML_ARTIFACT_URI: _uri(uri, place, name),
        names.ML_ARTIFACT_TYPE: type or _type(value, place),
        names.ML_ARTIFACT_ROLE: role,
        names.ML_ARTIFACT_DIGEST_SCOPE: identity.scope,
        **labels,
    }
    for attribute, number in (
        (names.ML_ARTIFACT_SCHEMA_HASH, identity.schema_hash),
        (names.ML_ARTIFACT_ROW_COUNT, identity.row_count),
        (names.ML_ARTIFACT_COLUMN_COUNT, identity.column_count),
        (names.ML_ARTIFACT_SIZE, identity.size),
    ):
        if number is not None:
            found[attribute] = number
    producer = producers.find(identity.id) if role == "input" else None
    links: list[Link] = []
    if producer is not None:
        if producer.label is not None:
            found[names.ML_ARTIFACT_PRODUCER] = producer.label
        links.append(_link(producer.span, "consumed", identity.id))
    elif earlier is not None:
        links.append(_link(earlier.span, "derived", earlier.identity.id))
    word = spans.READ if role == "input" else spans.WRITE
    span = start_span(span_name(word, name), ctx, found, start_ns, links)
    end_ns = start_ns + _clock.monotonic_ns() - before
    span.end(end_time=end_ns)
    if identity.row_count is not None:
        with guard("count rows"):  # apart: the rest is recorded whatever becomes of the metrics
            count_rows(identity.row_count, role, labels, ctx)
    own = span.get_span_context()
    if role != "input" and identity.scope in ("full", "none"):
        producers.add(
            identity.id,
            Producer(own, _text(labels.get(names.ML_COMPONENT_NAME)), _text(labels.get(names.ML_RUN_ID)), end_ns / 1e9),
        )
    if records is not None:
        kept = tuple(
            LinkRecord(
                format_trace_id(link.context.trace_id), format_span_id(link.context.span_id), link.attributes or {}
            )
            for link in links
        )
        parent = getattr(span, "parent", None)
        keep_record(records, record_of(span, parent, span_name(word, name), start_ns, end_ns, found, False, "", kept))
    return Recorded(name, identity, own, producer)


def count_rows(rows: int, role: Role, labels: Mapping[str, AttributeValue], ctx: Context) -> None:
    """Count rows read or written."""
    metric_labels = {names.ML_ARTIFACT_ROLE: str(role)}
    component = labels.get(names.ML_COMPONENT_NAME)
    if component is not None:
        metric_labels[names.ML_COMPONENT_NAME] = str(component)
    metrics.add(specs.ML_DATA_ROWS, rows, metric_labels, ctx)


def count_rows_of(value: Any, role: Role, labels: Mapping[str, AttributeValue], ctx: Context) -> None:
    """Count the rows of ``value``, where no span is recorded and nothing is hashed."""
    rows = artifacts.shape_of(value)[0]
    if rows is not None:
        count_rows(rows, role, labels, ctx)


def _link(to: SpanContext, link_type: str, artifact_id: str) -> Link:
    return Link(
        to,
        {names.ML_LINK_TYPE: link_type, names.ML_ARTIFACT_ID: artifact_id, names.ML_LINK_EVIDENCE: "process"},
    )


def _text(value: AttributeValue | None) -> str | None:
    return value if isinstance(value, str) else None


def _remote() -> Identity:
    return Identity(f"ref:{new_digits()}", "none")


def _place(value: Any) -> pathlib.Path | str | None:
    """A local path for paths and ``file://`` URIs, a string for other URIs, None for everything else."""
    if issubclass(type(value), str):
        if str.__len__(value) > MAX_PATH:
            return None
        plain = str.__str__(value)
        if not _SCHEME.match(plain):
            return pathlib.Path(plain)
        if plain.lower().startswith("file://"):
            return pathlib.Path(urllib.parse.unquote(urllib.parse.urlsplit(plain).path))
        return plain
    return capture.path_of(value) if artifacts.kind_of(value) == "file" else None


def _type(value: Any, place: pathlib.Path | str | None) -> str:
    if place is not None:
        return artifacts.artifact_type(place)
    return "other" if issubclass(type(value), str) else artifacts.artifact_type(value)


def default_name(value: Any) -> str:
    """What an artifact is called when nobody says: the name of the file, or of the type."""
    place = _place(value)
    if isinstance(place, pathlib.Path):
        return place.name or str(place)
    if isinstance(place, str):
        return urllib.parse.urlsplit(place).path.rstrip("/").rpartition("/")[2] or attributes.uri(place)
    return attributes.qualified(type(value)).rpartition(".")[2]


def _uri(given: str | None, place: pathlib.Path | str | None, name: str) -> str:
    """Where the artifact is, by OpenLineage's naming rules; ``inmemory://`` when it is nowhere but here."""
    if given is not None:
        if _SCHEME.match(given):
            return attributes.uri(given)
        place = pathlib.Path(given[:MAX_PATH])
    if isinstance(place, str):
        return attributes.uri(place)
    if isinstance(place, pathlib.Path):
        absolute = os.path.abspath(place)  # noqa: PTH100 - not resolved: a link is where people look for it
        try:
            raw = os.fsencode(absolute)
        except UnicodeEncodeError:  # a lone surrogate: no file can have this name
            raw = absolute.encode("utf-8", "replace")
        return attributes.uri(f"file://{this_process().partition('/')[0]}{urllib.parse.quote(raw)}")
    return attributes.uri(f"inmemory://{this_process()}/{urllib.parse.quote(name)}")


def staleness(recorded: Recorded, value: Any, limit_s: float) -> str | None:
    """Why an input is stale; None when it is not, or nobody knows when it was made."""
    made_s = None if recorded.producer is None else recorded.producer.written_s
    place = _place(value)
    if made_s is None and isinstance(place, pathlib.Path):
        try:
            made_s = place.stat().st_mtime
        except OSError:
            return None
    if made_s is None or (age_s := _clock.wall_ns() / 1e9 - made_s) <= limit_s:
        return None
    return f"{recorded.name} is {_duration(age_s)} old; the limit is {_duration(limit_s)}"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def labels_in(ctx: Context) -> dict[str, AttributeValue]:
    """Component and run of ``ctx``, as attributes."""
    found: dict[str, AttributeValue] = {}
    component, run = _current.component_name(ctx), _current.run_id(ctx)
    if component is not None:
        found[names.ML_COMPONENT_NAME] = attributes.text(component)
    if run is not None:
        found[names.ML_RUN_ID] = attributes.text(run)
    return found
