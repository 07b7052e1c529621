"""The figures that drift detection is held to, each beside its bound: ``make bench-drift``.

    python bench/drift.py [--quick] [--seed 0] [--only fwer delay ...]

Windows are drawn as counts from the exact probabilities of the bins, so a run of ten million rows takes seconds;
everything else is the library's own code. Sections:

- identities: known values of the formulas; counts against ``np.bincount``; a state that is saved and goes on;
- limits: share of references with any limit of a feature below the true probability, at a_ref = 0.2;
- edge: share of runs that alarm at alpha = 0.2 with the law known and exactly as far away as is tolerated;
- fwer: runs with any alarm on 20 features while nothing changes, on the laws of the study and on others;
- control: the same without the limits of the reference, which must alarm;
- delay: median rows from a change to its alarm;
- equivalence: runs that alarm in ten million rows at a shift below the tolerance; levels of the ladder;
- life: when an alarm is raised, whether it has gaps, when it clears;
- dependence: false alarms on rows that remember each other and on daily cycles, calibrated from times;
- statistics: errors of binned statistics, and of their noise, against raw data;
- cost: processor time as a ratio to ``np.sort`` of the same data, and sizes.

The whole takes about half an hour, ``--quick`` about two minutes. Exit status 1 when a bound is missed. ``make bench``
runs the part about cost alone.
"""

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "drift"))

import drift_simulation as sim  # noqa: E402 - the laws and simulations that the tests use too

from mlotel.drift import Detector, Reference  # noqa: E402
from mlotel.drift._calibrate import bins_of_numbers, calibrate  # noqa: E402
from mlotel.drift._evidence import Counter, Promise  # noqa: E402
from mlotel.drift._ladder import Ladder  # noqa: E402
from mlotel.drift._limits import log_spending, upper_limit  # noqa: E402
from mlotel.drift.statistics import Counts, get  # noqa: E402
from mlotel.drift.statistics.ks import ks_upper_from_counts  # noqa: E402

Row = tuple[str, float, float, bool]
NORMAL, CHANGES = sim.NORMAL, sim.CHANGES
BY_NAME = {law.name: law for law in [*sim.STUDIED, *sim.FURTHER] if isinstance(law, sim.Law)}


def most(what: str, measured: float, bound: float) -> Row:
    return what, float(measured), float(bound), bool(measured <= bound)


def least(what: str, measured: float, bound: float) -> Row:
    return what, float(measured), float(bound), bool(measured >= bound)


