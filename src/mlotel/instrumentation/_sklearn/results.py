"""What calls of estimators found: scores of folds, of candidates, of models."""

import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mlotel import _providers
from mlotel._guard import guard
from mlotel.instrumentation._sklearn import kinds
from mlotel.metrics import observables
from mlotel.semconv import attributes as names
from mlotel.semconv import metrics as specs
from mlotel.semconv._spec import MetricSpec
from mlotel.tracing import attributes
from mlotel.types import AttributeValue

__all__ = ["cross_validated", "name_of", "report", "scores", "search"]

MAX_SCORES = 128
MAX_METRICS = 16
MAX_BEST_PARAMS = 16
MAX_SERIES = 200
MAX_FOLDS = 1000
"""Folds of one call that are spans."""


def name_of(part: Any) -> str:
    """What a step is: its class, or the word that stands for it (``passthrough``)."""
    return attributes.text(part, 64) if type(part) is str else kinds.kind_of(type(part)).name


def _number(value: Any) -> float | None:
    found = attributes.attribute(value)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def scores(found: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Attributes of scores by their names; what is no number is left out."""
    result: dict[str, AttributeValue] = {}
    for name, value in list(found.items())[:MAX_METRICS]:
        number = _number(value)
        if number is not None:
            result[f"{names.ML_SCORE_TEMPLATE}.{attributes.key(name)}"] = number
    return result


def search(owner: Any, folds: int) -> dict[str, AttributeValue]:
    """What a search that has ended has found."""
    stored = kinds.stored(owner)
    table = stored.get("cv_results_")
    if type(table) is not dict:
        return {}
    found: dict[str, AttributeValue] = {names.ML_CANDIDATE_COUNT: len(table.get("params", ()))}
    splits = _number(stored.get("n_splits_"))
    if splits is not None:
        found[names.ML_FOLD_COUNT] = int(splits)
    if folds > MAX_FOLDS:
        found[names.ML_FOLD_OMITTED] = folds - MAX_FOLDS
    metric = stored.get("refit") if stored.get("multimetric_") else None
    metric = metric if type(metric) is str else "score"
    mean = table.get(f"mean_test_{metric}")
    if mean is not None:
        found[names.ML_CANDIDATE_SCORES] = [float(score) for score in mean[:MAX_SCORES]]
    best = _number(stored.get("best_index_"))
    if best is not None:
        found[names.ML_CANDIDATE_BEST] = int(best)
        chosen = stored.get("best_params_") or table["params"][int(best)]
        if type(chosen) is dict:
            plain = {name: name_of(value) if kinds.is_estimator(value) else value for name, value in chosen.items()}
            found |= attributes.params(names.ML_CANDIDATE_PARAM_TEMPLATE, plain, MAX_BEST_PARAMS)
    best_score = _number(stored.get("best_score_"))
    if best_score is not None:
        scoring = stored.get("scoring")
        name = metric if metric != "score" or type(scoring) is not str else scoring
        found |= scores({name: best_score})
        report(owner, {name: best_score}, "validate")
    return found


def cross_validated(owner: Any, result: Any, scoring: Any) -> dict[str, AttributeValue]:
    """What a cross-validation has found: the mean of each score over the folds."""
    if type(result) is not dict:
        return {}
    found: dict[str, AttributeValue] = {}
    means: dict[str, float] = {}
    for name, values in result.items():
        if name.startswith("test_"):
            each = [float(value) for value in values]
            found[names.ML_FOLD_COUNT] = len(each)
            called = name.removeprefix("test_")
            called = scoring if called == "score" and type(scoring) is str else called
            means[called] = sum(each) / len(each) if each else math.nan
    report(owner, means, "validate")
    return found | scores(means)


def report(owner: Any, found: Mapping[str, Any], stage: Literal["validate", "test"]) -> None:
    """Let the metric ``ml.training.score`` say what was found, for a while."""
    with guard("report a score"):
        model = kinds.kind_of(type(kinds.final_of(owner))).name
        for name, value in list(found.items())[:MAX_METRICS]:
            number = _number(value)
            if number is not None and math.isfinite(number):
                _latest.put((model, attributes.text(name, 128), stage), number)


class _Latest:
    """The last scores: a source of metrics. A score is told for twice the time between two collections."""

    title = "scikit-learn"
    specs: tuple[MetricSpec, ...] = (specs.ML_TRAINING_SCORE,)

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._is_attached = False
        self._lock = threading.Lock()

    def put(self, key: tuple[str, str, str], score: float) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = score, time.monotonic()
            while len(self._known) > MAX_SERIES:
                del self._known[next(iter(self._known))]
            is_new, self._is_attached = not self._is_attached, True
        if is_new:
            observables.attach(self)

    def begin(self) -> None:
        """A collection begins: forget what is too old."""
        limit = time.monotonic() - 2 * _interval_s()
        with self._lock:
            self._known = {key: found for key, found in self._known.items() if found[1] >= limit}

    def groups(self, spec: MetricSpec) -> Iterable[observables.Group]:
        """One group a score."""
        with self._lock:
            known = list(self._known.items())
        for (model, metric, stage), (score, _) in known:
            labels = {
                names.ML_MODEL_NAME: model,
                names.ML_PERFORMANCE_METRIC: metric,
                names.ML_TRAINING_STAGE: stage,
            }
            yield [(labels, score)]

    def clear(self) -> None:
        """Forget all: other providers are in use."""
        self._known = {}

    def restart(self) -> None:
        """In a forked child: the scores are the parent's, and so is the lock."""
        self.clear()
        self._lock = threading.Lock()


def _interval_s() -> float:
    try:
        return max(1.0, float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "") or 60_000) / 1000)
    except ValueError:
        return 60.0


_latest = _Latest()
_providers.on_change(_latest.clear)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_latest.restart)
