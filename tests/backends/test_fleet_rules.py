"""Ten replicas added up by Prometheus, with the rules in collector-config/, are one detector that saw all rows.

The replicas are real detectors behind the real SDK. What they export is written as series for promtool's rule tester,
which evaluates the rules that are shipped. All series begin at 0 inside the window and end when it ends, so that
`increase` extrapolates nothing and every number can be compared to its last digits.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import mlotel
from mlotel.drift import Detector, Reference
from mlotel.drift.statistics import ks
from mlotel.drift.statistics._counts import Counts, Ordered
from mlotel.testing import capturing

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "collector-config" / "prometheus" / "rules"
BUILT = ROOT / ".backends" / "prometheus" / "promtool"
IS_REQUIRED = os.environ.get("MLOTEL_TEST_BACKENDS") == "required"  # read before any test clears the environment

NAMES = {  # as Prometheus, the collector and the Python exporter spell them
    "ml.feature.values": "ml_feature_values_total",
    "ml.feature.reference.proportion": "ml_feature_reference_proportion",
    "ml.feature.reference.rows": "ml_feature_reference_rows",
    "ml.drift.level": "ml_drift_level",
}
ORDERED = {"delay", "rain", "stops", "altitude", "constant", "few"}
END = 60
"""Minute at which everything is looked at: the end of an hour."""


@pytest.fixture(scope="module")
def promtool():
    """Prometheus's own tester of rules."""
    found = shutil.which(BUILT) or shutil.which("promtool")
    if found is None:
        if IS_REQUIRED:
            pytest.fail("there is no promtool, and MLOTEL_TEST_BACKENDS=required asks for it")
        pytest.skip("there is no promtool: run `make backends`")
    return found


def table(rows, seed, *, shift=0.0):
    """Numbers without and with ties, an atom, a constant, missing values, categories known and unknown, booleans."""
    rng = np.random.default_rng(seed)
    altitude = rng.normal(9000, 1000, rows)
    altitude[rng.random(rows) < 0.08 + shift / 10] = np.nan
    airport = np.minimum(rng.zipf(1.7, rows), 400 if shift else 60)
    return {
        "delay": rng.normal(10 + 20 * shift, 20, rows),
        "rain": np.where(rng.random(rows) < 0.7 - shift / 4, 0.0, rng.gamma(2, size=rows)),
        "stops": rng.poisson(3 + shift, rows),
        "few": rng.integers(0, 4, rows) * (1 + (rng.random(rows) < shift / 3)),
        "altitude": altitude,
        "constant": np.full(rows, 7.0) + (rng.random(rows) < shift / 20),
        "carrier": rng.choice(["AA", "DL", "UA"], rows, p=[0.5, 0.3 + shift / 5, 0.2 - shift / 5]),
        "airport": np.array([f"airport {place}" for place in airport]),
        "held": rng.random(rows) < 0.2 + shift / 5,
    }


def rows_of(data, rows):
    return {name: column[rows] for name, column in data.items()}


@pytest.fixture(scope="module")
def reference_file(tmp_path_factory):
    """The one reference of all replicas."""
    return Reference.fit(table(20_000, 1)).save(tmp_path_factory.mktemp("fleet") / "reference.json")


def few(*arguments, **options):
    """The same table with three of its columns, where more would only take time."""
    return {
        name: column for name, column in table(*arguments, **options).items() if name in ("delay", "rain", "carrier")
    }


@pytest.fixture(scope="module")
def few_file(tmp_path_factory):
    """A reference of three columns."""
    return Reference.fit(few(20_000, 1)).save(tmp_path_factory.mktemp("few") / "reference.json")


class Samples:
    """Series of a fleet, minute by minute."""

    def __init__(self):
        self.values = {}

    def add(self, minutes, capture, replica):
        """What one replica exports in these minutes: it is asked once, since it would repeat itself."""
        for name, spelled in NAMES.items():
            for point in capture.metrics(name):
                named = {key.replace(".", "_"): value for key, value in point.attributes.items()}
                named["instance"] = str(replica)
                series = spelled + "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(named.items())) + "}"
                self.values.setdefault(series, {}).update(dict.fromkeys(minutes, point.value))

    def as_yaml(self, last=END):
        """As promtool wants them: a value a minute from 0, ``_`` for none."""
        return [
            {"series": series, "values": " ".join(_shown(values.get(minute)) for minute in range(last + 1))}
            for series, values in self.values.items()
        ]


def _shown(value):
    return "_" if value is None else repr(float(value))


