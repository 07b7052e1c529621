"""Counts what is lost at faults and at every end of a process, for mlotel and for the SDK alone: ``make bench-faults``.

    python bench/faults.py [--seconds 60] [--seed 7] [--only ends]

Each row is a program in a process of its own, over a receiver of this process that keeps the name of every record it
takes. Columns count spans:

- made; arrived when the program had ended; on disk then; recovered: arrived later, when the receiver was well and
  another program of the same library had started;
- lost: counted as lost by the library itself; unflushed: gone in a process that ended without any warning after its
  last flush; open: neither arrived, nor on disk, nor counted, nor unflushed;
- sum: what a backend shows for a counter, of what was added to it; blocked: seconds that the end of the program took.

The exit status is 1 unless mlotel's ``open`` and ``lost`` are 0 in every row, its ``unflushed`` is 0 except where a
process ended without warning, its sums are right, and its programs end in time.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "backends"))

from account import accounts, counter_total  # noqa: E402 - the receivers and programs that the tests use too
from fault_programs import Plan, Program, run  # noqa: E402
from fault_schedule import play  # noqa: E402
from receiver import HANGING, OK, RECEIVERS  # noqa: E402

AT_ONCE = 4  # programs side by side; most of them wait for a receiver
BLOCKED_BOUND_S = 5.0
SUDDEN = ("os._exit", "sigkill")  # 60 of their 100 spans are flushed before
COLUMNS = ("made", "arrived", "on disk", "recovered", "lost", "unflushed", "open", "sum", "blocked")


@dataclass(frozen=True)
class Case:
    """One row of the table, for one library.

    Attributes:
        name: What happens.
        plan: The program.
        state: Of the receiver: ``up``, ``refused`` or ``hangs``.
    """

    name: str
    plan: Plan
    state: str = "up"


@dataclass(frozen=True)
class Row:
    """What was counted."""

    case: Case
    values: dict
    is_kept: bool


def many(protocol):
    """As many spans as the queues of the SDK cannot hold, for longer than a batch waits."""
    return Plan(protocol=protocol, spans=10_000, per_s=3000)


OVERLOAD = [
    Case("10,000 spans, receiver up", many("http/protobuf")),
    Case("10,000 spans, HTTP refused", many("http/protobuf"), "refused"),
    Case("10,000 spans, HTTP hangs", many("http/protobuf"), "hangs"),
    Case("10,000 spans, gRPC refused", many("grpc"), "refused"),
]
ENDS = [
    Case(f"{ending}, receiver {state}", Plan(ending=ending, flushed=60 if ending in SUDDEN else 0), state)
    for state in ("up", "refused")
    for ending in (
        *("return", "exception", "sigint", "sigterm", "sigterm with handler"),
        *("os._exit", "os._exit after flush", "sigkill"),
    )
]
FORKS = [
    Case("forked child, lives on", Plan(spans=50, fork="outlive", child_s=6.5)),
    Case("forked child, os._exit", Plan(spans=50, fork="os._exit")),
    Case("forked child, os._exit after flush", Plan(spans=50, fork="after flush")),
    Case("multiprocessing child returns", Plan(spans=50, fork="multiprocessing")),
    Case("forked in a collection, flushes", Plan(spans=50, fork="in a collection")),
]
PARTS = {"overload": OVERLOAD, "ends": ENDS, "forks": FORKS}


def measure(case, folder):
    """Run a case, then let the receiver recover, and count."""
    with RECEIVERS[case.plan.protocol]() as receiver:
        if case.state == "refused":
            receiver.down()
        elif case.state == "hangs":
            receiver.always(HANGING)
        spool = folder / ".mlotel" / "spool"
        result = run(replace(case.plan, endpoint=receiver.endpoint), folder, timeout_s=120)
        before = accounts([result], [receiver], [spool])["traces"]

        receiver.always(OK)
        receiver.up()
        next_plan = replace(case.plan, endpoint=receiver.endpoint, spans=1, per_s=0, ending="wait", fork="")
        following = Program(next_plan, folder)
        receiver.wait_for(lambda _: before.stored <= set(receiver.taken("traces")), 15)
        following.go_on()
        following = following.finish()

        after, logs = (accounts([result], [receiver], [spool])[signal] for signal in ("traces", "logs"))
        made = set(result.made["traces"])
        there = (set(after.arrived) | after.stored) & made
        counts = result.last()
        lost = counts["dropped"]["traces"] if counts else 0
        is_sudden = case.plan.ending in SUDDEN or case.plan.fork == "os._exit"
        unflushed = len(made - there - set(result.flushed["traces"])) if is_sudden else 0
        shown, added = counter_total([result, following], [receiver], [spool])
        added_after = sum(following.added.values())
    values = {
        "made": len(made),
        "arrived": len(set(before.arrived) & made),
        "on disk": len(before.stored),
        "recovered": len((set(after.arrived) & made) - set(before.arrived)),
        "lost": lost,
        "unflushed": unflushed,
        "open": len(made) - len(there) - lost - unflushed,
        "sum": f"{shown - added_after:.0f}/{added - added_after}",
        "blocked": result.shutdown_s,
    }
    # A forked child that just lives on sends spans when their batch is due, and its metrics a minute after its start.
    is_kept = (
        values["open"] == lost == 0
        and unflushed <= (case.plan.child_spans if case.plan.fork else case.plan.spans - case.plan.flushed)
        and (is_sudden or not logs.missing)
        and (is_sudden or case.plan.fork == "outlive" or shown == added)
        and result.added_before + added_after <= shown <= added
        and values["blocked"] <= BLOCKED_BOUND_S + 0.5  # the half is what starting and ending an interpreter takes
        and not after.duplicates | logs.duplicates
    )
    return Row(case, values, is_kept)


def show(name, library, values, note):
    cells = [f"{values[column]:.1f}" if column == "blocked" else str(values[column]) for column in COLUMNS]
    print(f"{name:<42} {library:<7}" + "".join(f"{cell:>10}" for cell in cells) + f"  {note}", flush=True)


def table(parts, place):
    """Measure and print; returns how many rows of mlotel do not hold."""
    missed = 0
    cases = [
        replace(case, plan=replace(case.plan, library=library))
        for part in parts
        for case in PARTS[part]
        for library in ("stock", "mlotel")
    ]
    print(f"{'':<50}" + "".join(f"{column:>10}" for column in COLUMNS))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for row in pool.map(lambda pair: measure(pair[1], place / str(pair[0])), enumerate(cases)):
            is_ours = row.case.plan.library == "mlotel"
            missed += is_ours and not row.is_kept
            note = ("ok" if row.is_kept else "MISSED") if is_ours else ""
            show(row.case.name if not is_ours else "", row.case.plan.library, row.values, note)
    return missed


def schedules(seed, seconds, place):
    """Play random faults over both protocols at once; returns how many did not add up."""
    print(f"\nRandom faults for {seconds:g} s, seed {seed}:", flush=True)
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        played = pool.map(lambda protocol: play(seed, seconds, place / protocol.replace("/", "-"), protocol), RECEIVERS)
        for protocol, report in zip(RECEIVERS, played, strict=True):
            missed += bool(report.problems)
            print(f"{protocol}: {str(report) if report.problems else str(report).splitlines()[0]}", flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=90.0, help="of random faults (default: 90); 0 for none")
    parser.add_argument("--seed", type=int, default=None, help="of the random faults (default: another each time)")
    parser.add_argument("--only", choices=[*PARTS, "schedule"], help="this part alone")
    arguments = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("OTEL_", "MLOTEL_"))]:
        del os.environ[name]
    os.environ["MLOTEL_QUIET"] = "true"
    parts = [part for part in PARTS if arguments.only in (None, part)]
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_STATE_HOME"] = str(Path(place) / "state")
        missed = table(parts, Path(place)) if parts else 0
        if arguments.seconds and arguments.only in (None, "schedule"):
            missed += schedules(seed, arguments.seconds, Path(place))
    print(f"\n{f'{missed} missed' if missed else 'every record is accounted for'}, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
