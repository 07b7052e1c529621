"""Delivery to an endpoint: what is counted, what is left to be kept, what is said of it."""

import logging
import threading
import time

import grpc
import pytest
from sinks import refused_port
from test_export_spool import made_spans

from mlotel.export import _listen
from mlotel.export._breaker import Breaker
from mlotel.export._explain import bare, explain
from mlotel.export._sender import Answer
from mlotel.export.otlp import OtlpTarget, sender

LOGGER = "opentelemetry.exporter.otlp.proto.common._internal"
PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


@pytest.fixture
def target_at(tmp_path):
    made = []

    def make(endpoint, protocol="http/protobuf", *, timeout_s=2.0, is_kept=True, breaker=None):
        endpoint += "/v1/traces" if protocol == "http/protobuf" else ""
        one = sender("traces", endpoint, protocol, {})
        folder = tmp_path if is_kept else None
        made.append(OtlpTarget("traces", endpoint, one, breaker or Breaker(), timeout_s, folder))
        return made[-1]

    yield make
    for target in made:
        target.close()


def counts(outcome):
    return outcome.exported, len(outcome.left), dict(outcome.dropped)


@pytest.fixture
def ears():
    _listen.install()
    yield
    _listen.remove()


@PROTOCOLS
def test_a_span_that_cannot_be_encoded_costs_itself_only(protocol, target_at, sink_of, caplog):
    """One span that protobuf refuses is dropped as ``encode``; the rest of its batch arrives, each span once."""
    sink = sink_of(protocol)
    spans = made_spans(9)
    spans[4]._name = "half \ud800"

    outcome = target_at(sink.endpoint, protocol)(spans)

    assert counts(outcome) == (8, 0, {"encode": 1})
    assert len(sink.spans()) == 8
    assert [record.name for record in caplog.records] == ["mlotel"]


def test_a_value_that_is_left_out_is_said_once(target_at, http_sink, ears, caplog):
    """What an encoder says of our records is said by mlotel; what it says of others' stays in the log."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    spans = made_spans(2)
    for span in spans:
        span._attributes = {"odd": object(), "good": 1}
    assert counts(target_at(http_sink.endpoint)(spans)) == (2, 0, {})
    assert [record.name for record in caplog.records] == ["mlotel"]
    assert [span["attributes"] for span in http_sink.spans()] == [{"good": 1}] * 2

    encode_spans(spans)
    assert LOGGER in {record.name for record in caplog.records}
    _listen.remove()
    assert not any(isinstance(found, _listen._Ear) for found in logging.getLogger(LOGGER).filters)


@PROTOCOLS
def test_partial_success_is_counted_and_said_once(protocol, target_at, sink_of, caplog):
    """Rejected records are dropped as ``refused``; the receiver's reason is said once, however often it comes."""
    sink = sink_of(protocol)
    sink.rejected, sink.message = 2, "two are too old"
    target = target_at(sink.endpoint, protocol)

    outcomes = [target(made_spans(5)) for _ in range(3)]

    assert [counts(outcome) for outcome in outcomes] == [(3, 0, {"refused": 2})] * 3
    [line] = caplog.messages
    assert "two are too old" in line


def test_a_warning_of_a_receiver_that_took_all_is_passed_on(target_at, http_sink, caplog):
    """A message without rejected records loses nothing, and is said."""
    http_sink.message = "soon to be switched off"

    assert counts(target_at(http_sink.endpoint)(made_spans(5))) == (5, 0, {})
    assert "soon to be switched off" in caplog.text


@pytest.mark.parametrize(("protocol", "refusal"), [("http/protobuf", 400), ("grpc", grpc.StatusCode.INVALID_ARGUMENT)])
def test_what_is_refused_is_dropped_and_said_once(protocol, refusal, target_at, sink_of, caplog):
    """A batch that the receiver will never take is not tried again, and the next one is tried."""
    sink = sink_of(protocol)
    sink.behaviour, sink.message = refusal, "no such field"
    target = target_at(sink.endpoint, protocol)

    outcomes = [target(made_spans(5)), target(made_spans(5))]

    assert [counts(outcome) for outcome in outcomes] == [(0, 0, {"refused": 5})] * 2
    assert sink.attempts == 2
    [line] = caplog.messages
    assert "it refuses the data" in line
    assert 'says "no such field"' in line
    assert "dropped and counted" in line


