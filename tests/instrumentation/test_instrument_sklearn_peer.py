"""What the removed OpenTelemetry package for scikit-learn got wrong does not happen here; each failure by its name."""

import copy
import inspect
import logging
import os
import pickle
import pickletools
import subprocess
import sys
import time
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn import base, pipeline
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import all_estimators

import mlotel
from mlotel.instrumentation._entry import SklearnInstrumentor
from mlotel.instrumentation.sklearn import OPERATIONS

X, Y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("sklearn")


def python(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def state():
    """Every method of every estimator, as it is stored."""
    found = {}
    kinds = {kind for _, cls in all_estimators() for kind in cls.__mro__ if kind is not object}
    for kind in kinds:
        for name in OPERATIONS:
            raw = vars(kind).get(name)
            found[kind, name] = getattr(raw, "fn", raw)
    found |= {("parallel",): joblib.Parallel.__call__, ("made",): vars(base._MetadataRequester)["__init_subclass__"]}
    return {key: value for key, value in found.items() if value is not None}


def test_no_import_error_on_the_installed_version(capture):
    """Instrumenting the installed scikit-learn works: nothing private of an older one is needed."""
    LinearRegression().fit(X, Y)

    assert capture.span("fit LinearRegression").attributes["ml.system.name"] == "scikit_learn"


def test_spans_carry_attributes(capture):
    """A span says class, version, shape and step, its failure has `error.type`, and there are metrics and events."""
    make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)

    found = capture.ml_attributes(capture.span("fit Pipeline"))
    assert found["ml.data.row.count"] == 150
    assert found["ml.step.list"] == ["standardscaler: StandardScaler", "linearregression: LinearRegression"]
    assert {"ml.operation.duration", "ml.step.duration"} <= capture.metric_names()


def test_models_stay_picklable(capture):
    """A model pickles to the same bytes as without us, and holds nothing of ours."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    search = GridSearchCV(LinearRegression(), {"positive": [True, False]}, cv=2).fit(X, Y)
    instrumented = pickle.dumps(model)
    words = {str(argument) for _, argument, _ in pickletools.genops(pickle.dumps(search)) if argument is not None}
    mlotel.uninstrument()

    assert pickle.dumps(model) == instrumented
    assert not any("mlotel" in word for word in words)


def test_pickles_load_where_mlotel_is_absent(capture, tmp_path):
    """A model that was fitted while instrumented predicts in a process that has no mlotel."""
    path = tmp_path / "model.joblib"
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    joblib.dump(model, path)
    code = """
import sys
sys.modules["mlotel"] = None
import joblib
from sklearn.datasets import load_iris
print(joblib.load(sys.argv[1]).predict(load_iris(return_X_y=True)[0]).sum())
"""

    assert int(python(code, path)) == model.predict(X).sum()


def test_classes_that_cannot_be_imported_reach_workers(capture):
    """A class of a script or a function goes to another process by value, without anything of ours in it."""
    cloudpickle = pytest.importorskip("cloudpickle")  # a dependency of newer versions of joblib

    class Doubles(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.n_ = len(X)
            return self

        def transform(self, X):
            return super().__class__ and X * 2

    sent = cloudpickle.dumps(Doubles().fit(X))
    again = pickle.loads(sent)

    assert b"mlotel" not in sent.replace(__file__.encode(), b"")
    assert np.array_equal(again.transform(X), X * 2)
    assert capture.spans("fit Doubles")
    search = GridSearchCV(make_pipeline(Doubles(), LinearRegression()), {"linearregression__positive": [True]}, cv=2)
    assert search.set_params(n_jobs=2).fit(X, Y).best_score_ is not None


def test_bound_methods_pickle(capture):
    """A method of an object goes through pickle and back, as a function to call."""
    model = LinearRegression().fit(X, Y)

    again = pickle.loads(pickle.dumps(model.predict))

    assert np.array_equal(again(X), model.predict(X))


def test_clone_keeps_instrumentation(capture):
    """A clone, a copy and a deep copy are recorded like their original."""
    model = LinearRegression()
    for one in (clone(model), copy.copy(model), copy.deepcopy(model)):
        one.fit(X, Y)

    assert len(capture.spans("fit LinearRegression")) == 3


def test_vars_are_as_without_us(capture):
    """Objects, fitted or not, have no attribute more than without us."""
    with_us = vars(LogisticRegression(max_iter=900).fit(X, Y)).keys()
    mlotel.uninstrument()

    assert with_us == vars(LogisticRegression(max_iter=900).fit(X, Y)).keys()


def test_private_methods_do_not_double_spans(capture):
    """One call is one span, whatever private methods and base classes it goes through."""
    pipe = make_pipeline(StandardScaler(), LinearRegression())
    pipe.fit(X, Y)
    pipe.predict(X)

    assert [s.name for s in capture.spans() if "write" not in s.name] == ["fit Pipeline", "predict Pipeline"]


def test_the_tracer_is_asked_for_once(capture, monkeypatch):
    """Calls share one tracer."""
    asked = []
    real = capture.tracer_provider.get_tracer
    monkeypatch.setattr(capture.tracer_provider, "get_tracer", lambda *a, **k: asked.append(a) or real(*a, **k))

    for _ in range(3):
        LinearRegression().fit(X, Y)

    assert len(asked) == 1


def test_a_second_instrumentor_changes_nothing(capture):
    """Instrumenting twice is once: another instrumentor neither doubles spans nor forgets what to put back."""
    SklearnInstrumentor().instrument()
    SklearnInstrumentor().instrument()
    mlotel.instrument("sklearn")
    LinearRegression().fit(X, Y)
    SklearnInstrumentor().uninstrument()
    mlotel.uninstrument("sklearn")
    LinearRegression().fit(X, Y)

    assert len(capture.spans("fit LinearRegression")) == 1


def test_uninstrument_misses_no_class():
    """Afterwards every method of every estimator is the very function that it was before."""
    mlotel.uninstrument()
    before = state()
    mlotel.instrument("sklearn")
    during = state()
    mlotel.uninstrument("sklearn")
    after = state()

    several = 500 if tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 6) else 450  # it had fewer estimators
    assert sum(before[key] is not during[key] for key in before) > several
    assert [key for key in before if after[key] is not before[key]] == []


def test_classes_made_meanwhile_are_put_back():
    """A class that was defined while instrumented has its own functions afterwards."""

    def fit(self, X, y=None):
        return self

    made = type("Made", (TransformerMixin, BaseEstimator), {"fit": fit})
    assert made.fit is not fit
    mlotel.uninstrument("sklearn")

    assert made.fit is fit


def test_classes_that_were_made_meanwhile_can_go():
    """Instrumentation keeps no class alive."""
    import gc
    import weakref

    class Passing(BaseEstimator):
        def fit(self, X, y=None):
            return self

    seen = weakref.ref(Passing)
    del Passing
    gc.collect()

    assert seen() is None


def test_nothing_is_imported_at_instrument_time():
    """`instrument()` loads no library, and scikit-learn's modules only when the user does."""
    code = """
import sys, mlotel
mlotel.instrument("sklearn")
print(sorted({name.partition(".")[0] for name in sys.modules} & {"sklearn", "joblib", "scipy", "pandas", "numpy"}))
import sklearn.base
print("sklearn.ensemble" in sys.modules, hasattr(sklearn.base.BaseEstimator, "fit"))
from sklearn.linear_model import LinearRegression
print(hasattr(LinearRegression.fit, "__wrapped__"))
"""

    assert python(code).split("\n")[:3] == ["[]", "False False", "True"]


