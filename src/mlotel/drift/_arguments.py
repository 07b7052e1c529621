"""Settings of a detector, looked at when they are given."""

from typing import Any

import numpy as np

from mlotel.errors import InvalidArgumentError, InvalidTypeError


def between(name: str, value: Any, low: float, high: float) -> float:
    """A number strictly between two others."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InvalidTypeError(f"Detector() got {name} of type {type(value).__qualname__}. Pass a number.")
    if not low < value < high:
        what = f"a number between {low} and {high}" if np.isfinite(high) else f"a number above {low}"
        raise InvalidArgumentError(f"Detector() got {name}={value!r}. Pass {what}.")
    return float(value)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number that is not too small."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidTypeError(f"Detector() got {name} of type {type(value).__qualname__}. Pass a whole number.")
    if value < least:
        raise InvalidArgumentError(f"Detector() got {name}={value}. Pass {least} or more.")
    return int(value)


def ascending(values: Any) -> tuple[float, ...]:
    """Tolerances: one, or several that ascend."""
    given = (values,) if isinstance(values, (int, float, np.number)) and not isinstance(values, bool) else values
    try:
        found = tuple(float(value) for value in given)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"Detector() got tolerances={values!r}. Pass ascending numbers, such as (0.01, 0.05, 0.12)."
        ) from error
    if not found or not all(0 <= value < 1 for value in found) or list(found) != sorted(set(found)):
        raise InvalidArgumentError(
            f"Detector() got tolerances={values!r}. Pass ascending numbers from 0 to below 1, such as (0.01, 0.05)."
        )
    return found
