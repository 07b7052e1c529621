"""scikit-learn 1.4 and later: calls of estimators, searches and cross-validations.

``mlotel.instrument("sklearn")`` makes one span of the outermost call of an object, ``fit Pipeline``; what it calls
inside are times on that span and records of ``ml.step.duration``. In a search and a cross-validation each fold is a
span as well. ``MLOTEL_SPAN_GROUPS=estimator`` makes spans of everything.

Methods are replaced on classes, never on objects: ``clone``, ``pickle`` and ``vars`` see what they see without mlotel.
Classes that are defined later count: they are looked at when Python makes them. What does not derive from
``BaseEstimator`` counts once it was a part of something that does.

Not recorded: functions that are no method (``train_test_split``, ``permutation_importance``), and methods of other
names, such as ``staged_predict``. Work that joblib hands to workers of other machines (dask, ray) has no spans.
"""

import functools
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

from mlotel._guard import guard
from mlotel.instrumentation._patch import Patch

REQUIRES = "scikit-learn>=1.4"

OPERATIONS = (
    "fit", "partial_fit", "fit_transform", "fit_predict", "transform", "inverse_transform", "predict", "predict_proba",
    "decision_function", "score",
)  # fmt: skip


def install(patch: Patch) -> None:
    """Record what estimators do."""
    patch.after_import("sklearn.base", _install)
    patch.after_import("sklearn.model_selection._validation", _install_validation)


def _install(patch: Patch) -> None:
    import joblib  # type: ignore[import-untyped]  # joblib ships no types
    from sklearn.base import BaseEstimator  # type: ignore[import-untyped]  # nor does scikit-learn
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]  # as above
    from sklearn.utils import _metadata_requests, _set_output  # type: ignore[import-untyped]  # as above

    from mlotel.instrumentation._sklearn import calls, tasks

    wrappers = {name: calls.method(name) for name in OPERATIONS}
    adopt = functools.partial(_adopt, patch, wrappers)
    waiting = [BaseEstimator]
    seen = set[int]()
    while waiting:
        cls = waiting.pop()
        if id(cls) not in seen:
            seen.add(id(cls))
            adopt(cls)
            waiting += type.__subclasses__(cls)
    calls.adopt = adopt
    # Both are called for a class that Python makes, one inside the other, in the order of its bases. The outer one may
    # itself replace methods when the inner one is done.
    made = _Made(adopt)
    patch.around(_metadata_requests._MetadataRequester, "__init_subclass__", made)
    patch.around(_set_output._SetOutputMixin, "__init_subclass__", made)
    patch.around(ConvergenceWarning, "__init__", calls.warned)
    patch.around(joblib.Parallel, "__call__", tasks.parallel)


def _install_validation(patch: Patch) -> None:
    from sklearn.model_selection import _validation  # type: ignore[import-untyped]  # as above

    from mlotel.instrumentation._sklearn import tasks

    patch.around(_validation, "cross_validate", tasks.cross_validate, everywhere=True)


def _adopt(patch: Patch, wrappers: dict[str, Callable[..., Any]], cls: type) -> None:
    """Replace the methods of a class, and of the classes that it inherits from."""
    for base in type.__getattribute__(cls, "__mro__"):
        if base is object:
            continue
        own = type.__getattribute__(base, "__dict__")
        by_value = own.get("__module__") == "__main__" or "<locals>" in type.__getattribute__(base, "__qualname__")
        for name in own.keys() & wrappers.keys():
            raw = own[name]
            if isinstance(raw, FunctionType):
                patch.around_own(base, name, wrappers[name], by_value=by_value)
            elif type(raw).__name__ == "_AvailableIfDescriptor" and isinstance(raw.fn, FunctionType):
                patch.around_own(
                    raw, "fn", wrappers[name]
                )  # it checks whether there is such a method, and then binds this


class _Made:
    """Called instead of ``__init_subclass__``: adopts a class once all of those have been called for it."""

    def __init__(self, adopt: Callable[[type], None]) -> None:
        self._adopt = adopt
        self._depth = threading.local()

    def __call__(self, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = getattr(self._depth, "value", 0)
        self._depth.value = before + 1
        try:
            result = wrapped(*args, **kwargs)
        finally:
            self._depth.value = before
        if not before and args:
            with guard("instrument a class of estimators"):
                self._adopt(args[0])
        return result
