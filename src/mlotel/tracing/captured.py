"""Files that instrumented libraries read and write inside a component."""

import os
from typing import Any, Literal, cast

from opentelemetry import context

from mlotel import _current, artifacts
from mlotel._guard import guard
from mlotel.semconv import attributes as names
from mlotel.tracing import lineage
from mlotel.tracing.artifacts import identity_of
from mlotel.tracing.components import Component
from mlotel.tracing.scope import Scope

__all__ = ["omit_files", "record_file"]


def record_file(
    role: Literal["input", "output"],
    place: str | os.PathLike[str],
    value: Any | None,
    *,
    type: str | None = None,
    is_open: bool = False,
) -> None:
    """Record a file that the current component has read or written. Outside one nothing happens; never raises.

    Args:
        role: ``input`` for a file that was read, ``output`` for one that was written.
        place: Path or URL of the file.
        value: The table, array or model that was read from it or written to it; None when unknown. The span carries
            the value's id in ``ml.artifact.content.id``, with its rows and columns, when every byte of it was hashed.
        type: One of ``TYPES`` in ``mlotel.tracing.artifacts``; by default that of the value, else of the path.
        is_open: Whether the user still has the file open for writing. It gets no stamp then: a stamp makes a new file
            of it, and what the user wrote afterwards would be lost.
    """
    with guard("record a file"):
        found = _recording()
        if found is None:
            return
        component = found[0]
        place = os.fsdecode(os.fspath(place))
        content = None if value is None else identity_of(value)
        recorded = component._record(
            role,
            place,
            None,
            kind=type or _type(value),
            content=content,
            stamp=role == "output" and not is_open and lineage.stamps_files(),
            is_captured=True,
        )
        if role == "input" and recorded is not None and content is not None and content.scope == "full":
            lineage.mark(value, content.id, recorded.span)


def omit_files(count: int) -> None:
    """Count files that the current component has read or written and that were too many to be recorded."""
    with guard("count files"):
        found = _recording()
        if found is not None:
            scope = found[1]
            before = cast("int", scope.attributes.get(names.ML_ARTIFACT_LINKS_OMITTED, 0))
            scope.set({names.ML_ARTIFACT_LINKS_OMITTED: before + count})


def _recording() -> tuple[Component, Scope] | None:
    """The current component and its scope, if anybody receives what it records."""
    ctx = context.get_current()
    component = cast("Component | None", ctx.get(_current.COMPONENT))
    scope = None if component is None else component._scope  # None once it has ended, in whatever thread
    if component is None or scope is None or _current.is_suppressed(ctx) or not scope.span.is_recording():
        return None
    return component, scope


def _type(value: Any) -> str | None:
    """The type of a table, an array or a model; of anything else the path says more."""
    kind = None if value is None or issubclass(type(value), str) else artifacts.artifact_type(value)
    return kind if kind in ("dataset", "model") else None
