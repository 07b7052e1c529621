"""Where mlotel's own signals go: the providers of the host application, unless ``use()`` names others.

Only the OpenTelemetry API is used here. Providers are asked for when something is recorded, so it does not matter
whether mlotel or the host application is set up first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry import _logs, metrics, trace

from mlotel import _settings
from mlotel._version import __version__

SCHEMA_URL: str | None = None
"""Schema URL of every scope; none until the project has a place to serve it from."""


@dataclass(frozen=True, slots=True)
class Providers:
    """Providers that replace the global ones; None leaves the global one in use."""

    tracer_provider: trace.TracerProvider | None = None
    meter_provider: metrics.MeterProvider | None = None
    logger_provider: _logs.LoggerProvider | None = None


_override = Providers()
_cache: dict[tuple[str, str], Any] = {}
_generation = 0
_real: dict[type, bool] = {}
_listeners: list[Callable[[], None]] = []


def use(providers: Providers) -> Providers:
    """Send mlotel's signals to ``providers`` from now on; returns what was in use before."""
    global _override
    before, _override = _override, providers
    forget()
    return before


def forget() -> None:
    """Ask the providers anew at the next record, for tracers, loggers and instruments alike."""
    global _generation
    _generation += 1
    _cache.clear()
    for listener in _listeners:
        listener()


def on_change(listener: Callable[[], None]) -> None:
    """Have ``listener`` called whenever ``use`` or ``forget`` was: for what must be made before it is recorded in."""
    _listeners.append(listener)


def generation() -> int:
    """A number that changes when providers do; what was made from providers is stale when it has changed."""
    return _generation


def _is_real(provider: object) -> bool:
    """Whether ``provider`` records at all: proxies stand for a provider not yet set, no-ops for none."""
    kind = type(provider)
    known = _real.get(kind)
    if known is None:
        silent = kind.__name__.lstrip("_").startswith(("Proxy", "NoOp", "Default"))
        known = _real[kind] = not (kind.__module__.startswith("opentelemetry.") and silent)
    return known


def tracer_provider() -> trace.TracerProvider | None:
    """The provider that spans go to, or None when nobody set one."""
    provider = _override.tracer_provider or trace.get_tracer_provider()
    return provider if _is_real(provider) else None


def meter_provider() -> metrics.MeterProvider | None:
    """The provider that metrics go to, or None when nobody set one."""
    provider = _override.meter_provider or metrics.get_meter_provider()
    return provider if _is_real(provider) else None


def replacing_meter_provider() -> metrics.MeterProvider | None:
    """The meter provider that ``use`` put in place of the global one; None while the global one is in use."""
    return _override.meter_provider


def logger_provider() -> _logs.LoggerProvider | None:
    """The provider that log events go to, or None when nobody set one."""
    provider = _override.logger_provider or _logs.get_logger_provider()
    return provider if _is_real(provider) else None


def is_listening() -> bool:
    """Whether anybody receives what mlotel records. False makes every entry a no-op."""
    if _settings.is_disabled():
        return False
    return (
        bool(_cache) or tracer_provider() is not None or meter_provider() is not None or logger_provider() is not None
    )


def tracer(scope: str) -> trace.Tracer:
    """Tracer of the scope ``scope``, a module's name."""
    found = _cache.get(("tracer", scope))
    if found is None:
        provider = tracer_provider()
        if provider is None:
            return trace.NoOpTracer()
        found = _cache["tracer", scope] = provider.get_tracer(scope, __version__, schema_url=SCHEMA_URL)
    return found


def meter(scope: str) -> metrics.Meter | None:
    """Meter of the scope ``scope``, or None when nobody listens to metrics."""
    found = _cache.get(("meter", scope))
    if found is None:
        provider = meter_provider()
        if provider is None:
            return None
        found = _cache["meter", scope] = provider.get_meter(scope, __version__, schema_url=SCHEMA_URL)
    return found


def logger(scope: str) -> _logs.Logger | None:
    """Logger of the scope ``scope``, or None when nobody listens to log events."""
    found = _cache.get(("logger", scope))
    if found is None:
        provider = logger_provider()
        if provider is None:
            return None
        found = _cache["logger", scope] = provider.get_logger(scope, __version__, schema_url=SCHEMA_URL)
    return found
