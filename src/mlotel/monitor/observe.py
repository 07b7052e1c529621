"""``mlotel.observe``: a drift detector as metrics and events."""

import math
import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any
from weakref import WeakSet

from mlotel import _clock, _providers, _settings
from mlotel._guard import guard
from mlotel.drift import Detector, Report, statistics
from mlotel.drift.report import FEWEST_ROWS
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.metrics import observables
from mlotel.metrics.observables import Group
from mlotel.monitor import _alarms
from mlotel.monitor._standing import SPECS, Standing
from mlotel.semconv._spec import MetricSpec

__all__ = ["Observation", "observe"]

_PATIENCE_S = 60.0
_INTERVAL_S = 60.0
_open: "WeakSet[Observation]" = WeakSet()


class Observation:
    """A detector that is being observed: what ``mlotel.observe`` returns. A context manager that closes itself.

    Attributes:
        detector: The detector.
        model: Name of the model.
        version: Of the model, or None.
        title: What messages call it.
        specs: Its metrics.
    """

    specs: tuple[MetricSpec, ...] = SPECS

    def __init__(
        self,
        detector: Detector,
        model: str,
        version: str | None,
        names: Sequence[str],
        stale_after_s: float,
        every_s: float | None,
    ) -> None:
        self.detector = detector
        self.model, self.version = model, version
        self.title = f"Drift of {model}" if version is None else f"Drift of {model} {version}"
        self._names = tuple(names)
        self._stale_after_ns = stale_after_s * 1e9
        self._every_s = every_s
        self._standing = Standing(detector.reference, model, version, names, stale_after_s)
        self._lock = threading.Lock()
        self._is_checking = False
        self._checked_ns: int | None = None
        self._began_ns = _clock.wall_ns()  # of the window that is open
        self._last = (detector.checks, 0)
        self._is_told = True  # whether a collection has come since the last check
        self._closed_ns: int | None = None
        if not _settings.is_disabled():
            detector.watch(self._take)
            observables.attach(self)
            _open.add(self)

    def close(self) -> None:
        """Report no more. Rows that were not decided on yet are, unless ``every_s`` is infinite.

        What no collection has seen is reported for ``stale_after_s`` longer, so that the last flush has it.
        """
        with guard("close the observation of a drift detector"):
            if self._closed_ns is not None:
                return
            if self._every_s != math.inf and not _settings.is_disabled() and self.detector.undecided:
                self.detector.check()
            self._closed_ns = _clock.monotonic_ns()
            self.detector.unwatch(self._take)
            _open.discard(self)
            if self._is_told or _providers.meter_provider() is None:
                observables.detach(self)

    def __enter__(self) -> "Observation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """A collection begins: check, if that is due. Called by ``metrics.observables``."""
        now_ns = _clock.monotonic_ns()
        if self._closed_ns is not None:
            if not 0 <= now_ns - self._closed_ns < self._stale_after_ns:
                observables.detach(self)
            return
        undecided = self.detector.undecided
        with self._lock:
            if undecided and self._last != (self.detector.checks, undecided):
                self._standing.rows_ns = now_ns
            self._last = self.detector.checks, undecided
            is_due = not self._is_checking and self._is_due(undecided, now_ns)
            self._is_checking |= is_due
        if is_due:
            try:
                self.detector.check()
            finally:
                self._is_checking = False
        self._is_told = True

    def _is_due(self, undecided: int, now_ns: int) -> bool:
        if not undecided:
            return False
        passed_s = math.inf if self._checked_ns is None else (now_ns - self._checked_ns) / 1e9
        if self._every_s is not None:
            return self._every_s < math.inf and not 0 <= passed_s < self._every_s
        # Several readers that collect one after another do not make windows of a few rows each.
        return undecided >= FEWEST_ROWS or not 0 <= passed_s < _PATIENCE_S

    def groups(self, spec: MetricSpec) -> list[Group]:
        """Points of one metric. Called by ``metrics.observables``."""
        with self._lock:
            return list(self._standing.groups(spec, _clock.monotonic_ns()))

    def _take(self, report: Report) -> None:
        """A check was made, by a collection or by the program itself."""
        with guard("keep what a drift check has found"):
            now_ns = _clock.monotonic_ns()
            with self._lock:
                self._standing.take(report, now_ns, self._began_ns)
                self._began_ns = _clock.wall_ns()
                self._checked_ns = now_ns
                self._is_told = False
            if _providers.is_listening():
                _alarms.tell(report, self.detector.reference, self._standing.model, self._names, self._standing.began)

    def restart(self) -> None:
        """In a forked child: start at zero. Evidence and alarms are those of the moment of the fork."""
        self._lock = threading.Lock()
        self._is_checking = False
        self._standing.start_at_zero()
        self.detector.forget()  # the parent decides on the rows that came before, and counts them

    def __repr__(self) -> str:
        state = "" if self._closed_ns is None else ", closed"
        return f"Observation({self.model!r}, version={self.version!r}, {self.detector.checks} checks{state})"


def observe(
    detector: Detector,
    model: str | None = None,
    version: str | None = None,
    *,
    statistics: Sequence[str] = ("psi", "ks"),
    stale_after_s: float | None = None,
    every_s: float | None = None,
) -> Observation:
    """Report what a drift detector finds as OpenTelemetry metrics, and its alarms as events.

    At every collection of metrics at which 500 rows have come since the last check, or any row and a minute has passed,
    the detector's ``check`` is called. Checks that the program makes itself are reported just the same.

    Args:
        detector: It may be updated in other threads all the while.
        model: Name of the model, by default ``model``.
        version: Its version. Counters of all processes with the same name and version add up, so their references must
            be the same.
        statistics: Distances to report: ``psi``, ``ks``, ``wasserstein``, ``js``, ``hellinger``, ``tvd``, ``chi2``,
            ``cramers_v``, or those of plugins.
        stale_after_s: Gauges end when no row has come for so long, so that a dead monitor does not look healthy; by
            default two intervals between collections (``OTEL_METRIC_EXPORT_INTERVAL``), 120 s. Counters stay.
        every_s: Check when so many seconds have passed since the last check and any row has come. With ``math.inf``
            the program makes all checks.

    Returns:
        The handle; close it, or use it in a ``with`` statement.

    Raises:
        InvalidTypeError: If an argument has a wrong type.
        InvalidArgumentError: If a name is empty or a time is not above 0.
        NotFoundError: If there is no such statistic.

    Example:
        >>> import numpy as np, mlotel, mlotel.testing
        >>> rng = np.random.default_rng(0)
        >>> detector = mlotel.drift.Detector(mlotel.Reference.fit({"age": rng.normal(40, 9, 50_000)}))
        >>> with mlotel.testing.capturing() as capture, mlotel.observe(detector, "churn", version="7"):
        ...     for hour in range(2):
        ...         detector.update({"age": rng.normal(45, 9, 1000)})
        ...         level = capture.metric("ml.drift.level", ml_feature_name="age")
        >>> level, capture.ml_attributes(capture.events("ml.drift.detected")[0])["ml.drift.onset.checks"]
        (3, 2)
    """
    if not isinstance(detector, Detector):
        raise InvalidTypeError(
            f"observe() got a detector of type {type(detector).__qualname__}. Pass a mlotel.drift.Detector."
        )
    for name, word in (("model", model), ("version", version)):
        if word is None:
            continue
        if not isinstance(word, str):
            raise InvalidTypeError(f"observe() got {name} of type {type(word).__qualname__}. Pass a string.")
        if not word:
            raise InvalidArgumentError(f"observe() got an empty {name}. Pass its name, or leave it out.")
    for name, seconds in (("stale_after_s", stale_after_s), ("every_s", every_s)):
        _check_seconds(name, seconds)
    return Observation(
        detector,
        "model" if model is None else model,
        version,
        _known(statistics),
        2 * _interval_s() if stale_after_s is None else float(stale_after_s),
        None if every_s is None else float(every_s),
    )


def _check_seconds(name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidTypeError(f"observe() got {name} of type {type(value).__qualname__}. Pass seconds.")
    if not value > 0:
        raise InvalidArgumentError(f"observe() got {name}={value!r}. Pass seconds above 0.")


def _known(names: Any) -> tuple[str, ...]:
    """Names of statistics, each of which exists."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InvalidTypeError(
            f"observe() got statistics of type {type(names).__qualname__}. Pass a list of names, such as ['psi', 'ks']."
        )
    for name in names:
        if not isinstance(name, str):
            raise InvalidTypeError(f"observe() got a statistic of type {type(name).__qualname__}. Pass its name.")
        statistics.get(name)
    return tuple(dict.fromkeys(names))


def _interval_s() -> float:
    """Seconds between two collections, as far as the environment says."""
    try:
        value = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")) / 1000
    except ValueError:
        return _INTERVAL_S
    return value if 0 < value < math.inf else _INTERVAL_S


def _after_fork() -> None:
    for observation in list(_open):
        with guard("start a drift detector anew after a fork"):
            observation.restart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
