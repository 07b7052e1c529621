"""Imbalance of classes."""

import math
from typing import Any

from mlotel.quality._base import QualityCheck, Result, classes_of


def imbalance(labels: Any, reference: Any = None) -> Result:
    """How many times more rows the largest class has than the smallest.

    Args:
        labels: ``(n,)`` classes, in any kind of column; missing ones are skipped.
        reference: Labels whose classes count too where no row has them; None for none.

    Returns:
        1 for balanced classes, and for one class alone; infinite when a class of the reference has no row. Its key is
        ``rows``.

    Raises:
        EmptySampleError: If there is no label.
        InvalidTypeError: If it is no column.

    Example:
        >>> imbalance(["late", "early", "early", "early"])["rows"]
        3.0
    """
    rows, counts = classes_of(labels, reference, "imbalance")
    largest, smallest = max(counts.values()), min(counts.values())
    return Result(
        name="imbalance",
        unit="{ratio}",
        rows=rows,
        values={"rows": largest / smallest if smallest else math.inf},
        by="whole",
    )


CHECK = QualityCheck(name="imbalance", measure=imbalance, unit="{ratio}", looks_at="labels", reference="uses")
