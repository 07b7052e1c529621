"""Numbers beyond the reference's."""

from typing import Any

from mlotel.quality._base import QualityCheck, Result, against


def out_of_range(table: Any, reference: Any) -> Result:
    """Share of the rows of each numeric column that lie below the reference's minimum or above its maximum.

    Args:
        table: ``n`` rows: a pandas or polars frame, a pyarrow table, a 2-D array or ``{name: values}``.
        reference: The table that the model was trained on, or ``mlotel.quality.facts`` of it.

    Returns:
        From 0 to 1 for each column of numbers, times or durations, and the rows behind it. Infinities are out of any
        range, missing values of none.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If one of them is no table.

    Example:
        >>> out_of_range({"distance": [80, 800, 9000, None]}, {"distance": [96, 2475, 4983]}).values
        {'distance': 0.5}
    """
    looked, known, skipped = against(table, reference, ("number", "time", "duration"), "out_of_range")
    counts = {}
    for name, facts in known.items():
        column = looked.columns[name]
        if facts.minimum is None or facts.maximum is None:
            skipped[name] = "has no finite value in the reference"
        elif column.missing.all():
            counts[name] = 0
        elif column.kind != facts.kind:
            skipped[name] = f"is {column.kind} here, {facts.kind} in the reference"
        else:
            values = column.values if column.kind == "number" else column.seconds_or_numbers()
            outside = (values < facts.minimum) | (values > facts.maximum)
            counts[name] = int((outside & ~column.missing).sum())
    return Result.shares("out_of_range", looked, counts, skipped)


CHECK = QualityCheck(name="out_of_range", measure=out_of_range, reference="needs")
