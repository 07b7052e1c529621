"""The ledger as metrics: ``ml.telemetry.exported``, ``.spooled`` and ``.dropped``."""

from collections.abc import Callable, Iterable
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from mlotel.export._ledger import Fate, Ledger
from mlotel.export._outcome import Reason
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv._spec import MetricSpec
from mlotel.types import Signal

SCOPE = "mlotel.export"

_SPECS: dict[Fate, MetricSpec] = {
    "exported": specs.ML_TELEMETRY_EXPORTED,
    "spooled": specs.ML_TELEMETRY_SPOOLED,
    "dropped": specs.ML_TELEMETRY_DROPPED,
}

_watched: Ledger | None = None
_meters: WeakSet[Meter] = WeakSet()


def watch(ledger: Ledger | None, meter: Meter | None) -> None:
    """Let the counters of ``meter`` tell of ``ledger`` from now on; of nothing when it is None.

    The instruments are made once a meter: the SDK silently ignores the callback of a second one with the same name.
    """
    global _watched
    _watched = ledger
    if meter is None or meter in _meters:
        return
    _meters.add(meter)
    for fate, spec in _SPECS.items():
        meter.create_observable_counter(spec.name, [_observer(fate)], spec.unit, spec.brief)


def _observer(fate: Fate) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        if _watched is None:
            return []
        sums: dict[tuple[Signal, Reason | None], int] = {}
        for entry in _watched.counts():
            if entry.fate == fate:
                sums[entry.signal, entry.reason] = sums.get((entry.signal, entry.reason), 0) + entry.records
        return [Observation(records, _attributes(*key)) for key, records in sums.items()]

    return observe


def _attributes(signal: Signal, reason: Reason | None) -> dict[str, str]:
    attributes = {names.ML_TELEMETRY_SIGNAL: str(signal)}
    if reason is not None:
        attributes[names.ML_TELEMETRY_REASON] = str(reason)
    return attributes
