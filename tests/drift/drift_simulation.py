"""Laws, and the simulations behind the acceptance figures: short ones for the tests, long ones for `make bench-drift`.

Windows are drawn as counts in the reference's bins, from the exact probabilities of each bin, so that ten million rows
cost as much as ten thousand. Everything else is the library's own code.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import signal, stats

from mlotel.drift._bins import category_profile, choosers, number_profile
from mlotel.drift._evidence import Counter, Evidence, Promise
from mlotel.drift._limits import upper_limit
from mlotel.drift._sets import directions


@dataclass(frozen=True)
class Law:
    """A law of numbers: P(X < x), and how to draw from it."""

    name: str
    below: Callable
    draw: Callable


def continuous(name, law, loc=0.0, scale=1.0):
    def below(x):
        return law.cdf((x - loc) / scale)

    return Law(name, below, lambda rng, n: law.rvs(size=n, random_state=rng) * scale + loc)


def whole(name, law):
    def below(x):
        return np.where(np.isfinite(x), law.cdf(np.ceil(np.nan_to_num(x)) - 1), x > 0)

    return Law(name, below, lambda rng, n: law.rvs(size=n, random_state=rng).astype(float))


def rounded(name, law, digits):
    unit = 10.0**-digits

    def below(x):  # the grid's value v stands for [v - unit / 2, v + unit / 2)
        inside = np.where(np.isfinite(x), x, 0.0)
        place = np.round(inside / unit)
        is_past = inside > np.round(place * unit, digits)
        return np.where(np.isfinite(x), law.cdf((place + np.where(is_past, 0.5, -0.5)) * unit), x > 0)

    return Law(name, below, lambda rng, n: np.round(np.round(law.rvs(size=n, random_state=rng) / unit) * unit, digits))


def inflated(name, share, law):
    def below(x):
        return np.where(x > 0, share + (1 - share) * law.cdf(x), 0.0)

    def draw(rng, n):
        return np.where(rng.random(n) < share, 0.0, law.rvs(size=n, random_state=rng))

    return Law(name, below, draw)


def mixture(name, share, one, other):
    def draw(rng, n):
        is_one = rng.random(n) < share
        return np.where(is_one, one.rvs(size=n, random_state=rng), other.rvs(size=n, random_state=rng))

    return Law(name, lambda x: share * one.cdf(x) + (1 - share) * other.cdf(x), draw)


def standardised(name, law):
    mean, sd = law.mean(), law.std()
    return Law(name, lambda x: law.cdf(x * sd + mean), lambda rng, n: (law.rvs(size=n, random_state=rng) - mean) / sd)


def zipf(size):
    weights = 1 / np.arange(1, size + 1)
    return weights / weights.sum()


NORMAL = continuous("normal", stats.norm())
STUDIED = [
    NORMAL, continuous("lognormal", stats.lognorm(1)), continuous("gamma 2", stats.gamma(2)),
    continuous("exponential", stats.expon()), continuous("uniform", stats.uniform()), continuous("t3", stats.t(3)),
    continuous("beta", stats.beta(0.5, 0.5)), mixture("bimodal", 0.6, stats.norm(-2), stats.norm(1.5, 0.5)),
    continuous("weibull", stats.weibull_min(0.8)), continuous("logistic", stats.logistic()),
    continuous("normal 100", stats.norm(100, 15)), continuous("pareto", stats.pareto(2.5)),
    continuous("gumbel", stats.gumbel_r()), inflated("zero-inflated", 0.6, stats.gamma(2)),
    whole("poisson 3", stats.poisson(3)), whole("poisson 50", stats.poisson(50)),
    zipf(10), zipf(200), np.array([0.97, 0.03]), np.array([0.5, 0.5]),
]  # fmt: skip
"""The laws of the study that the figures come from: numbers, and shares of categories."""

FURTHER = [
    continuous("laplace", stats.laplace()), continuous("cauchy", stats.cauchy()),
    continuous("epoch seconds", stats.uniform(), 1.6e9, 86_400), continuous("tiny", stats.gamma(0.3), 0, 1e-9),
    continuous("half-normal", stats.halfnorm()), mixture("contaminated", 0.98, stats.norm(), stats.norm(0, 20)),
    rounded("one decimal", stats.norm(), 1), rounded("two decimals", stats.expon(), 2),
    whole("geometric", stats.geom(0.2)),
    whole("negative binomial", stats.nbinom(2, 0.02)), whole("binomial 9", stats.binom(9, 0.7)),
    inflated("half zero", 0.5, stats.lognorm(2)), inflated("seldom", 0.995, stats.expon()),
    whole("dice", stats.randint(1, 7)),
    continuous("chi-square", stats.chi2(1)), continuous("arcsine-like", stats.beta(0.2, 0.7)),
    zipf(30), zipf(1000), np.array([0.999, 0.001]), np.full(40, 1 / 40),
]  # fmt: skip
"""Laws that the study never saw."""


def profile_of(law, rng, rows):
    """A reference of one feature."""
    if isinstance(law, Law):
        return number_profile("x", "numeric", law.draw(rng, rows))
    values = rng.choice(len(law), size=rows, p=law)
    chosen = choosers(rows)
    tallies = [
        {str(label): int(count) for label, count in zip(*np.unique(values[part], return_counts=True), strict=True)}
        for part in (chosen, ~chosen)
    ]
    return category_profile("x", "category", *tallies)


def chances(profile, law, missing=0.0):
    """Probability of each bin of a profile under a law."""
    if isinstance(law, Law):
        inner = np.diff(np.concatenate([[0.0], law.below(profile.edges), [1.0]]))
        found = np.append(np.clip(inner, 0, 1) * (1 - missing), missing)
    else:
        found = np.zeros(profile.counts.size)
        place = {label: min(rank, profile.top) for rank, label in enumerate(profile.labels)}
        for label, share in enumerate(law):
            found[place.get(str(label), profile.top + 1)] += share
    return found / found.sum()


class Source:
    """Draws windows of counts, all features in one flat array."""

    def __init__(self, chances_of_each):
        widest = max(map(len, chances_of_each))
        self._chances = np.zeros((len(chances_of_each), widest))
        self._is_bin = np.zeros(self._chances.shape, bool)
        for place, row in enumerate(chances_of_each):
            self._chances[place, : len(row)] = row
            self._is_bin[place, : len(row)] = True
        self._chances /= self._chances.sum(axis=1, keepdims=True)

    def __call__(self, rng, rows):
        return rng.multinomial(rows, self._chances)[self._is_bin]


def population(rng, rows, laws=STUDIED):
    """One reference a law, and windows of the same laws."""
    profiles = [profile_of(law, rng, rows) for law in laws]
    return profiles, Source([chances(profile, law) for profile, law in zip(profiles, laws, strict=True)])


def evidence_of(profiles, counter, *, tolerance=0.01, alpha=0.01, min_windows=2, features=20, **promise):
    return Evidence(profiles, counter, Promise(alpha, min_windows, features, **promise), tolerance)


def false_alarms(seed, *, runs, checks, reference_rows, rows, laws=STUDIED, tolerance=0.01, **promise):
    """Runs in which any of 20 features alarms though nothing changes, those of all together, the largest ln M."""
    rng = np.random.default_rng(seed)
    features, anything, largest = 0, 0, -np.inf
    for _ in range(runs):
        profiles, source = population(rng, reference_rows, laws)
        counter = Counter(profiles)
        evidence = evidence_of(profiles, counter, tolerance=tolerance, features=len(laws), **promise)
        feature_alarm = any_alarm = False
        for _ in range(checks):
            log_e = evidence.step(*counter(source(rng, rows)))
            feature_alarm |= bool(evidence.alarms.any())
            any_alarm |= evidence.any_score >= 1
            largest = max(largest, float(log_e.max()))
            if feature_alarm and promise.get("trusts_reference"):
                break
        features += feature_alarm
        anything += any_alarm
    return features, anything, largest


def delays(
    seed, law, changed, *, runs, reference_rows, rows, stable=200, most=400, clock=0, missing=0.0, tolerance=0.01,
    min_windows=1, stop=True,
):  # fmt: skip
    """Checks that each run takes to alarm after the change; infinite when it never does, negative when it is early.

    ``changed`` is a law, or a function from the number of the check, from 0, to one. ``clock`` sets forward the time
    that has gone by before.
    """
    rng = np.random.default_rng(seed)
    profiles = [profile_of(law, rng, reference_rows) for _ in range(runs)]
    counter = Counter(profiles)
    evidence = evidence_of(profiles, counter, tolerance=tolerance, min_windows=min_windows)
    evidence.t += clock
    found = np.full(runs, np.inf)
    source = Source([chances(profile, law) for profile in profiles])
    for check in range(stable):
        evidence.step(*counter(source(rng, rows)))
        found[evidence.alarms & np.isinf(found)] = check - stable
    is_moving = callable(changed)
    for check in range(most):
        if check == 0 or is_moving:
            now = changed(check) if is_moving else changed
            source = Source([chances(profile, now, missing) for profile in profiles])
        evidence.step(*counter(source(rng, rows)))
        found[evidence.alarms & np.isinf(found)] = check + 1
        if stop and np.isfinite(found).all():
            break
    return found


def at_the_edge(seed, *, runs, checks, rows, tolerance, alpha=0.2):
    """Runs that alarm when the reference is known and the law is exactly as far away as is tolerated."""
    rng = np.random.default_rng(seed)
    profile = profile_of(NORMAL, rng, 50_000)
    share = profile.counts / profile.rows
    if tolerance:  # that much moves from below the median to above it
        low = np.arange(share.size) <= profile.edges.searchsorted(0.0)
        low[-1] = False
        high = ~low
        high[-1] = False
        share = share.copy()
        share[low] *= 1 - tolerance / share[low].sum()
        share[high] *= 1 + tolerance / share[high].sum()
    profiles = [profile] * runs
    counter = Counter(profiles)
    evidence = evidence_of(
        profiles, counter, tolerance=tolerance, alpha=alpha, min_windows=1, features=1, trusts_reference=True
    )
    source = Source([share] * runs)
    alarmed = np.zeros(runs, bool)
    for _ in range(checks):
        evidence.step(*counter(source(rng, rows)))
        alarmed |= evidence.alarms
    return int(alarmed.sum())


def violated_limits(seed, law, *, references, rows, alpha=0.2):
    """References with any limit of the feature below the true probability."""
    rng = np.random.default_rng(seed)
    violated = 0
    for _ in range(references):
        profile = profile_of(law, rng, rows)
        of = directions(profile)
        limit = upper_limit(of.counts, of.rows, alpha / of.share.size)
        running = np.concatenate([[0.0], np.cumsum(chances(profile, law))])
        inside = (running[of.high] - running[of.low]).sum(axis=1)
        true = np.concatenate([inside, 1 - inside])
        violated += bool(((true > limit + 1e-9) & (limit < 1)).any())
    return violated


def autoregressive(rng, rows, memory):
    """``rows`` standard normal numbers, each correlated by ``memory`` with the one before."""
    if not memory:
        return rng.normal(size=rows)
    noise = rng.normal(size=rows) * np.sqrt(1 - memory**2)
    return signal.lfilter([1], [1, -memory], noise, zi=[memory * rng.normal()])[0]


def moved(shares, source, target, mass):
    """Categories of which one has lost ``mass`` to another."""
    result = shares.copy()
    result[source] -= mass
    result[target] += mass
    return result


@functools.cache
def ramp(rows):
    """A mean that moves to half a standard deviation over 50,000 rows, by check."""
    return lambda check: continuous("ramp", stats.norm(0.5 * min((check + 0.5) * rows / 50_000, 1)))


CHANGES = {
    "mean +0.1 sd": continuous("", stats.norm(0.1)),
    "mean +0.25 sd": continuous("", stats.norm(0.25)),
    "mean +0.5 sd": continuous("", stats.norm(0.5)),
    "variance x1.3": continuous("", stats.norm(0, 1.3**0.5)),
    "skewness only": standardised("", stats.skewnorm(5)),
    "kurtosis only": standardised("", stats.t(5)),
}
