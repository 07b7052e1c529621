"""Categories that the reference did not have."""

from typing import Any

import numpy as np

from mlotel.quality._base import QualityCheck, Result, against


def unseen(table: Any, reference: Any) -> Result:
    """Share of the rows of each category column whose label is not among the reference's.

    Args:
        table: ``n`` rows: a pandas or polars frame, a pyarrow table, a 2-D array or ``{name: values}``.
        reference: The table that the model was trained on, or ``mlotel.quality.facts`` of it.

    Returns:
        From 0 to 1 for each column of text, labels or booleans, and the rows behind it. A missing value is no
        unseen one.

    Raises:
        EmptySampleError: If there are no rows.
        InvalidTypeError: If one of them is no table.

    Example:
        >>> unseen({"carrier": ["AA", "DL", "WN", None]}, {"carrier": ["AA", "DL", "UA"]}).values
        {'carrier': 0.25}
    """
    looked, known, skipped = against(table, reference, ("category", "boolean"), "unseen")
    counts = {}
    for name, facts in known.items():
        if facts.labels is None:
            skipped[name] = "has no known labels in the reference"
            continue
        codes, labels = looked.columns[name].codes()
        new = np.array([label not in facts.labels for label in labels], dtype=bool)
        counts[name] = int(new[codes[codes >= 0]].sum())
    return Result.shares("unseen", looked, counts, skipped)


CHECK = QualityCheck(name="unseen", measure=unseen, reference="needs")
