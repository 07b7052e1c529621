"""Rows for the tests of `mlotel.observe`: a number, an integer, a category and a boolean."""

import numpy as np

from mlotel.drift import Detector, Reference


def rows(size, seed, *, shift=0.0):
    """``size`` rows; ``shift`` moves delay by so many standard deviations."""
    rng = np.random.default_rng(seed)
    return {
        "delay": rng.normal(10 + 20 * shift, 20, size),
        "stops": rng.poisson(3, size),
        "carrier": rng.choice(["AA", "DL", "UA"], size, p=[0.5, 0.3, 0.2]),
        "held": rng.random(size) < 0.2,
    }


def fitted():
    """The reference."""
    rng = np.random.default_rng(99)
    return Reference.fit(
        rows(20_000, 0),
        predictions=rng.choice(["late", "early", "on time"], 20_000, p=[0.5, 0.3, 0.2]),
        labels=rng.integers(0, 2, 20_000),
    )


def wide(features, size=200):
    """A detector of many features."""
    rng = np.random.default_rng(0)
    return Detector(Reference.fit({f"f{place:03d}": rng.normal(size=size) for place in range(features)}))
