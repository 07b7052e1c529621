"""What waits on disk is delivered when its endpoint is there, without slowing anybody down."""

import threading
import time

import pytest
from programs import finish, run, start, wait_until
from records import spooled
from test_export_spool import made_spans

from mlotel.export._breaker import Breaker
from mlotel.export._ledger import Ledger
from mlotel.export._pending import Pending
from mlotel.export._recovery import Lane, Recovery
from mlotel.export._sender import Answer
from mlotel.export.otlp import sender


class Endpoint:
    """Takes, or answers as told; counts what came."""

    def __init__(self):
        self.answer = Answer("accepted")
        self.bodies = []
        self.is_free = threading.Event()
        self.is_free.set()

    def send(self, body, timeout_s):
        self.bodies.append(body)
        self.is_free.wait(timeout_s)
        return self.answer

    def interrupt(self):
        self.is_free.set()

    def close(self):
        pass

    restart = close


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def lane(tmp_path, ledger, endpoint):
    folder = tmp_path / "spool"
    pending = Pending("traces", folder, ledger, is_synced=True, max_total_bytes=10_000_000)
    return Lane(Breaker(jitter=lambda: 1.0), pending, lambda: endpoint, 10.0)


@pytest.fixture
def recovery(lane):
    made = Recovery({"traces": lane})
    yield made
    made.close(1.0)
    lane.pending.close()


def keep(lane, ledger, number):
    ledger.write("traces", lane.pending(made_spans(number)))


def sums(ledger):
    found = ledger.result()
    return found.exported["traces"], found.spooled["traces"], found.dropped["traces"]


def test_what_waits_is_delivered_when_asked(recovery, lane, endpoint, ledger, tmp_path):
    """A pass sends every line of this process's files, counts it once, and leaves no file."""
    for _ in range(5):
        keep(lane, ledger, 10)
    assert sums(ledger) == (0, 50, 0)
    assert recovery.has_work()

    assert recovery.ask(time.monotonic() + 10).wait(10)

    assert sums(ledger) == (50, 0, 0)
    assert len(endpoint.bodies) == 5
    assert list((tmp_path / "spool").iterdir()) == []
    assert not recovery.has_work()


def test_nothing_is_sent_while_the_endpoint_is_left_alone(recovery, lane, endpoint, ledger):
    """An open breaker holds replay up, and costs no connection."""
    keep(lane, ledger, 10)
    lane.breaker.report(Answer("later", retry_after_s=60))

    assert recovery.ask(time.monotonic() + 5).wait(5)

    assert endpoint.bodies == []
    assert sums(ledger) == (0, 10, 0)
    assert not recovery.has_work()


def test_an_outage_ends_by_itself(recovery, lane, endpoint, ledger):
    """Nobody records, nobody asks: after the pause one line is the probe, and the rest follows."""
    for _ in range(3):
        keep(lane, ledger, 10)
    endpoint.answer = Answer("later")
    recovery.wake()
    assert wait_until(lambda: lane.breaker.is_open)
    assert len(endpoint.bodies) == 1
    endpoint.answer = Answer("accepted")

    assert wait_until(lambda: sums(ledger) == (30, 0, 0), 10)
    assert len(endpoint.bodies) == 4


def test_what_is_refused_on_replay_is_dropped_and_said(recovery, lane, endpoint, ledger, caplog):
    """A line that the receiver will never take holds nothing up."""
    keep(lane, ledger, 10)
    endpoint.answer = Answer("refused")
    recovery.ask(time.monotonic() + 5).wait(5)

    assert sums(ledger) == (0, 0, 10)
    assert [(entry.reason, entry.origin) for entry in ledger.counts() if entry.fate == "dropped"] == [
        ("refused", "disk")
    ]
    assert "could not be delivered and are dropped (the receiver refuses them)" in caplog.text


def test_records_of_others_are_in_no_result(recovery, lane, endpoint, ledger, tmp_path):
    """What an earlier process left is delivered, and is no record of this one."""
    earlier = Pending("traces", tmp_path / "spool", Ledger(), is_synced=True, max_total_bytes=10_000_000)
    earlier(made_spans(7))
    earlier.close()
    keep(lane, ledger, 2)
    recovery.ask(time.monotonic() + 5).wait(5)

    assert len(endpoint.bodies) == 2
    assert sums(ledger) == (2, 0, 0)


