"""Every estimator of scikit-learn, fitted on small data. As a program it prints the ids of those in a joblib file."""

import contextlib
import itertools
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.discovery import all_estimators

from mlotel import artifacts

QUICK = {"n_estimators": 3, "max_iter": 20, "max_steps": 5, "n_init": 1, "cv": 2}
SPECIAL = {
    "GaussianRandomProjection": {"n_components": 2},
    "OrthogonalMatchingPursuitCV": {"max_iter": None},
    "SparseRandomProjection": {"n_components": 2},
    "TSNE": {"max_iter": 250, "perplexity": 5},
}
NOT_FITTED = {"FrozenEstimator"}  # is fitted when what it wraps is, which a clone is not

INSENSITIVE = {
    "AdditiveChi2Sampler": "keeps the number of columns only",
    "Binarizer": "keeps the number of columns only",
    "FeatureAgglomeration": "keeps which columns belong together",
    "FeatureHasher": "keeps nothing",
    "FunctionTransformer": "keeps the number of columns only",
    "GaussianRandomProjection": "draws by the number of columns",
    "HashingVectorizer": "keeps nothing",
    "MissingIndicator": "keeps which columns miss values",
    "Normalizer": "keeps the number of columns only",
    "PatchExtractor": "keeps nothing",
    "PolynomialCountSketch": "draws by the number of columns",
    "PolynomialFeatures": "keeps the number of columns only",
    "RBFSampler": "draws by the number of columns",
    "SkewedChi2Sampler": "draws by the number of columns",
    "SpectralCoclustering": "keeps which rows and columns belong together",
    "SparseRandomProjection": "draws by the number of columns",
    "SparseCoder": "keeps the number of columns only",
    "TfidfTransformer": "keeps how many rows have each word",
}
KEEPS_NOTHING = {"FeatureHasher", "HashingVectorizer", "PatchExtractor", "SparseCoder"}


@dataclass
class Fitted:
    """One estimator in several states.

    Attributes:
        bare: Not fitted.
        one: Fitted.
        same: Fitted again on the same data with the same random states.
        other: Fitted on changed data.
    """

    bare: Any
    one: Any
    same: Any
    other: Any


def data() -> list[tuple[Any, Any, Any, Any]]:
    """X and y, and both changed a little: numbers, several targets, one column, square, texts, dicts, labels."""
    rng = np.random.RandomState(0)
    X = rng.rand(40, 4)
    y = (X[:, 0] + X[:, 1] > 1).astype(int)
    X2, y2 = X.copy(), y.copy()
    X2[:20] *= 1.3
    y2[:7] = 1 - y2[:7]
    texts = (["one two", "two three four", "four five"], ["one two", "two three six", "four six"])
    return [
        (X, y, X2, y2),
        (X, X[:, 0] + y, X2, X[:, 0] + y2),
        (X, np.c_[y, 1 - y], X2, np.c_[y2, 1 - y2]),
        (X[:, 0], y * 1.0, X2[:, 0], y2 * 1.0),
        (X @ X.T, None, X2 @ X2.T, None),
        (texts[0], [0, 1, 0], texts[1], [0, 1, 1]),
        (y, None, np.r_[y2, 2], None),
        ([{"a": 1}, {"b": 2}], None, [{"a": 1}, {"c": 2}], None),
        ([("a", "b"), ("b",)], None, [("a", "b"), ("c",)], None),
        (rng.rand(2, 8, 8), None, rng.rand(2, 8, 8), None),
    ]


def made(kind: type) -> Iterator[Any]:
    """Ways to make an estimator, with whatever its constructor needs."""
    classifiers = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(random_state=0))]
    regressors = [("a", Ridge()), ("b", DecisionTreeRegressor(random_state=0))]
    for arguments in (
        (),
        (LogisticRegression(),),
        (Ridge(),),
        (classifiers,),
        (regressors,),
        ([("a", StandardScaler()), ("b", MinMaxScaler())],),
        ([("a", StandardScaler(), [0, 1]), ("b", MinMaxScaler(), [2])],),
        (LogisticRegression(), {"C": [1.0, 2.0]}),
        (LogisticRegression(), {"C": [1.0, 2.0]}, 2),
        (np.eye(4),),
    ):
        with contextlib.suppress(TypeError):
            yield kind(*arguments)


def fit(estimator: Any, X: Any, y: Any) -> Any:
    """A fitted copy."""
    np.random.seed(0)
    copied = clone(estimator)
    try:
        return copied.fit(X, y)
    except TypeError:
        return copied.fit(X)


def fitted(kind: type) -> Fitted | None:
    """The estimator fitted; None when no data suit it."""
    for estimator, (X, y, X2, y2) in itertools.product(made(kind), data()):
        with contextlib.suppress(Exception):  # the next data may suit
            known = estimator.get_params(deep=False)
            estimator.set_params(**{name: value for name, value in QUICK.items() if name in known})
            special = SPECIAL.get(kind.__name__, {})
            estimator.set_params(**{name: value for name, value in special.items() if name in known})
            if "random_state" in known:
                estimator.set_params(random_state=0)
            return Fitted(clone(estimator), fit(estimator, X, y), fit(estimator, X, y), fit(estimator, X2, y2))
    return None


def every() -> dict[str, Fitted | None]:
    """All estimators by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: fitted(kind) for name, kind in all_estimators()}


class Doubled(BaseEstimator):
    """A user's own estimator."""

    def __init__(self, factor=2.0, inner=None):
        self.factor = factor
        self.inner = inner

    def fit(self, X, y=None):
        self.mean_ = self.factor * np.mean(X, axis=0)
        self.notes_ = {"rows": len(X), "kinds": {"a", "b", "c"}}
        return self


class Duck:
    """Behaves like an estimator and is of no library."""

    def __init__(self, depth=3):
        self.depth = depth

    def get_params(self, deep=True):
        return {"depth": self.depth}

    def fit(self, X, y=None):
        self.table = {"mean": np.mean(X, axis=0), "settings": Settings("a")}
        return self


class Settings:
    """An ordinary object."""

    def __init__(self, word):
        self.word = word


def add_one(X):
    """A function that has a name."""
    return X + 1


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps({name: artifacts.identify(model).id for name, model in joblib.load(sys.argv[1]).items()})
    )
