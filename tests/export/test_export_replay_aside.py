"""A line that the receiver fails on keeps no other from being delivered, and is never lost in silence."""

import json
import threading
import time

import pytest
import spool_files
from programs import run, wait_until
from records import DECODE, REQUESTS, spooled
from test_export_recovery import endpoint, keep, lane, ledger, recovery, sums  # noqa: F401 - some are fixtures

from mlotel.export._sender import Answer
from mlotel.export.replay import Replayer

FAILED = Answer("later", is_suspicious=True)
DAY = 86_400.0


class Picky:
    """A receiver that fails on some records, as long as it is told to, and takes all others."""

    def __init__(self, *odd, answer=FAILED):
        self.odd = set(odd)
        self.answer = answer
        self.is_down = False
        self.taken = []
        self.tried = []
        self.delivered = 0
        self.dropped = []
        self.now_s = 1_800_000_000.0

    def send(self, body):
        numbers = [span["attributes"]["n"] for span in DECODE["traces"](REQUESTS["traces"].FromString(body))]
        self.tried.append(numbers[0])
        if self.is_down or self.odd.intersection(numbers):
            return self.answer
        self.taken += numbers
        return Answer("accepted")

    def count(self, path, signal, records):
        self.delivered += records

    def run(self, folder, passes=1, **options):
        """Passes of a replayer each, as of a program each."""
        for _ in range(passes):
            replayer = Replayer(
                folder,
                {"traces": self.send},
                on_delivered=self.count,
                on_dropped=lambda path, signal, records, reason: self.dropped.append((records, reason)),
                share=1.0,
                now_s=lambda: self.now_s,
                **options,
            )
            replayer.run(None, threading.Event())
        return replayer


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def lines(numbers):
    return [spool_files.line([number]) for number in numbers]


@pytest.mark.parametrize("odd", [0, 1, 4])
def test_the_others_go_on(folder, odd):
    """Wherever the line is, all others arrive within two passes, once; it stays on disk and is told of."""
    path = spool_files.put(folder, lines(range(5)))
    receiver = Picky(odd)
    replayer = receiver.run(folder, passes=2)

    assert sorted(receiver.taken) == [n for n in range(5) if n != odd]
    [found] = replayer.waiting()
    assert replayer.left_in(found) == {"traces": 1}
    assert "fails on some of it" in replayer.left[path]
    assert receiver.dropped == []


def test_what_was_set_aside_arrives_when_the_receiver_is_mended(folder):
    """It is tried again, and the file is done with."""
    path = spool_files.put(folder, lines(range(3)))
    receiver = Picky(1)
    receiver.run(folder, passes=3)
    receiver.odd.clear()
    receiver.run(folder)

    assert sorted(receiver.taken) == [0, 1, 2]
    assert receiver.delivered == 3
    assert not path.exists()
    assert list(folder.iterdir()) == []


def test_it_is_tried_less_and_less_often(folder):
    """While others are taken all the time, a line that fails costs a request now and then, and not one each time."""
    spool_files.put(folder, lines([0]))
    receiver = Picky(0)
    for number in range(1, 301):  # a minute
        spool_files.put(folder, lines([number]), unique=f"{number:06x}")
        receiver.now_s += 0.2
        receiver.run(folder)

    assert sorted(receiver.taken) == list(range(1, 301))
    assert receiver.tried.count(0) <= 8


def test_several_odd_lines_in_a_row(folder):
    """They are found out one by one, and hold nothing up for long."""
    spool_files.put(folder, lines(range(8)))
    receiver = Picky(0, 1, 2)
    receiver.run(folder, passes=6)

    assert sorted(receiver.taken) == [3, 4, 5, 6, 7]


def test_it_is_given_up_after_a_day_of_tries_and_counted(folder):
    """Twenty failures over a day, while others were taken, and its records are counted as refused."""
    path = spool_files.put(folder, [spool_files.line([0, 10]), *lines([1])])
    receiver = Picky(0)
    receiver.run(folder, passes=3)
    tries = receiver.tried.count(0)
    for number in range(100):
        spool_files.put(folder, lines([100 + number]), unique=f"{number:06x}")
        receiver.now_s += 3600
        receiver.run(folder)
        if receiver.dropped:
            break

    assert receiver.dropped == [(2, "refused")]
    assert receiver.now_s - 1_800_000_000.0 >= DAY
    assert 20 <= receiver.tried.count(0) <= 40, tries
    assert not path.exists()


def test_an_outage_of_months_gives_nothing_up(folder):
    """A receiver that takes nothing fails on no line: whatever the number of tries, all is kept, and arrives."""
    path = spool_files.put(folder, lines(range(6)))
    receiver = Picky()
    receiver.is_down = True
    for _ in range(300):
        receiver.now_s += 7200
        receiver.run(folder)
    assert len(receiver.tried) == pytest.approx(300, abs=10), "one probe a pass"
    receiver.is_down = False
    receiver.run(folder)

    assert sorted(receiver.taken) == list(range(6))
    assert receiver.dropped == []
    assert not path.exists()


