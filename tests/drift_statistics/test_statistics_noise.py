"""The noise of each statistic is what it comes to, on average, when nothing changed."""

import numpy as np
import pytest
from statistics_cases import generator

from mlotel.drift import statistics
from mlotel.drift.statistics import Counts, Ordered

DRAWS, CURRENT, REFERENCE = 20_000, 1000, 100_000
ROOTS = {"js", "hellinger", "cramers_v"}  # their noise is the root of the mean square

SHARES = {
    "deciles": np.full(10, 0.1),
    "sixty bins": np.full(60, 1 / 60),
    "uneven": np.array([0.4, 0.2, 0.2, 0.1, 0.05, 0.05]),
    "two values": np.array([0.7, 0.3]),
    "mostly zero": np.concatenate([[0.6], np.full(40, 0.01)]),
    "counts": np.array([0.05, 0.15, 0.22, 0.22, 0.17, 0.1, 0.05, 0.04]),
    "a thin value amid": np.array([0.3, 0.005, 0.695]),
    "a thin value first": np.array([0.005, 0.495, 0.5]),
}
CROWDED = {"psi": {"sixty bins", "mostly zero", "a thin value amid", "a thin value first"}}
CROWDED["js"] = CROWDED["hellinger"] = CROWDED["psi"]


@pytest.fixture(scope="module", params=SHARES)
def drawn(request):
    """20,000 pairs of samples of one law, counted in the same bins."""
    shares = SHARES[request.param]
    g = generator(7)
    rows = [g.multinomial(size, shares, DRAWS).astype(float) for size in (REFERENCE, CURRENT)]
    edges = np.broadcast_to(np.arange(shares.size - 1.0), (DRAWS, shares.size - 1))
    expected = (shares * REFERENCE)[None], (shares * CURRENT)[None]
    return (
        request.param,
        Counts(*rows, Ordered(np.arange(DRAWS), edges, *rows)),
        Counts(*expected, Ordered(np.array([0]), edges[:1], *expected)),
    )


@pytest.mark.parametrize("name", [name for name in statistics.names() if statistics.get(name).noise])
def test_noise_is_the_mean_of_many_draws(name, drawn):
    """With 1,000 rows it is within 3 % of the mean of 20,000 draws; 4 % where bins expect but five rows."""
    case, counts, expected = drawn
    statistic = statistics.get(name)
    values = statistic.from_counts(counts)
    mean = np.sqrt((values**2).mean()) if name in ROOTS else values.mean()

    assert statistic.noise(expected)[0] == pytest.approx(mean, rel=0.04 if case in CROWDED.get(name, ()) else 0.03)


@pytest.mark.parametrize("name", ["ks", "psi", "tvd", "chi2"])
def test_noise_of_two_raw_samples(name):
    """For two whole samples it is within 3 % of what 2,000 pairs give, as any statistic's user would check it."""
    g = generator(3)
    reference = g.normal(size=20_000)
    values = [statistics.get(name)(reference, g.normal(size=1000)) for _ in range(400)]
    noise = statistics.noise(name, reference, g.normal(size=1000))

    error = np.std(values) / np.sqrt(len(values)) / np.mean(values)
    assert noise == pytest.approx(np.mean(values), rel=0.03 + 2 * error)


def test_noise_falls_with_the_root_of_the_rows():
    """A hundred times the rows on both sides have a tenth of the noise, or a hundredth for psi."""
    g = generator(4)
    few, many = g.normal(size=(2, 300)), g.normal(size=(2, 30_000))
    for name in statistics.names():
        if statistics.get(name).noise is None:
            continue
        ratio = statistics.noise(name, *few) / statistics.noise(name, *many)
        assert ratio == pytest.approx({"psi": 100, "chi2": 1}.get(name, 10), rel=0.05 if name == "ks" else 0.02)
