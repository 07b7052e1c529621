"""Samples that every statistic is asked about."""

import numpy as np

from flights_table import flights_table

LARGEST = np.finfo(np.float64).max


def generator(seed=0):
    return np.random.default_rng(seed)


# Reference and current, of numbers; each statistic answers all of them.
PAIRS = {
    "equal": (np.arange(300.0), np.arange(300.0)),
    "disjoint": (np.arange(300.0), np.arange(300.0) + 1000),
    "unequal sizes": (generator().normal(size=1000), generator(1).normal(0.5, size=77)),
    "constant, the same": (np.full(50, 7.0), np.full(20, 7.0)),
    "constant, another": (np.full(50, 7.0), np.full(20, 8.0)),
    "constant, between": (np.array([1.0, 2.0] * 20), np.full(20, 1.5)),
    "ties": (np.repeat([0.0, 1.0, 5.0], [60, 30, 10]), np.repeat([0.0, 1.0, 5.0], [10, 30, 60])),
    "one value each": (np.array([3.0]), np.array([4.0])),
    "one against many": (generator().normal(size=500), np.array([0.1])),
    "integers": (generator().poisson(3, 400), generator(1).poisson(4, 300)),
    "large integers": (2**60 + np.arange(100), 2**60 + np.arange(100) + 50),
    "unsigned": (np.arange(200, dtype=np.uint64) + 2**63, np.arange(200, dtype=np.uint64) + 2**63 + 100),
    "booleans": (np.array([True] * 30 + [False] * 70), np.array([True] * 60 + [False] * 40)),
    "float32": (generator().normal(size=300).astype(np.float32), generator(1).normal(size=300).astype(np.float32)),
    "missing and infinite": (
        np.array([1.0, np.nan, 2.0, np.inf, 3.0, 4.0] * 20),
        np.array([1.0, 2.0, -np.inf, 3.0, np.nan, 9.0] * 10),
    ),
    "heavy tails": (generator().pareto(0.5, 400), generator(1).pareto(0.6, 400)),
    "very large": (np.array([-1e307, 0.0, 1e307]), np.array([0.0, 1e307, 1.5e307])),
    "largest floats": (LARGEST * np.array([-1.0, 0.0, 1.0]), LARGEST * np.array([0.0, 1.0])),
    "very small": (generator().normal(size=300) * 1e-300, generator(1).normal(size=300) * 1e-300),
    "zero inflated": (
        np.where(generator().random(500) < 0.6, 0.0, generator().gamma(2, size=500)),
        np.where(generator(1).random(500) < 0.4, 0.0, generator(1).gamma(2, size=500)),
    ),
}

TEXT = {
    "equal": (["AA", "DL", "UA"] * 10, ["AA", "DL", "UA"] * 4),
    "disjoint": (["AA", "DL"] * 10, ["WN"] * 15),
    "unequal sizes": (["AA"] * 70 + ["DL"] * 30, ["AA"] * 7 + ["DL"] * 10),
    "one value each": (["AA"], ["DL"]),
    "missing": (["AA", None, "DL"] * 10, ["AA", "DL", "DL"] * 10),
    "unseen": (["AA", "DL"] * 10, ["AA", "WN"] * 10),
}


def flights():
    """The flights of January to June and of July 2013."""
    table = flights_table()
    return table[table["month"] <= 6], table[table["month"] == 7]
