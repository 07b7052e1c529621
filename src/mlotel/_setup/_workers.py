"""Worker processes that are started afresh, and inherit nothing but what is sent to them."""

import logging
import pkgutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from mlotel import _guard
from mlotel._setup._options import Options, Route

if TYPE_CHECKING:
    from mlotel._setup._assemble import Active

_skipped = 0


def skipped() -> int:
    """How often this process was to be set up like one whose providers were the host application's."""
    return _skipped


def guarded() -> AbstractContextManager[None]:
    """Around everything that happens in somebody else's worker."""
    return _guard.guard("set up a worker process")


def snapshot(active: "Active") -> dict[str, Any]:
    """What a worker process needs to know, in plain values that any pickle takes."""
    options = active.options
    return {
        "service_name": active.telemetry.service_name,
        "asked_service_name": options.service_name,
        "routes": {signal: asdict(route) for signal, route in options.routes.items()},
        "spool": options.spool,
        "folder": None if active.folder is None else str(active.folder),
        "instrument": list(options.instrument),
        "capture_values": options.capture_values,
        "redact": _name_of(options.redact),
        "quiet": options.is_quiet,
        "hosted": sorted(active.hosts),
    }


def restore(state: Mapping[str, Any], begin: Callable[..., object]) -> None:
    """Begin with the settings in ``state``, as far as they hold in another process."""
    global _skipped
    hosted = tuple(state["hosted"])
    if hosted:
        _skipped += 1
        _guard.say_once(
            ("worker",),
            "A worker process records no %s: they go through providers that the application has set in its main "
            "process only. Set them in the worker too.",
            ", ".join(hosted),
            level=logging.INFO,
        )
    if len(hosted) == len(state["routes"]):
        return
    redact = state["redact"]
    if redact is False:
        _guard.say_once(
            ("worker redact",),
            "A worker process records nothing: redact= must be a function at the top of a module to be used there.",
        )
        return
    options = Options(
        service_name=state["asked_service_name"],
        routes={signal: Route(**route) for signal, route in state["routes"].items()},
        spool=state["spool"],
        instrument=tuple(state["instrument"]),
        capture_values=state["capture_values"],
        redact=None if redact is None else pkgutil.resolve_name(redact),
        is_quiet=state["quiet"],
    )
    folder = state["folder"]
    begin(
        options,
        is_worker=True,
        service_name=state["service_name"],
        folder=None if folder is None else Path(folder),
        leave_out=hosted,
    )


def _name_of(redact: Callable[[str], str] | None) -> str | bool | None:
    """``module:name`` of a function that another process can find, False for one that it cannot."""
    if redact is None:
        return None
    if not isinstance(redact, FunctionType | BuiltinFunctionType):
        return False
    name = f"{redact.__module__}:{redact.__qualname__}"
    try:
        return name if pkgutil.resolve_name(name) is redact else False
    except (ImportError, AttributeError, ValueError):
        return False
