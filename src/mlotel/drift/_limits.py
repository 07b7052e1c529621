"""Upper confidence limits of a probability, from counts of the reference."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STEPS = 60  # bisection to the last bit of a double


def upper_limit(count: ArrayLike, rows: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Upper limit, at confidence ``1 - alpha``, of the probability of what ``count`` of ``rows`` showed.

    It is never below the Clopper-Pearson limit, and also covers the mass between two order statistics, which is
    Beta(count, rows - count + 1) whatever the law.

    Args:
        count: Rows that showed it; fractions are fine (rows divided by a design effect).
        rows: All rows, of the same shape or one number.
        alpha: Chance that the true probability lies above, in (0, 1).

    Returns:
        Limits in (0, 1]; 1 where every row, or every row but one, showed it.

    Example:
        >>> upper_limit(50, 1000, 1e-3).round(7)
        array([0.0753876])

    Source: Zubkov & Serov, "A complete proof of universal inequalities for the distribution function of the binomial
    law", Theory of Probability and its Applications 57(3), 2013.
    """
    counts, of = np.broadcast_arrays(np.atleast_1d(np.asarray(count, float)), np.asarray(rows, float))
    reach = NormalDist().inv_cdf(alpha) ** 2 / 2
    share = np.minimum((counts + 1) / of, 1.0)
    low, high = share.copy(), np.ones_like(share)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(_STEPS):
            middle = (low + high) / 2
            divergence = share * np.log(share / middle)
            divergence += np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - middle)), 0.0)
            inside = of * divergence <= reach
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(share >= 1, 1.0, high)


def log_spending(check: NDArray[np.integer]) -> NDArray[np.float64]:
    """Logarithm of the share of alpha that a change at each check, from 1, is given: they sum to one.

    ``S(t) = 1 / (1 + log2(1 + t))``, and check ``t`` gets ``S(t - 1) - S(t)``. The share falls a little slower than
    ``1 / t``, so that what is promised holds for ever and costs only a logarithm of the time.

    Example:
        >>> np.exp(log_spending(np.array([1, 2, 10]))).round(7)
        array([0.5      , 0.1131472, 0.0071344])
    """
    t = check.astype(float)
    before, after = 1 + np.log2(t), 1 + np.log2(1 + t)
    return np.asarray(np.log(np.log2(1 + 1 / t)) - np.log(before * after), dtype=float)


def reach_of(alpha: float) -> float:
    """Evidence, in nats, that rules out an accident at level ``alpha``."""
    return -math.log(alpha)
