"""Columns that hardly vary."""

from typing import Any

import numpy as np

from mlotel.quality._base import Column, QualityCheck, Result, table_of


def constant(table: Any) -> Result:
    """Share of the rows of each column that its commonest value has: 1 for a constant column.

    Args:
        table: ``n`` rows: a pandas or polars frame, a pyarrow table, a 2-D array or ``{name: values}``. Missing is a
            value like others, so a column that is missing throughout is constant.

    Returns:
        Above 0, up to 1, for each column, and the rows behind it. ``result.findings(at_least=1)`` are constant.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If it is no table.

    Example:
        >>> result = constant({"year": [2013, 2013, 2013, 2013], "month": [1, 1, 1, 2]})
        >>> result.values, result.findings(at_least=1)
        ({'year': 1.0, 'month': 0.75}, ['year'])
    """
    looked = table_of(table, "constant")
    counts = {name: _commonest(column) for name, column in looked.columns.items()}
    return Result.shares("constant", looked, counts, looked.skipped)


def _commonest(column: Column) -> int:
    """Rows of the commonest value."""
    missing = int(column.missing.sum())
    if missing == len(column):
        return missing
    if column.kind == "category":
        codes = column.codes()[0]
        return max(missing, int(np.bincount(codes[codes >= 0]).max()))
    values = np.sort(column.present)
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return max(missing, int(np.diff(np.append(starts, values.size)).max()))


CHECK = QualityCheck(name="constant", measure=constant)
