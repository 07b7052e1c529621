"""What is recorded of estimators: one span a call, numbers of what is inside, folds of searches."""

import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from opentelemetry.instrumentation.utils import suppress_instrumentation
from sklearn import model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the halving searches importable
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import mlotel
from mlotel import artifacts

X, Y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("sklearn")


def calls(capture):
    """Names of the spans in the order they ended, without those of models that were written."""
    return [span.name for span in capture.spans() if not span.name.startswith("write ")]


def test_fit_is_one_span_with_its_facts(capture):
    """Fitting records class, version, shape, types, classes, missing share and only parameters that were changed."""
    data = X.copy()
    data[:3, 0] = np.nan
    data[:3, 0] = 0.5

    LogisticRegression(C=2.0, max_iter=1000).fit(data, Y)

    assert calls(capture) == ["fit LogisticRegression"]
    [span] = capture.spans("fit LogisticRegression")
    import sklearn

    assert capture.ml_attributes(span) == {
        "ml.operation.name": "fit",
        "ml.component.name": "LogisticRegression",
        "ml.system.name": "scikit_learn",
        "ml.system.version": sklearn.__version__,
        "ml.data.row.count": 150,
        "ml.data.column.count": 4,
        "ml.data.dtypes": ["float64"],
        "ml.data.missing": 0.0,
        "ml.class.labels": ["0", "1", "2"],
        "ml.class.proportions": [1 / 3, 1 / 3, 1 / 3],
        "ml.class.count": 3,
        "ml.param.C": 2.0,
        "ml.param.max_iter": 1000,
    }
    assert span.attributes["code.function.name"] == "sklearn.linear_model._logistic.LogisticRegression.fit"


def test_the_metric_of_a_call_tells_how_long_it_took(capture):
    """`ml.operation.duration` has operation, class and library, and `error.type` after an exception."""
    model = LinearRegression().fit(X, Y)
    with pytest.raises(ValueError, match="NaN"):
        model.predict(X * np.nan)

    assert capture.metric("ml.operation.duration", ml_operation_name="fit") > 0
    [failed] = [p for p in capture.metrics("ml.operation.duration") if p.attributes["ml.operation.name"] == "predict"]
    assert failed.attributes == {
        "ml.operation.name": "predict",
        "ml.component.name": "LinearRegression",
        "ml.system.name": "scikit_learn",
        "error.type": "ValueError",
    }


