"""Counts of one process as bytes that another one adds to its own: counts add up, and so does the decision."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlotel import artifacts
from mlotel.drift import _state
from mlotel.drift._profile import Integers
from mlotel.drift._window import Window
from mlotel.drift.statistics._moments import Moments
from mlotel.errors import InvalidArgumentError

if TYPE_CHECKING:
    from mlotel.drift.reference import Reference

MOMENTS = tuple(field.name for field in fields(Moments))
_PART = b"mlotel.c"


@dataclass(frozen=True, eq=False)
class Part:
    """What one process has counted."""

    arrays: Mapping[str, NDArray[Any]]
    changes: list[tuple[str, str, str, int]]

    def add_to(self, window: Window, categories: Integers) -> None:
        """Add it to the window and to the counts of categories, whose buffer is empty."""
        counts = self.arrays["counts"]
        window.counts += counts[: window.counts.size]
        categories += counts[window.counts.size :]
        window.sums += self.arrays["sums"]
        window.moments = window.moments.merge(Moments(*self.arrays["moments"]))


def pack(
    reference: "Reference", counts: Integers, window: Window, changes: Mapping[tuple[str, str], tuple[str, int]]
) -> bytes:
    """Counts without rows of absent features, and what goes with them."""
    plain = {
        "reference": content_id(reference),
        "changes": [[what, column, *of] for (what, column), of in sorted(changes.items())],
    }
    moments = np.stack([getattr(window.moments, name) for name in MOMENTS])
    return _state.pack(_PART, plain, {"counts": counts, "sums": window.sums, "moments": moments})


def unpack(data: bytes, reference: "Reference") -> Part:
    """What ``pack`` gave.

    Raises:
        InvalidArgumentError: If it is something else, or was counted in the bins of another reference.
    """
    plain, arrays = _state.unpack(_PART, data, "Detector.collect()")
    if plain["reference"] != content_id(reference):
        raise InvalidArgumentError(
            f"merge() got counts in the bins of reference {plain['reference']}, and this detector's is "
            f"{content_id(reference)}. Give all processes one reference file."
        )
    return Part(arrays, [tuple(change) for change in plain["changes"]])


def content_id(reference: "Reference") -> str:
    """Id of a reference by its content."""
    return artifacts.identify(reference.__mlotel_content__(), budget_s=None).id
