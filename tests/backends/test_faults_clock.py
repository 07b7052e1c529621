"""Clocks that jump while the receiver is down: pauses, limits and files do not depend on the time of day."""

import pytest
from account import recovers
from fault_programs import Plan
from receiver import OK, UNAVAILABLE


@pytest.mark.parametrize("clock_s", [86_400, -86_400], ids=["a day ahead", "a day back"])
def test_the_clock_jumps_during_an_outage(clock_s, receiver, protocol, folder, spool):
    """The wall clock of the program jumps by a day and back: all arrives once, as soon as without it."""
    receiver.always(UNAVAILABLE)
    plan = Plan("mlotel", receiver.endpoint, protocol, spans=600, per_s=300, clock_s=clock_s, ending="wait")

    recovers(receiver, plan, folder, spool, while_failing=lambda: receiver.always(OK), timeout_s=10)