def test_close_lets_the_request_under_way_end(lane, endpoint, ledger):
    """Cut off in the middle, its records might be sent twice; a receiver that hangs is cut off all the same."""
    recovery = Recovery({"traces": lane})
    keep(lane, ledger, 10)
    endpoint.is_free.clear()
    recovery.wake()
    assert wait_until(lambda: endpoint.bodies)
    threading.Timer(0.2, endpoint.is_free.set).start()
    recovery.close(2.0)
    assert sums(ledger) == (10, 0, 0)

    recovery = Recovery({"traces": lane})
    keep(lane, ledger, 10)
    endpoint.is_free.clear()
    endpoint.answer = Answer("later")
    recovery.wake()
    assert wait_until(lambda: len(endpoint.bodies) == 2)
    begun = time.monotonic()
    recovery.close(0.3)
    assert time.monotonic() - begun < 1.5
    assert sums(ledger) == (10, 10, 0)
    lane.pending.close()


def test_over_http_every_span_arrives_once(tmp_path, ledger, http_sink):
    """Through a real sender: an outage of thousands of spans arrives whole, with the ids they were made with."""
    folder = tmp_path / "spool"
    pending = Pending("traces", folder, ledger, is_synced=True, max_total_bytes=10_000_000)
    address = f"{http_sink.endpoint}/v1/traces"
    lane = Lane(Breaker(), pending, lambda: sender("traces", address, "http/protobuf", {}), 10.0)
    recovery = Recovery({"traces": lane})
    spans = made_spans(2000)
    for start_at in range(0, 2000, 100):
        ledger.write("traces", pending(spans[start_at : start_at + 100]))
    assert recovery.ask(time.monotonic() + 20).wait(20)

    arrived = [span["span_id"] for span in http_sink.spans()]
    assert arrived == [f"{span.context.span_id:016x}" for span in spans]
    assert sums(ledger) == (2000, 0, 0)
    recovery.close(1.0)
    pending.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_fork_in_the_middle_of_a_request(protocol, sink_of, tmp_path):
    """A child forked while a request hangs starts clean: its own records, counts and files; the parent's stay whole."""
    sink = sink_of(protocol)
    sink.behaviour = "hang"
    program = run(
        f"""
        telemetry = configure(endpoint={sink.endpoint!r}, protocol={protocol!r})
        record("parent", spans=600)
        time.sleep(0.3)
        child = os.fork()
        if child == 0:
            record("child", spans=5)
            show(child=counts(telemetry.shutdown(2.0)))
            os._exit(0)
        os.waitpid(child, 0)
        show(parent=counts(telemetry.shutdown(2.0)))
        """,
        folder=tmp_path,
    )

    assert program.shown["child"]["spooled"]["traces"] == 5
    assert program.shown["parent"]["spooled"]["traces"] == 600
    names = [span["name"] for span in spooled(tmp_path / ".mlotel" / "spool")["traces"]]
    assert (names.count("parent"), names.count("child"), len(names)) == (600, 5, 605)


def test_configure_does_not_wait_for_what_earlier_programs_left(http_sink, tmp_path):
    """Replay begins in the background: configure() is as quick with a full folder and a receiver that hangs."""
    http_sink.behaviour = 503
    run(f"configure(endpoint={http_sink.endpoint!r}); record(spans=2000)", folder=tmp_path)
    http_sink.behaviour = "hang"
    program = finish(
        start(
            f"""
            from mlotel._setup import _assemble  # what is slow to import is loaded before
            import mlotel.export.otlp, mlotel.export._http
            began = time.monotonic()
            telemetry = configure(endpoint={http_sink.endpoint!r})
            show(configure_s=time.monotonic() - began)
            began = time.monotonic()
            telemetry.shutdown()
            show(shutdown_s=time.monotonic() - began)
            """,
            folder=tmp_path,
        )
    )

    assert program.shown["configure_s"] < 0.7
    assert program.shown["shutdown_s"] < 2.0
    assert len(spooled(tmp_path / ".mlotel" / "spool")["traces"]) == 2000
