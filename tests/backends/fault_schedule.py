"""Random faults in an order that a seed decides: programs that record and are ended, over a receiver that fails."""

import random
import signal
import time
from dataclasses import dataclass, field

from account import accounts, counter_total
from fault_programs import OFTEN, Plan, Program
from receiver import (
    BAD,
    HALF,
    HANGING,
    LOST_ANSWER,
    OK,
    RECEIVERS,
    RESET,
    UNAVAILABLE,
    Behaviour,
    busy,
    partial,
)
from wire import SIGNALS

REFUSING = [BAD, partial(1), partial(5), Behaviour(413)]
ONCE = [*REFUSING, busy(1), RESET, LOST_ANSWER, HALF, Behaviour(500)]
LASTING = [
    *(UNAVAILABLE, HANGING, RESET, LOST_ANSWER, HALF, busy(2)),
    *(Behaviour(delay_s=0.8), Behaviour(drip_s=3.0), Behaviour(403)),
]
PROGRAMS = 2
BATCH = 64
FLUSH_EVERY = 100


@dataclass
class Report:
    """What a schedule found.

    Attributes:
        seed: Repeats it.
        events: What was done, with seconds since the start.
        problems: Whatever does not add up; empty when all is well.
        made: Spans and log records.
        arrived: Of them.
        refused: Of them, for what they are.
        unflushed: Made by programs that were killed, after their last flush, and gone.
        again: Sent again because no answer had come.
    """

    seed: int
    events: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    made: int = 0
    arrived: int = 0
    refused: int = 0
    unflushed: int = 0
    again: int = 0

    def __str__(self):
        events = "\n".join(f"  {at:6.1f} s  {what}" for at, what in self.events)
        problems = "\n".join(f"  {problem}" for problem in self.problems)
        return (
            f"seed {self.seed}: made {self.made}, arrived {self.arrived}, refused {self.refused}, unflushed at a kill "
            f"{self.unflushed}, sent again {self.again}\n{events}\n{'problems:' if problems else ''}\n{problems}"
        )


def play(seed, seconds, folder, protocol):
    """Play a schedule and account for every record.

    Args:
        seed: Of everything that is random.
        seconds: Of faults; recovery comes on top.
        folder: For the programs.
        protocol: ``http/protobuf`` or ``grpc``.

    Returns:
        A ``Report``.
    """
    chance = random.Random(f"{seed} {protocol}")
    report = Report(seed)
    began = time.monotonic()

    def say(what):
        report.events.append((time.monotonic() - began, what))

    with RECEIVERS[protocol]() as receiver:

        def start():
            per_s = chance.choice([50, 150, 400])
            plan = Plan(
                "mlotel",
                receiver.endpoint,
                protocol,
                spans=1_000_000,
                per_s=per_s,
                flush_every=FLUSH_EVERY,
                ending="return",
            )
            say(f"a program starts, {per_s} spans/s")
            return Program(plan, folder, OFTEN)

        running = [start() for _ in range(PROGRAMS)]
        ended = []
        while time.monotonic() - began < seconds:
            chosen = chance.random()
            signals = SIGNALS if chance.random() < 0.6 else [chance.choice(SIGNALS)]
            if chosen < 0.35:
                behaviours = chance.choices(ONCE, k=chance.randint(1, 3))
                if any(behaviour in REFUSING for behaviour in behaviours):
                    signals = [name for name in signals if name != "metrics"]  # a sum that is refused is not shown
                say(f"next for {', '.join(signals)}: {[_name(behaviour) for behaviour in behaviours]}")
                receiver.next(*behaviours, signals=signals)
            elif chosen < 0.6:
                behaviour = chance.choice(LASTING)
                say(f"from now on for {', '.join(signals)}: {_name(behaviour)}")
                receiver.always(behaviour, signals=signals)
                time.sleep(chance.uniform(0.5, 4.0))
                receiver.always(OK)
                say("all is well")
            elif chosen < 0.75:
                say("it goes")
                receiver.down()
                time.sleep(chance.uniform(0.2, 4.0))
                say("it comes")
                receiver.up()
            else:
                place = chance.randrange(PROGRAMS)
                number = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                say(f"a program gets {number.name}")
                running[place].process.send_signal(number)
                ended.append((running[place], number))
                running[place] = start()
            time.sleep(chance.uniform(0.1, 2.0))
        receiver.always(OK)
        receiver.up()
        for program in running:
            program.process.send_signal(signal.SIGTERM)
            ended.append((program, signal.SIGTERM))
        results = [(program.finish(), number) for program, number in ended]
        say("all programs have ended; one more delivers the rest")
        last = Program(Plan("mlotel", receiver.endpoint, protocol, spans=1, ending="wait"), folder, OFTEN)
        spool = folder / ".mlotel" / "spool"
        receiver.wait_for(lambda _: _is_settled(results, receiver, spool), 30)
        last.go_on()
        results.append((last.finish(), None))
        _account(report, results, receiver, spool)
        report.problems += receiver.problems
    return report


def _is_settled(results, receiver, spool):
    found = accounts([result for result, _ in results], [receiver], [spool])
    return all(not account.stored for account in found.values())


def _account(report, results, receiver, spool):
    found = accounts([result for result, _ in results], [receiver], [spool])
    for signal_name, account in found.items():
        refused = account.missing & receiver.refused(signal_name)
        gone = account.missing - refused
        for result, number in results:
            own = gone & set(result.made[signal_name])
            if number is signal.SIGKILL:  # at most what came after the last flush
                report.unflushed += len(own - set(result.flushed[signal_name]))
                own &= set(result.flushed[signal_name])
            elif number is signal.SIGTERM or number is signal.SIGINT:
                # It is noted as made just before it is: the signal may come between.
                own = own - set(result.made[signal_name][-1:])
            if own:
                report.problems.append(f"{len(own)} {signal_name} of a program that ended by {number} are gone")
            counts = result.last()
            if counts is not None and number not in (signal.SIGKILL, signal.SIGTERM):  # those two leave no last count
                told = sum(counts[fate][signal_name] for fate in ("exported", "spooled", "dropped"))
                if not len(result.made[signal_name]) - 1 <= told <= len(result.made[signal_name]):
                    report.problems.append(
                        f"of {len(result.made[signal_name])} {signal_name} {told} are told: {counts}"
                    )
        if account.stored:
            report.problems.append(f"{len(account.stored)} {signal_name} are still on disk")
        if account.duplicates:
            report.problems.append(f"{len(account.duplicates)} {signal_name} were sent again though confirmed")
        if account.strangers:
            report.problems.append(f"{len(account.strangers)} {signal_name} were made by nobody")
        report.made += len(account.made)
        report.arrived += len(account.arrived)
        report.refused += len(refused)
        report.again += sum(times - 1 for times in account.arrived.values())
    shown, added = counter_total([result for result, _ in results], [receiver], [spool])
    least = sum(
        result.added_before if number is signal.SIGKILL else sum(result.added.values()) - (number is not None)
        for result, number in results
    )
    if not least <= shown <= added:
        report.problems.append(f"the counter shows {shown:.0f}, which is not from {least} to {added}")
    for result, number in results:
        if "Traceback" in result.log.replace("KeyboardInterrupt", "") and number is not signal.SIGINT:
            report.problems.append(f"a program ended by {number} printed a traceback:\n{result.log}")


def _name(behaviour):
    changed = [
        f"{name}={value}" for name, value in vars(behaviour).items() if value != getattr(OK, name) and name != "takes"
    ]
    return " ".join(changed) or "ok"
