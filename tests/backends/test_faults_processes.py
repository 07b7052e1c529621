"""Many processes at once, over one folder and one receiver."""

import disk
from account import counter_total, settle
from fault_programs import OFTEN, Plan, Program, run
from receiver import HttpReceiver

PROCESSES = 8


def test_eight_processes_over_an_outage(folder, spool):
    """Eight programs record while the receiver goes and comes: every record of each arrives once."""
    with HttpReceiver() as receiver:
        plan = Plan("mlotel", receiver.endpoint, spans=300, per_s=100)
        programs = [Program(plan, folder, OFTEN) for _ in range(PROCESSES)]
        for program in programs:
            program.wait_for(20)
        receiver.down()
        programs[0].wait_for(200)
        receiver.up()
        results = [program.finish() for program in programs]
        deliver_rest(receiver, folder, results)

        found = settle(results, [receiver], [spool])
        assert len(found["traces"].arrived) == PROCESSES * 300 + 1
        assert found["traces"].stored == set()
        assert counter_total(results, [receiver], [spool]) == (PROCESSES * 30 + 1, PROCESSES * 30 + 1)


def test_eight_processes_find_the_same_files(folder, spool):
    """Eight programs that start at once, each with an endpoint, send what lies there once between them."""
    with HttpReceiver() as receiver:
        receiver.down()
        plan = Plan("mlotel", receiver.endpoint, spans=500, per_s=1000)
        left = [run(plan, folder, environment=OFTEN) for _ in range(4)]
        assert len(disk.read(spool).ids("traces")) == 2000
        receiver.up()
        plan = Plan("mlotel", receiver.endpoint, spans=10, ending="wait")
        programs = [Program(plan, folder, OFTEN) for _ in range(PROCESSES)]
        receiver.wait_for(lambda r: len(r.taken("traces")) >= 2000 + PROCESSES * 10, 20)
        for program in programs:
            program.go_on()
        results = [*left, *(program.finish() for program in programs)]

        found = settle(results, [receiver], [spool])
        assert len(found["traces"].arrived) == 2000 + PROCESSES * 10
        assert counter_total(results, [receiver], [spool]) == (200 + PROCESSES, 200 + PROCESSES)


def test_a_writer_that_lives_is_not_read_from_under_its_hands(folder, spool):
    """While a program still writes its file nobody else sends it; when it was killed the next one does."""
    with HttpReceiver() as receiver:
        receiver.down()
        writer = Program(Plan("mlotel", receiver.endpoint, spans=100, flushed=100, ending="wait"), folder)
        writer.wait_for(100)
        assert receiver.wait_for(lambda _: len(disk.read(spool).ids("traces")) == 100)
        receiver.up()
        other = run(Plan("mlotel", receiver.endpoint, spans=10), folder)
        writer.process.kill()
        writer = writer.finish()
        deliver_rest(receiver, folder, [writer, other])

        made = {name for result in (writer, other) for name in result.made["traces"]}
        assert set(receiver.taken("traces")) >= made
        assert max(receiver.taken("traces").values()) == 1


def deliver_rest(receiver, folder, results):
    """Run a last program, which sends what is still on disk; it counts as one of ``results``."""
    made = {name for result in results for name in result.made["traces"]}
    last = Program(Plan("mlotel", receiver.endpoint, spans=1, ending="wait"), folder, OFTEN)
    receiver.wait_for(lambda r: made <= set(r.taken("traces")), 15)
    last.go_on()
    results.append(last.finish())
