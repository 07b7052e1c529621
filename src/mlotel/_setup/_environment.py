"""Reading settings from environment variables, by OpenTelemetry's rules.

An empty variable is not set; a wrong number is said and not used.
"""

import os

from mlotel import _guard


def text(*names: str) -> str | None:
    """Value of the first of ``names`` that is set."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return value
    return None


def truth(name: str) -> bool | None:
    """True or False where ``name`` says so, None where it is not set."""
    value = text(name)
    if value is None:
        return None
    if value.lower() not in ("true", "false", "1", "0"):
        _guard.say_once(("environment", name), "%s is %r; it must be true or false. It is taken as false.", name, value)
    return value.lower() in ("true", "1")


def number(name: str, default: float, *, at_least: float = 1.0) -> float:
    """Value of ``name``, or ``default`` where it is not set or not a number from ``at_least`` on."""
    value = text(name)
    if value is None:
        return default
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if at_least <= found < float("inf"):
        return found
    _guard.say_once(
        ("environment", name), "%s is %r; it must be a number from %g on. %g is used.", name, value, at_least, default
    )
    return default


def whole(name: str, default: int) -> int:
    """``number`` for counts."""
    return int(number(name, default))


def milliseconds(name: str, default_s: float) -> float:
    """A time that ``name`` gives in milliseconds, in seconds."""
    return number(name, default_s * 1000) / 1000


def one_of(name: str, choices: tuple[str, ...]) -> str:
    """Value of ``name``, in lower case; the first of ``choices`` where it is not set or none of them."""
    value = (text(name) or choices[0]).lower()
    if value in choices:
        return value
    _guard.say_once(
        ("environment", name), "%s is %r; it must be %s. %s is used.", name, value, " or ".join(choices), choices[0]
    )
    return choices[0]
