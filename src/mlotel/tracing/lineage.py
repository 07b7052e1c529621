"""Who made what is read: this process, the file itself, the note beside it, the user's index, or a person's word.

Sources are asked in the order of trust; the first that knows wins, and the link carries which one it was. What a file
claims about itself counts only when its content has the id that the claim is about.
"""

import logging
import os
import re
import threading
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry.trace import Link, SpanContext, TraceFlags, format_span_id, format_trace_id

from mlotel import artifacts
from mlotel._guard import guard, say_once
from mlotel.artifacts import carriers
from mlotel.artifacts.carriers import sidecar
from mlotel.artifacts.carriers.index import Index
from mlotel.artifacts.evidence import Evidence, Producer, Source
from mlotel.errors import InvalidArgumentError
from mlotel.semconv import attributes as names
from mlotel.types import Identity

__all__ = ["Memory", "Origin", "add_source", "declared", "find", "flush", "link", "memory", "remember"]

MAX_PRODUCERS = 10_000
MAX_STAMPED = 256 << 20
"""Bytes of a file; a stamp makes a copy of it."""
HINT = "mlotel.read"
"""Key in the ``attrs`` of a frame under which stands what it was read as."""

_HINT = re.compile(r"([a-z0-9]{1,16}:[0-9a-f]{32,64}) ((?!0{32})[0-9a-f]{32}) ((?!0{16})[0-9a-f]{16})( test)?")

_TEST = " test"
_CALM_S = 0.01  # between two flushes at the ends of components; one takes a fraction of a millisecond
_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})

T = TypeVar("T")


class Memory:
    """Who wrote which content in this process: the latest write of each id and name; the oldest are forgotten."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Producer] = OrderedDict()
        self._by_name: OrderedDict[str, Producer] = OrderedDict()
        self._marks: OrderedDict[str, None] = OrderedDict()
        self._remake_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._remake_lock)

    def _remake_lock(self) -> None:
        self._lock = threading.Lock()

    def add(self, producer: Producer) -> None:
        """Note a write."""
        with self._lock:
            _put(self._by_id, producer.artifact_id, producer)
            if producer.name is not None:
                _put(self._by_name, series_of(producer) or producer.name, producer)

    def find(self, artifact_id: str, /) -> Producer | None:
        """Who wrote this content last."""
        with self._lock:
            return self._by_id.get(artifact_id)

    def latest(self, name: str) -> Producer | None:
        """The latest write of whatever is called ``name``, or lies at that address."""
        with self._lock:
            return self._by_name.get(name)

    def add_mark(self, text: str) -> None:
        """Note what was left on a frame by this test."""
        with self._lock:
            _put(self._marks, text, None)

    def has_mark(self, text: str) -> bool:
        """Whether this test has left that on a frame."""
        with self._lock:
            return text in self._marks


def _put(table: "OrderedDict[str, T]", key: str, value: T) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > MAX_PRODUCERS:
        table.popitem(last=False)


def series_of(producer: Producer) -> str | None:
    """Address of a file that bears no other name than its own: what follows it lies there. None for other artifacts.

    Many projects have a ``train.csv``. Only where it lies says which one this is.
    """
    uri = producer.uri or ""
    if uri.startswith("file://") and uri.endswith(f"/{urllib.parse.quote(producer.name or '')}"):
        return uri
    return None


@dataclass(frozen=True, slots=True)
class Origin:
    """What was found out about where an artifact comes from.

    Attributes:
        producer: Who wrote it; None where nobody knows.
        doubt: Why a claim that came with it was not believed.
    """

    producer: Producer | None = None
    doubt: str | None = None


def _user_index() -> Index:
    return Index.open()


def _is_of_this_test(stamp: carriers.Stamp) -> bool:
    """Whether the write that a test's stamp names is known here: tests count their ids, so those of others recur."""
    producer = None if stamp.content_id is None else memory.find(stamp.content_id)
    return producer is not None and stamp.traceparent == producer.traceparent


memory = Memory()
is_test = False
"""Whether ids are those of a test, which mean nothing elsewhere; ``mlotel.testing`` says so."""
open_index: Callable[[], Index | None] = _user_index
"""Opens the index of the user; ``mlotel.testing`` replaces it, so that tests leave nothing behind."""

_index: Index | None = None
_is_index_open = False
_sources: list[Source] = []
_calm_until = 0.0


def _the_index() -> Index | None:
    global _index, _is_index_open
    if not _is_index_open:
        _index, _is_index_open = open_index(), True
    return _index


def forget_index() -> None:
    """Open the index anew at the next use."""
    global _index, _is_index_open
    _index, _is_index_open = None, False


