"""Missing values."""

from typing import Any

from mlotel.quality._base import QualityCheck, Result, table_of


def missing(table: Any) -> Result:
    """Share of the rows of each column that have no value: None, NaN, NaT or ``pd.NA``.

    An infinity is a value; ``out_of_range`` counts it.

    Args:
        table: ``n`` rows: a pandas or polars frame, a pyarrow table, a 2-D array or ``{name: values}``.

    Returns:
        From 0 to 1 for each column, and the rows behind it.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If it is no table.

    Example:
        >>> missing({"age": [31, None, 45, 28], "carrier": ["AA", "DL", None, None]}).values
        {'age': 0.25, 'carrier': 0.5}
    """
    looked = table_of(table, "missing")
    counts = {name: int(column.missing.sum()) for name, column in looked.columns.items()}
    return Result.shares("missing", looked, counts, looked.skipped)


CHECK = QualityCheck(name="missing", measure=missing)
