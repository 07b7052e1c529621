"""How well a model did on the rows of its reference: what later labels, or none at all, are compared with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlotel.drift._bins import FEWEST
from mlotel.drift._columns import WrongKindError, coded, label_of, numbers
from mlotel.drift._profile import Floats
from mlotel.errors import InvalidArgumentError
from mlotel.quality._columns import read

Sums: TypeAlias = list[float]
"""Rows, sum and sum of squares of a metric."""

SCORE_BINS = 10
MOST_CLASSES = 50
_TINY = 1e-15  # a probability of exactly 0 or 1 would cost infinitely much


def proportions(values: Any) -> dict[str, float]:
    """Share of each class, the most frequent first; without classes of fewer than 20 rows.

    Args:
        values: ``(n,)`` labels or predictions; or ``(n, k)`` scores of ``k`` classes, of which the largest counts.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2:
        values = values.argmax(axis=1)
    codes, labels = coded(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    total = max(int((codes >= 0).sum()), 1)
    return {str(labels[place]): float(counts[place] / total) for place in order if counts[place] >= FEWEST}


def has_classes(values: Any) -> bool:
    """Whether these are classes and no numbers: text, booleans, or at most 50 distinct integers."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return bool(values.shape[1] > 1)
    column = read(values, "the labels")
    if column.kind in ("boolean", "category"):
        return True
    present = column.present
    whole = column.kind == "number" and bool((present == np.floor(present)).all())
    return whole and np.unique(present).size <= MOST_CLASSES


def baseline(
    predictions: Any, labels: Any, metrics: Sequence[str], slices: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Rows, sum and sum of squares of each metric: of all rows, by the model's score, and by slice.

    Args:
        predictions: ``(n,)`` or ``(n, k)``.
        labels: ``(n,)``.
        metrics: Names in ``METRICS``.
        slices: Columns by whose values rows are grouped.

    Raises:
        InvalidArgumentError: If a metric is unknown or does not fit the predictions.
    """
    score = _score(predictions)
    edges: list[float] = []
    if score is not None and np.isfinite(score).any():
        finite = np.sort(score[np.isfinite(score)])
        edges = np.unique(finite[(np.arange(1, SCORE_BINS) * finite.size) // SCORE_BINS]).tolist()
    found: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        if metric not in METRICS:
            raise InvalidArgumentError(f"Got metrics={metric!r}. Use one of {', '.join(METRICS)}.")
        value = METRICS[metric](predictions, labels)
        known = np.isfinite(value)
        about: dict[str, Any] = {"overall": _sums(value[known])}
        if edges and score is not None:
            bins = np.searchsorted(edges, score, side="right")
            about["score_edges"] = edges
            about["by_score"] = [_sums(value[known & (bins == place)]) for place in range(len(edges) + 1)]
        about["by_slice"] = {name: _by_slice(column, value, known) for name, column in slices.items()}
        found[metric] = about
    return found


def _by_slice(column: Any, value: Floats, known: NDArray[np.bool_]) -> dict[str, Sums]:
    codes, labels = coded(column)
    found = {}
    for place, label in enumerate(labels[:1000]):
        rows = known & (codes == place)
        if rows.sum() >= FEWEST:
            found[str(label)] = _sums(value[rows])
    return found


def _sums(values: Floats) -> Sums:
    return [float(values.size), float(values.sum()), float((values * values).sum())]


def _score(predictions: Any) -> Floats | None:
    """What the model was how sure of; None for predicted classes."""
    if isinstance(predictions, np.ndarray) and predictions.ndim == 2:
        return np.asarray(predictions.max(axis=1), dtype=np.float64)
    column = read(predictions, "predictions")
    return column.seconds_or_numbers() if column.kind in ("number", "boolean") else None


def _difference(predictions: Any, labels: Any) -> Floats:
    try:
        return np.asarray(numbers(labels), dtype=np.float64) - np.asarray(numbers(predictions), dtype=np.float64)
    except WrongKindError as error:
        raise InvalidArgumentError(
            f"mae, mse and bias were asked for, and predictions= or labels= holds {error.found}. Pass numbers, or ask "
            "for accuracy."
        ) from error


def _right(predictions: Any, labels: Any) -> Floats:
    if isinstance(predictions, np.ndarray) and predictions.ndim == 2:
        return _equal(_numbered(labels), predictions.argmax(axis=1))
    if _are_probabilities(predictions):
        return _equal(_numbered(labels), np.asarray(numbers(predictions)) >= 0.5)
    codes, names = coded(labels)
    truth = [names[code] if code >= 0 else None for code in codes]
    said = [label_of(value) for value in read(predictions, "predictions").values.tolist()]
    return np.array([np.nan if a is None else float(a == b) for a, b in zip(truth, said, strict=True)])


def _equal(truth: Floats, said: NDArray[Any]) -> Floats:
    return np.where(np.isfinite(truth), (truth == said).astype(float), np.nan)


def _numbered(labels: Any) -> Floats:
    """Labels as numbers of classes; booleans are 0 and 1."""
    try:
        return np.asarray(numbers(labels), dtype=np.float64)
    except WrongKindError as error:
        raise InvalidArgumentError(
            f"labels= holds {error.found}, and predictions= holds scores, which do not say whose they are. Pass labels "
            "as numbers of classes from 0, or booleans."
        ) from error


def _are_probabilities(predictions: Any) -> bool:
    column = read(predictions, "predictions")
    if column.kind != "number":
        return False
    values = column.seconds_or_numbers()
    inside = np.nanmin(values) >= 0 and np.nanmax(values) <= 1
    return bool(inside and (values != np.floor(values)).any())


def _given_to_truth(predictions: Any, labels: Any) -> Floats:
    """Probability that the model gave to what came true."""
    truth = _numbered(labels)
    if isinstance(predictions, np.ndarray) and predictions.ndim == 2:
        rows = np.arange(len(truth))
        inside = (truth >= 0) & (truth < predictions.shape[1])
        return np.where(inside, predictions[rows, np.where(inside, truth, 0).astype(np.int64)], np.nan)
    score = np.asarray(numbers(predictions), dtype=np.float64)
    return np.where(truth == 1, score, 1 - score)


def _probability(function: Callable[[Floats], Floats]) -> Callable[[Any, Any], Floats]:
    def metric(predictions: Any, labels: Any) -> Floats:
        if not (isinstance(predictions, np.ndarray) and predictions.ndim == 2) and not _are_probabilities(predictions):
            raise InvalidArgumentError(
                "log_loss and brier were asked for, and predictions= holds no probabilities. Pass (n,) of the class 1, "
                "or (n, k) of k classes numbered from 0."
            )
        return function(_given_to_truth(predictions, labels))

    return metric


METRICS: dict[str, Callable[[Any, Any], Floats]] = {
    "mae": lambda predictions, labels: np.abs(_difference(predictions, labels)),
    "mse": lambda predictions, labels: _difference(predictions, labels) ** 2,
    "bias": lambda predictions, labels: -_difference(predictions, labels),
    "accuracy": _right,
    "log_loss": _probability(lambda given: -np.log(np.maximum(given, _TINY))),
    "brier": _probability(lambda given: (1 - given) ** 2),
}
