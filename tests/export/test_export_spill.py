"""What cannot be delivered goes to disk: from a full queue, at a deadline, and while an endpoint is down."""

import gc
import os
import shutil
import signal
import sys
import threading
import time

import pytest
from programs import wait_until
from records import spooled
from spool_files import Receiver
from test_export_queue import Kept
from test_export_spool import made_spans

from mlotel.export import _claims
from mlotel.export._ledger import Ledger
from mlotel.export._outcome import Outcome
from mlotel.export._pending import Pending
from mlotel.export._queue import Limits, Queue
from mlotel.export.spool import FILE_NAME


@pytest.fixture
def ledger():
    return Ledger()


class Disk:
    """Keeps what is put on it, in memory; slow when told to be."""

    def __init__(self):
        self.items = []
        self.is_ready = threading.Event()
        self.is_ready.set()

    def __call__(self, batch):
        self.is_ready.wait(10)
        self.items += batch
        return Outcome(spooled=len(batch))


@pytest.fixture
def stuck():
    """A target that takes a batch and does not come back."""
    target = Kept()
    target.gate.clear()
    yield target
    target.gate.set()


def queue_of(target, ledger, keep, **limits):
    return Queue("traces", target, ledger, Limits(**{"delay_s": 30.0, **limits}), keep)


def pending_of(signal, folder, ledger, **options):
    return Pending(signal, folder, ledger, **{"is_synced": True, "max_total_bytes": 10_000_000, **options})


def sums(ledger, kind="traces"):
    found = ledger.result()
    return found.exported[kind], found.spooled[kind], found.dropped[kind]


def test_a_full_queue_goes_to_disk(stuck, ledger):
    """With the worker stuck the oldest batches are written by another thread; nothing is lost, nothing is twice."""
    disk = Disk()
    queue = queue_of(stuck, ledger, disk, records=100, batch=10)
    for number in range(10):
        queue.put(number)
    assert stuck.entered.wait(5)
    for number in range(10, 1000):
        queue.put(number)
        if number % 50 == 0:
            assert wait_until(lambda: len(queue._items) <= 100)

    assert wait_until(lambda: sums(ledger)[1] >= 890)
    stuck.gate.set()
    assert queue.mark().wait(5)
    assert sorted(disk.items + stuck.items) == list(range(1000))
    assert sums(ledger) == (len(stuck.items), len(disk.items), 0)
    queue.close()


def test_put_never_waits_for_a_disk(stuck, ledger, caplog):
    """With the disk stuck too memory is bounded at twice the limit, and only then the oldest record is dropped."""
    disk = Disk()
    disk.is_ready.clear()
    queue = queue_of(stuck, ledger, disk, records=100, batch=10)
    slowest = 0.0
    for number in range(2000):
        begun = time.thread_time()
        queue.put(number)
        slowest = max(slowest, time.thread_time() - begun)

    assert len(queue._items) <= 200
    assert slowest < 0.1
    disk.is_ready.set()
    stuck.gate.set()
    assert queue.mark().wait(5)
    exported, on_disk, dropped = sums(ledger)
    assert exported + on_disk + dropped == 2000
    assert dropped > 1000
    assert (len(stuck.items), len(disk.items)) == (exported, on_disk)
    queue.close()
    assert {entry.reason for entry in ledger.counts() if entry.fate == "dropped"} == {"queue_full"}
    assert "recorded faster than they can be delivered" in caplog.text