def newer(producer: Producer) -> Producer | None:
    """A later write, by the same component under the same name, of other content; None where none is known.

    Files that bear no other name than their own have a successor only where they lie. Of several writes in one run,
    none replaces another: a component may run for each of many tables.
    """
    if producer.name is None or not producer.written_ns:
        return None
    place = series_of(producer)
    found = [memory.latest(place or producer.name)]
    index = _the_index()
    if index is not None and producer.component is not None:
        found.append(index.latest(producer.name, producer.component, uri=place))
    for latest in found:
        is_sibling = latest is not None and place is None and latest.run_id == producer.run_id is not None
        if is_sibling:
            continue
        if (
            latest is not None
            and latest.component == producer.component
            and latest.written_ns > producer.written_ns
            and latest.artifact_id != producer.artifact_id
            and latest.span_id != producer.span_id
        ):
            return latest
    return None


def add_source(source: Source) -> Callable[[], None]:
    """Ask ``source`` too, after everything that lies nearer; returns what takes it out again."""
    _sources.append(source)

    def remove() -> None:
        if source in _sources:
            _sources.remove(source)

    return remove


def find_untelling(identity: Identity, name: str) -> Origin:
    """Who made, in this process and under this name, what equals anything of its kind by chance: a zero, no bytes."""
    producer = memory.find(identity.id)
    return Origin(producer if producer is not None and producer.name == name else None)


def find(identity: Identity, content: Identity | None, path: Path | None) -> Origin:
    """Who made an artifact.

    Args:
        identity: Of the artifact: of the bytes, for a file.
        content: Of the table, arrays or model in the file, where known.
        path: The file, where there is one.
    """
    ids = [identity.id] if identity.scope in ("full", "none") else []
    if content is not None and content.scope == "full":
        ids.append(content.id)
    for artifact_id in ids:
        producer = memory.find(artifact_id)
        if producer is not None:
            return Origin(producer)
    ids = [artifact_id for artifact_id in ids if not artifact_id.startswith("ref:")]
    doubt, doubted = None, ""
    if path is not None:
        for stamp, evidence in carriers.stamps(path):
            if stamp.is_test and not _is_of_this_test(stamp):
                carriers.count(evidence, "test")
                continue
            verdict = carriers.verify(stamp, file=identity, content=content, path=path)
            if verdict.status == "matches":
                return Origin(stamp.producer(evidence, verdict.artifact_id))
            if verdict.status == "stale" and doubt is None:
                doubt, doubted = f"{evidence}: {verdict.reason}", stamp.traceparent
    for source in (_the_index(), *_sources):
        if source is None:
            continue
        for artifact_id in ids:
            with guard("ask who made an artifact"):
                producer = source.find(artifact_id)
                if producer is not None:
                    # Of a file with the very bytes that its stamp's span wrote, no more than a part was read.
                    is_sound = artifact_id == identity.id and f"-{producer.trace_id}-{producer.span_id}-" in doubted
                    return Origin(producer, None if is_sound else doubt)
    return Origin(None, doubt)


def remember(
    span: SpanContext,
    identity: Identity,
    content: Identity | None,
    *,
    component: str | None,
    run_id: str | None,
    name: str | None,
    uri: str,
    written_ns: int,
    is_telling: bool = True,
) -> None:
    """Note who wrote an artifact, for the reads to come in this process and, through the index, in others.

    What is not telling, as a zero, is not known to others: theirs would be equal by chance.
    """
    if identity.scope not in ("full", "none") or not span.is_valid:
        return
    made = Producer(
        trace_id=format_trace_id(span.trace_id),
        span_id=format_span_id(span.span_id),
        trace_flags=int(span.trace_flags),
        component=component,
        run_id=run_id,
        written_ns=written_ns,
        artifact_id=identity.id,
        name=name,
        uri=uri,
        evidence="process",
    )
    both = [made]
    if content is not None and content.scope == "full" and content.id != identity.id:
        both.append(replace(made, artifact_id=content.id))
    index = _the_index()
    for producer in both:
        memory.add(producer)
        if index is not None and is_telling and not producer.artifact_id.startswith("ref:"):
            index.add(producer)


def flush() -> None:
    """Let other processes see what was written so far."""
    if _is_index_open and _index is not None:
        _index.flush()


def flush_soon() -> None:
    """Like ``flush``, but not again and again: many small components in a row must not wait for the disk each."""
    global _calm_until
    now = time.monotonic()
    if now >= _calm_until:
        flush()
        _calm_until = now + _CALM_S


def mark(value: Any, artifact_id: str, span: SpanContext) -> None:
    """Leave on a pandas frame what it was read as, so that what becomes of it can be told to derive from it.

    pandas hands ``attrs`` on through most transformations, also through those that change everything. It is therefore
    a hint and never an identity.
    """
    if not stamps_files():  # pandas writes attrs into its files
        return
    if artifacts.kind_of(value) in ("table", "array") and type(value).__module__.partition(".")[0] == "pandas":
        text = f"{artifact_id} {format_trace_id(span.trace_id)} {format_span_id(span.span_id)}"
        if is_test:
            text += _TEST
            memory.add_mark(text)
        value.attrs[HINT] = text


