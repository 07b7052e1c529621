"""Statistics of a report against raw data, scipy and simulation."""

import json

import numpy as np
import pytest
from drift_simulation import STUDIED, Law, profile_of
from scipy import stats

from mlotel import drift
from mlotel.drift import Detector, Reference
from mlotel.drift._layout import Layout
from mlotel.drift.statistics.ks import ks_upper_from_counts
from mlotel.errors import NotFoundError

PAIRS = {
    "null": (stats.norm(), stats.norm()),
    "mean +0.25": (stats.norm(), stats.norm(0.25)),
    "variance": (stats.norm(), stats.norm(0, 1.14)),
    "lognormal": (stats.lognorm(1), stats.lognorm(1)),
    "lognormal x1.2": (stats.lognorm(1), stats.lognorm(1, scale=1.2)),
    "t3 +0.25": (stats.t(3), stats.t(3, 0.25)),
}


@pytest.fixture(scope="module")
def windows():
    """Reference of 100,000 rows, window of 1,000 rows and the report on it, for each pair of laws."""
    rng = np.random.default_rng(0)
    found = []
    for one, other in PAIRS.values():
        reference = one.rvs(size=100_000, random_state=rng)
        fitted = Reference.fit({"x": reference})
        for _ in range(3):
            current = other.rvs(size=1000, random_state=rng)
            detector = Detector(fitted)
            detector.update({"x": current})
            found.append((reference, current, detector.check()["x"]))
    return found


def test_ks_is_bounded_from_both_sides(windows):
    """The binned distance is at most the exact one, by no more than 0.007, and its upper bound at least that."""
    for reference, current, report in windows:
        exact = stats.ks_2samp(reference, current).statistic
        upper = ks_upper_from_counts(report._found.counts)[0]
        assert report.score("ks") - 1e-12 <= exact <= upper + 1e-12
        assert exact - report.score("ks") <= 0.007


def test_wasserstein_is_nearly_exact(windows):
    """The binned distance, in standard deviations, is at most scipy's and within 0.01 of it."""
    for reference, current, report in windows:
        exact = stats.wasserstein_distance(reference, current) / reference.std()
        assert exact - 0.01 <= report.score("wasserstein") <= exact + 1e-9


def test_divergences_are_those_of_the_raw_samples(windows):
    """PSI, JS, Hellinger, TVD, chi-square and V equal the functions for two samples, as deciles of the raw data."""
    for reference, current, report in windows:
        for name in ("psi", "js", "hellinger", "tvd", "chi2", "cramers_v"):
            assert report.score(name) == pytest.approx(getattr(drift, name)(reference, current), abs=1e-12), name
        deciles = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
        old, new = (np.bincount(deciles.searchsorted(x, "right"), minlength=10) for x in (reference, current))
        p, q = (new + 0.5) / (1000 + 5), (old + 0.5) / (100_000 + 5)
        assert report.score("psi") == pytest.approx(((p - q) * np.log(p / q)).sum(), abs=0.005)


@pytest.mark.parametrize("law", [law for law in STUDIED if not isinstance(law, Law) and len(law) <= 10], ids=len)
def test_scores_of_categories_are_those_of_the_raw_samples(law):
    """With at most ten categories every one has its own group, so all scores equal those of the raw columns."""
    rng = np.random.default_rng(len(law))
    labels = np.array([f"c{place}" for place in range(len(law))])
    reference, current = labels[rng.choice(len(law), 20_000, p=law)], labels[rng.choice(len(law), 2000, p=law[::-1])]
    detector = Detector(Reference.fit({"x": reference}))
    detector.update({"x": current})
    report = detector.check()["x"]

    for name in ("psi", "js", "hellinger", "tvd", "chi2", "cramers_v"):
        assert report.score(name) == pytest.approx(getattr(drift, name)(reference, current), abs=1e-12), name
    assert report.score("ks") is None
    assert report.score("wasserstein") is None
    assert report.moments == {}


