"""Fitted and unfitted estimators: what makes another artifact, what does not, and what has no content id."""

import copy
import functools
import logging
import sys
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
from estimator_cases import Doubled, Duck, Settings, add_one
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from mlotel import artifacts
from mlotel.artifacts import _code, identify

X = np.random.default_rng(0).random((60, 3))
y = (X[:, 0] > 0.5).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(color=np.array(["red", "blue"])[y])


def pipeline(**parameters):
    """A pipeline with a column transformer."""
    columns = make_column_transformer((StandardScaler(), ["a", "b", "c"]), (OneHotEncoder(), ["color"]))
    return make_pipeline(columns, LogisticRegression(**parameters))


def test_opposite_models_differ():
    """Two fits of LogisticRegression with opposite coefficients are two artifacts, whatever their repr says."""
    one, opposite = LogisticRegression().fit(X, y), LogisticRegression().fit(X, 1 - y)
    assert np.allclose(one.coef_, -opposite.coef_, atol=1e-3)
    assert repr(one) == repr(opposite)
    assert identify(one) != identify(opposite)


def test_pipelines_fitted_alike_are_equal():
    """Pipelines on frames are equal when fitted alike, and differ by one parameter or one cell."""
    one = identify(pipeline().fit(FRAME, y))
    changed = FRAME.copy()
    changed.loc[30, "b"] += 1e-9
    others = [pipeline(C=1.5).fit(FRAME, y), pipeline().fit(changed, y), pipeline(), pipeline(C=1.5)]

    assert one.scope == "full"
    assert identify(pipeline().fit(FRAME.copy(), y)) == one
    assert len({one.id, *(identify(other).id for other in others)}) == 5


@pytest.mark.parametrize("place", [0, 7, 14])
def test_one_changed_coefficient(place):
    """One coefficient, at the start, in the middle or at the end, by one bit."""
    model = LogisticRegression().fit(np.tile(X, 5), y)
    other = copy.deepcopy(model)
    other.coef_[0, place] = np.nextafter(other.coef_[0, place], 9)
    assert identify(model) != identify(other)


def test_one_changed_node_of_a_tree():
    """A threshold of one tree of a forest counts."""
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    other = copy.deepcopy(forest)
    assert identify(forest) == identify(other)
    other.estimators_[3].tree_.threshold[0] += 1e-9
    assert identify(forest) != identify(other)


def test_parameters_and_feature_names_count():
    """set_params before or after fitting, and the names of columns, make another artifact."""
    model = LogisticRegression()
    changed = clone(model).set_params(tol=1e-3)
    assert identify(model) == identify(clone(model)) != identify(changed)
    assert identify(changed.set_params(tol=1e-4)) == identify(model)

    scaler = StandardScaler().fit(FRAME[["a", "b"]])
    renamed = StandardScaler().fit(FRAME[["a", "b"]].rename(columns={"b": "B"}))
    assert len({identify(scaler), identify(renamed), identify(StandardScaler().fit(X[:, :2]))}) == 3
    assert identify(StandardScaler().fit(X.astype("f4"))) != identify(StandardScaler().fit(X))


def test_numbers_that_are_equal_in_python():
    """1, True and 1.0 are different parameters, as they are different values."""
    assert len({identify(Doubled(factor)).id for factor in (1, True, 1.0, "1", np.float32(1))}) == 5
    assert identify(Doubled(1.0)) == identify(Doubled(np.float64(1)))


def test_using_a_model_does_not_change_it():
    """Predicting leaves the id, also of models that count their queries and hold a global generator."""
    tree = KNeighborsClassifier(algorithm="kd_tree").fit(X, y)
    boosted = GradientBoostingClassifier(n_estimators=3).fit(X, y)  # keeps numpy's global generator
    before = [identify(model) for model in (tree, boosted)]
    for model in (tree, boosted):
        model.predict(X)
    np.random.rand(3)

    assert [identify(model) for model in (tree, boosted)] == before


