"""Read and write spans: one artifact in or out, identified by content, linked to the write that made it."""

import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext

from mlotel import _clock, _current, artifacts, metrics
from mlotel._guard import guard, say_once
from mlotel.artifacts import carriers
from mlotel.artifacts.evidence import Producer
from mlotel.errors import InvalidArgumentError
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv import spans
from mlotel.tracing import attributes, capture, lineage
from mlotel.tracing.held import Held, Holder, Key, Said, kept_links
from mlotel.tracing.scope import Records, keep_record, record_of, span_name, start_span
from mlotel.types import AttributeValue, Identity

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
MAX_PATH = 4096  # a longer string is no path on any system; taking it apart as one could take long

_SCHEME = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.\-]*::)*[A-Za-z][A-Za-z0-9+.\-]*://")  # fsspec chains addresses


def _random_digits() -> str:
    return os.urandom(16).hex()


def _process() -> str:
    import socket  # only for those who record artifacts

    return f"{socket.gethostname()}/{os.getpid()}"


new_digits: Callable[[], str] = _random_digits
"""Makes ids of what cannot be looked at; ``mlotel.testing`` replaces it."""

this_process: Callable[[], str] = _process
"""Host and process, for addresses; ``mlotel.testing`` replaces it."""


def identity_of(value: Any) -> Identity:
    """Identity by the hash that ``MLOTEL_HASH`` names: xxh3, or blake3 or sha256 where ids must not be forged."""
    algorithm = os.environ.get("MLOTEL_HASH", "").strip().lower() or "xxh3"
    try:
        return artifacts.identify(value, algorithm=algorithm)
    except InvalidArgumentError as error:
        say_once(("hash", algorithm), "MLOTEL_HASH cannot be used: %s Until then xxh3 is.", error)
        return artifacts.identify(value)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of one artifact.

    Attributes:
        name: What people call it.
        identity: Which content it has.
        span: Its read or write span.
        producer: Who wrote it, for an input, where known.
        made_ns: When it was written, where known: by its producer, else by the file's time of modification.
        type: One of ``TYPES``.
        is_more: Whether it was recorded before, and this call only said more about it.
    """

    name: str
    identity: Identity
    span: SpanContext
    producer: Producer | None
    made_ns: int | None = None
    type: str = "other"
    is_more: bool = False


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
    content: Identity | None = None,
    made_by: str | None = None,
    stamp: bool = False,
    holder: Holder | None = None,
    is_captured: bool = False,
    model_id: str | None = None,
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
        earlier: The same artifact as it was read, when this is what became of it.
        content: Of a file: identity of the table, arrays or model in it, where known.
        made_by: Of an input: the traceparent of the span that wrote it, as a person says.
        stamp: Of a file that was just written: whether it may be told who wrote it. The file is rewritten then.
        holder: Holds the span of a file for a moment, since more may be said about it.
        is_captured: Whether a library was seen at it, and nobody called ``read`` or ``write``.
        model_id: Of the model that the component has written or read so far: what a reference written now belongs to.
    """
    start_ns, before = _clock.wall_ns(), _clock.monotonic_ns()
    place = _place(value)
    path = place if isinstance(place, pathlib.Path) else None
    is_named = name is not None or place is not None
    word = spans.READ if role == "input" else spans.WRITE
    held: Held | None = None
    identity: Identity | None = None
    said = Said(is_captured, name, uri, type, made_by, content)
    key: Key | None = None
    if holder is not None and path is not None:
        kind: Literal["read", "write"] = "read" if role == "input" else "write"
        key = kind, os.path.abspath(path)  # noqa: PTH100 - links are not followed
        held = None if stamp else holder.take(key, is_captured)
        if held is not None:
            identity = identity_of(path)
            if identity.scope == "full" and identity.id == held.identity.id:
                said = said.with_more(held.said)
                name, uri, type, made_by, content = said.name, said.uri, said.type, said.made_by, said.content
            else:  # it changed meanwhile: that is another one
                held.end()
                held = None
    name = attributes.text(name if name is not None else default_name(value), 256)
    found: dict[str, AttributeValue] = {
        names.ML_ARTIFACT_NAME: name,
        names.ML_ARTIFACT_URI: _uri(uri, place, name),
        names.ML_ARTIFACT_TYPE: type or _type(value, place),
        names.ML_ARTIFACT_ROLE: role,
        **labels,
    }
    component, run_id = _text(labels.get(names.ML_COMPONENT_NAME)), _text(labels.get(names.ML_RUN_ID))
    span: Span | None = None if held is None else held.span
    if stamp and path is not None and carriers.format_of(path) and lineage.is_small_enough(path):
        # The stamp names the span, and the file's own hash comes after the stamp: this span begins without its id.
        span = start_span(span_name(word, name), ctx, found, start_ns)
        lineage.embed(path, span.get_span_context(), content, component=component, run_id=run_id, name=name)
    if identity is None:
        identity = _remote() if isinstance(place, str) else identity_of(path if path is not None else value)
    about: dict[str, AttributeValue] = {
        names.ML_ARTIFACT_ID: identity.id,
        names.ML_ARTIFACT_DIGEST_SCOPE: identity.scope,
        **_numbers(identity, content),
    }
    origin, links = lineage.Origin(), []
    is_telling = not artifacts.is_scalar(value) if place is None else identity.size != 0
    if role == "input":
        origin = lineage.find(identity, content, path) if is_telling else lineage.find_untelling(identity, name)
        if origin.producer is None and made_by is not None:
            origin = lineage.Origin(lineage.declared(made_by, identity.id), origin.doubt)
        if origin.doubt is not None:
            about[names.ML_ARTIFACT_CLAIM_DOUBT] = attributes.text(origin.doubt)
    if origin.producer is not None:
        if origin.producer.label is not None:
            label = origin.producer.label  # that of another process, or of a file, was cleaned by other rules
            about[names.ML_ARTIFACT_PRODUCER] = (
                label if origin.producer.evidence == "process" else attributes.text(label)
            )
        links.append(lineage.link(origin.producer, "consumed"))
    elif earlier is not None and earlier.identity.id != identity.id:
        links.append(_link(earlier.span, "derived", earlier.identity.id))
    elif role == "output" and path is not None:
        holds = None if content is None or content.scope != "full" else lineage.memory.find(content.id)
        links += [] if holds is None else [lineage.link(holds, "derived")]  # a model that was fitted, and is now saved
    elif role == "output" and path is None:
        with guard("ask a frame what it derives from"):
            derived = lineage.hint(value, identity.id)
            links += [] if derived is None else [derived]
    if span is None and key is not None:
        span = start_span(span_name(word, name), ctx, found, start_ns)
    found.update(about)
    if span is None:
        span = start_span(span_name(word, name), ctx, found, start_ns, links)
    elif key is None:
        span.set_attributes(about)
        for link in links:
            span.add_link(link.context, link.attributes)
    end_ns = start_ns + _clock.monotonic_ns() - before
    if key is None:
        span.end(end_time=end_ns)
    if identity.row_count is not None:  # the rows of a file are counted where the table in it is read or written
        with guard("count rows"):  # apart: the rest is recorded whatever becomes of the metrics
            count_rows(identity.row_count, role, labels, ctx)
    own = span.get_span_context()
    if role != "input":
        place_of = str(found[names.ML_ARTIFACT_URI])
        lineage.remember(
            own, identity, content, component=component, run_id=run_id, name=name if is_named else None,
            uri=place_of, written_ns=end_ns, is_telling=is_telling,
        )  # fmt: skip
        if place is None and artifacts.has_content(value):
            artifacts.tell_writer(value, f"{own.trace_id:032x}", f"{own.span_id:016x}", model_id)
        if path is not None and lineage.notes_files():
            made = lineage.stamp(own, content or identity, component=component, run_id=run_id, name=name)
            lineage.note(path, own, identity, content, made)
    if holder is not None and key is not None:
        begin_ns, over_ns = (start_ns, end_ns) if held is None else (held.start_ns, held.end_ns)
        holder.put(
            Held(
                key, said, identity, span, span_name(word, name), begin_ns, over_ns, found, links, records,
                is_full=held is not None,
            )
        )  # fmt: skip
    elif records is not None:
        parent = getattr(span, "parent", None)
        kept = kept_links(links)
        keep_record(records, record_of(span, parent, span_name(word, name), start_ns, end_ns, found, False, "", kept))
    made_ns, sort = _made_ns(origin.producer, path), str(found[names.ML_ARTIFACT_TYPE])
    return Recorded(name, identity, own, origin.producer, made_ns, sort, is_more=held is not None)


