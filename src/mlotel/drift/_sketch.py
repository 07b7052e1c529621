"""Quantiles of a stream that does not fit in memory.

A KLL sketch with compactors of one size, on arrays: published ones are compiled code for one value at a time, or a
dependency that a reference from a stream alone would need.
"""

import numpy as np

from mlotel.drift._profile import Floats

SIZE = 8192


class Sketch:
    """Finite numbers, of which every further level keeps each second one at random.

    Attributes:
        rows: Numbers added.

    The rank of a number is off by a mean-zero error with a standard deviation of at most ``sqrt(2) * rows / size``.

    Source: Karnin, Lang & Liberty, "Optimal quantile approximation in streams", FOCS 2016.

    Example:
        >>> sketch = Sketch()
        >>> for start in range(0, 1_000_000, 10_000):
        ...     sketch.add(np.arange(start, start + 10_000.0))
        >>> bool(abs(sketch.below(np.array([250_000.0]))[0] / 1e6 - 0.25) < 0.001)
        True
    """

    def __init__(self, seed: int = 0) -> None:
        self.rows = 0
        self._rng = np.random.default_rng(seed)
        self._levels: list[list[Floats]] = [[]]

    def add(self, values: Floats) -> None:
        """Add ``(n,)`` finite numbers."""
        self.rows += values.size
        self._levels[0].append(np.array(values, dtype=np.float64))
        level = 0
        while level < len(self._levels) and sum(part.size for part in self._levels[level]) >= SIZE:
            ordered = np.sort(np.concatenate(self._levels[level]))
            even = ordered.size // 2 * 2
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level] = [ordered[even:]]
            self._levels[level + 1].append(self._halved(ordered[:even]))
            level += 1

    def _halved(self, ordered: Floats) -> Floats:
        """Every second number, in runs of ``SIZE`` so that large batches leave as little error as small ones."""
        return np.concatenate([
            ordered[start : start + SIZE][int(self._rng.integers(2)) :: 2] for start in range(0, ordered.size, SIZE)
        ])  # fmt: skip

    def items(self) -> tuple[Floats, Floats]:
        """The numbers that are left, sorted, and how many each of them stands for."""
        parts = [(part, 2.0**level) for level, kept in enumerate(self._levels) for part in kept if part.size]
        if not parts:
            return np.empty(0), np.empty(0)
        values = np.concatenate([part for part, _ in parts])
        weights = np.concatenate([np.full(part.size, weight) for part, weight in parts])
        order = np.argsort(values, kind="stable")
        return values[order], weights[order]

    def below(self, at: Floats) -> Floats:
        """How many of the numbers added are less than each of ``at``."""
        values, weights = self.items()
        running = np.concatenate([[0.0], np.cumsum(weights)])
        below: Floats = running[values.searchsorted(at, "left")]
        return below

    @property
    def error(self) -> float:
        """Rows by which a rank is off at most, at five standard deviations; 0 while nothing was left out."""
        return 5 * 2**0.5 * self.rows / SIZE if len(self._levels) > 1 else 0.0


def spread_out(values: Floats, weights: Floats, most: int = 200_000) -> Floats:
    """A sorted sample in which each number occurs about in proportion to its weight."""
    total = weights.sum()
    if total <= most:
        return np.repeat(values, weights.astype(np.int64))
    targets = (np.arange(most) + 0.5) * (total / most)
    spread: Floats = values[np.minimum(np.cumsum(weights).searchsorted(targets), values.size - 1)]
    return spread
