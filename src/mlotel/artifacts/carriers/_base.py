"""The stamp that travels with a file, and the count of what had to be ignored."""

import json
import os
import re
import threading
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

from mlotel.artifacts.evidence import Evidence, Producer
from mlotel.errors import InvalidArgumentError

KEY = "mlotel"
"""Key of the entry in a file's metadata."""

VERSION = 1
MAX_BYTES = 4096
"""Size of a stamp as JSON: what is longer was not written by mlotel."""

Reason: TypeAlias = Literal[
    "corrupt", "foreign", "too_large", "version", "test", "not_written", "busy", "lost", "unusable"
]
"""Why something was ignored.

- ``corrupt``: a file or an entry that cannot be taken apart;
- ``foreign``: it can, and is no stamp;
- ``too_large``: longer than anything mlotel writes;
- ``version``: of a form that a later mlotel writes;
- ``test``: left by a test of another process, or by another test;
- ``not_written``: a stamp that could not be put into a file, or beside it;
- ``busy``, ``lost``, ``unusable``: of the index: a lock was not free in time (tried again later), entries given up, and
  a database that cannot be used.
"""

CONTENT_ID = re.compile(r"xxh3:[0-9a-f]{32}|(?:blake3|sha256):[0-9a-f]{64}")
"""Ids of scope ``full``: equal ones mean equal content, wherever they are."""

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SCHEMA_HASH = re.compile(r"[0-9a-f]{32}")
_PATTERNS = (
    ("content_id", CONTENT_ID),
    ("file_id", CONTENT_ID),
    ("data_id", CONTENT_ID),
    ("schema_hash", _SCHEMA_HASH),
)
_MAX_CHARACTERS = {"component": 256, "run_id": 256, "name": 256, "uri": 2048}
# What no name of anything needs, and what can make a terminal or a reader show something else than is there.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_NS = 2**63 - 1