def test_a_batch_that_is_too_large_goes_in_halves(target_at, http_sink):
    """413: smaller requests bring every record across, each once; one that is too large alone is refused."""
    spans = [*made_spans(7), *made_spans(1, text="x" * 2000)]
    http_sink.limit = 400

    outcome = target_at(http_sink.endpoint)(spans)

    assert counts(outcome) == (7, 0, {"refused": 1})
    ids = [span["span_id"] for span in http_sink.spans()]
    assert sorted(ids) == sorted(f"{span.context.span_id:016x}" for span in spans[:7])


@PROTOCOLS
def test_an_outage_leaves_the_batch_and_costs_one_try(protocol, target_at, caplog):
    """Nobody listens: the first batch is left after one try, the next ones without any."""
    target = target_at(f"http://127.0.0.1:{refused_port()}", protocol)
    batches = [made_spans(3) for _ in range(4)]

    outcomes = [target(batch) for batch in batches]

    assert [list(outcome.left) for outcome in outcomes] == batches
    assert all(not outcome.exported and not outcome.dropped for outcome in outcomes)
    [line] = caplog.messages
    assert "nothing listens there" in line
    assert "kept in" in line
    assert "nothing listens there" in target._breaker.cause.what


def test_a_receiver_is_left_alone_for_as_long_as_it_asks(target_at, http_sink):
    """Retry-After is kept to the second; then one batch is a probe, and with it the outage is over."""
    http_sink.behaviour, http_sink.retry_after = 429, 1
    recovered = threading.Event()
    target = target_at(http_sink.endpoint)
    target._on_recovery = recovered.set
    target(made_spans(2))
    http_sink.behaviour = "ok"
    begun = time.monotonic()
    while target(made_spans(1)).left:
        time.sleep(0.02)

    assert 0.9 < time.monotonic() - begun < 2.0
    assert http_sink.attempts == 2
    assert recovered.is_set()
    assert target._breaker.cause is None


@pytest.mark.parametrize("behaviour", [401, 404, 302, "page"])
def test_a_wrong_setting_keeps_the_records(behaviour, target_at, http_sink, caplog):
    """What is wrong with the address is not the records' fault: they are left, and not tried again for minutes."""
    http_sink.behaviour = behaviour
    breaker = Breaker()
    target = target_at(http_sink.endpoint, breaker=breaker)

    outcomes = [target(made_spans(2)), target(made_spans(2))]

    assert [counts(outcome) for outcome in outcomes] == [(0, 2, {})] * 2
    assert http_sink.attempts == 1
    assert 240 < breaker.due_in_s() <= 300
    breaker.invite()
    assert breaker.due_in_s() > 240  # nobody's impatience mends a setting
    assert len(caplog.messages) == 1


def test_without_a_disk_a_batch_is_sent_until_its_time_is_over(target_at, http_sink):
    """spool=False: tries go on within the time-out, and what never arrived is dropped as ``refused``."""
    http_sink.behaviour, http_sink.times = 503, 1
    target = target_at(http_sink.endpoint, is_kept=False, timeout_s=4.0)
    assert counts(target(made_spans(3))) == (3, 0, {})

    http_sink.times = None
    target = target_at(http_sink.endpoint, is_kept=False, timeout_s=1.5)
    begun = time.monotonic()
    assert counts(target(made_spans(3))) == (0, 0, {"refused": 3})
    assert time.monotonic() - begun < 2.0
    assert http_sink.attempts >= 4


@pytest.mark.parametrize("is_kept", [True, False])
def test_interrupt_gives_up_and_leaves_what_comes_later(is_kept, target_at, http_sink):
    """At the end a request under way, and the pause before the next, are given up; nothing is sent afterwards."""
    http_sink.behaviour = "hang" if is_kept else 503
    target = target_at(http_sink.endpoint, timeout_s=20, is_kept=is_kept)
    outcomes = []
    worker = threading.Thread(target=lambda: outcomes.append(target(made_spans(2))))
    worker.start()
    while not http_sink.attempts:
        time.sleep(0.01)
    target.interrupt()
    worker.join(2)

    assert not worker.is_alive()
    http_sink.behaviour = "ok"
    outcomes.append(target(made_spans(1)))
    lost = [(0, 2, {}), (0, 1, {})] if is_kept else [(0, 0, {"refused": 2}), (0, 0, {"refused": 1})]
    assert [counts(outcome) for outcome in outcomes] == lost
    assert http_sink.spans() == []


