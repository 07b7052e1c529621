"""Statistics that say how far a current sample is from a reference, one file each.

The functions themselves are in ``mlotel.drift``: ``psi``, ``ks``, ``wasserstein``, ``js``, ``hellinger``, ``tvd``,
``chi2`` and ``cramers_v``. Here is what is asked of any of them by its name, those of other distributions included,
which join by the entry-point group ``mlotel.drift.statistics``.

>>> from mlotel.drift import statistics
>>> statistics.names()
['chi2', 'cramers_v', 'hellinger', 'js', 'ks', 'psi', 'tvd', 'wasserstein']
>>> reference, current = [1, 2, 3, 4, 5, 6, 7, 8], [5, 6, 7, 8, 9, 10, 11, 12]
>>> statistics.get("ks")(reference, current)
0.5
>>> round(statistics.p_value("ks", reference, current), 4)
0.2827
"""

from typing import Any

from mlotel import _plugins
from mlotel.drift.statistics._base import Bins, Counts, Statistic, counts_of
from mlotel.drift.statistics._counts import Ordered
from mlotel.drift.statistics._describe import Description, describe
from mlotel.errors import InvalidArgumentError, InvalidTypeError

__all__ = ["Counts", "Description", "Ordered", "Statistic", "describe", "get", "names", "noise", "p_value"]

_FOLDER = "drift.statistics"


def names() -> list[str]:
    """Names of all statistics, sorted; none of them is imported."""
    return _plugins.names(_FOLDER)


def get(name: str) -> Statistic:
    """A statistic by its name.

    Raises:
        NotFoundError: If there is none of that name; the error proposes the nearest.
        InvalidTypeError: If a plugin of another distribution has no ``STATISTIC``.

    Example:
        >>> get("tvd").upper_bound
        1.0
    """
    statistic = getattr(_plugins.load(_FOLDER, name), "STATISTIC", None)
    if not isinstance(statistic, Statistic):
        raise InvalidTypeError(
            f"The plugin {name!r} of mlotel.{_FOLDER} has no STATISTIC of type Statistic. End its file with one."
        )
    return statistic


def noise(name: str, reference: Any, current: Any, *, bins: Bins = 10) -> float:
    """The value of a statistic to expect from these samples when nothing changed.

    Args:
        name: One of ``names()``.
        reference: The first sample.
        current: The second; of both only the number of rows, and of the reference the shares of its values count.
        bins: As for the statistic, where it has bins.

    Returns:
        On the scale of the statistic. For ``js``, ``hellinger`` and ``cramers_v`` it is the root of the mean square.

    Raises:
        NotFoundError: If there is no such statistic.
        InvalidArgumentError: If no formula is known for it.
        EmptySampleError: If either sample has no usable value.

    Example:
        >>> round(noise("psi", range(1000), range(1000)), 6)
        0.018
    """
    statistic = get(name)
    if statistic.noise is None:
        raise InvalidArgumentError(
            f"No formula is known for the noise of {name!r}. Compare two samples of the reference with each other, or "
            f"use one of: {', '.join(_those_with('noise'))}."
        )
    counts = counts_of(reference, current, bins=bins, ordered=statistic.numbers_only)
    return float(statistic.noise(counts)[0])


def p_value(name: str, reference: Any, current: Any, **options: Any) -> float:
    """Chance of a value at least as large as that of these samples, when both come from one law.

    It is for one look at two samples of independent rows. Looking again and again, or at many features, finds small
    ones without any drift: that is what ``mlotel.drift.Detector`` is for.

    Args:
        name: One of ``names()``.
        reference: The first sample.
        current: The second.
        **options: Those of the statistic, such as ``bins``.

    Raises:
        NotFoundError: If there is no such statistic.
        InvalidArgumentError: If theory gives none.
        EmptySampleError: If either sample has no usable value.

    Example:
        >>> round(p_value("chi2", ["AA"] * 50 + ["DL"] * 50, ["AA"] * 60 + ["DL"] * 40), 4)
        0.1552
    """
    statistic = get(name)
    if statistic.p_value is None:
        raise InvalidArgumentError(
            f"Theory gives no p-value for {name!r}. Use one of: {', '.join(_those_with('p_value'))}."
        )
    return statistic.p_value(reference, current, **options)


def _those_with(what: str) -> list[str]:
    return [name for name in sorted(_plugins.own(_FOLDER)) if getattr(get(name), what) is not None]
