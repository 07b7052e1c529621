"""Instruments of mlotel. They are created here and nowhere else, from what the registry says about each."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram

from mlotel import _providers
from mlotel.semconv._spec import MetricSpec

SCOPE = "mlotel.metrics"

_instruments: dict[str, Counter | Histogram | None] = {}
_made_for = -1


def record(spec: MetricSpec, value: float, attributes: Mapping[str, str], context: Context | None = None) -> None:
    """Record ``value`` in the histogram ``spec``. The span of ``context`` becomes its exemplar."""
    instrument = _instrument(spec)
    if instrument is not None:
        instrument.record(value, attributes, context=context)  # type: ignore[union-attr]  # spec.instrument says which


def add(spec: MetricSpec, value: int | float, attributes: Mapping[str, str], context: Context | None = None) -> None:
    """Add ``value``, zero or more, to the counter ``spec``."""
    instrument = _instrument(spec)
    if instrument is not None:
        instrument.add(value, attributes, context=context)  # type: ignore[union-attr]  # as above


def _instrument(spec: MetricSpec) -> Counter | Histogram | None:
    global _made_for
    if _made_for != _providers.generation():
        _instruments.clear()
        _made_for = _providers.generation()
    if spec.name in _instruments:
        return _instruments[spec.name]
    meter = _providers.meter(SCOPE)
    if meter is None:  # not remembered: the host application may still set a provider
        return None
    made: Counter | Histogram
    if spec.instrument == "histogram":
        made = meter.create_histogram(
            spec.name, spec.unit, spec.brief, explicit_bucket_boundaries_advisory=spec.bounds or None
        )
    else:
        made = meter.create_counter(spec.name, spec.unit, spec.brief)
    _instruments[spec.name] = made
    return made
