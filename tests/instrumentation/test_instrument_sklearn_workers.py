"""What workers do reports into the trace of the call that handed it out: threads, and processes of every kind."""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlotel

X, Y = load_iris(return_X_y=True)

PROGRAM = """
import os, sys
import joblib
import mlotel
import psutil
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def pid_and_fit(data):
    LogisticRegression(max_iter=500).fit(*data)
    return os.getpid()

def idle(data):
    LogisticRegression(max_iter=500).fit(*data)

if __name__ == "__main__":
    data = load_iris(return_X_y=True)
    telemetry = mlotel.configure(spool="spool", quiet=True)
    mlotel.instrument("sklearn")
    with joblib.parallel_config(backend=sys.argv[1]):
        with mlotel.pipeline("nightly", run_id="run-1"), mlotel.component("train"):
            model = make_pipeline(StandardScaler(), LogisticRegression())
            GridSearchCV(model, {"logisticregression__C": [0.1, 1.0]}, cv=2, n_jobs=2).fit(*data)
            OneVsRestClassifier(LogisticRegression(), n_jobs=2).fit(*data)
            pids = joblib.Parallel(n_jobs=2)(joblib.delayed(pid_and_fit)(data) for _ in range(2))
            assert os.getpid() not in pids, "no other process did it"
        mlotel.uninstrument()
        joblib.Parallel(n_jobs=2)(joblib.delayed(idle)(data) for _ in range(4))
    flush = telemetry.flush()
    assert flush.dropped == {"traces": 0, "metrics": 0, "logs": 0}
    for worker in psutil.Process().children(recursive=True):
        worker.kill()  # what workers have recorded does not wait for a proper end
    os._exit(0)
"""


def records(folder):
    """Spans, and data points by metric, of each file in the spool."""
    for path in sorted(folder.glob("*.jsonl")):
        spans, points = [], Counter()
        for line in path.read_text().splitlines():
            found = json.loads(line)
            for resource in found.get("resourceSpans", ()):
                spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
            for resource in found.get("resourceMetrics", ()):
                for scope in resource["scopeMetrics"]:
                    for metric in scope["metrics"]:
                        for point in metric.get("histogram", {}).get("dataPoints", ()):
                            step = {a["key"]: a["value"].get("stringValue") for a in point["attributes"]}
                            points[metric["name"], step.get("ml.step.name")] += 1
        yield path, spans, points


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_worker_processes_report_into_the_same_trace(backend, tmp_path):
    """Folds and steps of workers are in the trace and the run of their search, in files of their own, none is lost."""
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py", backend], cwd=tmp_path, env=os.environ.copy(), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mlotel" not in done.stderr

    files = list(records(tmp_path / "spool"))
    spans = [span for _, found, _ in files for span in found]
    by_name = Counter(span["name"] for span in spans)
    assert len(files) >= 2
    assert len({span["traceId"] for span in spans}) == 1
    assert by_name["fold Pipeline"] == 4
    [search] = [span for span in spans if span["name"] == "search GridSearchCV"]
    folds = [span for span in spans if span["name"] == "fold Pipeline"]
    assert {span["parentSpanId"] for span in folds} == {search["spanId"]}
    assert by_name["fit OneVsRestClassifier"] == 1
    # Each of the two tasks without a call around it fits one model; what followed uninstrument() left nothing.
    [component] = [span for span in spans if span["name"] == "component train"]
    alone = [span for span in spans if span["name"] == "fit LogisticRegression"]
    assert [span["parentSpanId"] for span in alone] == [component["spanId"]] * 2
    run_ids = {
        attribute["value"]["stringValue"]
        for span in [*folds, *alone]
        for attribute in span["attributes"]
        if attribute["key"] == "ml.run.id"
    }
    assert run_ids == {"run-1"}
    steps = sum((points for _, _, points in files), Counter())
    assert steps["ml.step.duration", "standardscaler"] > 0
    assert steps["ml.step.duration", "LogisticRegression"] > 0


def test_threads_report_into_the_same_call(capture):
    """With threads folds are children of their search, and what is in a thread of an ensemble is no span."""
    with joblib.parallel_config(backend="threading"):
        GridSearchCV(LogisticRegression(max_iter=900), {"C": [0.1, 1.0]}, cv=2, n_jobs=2).fit(X, Y)
        BaggingClassifier(LogisticRegression(max_iter=900), 4, n_jobs=2, random_state=0).fit(X, Y)

    search = capture.span("search GridSearchCV")
    folds = capture.spans("fold LogisticRegression")
    assert [fold.parent.span_id for fold in folds] == [search.context.span_id] * 4
    assert [span.name for span in capture.spans() if span.name.startswith("fit ")] == ["fit BaggingClassifier"]
    assert "ml.step.time.LogisticRegression" in capture.span("fit BaggingClassifier").attributes


def test_results_are_the_same_with_and_without_us(capture):
    """A search over processes finds the same with and without us."""

    def search():
        pipe = make_pipeline(StandardScaler(), LogisticRegression())
        with joblib.parallel_config(backend="threading"):
            return GridSearchCV(pipe, {"logisticregression__C": [0.1, 1.0]}, cv=3, n_jobs=2).fit(X, Y)

    ours = search()
    mlotel.uninstrument()
    bare = search()

    assert np.array_equal(ours.cv_results_["mean_test_score"], bare.cv_results_["mean_test_score"])
    assert ours.best_params_ == bare.best_params_


def test_joblib_still_knows_how_many_tasks_there_are(capture):
    """Lists and generators of tasks go through, results come in order, and generators stay lazy."""
    parallel = joblib.Parallel(n_jobs=2, backend="threading", return_as="generator")

    assert list(parallel([joblib.delayed(abs)(-n) for n in range(4)])) == [0, 1, 2, 3]
    if tuple(map(int, joblib.__version__.split(".")[:2])) >= (1, 5):  # earlier ones do not say
        assert parallel.n_tasks == 4
    assert joblib.Parallel(n_jobs=1)(joblib.delayed(abs)(-n) for n in range(3)) == [0, 1, 2]


def test_callers_in_threads_do_not_mix(capture):
    """Fits in several threads at once are spans of their own, each with its own steps."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), range(8)))

    spans = capture.spans("fit Pipeline")
    assert len(spans) == 8
    for span in spans:
        steps = {key for key in span.attributes if "ml.step.time." in key}
        assert steps == {"ml.step.time.standardscaler", "ml.step.time.logisticregression"}


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("sklearn")
