"""Delivery through the SDK's exporters: what is heard of them, what is counted, what they leave in the log."""

import logging

import pytest
from sinks import refused_port
from test_export_spool import made_spans

from mlotel.export import _listen
from mlotel.export._explain import bare, explain
from mlotel.export.otlp import OtlpTarget

LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@pytest.fixture
def quiet_exporters():
    _listen.install()
    yield
    _listen.remove()


@pytest.fixture
def target_at():
    made = []

    def make(endpoint, protocol="http/protobuf", timeout_s=2.0):
        path = "/v1/traces" if protocol == "http/protobuf" else ""
        made.append(OtlpTarget("traces", endpoint + path, protocol, {}, timeout_s))
        return made[-1]

    yield make
    for target in made:
        target.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_span_that_cannot_be_encoded_costs_itself_only(
    protocol, target_at, http_sink, grpc_sink, quiet_exporters, caplog
):
    """One span that protobuf refuses is dropped as ``encode``; the rest of its batch arrives, each span once."""
    sink = grpc_sink if protocol == "grpc" else http_sink
    spans = made_spans(9)
    spans[4]._name = "half \ud800"

    outcome = target_at(sink.endpoint, protocol)(spans)

    assert (outcome.exported, dict(outcome.dropped)) == (8, {"encode": 1})
    assert len(sink.spans()) == 8
    assert [record.name for record in caplog.records] == ["mlotel"]


def test_exporters_of_the_application_log_as_before(target_at, quiet_exporters, caplog):
    """Only what the exporters say about mlotel's own deliveries stays out of the log, and only until shutdown."""
    nowhere = f"http://127.0.0.1:{refused_port()}"
    target = target_at(nowhere, timeout_s=0.5)
    target(made_spans(1))
    assert {record.name for record in caplog.records} == {"mlotel"}

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    theirs = OTLPSpanExporter(endpoint=f"{nowhere}/v1/traces", timeout=0.5)
    theirs.export(made_spans(1))
    theirs.shutdown()
    assert LOGGER in {record.name for record in caplog.records}

    _listen.remove()
    assert not any(isinstance(found, _listen._Ear) for found in logging.getLogger(LOGGER).filters)


def test_interrupt_ends_a_pause_between_two_tries(target_at, http_sink, quiet_exporters):
    """An exporter that waits to try again gives up when interrupted; nothing is sent afterwards."""
    import threading
    import time

    http_sink.behaviour = 503
    target = target_at(http_sink.endpoint, timeout_s=10)
    outcomes = []
    worker = threading.Thread(target=lambda: outcomes.append(target(made_spans(2))))
    worker.start()
    while not http_sink.attempts:
        time.sleep(0.01)
    target.interrupt()
    worker.join(1)

    assert not worker.is_alive()
    assert dict(outcomes[0].dropped) == {"refused": 2}
    http_sink.behaviour = "ok"
    assert dict(target(made_spans(1)).dropped) == {"refused": 1}
    assert http_sink.spans() == []


@pytest.mark.parametrize(
    ("heard", "status", "words"),
    [
        (["... [Errno 111] Connection refused"], None, "nothing listens there"),
        (["Failed to resolve 'nohost' ([Errno -2] Name or service not known)"], None, "host name is not known"),
        (["Read timed out. (read timeout=10)"], None, "does not answer in time"),
        (["Failed to export spans batch due to timeout, max retries or shutdown."], None, "does not answer in time"),
        (["certificate verify failed: self signed certificate"], None, "TLS certificate is not trusted"),
        (["[SSL: WRONG_VERSION_NUMBER] wrong version number"], None, "it speaks no TLS"),
        (["error code: StatusCode.UNIMPLEMENTED"], None, "it has no OTLP service"),
        (["StatusCode.UNAVAILABLE ... Trying to connect an http1.x server"], None, "it speaks HTTP, not gRPC"),
        ([], 503, "it cannot take the data now (503)"),
        ([], 413, "the batch is too large"),
        (["something nobody thought of"], None, "something nobody thought of"),
        ([], None, "did not say why"),
    ],
)
def test_causes_in_plain_words(heard, status, words):
    """What went wrong is said as a person would, with something to do about it."""
    cause = explain(heard, status)

    assert words in cause.what
    assert cause.remedy.endswith(".")


def test_addresses_are_shown_without_secrets():
    """User info and query of an address never reach a message."""
    assert bare("https://me:hush@host:4318/v1/traces?key=hush#x") == "https://host:4318/v1/traces"
    assert bare("me:hush@host:4317") == "host:4317"