def test_put_in_signal_handlers_and_destructors_while_spilling(stuck, ledger):
    """Overflow inside a signal handler and a destructor, in the middle of another put: no deadlock, exact counts."""
    disk = Disk()
    queue = queue_of(stuck, ledger, disk, records=50, batch=5)
    made = []

    def put():
        made.append(1)
        queue.put("record")

    class Dying:
        def __del__(self):
            put()

    def handler(number, frame):
        for _ in range(20):
            put()
        signal.setitimer(signal.ITIMER_REAL, 0.002)

    put()
    assert wait_until(lambda: queue._worker is not None)
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    try:
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            cycle = [Dying()]
            cycle.append(cycle)
            del cycle
            put()
            gc.collect(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()
    stuck.gate.set()

    assert queue.mark().wait(5)
    assert sum(sums(ledger)) == len(made)
    queue.close()


def test_a_marker_waits_for_what_is_being_spilled(stuck, ledger):
    """What was put before mark() is decided when its event is set, also what another thread is writing just then."""
    disk = Disk()
    disk.is_ready.clear()
    queue = queue_of(stuck, ledger, disk, records=20, batch=10)
    for number in range(35):
        queue.put(number)
    reached = queue.mark()
    stuck.gate.set()

    assert not reached.wait(0.3)
    disk.is_ready.set()
    assert reached.wait(5)
    assert sum(sums(ledger)) == 35
    queue.close()


def test_spill_puts_everything_on_disk(stuck, ledger):
    """At a deadline the batch of a thread that does not come back goes to disk too, once; later it goes on as ever."""
    disk = Disk()
    queue = queue_of(stuck, ledger, disk, batch=10)
    for number in range(25):
        queue.put(number)
    assert stuck.entered.wait(5)
    reached = queue.mark()
    queue.spill()

    assert reached.wait(5)
    assert sorted(disk.items) == list(range(25))
    assert sums(ledger) == (0, 25, 0)
    stuck.gate.set()
    queue.put(25)
    assert queue.mark().wait(5)
    assert sums(ledger) == (1, 25, 0)
    queue.close()


def test_close_puts_the_rest_on_disk(stuck, ledger):
    """Without waiting for a stuck target, and without a thread of its own."""
    disk = Disk()
    queue = queue_of(stuck, ledger, disk, batch=10)
    for number in range(25):
        queue.put(number)
    assert stuck.entered.wait(5)
    begun = time.monotonic()
    queue.close()

    assert time.monotonic() - begun < 0.5
    assert sums(ledger) == (0, 25, 0)
    stuck.gate.set()
    queue._worker.join(5)
    assert sums(ledger) == (0, 25, 0)


@pytest.fixture
def folder(tmp_path):
    """The spool's, with nothing else in it."""
    return tmp_path / "spool"


def test_pending_files_are_told_from_recordings(folder, ledger):
    """Records that wait for an endpoint are in files of their own, a signal each, for the owner only."""
    pending = pending_of("traces", folder, ledger)
    outcome = pending(made_spans(3))

    assert (outcome.spooled, pending.folder) == (3, folder)
    [file] = folder.iterdir()
    assert file == pending.file
    assert FILE_NAME.match(file.name)["pending"]
    assert file.name.endswith(".001.pending.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    assert pending.is_open(file)
    assert not pending.is_empty()
    pending.close()
    assert not pending.is_open(file)
    assert len(spooled(folder)["traces"]) == 3


def test_delivered_records_move_from_spooled_to_exported(folder, ledger):
    """What is replayed, refused and removed is taken from what is on disk; files of others count nothing."""
    pending = pending_of("traces", folder, ledger)
    for _ in range(3):
        ledger.write("traces", pending(made_spans(10)))
    file = pending.file
    pending.rotate()
    pending.delivered(file, 12)
    pending.dropped(file, 3, "refused")
    assert sums(ledger) == (12, 15, 3)

    pending.delivered(folder / "other-1-20200101T000000-abcdef.001.pending.jsonl", 5)
    assert sums(ledger) == (12, 15, 3)
    pending.delivered(file, 15)
    assert sums(ledger) == (27, 0, 3)
    assert pending.is_empty()
    pending.close()


def test_no_new_part_begins_while_the_last_one_waits(folder, ledger):
    """An outage of many tries makes one file, not one a try."""
    pending = pending_of("traces", folder, ledger)
    for _ in range(20):
        pending(made_spans(1))
        pending.rotate()
    assert len(list(folder.iterdir())) == 2
    pending.close()


def test_a_folder_that_is_deleted_is_counted(folder, ledger):
    """Whoever removes the folder under an outage loses what was in it: counted, and the next record is kept."""
    pending = pending_of("traces", folder, ledger)
    ledger.write("traces", pending(made_spans(5)))
    shutil.rmtree(folder)
    pending.check()
    assert sums(ledger) == (0, 0, 5)
    assert [entry.reason for entry in ledger.counts() if entry.fate == "dropped"] == ["evicted"]

    ledger.write("traces", pending(made_spans(2)))
    assert sums(ledger) == (0, 2, 5)
    assert len(spooled(folder)["traces"]) == 2
    pending.close()


@pytest.fixture
def measured():
    """A meter with one instrument of each kind, and its collections."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("m")
    instruments = meter.create_counter("count"), meter.create_histogram("time"), meter.create_gauge("level")

    def collect(number, kinds=("a",)):
        counter, histogram, gauge = instruments
        for kind in kinds:
            counter.add(number, {"kind": kind})
            histogram.record(number, {"kind": kind})
            gauge.set(number, {"kind": kind})
        return reader.get_metrics_data()

    yield collect
    provider.shutdown()


def values(folder):
    found = {}
    for point in spooled(folder)["metrics"]:
        value = point["value"] if "value" in point else (point["count"], point["sum"])
        found.setdefault((point["name"], point["attributes"]["kind"]), []).append(value)
    return found


def test_of_cumulative_series_the_latest_point_is_kept(measured, folder, ledger):
    """A long outage costs one point a sum and histogram, which says all the others said; gauges are kept whole."""
    pending = pending_of("metrics", folder, ledger)
    made = 0
    for number, kinds in [(1, "a"), (2, "ab"), (3, "ab")]:
        outcome = pending([measured(number, kinds)])
        ledger.write("metrics", outcome)
        made += outcome.spooled

    assert values(folder) == {
        ("count", "a"): [6],
        ("count", "b"): [5],
        ("time", "a"): [(3, 6.0)],
        ("time", "b"): [(2, 5.0)],
        ("level", "a"): [1, 2, 3],
        ("level", "b"): [2, 3],
    }
    superseded = sum(entry.records for entry in ledger.counts() if entry.fate == "superseded")
    assert ledger.result().spooled["metrics"] == 9 == made - superseded
    assert len(list(folder.iterdir())) == 2
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    pending.close()


def test_points_that_were_let_go_are_not_repeated(measured, folder, ledger):
    """After a part was ended for replay the next outage keeps its own latest points."""
    pending = pending_of("metrics", folder, ledger)
    ledger.write("metrics", pending([measured(1)]))
    pending.rotate()
    ended = sorted(folder.iterdir())
    ledger.write("metrics", pending([measured(2)]))

    assert set(ended) < set(folder.iterdir())
    assert sorted(values(folder)["count", "a"]) == [1, 3]
    assert ledger.result().spooled["metrics"] == 6
    pending.close()


def test_deltas_are_kept_whole(folder, ledger):
    """A delta says only what happened since the one before: none takes another's place."""
    from opentelemetry.sdk.metrics import Counter, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

    reader = InMemoryMetricReader(preferred_temporality={Counter: AggregationTemporality.DELTA})
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("m").create_counter("count")
    pending = pending_of("metrics", folder, ledger)
    for number in (1, 2, 3):
        counter.add(number, {"kind": "a"})
        pending([reader.get_metrics_data()])

    assert values(folder) == {("count", "a"): [1, 2, 3]}
    pending.close()
    provider.shutdown()


def test_a_full_disk_keeps_the_points_before(measured, folder, ledger, monkeypatch):
    """Latest points that cannot be written are dropped and counted; those on disk stay, and are still the latest."""
    pending = pending_of("metrics", folder, ledger)
    ledger.write("metrics", pending([measured(1)]))
    real = os.write

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    ledger.write("metrics", pending([measured(2)]))
    monkeypatch.setattr(os, "write", real)
    assert sums(ledger, "metrics") == (0, 3, 3)
    assert {entry.reason for entry in ledger.counts() if entry.fate == "dropped"} == {"spool_full"}
    assert values(folder)["count", "a"] == [1]

    ledger.write("metrics", pending([measured(3)]))
    assert values(folder)["count", "a"] == [6]
    assert sums(ledger, "metrics") == (0, 4, 3)
    pending.close()


def test_a_day_of_outage_at_a_hundred_spans_a_second(folder, ledger):
    """24 hours without an endpoint: memory stays flat, the folder below its cap, every evicted span is counted."""
    import tracemalloc

    cap = 1_000_000
    pending = pending_of("traces", folder, ledger, is_synced=False, max_total_bytes=cap)
    queue = queue_of(Leaves(), ledger, pending, records=8192, batch=512)
    spans = made_spans(500)  # five seconds of them, over and over: what is measured is what the library keeps

    def hours(number):
        for _ in range(number * 720 // 20):  # compressed: one batch of twenty is really made
            for span in spans:
                queue.put(span)
            assert queue.mark().wait(10)
        return number * 720 // 20 * len(spans)

    made = hours(1)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made += hours(3)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert grown < 500_000
    assert sum(file.stat().st_size for file in folder.iterdir()) <= cap
    exported, on_disk, dropped = sums(ledger)
    assert (exported, on_disk + dropped) == (0, made)
    assert on_disk == len(spooled(folder)["traces"])
    assert dropped > made / 10
    assert {entry.reason for entry in ledger.counts() if entry.fate == "dropped"} == {"evicted"}
    assert sys.getsizeof(queue._items) < 100_000
    queue.close()
    pending.close()


class Leaves:
    """A target whose endpoint is down."""

    def __call__(self, batch):
        return Outcome(left=batch)

    def hurry(self):
        pass

    interrupt = close = restart = hurry


def test_what_another_machine_delivered_is_exported_and_what_somebody_removed_is_lost(tmp_path, ledger, monkeypatch):
    """A part that is gone was sent, where a mark says so; else its records are on no disk any more."""
    pending = Pending("traces", tmp_path, ledger, is_synced=False, max_total_bytes=1_000_000)
    for number in (3, 4):
        ledger.write("traces", pending(made_spans(number)))
        sent = pending.file
        pending.rotate()
        pending.pass_over(sent)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(_claims.socket, "gethostname", lambda: "another-machine")
            if number == 3:
                Receiver().run(tmp_path)
                assert not sent.exists()
                Receiver().run(tmp_path)  # passes over what is not for it
    pending.check()
    assert sums(ledger, "traces") == (3, 4, 0)
    assert not list(tmp_path.glob("*.sent"))

    sent.unlink()
    pending.check()
    assert sums(ledger, "traces") == (3, 0, 4)
    assert pending.is_empty()
    pending.close()