def test_noise_is_what_scores_are_when_nothing_changed():
    """Noise columns are within 3 % of the mean over 20,000 windows of 1,000 rows, on the scale where that is exact."""
    rng = np.random.default_rng(1)
    profile = profile_of(STUDIED[0], rng, 100_000)
    layout = Layout([profile])
    group = profile.groups()
    reference = np.bincount(group, profile.counts, minlength=12)
    true = np.full(10, 0.1)
    drawn_reference = rng.multinomial(100_000, true, size=20_000)
    drawn = rng.multinomial(1000, true, size=20_000)
    counts = drift.statistics.Counts(drawn_reference.astype(float), drawn.astype(float))
    one = layout.counts(profile.counts, np.zeros(profile.counts.size))

    assert reference[:10].sum() == 100_000
    assert one.reference.shape == (1, 12)
    for name, power in (("psi", 1), ("tvd", 1), ("chi2", 1), ("js", 2), ("hellinger", 2), ("cramers_v", 2)):
        statistic = drift.statistics.get(name)
        mean = (statistic.from_counts(counts) ** power).mean()
        assert statistic.noise(counts).mean() ** power == pytest.approx(mean, rel=0.03), name


def test_below_500_rows_there_is_no_score():
    """Scores wait until 500 rows have come since the last ones; the decision does not."""
    rng = np.random.default_rng(2)
    detector = Detector(Reference.fit({"x": rng.normal(size=50_000)}))
    scores, rows, evidence = [], [], []
    for _ in range(6):
        detector.update({"x": rng.normal(1, size=200)})
        report = detector.check()["x"]
        scores.append(report.score("psi"))
        rows.append((report.rows, report.scored_rows))
        evidence.append(report.evidence)

    assert [score is None for score in scores] == [True, True, False, True, True, False]
    assert rows == [(200, 0), (200, 0), (200, 600)] * 2
    assert report.missing == 0
    assert max(evidence) >= 1


def test_rows_of_each_check_add_up():
    """Rows since the last check, by group, sum to every row that was added, whenever scores were made."""
    rng = np.random.default_rng(5)
    detector = Detector(Reference.fit({"x": rng.normal(size=5000), "c": rng.choice(list("ab"), 5000)}))
    total = np.zeros((2, 12), np.int64)
    values = {"x": rng.normal(size=2110), "c": rng.choice(list("abz"), 2110)}
    values["x"][::10] = np.nan
    for start in range(0, 2110, 170):
        detector.update({name: column[start : start + 170] for name, column in values.items()})
        report = detector.check()
        total += [report["x"].arrived, report["c"].arrived]
    whole = Detector(detector.reference)
    whole.update(values)
    report = whole.check()

    assert total.tolist() == [report["x"].groups[1].tolist(), report["c"].groups[1].tolist()]
    assert total[0, 10] == 211
    assert total[1, 11] == (values["c"] == "z").sum()


def test_unknown_statistics_are_refused_and_inapplicable_ones_are_none():
    """A name that is no statistic raises with the nearest one; Wasserstein has no noise."""
    rng = np.random.default_rng(3)
    detector = Detector(Reference.fit({"x": rng.normal(size=2000)}))
    detector.update({"x": rng.normal(size=600)})
    report = detector.check()["x"]

    with pytest.raises(NotFoundError, match="psi"):
        report.score("pis")
    assert report.score("wasserstein") is not None
    assert report.noise("wasserstein") is None
    assert report.noise("ks") == pytest.approx(0.0371, rel=0.03)  # mean of 400 pairs of samples of these sizes


def test_a_report_is_json(windows):
    """`to_dict` survives JSON and says what the attributes say."""
    rng = np.random.default_rng(4)
    detector = Detector(Reference.fit({"x": rng.normal(size=50_000), "c": rng.choice(list("ab"), 50_000)}))
    for _ in range(4):
        detector.update({"x": rng.normal(1, size=1000), "c": ["a"] * 600 + ["zebra"] * 390 + [None] * 10})
        report = detector.check()
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))

    assert plain["alarms"] == ["x", "c"]
    assert plain["features"]["x"]["scores"]["psi"] == report["x"].score("psi")
    assert plain["features"]["x"]["onset"] == report["x"].onset == 4
    assert plain["features"]["c"]["unseen"] == pytest.approx(0.39)
    assert plain["features"]["c"]["missing"] == pytest.approx(0.01)
    assert plain["features"]["c"]["scores"]["ks"] is None
    assert plain["features"]["x"]["out_of_range"] == report["x"].out_of_range
