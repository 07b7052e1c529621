"""Bins of numbers: open-ended quantile bins, in which a heavy value has a bin of its own."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlotel.drift.statistics._counts import Floats, Positions
from mlotel.errors import InvalidArgumentError, InvalidTypeError


def decile_edges(values: Floats, bins: int = 10) -> Floats:
    """Inner edges of bins that hold about equally many values.

    Args:
        values: ``(n,)`` finite and sorted, at least one.
        bins: How many.

    Returns:
        Ascending edges that are values of the sample: bin 0 is ``(-inf, edges[0])``, the next
        ``[edges[0], edges[1])`` and so on, the last ``[edges[-1], inf)``. A value that fills a bin, and every
        value where there are at most ``bins`` of them, has a bin of its own, which ends at the next float.

    Example:
        >>> decile_edges(np.arange(100.0), 4)
        array([25., 50., 75.])
        >>> np.diff(decile_edges(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]), 3)) > 0.5
        array([False,  True])
    """
    edges, rows = np.unique(values, return_counts=True)
    alone = np.ones(edges.size, dtype=bool)
    if edges.size > bins:
        alone = rows * bins >= values.size  # it fills a bin
        shares = np.arange(1, bins) / bins
        quantiles = values[np.minimum((shares * values.size + 1e-9).astype(np.intp), values.size - 1)]
        chosen = np.isin(edges, quantiles)
        edges, alone = edges[chosen], alone[chosen]
    with np.errstate(over="ignore"):  # the largest float has no neighbour but infinity
        ends = np.nextafter(edges[alone], np.inf)
    return np.unique(np.concatenate([edges, ends]))


def given_edges(edges: Iterable[Any]) -> Floats:
    """Inner edges that a user gave.

    Raises:
        InvalidTypeError: If they are no numbers.
        InvalidArgumentError: If there are none, or they do not ascend.
    """
    try:
        found = np.asarray(list(edges), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"Got bins={edges!r}. Pass a number of bins, 2 or more, or a list of ascending edges."
        ) from error
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or (np.diff(found) <= 0).any():
        raise InvalidArgumentError(f"Got bins={found.tolist()}. Pass finite edges that ascend, at least one.")
    return found


def bin_counts(values: Floats, edges: Floats) -> Positions:
    """``(B + 1,)`` values in each bin between ``(B,)`` edges; the values are finite and sorted."""
    return np.diff(np.concatenate([[0], values.searchsorted(edges, "left"), [values.size]]))
