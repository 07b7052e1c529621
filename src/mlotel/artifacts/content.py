"""Objects of mlotel that say what their content is: a ``mlotel.Reference``, for example.

Their class defines ``__mlotel_content__()``, which returns plain values; a class attribute ``artifact_type`` says which
type of artifact they are, ``trace_id`` and ``span_id`` are told which span wrote them, and ``model_id`` for which
model.
"""

from typing import Any

from mlotel.artifacts import value as plain
from mlotel.artifacts._base import Hasher
from mlotel.artifacts._look import has_content, origin
from mlotel.types import Identity


def matches(value: Any) -> bool:
    """Whether the value's class says what its content is."""
    return has_content(value)


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of what the value calls its content, and of the name of its class."""
    hasher.text("content")
    hasher.text(origin(type(value))[1])
    plain.writer(hasher)(value.__mlotel_content__())
    return hasher.identity()


def tell_writer(value: Any, trace_id: str, span_id: str, model_id: str | None) -> None:
    """Let an object that has a place for it know which span wrote it, and for which model; others are left alone."""
    if not has_content(value):
        return
    if {"trace_id", "span_id"} <= vars(value).keys():
        value.trace_id, value.span_id = trace_id, span_id
    if model_id is not None and vars(value).get("model_id", model_id) is None:
        value.model_id = model_id