def test_random_states_given_as_parameters():
    """A generator given as a parameter counts by its state."""
    one, other = (RandomForestClassifier(random_state=np.random.RandomState(0)) for _ in range(2))
    assert identify(one) == identify(other) != identify(RandomForestClassifier(random_state=np.random.RandomState(1)))
    one.random_state.rand()
    assert identify(one) != identify(other)
    drawn = np.random.default_rng(3)
    assert identify(Doubled(np.random.default_rng(3))) == identify(Doubled(drawn))
    drawn.random()
    assert identify(Doubled(np.random.default_rng(3))) != identify(Doubled(drawn))


def test_seconds_do_not_count():
    """Two searches that took different times are equal; the scores and the distributions count."""
    searches = [GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, y) for _ in range(2)]
    searches[1].refit_time_ += 1
    searches[1].cv_results_["mean_fit_time"] += 1
    assert identify(searches[0]) == identify(searches[1])
    searches[1].cv_results_["mean_test_score"][0] = 0
    assert identify(searches[0]) != identify(searches[1])

    one, same, other = (
        RandomizedSearchCV(LogisticRegression(), {"C": stats.uniform(0, high)}, random_state=0) for high in (1, 1, 2)
    )
    assert identify(one).scope == "full"
    assert identify(one) == identify(same) != identify(other)


def test_tools_do_not_count(tmp_path):
    """Caches, loggers and locks in attributes are as if they were not there."""
    model = Doubled().fit(X)
    before = identify(model)
    model.logger_, model.lock_, model.cache_ = logging.getLogger("x"), threading.Lock(), joblib.Memory(tmp_path)
    assert identify(model) == before


def test_memory_layout_does_not_count():
    """Coefficients in Fortran order, strided or mapped from a file are the same."""
    model = LogisticRegression().fit(X, np.arange(60) % 3)
    before = identify(model)
    for layout in (np.asfortranarray, lambda values: np.repeat(values, 2, axis=1)[:, ::2], lambda v: v.astype(">f8")):
        other = copy.deepcopy(model)
        other.coef_ = layout(model.coef_)
        assert identify(other) == before
    other.coef_ = model.coef_.astype("f4")
    assert identify(other) != before


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 2047, 2048, 2049, 70_000])
@pytest.mark.parametrize("kind", ["f2", "f8", "i4", "record", "padded"])
def test_small_arrays_are_described_like_large_ones(kind, size):
    """Bytes between the fields, the layout and the size of an array do not decide the way it counts."""
    named = {"names": ["a", "b"], "formats": ["f8", "u1"], "offsets": [0, 8], "itemsize": 16}
    dtype = np.dtype({"record": [("a", "<i4"), ("b", "u1")], "padded": named}.get(kind, kind))
    plain, other = Doubled(), Doubled()
    plain.mean_ = np.zeros(size, dtype)
    if kind == "padded":
        other.mean_ = np.full((size, 16), 255, np.uint8).reshape(-1).view(dtype) if size else plain.mean_.copy()
        other.mean_["a"], other.mean_["b"] = 0, 0
    else:
        other.mean_ = np.zeros(2 * size, dtype)[::2]
    changed = copy.deepcopy(plain)

    assert identify(plain) == identify(other)
    if size:
        changed.mean_.view(np.uint8)[-dtype.itemsize] = 1  # of the last element
        assert identify(changed) != identify(plain)


def test_mapped_models_are_equal(tmp_path):
    """joblib's mmap_mode gives the same artifact."""
    model = KNeighborsClassifier(algorithm="brute").fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    assert identify(joblib.load(tmp_path / "model.joblib", mmap_mode="r")) == identify(model)


def test_nan_and_minus_zero():
    """All NaNs are one, at any size; -0.0 is not 0.0."""
    for size in (3, 600, 100_000):
        plain, payload, minus = (Doubled() for _ in range(3))
        plain.mean_ = np.zeros(size)
        plain.mean_[1] = np.nan
        payload.mean_ = plain.mean_.copy()
        payload.mean_.view(np.uint64)[1] = 0x7FF0000000000001
        minus.mean_ = plain.mean_.copy()
        minus.mean_[0] = -0.0
        assert identify(plain) == identify(payload) != identify(minus)