def test_a_receiver_that_goes_down_in_the_middle_costs_two_requests(folder):
    """The first failure may be the line's, the second cannot: then the receiver is left alone."""
    spool_files.put(folder, lines(range(6)))
    receiver = Picky(answer=Answer("later"))
    receiver.odd = set(range(2, 6))
    receiver.run(folder)
    assert receiver.tried == [0, 1, 2, 3]
    receiver.odd.clear()
    receiver.now_s += 1
    receiver.run(folder)

    assert sorted(receiver.taken) == list(range(6))


def test_a_receiver_that_says_when_to_come_back_means_all(folder):
    """Retry-After is no failure on a line."""
    path = spool_files.put(folder, lines(range(3)))
    receiver = Picky(1, answer=Answer("later", retry_after_s=5, is_suspicious=True))
    receiver.run(folder)

    assert receiver.tried == [0, 1]
    assert "aside" not in json.loads((folder / f"{path.name}.sent").read_text())


def test_a_line_that_was_sent_in_part_goes_on_where_it_was(folder):
    """What of it has arrived is not sent again when its turn comes."""
    spool_files.put(folder, [spool_files.line(range(4)), *lines([9])])
    receiver = Picky(2)
    send = receiver.send

    def small(body):
        numbers = DECODE["traces"](REQUESTS["traces"].FromString(body))
        return Answer("too_large") if len(numbers) > 1 else send(body)

    receiver.send = small
    receiver.run(folder, passes=2)
    assert sorted(receiver.taken) == [0, 1, 9]
    receiver.odd.clear()
    receiver.now_s += 60
    receiver.run(folder)

    assert sorted(receiver.taken) == [0, 1, 2, 3, 9]


def test_a_local_recording_with_such_a_line_is_not_called_sent(folder):
    """It is looked at again, until nothing is left of it."""
    spool_files.put(folder, lines(range(3)), pending=False)
    receiver = Picky(1)
    assert len(receiver.run(folder, passes=2, recordings=True).waiting()) == 1
    receiver.odd.clear()
    receiver.now_s += 60
    assert receiver.run(folder, recordings=True).waiting() == []

    assert sorted(receiver.taken) == [0, 1, 2]


def test_live_delivery_is_not_disturbed(recovery, lane, endpoint, ledger):  # noqa: F811 - fixtures
    """A line that fails while live batches are taken opens no breaker, and later files are delivered."""
    keep(lane, ledger, 10)
    endpoint.answer = FAILED
    lane.breaker.report(Answer("accepted"))
    assert recovery.ask(time.monotonic() + 5).wait(5)
    assert not lane.breaker.is_open
    assert sums(ledger) == (0, 10, 0)
    endpoint.answer = Answer("accepted")
    keep(lane, ledger, 7)
    assert recovery.ask(time.monotonic() + 5).wait(5)
    assert ledger.result().exported["traces"] >= 7

    assert wait_until(lambda: sums(ledger) == (17, 0, 0), 10)


def test_over_http(http_sink, tmp_path):
    """One batch that always gets 500 is all that is left; what was made before and after it arrives."""
    http_sink.poison = b"poison"
    program = run(
        f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        for number in range(6):
            record("poison" if number == 2 else "fine", spans=5)
            telemetry.flush(2.0)
            time.sleep(0.4)
        deadline = time.monotonic() + 10
        while telemetry.flush(2.0).spooled["traces"] > 5 and time.monotonic() < deadline:
            time.sleep(0.2)
        show(flush=counts(telemetry.shutdown(2.0)))
        """,
        folder=tmp_path,
    )

    assert program.shown["flush"]["exported"]["traces"] == 25
    assert program.shown["flush"]["spooled"]["traces"] == 5
    assert program.shown["flush"]["dropped"]["traces"] == 0
    assert [span["name"] for span in http_sink.spans()] == ["fine"] * 25
    assert [span["name"] for span in spooled(tmp_path / ".mlotel" / "spool")["traces"]] == ["poison"] * 5


def test_who_asks_has_it_tried_at_once(folder):
    """`mlotel flush` does not wait for the time of a line: somebody wants to know now, and once."""
    spool_files.put(folder, lines(range(3)))
    receiver = Picky(1)
    receiver.run(folder, passes=2)
    tried = receiver.tried.count(1)
    receiver.run(folder, is_urgent=True)
    assert receiver.tried.count(1) == tried + 1
    receiver.odd.clear()
    receiver.run(folder, is_urgent=True)

    assert sorted(receiver.taken) == [0, 1, 2]
    assert list(folder.iterdir()) == []
