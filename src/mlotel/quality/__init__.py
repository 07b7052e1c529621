"""Quality of one sample: what is missing, new, out of range, there twice, constant or out of balance.

>>> from mlotel import quality
>>> quality.names()
['constant', 'duplicates', 'imbalance', 'missing', 'out_of_range', 'proportions', 'unseen']
>>> trained_on = {"distance": [96, 2475, 4983], "carrier": ["AA", "DL", "UA"]}
>>> today = {"distance": [80, 900, None], "carrier": ["AA", "WN", "UA"]}
>>> quality.measure("unseen", today, trained_on)["carrier"].__round__(2)
0.33
>>> print(quality.report(today, trained_on))
3 rows     missing  unseen  out_of_range  constant
distance   0.3333           0.3333        0.3333
carrier    0        0.3333                0.3333
all rows   duplicates 0

Each check is a file of this folder and looks at one sample, two of them with the facts of a reference. Other
distributions add checks by the entry-point group ``mlotel.quality``.
"""

from collections.abc import Mapping
from typing import Any

from mlotel import _plugins
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.quality._base import Facts, QualityCheck, Result, facts_of, table_of
from mlotel.quality._report import Report

__all__ = ["Facts", "QualityCheck", "Report", "Result", "facts", "get", "measure", "names", "report"]


def names() -> list[str]:
    """Names of all checks, sorted; none of them is imported."""
    return _plugins.names("quality")


def get(name: str) -> QualityCheck:
    """A check by its name.

    Raises:
        NotFoundError: If there is none of that name; the error proposes the nearest.
        InvalidTypeError: If a plugin of another distribution has no ``CHECK``.

    Example:
        >>> get("unseen").reference
        'needs'
    """
    check = getattr(_plugins.load("quality", name), "CHECK", None)
    if not isinstance(check, QualityCheck):
        raise InvalidTypeError(
            f"The plugin {name!r} of mlotel.quality has no CHECK of type QualityCheck. End its file with one."
        )
    return check


def measure(name: str, sample: Any, reference: Any = None, **options: Any) -> Result:
    """What one check says about a sample.

    Args:
        name: One of ``names()``.
        sample: ``n`` rows: a pandas or polars frame, a pyarrow table, a 2-D array or ``{name: values}``; for
            ``proportions`` and ``imbalance`` a column of classes.
        reference: What it is held against: a table, or ``facts`` of one; for classes, a column.
        **options: Those of the check.

    Raises:
        NotFoundError: If there is no such check.
        InvalidArgumentError: If it needs a reference and got none, or has no use for the one it got.
        EmptySampleError: If the sample has no rows.
        InvalidTypeError: If the sample is no table, or no column.

    Example:
        >>> measure("missing", {"age": [31, None]})["age"]
        0.5
    """
    check = get(name)
    if check.reference == "needs" and reference is None:
        raise InvalidArgumentError(f"The check {name!r} needs a reference and got none. Pass the table trained on.")
    if check.reference == "no":
        if reference is not None:
            raise InvalidArgumentError(f"The check {name!r} has no use for a reference. Leave reference= out.")
        return check.measure(sample, **options)
    return check.measure(sample, reference, **options)


def facts(table: Any) -> Mapping[str, Facts]:
    """What ``unseen`` and ``out_of_range`` need to know of a reference: ranges and labels of its columns.

    Args:
        table: The table that a model was trained on.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If it is no table.

    Example:
        >>> facts({"distance": [96, 2475, None]})["distance"]
        Facts(kind='number', minimum=96, maximum=2475, labels=None)
    """
    return facts_of(table, "facts")


def report(table: Any, reference: Any = None) -> Report:
    """What every check of tables says about a sample.

    Args:
        table: ``n`` rows, of any kind of table; each column is read once.
        reference: The table that the model was trained on, or ``facts`` of it; without it the checks that need one are
            left out.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If one of them is no table.
    """
    looked = table_of(table, "the report")
    known = None if reference is None else facts_of(reference, "the report")
    results: dict[str, Result] = {}
    for name in _ordered(names()):
        check = get(name)
        if check.looks_at == "table" and (check.reference == "no" or known is not None):
            results[name] = measure(name, looked, None if check.reference == "no" else known)
    return Report(looked.rows, results)


def _ordered(found: list[str]) -> list[str]:
    first = ["missing", "unseen", "out_of_range", "constant", "duplicates"]
    return [name for name in first if name in found] + [name for name in found if name not in first]
