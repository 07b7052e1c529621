"""Every way for a process to end, with a receiver that is well, absent, or hangs."""

import pytest
from account import accounts, counter_total, settle
from fault_programs import ENDINGS, Plan, run
from receiver import HANGING, HttpReceiver

BY_ITSELF = ["return", "exit", "exception", "sigint", "sigterm", "sigterm with handler", "os._exit after flush"]
AT_ONCE = ["os._exit", "sigkill"]
CASES = [
    *((ending, state, "http/protobuf") for ending in BY_ITSELF for state in ("well", "absent")),
    *((ending, "hangs", "http/protobuf") for ending in ("return", "sigterm", "os._exit after flush")),
    *((ending, state, "grpc") for ending in ("return", "sigterm") for state in ("well", "absent", "hangs")),
]


@pytest.mark.parametrize(("ending", "state", "protocol"), CASES)
def test_an_end_loses_nothing(ending, state, receiver, protocol, folder, spool):
    """Every record has arrived or is on disk, the counter too; the end takes no longer than agreed."""
    if state == "absent":
        receiver.down()
    elif state == "hangs":
        receiver.always(HANGING)
    result = run(Plan("mlotel", receiver.endpoint, protocol, ending=ending), folder)

    found = settle([result], [receiver], [spool])
    assert result.status == ENDINGS[ending], result.log
    assert len(found["traces"].arrived) == (100 if state == "well" else 0)
    assert counter_total([result], [receiver], [spool]) == (10, 10)
    assert result.shutdown_s < 5.2


def test_ctrl_c_is_still_what_ends_a_program(folder):
    """A shell sees that a program died of SIGINT, as it would without mlotel."""
    with HttpReceiver() as receiver:
        results = [run(Plan("mlotel", receiver.endpoint, ending="sigint"), folder) for _ in range(3)]

    assert [result.status for result in results] == [ENDINGS["sigint"]] * 3


@pytest.mark.parametrize("state", ["well", "absent"])
@pytest.mark.parametrize("ending", AT_ONCE)
def test_an_end_without_warning_loses_the_unflushed_at_most(ending, state, receiver, protocol, folder, spool):
    """What was flushed before is delivered or on disk; of what came after, nothing is there twice or half."""
    if state == "absent":
        receiver.down()
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=200, flushed=120, ending=ending), folder)

    assert result.status == ENDINGS[ending]
    for signal, (made, flushed) in {"traces": (200, 120), "logs": (20, 12)}.items():
        account = accounts([result], [receiver], [spool])[signal]
        there = set(account.arrived) | account.stored
        assert set(result.made[signal][:flushed]) <= there, account
        assert len(account.missing) <= made - flushed
        assert not account.duplicates
        assert not account.twice


@pytest.mark.parametrize("state", ["well", "absent"])
def test_a_multiprocessing_child_that_returns_loses_nothing(state, receiver, protocol, folder, spool):
    """Parent and child deliver or keep their own records, and no sum counts twice."""
    if state == "absent":
        receiver.down()
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=50, fork="multiprocessing"), folder)

    found = settle([result], [receiver], [spool])
    assert len(found["traces"].made) == 55
    assert counter_total([result], [receiver], [spool]) == (sum(result.added.values()),) * 2


def test_a_forked_child_that_lives_a_while_loses_nothing(receiver, protocol, folder, spool):
    """A child that outlives the delay of a batch has delivered its records when it ends by os._exit."""
    environment = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BLRP_SCHEDULE_DELAY": "500"}
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=50, fork="outlive"), folder, environment=environment)

    settle([result], [receiver], [spool])
