"""A receiver that fails in every way: each record arrives once, or is on disk, or is counted as lost."""

import time

import pytest
from account import counter_total, has_all, recovers, settle
from certificates import Certificate
from fault_programs import OFTEN, Plan, Program, run
from receiver import (
    BAD,
    DRIP,
    HALF,
    HANGING,
    LOST_ANSWER,
    OK,
    RECEIVERS,
    RESET,
    UNAVAILABLE,
    Behaviour,
    GrpcReceiver,
    HttpReceiver,
    busy,
    partial,
)


def test_nobody_listens_at_the_start_and_the_next_program_delivers(receiver, protocol, folder, spool):
    """Everything is on disk within a second of the end; the next program with an endpoint delivers it, once."""
    receiver.down()
    first = run(Plan("mlotel", receiver.endpoint, protocol, spans=500), folder)

    found = settle([first], [receiver], [spool])
    assert len(found["traces"].stored) == 500
    assert len(found["logs"].stored) == 50
    assert first.last()["spooled"]["traces"] == 500
    assert first.shutdown_s < 1.5

    receiver.up()
    second = Program(Plan("mlotel", receiver.endpoint, protocol, spans=5, ending="wait"), folder, OFTEN)
    receiver.wait_for(lambda r: len(r.taken("traces")) >= 505 and len(r.taken("logs")) >= 51)
    second.go_on()
    second = second.finish()

    found = settle([first, second], [receiver], [spool])
    assert len(found["traces"].arrived) == 505
    assert len(found["logs"].arrived) == 51
    assert second.last()["exported"]["traces"] == 5, "what another process made is in no count of this one"
    assert counter_total([first, second], [receiver], [spool]) == (51, 51)


def test_receiver_is_killed_and_comes_back(receiver, protocol, folder, spool):
    """A receiver that goes and comes while a program records gets every record once, while the program lives."""
    program_plan = Plan("mlotel", receiver.endpoint, protocol, spans=1500, per_s=500, ending="wait")
    program = Program(program_plan, folder, OFTEN)
    program.wait_for(300)
    receiver.down()
    program.wait_for(900)
    receiver.up()
    program.wait_for(1500)
    arrived = receiver.wait_for(has_all(receiver, program), 20)
    program.go_on()
    result = program.finish()

    found = settle([result], [receiver], [spool])
    assert arrived, f"{found['traces']}\n{result.log}"
    assert counter_total([result], [receiver], [spool]) == (150, 150)
    assert result.last()["spooled"]["traces"] == 0


@pytest.mark.parametrize("status", [503, 500])
def test_unavailable_for_a_while(status, receiver, protocol, folder, spool):
    """While it answers 5xx records go to disk; when it is well again they arrive, and nothing hammers it."""
    receiver.always(Behaviour(status))
    plan = Plan("mlotel", receiver.endpoint, protocol, spans=600, per_s=300, ending="wait")
    if protocol == "grpc" and status == 500:
        pytest.skip("gRPC has no code that says: try again, for what HTTP calls 500")

    recovers(receiver, plan, folder, spool, while_failing=lambda: receiver.always(OK))

    failed = [request for request in receiver.requests if not request.taken]
    assert len(failed) <= 12, "two seconds of pauses that double hold few tries, a signal"


def test_too_many_requests_waits_as_long_as_asked(receiver, protocol, folder, spool):
    """After 429 with a time to come back at, no request of that signal comes before it."""
    receiver.next(busy(2), signals=["traces"])
    plan = Plan("mlotel", receiver.endpoint, protocol, spans=300, per_s=150, ending="wait")

    recovers(receiver, plan, folder, spool, while_failing=lambda: None)

    traces = [request for request in receiver.requests if request.signal == "traces"]
    assert not traces[0].taken
    assert traces[1].at - traces[0].at >= 1.95


def test_a_refused_batch_is_dropped_counted_and_said(receiver, protocol, folder, spool):
    """400: that batch is lost and counted as such, is not sent again and not kept; the others arrive."""
    receiver.next(BAD, signals=["traces"])
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=500, per_s=1000), folder, environment=OFTEN)

    [refused] = [request for request in receiver.requests if request.behaviour.status == 400]
    settle([result], [receiver], [spool], lost=len(refused.items))
    assert len(refused.items) > 0
    assert sum({i.id for i in r.items} == {i.id for i in refused.items} for r in receiver.requests) == 1
    assert str(len(refused.items)) in result.log or "refused" in result.log.lower() or "400" in result.log


def test_partial_success_is_counted(receiver, protocol, folder, spool):
    """What an accepted request left out is counted as lost; it is not sent again."""
    receiver.next(partial(3), signals=["traces"])
    receiver.next(partial(1), signals=["logs"])
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=200), folder)

    settle([result], [receiver], [spool], lost={"traces": 3, "logs": 1})
    assert result.last()["exported"]["traces"] == 197
    assert "left out" in result.log, "what the receiver said is passed on"


def test_a_hanging_receiver_delays_nobody(receiver, protocol, folder, spool):
    """It takes requests and never answers: the end waits a second or two, and everything is on disk."""
    receiver.always(HANGING)
    plan = Plan("mlotel", receiver.endpoint, protocol, spans=1000, per_s=1000, flushed=500)
    result = run(plan, folder, environment=OFTEN)

    found = settle([result], [receiver], [spool])
    assert len(found["traces"].stored) == 1000
    assert result.shutdown_s < 3.0  # it waits while the receiver makes progress, and this one makes none
    assert result.flush_s < 5.5


