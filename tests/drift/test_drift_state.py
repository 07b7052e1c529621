"""The state of a detector: going on from its bytes is as if nothing had happened in between."""

import copy
import hashlib
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mlotel.drift import Detector, Reference


def mixed(rows, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        "amount": np.where(rng.random(rows) < 0.4, 0.0, rng.gamma(2, size=rows) + shift),
        "ratio": np.where(rng.random(rows) < 0.05, np.nan, rng.normal(shift, size=rows)),
        "vector": rng.normal(size=(rows, 5)).tolist(),
        "plan": rng.choice(["a", "b", "c", "d"], rows, p=[0.6, 0.2, 0.15, 0.05]).tolist(),
    }


REFERENCE = Reference.fit(mixed(3000, 0))
PLACES = {"state": lambda d: Detector.from_state(d.state()), "copy": copy.copy, "deepcopy": copy.deepcopy}
PLACES["pickle"] = lambda detector: pickle.loads(pickle.dumps(detector))


class Interrupted(RuleBasedStateMachine):
    """Two detectors get the same rows and checks; one of them is saved and restored again and again."""

    @initialize(min_windows=st.integers(1, 3), levels=st.sampled_from([(0.0,), (0.01, 0.05, 0.12)]))
    def begin(self, min_windows, levels):
        self.steady = Detector(REFERENCE, alpha=0.2, tolerances=levels, min_windows=min_windows)
        self.saved = Detector(REFERENCE, alpha=0.2, tolerances=levels, min_windows=min_windows)
        self.reports = None, None

    @rule(rows=st.integers(0, 3000), seed=st.integers(0, 99), shift=st.sampled_from([0.0, 0.0, 0.5, 4.0]))
    def batch(self, rows, seed, shift):
        for detector in (self.steady, self.saved):
            detector.update(mixed(rows, seed, shift))

    @rule(rows=st.integers(1, 40), seed=st.integers(0, 99), as_dicts=st.booleans())
    def single_rows(self, rows, seed, as_dicts):
        values = mixed(rows, seed)
        for place in range(rows):
            row = {name: column[place] for name, column in values.items()}
            for detector in (self.steady, self.saved):
                detector.update(row if as_dicts else list(row.values()))

    @rule(seed=st.integers(0, 99))
    def other_columns(self, seed):
        for detector in (self.steady, self.saved):
            detector.update({"ratio": mixed(7, seed)["ratio"], "plan": [1.5] * 7, "later": ["x"] * 7})

    @rule()
    def check(self):
        self.reports = self.steady.check().to_dict(), self.saved.check().to_dict()

    @rule(how=st.sampled_from(sorted(PLACES)))
    def interrupt(self, how):
        self.saved = PLACES[how](self.saved)

    @invariant()
    def reports_are_equal(self):
        assert self.reports[0] == self.reports[1]

    def teardown(self):
        if hasattr(self, "steady"):
            assert self.steady.state() == self.saved.state()
            assert self.steady.check().to_dict() == self.saved.check().to_dict()


TestInterrupted = Interrupted.TestCase
TestInterrupted.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, derandomize=True)
TestInterrupted.__doc__ = (
    "Saved and restored in between or not, all reports and the last state are equal to the last bit."
)

PROGRAM = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from test_drift_state import REFERENCE, mixed
    from mlotel.drift import Detector
    detector = Detector.from_state(sys.stdin.buffer.read()) if sys.argv[2] == "go on" else Detector(REFERENCE)
    for seed in range(4):
        detector.update(mixed(1500, seed, 0.3))
        detector.update({"another": [1.0], "plan": ["e"]})
        detector.check()
    detector.update(mixed(77, 9))
    sys.stdout.buffer.write(detector.state())
"""


def elsewhere(seed, what, state=b""):
    """The state of a detector of another process, with hashes of its own."""
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), folder, what],
        input=state, stdout=subprocess.PIPE, check=True, env={**os.environ, "PYTHONHASHSEED": str(seed)},
    )  # fmt: skip
    return done.stdout


def test_processes_agree_to_the_last_bit():
    """Fitting, counting and deciding give the same bytes in processes whose sets and dicts have other orders."""
    first, second = elsewhere(1, "begin"), elsewhere(2, "begin")

    assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()
    assert elsewhere(3, "go on", first) == elsewhere(4, "go on", second) != first
