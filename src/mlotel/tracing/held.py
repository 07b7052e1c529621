"""Read and write spans of files that stay open for a moment, because more may be said about the same file.

``c.write("clean.parquet", name="clean")`` after a captured ``to_parquet`` is the same write, and so is
``pd.read_csv(c.read("flights.csv"))`` one read. The second call adds what it knows to the span of the first: a person's
name, address and type win, and the content comes from the library. A span waits until its component ends, at most two
seconds; its times stay those of the first call. Nothing is held where no library is instrumented.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from opentelemetry.trace import Link, Span, format_span_id, format_trace_id

from mlotel._guard import guard
from mlotel.tracing.scope import Records, keep_record, record_of
from mlotel.types import AttributeValue, Identity, LinkRecord

HOLD_S = 2.0
"""Longest wait for more about a file; a program that is killed loses no more."""

MAX_HELD = 64
_PATIENCE_S = 0.2
Key: TypeAlias = tuple[Literal["read", "write"], str]

waits: Callable[[], bool] = lambda: True  # noqa: E731 - a setting, which mlotel.testing replaces
"""Whether spans end by themselves after ``HOLD_S``; in tests they wait for their component."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one call said about a file.

    Attributes:
        is_captured: Whether a library was seen to read or write it, and nobody called ``read`` or ``write``.
        name: What people call it.
        uri: Where it is.
        type: One of ``TYPES``.
        made_by: Traceparent of the span that wrote it.
        content: What was in it.
    """

    is_captured: bool
    name: str | None
    uri: str | None
    type: str | None
    made_by: str | None
    content: Identity | None

    def with_more(self, other: "Said") -> "Said":
        """Both together; what a person said counts more than what was seen."""
        person, seen = (other, self) if self.is_captured else (self, other)
        return replace(
            person,
            name=person.name or seen.name,
            uri=person.uri or seen.uri,
            type=person.type or seen.type,
            made_by=person.made_by or seen.made_by,
            content=person.content or seen.content,
        )


@dataclass(slots=True)
class Held:
    """A span that has happened and is not ended yet.

    Attributes:
        key: Whether it was read or written, and where the file is.
        said: What is known of it.
        identity: Of the file.
        span: The span; ``attributes`` and ``links`` are set at its end, for more may come.
        name: Name of the span.
        start_ns: When it began, in nanoseconds since 1970.
        end_ns: When it was over.
        records: Where it is kept for the tree of the run.
        is_full: Whether a call of either kind spoke of it already.
        since: ``time.monotonic()`` at which it began to wait.
    """

    key: Key
    said: Said
    identity: Identity
    span: Span
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, AttributeValue]
    links: list[Link]
    records: Records | None
    is_full: bool = False
    since: float = 0.0

    def end(self) -> None:
        """End the span as of when it was over."""
        with guard("end the span of a file"):
            self.span.update_name(self.name)
            self.span.set_attributes(self.attributes)
            for link in self.links:
                self.span.add_link(link.context, link.attributes)
            self.span.end(end_time=self.end_ns)
            if self.records is not None:
                parent = getattr(self.span, "parent", None)
                record = record_of(
                    self.span, parent, self.name, self.start_ns, self.end_ns, self.attributes, False, "",
                    kept_links(self.links),
                )  # fmt: skip
                keep_record(self.records, record)


def kept_links(links: list[Link]) -> tuple[LinkRecord, ...]:
    """Links as the tree of a run keeps them."""
    return tuple(
        LinkRecord(format_trace_id(link.context.trace_id), format_span_id(link.context.span_id), link.attributes or {})
        for link in links
    )


class Holder:
    """The spans that one component holds. From any thread."""

    def __init__(self) -> None:
        self._held: dict[Key, Held] = {}

    def take(self, key: Key, is_captured: bool) -> Held | None:
        """The span that a call about the same file can add to, which nobody else ends from now on; None without one.

        Two captured calls are two reads or writes, and so are two explicit ones.
        """
        with _lock:
            found = self._held.get(key)
            if found is None or found.is_full or found.said.is_captured == is_captured:
                return None
            return self._held.pop(key)

    def put(self, held: Held) -> None:
        """Let a span wait for more; an earlier one of the same file ends."""
        held.since = time.monotonic()
        with _lock:
            ending = [self._held.pop(held.key)] if held.key in self._held else []
            self._held[held.key] = held
            _holders.add(self)
            if len(self._held) > MAX_HELD:
                ending.append(self._held.pop(next(iter(self._held))))
        for span in ending:
            span.end()
        if waits() and not _watch():
            self.end()

    def end(self, held_s: float = 0.0) -> int:
        """End what has waited for ``held_s`` seconds; returns how many wait on."""
        latest = time.monotonic() - held_s
        with _lock:
            due = [key for key, held in self._held.items() if held.since <= latest]
            ending = [self._held.pop(key) for key in due]
            left = len(self._held)
        for held in ending:
            held.end()
        return left

    def forget(self) -> None:
        """Leave them to another process, which ends them."""
        self._held.clear()


def end_all() -> None:
    """End every span that is held, also those of components that are open: somebody flushes, and counts on it."""
    if not _lock.acquire(timeout=_PATIENCE_S):  # a signal handler may have interrupted its holder
        return
    try:
        holders = list(_holders)
    finally:
        _lock.release()
    for holder in holders:
        holder.end()


_lock = threading.Lock()
_holders: "weakref.WeakSet[Holder]" = weakref.WeakSet()
_is_watched = False


def _watch() -> bool:
    """See to it that what is held ends in time; False where there can be no thread any more."""
    global _is_watched
    with _lock:
        if _is_watched:
            return True
        _is_watched = True
    try:
        threading.Thread(target=_end_in_time, name="mlotel-held", daemon=True).start()
    except RuntimeError:  # the interpreter is about to end, or there are too many threads
        _is_watched = False
        return False
    return True


def _end_in_time() -> None:
    """Run while something waits; the next one that waits starts it anew."""
    global _is_watched
    while True:
        time.sleep(HOLD_S / 2)
        with _lock:
            holders = list(_holders)
        for holder in holders:
            holder.end(HOLD_S)
        with _lock:
            if not any(holder._held for holder in _holders):
                _holders.clear()
                _is_watched = False
                return


def _after_fork() -> None:
    global _lock, _is_watched
    _lock, _is_watched = threading.Lock(), False
    for holder in list(_holders):
        holder.forget()
    _holders.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