@pytest.mark.parametrize("fault", [RESET, LOST_ANSWER, HALF], ids=["reset", "lost answer", "half an answer"])
def test_connections_that_break(fault, receiver, protocol, folder, spool):
    """Whatever is not confirmed is sent again, with equal ids; whatever was confirmed is not."""
    receiver.next(fault, OK, fault, fault)
    plan = Plan("mlotel", receiver.endpoint, protocol, spans=600, per_s=300, ending="wait")

    recovers(receiver, plan, folder, spool, while_failing=lambda: None)

    if fault is not RESET:
        assert any(times > 1 for times in receiver.taken("traces").values()), "the fault met nothing"


def test_an_answer_that_comes_byte_by_byte(receiver, protocol, folder, spool):
    """A slow answer keeps neither flush nor the end longer than agreed, and loses nothing."""
    receiver.always(DRIP)
    plan = Plan("mlotel", receiver.endpoint, protocol, spans=300, flushed=200)
    result = run(plan, folder)

    settle([result], [receiver], [spool])
    assert result.flush_s < 5.5
    assert result.shutdown_s < 5.2


@pytest.fixture
def other_bundle(tmp_path, monkeypatch):
    """Variables that other programs of the machine want, and that must not come before OpenTelemetry's own."""
    bundle = Certificate().write_authority(tmp_path / "others.pem")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(bundle))


def test_over_tls_with_an_authority_of_ones_own(protocol, folder, spool, certificate, tmp_path, other_bundle):
    """Over TLS everything arrives when the authority is named."""
    authority = certificate.write_authority(tmp_path / "authority.pem")
    with RECEIVERS[protocol](certificate) as receiver:
        plan = Plan("mlotel", receiver.endpoint, protocol)
        result = run(plan, folder, environment={"OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority)})

        found = settle([result], [receiver], [spool])
        assert len(found["traces"].arrived) == 100
        assert result.log == ""


@pytest.mark.parametrize("wrong", ["unknown authority", "other name"])
def test_a_wrong_certificate_loses_nothing(wrong, protocol, folder, spool, certificate, tmp_path, other_bundle):
    """Nothing is sent over a connection that is not believed; it is said once and kept; set right, it arrives."""
    shown = Certificate("elsewhere.example") if wrong == "other name" else Certificate()
    right = shown if wrong == "other name" else certificate
    authority = right.write_authority(tmp_path / "authority.pem")
    with RECEIVERS[protocol](shown) as receiver:
        plan = Plan("mlotel", receiver.endpoint, protocol, spans=300, per_s=300)
        environment = {**OFTEN, "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority)}
        first = run(plan, folder, environment=environment)

        found = settle([first], [receiver], [spool])
        assert receiver.requests == []
        assert len(found["traces"].stored) == 300
        assert first.log.count("certificate") >= 1
        assert first.log.count("mlotel cannot deliver") + first.log.count("WARNING") <= 3, first.log
        remedy = "OTEL_EXPORTER_OTLP_CERTIFICATE" if wrong == "unknown authority" else "name"
        assert remedy in first.log.partition("certificate")[2], first.log

    with RECEIVERS[protocol](certificate) as receiver:
        authority = certificate.write_authority(tmp_path / "authority.pem")
        plan = Plan("mlotel", receiver.endpoint, protocol, spans=5, ending="wait")
        second = Program(plan, folder, environment)
        receiver.wait_for(lambda r: len(r.taken("traces")) >= 305)
        second.go_on()
        second = second.finish()
        found = settle([first, second], [receiver], [spool])
        assert found["traces"].stored == set()


@pytest.mark.parametrize("spoken", ["grpc", "http/protobuf"])
def test_the_wrong_protocol_loses_nothing(spoken, folder, spool):
    """gRPC to a port for HTTP, and the other way: kept on disk, and the remedy is named once."""
    other = HttpReceiver if spoken == "grpc" else GrpcReceiver
    with other() as receiver:
        result = run(Plan("mlotel", receiver.endpoint, spoken, spans=200), folder)

        receiver.problems.clear()
        found = settle([result], [receiver], [spool])
        assert len(found["traces"].stored) == 200
        assert "OTEL_EXPORTER_OTLP_PROTOCOL" in result.log or "protocol" in result.log


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_receiver_that_wants_other_settings_loses_nothing(status, receiver, protocol, folder, spool):
    """Where the settings are at fault and not the records, these are kept, and the receiver is left in peace."""
    receiver.always(Behaviour(status))
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=300, per_s=300), folder, environment=OFTEN)

    found = settle([result], [receiver], [spool])
    assert len(found["traces"].stored) == 300
    tries = [request for request in receiver.requests if request.signal == "traces"]
    assert len(tries) <= 2


def test_a_request_that_is_too_large_is_sent_in_parts(receiver, protocol, folder, spool):
    """A receiver with a limit gets the batch in halves, each record once."""
    receiver.next(Behaviour(413), Behaviour(413), signals=["traces"])
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=400), folder)

    found = settle([result], [receiver], [spool])
    assert len(found["traces"].arrived) == 400
    sizes = [len(request.items) for request in receiver.requests if request.signal == "traces"]
    assert sizes[1] == pytest.approx(sizes[0] / 2, abs=1)


def test_a_fault_is_said_once(receiver, protocol, folder, spool):
    """However long a receiver fails, what is wrong is said once, and no line has a traceback or a header's value."""
    receiver.always(UNAVAILABLE)
    environment = {**OFTEN, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret-token"}
    began = time.monotonic()
    result = run(Plan("mlotel", receiver.endpoint, protocol, spans=900, per_s=300), folder, environment=environment)

    assert time.monotonic() - began > 3
    settle([result], [receiver], [spool])
    assert len(result.log.splitlines()) <= 4, result.log
    assert "secret-token" not in result.log
    assert "Traceback" not in result.log