def hint(value: Any, own_id: str) -> Link | None:
    """A link to the read that a frame derives from, as far as its ``attrs`` tell; None for the same content."""
    # In this order: the module of an unknown class is its metaclass's to tell, which may be the user's.
    if artifacts.kind_of(value) is None or type(value).__module__.partition(".")[0] != "pandas":
        return None
    found = value.attrs.get(HINT)
    if not isinstance(found, str) or not (parts := _HINT.fullmatch(found)) or parts[1] == own_id:
        return None
    if parts[4] is not None and not memory.has_mark(found):  # left by another test, maybe in a file
        return None
    to = SpanContext(int(parts[2], 16), int(parts[3], 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return Link(to, {names.ML_LINK_TYPE: "derived", names.ML_ARTIFACT_ID: parts[1], names.ML_LINK_EVIDENCE: "attrs"})


def is_small_enough(path: Path) -> bool:
    """Whether a file gets a stamp although it has to be copied for it: large ones would take too long, and the disk."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        return False
    if size > MAX_STAMPED:
        say_once(
            ("stamp", "size"),
            "Files of more than %d MiB get no stamp inside: they would have to be copied. The index knows them.",
            MAX_STAMPED >> 20,
            level=logging.DEBUG,
        )
    return size <= MAX_STAMPED


def stamps_files() -> bool:
    """Whether captured files get a stamp inside: ``MLOTEL_EMBED``, on by default."""
    return os.environ.get("MLOTEL_EMBED", "").strip().lower() not in _OFF


def notes_files() -> bool:
    """Whether written files get a note beside them: ``MLOTEL_SIDECAR``, off by default."""
    return os.environ.get("MLOTEL_SIDECAR", "").strip().lower() in _ON


def embed(
    path: Path, span: SpanContext, content: Identity | None, *, component: str | None, run_id: str | None, name: str
) -> None:
    """Tell a file that was just written who wrote it, with the content where all of it is known."""
    known = content if content is not None and content.scope == "full" else None
    scheme = known.id.partition(":")[0] if known else os.environ.get("MLOTEL_HASH", "").strip().lower() or "xxh3"
    data_id = carriers.data_id(path, scheme=scheme)
    about = known or (Identity(data_id, "full") if data_id is not None else None)
    if about is not None:
        made = stamp(span, about, component=component, run_id=run_id, name=name)
        carriers.embed(path, replace(made, content_id=known.id if known else None, data_id=data_id))


def stamp(
    span: SpanContext, content: Identity, *, component: str | None, run_id: str | None, name: str
) -> carriers.Stamp:
    """What a file that holds ``content`` can say about itself. Where it was written stays out: files are passed on."""
    return carriers.Stamp.of(
        Producer(
            trace_id=format_trace_id(span.trace_id),
            span_id=format_span_id(span.span_id),
            trace_flags=int(span.trace_flags),
            component=component,
            run_id=run_id,
            written_ns=0,
            artifact_id=content.id,
            name=name,
            uri=None,
            evidence="embedded",
        ),
        schema_hash=content.schema_hash,
        is_test=is_test,
    )


def note(path: Path, span: SpanContext, identity: Identity, content: Identity | None, made: carriers.Stamp) -> None:
    """Put a note beside ``path`` that vouches for its bytes and, where known, for what is in it."""
    if identity.scope == "full":
        known = content.id if content is not None and content.scope == "full" else None
        sidecar.write(path, replace(made, file_id=identity.id, content_id=known))


def declared(traceparent: str, artifact_id: str) -> Producer:
    """The producer that a person names.

    Args:
        traceparent: Its span in W3C form.
        artifact_id: Of what was read.

    Raises:
        InvalidArgumentError: If ``traceparent`` is none.
    """
    parts = traceparent.split("-")
    try:
        version, trace_id, span_id, flags = parts[:4]
        if version == "ff" or len(flags) != 2:
            raise ValueError(flags)
        return Producer(
            trace_id=trace_id, span_id=span_id, trace_flags=int(flags, 16), component=None, run_id=None, written_ns=0,
            artifact_id=artifact_id, name=None, uri=None, evidence="declared",
        )  # fmt: skip
    except (ValueError, InvalidArgumentError) as error:
        raise InvalidArgumentError(
            f"read() got made_by={traceparent[:100]!r}. Pass the traceparent of the span that wrote it: "
            "'00-<32 hex digits>-<16 hex digits>-01'."
        ) from error


def link(producer: Producer, link_type: str) -> Link:
    """A link to the write of ``producer``, with how that is known."""
    to = SpanContext(
        int(producer.trace_id, 16), int(producer.span_id, 16), is_remote=producer.evidence != "process",
        trace_flags=TraceFlags(producer.trace_flags),
    )  # fmt: skip
    evidence: Evidence = producer.evidence
    return Link(
        to,
        {
            names.ML_LINK_TYPE: link_type,
            names.ML_ARTIFACT_ID: producer.artifact_id,
            names.ML_LINK_EVIDENCE: evidence,
        },
    )