def test_estimators_of_users():
    """A subclass of BaseEstimator and what only behaves like an estimator count by class, parameters and state."""
    for make in (Doubled, Duck):
        one, same, other = make().fit(X), make().fit(X.copy()), make().fit(X + 1)
        assert identify(one).scope == "full"
        assert identify(one) == identify(same) == identify(copy.deepcopy(one)) != identify(other)
    one.table["settings"] = Settings("b")
    assert identify(one) != identify(same)
    assert artifacts.kind_of(one) == "model"


def test_functions_by_name():
    """Functions, bound methods, classes and partials count by their names and arguments."""
    found = [
        FunctionTransformer(add_one),
        FunctionTransformer(np.log1p),
        FunctionTransformer(np.sqrt),
        FunctionTransformer(len),
        FunctionTransformer(functools.partial(np.round, decimals=2)),
        FunctionTransformer(functools.partial(np.round, decimals=3)),
        FunctionTransformer(Settings),
        Doubled(slice(1, 2)),
        Doubled(range(1, 2)),
        Doubled(np.dtype("f4")),
        Doubled(TfidfVectorizer().fit_transform),
    ]
    ids = [identify(model) for model in found]
    assert {identity.scope for identity in ids} == {"full"}
    assert len(set(ids)) == len(ids)
    assert [identify(clone(model)) for model in found[:7]] == ids[:7]


class Slotted:
    __slots__ = ("a",)


def test_what_cannot_be_described_has_no_content_id():
    """Lambdas, local functions and classes, slots, handles and unknown extension types: a ref id, scope none."""

    class Local(BaseEstimator):
        pass

    def inside(values):
        return values

    for model in (
        FunctionTransformer(lambda values: values),
        FunctionTransformer(inside),
        Local(),
        Doubled(Local()),
        Doubled(Slotted()),
        Doubled(iter([])),
        Doubled(memoryview(b"a")[:0].__iter__()),
        Doubled(number for number in ()),
        make_pipeline(StandardScaler(), FunctionTransformer(lambda values: values)),
    ):
        identity = identify(model)
        assert (identity.scope, identity.id[:4]) == ("none", "ref:"), model
        assert identify(model) == identity


def test_models_that_hold_themselves():
    """Cycles end, by whatever way they lead, and equal cycles are equal."""

    def looped(word):
        model = Doubled(word)
        holder = np.empty(1, dtype=object)
        holder[0] = [{"up": model}, model]
        model.loop_ = holder
        return model

    assert identify(looped("a")).scope == "full"
    assert identify(looped("a")) == identify(looped("a")) != identify(looped("b"))
    outside = [looped("a")]
    outside.append(outside)
    assert identify(outside).scope == "full"


def test_long_chains_have_no_content_id():
    """A chain of objects deeper than Python's stack gives scope none."""
    model = Doubled()
    for _ in range(5000):
        model = Doubled(inner=model)
    assert identify(model).scope == "none"


def test_models_inside_plain_values():
    """A dict of models and arrays is a value like any other."""
    one = {"model": LogisticRegression().fit(X, y), "columns": ["a", "b", "c"]}
    same = {"columns": ["a", "b", "c"], "model": LogisticRegression().fit(X, y)}
    assert identify(one).scope == "full"
    assert identify(one) == identify(same) != identify(one | {"model": LogisticRegression()})


def test_over_budget_is_sampled():
    """A model that takes too long has a partial id."""
    model = KNeighborsClassifier(algorithm="brute").fit(np.tile(X, (20_000, 1)), np.tile(y, 20_000))
    identity = identify(model, budget_s=0)
    assert (identity.scope, identity.id[:8]) == ("sampled", "partial:")
    assert identify(model, budget_s=None).scope == "full"


def test_names_tell_classes_apart():
    """No two classes of scikit-learn have one name, though its private modules are left out where they can be."""
    assert _code.class_name(LogisticRegression) == "sklearn.linear_model.LogisticRegression"
    names = {}
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "sklearn"]:
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__.partition(".")[0] == "sklearn":
                names.setdefault(_code.class_name(kind), set()).add(kind)
    assert len(names) > 200
    assert {name: kinds for name, kinds in names.items() if len(kinds) > 1} == {}