_ignored: dict[tuple[str, Reason], int] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who wrote what: small enough to travel inside a file, checked in full wherever it comes from.

    Attributes:
        traceparent: The write span in W3C form.
        content_id: Id of the table, arrays or model in the file; None where only the file is known.
        file_id: Id of the file's bytes. Only a stamp beside the file can have it: one inside would change it.
        data_id: Digest of all of the file but the stamp. It holds for a table that its library stores in another form,
            and for one that was read in part, where the content is not the one that was written.
        component: Name of the component that wrote.
        run_id: Its run.
        name: What the artifact was called.
        uri: Where it was written to.
        schema_hash: Hash of its columns' names, order and types.
        created_ns: When it was written, in nanoseconds since 1970.
        is_test: Whether a test wrote it, under ``mlotel.testing``: its ids mean nothing elsewhere.
        version: Form of the stamp.

    Raises:
        InvalidArgumentError: If a field cannot be what it should be, or there is none of the three ids. Only ids of
            scope ``full`` can be vouched for.

    Example:
        >>> stamp = Stamp("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", content_id="xxh3:" + "0" * 32)
        >>> Stamp.from_json(stamp.to_json()) == stamp
        True
        >>> Stamp.from_json('{"version": 1}') is None
        True
    """

    traceparent: str
    content_id: str | None = None
    file_id: str | None = None
    component: str | None = None
    run_id: str | None = None
    name: str | None = None
    uri: str | None = None
    schema_hash: str | None = None
    created_ns: int = 0
    version: int = VERSION
    data_id: str | None = None
    is_test: bool = False

    def __post_init__(self) -> None:
        _check("traceparent", self.traceparent, _TRACEPARENT)
        for field, pattern in _PATTERNS:
            if (value := getattr(self, field)) is not None:
                _check(field, value, pattern)
        for field in _MAX_CHARACTERS:
            if (value := getattr(self, field)) is not None and _text(field, value) is None:
                raise InvalidArgumentError(f"Stamp() got a {field} that is empty, too long or not plain text.")
        if type(self.created_ns) is not int or not 0 <= self.created_ns <= _MAX_NS:
            raise InvalidArgumentError("Stamp() got a created_ns that is no number of nanoseconds since 1970.")
        if type(self.version) is not int or self.version != VERSION:
            raise InvalidArgumentError(f"Stamp() got a version other than {VERSION}.")
        if type(self.is_test) is not bool:
            raise InvalidArgumentError("Stamp() got an is_test that is neither True nor False.")
        if self.content_id is None and self.file_id is None and self.data_id is None:
            raise InvalidArgumentError(
                "Stamp() got none of content_id, file_id and data_id: it would vouch for nothing."
            )

    @classmethod
    def of(
        cls,
        producer: Producer,
        *,
        content_id: str | None = None,
        file_id: str | None = None,
        data_id: str | None = None,
        schema_hash: str | None = None,
        is_test: bool = False,
    ) -> "Stamp":
        """The stamp of what a producer wrote.

        Args:
            producer: Its texts are taken as they are; one that is too long or not plain text is left out, since a name
                that was cut is another name.
            content_id: Id of the table, arrays or model in the file; the producer's ``artifact_id`` without any
                id.
            file_id: Id of the file's bytes.
            data_id: Digest of all of the file but the stamp.
            schema_hash: Hash of its columns.
            is_test: Whether a test wrote it.

        Raises:
            InvalidArgumentError: If an id is not of scope ``full``.
        """
        if content_id is None and file_id is None and data_id is None:
            content_id = producer.artifact_id
        return cls(
            producer.traceparent,
            content_id=content_id,
            file_id=file_id,
            component=_text("component", producer.component),
            run_id=_text("run_id", producer.run_id),
            name=_text("name", producer.name),
            uri=_text("uri", producer.uri),
            schema_hash=schema_hash,
            created_ns=producer.written_ns,
            data_id=data_id,
            is_test=is_test,
        )

    def producer(self, evidence: Evidence, artifact_id: str | None = None) -> Producer:
        """Who wrote, as a claim about an id.

        Args:
            evidence: How the stamp was found.
            artifact_id: The id that matched; ``content_id``, else ``file_id``, else ``data_id``, by default.
        """
        _, trace_id, span_id, flags = self.traceparent.split("-")
        about = artifact_id or self.content_id or self.file_id or self.data_id
        assert about is not None  # a stamp has one of them
        return Producer(
            trace_id=trace_id,
            span_id=span_id,
            trace_flags=int(flags, 16),
            component=self.component,
            run_id=self.run_id,
            written_ns=self.created_ns,
            artifact_id=about,
            name=self.name,
            uri=self.uri,
            evidence=evidence,
        )

    def embedded(self) -> "Stamp":
        """The same stamp as it can stand inside the file: without the id of the file's bytes.

        Raises:
            InvalidArgumentError: If ``file_id`` is the only id it has: inside a file it would vouch for nothing.
        """
        return self if self.file_id is None else replace(self, file_id=None)

    def to_json(self) -> str:
        """The stamp as one line of ASCII, at most 4 KB: texts that do not fit are left out, ids never are."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        version, is_test = found.pop("version"), found.pop("is_test")
        kept = {"version": version, **{name: value for name, value in found.items() if value is not None}}
        if is_test:
            kept["is_test"] = True
        for name in ("uri", "name", "component"):
            text = json.dumps(kept, separators=(",", ":"))
            if len(text) <= MAX_BYTES:
                return text
            kept.pop(name, None)
        return json.dumps(kept, separators=(",", ":"))

    @classmethod
    def from_json(cls, data: bytes | str, *, source: str = "stamp") -> "Stamp | None":
        """The stamp in ``data``, or None. What is no stamp is counted; nothing raises.

        Args:
            data: JSON, from anywhere.
            source: What it is counted under: the format's name.
        """
        if len(data) > MAX_BYTES:
            count(source, "too_large")
            return None
        try:
            found = json.loads(data.decode("utf-8") if isinstance(data, bytes) else data, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            count(source, "corrupt")
            return None
        if isinstance(found, dict) and type(found.get("version")) is int and found["version"] > VERSION:
            count(source, "version")
            return None
        try:
            # Fields that are not known yet are those of a later release; a change of meaning raises the version.
            return cls(**{field.name: found[field.name] for field in fields(cls) if field.name in found})
        except (InvalidArgumentError, TypeError):  # the latter: no object, or without a traceparent
            count(source, "foreign")
            return None


def with_stamp(schema: Any, stamp: Stamp) -> Any:
    """A pyarrow schema with the stamp in its metadata, for writing Parquet or Arrow files that bear it.

    Args:
        schema: A ``pyarrow.Schema``; what else is in its metadata stays, an earlier stamp is replaced.
        stamp: Its ``file_id`` is left out.

    Returns:
        A new schema.

    Example:
        >>> import pyarrow as pa
        >>> stamp = Stamp("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", content_id="xxh3:" + "0" * 32)
        >>> list(with_stamp(pa.schema([("delay", pa.float64())]), stamp).metadata)
        [b'mlotel']
    """
    return schema.with_metadata({**(schema.metadata or {}), KEY.encode(): stamp.embedded().to_json().encode()})


def count(source: str, reason: Reason, number: int = 1) -> None:
    """Count something that was ignored."""
    if not number:
        return
    with _lock:
        _ignored[source, reason] = _ignored.get((source, reason), 0) + number


def ignored() -> dict[tuple[str, Reason], int]:
    """How often what was ignored in this process, by source and reason.

    Returns:
        ``{("sidecar", "corrupt"): 1}``: the source is a format's name, ``sidecar`` or ``index``.

    Example:
        >>> before = ignored().get(("stamp", "corrupt"), 0)
        >>> Stamp.from_json("{")
        >>> ignored()["stamp", "corrupt"] - before
        1
    """
    with _lock:
        return dict(_ignored)


def _check(field: str, value: object, pattern: "re.Pattern[str]") -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        shown = f"{value[:100]!r}" if isinstance(value, str) else f"a value of type {type(value).__qualname__}"
        raise InvalidArgumentError(f"Stamp() got {field} = {shown}. It must have the form {pattern.pattern}.")


def _text(field: str, value: object) -> str | None:
    """The text, or None when a stamp cannot carry it."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CHARACTERS[field] or _UNWANTED.search(value):
        return None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # two readers could take it for two different stamps
        raise ValueError("a key stands twice")
    return found


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _ignored.clear()  # the parent counts its own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