def test_every_operation_is_recorded(capture):
    """Each method of an estimator is a span of its own name, whichever base class defines it."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    scaler = StandardScaler()
    scaler.fit_transform(frame)
    scaler.partial_fit(frame)
    scaler.inverse_transform(scaler.transform(frame))
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    model.predict(X)
    model.predict_proba(X)
    model.decision_function(X)
    model.score(X, Y)
    KMeans(2, n_init=1, random_state=0).fit_predict(X)

    assert calls(capture) == [
        "fit_transform StandardScaler",
        "partial_fit StandardScaler",
        "transform StandardScaler",
        "inverse_transform StandardScaler",
        "fit LogisticRegression",
        "predict LogisticRegression",
        "predict_proba LogisticRegression",
        "decision_function LogisticRegression",
        "score LogisticRegression",
        "fit_predict KMeans",
    ]
    [score] = capture.spans("score LogisticRegression")
    assert score.attributes["ml.score.score"] == pytest.approx(model.score(X, Y))


def test_a_pipeline_is_one_span_with_the_time_of_each_step(capture):
    """Steps are named as in the pipeline; helpers that a step uses inside are none."""
    pipe = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(C=3.0))])

    pipe.fit(X, Y)

    assert calls(capture) == ["fit Pipeline"]
    found = capture.ml_attributes(capture.span("fit Pipeline"))
    assert found["ml.step.list"] == ["scale: StandardScaler", "model: LogisticRegression"]
    times = {key.removeprefix("ml.step.time."): value for key, value in found.items() if "ml.step.time." in key}
    assert times.keys() == {"scale", "model"}
    assert all(value > 0 for value in times.values())
    assert found["ml.param.model__C"] == 3.0
    for step, seconds in times.items():
        assert capture.metric("ml.step.duration", ml_step_name=step) == pytest.approx(seconds)
    [point] = [p for p in capture.metrics("ml.step.duration") if p.attributes["ml.step.name"] == "scale"]
    assert point.attributes == {
        "ml.step.name": "scale",
        "ml.operation.name": "fit",
        "ml.component.name": "Pipeline",
        "ml.system.name": "scikit_learn",
    }


@pytest.mark.parametrize(
    ("estimator", "steps"),
    [
        (FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), {"a", "b"}),
        (ColumnTransformer([("n", StandardScaler(), [0, 1])], remainder="drop"), {"StandardScaler"}),
        (VotingClassifier([("l", LogisticRegression(max_iter=500))]), {"LogisticRegression"}),
        (MultiOutputRegressor(LinearRegression()), {"LinearRegression"}),
        (CalibratedClassifierCV(LinearSVC(dual="auto"), cv=2), {"LinearSVC"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_inside_a_meta_estimator_there_are_no_spans(capture, estimator, steps):
    """Unions, column transformers, ensembles, multi-output and calibration are one span with their steps."""
    target = np.column_stack([Y, Y]) if isinstance(estimator, MultiOutputRegressor) else Y

    estimator.fit(X, target)

    assert calls(capture) == [f"fit {type(estimator).__name__}"]
    found = capture.ml_attributes(capture.spans()[-1])
    assert steps <= {key.removeprefix("ml.step.time.") for key in found if "ml.step.time." in key}


def test_trees_in_threads_belong_to_their_forest(capture):
    """An ensemble whose workers are threads leaves one span."""
    forest = RandomForestClassifier(8, n_jobs=2, random_state=0)

    with mlotel.component("train"):
        forest.fit(X, Y).predict(X)

    assert calls(capture) == ["fit RandomForestClassifier", "predict RandomForestClassifier", "component train"]
    fit, component = capture.span("fit RandomForestClassifier"), capture.span("component train")
    assert fit.parent.span_id == component.context.span_id


def test_what_a_user_calls_between_two_calls_is_outermost_again(capture):
    """After a call, also one that failed, the next one is a span of its own."""
    with pytest.raises(ValueError, match="NaN"):
        make_pipeline(LinearRegression()).fit(X * np.nan, Y)
    StandardScaler().fit(X)

    assert calls(capture) == ["fit Pipeline", "fit StandardScaler"]
    assert capture.span("fit Pipeline").status.status_code.name == "ERROR"
    assert capture.span("fit Pipeline").attributes["error.type"] == "ValueError"
    [event] = capture.events("ml.exception")
    assert event.log_record.attributes["ml.component.name"] == "Pipeline"


TEXT = "str" if int(pd.__version__.split(".")[0]) >= 3 else "object"
"""What a pandas frame calls a column of text."""


def test_data_of_every_kind_are_described(capture):
    """Frames, sparse matrices and lists have rows and columns, and types where they have any."""
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [1, 2, 3], "c": ["x", "y", "x"]})
    OneHotEncoder().fit(frame[["c"]])
    make_column_transformer((StandardScaler(), ["a"]), ("passthrough", ["b"])).fit(frame)
    StandardScaler(with_mean=False).fit(scipy.sparse.csr_array(np.eye(3)))
    StandardScaler().fit([[1.0], [2.0]])

    one, several, sparse, listed = [
        capture.ml_attributes(span) for span in capture.spans() if span.name.startswith("fit ")
    ]
    assert (one["ml.data.row.count"], one["ml.data.column.count"]) == (3, 1)
    assert several["ml.data.dtypes"] == ["float64: 1", "int64: 1", f"{TEXT}: 1"]
    assert several["ml.data.missing"] == pytest.approx(1 / 9)
    assert (sparse["ml.data.sparse"], sparse["ml.data.dtypes"]) == (True, ["float64"])
    assert (sparse["ml.data.row.count"], sparse["ml.data.column.count"]) == (3, 3)
    assert (listed["ml.data.row.count"], listed["ml.data.column.count"]) == (2, 1)
    assert not {"ml.data.dtypes", "ml.data.sparse"} & listed.keys()


def test_classes_are_counted_where_they_are_classes(capture):
    """A classifier's labels have shares, the most frequent first; a regressor's target has none."""
    labels = np.array(["late"] * 50 + ["on time"] * 100)
    make_pipeline(StandardScaler(), LogisticRegression()).fit(X, labels)
    LinearRegression().fit(X, Y)
    LogisticRegression(max_iter=500).fit(X, pd.Series(labels, dtype=object))

    first = capture.ml_attributes(capture.span("fit Pipeline"))
    assert first["ml.class.labels"] == ["on time", "late"]
    assert first["ml.class.proportions"] == [2 / 3, 1 / 3]
    assert "ml.class.labels" not in capture.span("fit LinearRegression").attributes
    assert capture.span("fit LogisticRegression").attributes["ml.class.labels"] == ("on time", "late")


def test_parameters_that_look_like_secrets_do_not_leave(capture):
    """A parameter is redacted by its name, cut when it is long, and described when it is an object."""

    class Client(BaseEstimator):
        def __init__(self, api_key=None, text="", data=None, depth=1):
            self.api_key, self.text, self.data, self.depth = api_key, text, data, depth

        def fit(self, X, y=None):
            return self

    Client(api_key="tok-4f1d", text="x" * 9000, data=np.zeros(5)).fit(X)

    found = capture.span("fit Client").attributes
    assert found["ml.param.api_key"] == "[redacted]"
    assert len(found["ml.param.text"]) == 2048
    assert found["ml.param.data"] == "<numpy.ndarray>"
    assert "ml.param.depth" not in found


def test_what_does_not_converge_is_an_event(capture):
    """The warning still reaches the user, and the event says which step it is of."""
    pipe = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=1))])

    with pytest.warns(ConvergenceWarning):
        pipe.fit(X, Y)

    [event] = capture.events("ml.convergence.failed")
    assert event.log_record.severity_text == "WARN"
    found = dict(event.log_record.attributes)
    assert found["exception.message"].startswith("lbfgs failed to converge")
    assert (found["ml.component.name"], found["ml.step.name"]) == ("Pipeline", "model")
    assert found["exception.type"] == "sklearn.exceptions.ConvergenceWarning"
    span = capture.span("fit Pipeline")
    assert event.log_record.span_id == span.context.span_id
    assert span.attributes["ml.convergence.failure.count"] == 1


def test_a_fitted_model_has_an_id_that_its_file_leads_to(capture, tmp_path):
    """The span of `joblib.dump` has the id of the fitted model as its content, and a link to where it was fitted."""
    mlotel.instrument("io")
    path = tmp_path / "model.joblib"

    with mlotel.component("train"):
        model = LogisticRegression(max_iter=500).fit(X, Y)
        joblib.dump(model, path)

    fitted, saved = capture.span("write LogisticRegression"), capture.span("write model.joblib")
    assert fitted.parent.span_id == capture.span("fit LogisticRegression").context.span_id
    assert fitted.attributes["ml.artifact.id"] == artifacts.identify(model).id
    assert fitted.attributes["ml.artifact.type"] == "model"
    assert saved.attributes["ml.artifact.content.id"] == fitted.attributes["ml.artifact.id"]
    [link] = saved.links
    assert link.context.span_id == fitted.context.span_id
    assert link.attributes["ml.link.type"] == "derived"


SEARCHES = [
    lambda: GridSearchCV(LogisticRegression(max_iter=900), {"C": [0.1, 1.0]}, cv=3),
    lambda: RandomizedSearchCV(LogisticRegression(max_iter=900), {"C": [0.1, 1.0]}, n_iter=2, cv=3, random_state=0),
]


@pytest.mark.parametrize("make", SEARCHES, ids=["grid", "random"])
def test_a_search_has_a_span_a_fold_and_tells_its_best(capture, make):
    """Folds are children with candidate, fold, parameters and score; the search has all scores and the best."""
    search = make().fit(X, Y)

    name = f"search {type(search).__name__}"
    assert calls(capture) == ["fold LogisticRegression"] * 6 + [name]
    whole = capture.span(name)
    found = capture.ml_attributes(whole)
    assert found["ml.candidate.count"] == 2
    assert found["ml.fold.count"] == 3
    assert found["ml.candidate.best"] == search.best_index_
    assert found["ml.candidate.param.C"] == search.best_params_["C"]
    assert found["ml.candidate.scores"] == pytest.approx(list(search.cv_results_["mean_test_score"]))
    assert found["ml.score.score"] == pytest.approx(search.best_score_)
    seen = set()
    for fold in capture.spans("fold LogisticRegression"):
        values = capture.ml_attributes(fold)
        candidate, split = values["ml.candidate.index"], values["ml.fold.index"]
        seen.add((candidate, split))
        assert fold.parent.span_id == whole.context.span_id
        assert values["ml.param.C"] == search.cv_results_["params"][candidate]["C"]
        assert values["ml.score.score"] == pytest.approx(search.cv_results_[f"split{split}_test_score"][candidate])
        assert values["ml.data.row.count"] == 100
    assert seen == {(candidate, split) for candidate in range(2) for split in range(3)}
    written = capture.spans("write LogisticRegression") + capture.spans(f"write {type(search).__name__}")
    assert {span.attributes["ml.artifact.id"] for span in written} == {
        artifacts.identify(search).id,
        artifacts.identify(search.best_estimator_).id,
    }


def test_the_best_score_is_a_metric(capture):
    """`ml.training.score` has model, metric and stage."""
    search = GridSearchCV(LinearRegression(), {"positive": [True, False]}, scoring="r2", cv=2).fit(X, Y)

    [point] = capture.metrics("ml.training.score")
    assert point.value == pytest.approx(search.best_score_)
    assert point.attributes == {
        "ml.model.name": "LinearRegression",
        "ml.performance.metric": "r2",
        "ml.training.stage": "validate",
    }


def test_several_scores_of_a_search(capture):
    """Folds have each score under its name; the search goes by the one it refits."""
    search = GridSearchCV(
        LogisticRegression(max_iter=900), {"C": [0.1, 1.0]}, scoring=["accuracy", "f1_macro"], refit="f1_macro", cv=2
    ).fit(X, Y)

    fold = capture.ml_attributes(capture.spans("fold LogisticRegression")[0])
    assert {"ml.score.accuracy", "ml.score.f1_macro"} <= fold.keys()
    found = capture.ml_attributes(capture.span("search GridSearchCV"))
    assert found["ml.score.f1_macro"] == pytest.approx(search.best_score_)
    assert found["ml.candidate.scores"] == pytest.approx(list(search.cv_results_["mean_test_f1_macro"]))


def test_halving_is_one_search(capture):
    """A halving search is one span with the folds of all its rounds."""
    search = HalvingGridSearchCV(
        LogisticRegression(max_iter=900), {"C": [0.1, 1.0, 3.0]}, cv=2, min_resources=50, random_state=0
    ).fit(X, Y)

    assert calls(capture).count("search HalvingGridSearchCV") == 1
    found = capture.ml_attributes(capture.span("search HalvingGridSearchCV"))
    assert len(capture.spans("fold LogisticRegression")) == 2 * found["ml.candidate.count"]
    assert found["ml.candidate.count"] == sum(search.n_candidates_)


@pytest.mark.parametrize(("call", "score"), [("cross_validate", "accuracy"), ("cross_val_score", "score")])
def test_a_cross_validation_is_a_span_with_its_folds(capture, call, score):
    """Folds are numbered; the span has the mean score."""
    result = getattr(model_selection, call)(
        make_pipeline(StandardScaler(), LogisticRegression()), X, Y, cv=3, scoring="accuracy"
    )

    each = result["test_score"] if isinstance(result, dict) else result
    assert calls(capture) == ["fold Pipeline"] * 3 + ["cross_validate Pipeline"]
    found = capture.ml_attributes(capture.span("cross_validate Pipeline"))
    assert found[f"ml.score.{score}"] == pytest.approx(each.mean())
    assert found["ml.fold.count"] == 3
    folds = [capture.ml_attributes(span) for span in capture.spans("fold Pipeline")]
    assert [fold["ml.fold.index"] for fold in folds] == [0, 1, 2]
    assert [fold["ml.score.score"] for fold in folds] == pytest.approx(list(each))
    assert {"ml.step.time.standardscaler", "ml.step.time.logisticregression"} <= folds[0].keys()


def test_a_fold_that_fails_says_so(capture):
    """With `error_score` a failed fit is a score; its fold has the error, the search has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GridSearchCV(LogisticRegression(max_iter=900), {"C": [-1.0, 1.0]}, cv=2).fit(X, Y)

    failed = [span for span in capture.spans("fold LogisticRegression") if "error.type" in span.attributes]
    assert [span.attributes["ml.param.C"] for span in failed] == [-1.0, -1.0]
    assert all(span.status.status_code.name == "ERROR" for span in failed)
    assert failed[0].attributes["error.type"] == "sklearn.utils._param_validation.InvalidParameterError"
    assert capture.span("search GridSearchCV").status.status_code.name == "UNSET"