def test_suppression_is_heeded_by_the_switch_of_opentelemetry():
    """`OTEL_SDK_DISABLED` and `MLOTEL_DISABLED` leave the functions as they are."""
    code = """
import mlotel
mlotel.instrument("sklearn")
from sklearn.dummy import DummyClassifier
print(hasattr(DummyClassifier.score, "__wrapped__"))
"""
    assert python(code).strip() == "True"
    for name in ("OTEL_SDK_DISABLED", "MLOTEL_DISABLED"):
        assert python(code, **{name: "true"}).strip() == "False"


def test_signatures_and_documentation_stay():
    """What tools ask a method for is what they get without us."""
    mlotel.uninstrument()
    methods = (LogisticRegression.fit, StandardScaler.transform, GridSearchCV.fit, LinearRegression.score)
    before = [(inspect.signature(m), m.__doc__, m.__qualname__, m.__module__) for m in methods]
    mlotel.instrument("sklearn")
    methods = (LogisticRegression.fit, StandardScaler.transform, GridSearchCV.fit, LinearRegression.score)

    assert [(inspect.signature(m), m.__doc__, m.__qualname__, m.__module__) for m in methods] == before


def test_what_a_pipeline_lacks_it_still_lacks():
    """A method that is there only for some estimators is absent for the others, as without us."""
    assert not hasattr(make_pipeline(StandardScaler(), LinearRegression()), "predict_proba")
    assert hasattr(make_pipeline(StandardScaler(), LogisticRegression()), "predict_proba")
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        _ = make_pipeline(StandardScaler()).predict
    assert inspect.signature(pipeline.Pipeline.predict).parameters.keys() == {"self", "X", "params"}


def test_exceptions_are_the_same_objects(capture):
    """An exception passes through unchanged."""
    error = RuntimeError("no")

    def fail(values):
        raise error

    with pytest.raises(RuntimeError) as raised:
        make_pipeline(FunctionTransformer(fail), LinearRegression()).fit(X, Y)

    assert raised.value is error
    assert error.__context__ is None


def test_warnings_are_about_the_same_line(capture):
    """A warning of a library finds the user's line with and without us."""

    class Warns(BaseEstimator):
        def fit(self, X, y=None):
            warnings.warn("look", UserWarning, stacklevel=2)
            return self

    def lines():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Warns().fit(X)
        return [(one.filename, one.lineno) for one in caught]

    with_us = lines()
    mlotel.uninstrument()

    assert with_us == lines()
    assert with_us[0][0] == __file__


@pytest.mark.lenient
def test_a_failure_of_ours_never_reaches_the_user(capture, monkeypatch, caplog):
    """When recording fails, the result is what it is without us, and the log has one line."""

    def broken(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr("mlotel.instrumentation._sklearn.kinds.kind_of", broken)
    with caplog.at_level(logging.WARNING, logger="mlotel"):
        model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)

    assert model.predict(X).shape == (150,)
    assert "could not begin a call of an estimator (RuntimeError: broken)" in caplog.text


def test_the_patch_is_as_cheap_as_it_is_said():
    """Instrumenting a library that is loaded takes milliseconds: 50 at most on an idle machine."""
    mlotel.uninstrument()
    times = []
    for _ in range(5):
        begun = time.thread_time()
        mlotel.instrument("sklearn")
        times.append(time.thread_time() - begun)
        mlotel.uninstrument()

    assert min(times) < 0.05
