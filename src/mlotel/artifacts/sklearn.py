"""scikit-learn estimators, pipelines and whatever has ``fit`` and ``get_params``, by parameters and fitted state.

What counts: the class's public name, every parameter, everything that ``fit`` left behind. What does not:

- the version of scikit-learn, the code of classes and functions (known by the name they can be imported by);
- seconds in ``cv_results_`` and ``refit_time_``, counts of threads, attributes that hold caches (``joblib.Memory``),
  loggers, locks and pools, values of ``functools.cached_property``;
- the random generator that training left in the middle of its series (``_rng``, ``_random_state``), and the same one
  in parameters; any other generator given as ``random_state`` counts by its state;
- which parts are shared: two references to one array are like two equal arrays.

An estimator whose state is hidden in an extension type of another library (a booster, a handle to a server), in a
lambda or in a class that cannot be imported has no content id; nor has one with code of the program or notebook
itself, whose ``__main__`` is another one next time. scikit-learn itself is never imported here.
"""

from typing import Any

from mlotel.artifacts._base import Hasher
from mlotel.artifacts._look import ancestry, kind_of, origin
from mlotel.artifacts._walk import identify_object
from mlotel.types import Identity

WALKS = True
"""That objects of this kind inside others are described together with them."""


def matches(value: Any) -> bool:
    """Whether the value is of scikit-learn, derived from it, or has ``fit`` and ``get_params`` like an estimator."""
    return any(origin(kind)[0] == "sklearn" for kind in ancestry(value)) or kind_of(value) == "model"


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of an estimator, fitted or not.

    Raises:
        Unidentifiable: If a piece of it cannot be described.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from mlotel import artifacts
        >>> X = [[-1.0], [1.0]]
        >>> one, same, opposite = (LogisticRegression().fit(X, y) for y in ([0, 1], [0, 1], [1, 0]))
        >>> artifacts.identify(one) == artifacts.identify(same)
        True
        >>> artifacts.identify(one) == artifacts.identify(opposite)
        False
    """
    hasher.text("object")
    identify_object(value, hasher)
    return hasher.identity()
