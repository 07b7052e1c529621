"""The queue: never waits, loses nothing uncounted, keeps its time limits, whatever the target does."""

import signal
import threading
import time

import pytest

from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome
from mlotel.export._queue import Limits, Queue


class Kept:
    """A target that keeps its batches, and waits for ``gate`` before it does."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, batch):
        self.entered.set()
        self.gate.wait(10)
        self.batches.append(list(batch))
        return Outcome(exported=len(batch))

    def hurry(self):
        pass

    def interrupt(self):
        self.gate.set()

    def close(self):
        pass

    def restart(self):
        pass

    @property
    def items(self):
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def target():
    kept = Kept()
    yield kept
    kept.gate.set()


@pytest.fixture
def ledger():
    return Ledger()


def queue_of(target, ledger, **limits):
    return Queue("traces", target, ledger, Limits(**{"delay_s": 30.0, **limits}))


def test_records_arrive_in_order_in_batches(target, ledger):
    """Everything put before mark() has been delivered when its event is set, oldest first, no batch too large."""
    queue = queue_of(target, ledger, batch=10)
    for number in range(95):
        queue.put(number)

    assert queue.mark().wait(5)
    assert target.items == list(range(95))
    assert max(map(len, target.batches)) <= 10
    assert ledger.result().exported["traces"] == 95
    queue.close()


def test_a_record_waits_for_others_only_as_long_as_allowed(target, ledger):
    """Below a full batch nothing happens until the delay is over; a full batch and an urgent record leave at once."""
    queue = queue_of(target, ledger, batch=4, delay_s=0.3)
    began = time.monotonic()
    queue.put(1)
    assert target.entered.wait(5)
    assert 0.25 < time.monotonic() - began < 2.0

    slow = queue_of(target, ledger, batch=4)
    target.entered.clear()
    slow.put(1)
    assert not target.entered.wait(0.1)
    slow.put(2, urgent=True)
    assert target.entered.wait(5)

    target.entered.clear()
    for number in range(4):
        slow.put(number)
    assert target.entered.wait(5)
    queue.close()
    slow.close()


def test_full_queue_drops_the_oldest_and_counts_it(target, ledger, caplog):
    """With the target stuck memory stays bounded, the newest records stay, every other one is counted and said."""
    target.gate.clear()
    queue = queue_of(target, ledger, records=10, batch=5)
    for number in range(5):
        queue.put(number)
    assert target.entered.wait(5)  # five are under delivery
    for number in range(5, 105):
        queue.put(number)

    counted = ledger.result()
    assert counted.dropped["traces"] == 90
    target.gate.set()
    assert queue.mark().wait(5)
    assert target.items == [*range(5), *range(95, 105)]
    assert ledger.result().exported["traces"] + ledger.result().dropped["traces"] == 105
    assert {entry.reason for entry in ledger.counts() if entry.fate == "dropped"} == {"queue_full"}
    [line] = caplog.messages
    assert line.startswith("Traces are recorded faster than they can be delivered")
    assert "OTEL_BSP_MAX_QUEUE_SIZE" in line
    queue.close()


def test_a_full_queue_keeps_its_markers(target, ledger):
    """mark() is answered also when what it waited for was dropped to make room."""
    target.gate.clear()
    queue = queue_of(target, ledger, records=3, batch=3)
    for number in range(3):
        queue.put(number)
    assert target.entered.wait(5)
    queue.put(3)
    reached = queue.mark()
    for number in range(4, 20):
        queue.put(number)
    assert not reached.wait(0.05)

    target.gate.set()

    assert reached.wait(5)
    queue.close()


def test_close_counts_what_is_left_and_what_is_under_way(target, ledger):
    """close() never waits: waiting records and the batch in the hands of a stuck target are dropped, and stay so."""
    target.gate.clear()
    queue = queue_of(target, ledger, batch=5)
    for number in range(12):
        queue.put(number)
    assert target.entered.wait(5)
    began = time.monotonic()

    queue.close()

    assert time.monotonic() - began < 0.5
    assert ledger.result().dropped["traces"] == 12
    target.gate.set()
    worker = queue._worker
    worker.join(5)
    assert not worker.is_alive()
    assert (ledger.result().exported["traces"], ledger.result().dropped["traces"]) == (0, 12)
    queue.put(13)
    assert ledger.result().dropped["traces"] == 13
    assert queue.mark().is_set()


@pytest.mark.lenient
def test_a_target_that_raises_costs_its_batch_only(ledger, caplog):
    """An exception in a target is logged once; its records are counted and the next batch is delivered."""

    class Broken(Kept):
        def __call__(self, batch):
            if batch[0] == "bad":
                raise RuntimeError("no")
            return super().__call__(batch)

    target = Broken()
    queue = queue_of(target, ledger, batch=1)
    for item in ("good", "bad", "good"):
        queue.put(item)

    assert queue.mark().wait(5)
    assert (ledger.result().exported["traces"], ledger.result().dropped["traces"]) == (2, 1)
    assert caplog.text.count("could not deliver traces") == 1
    queue.close()


def test_many_threads_lose_nothing(target, ledger):
    """Eight threads put at once: made = delivered + dropped."""
    queue = queue_of(target, ledger, records=500, batch=50)

    def work():
        for number in range(2000):
            queue.put(number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.mark().wait(5)

    result = ledger.result()
    assert result.exported["traces"] == len(target.items)
    assert result.exported["traces"] + result.dropped["traces"] == 16_000
    queue.close()


def test_put_and_mark_work_in_a_signal_handler_inside_put(target, ledger):
    """A signal that interrupts put() may put, mark and read the counts itself: nothing deadlocks."""
    queue = queue_of(target, ledger, records=50, batch=5)
    handled = []

    def handler(number, frame):
        queue.put("from the handler", urgent=True)
        handled.append(queue.mark().wait(5))
        ledger.result()
        signal.setitimer(signal.ITIMER_REAL, 0.002)

    queue.put("first")  # a signal in the middle of the start of the worker's thread would have to wait for it
    assert queue.mark().wait(5)
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    try:
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            queue.put("record")
            ledger.result()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert len(handled) > 10
    assert all(handled)
    queue.close()


def test_idle_queue_starts_no_thread(target, ledger):
    """Without a record there is no worker, and nothing to wait for."""
    queue = queue_of(target, ledger)

    assert queue.mark().is_set()
    assert queue._worker is None


def test_flush_result_follows_the_ledger(ledger):
    """Counts add up by signal; what was evicted from the spool moves from spooled to dropped."""
    ledger.write("traces", Outcome(exported=3, dropped={"refused": 2}))
    ledger.write("logs", Outcome(spooled=5))
    ledger.drop("logs", 4, "evicted", origin="disk")

    result = ledger.result()

    assert dict(result.exported) == {"traces": 3, "metrics": 0, "logs": 0}
    assert dict(result.spooled) == {"traces": 0, "metrics": 0, "logs": 1}
    assert dict(result.dropped) == {"traces": 2, "metrics": 0, "logs": 4}
    with pytest.raises(TypeError):
        result.exported["traces"] = 7
