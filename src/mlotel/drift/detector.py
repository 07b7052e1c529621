"""The detector: rows in, and at every check a decision that bounds the chance of any false alarm for ever."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlotel._guard import guard
from mlotel.drift import _forks, _merge, _state
from mlotel.drift._arguments import ascending, between, whole
from mlotel.drift._evidence import Promise
from mlotel.drift._intake import Intake
from mlotel.drift._ladder import Ladder, Standing
from mlotel.drift._layout import Layout
from mlotel.drift._profile import Integers, Profile
from mlotel.drift.reference import Reference
from mlotel.drift.report import FEWEST_ROWS, Found, Report, SchemaChange
from mlotel.drift.statistics._moments import Moments
from mlotel.errors import InvalidArgumentError, InvalidTypeError

__all__ = ["Detector"]

HISTORY = 24
_STATE = b"mlotel.d"


class Detector:
    """Compares rows with a reference, check by check.

    Args:
        reference: What the rows should look like.
        alpha: Chance of any false alarm, on any feature, at any time until an alarm or a restart without saved state.
        tolerances: Total variation that is tolerated, ascending, one a level: level ``k`` says that a change exceeds
            the ``k``-th. A mean shift of 0.1 standard deviations is 0.04.
        min_windows: Checks that an alarm takes at least, so that one odd window cannot raise it alone.
        n_features: Features that share alpha, when other detectors share it too (replicas that decide by themselves);
            by default the columns of the reference.
        arl: None, or a mean number of checks to the first false alarm to promise in place of alpha: quicker after
            years, and surely wrong some day.
        model: The model whose data these are; refused when the reference belongs to another.

    Raises:
        InvalidArgumentError: If a number is out of its range, or the reference belongs to another model.
        InvalidTypeError: If something is of the wrong type.

    Example:
        >>> import numpy as np
        >>> from mlotel import Reference
        >>> from mlotel.drift import Detector
        >>> rng = np.random.default_rng(0)
        >>> detector = Detector(Reference.fit({"age": rng.normal(40, 9, 50_000), "fare": rng.gamma(2, size=50_000)}))
        >>> for hour in range(4):
        ...     detector.update({"age": rng.normal(45, 9, 1000), "fare": rng.gamma(2, size=1000)})
        ...     report = detector.check()
        >>> report.alarms, report["age"].level, report["age"].onset
        (['age'], 3, 4)
        >>> round(report["age"].score("psi"), 1), round(report["age"].noise("psi"), 3)
        (0.3, 0.009)
    """

    def __init__(
        self,
        reference: Reference,
        alpha: float = 0.01,
        tolerances: Sequence[float] = (0.01, 0.05, 0.12),
        min_windows: int = 2,
        n_features: int | None = None,
        *,
        arl: float | None = None,
        model: Any = None,
    ) -> None:
        if not isinstance(reference, Reference):
            raise InvalidTypeError(
                f"Detector() got a reference of type {type(reference).__qualname__}. "
                "Pass what Reference.fit() or Reference.load() returned."
            )
        reference.check_model(model)
        columns = len(reference.sources)
        self.reference = reference
        self.alpha = between("alpha", alpha, 0, 1)
        self.tolerances = ascending(tolerances)
        self.min_windows = whole("min_windows", min_windows, 1)
        self.n_features = columns if n_features is None else whole("n_features", n_features, columns)
        self.arl = None if arl is None else between("arl", arl, 1, float("inf"))
        self.checks = 0
        ordered = [profile for profile in reference.profiles if profile.is_ordered]
        rest = [profile for profile in reference.profiles if not profile.is_ordered]
        self._profiles: list[Profile] = [*ordered, *rest]
        by_name = {profile.name: place for place, profile in enumerate(self._profiles)}
        self._places = {profile.name: by_name[profile.name] for profile in reference.profiles}
        self._layout = Layout(self._profiles)
        promise = Promise(self.alpha, self.min_windows, self.n_features, self.arl)
        self._ladder = Ladder(self._profiles, promise, self.tolerances)
        self._intake = Intake(reference.sources, self._layout)
        self._seen = np.zeros(int(self._layout.starts[-1]), np.int64)
        self._history = np.full((len(self._profiles), HISTORY), np.nan)
        self._watchers: tuple[Callable[[Report], None], ...] = ()
        self._lock = threading.Lock()
        _forks.protect(self)

    def update(self, X: Any = None, predictions: Any = None, labels: Any = None) -> None:  # noqa: N803 - as everywhere
        """Add rows. Never raises, whatever the data: what cannot be read is in the next report's ``schema``.

        Args:
            X: What ``Reference.fit`` takes, or a single row as a list, or as a dict. Columns are found by name; those
                of arrays and lists by position. The caller may reuse its buffers at once.
            predictions: As for ``Reference.fit``, when the reference has them.
            labels: Likewise; labels may come later than their rows, in a call of their own.
        """
        with guard("add rows to a drift detector"), self._lock:
            self._intake.add(X, predictions, labels)

    def _counts(self) -> Integers:
        """``(bins,)`` everything counted since scores were last made."""
        self._intake.drain()
        return np.concatenate([self._intake.window.present(), self._intake.categories])

    def check(self) -> Report:
        """Decide on the rows since the last check, and report.

        Features without new rows stand still. Scores are made of the rows since they were last made, once there are
        500. Call it at regular times: every export interval, every hour, every batch.

        Returns:
            The report; it keeps no reference to the detector.
        """
        with self._lock:
            counts = self._counts()
            arrived = counts - self._seen
            standing = self._ladder.step(arrived)
            scored = self._layout.rows(counts)
            self.checks += 1
            self._history[:, :-1] = self._history[:, 1:]
            self._history[:, -1] = standing.evidence
            report = Report(self._found(counts, arrived, standing, scored))
            self._forget(scored >= FEWEST_ROWS, counts)
        for watcher in self._watchers:  # without the lock: they may take long, and ask for more
            watcher(report)
        return report

    def watch(self, watcher: Callable[[Report], None]) -> None:
        """Have ``watcher`` called with the report of every check, in the thread that checks; it must not raise."""
        with self._lock:
            self._watchers = (*self._watchers, watcher)

    def unwatch(self, watcher: Callable[[Report], None]) -> None:
        """Call ``watcher`` no more."""
        with self._lock:
            self._watchers = tuple(known for known in self._watchers if known != watcher)

    @property
    def undecided(self) -> int:
        """Rows since the last check, of the feature that has most."""
        with self._lock:
            waiting, window = self._intake.waiting, self._intake.window
            rows = self._layout.rows(np.concatenate([window.counted(), self._intake.categories]) - self._seen)
            rows[: self._layout.ordered] += window.fill
            return waiting + int(rows.max())

    def forget(self) -> None:
        """Drop the rows of which no scores were made yet. Evidence and alarms stay.

        For a forked process that must not decide again on rows that its parent decides on.
        """
        with self._lock:
            self._forget(np.ones(len(self._profiles), bool), self._counts())

    def _found(self, counts: Integers, arrived: Integers, standing: Standing, scored: Integers) -> Found:
        changes = sorted(self._intake.changes.items())
        return Found(
            check=self.checks,
            places=self._places,
            profiles=self._profiles,
            standing=standing,
            detectable=self._ladder.detectable,
            rows=self._layout.rows(arrived),
            arrived=self._layout.groups(arrived),
            scored_rows=scored,
            counts=self._layout.counts(counts, self._intake.window.sums.copy()),
            bins=counts,
            starts=self._layout.starts,
            moments=self._intake.window.moments,
            center=self._layout.center,
            scale=self._layout.scale,
            history=self._history.copy(),
            words=lambda place: self._words(place, int(standing.direction[place])),
            schema=tuple(SchemaChange(what, column, detail, n) for (what, column), (detail, n) in changes),
            alpha=self.alpha,
            tolerances=self.tolerances,
        )

    def _forget(self, features: NDArray[np.bool_], counts: Integers) -> None:
        """Start counting anew for features whose scores were made."""
        self._intake.changes = {}
        bins = np.repeat(features, np.diff(self._layout.starts))
        self._seen = np.where(bins, 0, counts)
        ordered = self._layout.ordered
        self._intake.window.clear(features[:ordered])
        self._intake.categories[bins[self._layout.starts[ordered] :]] = 0

    def _words(self, place: int, direction: int) -> str:
        counter = self._ladder.counter
        sets = int(counter.set_starts[-1])
        of, row = counter.of[place], direction % sets - int(counter.set_starts[place])
        runs = [(int(low), int(high)) for low, high in zip(of.low[row], of.high[row], strict=True) if high > low]
        values = ", ".join(self._profiles[place].words(low, high) for low, high in runs)
        return f"{'more' if direction < sets else 'fewer'} {values}"

    def state(self) -> bytes:
        """Everything as bytes: settings, reference, evidence, alarms and the rows of the open window.

        Equal states are equal bytes. ``from_state`` goes on as if nothing had happened, to the last bit; a detector
        that starts anew promises alpha anew.
        """
        with self._lock:
            self._intake.drain()
            plain = {
                "reference": self.reference.to_dict(),
                "alpha": self.alpha,
                "tolerances": list(self.tolerances),
                "min_windows": self.min_windows,
                "n_features": self.n_features,
                "arl": self.arl,
                "checks": self.checks,
                "changes": [[what, column, *of] for (what, column), of in sorted(self._intake.changes.items())],
            }
            return _state.pack(_STATE, plain, self._arrays())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        window, ladder = self._intake.window, self._ladder
        arrays: dict[str, NDArray[Any]] = {
            "rows": window.buffer[:, : window.fill],
            "counts": window.counts,
            "sums": window.sums,
            "moments": np.stack([getattr(window.moments, name) for name in _merge.MOMENTS]),
            "absent": window.absent,
            "categories": self._intake.categories,
            "seen": self._seen,
            "history": self._history,
            "hold": ladder.hold,
            "age": ladder.age,
            "direction": ladder.direction,
        }
        for place, evidence in enumerate(ladder.levels):
            arrays |= {
                f"gains {place}": evidence.gains,
                f"starts {place}": evidence.starts,
                f"t {place}": evidence.t,
                f"log_e {place}": evidence.log_e,
            }
        return arrays

    @classmethod
    def from_state(cls, state: bytes) -> "Detector":
        """Go on where ``state`` was taken.

        Raises:
            InvalidArgumentError: If these are no such bytes, or they are damaged or of another version.
        """
        plain, arrays = _state.unpack(_STATE, state, "Detector.state()")
        detector = cls(
            Reference.from_dict(plain["reference"]), plain["alpha"], plain["tolerances"], plain["min_windows"],
            plain["n_features"], arl=plain["arl"],
        )  # fmt: skip
        detector.checks = plain["checks"]
        detector._intake.changes = {(what, column): (detail, rows) for what, column, detail, rows in plain["changes"]}
        shapes = {name: array.shape[:1] for name, array in detector._arrays().items()}
        if shapes != {name: array.shape[:1] for name, array in arrays.items()}:
            raise InvalidArgumentError("This state was saved by another version of mlotel. Start the detector anew.")
        window, ladder = detector._intake.window, detector._ladder
        window.fill = arrays["rows"].shape[1]
        window.buffer[:, : window.fill] = arrays["rows"]
        window.counts, window.sums, window.absent = arrays["counts"], arrays["sums"], arrays["absent"]
        window.moments = Moments(*arrays["moments"])
        detector._intake.categories, detector._seen = arrays["categories"], arrays["seen"]
        detector._history = arrays["history"]
        ladder.hold, ladder.age, ladder.direction = arrays["hold"], arrays["age"], arrays["direction"]
        for place, evidence in enumerate(ladder.levels):
            evidence.restore(*(arrays[f"{name} {place}"] for name in ("t", "gains", "starts", "log_e")))
        return detector

    def collect(self) -> bytes:
        """The rows counted so far, as bytes for another detector's ``merge``; this one forgets them.

        For many processes that serve one model: each collects, and one merges and decides. Such a detector makes no
        checks itself.

        Raises:
            InvalidArgumentError: If it has decided on some of these rows itself.
        """
        with self._lock:
            counts = self._counts()
            if self._seen.any():
                raise InvalidArgumentError(
                    "collect() was called on a detector that has made checks of these rows. Collect from detectors "
                    "that only take rows, and check the one that merges."
                )
            part = _merge.pack(self.reference, counts, self._intake.window, self._intake.changes)
            self._forget(np.ones(len(self._profiles), bool), counts)
            return part

    def merge(self, *parts: bytes) -> None:
        """Add what other detectors of the same reference have collected.

        Args:
            *parts: Bytes that ``collect`` returned. Each must be merged once.

        Raises:
            InvalidArgumentError: If they are something else, or of another reference; then none of them is added.
        """
        found = [_merge.unpack(part, self.reference) for part in parts]
        with self._lock:
            self._intake.drain()
            self._intake.window.empty()
            for part in found:
                part.add_to(self._intake.window, self._intake.categories)
                for what, column, detail, rows in part.changes:
                    self._intake.note(what, column, detail, rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return Detector.from_state, (self.state(),)  # for pickle and copy: a lock is neither

    def __repr__(self) -> str:
        return f"Detector({self.reference!r}, alpha={self.alpha}, tolerances={self.tolerances}, {self.checks} checks)"