def test_hurry_gives_up_one_request(target_at, http_sink, caplog):
    """A flush that has no time left says nothing about the endpoint: the next batch is sent."""
    http_sink.behaviour = "hang"
    target = target_at(http_sink.endpoint, timeout_s=20)
    outcomes = []
    worker = threading.Thread(target=lambda: outcomes.append(target(made_spans(2))))
    worker.start()
    while not http_sink.attempts:
        time.sleep(0.01)
    target.hurry()
    worker.join(2)
    http_sink.behaviour = "ok"

    assert counts(outcomes[0]) == (0, 2, {})
    assert counts(target(made_spans(1))) == (1, 0, {})
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("... [Errno 111] Connection refused", None, "nothing listens there"),
        ("Failed to resolve 'nohost' ([Errno -2] Name or service not known)", None, "host name is not known"),
        ("Read timed out. (read timeout=10)", None, "does not answer in time"),
        ("certificate verify failed: self signed certificate", None, "TLS certificate is not trusted"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", None, "it speaks no TLS"),
        ("StatusCode.UNIMPLEMENTED", None, "it has no OTLP service"),
        ("StatusCode.UNAVAILABLE ... Trying to connect an http1.x server", None, "it speaks HTTP, not gRPC"),
        ("", 503, "it cannot take the data now (503)"),
        ("", 413, "the batch is too large"),
        ("something nobody thought of", None, "something nobody thought of"),
        ("", None, "did not say why"),
    ],
)
def test_causes_in_plain_words(said, status, words):
    """What went wrong is said as a person would, with something to do about it."""
    cause = explain(said, status)

    assert words in cause.what
    assert cause.remedy.endswith(".")


def test_addresses_are_shown_without_secrets():
    """User info and query of an address never reach a message."""
    assert bare("https://me:hush@host:4318/v1/traces?key=hush#x") == "https://host:4318/v1/traces"
    assert bare("me:hush@host:4317") == "host:4317"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


LATER = Answer("later")


def test_pauses_grow_to_a_minute():
    """A second, then twice as long each time, a minute at most; the first success ends it and begins anew."""
    clock = Clock()
    breaker = Breaker(clock, jitter=lambda: 1.0)
    pauses = []
    for _ in range(9):
        assert breaker.admits()
        breaker.report(LATER)
        assert not breaker.admits()
        pauses.append(breaker.due_in_s())
        clock.now += breaker.due_in_s()

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert breaker.is_open
    assert breaker.admits()
    assert breaker.report(Answer("accepted"))
    assert not breaker.is_open
    assert breaker.admits()
    assert not breaker.report(Answer("refused"))
    breaker.report(LATER)
    assert breaker.due_in_s() == 1


def test_pauses_of_many_processes_differ():
    """A little chance keeps a thousand processes from coming back in the same moment."""
    pauses = set()
    for _ in range(50):
        breaker = Breaker(Clock())
        breaker.report(LATER)
        pauses.add(round(breaker.due_in_s(), 6))

    assert len(pauses) > 40
    assert 0.8 <= min(pauses) <= max(pauses) <= 1.2


def test_one_probe_at_a_time():
    """After the pause one thread of many is let through, and the next only when that one's answer is known."""
    clock = Clock()
    breaker = Breaker(clock, jitter=lambda: 1.0)
    breaker.report(LATER)
    clock.now = 1.0
    admitted = []
    threads = [threading.Thread(target=lambda: admitted.append(breaker.admits())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(admitted) == [False] * 15 + [True]
    breaker.withdraw()
    assert breaker.admits()
    assert not breaker.admits()
    clock.now += 61.0  # whoever probed was never heard of again
    assert breaker.admits()


def test_the_wall_clock_has_no_say(target_at, http_sink, monkeypatch):
    """A jump of the system's clock by a year ends no pause and begins none."""
    http_sink.behaviour, http_sink.retry_after = 503, 60
    breaker = Breaker()
    target = target_at(http_sink.endpoint, breaker=breaker)
    target(made_spans(1))
    for jump_s in (-3e7, 3e7):
        now = time.time() + jump_s
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert 50 < breaker.due_in_s() <= 60
        assert target(made_spans(1)).left
    assert http_sink.attempts == 1
