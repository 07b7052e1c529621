"""Time to identify fitted models, beside what it may be: 20 µs an estimator and the time to copy their arrays.

Time is processor time of the thread, so other work on the machine does not count. Both sides run in turn in one
process; each pair gives one ratio, and the median counts. Copying makes a new array of every array in the model, as
``joblib.dump`` and ``copy.deepcopy`` must at least.

- pipeline: a ColumnTransformer of imputers, scalers and encoders on a frame, then LogisticRegression;
- forest: 100 trees of a classifier;
- boosting: HistGradientBoostingClassifier; each of its trees counts as an estimator, as those of a forest do;
- neighbours: KNeighborsClassifier that keeps 80 MB of training data: more than processors keep near themselves.

Run it alone with ``python bench identity_models [--quick]``.
"""

import statistics
import sys
import time

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlotel import artifacts

ESTIMATOR_S = 20e-6


def parts_of(model: object) -> tuple[int, list[np.ndarray]]:
    """How many estimators there are in a model, and its arrays; each counts as often as it is met."""
    estimators, arrays = 0, []
    todo = [model]
    while todo:
        value = todo.pop()
        if isinstance(value, np.ndarray):
            arrays.append(value)
            if value.dtype == object:
                todo.extend(value.ravel())
        elif isinstance(value, (list, tuple)):
            todo.extend(value)
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif type(value).__module__.startswith("sklearn."):
            estimators += (hasattr(value, "get_params") and hasattr(value, "fit")) or isinstance(value, TreePredictor)
            if hasattr(value, "__dict__"):
                todo.extend(vars(value).values())
            elif hasattr(value, "__getstate__"):
                todo.append(value.__getstate__())
    return estimators, arrays


def thread_s(work) -> float:
    """Processor seconds of this thread for one call."""
    before = time.thread_time()
    work()
    return time.thread_time() - before


def share(model: object, repetitions: int) -> tuple[float, int]:
    """Median of the time to identify, divided by what it may take, and the number of estimators."""
    estimators, arrays = parts_of(model)

    def copy():
        return [array.copy() for array in arrays]

    def identify():
        if artifacts.identify(model, budget_s=None).scope != "full":
            raise RuntimeError(f"{type(model).__name__} was not identified")

    identify(), copy()  # loads what is loaded on first use
    ratios = []
    for repetition in range(repetitions):
        pair = (copy, identify) if repetition % 2 == 0 else (identify, copy)
        seconds = {work: thread_s(work) for work in pair}
        ratios.append(seconds[identify] / (ESTIMATOR_S * estimators + seconds[copy]))
    return statistics.median(ratios), estimators


def models(quick: bool) -> dict[str, object]:
    """Fitted models by name."""
    rng = np.random.default_rng(0)
    rows = 2000 if quick else 20_000
    numbers = rng.random((rows, 10))
    target = (numbers[:, 0] + rng.normal(0, 0.2, rows) > 0.5).astype(int)
    frame = pd.DataFrame(numbers, columns=[f"n{i}" for i in range(10)])
    frame["color"] = np.array(["red", "green", "blue"])[rng.integers(0, 3, rows)]
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), [f"n{i}" for i in range(10)]),
        (OneHotEncoder(), ["color"]),
    )
    wide = rng.random((1_000_000, 10))
    return {
        "pipeline": make_pipeline(prepared, LogisticRegression()).fit(frame, target),
        "forest": RandomForestClassifier(100, max_depth=8, random_state=0).fit(numbers, target),
        "boosting": HistGradientBoostingClassifier(random_state=0).fit(numbers, target),
        "neighbours": KNeighborsClassifier(algorithm="brute").fit(wide, wide[:, 0] > 0.5),
    }


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """Name, measured ratio, bound and whether it holds, a row for each model."""
    rows = []
    for name, model in models(quick).items():
        ratio, count = share(model, 15 if quick else 51)
        rows.append((f"identity of a fitted model: {name} ({count} estimators)", ratio, 1.0, ratio <= 1.0))
    return rows


if __name__ == "__main__":
    sys.exit(sum(not ok for *_, ok in run("--quick" in sys.argv)))
