"""What instrumenting scikit-learn costs: a pipeline of ten steps on 1,000 rows and 20 columns, in one process.

Fits run in turns bare and instrumented, with a real SDK whose spans and metrics are kept in memory. The steps are idle,
for the work of real ones varies by more than mlotel adds. The clock is the processor time of the thread; "in our
frames" is the difference of the tenth percentiles of the two. MLflow's autolog stands beside it, with steps that work,
where MLflow is installed. Instrumenting runs in fresh processes, in which scikit-learn is not loaded.

Run it alone with ``python bench/estimators.py [--quick]``.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

FIT_BOUND_MS = 1.0
PREDICT_BOUND_MS = 1.0
AUTOLOG_BOUND = 1 / 500
INSTRUMENT_BOUND_MS = 50.0

INSTRUMENTING = """
import sys, time
import opentelemetry.instrumentation.instrumentor
import mlotel
begun = time.thread_time()
mlotel.instrument("sklearn")
spent = time.thread_time() - begun
assert not {"sklearn", "joblib", "numpy", "scipy"} & set(sys.modules), "a library was imported"
print(spent)
"""


def pipeline(*, is_idle: bool) -> Any:
    """Ten steps: idle ones, so that mlotel's part can be told from the noise, or such that work."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    if is_idle:
        return make_pipeline(*[FunctionTransformer() for _ in range(9)], DummyClassifier())
    return make_pipeline(*[StandardScaler() for _ in range(9)], LogisticRegression())


def data() -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 20))
    return rows, (rows[:, 0] + rng.normal(size=1000) > 0).astype(int)


def quiet(times: list[float]) -> float:
    """What it takes when nothing disturbs: a fit varies by more than mlotel adds, and noise only ever adds."""
    return statistics.quantiles(times, n=10)[0]


def spent_ms(work: Any) -> float:
    before = time.thread_time()
    work()
    return (time.thread_time() - before) * 1e3


def fits(turns: int) -> list[tuple[str, float, float, bool]]:
    """Rows for fit and predict."""
    import mlotel
    from mlotel import testing

    rows, labels = data()
    fit_ms, predict_ms, bare_ms, bare_predict_ms = [], [], [], []
    model = pipeline(is_idle=True).fit(rows, labels)
    for turn in range(turns + 2):
        bare = spent_ms(lambda: pipeline(is_idle=True).fit(rows, labels))
        bare_predict = spent_ms(lambda: model.predict(rows))
        mlotel.instrument("sklearn")
        with testing.capturing():
            pipeline(is_idle=True).fit(rows, labels)  # makes tracer and instruments
            model.predict(rows)
            ours = spent_ms(lambda: pipeline(is_idle=True).fit(rows, labels))
            our_predict = spent_ms(lambda: model.predict(rows))
        mlotel.uninstrument("sklearn")
        if turn >= 2:  # the first ones fill caches
            fit_ms.append(ours)
            predict_ms.append(our_predict)
            bare_ms.append(bare)
            bare_predict_ms.append(bare_predict)
    added, predicting = quiet(fit_ms) - quiet(bare_ms), quiet(predict_ms) - quiet(bare_predict_ms)
    found = [
        ("sklearn: ms in our frames, 10-step Pipeline.fit", added, FIT_BOUND_MS, added <= FIT_BOUND_MS),
        ("sklearn: ms in our frames, its predict", predicting, PREDICT_BOUND_MS, predicting <= PREDICT_BOUND_MS),
    ]
    if importlib.util.find_spec("mlflow") is not None:
        share = added / autolog_ms(rows, labels, min(turns, 5))
        found.append(("sklearn: mlotel / MLflow autolog, a fit", share, AUTOLOG_BOUND, share <= AUTOLOG_BOUND))
    return found


def autolog_ms(rows: Any, labels: Any, turns: int) -> float:
    """What MLflow's autolog adds to a fit, without logging the model."""
    import tempfile

    import mlflow

    found = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(f"file://{folder}")
        for _ in range(turns):
            mlflow.sklearn.autolog(disable=True)
            bare = spent_ms(lambda: pipeline(is_idle=False).fit(rows, labels))
            mlflow.sklearn.autolog(log_models=False, silent=True)
            with mlflow.start_run():
                found.append(spent_ms(lambda: pipeline(is_idle=False).fit(rows, labels)) - bare)
        mlflow.sklearn.autolog(disable=True)
    return statistics.median(found)


def instrumenting(times: int) -> tuple[str, float, float, bool]:
    """Milliseconds that ``instrument()`` takes in a fresh process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_"))}
    found = [
        float(
            subprocess.run(
                [sys.executable, "-c", INSTRUMENTING], env=environment, check=True, capture_output=True, text=True
            ).stdout
        )
        * 1e3
        for _ in range(times)
    ]
    took = statistics.median(found)
    return "sklearn: ms to instrument, scikit-learn not loaded", took, INSTRUMENT_BOUND_MS, took <= INSTRUMENT_BOUND_MS


def run(quick: bool) -> Sequence[tuple[str, float, float, bool]]:
    """What was measured against its bound: name, value, bound, whether it holds."""
    return [*fits(15 if quick else 101), instrumenting(3 if quick else 9)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer turns: seconds, and less certain")
    for title, measured, bound, _ in run(parser.parse_args().quick):
        print(f"{title:<58} {measured:9.3g}  bound {bound:g}")