def replica(samples, name, reference_file, data, minutes):
    """A process: its first export has no rows, the last one all, with two on the way; then it repeats itself."""
    with capturing() as capture:
        detector = Detector(Reference.load(reference_file))
        with mlotel.observe(detector, "eta", "7", every_s=1e-9):
            rows = len(data["delay"])
            cuts = [0, 0, rows // 3, 2 * rows // 3, rows]
            at = np.linspace(minutes[0], minutes[1], 4).round().astype(int)
            for step, minute in enumerate(at):
                detector.update(rows_of(data, slice(cuts[step], cuts[step + 1])))
                following = at[step + 1] if step < 3 else minutes[1] + 1
                samples.add(range(minute, following), capture, name)


def fleet(reference_file, data, *, seed=3, restarts=()):
    """Ten replicas, each with a share of the rows of its own size; they begin at different minutes."""
    rng = np.random.default_rng(seed)
    size = len(data["delay"])
    owner = rng.choice(10, size, p=rng.dirichlet(np.full(10, 2.0)))
    samples = Samples()
    for name in range(10):
        mine = rows_of(data, owner == name)
        half = len(mine["delay"]) // 2
        if name in restarts:  # a process ends, and another one takes its place and its address
            replica(samples, name, reference_file, rows_of(mine, slice(0, half)), (2, 20))
            replica(samples, name, reference_file, rows_of(mine, slice(half, None)), (23, END))
        else:
            replica(samples, name, reference_file, mine, (1 + 2 * name, END))
    return samples


def expected(reference_file, data):
    """What one detector says that saw all rows; KS from the ten bins that are on the wire."""
    detector = Detector(Reference.load(reference_file))
    detector.update(data)
    report = detector.check()
    found = {}
    for name in report:
        feature = report[name]
        numbers = {
            "ml_drift_psi": feature.score("psi"),
            "ml_drift_psi_noise": feature.noise("psi"),
            "ml_drift_hellinger": feature.score("hellinger"),
            "ml_drift_tvd": feature.score("tvd"),
            "ml_feature_missing": feature.missing,
            "ml_feature_unseen": feature.unseen,
        }
        if name in ORDERED:
            reference, current = (counts[None, :10].astype(float) for counts in feature.groups)
            ordered = Ordered(np.arange(1), np.arange(9.0)[None], reference, current)
            numbers["ml_drift_ks"] = float(ks.ks_from_counts(Counts(reference, current, ordered))[0])
        found[name] = {key: value for key, value in numbers.items() if value is not None}
    return found


def is_near(expression, value, tolerance):
    """An expression that is 1 when another one has a value, to a relative tolerance."""
    if value == 0:
        return f"sum(abs({expression}) < bool 1e-12)"
    return f"sum(abs({expression} / {value!r} - 1) < bool {tolerance})"


def check(promtool, folder, samples, tests, *, last=END):
    """Run promtool: ``tests`` are pairs of an expression and the number that it must have, None for nothing."""
    content = {
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yaml"))],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": samples.as_yaml(last),
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": f"{minute}m",
                        "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
                    }
                    for expression, minute, value in tests
                ],
            }
        ],
    }
    file = folder / "fleet.test.yaml"
    file.write_text(yaml.safe_dump(content, width=10**6))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
    assert "SUCCESS" in done.stdout + done.stderr


def comparisons(found, *, windows=("1h", "24h"), tolerance=1e-9, minute=END):
    return [
        (is_near(f'feature:{rule}:{window}{{ml_feature_name="{name}"}}', value, tolerance), minute, 1)
        for window in windows
        for name, numbers in found.items()
        for rule, value in numbers.items()
    ]


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_ten_replicas_are_one_detector(promtool, reference_file, tmp_path, shift):
    """PSI, its noise, KS, Hellinger, TVD and rates of ten replicas are those of one detector to nine digits."""
    data = table(30_000, 2, shift=shift)
    found = expected(reference_file, data)
    tests = comparisons(found)
    tests += [("count(feature:ml_drift_psi:1h)", END, len(found))]
    tests += [("count(feature:ml_drift_ks:1h)", END, len(ORDERED))]  # categories and booleans have no order
    tests += [('sum(feature:ml_feature_values:increase1h{ml_feature_name="rain"})', END, 30_000)]
    if shift:
        assert found["delay"]["ml_drift_psi"] > 0.1
        assert found["airport"]["ml_feature_unseen"] > 0.03
        assert found["altitude"]["ml_feature_missing"] > 0.1
        assert found["constant"]["ml_drift_ks"] > 0
    check(promtool, tmp_path, fleet(reference_file, data), tests)