def _numbers(identity: Identity, content: Identity | None) -> dict[str, AttributeValue]:
    """Rows, columns, bytes and schema, as far as they are known; of a file, those of the table in it."""
    known = content if content is not None and content.scope == "full" else None
    found: dict[str, AttributeValue] = {} if known is None else {names.ML_ARTIFACT_CONTENT_ID: known.id}
    inner = identity if known is None else known
    for attribute, number in (
        (names.ML_ARTIFACT_SCHEMA_HASH, inner.schema_hash),
        (names.ML_ARTIFACT_ROW_COUNT, inner.row_count),
        (names.ML_ARTIFACT_COLUMN_COUNT, inner.column_count),
        (names.ML_ARTIFACT_SIZE, identity.size),
    ):
        if number is not None:
            found[attribute] = number
    return found


def _made_ns(producer: Producer | None, path: pathlib.Path | None) -> int | None:
    """When an artifact was written: producers whose time is not known say zero."""
    if producer is not None and producer.written_ns:
        return producer.written_ns
    if path is None:
        return None
    try:
        return path.stat().st_mtime_ns
    except (OSError, ValueError):
        return None


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
        links = attributes.chain(place)
        try:
            parts = urllib.parse.urlsplit(next(link for link in links if "://" in link))
        except (ValueError, StopIteration):  # an open bracket
            return attributes.uri(place)
        inner = parts.netloc.rpartition("@")[2] if len(links) > 1 else ""  # of zip://flights.csv
        return parts.path.rstrip("/").rpartition("/")[2] or inner or attributes.uri(place)
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


def staleness(recorded: Recorded, limit_s: float | None) -> list[str]:
    """Why an input is stale: too old, or its producer has made a newer one since."""
    reasons = []
    if recorded.made_ns is not None and limit_s is not None:
        age_s = (_clock.wall_ns() - recorded.made_ns) / 1e9
        if age_s > limit_s:
            reasons.append(f"{recorded.name} is {_duration(age_s)} old; the limit is {_duration(limit_s)}")
    newer = None if recorded.producer is None else lineage.newer(recorded.producer)
    if newer is not None:
        age_s = (_clock.wall_ns() - newer.written_ns) / 1e9
        reasons.append(f"a newer {newer.name} was written {_duration(max(0.0, age_s))} ago by {newer.label}")
    return reasons


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
