"""The account that every test of faults closes: made = arrived + on disk + counted as lost, record by record."""

from dataclasses import dataclass

import disk as disks
from fault_programs import OFTEN, Program


@dataclass
class Account:
    """What became of the records of one signal.

    Attributes:
        made: Names of all that were made.
        arrived: How often each was taken by a receiver.
        stored: Names of those on disk that no mark calls delivered.
        lost: How many the library counted as lost; None where it could not say.
        excused: Names of those whose sender could not know that they had arrived.
    """

    made: set
    arrived: dict
    stored: set
    lost: int | None
    excused: set

    @property
    def missing(self):
        """Made, and neither arrived nor on disk."""
        return self.made - set(self.arrived) - self.stored

    @property
    def unaccounted(self):
        return len(self.missing) - (self.lost or 0)

    @property
    def duplicates(self):
        """Taken more than once without an excuse."""
        return {name for name, times in self.arrived.items() if times > 1} - self.excused

    @property
    def strangers(self):
        """Arrived or on disk, and never made."""
        return (set(self.arrived) | self.stored) - self.made

    @property
    def twice(self):
        """Arrived for sure, and still on disk as not delivered: they would be sent again."""
        return (set(self.arrived) & self.stored) - self.excused

    def __str__(self):
        return (
            f"made {len(self.made)}, arrived {len(self.arrived)}, on disk {len(self.stored)}, lost by the library's "
            f"count {self.lost}, missing {len(self.missing)}, unaccounted {self.unaccounted}, duplicates "
            f"{len(self.duplicates)}, strangers {len(self.strangers)}, delivered but still to be sent {len(self.twice)}"
        )


def accounts(results, receivers, folders):
    """The accounts of spans and log records.

    Args:
        results: Of the programs that made them.
        receivers: That may have taken them.
        folders: Spool folders.

    Returns:
        An ``Account`` by signal.
    """
    disk = disks.read(*folders)
    found = {}
    for signal in ("traces", "logs"):
        arrived = {}
        for receiver in receivers:
            for name, times in receiver.taken(signal).items():
                arrived[name] = arrived.get(name, 0) + times
        made = {name for result in results for name in result.made[signal]}
        counts = [flush[-1] for result in results for flush in result.flushes.values() if flush[-1]]
        lost = sum(count["dropped"][signal] for count in counts) if counts else None
        excused = set().union(*(receiver.excused(signal) for receiver in receivers))
        found[signal] = Account(made, arrived, disk.ids(signal), lost, excused)
    return found


def settle(results, receivers, folders, *, lost=0, torn=0):
    """Check that every record is accounted for, exactly.

    Args:
        results: Of the programs.
        receivers: That may have taken records.
        folders: Spool folders.
        lost: Spans that are lost, and must be counted; a dictionary by signal for more than spans; None for as many as
            are counted.
        torn: Torn lines that may be on disk.

    Returns:
        The accounts, by signal.
    """
    found = accounts(results, receivers, folders)
    allowed = lost if isinstance(lost, dict) else {"traces": lost or 0}
    for signal, account in found.items():
        said = f"{signal}: {account}\n" + "\n".join(result.log for result in results)
        assert account.made, said
        assert not account.strangers, said
        assert account.unaccounted == 0, said
        assert lost is None or (account.lost or 0) == allowed.get(signal, 0), said
        assert not account.duplicates, said
        assert not account.twice, said
    assert disks.read(*folders).torn == torn
    return found


def counter_total(result_or_results, receivers, folders):
    """What a backend would show for the counter: the last value of each process, added up."""
    results = result_or_results if isinstance(result_or_results, list) else [result_or_results]
    last = {}
    disk = disks.read(*folders)
    items = [item for receiver in receivers for item in receiver.items("metrics")] + disk.undelivered["metrics"]
    for item in items:
        if item.label == "faults.work":
            last[item.instance] = max(last.get(item.instance, 0), item.value)
    return sum(last.values()), sum(sum(result.added.values()) for result in results)


def has_all(receiver, program):
    """Whether everything that was made has arrived."""
    return lambda _=None: all(program.made(signal) <= set(receiver.taken(signal)) for signal in ("traces", "logs"))


def recovers(receiver, plan, folder, spool, *, while_failing, environment=OFTEN, timeout_s=20.0):
    """A program that goes on while its receiver fails and recovers; all must have arrived before it ends.

    Args:
        receiver: It fails already, or will.
        plan: Of the program; its end is to wait.
        folder: Of the program.
        spool: Of the program.
        while_failing: Called when everything was made; the receiver is to be well afterwards.
        environment: Of the program.
        timeout_s: For everything to arrive.
    """
    program = Program(plan, folder, environment)
    program.wait_for(plan.spans)
    while_failing()
    arrived = receiver.wait_for(has_all(receiver, program), timeout_s)
    program.go_on()
    result = program.finish()
    found = settle([result], [receiver], [spool])
    assert arrived, f"not all arrived before the end: {found['traces']}\n{result.log}"
    assert found["traces"].stored == found["logs"].stored == set()
    assert counter_total([result], [receiver], [spool]) == (result.added[str(result.pid)],) * 2
    assert result.last()["spooled"] == {"traces": 0, "metrics": 0, "logs": 0}
    assert result.last()["exported"]["traces"] == plan.spans
    return result
