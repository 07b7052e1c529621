"""Metrics that are asked for when they are collected: one callback an instrument, for all that is being watched.

The SDK drops the callback of a second observable instrument of the same name without a word. So each instrument is
made once a meter, and its callback asks every source that is attached. One budget of attribute sets a metric is shared
by all sources: what is beyond it, and would be folded into one series without a name by the SDK, is left out and
counted. A set keeps its place when its source has gone, since the SDK never forgets one either.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias
from weakref import WeakKeyDictionary

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, CallbackT, Meter, MeterProvider, Observation

from mlotel import _providers, _settings
from mlotel._guard import guard, say_once
from mlotel._version import __version__
from mlotel.metrics import SCOPE, add
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv._spec import MetricSpec

__all__ = ["BUDGET", "MOST_GROUPS", "Group", "Source", "attach", "detach"]

Group: TypeAlias = list[tuple[Mapping[str, str], float]]
"""Points of one thing, a feature for example: attributes and value. They are all reported, or none of them is."""

BUDGET = 1800
"""Attribute sets of one metric; the SDK keeps 2,000."""

MOST_GROUPS = 200
"""Groups of one metric that one source may have."""

_MOST_ENDED = 20_000
_Key: TypeAlias = tuple[tuple[str, str], ...]


class Source(Protocol):
    """Something that metrics are asked of.

    Attributes:
        title: What people call it.
        specs: The metrics that it has. A collection begins with the first of them.
    """

    title: str
    specs: tuple[MetricSpec, ...]

    def begin(self) -> None:
        """A collection begins."""

    def groups(self, spec: MetricSpec) -> Iterable[Group]:
        """Points of one metric. Counters count from the beginning; the order is that in which groups may stay."""


_Ended: TypeAlias = Mapping[str, Mapping[_Key, float]]

# Sources and what counters of those that have left came to: exchanged together, so that no collection that is under
# way counts a source twice or not at all.
_state: tuple[tuple[Source, ...], _Ended] = ((), {})
_lock = threading.Lock()
_made: "WeakKeyDictionary[Meter, set[str]]" = WeakKeyDictionary()
_waiting_meter: Meter | None = None
_admitted: dict[str, set[_Key]] = {}


def attach(source: Source) -> None:
    """Ask ``source`` at every collection from now on."""
    global _state
    with _lock:
        sources, ended = _state
        _state = (*sources, source), ended
    _make()


def detach(source: Source) -> None:
    """Ask ``source`` no more. Its counters go on where they ended when another source has the same series."""
    global _state
    with _lock:
        sources, ended = _state
        if source not in sources:
            return
        added = {name: dict(values) for name, values in ended.items()}
        for spec in source.specs:
            if spec.instrument == "counter":
                of_spec = added.setdefault(spec.name, {})
                for group in source.groups(spec):
                    for attributes, value in group:
                        key = _key(attributes)
                        of_spec[key] = of_spec.get(key, 0) + value
                while len(of_spec) > _MOST_ENDED:
                    del of_spec[next(iter(of_spec))]
        _state = tuple(known for known in sources if known is not source), added


def attached() -> tuple[Source, ...]:
    """Sources that are asked, in the order in which they came."""
    return _state[0]


def _other_providers() -> None:
    _forget_ended()  # sums begin anew there, and sets are counted anew
    _admitted.clear()
    _make()


def _forget_ended() -> None:
    global _state
    with _lock:
        _state = _state[0], {}


def _make() -> None:
    """Make the instruments that are missing on the meter in use, or on the API's stand-in for the one to come."""
    if not attached() or _settings.is_disabled():
        return
    with guard("create instruments"):
        meter = _meter()
        with _lock:
            known = _made.setdefault(meter, set())
            missing = [spec for source in attached() for spec in source.specs if spec.name not in known]
            known |= {spec.name for spec in missing}
        owner = _providers.replacing_meter_provider()
        for spec in dict.fromkeys(missing):  # without the lock: a collection may be waiting for it
            create = meter.create_observable_counter if spec.instrument == "counter" else meter.create_observable_gauge
            create(spec.name, [_callback(spec, owner)], spec.unit, spec.brief)


def _meter() -> Meter:
    global _waiting_meter
    meter = _providers.meter(SCOPE)
    if meter is not None:
        return meter
    if _waiting_meter is None:  # hands its instruments to the provider that the application sets later
        _waiting_meter = api.get_meter(SCOPE, __version__, schema_url=_providers.SCHEMA_URL)
    return _waiting_meter


def _callback(spec: MetricSpec, owner: MeterProvider | None) -> CallbackT:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        if _providers.replacing_meter_provider() is not owner:
            return []  # replaced for now, by a test say, of which this one hears nothing
        with guard("observe metrics"):
            return _observe(spec)
        return []

    return observe


def _observe(spec: MetricSpec) -> list[Observation]:
    found: dict[_Key, tuple[Mapping[str, str], float]] = {}
    admitted = _admitted.setdefault(spec.name, set())
    left_out = 0
    for source in attached():
        if spec is source.specs[0]:
            with guard("begin a collection"):
                source.begin()
    sources, ended = _state
    for source in sources:
        if spec not in source.specs:
            continue
        lost = 0
        for place, group in enumerate(_groups(source, spec)):
            keys = [_key(attributes) for attributes, _ in group]
            fresh = sum(key not in admitted for key in keys)
            if place >= MOST_GROUPS or (fresh and len(admitted) + fresh > BUDGET):
                lost += len(group)
                continue
            admitted.update(keys)
            for key, (attributes, value) in zip(keys, group, strict=True):
                if spec.instrument == "counter":
                    value += found[key][1] if key in found else ended.get(spec.name, {}).get(key, 0)
                found[key] = attributes, value
        if lost:
            _say(source, spec)
        left_out += lost
    if left_out:
        add(specs.ML_TELEMETRY_DROPPED, left_out, _LOST)
    return [Observation(value, dict(attributes)) for attributes, value in found.values()]


def _groups(source: Source, spec: MetricSpec) -> list[Group]:
    with guard("ask for a metric"):
        return list(source.groups(spec))
    return []


_LOST = {names.ML_TELEMETRY_SIGNAL: "metrics", names.ML_TELEMETRY_REASON: "cardinality"}


def _say(source: Source, spec: MetricSpec) -> None:
    say_once(
        ("cardinality", source.title),
        "%s has more series than are sent: at most %d features of a model, and %d series of a metric (%s, to name one) "
        "of all models together. The first features are kept; ml.telemetry.dropped counts the points left out.",
        source.title,
        MOST_GROUPS,
        BUDGET,
        spec.name,
    )


def _key(attributes: Mapping[str, str]) -> _Key:
    return tuple(sorted(attributes.items()))


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when the process was copied
    _forget_ended()  # the parent's to count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
_providers.on_change(_other_providers)
