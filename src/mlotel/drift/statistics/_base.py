"""What a drift statistic is, and what the statistics share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlotel.drift.statistics._counts import Counts, Floats
from mlotel.drift.statistics._samples import Bins, counts_of, finite, finite_pair

__all__ = ["Bins", "Counts", "Floats", "Statistic", "chi2_tail", "counts_of", "finite", "finite_pair"]


@dataclass(frozen=True)
class Statistic:
    """A drift statistic: a number for how far a current sample is from a reference.

    Only ``name`` and ``compute`` are needed; what is left out, the statistic does not have.

    Attributes:
        name: What users type and what ``ml.drift.statistic`` says.
        compute: The statistic of two raw samples, ``compute(reference, current, **options)``.
        unit: Its unit, as OpenTelemetry writes units; ``{score}`` for a plain number.
        lower_bound: Its value for equal samples.
        upper_bound: Its largest value; None when there is none.
        numbers_only: Whether it needs an order, so that text and categories have no such statistic.
        symmetric: Whether exchanging the samples leaves it as it is, in the same bins.
        binned: Whether numbers are put into bins first, which are the reference's.
        from_counts: ``(F,)`` values from counts per bin; NaN where it does not apply.
        noise: ``(F,)`` value to expect when nothing changed, from the same counts; for a root of a sum (``js``,
            ``hellinger``, ``cramers_v``) the root of what to expect of the sum.
        p_value: Probability of a value at least as large when both samples come from one law,
            ``p_value(reference, current, **options)``.
    """

    name: str
    compute: Callable[..., float]
    unit: str = "{score}"
    lower_bound: float = 0.0
    upper_bound: float | None = None
    numbers_only: bool = False
    symmetric: bool = False
    binned: bool = False
    from_counts: Callable[[Counts], Floats] | None = None
    noise: Callable[[Counts], Floats] | None = None
    p_value: Callable[..., float] | None = None

    def __call__(self, reference: Any, current: Any, **options: Any) -> float:
        """The statistic of two raw samples."""
        return self.compute(reference, current, **options)


def chi2_tail(counts: Counts, value: Floats) -> float:
    """Upper tail of the chi-square law with one degree of freedom less than there are bins.

    Args:
        counts: Of one feature.
        value: ``(1,)``, a statistic that has this law, nearly, when nothing changed and no bin is all but empty.
    """
    # Loaded here: half a second that only p-values cost.
    from scipy import special  # type: ignore[import-untyped]  # scipy ships no types

    return float(special.chdtrc(counts.bins[0] - 1, value[0])) if counts.bins[0] > 1 else 1.0
