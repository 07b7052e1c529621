"""What an estimator is, read from its class and its attributes: nothing of it is called."""

import inspect
import sys
import weakref
from dataclasses import dataclass
from typing import Any

from mlotel import artifacts
from mlotel.tracing import attributes

__all__ = ["Kind", "final_of", "inside", "is_composed", "is_estimator", "kind_of", "params_of", "parts_of", "stored"]

MAX_STEPS = 32
"""Steps that are named; in a composition of more the rest is called by its class."""

_PARTS = ("steps", "transformer_list", "transformers", "estimators")
_INNER = ("estimator", "base_estimator", "regressor", "classifier")
_DEPTH = 6  # of estimators in estimators that are looked into


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a class.

    Attributes:
        name: Its name.
        place: Module and name.
        system: Library that it is from, ``scikit_learn`` for a class of the user's.
        version: Version of that library.
        is_classifier: Whether it says that it predicts classes.
        is_search: Whether its ``fit`` looks for the best parameters.
        is_native: Whether it derives from scikit-learn's ``BaseEstimator``.
        defaults: Parameters of its constructor, with their defaults.
    """

    name: str
    place: str
    system: str
    version: str
    is_classifier: bool
    is_search: bool
    is_native: bool
    defaults: dict[str, Any]


_known: "dict[int, tuple[weakref.ref[type], Kind]]" = {}
_models: "dict[int, tuple[weakref.ref[type], bool]]" = {}


def _forget(known: dict[int, Any], key: int) -> None:
    """A class has gone, and another one may get its id."""
    known.pop(key, None)


def kind_of(cls: type) -> Kind:
    """What is known of ``cls``; looked up once a class."""
    key = id(cls)  # its hash and equality are its metaclass's, which users write
    found = _known.get(key)
    if found is not None and found[0]() is cls:
        return found[1]
    kind = _kind(cls)
    _known[key] = weakref.ref(cls, lambda _: _forget(_known, key)), kind
    return kind


def _kind(cls: type) -> Kind:
    place = attributes.text(attributes.qualified(cls))
    bases = {attributes.qualified(base) for base in type.__getattribute__(cls, "__mro__")}
    root = place.partition(".")[0]
    version = getattr(sys.modules.get(root), "__version__", None) if root != "__main__" else None
    if not isinstance(version, str):
        root, version = "sklearn", str(getattr(sys.modules.get("sklearn"), "__version__", ""))
    return Kind(
        name=attributes.text(place.rpartition(".")[2], 200),
        place=place,
        system="scikit_learn" if root == "sklearn" else root,
        version=attributes.text(version, 64),
        is_classifier="sklearn.base.ClassifierMixin" in bases,
        is_search="sklearn.model_selection._search.BaseSearchCV" in bases,
        is_native="sklearn.base.BaseEstimator" in bases,
        defaults=_defaults(cls),
    )


def _defaults(cls: type) -> dict[str, Any]:
    try:
        parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # that of the class itself
    except (TypeError, ValueError):  # written in C
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: found.default for name, found in list(parameters.items())[1:] if found.kind in named}


def stored(estimator: Any) -> dict[str, Any]:
    """Attributes of an object, past its ``__getattr__``."""
    try:
        found: dict[str, Any] = object.__getattribute__(estimator, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def is_estimator(value: Any) -> bool:
    """Whether ``value`` follows the protocol of estimators: an object whose class has ``fit`` and ``get_params``."""
    cls = type(value)
    key = id(cls)
    known = _models.get(key)
    if known is not None and known[0]() is cls:
        return known[1]
    answer = artifacts.kind_of(value) == "model"
    _models[key] = weakref.ref(cls, lambda _: _forget(_models, key)), answer
    return answer


def parts_of(estimator: Any) -> list[tuple[str, Any]]:
    """Names and parts of a pipeline, a union, a column transformer or an ensemble that was given named parts."""
    own = stored(estimator)
    for attribute in _PARTS:
        listed: Any = own.get(attribute)
        if type(listed) not in (list, tuple):
            continue
        named = [part for part in listed if type(part) is tuple and len(part) in (2, 3) and type(part[0]) is str]
        if named:
            return [(part[0], part[1]) for part in named[:MAX_STEPS]]
    return []


def is_composed(estimator: Any) -> bool:
    """Whether ``estimator`` is made of other estimators, so that their calls are steps of its own."""
    own = stored(estimator)
    return any(name in own and is_estimator(own[name]) for name in _INNER) or bool(parts_of(estimator))


def inside(estimator: Any) -> list[tuple[str, Any]]:
    """Estimators that ``estimator`` was given, and what they were given, each with its name; empty for no name."""
    found: list[tuple[str, Any]] = []
    waiting = [(estimator, 0)]
    while waiting and len(found) < MAX_STEPS:
        one, depth = waiting.pop()
        if depth >= _DEPTH:
            continue
        own = stored(one)
        parts = parts_of(one) + [("", own[name]) for name in _INNER if name in own]
        parts = [(name, part) for name, part in parts if is_estimator(part)]
        found += parts
        waiting += [(part, depth + 1) for _, part in parts]
    return found


def final_of(estimator: Any) -> Any:
    """What predicts in the end: the last step of a pipeline, what a search looks for; else ``estimator`` itself."""
    for _ in range(_DEPTH):
        parts = parts_of(estimator) if "steps" in stored(estimator) else []
        if parts:
            estimator = parts[-1][1]
            continue
        own = stored(estimator)
        inner = next((own[name] for name in _INNER if name in own and is_estimator(own[name])), None)
        if inner is None or kind_of(type(estimator)).is_classifier:
            break
        estimator = inner
    return estimator


def params_of(estimator: Any, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Parameters that differ from their defaults, those of parts as ``part__name``.

    Values are as they are; what is an estimator is its class's name, and parts are left out.
    """
    found: dict[str, Any] = {}
    own = stored(estimator)
    parts = parts_of(estimator)
    for name, default in kind_of(type(estimator)).defaults.items():
        value = own.get(name, default)
        if value is default or _same(value, default) or (parts and name in _PARTS):
            continue
        if is_estimator(value):
            found[f"{prefix}{name}"] = kind_of(type(value)).name
            if depth < 2:
                found |= params_of(value, f"{prefix}{name}__", depth + 1)
        else:
            found[f"{prefix}{name}"] = value
    for name, part in parts if depth < 2 else ():
        if is_estimator(part):
            found |= params_of(part, f"{prefix}{name}__", depth + 1)
    return found


def _same(value: Any, default: Any) -> bool:
    """Whether two plain values are equal; of anything else nobody asks."""
    kind = type(value)
    if kind is not type(default):
        return False
    if kind in attributes.SCALARS:
        return bool(value == default or (value != value and default != default))
    if kind in (list, tuple):
        return len(value) == len(default) <= 16 and all(map(_same, value, default))
    return kind is dict and not value and not default
