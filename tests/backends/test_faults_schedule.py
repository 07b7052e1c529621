"""Random faults for a minute, by a seed that is shown when something does not add up. Left out by: -m 'not schedule'"""

import os
import random

import pytest
from fault_schedule import play

SECONDS = 28


@pytest.mark.schedule
def test_every_record_is_accounted_for_under_random_faults(protocol, folder):
    """Whatever happens in whatever order, each record arrives, or is counted, or was unflushed at a SIGKILL."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))

    report = play(seed, SECONDS, folder, protocol)

    assert report.problems == [], str(report)
    assert report.arrived > 0.5 * report.made, str(report)