def test_too_many_folds_are_counted(capture, monkeypatch):
    """Of a large search the first folds have spans; the search says how many have none."""
    monkeypatch.setattr("mlotel.instrumentation._sklearn.tasks.MAX_FOLDS", 4)
    monkeypatch.setattr("mlotel.instrumentation._sklearn.results.MAX_FOLDS", 4)

    GridSearchCV(LogisticRegression(max_iter=900), {"C": [0.1, 1.0]}, cv=3).fit(X, Y)

    assert len(capture.spans("fold LogisticRegression")) == 4
    assert capture.span("search GridSearchCV").attributes["ml.fold.omitted"] == 2


def test_all_spans_on_request(capture, monkeypatch):
    """`MLOTEL_SPAN_GROUPS=estimator` makes spans of what is inside, each with its step."""
    monkeypatch.setenv("MLOTEL_SPAN_GROUPS", "estimator")

    Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())]).fit(X, Y)

    assert calls(capture) == ["fit_transform StandardScaler", "fit LogisticRegression", "fit Pipeline"]
    assert capture.span("fit LogisticRegression").attributes["ml.step.name"] == "model"
    assert capture.span("fit LogisticRegression").parent.span_id == capture.span("fit Pipeline").context.span_id
    assert [span.name for span in capture.spans() if span.name.startswith("write ")] == ["write Pipeline"]