def identities(quick: bool, seed: int) -> Iterator[Row]:
    known = {(0, 1000, 1e-3): 0.0078064, (50, 1000, 1e-3): 0.0753876, (500, 1000, 1e-6): 0.5757206,
             (50_000, 100_000, 2.5e-6): 0.5072272}  # fmt: skip
    yield most("limits off their known values", max(abs(upper_limit(*a)[0] - b) for a, b in known.items()), 1e-6)
    shares = np.exp(log_spending(np.arange(1, 1_000_001)))
    off = np.abs(shares[[0, 1, 9]] - [0.5, 0.1131472, 0.0071344]).max()
    yield most("shares of alpha off their known values", max(off, abs(shares.sum() - 0.952225)), 1e-6)
    hits = np.arange(201)
    gain = hits * np.log(0.2 / 0.1) + (200 - hits) * np.log(0.8 / 0.9)
    yield most("gain of 30 of 200 off its known value", abs(gain[30] - 0.771299), 1e-6)
    means = [(stats.binom.pmf(hits, 200, p) * np.exp(gain)).sum() for p in (0.1, 0.08)]
    yield most("mean factor at the limit, from 1", abs(means[0] - 1), 1e-9)
    yield most("mean factor below the limit", means[1], 1)
    rng = np.random.default_rng(seed)
    rows = 20_000
    values = np.column_stack([
        rng.choice([0.0, 0.01, 1.0, np.nan, np.inf, -np.inf], rows), np.full(rows, 3.0), rng.poisson(3, rows),
        rng.normal(size=rows) + 1.6e9, np.where(rng.random(rows) < 0.6, 0.0, rng.gamma(2, size=rows)),
    ])  # fmt: skip
    reference = Reference.fit(values)
    whole, pieces = Detector(reference), Detector(reference)
    whole.update(values)
    order, done = rng.permutation(rows), 0
    while done < rows:
        size = int(rng.choice([1, 7, 300, 5000]))
        pieces.update(values[order[done : done + size]] if size > 1 else values[order[done]].tolist())
        done += size
        pieces = Detector.from_state(pieces.state()) if rng.random() < 0.05 else pieces
    reports = [detector.check() for detector in (whole, pieces)]
    wrong = 0
    for place, name in enumerate(reference.names):
        profile, column = reference[name], values[:, place]
        finite = column[np.isfinite(column)]
        exact = np.bincount(profile.edges.searchsorted(finite, "right"), minlength=profile.edges.size + 1)
        exact = np.append(exact, rows - finite.size)
        wrong += sum(int(np.abs(report[name].counts - exact).sum()) for report in reports)
    yield most("rows in another bin than np.bincount has them, in any chunks and order", wrong, 0)
    again = Detector.from_state(whole.state())
    different = 0
    for window in np.array_split(values, 7):
        for detector in (whole, again):
            detector.update(window)
            detector.check()
        again = Detector.from_state(again.state())
        different += whole.state() != again.state()
    yield most("states that differ after saving and loading, of 7", different, 0)


def limits(quick: bool, seed: int) -> Iterator[Row]:
    references = 40 if quick else 150
    laws = {name: BY_NAME[name] for name in ("normal", "poisson 3", "zero-inflated", "two decimals", "binomial 9")}
    laws |= {f"zipf {size}": sim.zipf(size) for size in (30, 200, 1000)}
    for rows in (2000, 10_000):
        for name, law in laws.items():
            violated = sim.violated_limits(seed, law, references=references, rows=rows)
            yield most(f"limits violated, {name}, {rows:,} rows", violated / references, 0.2)


def edge(quick: bool, seed: int) -> Iterator[Row]:
    runs, checks = (250, 200) if quick else (1000, 400)
    for rows in (50, 1000):
        for tolerance in (0.0, 0.01):
            share = sim.at_the_edge(seed, runs=runs, checks=checks, rows=rows, tolerance=tolerance) / runs
            yield most(f"alarms at the edge, tolerance {tolerance}, {rows} rows", share, 0.2)
            if not tolerance:
                yield least(f"  none would be a defect, {rows} rows", share, 1 / runs)


def fwer(quick: bool, seed: int) -> Iterator[Row]:
    runs, checks = (10, 300) if quick else (60, 2000)
    for reference_rows, rows in ((2000, 1000), (10_000, 1000), (10_000, 10_000), (100_000, 1000)):
        for name, laws in (("studied", sim.STUDIED), ("other", sim.FURTHER)):
            if quick and reference_rows == 100_000:
                continue
            some, anything, largest = sim.false_alarms(
                seed + reference_rows + rows, runs=runs, checks=checks, reference_rows=reference_rows, rows=rows,
                laws=laws,
            )  # fmt: skip
            what = f"{name} laws, reference {reference_rows:,}, window {rows:,}"
            yield most(f"runs with a false alarm of {runs}, {what}", max(some, anything), 0)
            yield most("  largest ln M", largest, 6)


def control(quick: bool, seed: int) -> Iterator[Row]:
    runs = 10 if quick else 40
    alarmed = sim.false_alarms(
        seed, runs=runs, checks=500, reference_rows=10_000, rows=10_000, trusts_reference=True, min_windows=1
    )[0]
    yield least("share of runs alarming without limits of the reference", alarmed / runs, 0.6)


