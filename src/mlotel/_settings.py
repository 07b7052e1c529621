"""What ``configure()`` decided and recording code asks for. Plain data: nothing here imports OpenTelemetry."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlotel.types import SpanRecord


@dataclass(slots=True)
class Settings:
    """Attributes are read at each use, so a change holds from the next record on.

    Attributes:
        capture_values: Whether values of user data may leave the process.
        redact: Applied to every string that leaves the process.
        on_run_end: Called with the spans of a run when its outermost pipeline in this process ends.
        restore: Picklable call that sets a worker process up like this one: a function and its one argument.
    """

    capture_values: bool = False
    redact: Callable[[str], str] | None = None
    on_run_end: Callable[[list[SpanRecord]], None] | None = None
    restore: tuple[Callable[[Any], None], Any] | None = None


current = Settings()
captures_files = False
"""Whether a library is instrumented, and files may be read and written of which nobody speaks."""
_disabled: bool | None = None


def is_disabled() -> bool:
    """Whether ``MLOTEL_DISABLED`` or ``OTEL_SDK_DISABLED`` was set at first use, or this is a subinterpreter."""
    global _disabled
    if _disabled is None:
        _disabled = why_disabled() is not None
    return _disabled


def why_disabled() -> str | None:
    """What switches everything off, for people; None when nothing does."""
    if os.environ.get("MLOTEL_DISABLED", "").strip().lower() in ("true", "1", "yes", "on"):
        return "MLOTEL_DISABLED=true"
    # OpenTelemetry's specification lets nothing but this word mean true.
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED=true"
    return "subinterpreters cannot have background threads" if _is_subinterpreter() else None


def _is_subinterpreter() -> bool:
    """Whether this is another interpreter of the process: its end aborts the process while a thread of it is alive."""
    try:
        import _interpreters as interpreters  # type: ignore[import-not-found]  # Python 3.13 and later
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]  # before
        except ImportError:
            return False
    return bool(interpreters.get_current() != interpreters.get_main())
