"""OpenTelemetry for machine learning.

What each name does stands beside it; every one is loaded when it is first used, so ``import mlotel`` costs next to
nothing and pulls in neither the OpenTelemetry SDK nor numpy.
"""

import atexit
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlotel._version import __version__ as __version__

if TYPE_CHECKING:
    from mlotel import artifacts as artifacts
    from mlotel import drift as drift
    from mlotel import errors as errors
    from mlotel import quality as quality
    from mlotel import testing as testing
    from mlotel._setup import Telemetry as Telemetry
    from mlotel._setup import configure as configure
    from mlotel.drift.reference import Reference as Reference
    from mlotel.instrumentation import instrument as instrument
    from mlotel.instrumentation import uninstrument as uninstrument
    from mlotel.logs.filtering import log_filter as log_filter
    from mlotel.monitor.observe import observe as observe
    from mlotel.tracing.components import Component as Component
    from mlotel.tracing.context import carry as carry
    from mlotel.tracing.context import environment as environment
    from mlotel.tracing.current import param as param
    from mlotel.tracing.current import read as read
    from mlotel.tracing.current import removed as removed
    from mlotel.tracing.current import write as write
    from mlotel.tracing.runs import Run as Run
    from mlotel.tracing.runs import pipeline as pipeline
    from mlotel.tracing.steps import component as component
    from mlotel.types import Check as Check
    from mlotel.types import Flush as Flush
    from mlotel.types import Identity as Identity

_HOMES = {
    "Check": "mlotel.types",
    "Component": "mlotel.tracing.components",
    "Flush": "mlotel.types",
    "Identity": "mlotel.types",
    "Reference": "mlotel.drift.reference",
    "Run": "mlotel.tracing.runs",
    "Telemetry": "mlotel._setup",
    "carry": "mlotel.tracing.context",
    "component": "mlotel.tracing.steps",
    "configure": "mlotel._setup",
    "environment": "mlotel.tracing.context",
    "instrument": "mlotel.instrumentation",
    "log_filter": "mlotel.logs.filtering",
    "observe": "mlotel.monitor.observe",
    "pipeline": "mlotel.tracing.runs",
    "param": "mlotel.tracing.current",
    "read": "mlotel.tracing.current",
    "removed": "mlotel.tracing.current",
    "uninstrument": "mlotel.instrumentation",
    "write": "mlotel.tracing.current",
}
_MODULES = frozenset({"artifacts", "drift", "errors", "quality", "testing"})

__all__ = [
    "Check",
    "Component",
    "Flush",
    "Identity",
    "Reference",
    "Run",
    "Telemetry",
    "__version__",
    "artifacts",
    "carry",
    "component",
    "configure",
    "drift",
    "environment",
    "errors",
    "instrument",
    "log_filter",
    "observe",
    "param",
    "pipeline",
    "quality",
    "read",
    "removed",
    "testing",
    "uninstrument",
    "write",
]


@atexit.register
def _at_exit() -> None:
    """The end of the program, registered as early as can be: what is registered later runs before, and may record."""
    endings = sys.modules.get("mlotel._setup._endings")  # configure() loads it
    if endings is not None:
        endings.last_step()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    elif name in _MODULES:
        found = import_module(f"mlotel.{name}")
    else:
        raise AttributeError(f"module 'mlotel' has no attribute {name!r}")
    globals()[name] = found  # so that the next use is a plain look-up
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