def delay(quick: bool, seed: int) -> Iterator[Row]:
    runs = 20 if quick else 100

    def rows_to_alarm(law: object, changed: object, rows: int, **more: object) -> float:
        found = sim.delays(
            seed, law, changed, runs=runs, reference_rows=100_000, rows=rows, **{"most": 100_000 // rows, **more}
        )
        return float(np.median(found)) * rows

    bounds = {"mean +0.1 sd": 28_000, "mean +0.25 sd": 3000, "mean +0.5 sd": 1000, "variance x1.3": 7000,
              "skewness only": 2000, "kurtosis only": 4000}  # fmt: skip
    for name, bound in bounds.items():
        yield most(f"rows to alarm, {name}", rows_to_alarm(NORMAL, CHANGES[name], 1000), bound)
    shares = sim.zipf(10)
    for part, bound in ((0.05, 6000), (0.1, 2000)):
        taken = rows_to_alarm(shares, sim.moved(shares, 0, 3, part), 1000)
        yield most(f"rows to alarm, category {part:.0%}", taken, bound)
    yield most("rows to alarm, new category 3%", rows_to_alarm(shares, np.append(shares * 0.97, 0.03), 1000), 3000)
    yield most("rows to alarm, missing 3%", rows_to_alarm(NORMAL, NORMAL, 1000, missing=0.03), 3000)
    yield most("rows to alarm, ramp to 0.5 sd over 50k rows", rows_to_alarm(NORMAL, sim.ramp(1000), 1000), 23_000)
    for name, bound in {"mean +0.5 sd": 550, "skewness only": 1400, "mean +0.25 sd": 2000}.items():
        yield most(f"rows to alarm, windows of 100, {name}", rows_to_alarm(NORMAL, CHANGES[name], 100), bound)
    for name, bound in {"mean +0.25 sd": 4000, "variance x1.3": 9000}.items():
        taken = rows_to_alarm(NORMAL, CHANGES[name], 1000, clock=3_153_600, stable=50)
        yield most(f"rows to alarm after a year of calm, {name}", taken, bound)


def equivalence(quick: bool, seed: int) -> Iterator[Row]:
    runs, checks = (5, 200) if quick else (40, 1000)
    for reference_rows in (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000):
        for shift in (0.01, 0.02):
            found = sim.delays(
                seed, NORMAL, sim.continuous("", stats.norm(shift)), runs=runs, reference_rows=reference_rows,
                rows=10_000, stable=0, most=checks, min_windows=2,
            )  # fmt: skip
            what = f"{shift} sd, {checks * 10_000:,} rows, reference {reference_rows:,}"
            yield most(f"runs alarming of {runs}, {what}", np.isfinite(found).sum(), 0)
    runs = 10 if quick else 60
    highest, second = _levels(seed, 0.25, runs, 200)
    yield most("0.25 sd: rows to level 2, median", np.median(second) * 1000, 10_000)
    # What is asked for is every run. Of a hundred some three to seven take 11,000 to 16,000 rows, so this is missed.
    yield least("0.25 sd: share of runs at level 2 within 10k rows", (second <= 10).mean(), 1)
    yield least("0.25 sd: share of runs at level 2 within 20k rows", (second <= 20).mean(), 1)
    yield most("0.25 sd: highest level", highest.max(), 2)
    highest, _ = _levels(seed, 0.05, runs, 200)
    yield most("0.05 sd: share of runs at level 1 within 200k rows", (highest >= 1).mean(), 0.1)
    yield most("0.05 sd: highest level", highest.max(), 1)


def _levels(seed: int, shift: float, runs: int, checks: int) -> tuple[np.ndarray, np.ndarray]:
    """Highest level of each run, and checks to level 2, after 200 stable checks."""
    rng = np.random.default_rng(seed)
    profiles = [sim.profile_of(NORMAL, rng, 100_000) for _ in range(runs)]
    ladder = Ladder(profiles, Promise(n_features=20), (0.01, 0.05, 0.12))
    laws = NORMAL, sim.continuous("", stats.norm(shift))
    calm, changed = (sim.Source([sim.chances(profile, law) for profile in profiles]) for law in laws)
    highest, second = np.zeros(runs), np.full(runs, np.inf)
    for check in range(200 + checks):
        level = ladder.step((calm if check < 200 else changed)(rng, 1000)).level
        highest = np.maximum(highest, level)
        second[(level >= 2) & np.isinf(second)] = check - 199
    return highest, second


def life(quick: bool, seed: int) -> Iterator[Row]:
    raised, gaps, cleared, others, wrong = [], 0, [], 0, 0
    for run in range(3 if quick else 20):
        rng = np.random.default_rng((seed, run))
        profiles = [sim.profile_of(NORMAL, rng, 100_000) for _ in range(5)]
        ladder = Ladder(profiles, Promise(min_windows=1), (0.01, 0.05, 0.12))
        calm = sim.Source([sim.chances(profile, NORMAL) for profile in profiles])
        laws = [CHANGES["mean +0.25 sd"], *[NORMAL] * 4]
        changed = sim.Source([sim.chances(profile, law) for profile, law in zip(profiles, laws, strict=True)])
        levels, onset = [], 0
        for check in range(400):
            standing = ladder.step((changed if 200 <= check < 300 else calm)(rng, 1000))
            onset = int(standing.onset[0]) if standing.level[0] and not standing.before[0] else onset
            levels.append(standing.level)
        held = np.flatnonzero(np.array(levels)[:, 0])
        raised.append(held[0] + 1)
        cleared.append(held[-1] + 2)
        gaps += held[-1] - held[0] + 1 - held.size
        others += int(np.array(levels)[:, 1:].any())
        wrong = max(wrong, abs(onset - (held[0] - 199)))
    yield most("0.25 sd from check 200: raised at, latest", max(raised), 203)
    yield most("  gaps while it lasts", gaps, 0)
    yield least("  cleared at, earliest", min(cleared), 301)
    yield most("  cleared at, latest", max(cleared), 320)
    yield most("  alarms of other features", others, 0)
    yield most("  checks by which the onset is off", wrong, 1)


def dependence(quick: bool, seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    for rows in (10_000, 40_000, 200_000):
        runs = 40 if quick else 200
        alone = 0
        for _ in range(runs):
            values = rng.normal(size=rows)
            profile = sim.number_profile("x", "numeric", values)
            alone += calibrate(profile, bins_of_numbers(profile, values)).design_effect == 1
        yield least(f"independent rows left alone, {rows:,} rows", alone / runs, 0.95)
    runs = 5 if quick else 20
    for memory in (0.5, 0.9, 0.98):
        alarmed = 0
        for _ in range(runs):
            values = sim.autoregressive(rng, 200_000, memory)
            profile = _calibrated(values)
            alarmed += bool(_alarms(profile, sim.autoregressive(rng, 500_000, memory), 1000))
        yield most(f"runs with a false alarm of {runs}, memory {memory}", alarmed, 0)
    runs = 2 if quick else 10
    for height, bound in ((0.05, 2000), (0.1, 2000), (0.3, 10_000)):
        alarmed, taken = 0, []
        for _ in range(runs):
            profile = _calibrated(_days(rng, 7, 100, height))
            alarmed += bool(_alarms(profile, _days(rng, 3, 500, height), 500))
            shifted = _alarms(profile, _days(rng, 1, 500, height, 0.5)[:200_000], 500)
            taken.append(shifted[0] * 500 if shifted else np.inf)
        yield most(f"runs with an alarm in 3 days of {runs}, daily cycle of {height} sd", alarmed, 0)
        yield most("  rows to alarm at +0.5 sd", statistics.median(taken), bound)


def _days(rng: np.random.Generator, days: int, per_minute: int, height: float, shift: float = 0.0) -> np.ndarray:
    minutes = np.arange(days * 1440)
    wave = height * np.sin(2 * np.pi * minutes / 1440)
    return (rng.normal(size=(minutes.size, per_minute)) + wave[:, None] + shift).ravel()


def _calibrated(values: np.ndarray) -> sim.number_profile:
    profile = sim.number_profile("x", "numeric", values)
    found = calibrate(profile, bins_of_numbers(profile, values))
    return profile.changed(design_effect=found.design_effect, tolerance=found.tolerance)


def _alarms(profile: object, values: np.ndarray, rows: int) -> list[int]:
    """Checks that alarm, from 1."""
    counter = Counter([profile])
    evidence = sim.evidence_of([profile], counter)
    found = []
    for check, window in enumerate(bins_of_numbers(profile, values).reshape(-1, rows), start=1):
        evidence.step(*counter(np.bincount(window, minlength=profile.counts.size)))
        if evidence.alarms[0]:
            found.append(check)
    return found


def scores(quick: bool, seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    pairs = [(stats.norm(), law) for law in (stats.norm(), stats.norm(0.1), stats.norm(0.25), stats.norm(0.5),
                                             stats.norm(0, 1.14), stats.t(5))]  # fmt: skip
    pairs += [(stats.lognorm(1), stats.lognorm(1, scale=scale)) for scale in (1, 1.2)]
    pairs += [
        (stats.t(3), stats.t(3, 0.25)),
        (stats.laplace(), stats.laplace(0.1)),
        (stats.uniform(), stats.beta(1, 1.1)),
    ]
    ks, below, above, far, w1, psi = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for one, other in pairs:
        reference = one.rvs(size=100_000, random_state=rng)
        fitted = Reference.fit({"x": reference})
        deciles = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
        old = np.bincount(deciles.searchsorted(reference, "right"), minlength=10)
        for _ in range(3 if quick else 20):
            current = other.rvs(size=1000, random_state=rng)
            detector = Detector(fitted)
            detector.update({"x": current})
            report = detector.check()["x"]
            exact = stats.ks_2samp(reference, current).statistic
            ks = max(ks, exact - report.score("ks"))
            below = max(below, report.score("ks") - exact)
            above = max(above, exact - ks_upper_from_counts(report._found.counts)[0])
            distance = stats.wasserstein_distance(reference, current) / reference.std()
            far, w1 = max(far, report.score("wasserstein") - distance), max(w1, distance - report.score("wasserstein"))
            new = np.bincount(deciles.searchsorted(current, "right"), minlength=10)
            p, q = (new + 0.5) / 1005, (old + 0.5) / 100_005
            psi = max(psi, abs(report.score("psi") - ((p - q) * np.log(p / q)).sum()))
    yield most("exact KS less binned KS, largest", ks, 0.007)
    yield most("binned KS above exact KS, largest", below, 1e-12)
    yield most("exact KS above its upper bound, largest", above, 1e-12)
    yield most("exact W1 less binned W1 in sd, largest", w1, 0.01)
    yield most("binned W1 above exact W1 in sd, largest", far, 1e-9)
    yield most("PSI against raw deciles, largest", psi, 0.005)
    draws = 20_000
    true = np.full(10, 0.1)
    counts = Counts(
        rng.multinomial(100_000, true, draws).astype(float), rng.multinomial(1000, true, draws).astype(float)
    )
    for name, power in (("psi", 1), ("tvd", 1), ("chi2", 1), ("js", 2), ("hellinger", 2), ("cramers_v", 2)):
        mean = (get(name).from_counts(counts) ** power).mean()
        yield most(
            f"noise of {name} against {draws:,} draws, relative",
            abs(get(name).noise(counts).mean() ** power / mean - 1),
            0.03,
        )


def thread_s(work: Callable[[], object]) -> float:
    before = time.thread_time()
    work()
    return time.thread_time() - before


def cost(quick: bool, seed: int = 0) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    features, repetitions = 20, 7 if quick else 25
    rows = rng.normal(size=(20_480, features))
    reference = Reference.fit(rng.normal(size=(100_000, features)))
    detector = Detector(reference)
    blocks = [np.ascontiguousarray(rows[start : start + 2048].T) for start in range(0, len(rows), 2048)]

    def sort() -> None:
        for block in blocks:
            np.sort(block, axis=1)

    def update(size: int) -> Callable[[], None]:
        def work() -> None:
            for start in range(0, len(rows), size):
                detector.update(rows[start : start + size])

        return work

    for size in (100, 1000, 10_000):
        work = update(size)
        work(), sort()
        ratios = [thread_s(work) / thread_s(sort) for _ in range(repetitions)]
        yield most(f"update of {size:,} x {features}, ratio to np.sort", statistics.median(ratios), 4)
    listed = rows.tolist()

    def one_by_one() -> None:
        for row in listed:
            detector.update(row)

    one_by_one()
    taken = [thread_s(one_by_one) / len(rows) * 1e6 for _ in range(repetitions)]
    yield most("a row given as a list, microseconds", statistics.median(taken), 5)
    for tolerances, bound, size in (((0.01,), 3, 22_000), ((0.01, 0.05, 0.12), 5, 48_000)):
        detector = Detector(reference, tolerances=tolerances)
        taken = []
        for _ in range(30):
            detector.update(rows[:1000])
            taken.append(thread_s(lambda: _checked(detector)) * 1e3)  # noqa: B023 - called at once
        what = "with ladder" if len(tolerances) > 1 else "one tolerance"
        yield most(f"check with all scores, {what}, milliseconds", statistics.median(taken), bound)
        # Rows that wait for their block of 2,048 are kept as they are: 8 bytes each until the next check.
        yield most(f"state a feature, {what}, no rows waiting, bytes", len(detector.state()) / features, size)
        detector.update(rows[:2047])
        yield most("  with 2,047 rows waiting", len(detector.state()) / features, size + 2047 * 8)
    detector = Detector(reference)
    sizes = []
    for total in (100_000, 1_000_000 if quick else 10_000_000):
        for _ in range(total // 20_480):
            detector.update(rows)
            detector.check()
        sizes.append(len(detector.state()))
    yield most(f"growth of the state over {total:,} rows, bytes", sizes[1] - sizes[0], 16)


def _checked(detector: Detector) -> None:
    feature = detector.check()["0"]
    for name in ("psi", "ks", "wasserstein", "js", "hellinger", "tvd", "chi2", "cramers_v"):
        feature.score(name)
        feature.noise(name)


SECTIONS: dict[str, Callable[[bool, int], Iterator[Row]]] = {
    "identities": identities, "limits": limits, "edge": edge, "fwer": fwer, "control": control, "delay": delay,
    "equivalence": equivalence, "life": life, "dependence": dependence, "statistics": scores, "cost": cost,
}  # fmt: skip


def run(quick: bool) -> list[Row]:
    """Name, measured figure, bound and whether it holds, for what drift detection costs."""
    return list(cost(quick))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: minutes, and less certain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=[*SECTIONS], metavar="SECTION", help=", ".join(SECTIONS))
    arguments = parser.parse_args()
    logging.getLogger("mlotel").setLevel(logging.ERROR)  # small references say so, a thousand times here
    missed = 0
    print(f"{'':<76} {'measured':>10} {'bound':>10}", flush=True)
    for name in arguments.only or SECTIONS:
        for what, measured, bound, ok in SECTIONS[name](arguments.quick, arguments.seed):
            missed += not ok
            print(f"{what:<76} {measured:>10.4g} {bound:>10.4g}  {'ok' if ok else 'MISSED'}", flush=True)
    print(f"{missed} missed" if missed else "every bound holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
