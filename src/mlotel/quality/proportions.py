"""Proportions of classes."""

from typing import Any

from mlotel.quality._base import QualityCheck, Result, classes_of


def proportions(labels: Any, reference: Any = None) -> Result:
    """Share of each class among labels or predictions.

    Args:
        labels: ``(n,)`` classes, in any kind of column; missing ones are skipped.
        reference: Labels whose classes are listed too where no row has them; None for none.

    Returns:
        From 0 to 1 for each class, named by ``str``, adding up to 1; the largest first.

    Raises:
        EmptySampleError: If there is no label.
        InvalidTypeError: If it is no column.

    Example:
        >>> proportions(["late", "early", "early", None, "early"], ["late", "early", "on time"]).values
        {'early': 0.75, 'late': 0.25, 'on time': 0.0}
    """
    rows, counts = classes_of(labels, reference, "proportions")
    ordered = dict(sorted(counts.items(), key=lambda item: -item[1]))
    return Result(
        name="proportions",
        unit="{fraction}",
        rows=rows,
        values={label: count / rows for label, count in ordered.items()},
        counts=ordered,
        by="class",
    )


CHECK = QualityCheck(name="proportions", measure=proportions, looks_at="labels", reference="uses")