def test_a_replica_that_restarts_is_counted_once(promtool, reference_file, tmp_path):
    """Counters that begin anew at 0 lose nothing and add nothing."""
    data = table(20_000, 4, shift=0.5)
    samples = fleet(reference_file, data, restarts=(0, 6))
    resets = [
        series
        for series, values in samples.values.items()
        if any(values[minute] < values.get(minute - 1, values.get(minute - 3, 0)) for minute in values)
    ]
    assert len(resets) > 20

    check(promtool, tmp_path, samples, comparisons(expected(reference_file, data)))


def test_a_wrong_number_is_found_out(promtool, few_file, tmp_path):
    """One row more in one bin of one replica and the comparison fails: it does look at every row."""
    data = few(5_000, 5, shift=0.5)
    samples = fleet(few_file, data)
    series = next(s for s in samples.values if 'ml_feature_bin="03"' in s and 'ml_feature_name="delay"' in s)
    samples.values[series][END] += 1

    with pytest.raises(AssertionError, match="ml_drift_psi"):
        check(promtool, tmp_path, samples, comparisons(expected(few_file, data)))


def test_replicas_that_are_gone_still_count(promtool, few_file, tmp_path):
    """A replica that ended half an hour ago is in the hour's numbers, up to what `increase` extrapolates."""
    data = few(20_000, 6, shift=0.5)
    samples, half = Samples(), slice(0, 10_000)
    replica(samples, "old", few_file, rows_of(data, half), (2, 30))
    replica(samples, "new", few_file, rows_of(data, slice(10_000, None)), (25, END))

    check(promtool, tmp_path, samples, comparisons(expected(few_file, data), tolerance=0.03))


def test_windows_without_rows_have_no_numbers(promtool, few_file, tmp_path):
    """With replicas that live and see nothing there is no PSI of nothing, and no division by zero; a day has them."""
    data = few(5_000, 7)
    samples, later = fleet(few_file, data), 3 * END
    for values in samples.values.values():
        values |= dict.fromkeys(range(END + 1, later + 1), values[END])
    nothing = ["ml_drift_psi", "ml_drift_ks", "ml_drift_hellinger", "ml_drift_tvd", "ml_feature_missing"]
    tests = [(f"feature:{name}:1h", later, None) for name in nothing]
    tests += [(f"count(feature:{name}:24h)", later, len(data)) for name in nothing if name != "ml_drift_ks"]

    check(promtool, tmp_path, samples, tests, last=later)


def test_versions_are_kept_apart(promtool, few_file, tmp_path):
    """Two versions of a model have numbers of their own."""
    samples = Samples()
    with capturing() as capture:
        for version, shift in (("7", 0.0), ("8", 0.5)):
            detector = Detector(Reference.load(few_file))
            with mlotel.observe(detector, "eta", version, every_s=1e-9):
                samples.add([1], capture, version)
                detector.update(few(5_000, 8, shift=shift))
                samples.add(range(2, END + 1), capture, version)
    tests = []
    for version, shift in (("7", 0.0), ("8", 0.5)):
        psi = expected(few_file, few(5_000, 8, shift=shift))["delay"]["ml_drift_psi"]
        where = f'feature:ml_drift_psi:1h{{ml_feature_name="delay", ml_model_version="{version}"}}'
        tests.append((is_near(where, psi, 1e-9), END, 1))

    check(promtool, tmp_path, samples, tests)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_alerts_fire_on_drift_and_on_silence(promtool, few_file, tmp_path, shift):
    """The examples of alerts say nothing while nothing has changed, and speak when something has, or all is silent."""
    samples, later = fleet(few_file, few(20_000, 10, shift=shift)), 2 * END
    for series, values in samples.values.items():
        if not series.startswith("ml_drift_level"):  # gauges end with the rows
            values |= dict.fromkeys(range(END + 1, later + 1), values[END])

    def firing(name, **labels):
        named = ", ".join(f'{key}="{value}"' for key, value in {"alertname": name, **labels}.items())
        return f'sum(ALERTS{{alertstate="firing", {named}}})'

    fires = 1 if shift else None
    tests = [
        (firing("MlotelDrift", ml_feature_name="delay"), END, fires),
        (firing("MlotelFleetDrift", ml_feature_name="delay"), later, fires),
        (firing("MlotelMissing", ml_feature_name="rain"), END, None),
        (firing("MlotelNoRows"), END, None),
        (firing("MlotelNoRows"), later, 1),
    ]
    check(promtool, tmp_path, samples, tests, last=later)


def test_rules_are_those_of_the_registry():
    """The files are what the registry and the formulas make of them."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_rules.py", "--check"], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(RULES.glob("*.yaml")), ids=lambda file: file.stem)
def test_rules_are_well_formed(promtool, file):
    """promtool finds nothing wrong with the files that are shipped."""
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