def test_classes_defined_later_count(capture):
    """An estimator of the user's that is defined after `instrument()` is recorded, also what it inherits."""

    class Constant(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.full(len(X), self.classes_[0])

    Constant().fit(X, Y).score(X, Y)

    assert calls(capture) == ["fit Constant", "score Constant"]
    assert capture.span("fit Constant").attributes["ml.system.name"] == "scikit_learn"


def test_an_estimator_of_another_kind_counts_once_it_was_a_part(capture):
    """What only follows the protocol is recorded as a step, and by itself from then on."""

    class Foreign:
        def __init__(self, k=1):
            self.k = k

        def get_params(self, deep=True):
            return {"k": self.k}

        def set_params(self, **params):
            return self

        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X

        def __sklearn_tags__(self):
            return StandardScaler().__sklearn_tags__()

    Pipeline([("own", Foreign()), ("model", LinearRegression())]).fit(X, Y)
    Foreign(k=2).fit(X)

    assert calls(capture) == ["fit Pipeline", "fit Foreign"]
    assert "ml.step.time.own" in capture.span("fit Pipeline").attributes
    assert capture.span("fit Foreign").attributes["ml.param.k"] == 2
    mlotel.uninstrument("sklearn")
    assert not hasattr(Foreign.fit, "__wrapped__")


def test_silence_and_nobody_listening(capture):
    """Under `suppress_instrumentation()` there is no span; without providers nothing is looked at."""
    with suppress_instrumentation():
        make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
        cross_val_score(LinearRegression(), X, Y, cv=2)
        GridSearchCV(LinearRegression(), {"positive": [True]}, cv=2).fit(X, Y)

    assert capture.spans() == []
    assert capture.metrics("ml.step.duration") == []


def test_carried_threads_belong_to_the_call_around_them(capture):
    """A thread that carries the context of a call is inside it; a plain thread is not."""

    class Threaded(BaseEstimator):
        def fit(self, X, y=None):
            plain = threading.Thread(target=StandardScaler().fit, args=(X,))
            carried = threading.Thread(target=mlotel.carry(MinMaxScaler().fit), args=(X,))
            for thread in (plain, carried):
                thread.start()
                thread.join()
            return self

    Threaded().fit(X)

    assert calls(capture) == ["fit StandardScaler", "fit Threaded"]


def test_partial_fit_in_a_loop_is_a_span_a_call(capture):
    """Each batch is a call of its own."""
    model = SGDClassifier(random_state=0)
    for start in (0, 75):
        model.partial_fit(X[start : start + 75], Y[start : start + 75], classes=[0, 1, 2])

    assert calls(capture) == ["partial_fit SGDClassifier"] * 2


def test_clones_and_copies_are_recorded_alike(capture):
    """`clone` gives an estimator of the same class: it is recorded like its model."""
    clone(LinearRegression()).fit(X, Y)

    assert calls(capture) == ["fit LinearRegression"]
