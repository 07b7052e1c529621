"""What a reference in order of time says about dependent rows and about cycles.

Rows of one process are seldom independent, and a day has its cycle. Both look like drift to a rule made for independent
rows. The reference, cut into blocks of time, shows them:

- neighbouring blocks jump about more than independent rows would: the *design effect*, by which evidence is divided;
- blocks wander further from the whole than from their neighbours: the *tolerance* has to cover that.
"""

from dataclasses import dataclass

import numpy as np

from mlotel.drift._profile import Floats, Integers, Profile
from mlotel.drift._sets import directions

BLOCK_ROWS = 1000
FEWEST_BLOCKS, MOST_BLOCKS = 20, 168  # a week of hours
FEWEST_ROWS = 10_000
_CENTRAL = 0.02
_SURE = 5.0  # standard errors, over about 50 sets that move together
_MARGIN = 1.1


@dataclass(frozen=True)
class Calibration:
    """What was found for one feature: design effect, and total variation to tolerate (0: nothing to see)."""

    design_effect: float = 1.0
    tolerance: float = 0.0


def block_count(rows: int) -> int:
    """Into how many blocks of time so many rows are cut."""
    return int(np.clip(rows // BLOCK_ROWS, FEWEST_BLOCKS, MOST_BLOCKS))


def calibrate(profile: Profile, bins: Integers) -> Calibration:
    """Design effect and tolerance of one feature.

    Args:
        profile: The feature.
        bins: ``(n,)`` bin of each row, in order of time; at least 10,000 rows.

    Source of the estimate from neighbours: von Neumann, "Distribution of the ratio of the mean square successive
    difference to the variance", Annals of Mathematical Statistics 12, 1941.
    """
    blocks = block_count(bins.size)
    size = bins.size // blocks
    cut = bins[: blocks * size].reshape(blocks, size) + np.arange(blocks)[:, None] * profile.counts.size
    counts = np.bincount(cut.ravel(), minlength=blocks * profile.counts.size).reshape(blocks, -1)
    share = _shares(profile, counts) / size
    mean = share.mean(axis=0)
    central = (mean > _CENTRAL) & (mean < 1 - _CENTRAL)
    if not central.any():
        return Calibration()
    share, mean = share[:, central], mean[central]
    # Second differences: unlike the first ones they hardly see a cycle's steady rise and fall.
    nearby = (np.diff(share, n=2, axis=0) ** 2).mean(axis=0) / 6
    effect = float((size * nearby / (mean * (1 - mean))).max())
    if effect <= 1 + _SURE * np.sqrt(4 / blocks):  # standard error of a mean square second difference
        effect = 1.0
    noise = np.maximum(nearby, mean * (1 - mean) / size)
    wanders = share.var(axis=0, ddof=1) / noise > 1 + _SURE * np.sqrt(2 / blocks)
    tolerance = _MARGIN * float(np.abs(share - mean).max()) if wanders.any() else 0.0
    return Calibration(effect, min(tolerance, 0.99))


def _shares(profile: Profile, counts: Integers) -> Floats:
    """``(blocks, S)`` rows of each block in each set."""
    of = directions(profile)
    running = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    return np.asarray((running[:, of.high] - running[:, of.low]).sum(axis=2), dtype=np.float64)


def bins_of_numbers(profile: Profile, values: Floats) -> Integers:
    """``(n,)`` bin of each number."""
    assert profile.edges is not None
    bins = profile.edges.searchsorted(values, "right")
    return np.where(np.isfinite(values), bins, profile.counts.size - 1).astype(np.int64)


def bins_of_codes(profile: Profile, codes: Integers, labels: "list[str | None]") -> Integers:
    """``(n,)`` bin of each row of a category, from its codes."""
    place = label_places(profile)
    bins = [profile.top + 2 if label is None else place.get(label, profile.top + 1) for label in labels]
    return np.append(bins, profile.top + 2).astype(np.int64)[codes]


def label_places(profile: Profile) -> dict[str, int]:
    """Bin of each label that is kept; booleans are known as 0 and 1 too."""
    place = {label: min(rank, profile.top) for rank, label in enumerate(profile.labels or ())}
    if profile.kind == "boolean":
        for one, other in (("True", "1"), ("False", "0")):
            if one in place and other not in place:
                place[other] = place[one]
            elif other in place and one not in place:
                place[one] = place[other]
    return place
