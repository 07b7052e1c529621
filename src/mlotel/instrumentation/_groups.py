"""Which spans of libraries are recorded: ``MLOTEL_SPAN_GROUPS``."""

import functools
import os

from mlotel._guard import say_once

__all__ = ["span_groups"]

_ALL = frozenset({"run", "component", "artifact", "estimator", "epoch", "steps", "predict"})
_DEFAULT = _ALL - {"estimator", "steps"}
_PRESETS = {"all": _ALL, "default": _DEFAULT, "quiet": frozenset({"run", "component"})}


def span_groups() -> frozenset[str]:
    """The groups that are on: a preset (``default``, ``quiet``, ``all``), or names separated by commas.

    A name adds to the default, so ``estimator`` is the default and the spans of estimators inside others; after a
    ``quiet`` it adds to that. What is no group is said once and left out.

    Example:
        >>> "estimator" in span_groups()
        False
    """
    return _read(os.environ.get("MLOTEL_SPAN_GROUPS", ""))


@functools.lru_cache(maxsize=8)
def _read(value: str) -> frozenset[str]:
    words = [word for part in value.split(",") if (word := part.strip().lower())]
    found = frozenset[str]() if any(word in _PRESETS for word in words) else _DEFAULT
    for word in words:
        if word in _PRESETS:
            found |= _PRESETS[word]
        elif word in _ALL:
            found |= {word}
        else:
            say_once(
                ("span groups", word),
                "MLOTEL_SPAN_GROUPS names %r, which is no group of spans. Presets: %s. Groups: %s.",
                word,
                ", ".join(sorted(_PRESETS)),
                ", ".join(sorted(_ALL)),
            )
    return found
