"""One request over HTTP and gRPC: what arrives, and what every kind of answer is taken to mean."""

import socket
import struct
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import grpc
import pytest
from sinks import GrpcSink, refused_port
from test_export_spool import made_spans

from mlotel.errors import InvalidArgumentError
from mlotel.export.otlp import encode, sender

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
BODY = encode("traces", made_spans(3))


@pytest.fixture
def sender_to():
    made = []

    def make(endpoint, protocol="http/protobuf", signal="traces", headers=None):
        path = f"/v1/{signal}" if protocol == "http/protobuf" else ""
        made.append(sender(signal, endpoint + path, protocol, headers or {}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@PROTOCOLS
@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_a_request_arrives_whole(protocol, compression, sender_to, sink_of, monkeypatch):
    """Whatever the compression, the request arrives with our headers, and the next one over the same connection."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    sink = sink_of(protocol)
    one = sender_to(sink.endpoint, protocol, headers={"X-Team": "blue"})

    answers = [one.send(BODY, 5), one.send(BODY, 5)]

    assert [(answer.verdict, answer.rejected, answer.cause) for answer in answers] == [("accepted", 0, None)] * 2
    assert len(sink.spans()) == 6
    assert [headers["x-team"] for _, _, headers in sink.requests] == ["blue", "blue"]
    assert len({headers["peer"] for _, _, headers in sink.requests}) == 1
    if protocol == "http/protobuf":
        assert sink.requests[0][2].get("content-encoding", "none") == compression


@PROTOCOLS
@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_partial_success_says_how_many_and_why(protocol, signal, sender_to, sink_of):
    """Records that an accepted request did not take are counted, a signal's own field each."""
    sink = sink_of(protocol)
    sink.rejected, sink.message = 2, "two are too old"

    answer = sender_to(sink.endpoint, protocol, signal).send(b"", 5)

    assert (answer.verdict, answer.rejected, answer.message) == ("accepted", 2, "two are too old")


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (400, "refused", "it refuses the data (400)"),
        (422, "refused", "it refuses the data (422)"),
        (401, "misconfigured", "asks for credentials"),
        (403, "misconfigured", "refuses the credentials"),
        (404, "misconfigured", "no OTLP receiver at this path"),
        (405, "misconfigured", "this path takes no OTLP"),
        (415, "misconfigured", "takes no OTLP in protobuf"),
        (302, "misconfigured", "it redirects to https://elsewhere.example/v1/traces (302)"),
        (413, "too_large", "too large"),
        (408, "later", ""),
        (429, "later", "overloaded"),
        (500, "later", "cannot take the data now (500)"),
        (503, "later", "cannot take the data now (503)"),
    ],
)
def test_what_a_status_means(status, verdict, words, sender_to, http_sink):
    """Every status has one meaning for the records, and words for people."""
    http_sink.behaviour, http_sink.message = status, "because"

    answer = sender_to(http_sink.endpoint).send(BODY, 5)

    assert answer.verdict == verdict
    assert words in answer.cause.what
    assert answer.message == ("" if status == 302 else "because")
    assert http_sink.attempts == 1


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("UNAVAILABLE", "later"),
        ("DEADLINE_EXCEEDED", "later"),
        ("ABORTED", "later"),
        ("CANCELLED", "later"),
        ("OUT_OF_RANGE", "later"),
        ("DATA_LOSS", "later"),
        ("RESOURCE_EXHAUSTED", "later"),
        ("INTERNAL", "later"),
        ("UNIMPLEMENTED", "misconfigured"),
        ("UNAUTHENTICATED", "misconfigured"),
        ("PERMISSION_DENIED", "misconfigured"),
        ("INVALID_ARGUMENT", "refused"),
    ],
)
def test_what_a_grpc_code_means(code, verdict, sender_to, grpc_sink):
    """The same for gRPC."""
    grpc_sink.behaviour, grpc_sink.message = grpc.StatusCode[code], "because"

    answer = sender_to(grpc_sink.endpoint, "grpc").send(BODY, 5)

    assert (answer.verdict, answer.message) == (verdict, "because")
    assert answer.cause.what != "because"
    assert grpc_sink.attempts == 1


def test_a_message_that_is_too_large_for_grpc(sender_to):
    """A receiver's limit is told apart from a receiver that is busy; both are RESOURCE_EXHAUSTED."""
    sink = GrpcSink(largest=100)

    answer = sender_to(sink.endpoint, "grpc").send(encode("traces", made_spans(9)), 5)

    assert answer.verdict == "too_large"
    sink.close()


@pytest.mark.parametrize("value", ["7", "7.0", "date", "-3", "soon", "1e999"])
def test_retry_after(value, sender_to, http_sink):
    """Seconds and dates are understood, a date by the receiver's own clock; nonsense is as good as nothing."""
    http_sink.behaviour = 503
    at = datetime.now(timezone.utc) + timedelta(seconds=7.5)
    http_sink.retry_after = format_datetime(at, usegmt=True) if value == "date" else value

    found = sender_to(http_sink.endpoint).send(BODY, 5).retry_after_s

    if value in ("7", "7.0", "date"):
        assert 6 <= found <= 8
    else:
        assert found == (0.0 if value == "-3" else None)


def test_retry_after_of_grpc(sender_to, grpc_sink):
    """The pause of a RetryInfo is passed on."""
    grpc_sink.behaviour, grpc_sink.retry_after = grpc.StatusCode.UNAVAILABLE, 7

    assert sender_to(grpc_sink.endpoint, "grpc").send(BODY, 5).retry_after_s == 7.0


@PROTOCOLS
def test_nobody_listens(protocol, sender_to):
    """A refused connection is known at once, and said as what it is."""
    begun = time.monotonic()

    answer = sender_to(f"http://localhost:{refused_port()}", protocol).send(BODY, 5)

    assert answer.verdict == "later"
    assert "nothing listens there" in answer.cause.what
    assert time.monotonic() - begun < 2


@PROTOCOLS
def test_a_name_that_does_not_exist(protocol, sender_to):
    """A host that cannot be looked up may come back: the records wait, and the spelling is doubted."""
    answer = sender_to("http://no-such-host.invalid:4318", protocol).send(BODY, 5)

    assert answer.verdict == "later"
    assert "host name" in answer.cause.what


@PROTOCOLS
def test_a_receiver_that_hangs_costs_the_time_given(protocol, sender_to, sink_of):
    """After the time-out there is an answer: nobody answered."""
    sink = sink_of(protocol)
    sink.behaviour = "hang"
    begun = time.monotonic()

    answer = sender_to(sink.endpoint, protocol).send(BODY, 0.4)

    assert (answer.verdict, answer.cause.what) == ("later", "it does not answer in time")
    assert 0.3 < time.monotonic() - begun < 1.5


@PROTOCOLS
def test_interrupt_ends_a_request_under_way(protocol, sender_to, sink_of):
    """A request is given up from another thread within moments; the next one is sent as ever."""
    sink = sink_of(protocol)
    sink.behaviour = "hang"
    one = sender_to(sink.endpoint, protocol)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(one.send(BODY, 20)))
    thread.start()
    while not sink.attempts:
        time.sleep(0.01)
    begun = time.monotonic()
    one.interrupt()
    thread.join(3)

    assert not thread.is_alive()
    assert time.monotonic() - begun < 1
    assert answers[0].verdict == "later"
    sink.behaviour = "ok"
    assert one.send(BODY, 5).verdict == "accepted"


@pytest.mark.parametrize("behaviour", ["reset", "drip", "half"])
def test_connections_that_break(behaviour, sender_to, http_sink):
    """A reset, an answer that comes a byte at a time and one that ends in the middle are none, within the time."""
    http_sink.behaviour = behaviour
    begun = time.monotonic()

    answer = sender_to(http_sink.endpoint).send(BODY, 0.8)

    assert answer.verdict == "later"
    assert time.monotonic() - begun < 2
    http_sink.behaviour = "ok"
    assert sender_to(http_sink.endpoint).send(BODY, 5).verdict == "accepted"


def test_a_web_page_is_no_receiver(sender_to, http_sink):
    """A server that answers every request with a page has not taken the records."""
    http_sink.behaviour = "page"

    answer = sender_to(http_sink.endpoint).send(BODY, 5)

    assert answer.verdict == "misconfigured"
    assert "no OTLP receiver" in answer.cause.what


@pytest.mark.parametrize("spoken", ["http/protobuf", "grpc"])
def test_the_wrong_protocol_is_named(spoken, sender_to, sink_of):
    """HTTP on a gRPC port and gRPC on an HTTP port: the remedy is the other protocol."""
    sink = sink_of("grpc" if spoken == "http/protobuf" else "http/protobuf")

    answer = sender_to(sink.endpoint, spoken).send(BODY, 5)

    assert answer.verdict == "misconfigured"
    assert 'needs protocol="grpc"' in answer.cause.remedy


@PROTOCOLS
@pytest.mark.parametrize("specific", ["", "TRACES_"])
def test_an_authority_of_ones_own(protocol, specific, sender_to, sink_of, identity, monkeypatch):
    """OTEL_EXPORTER_OTLP_CERTIFICATE, or the one for a signal, says who is trusted; REQUESTS_CA_BUNDLE does not."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{specific}CERTIFICATE", str(identity.authority))

    answer = sender_to(sink_of(protocol, identity).endpoint, protocol).send(BODY, 5)

    assert answer.verdict == "accepted"


@PROTOCOLS
def test_an_authority_that_nobody_trusts(protocol, sender_to, sink_of, identity):
    """A certificate that is not trusted is a setting to mend, not an outage."""
    answer = sender_to(sink_of(protocol, identity).endpoint, protocol).send(BODY, 5)

    assert answer.verdict == "misconfigured"
    assert "certificate is not trusted" in answer.cause.what
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in answer.cause.remedy


@PROTOCOLS
def test_a_receiver_that_asks_who_we_are(protocol, sender_to, sink_of, identity, monkeypatch):
    """With CLIENT_KEY and CLIENT_CERTIFICATE it is told; without, nothing arrives."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(identity.authority))
    sink = sink_of(protocol, identity, is_client_known=True)
    assert sender_to(sink.endpoint, protocol).send(BODY, 3).verdict in ("misconfigured", "later")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(identity.client_key))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(identity.client_certificate))

    assert sender_to(sink.endpoint, protocol).send(BODY, 5).verdict == "accepted"


@PROTOCOLS
def test_plain_text_and_tls_are_told_apart(protocol, sender_to, sink_of, identity, monkeypatch):
    """https:// to a port without TLS is a setting to mend."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(identity.authority))
    plain = sink_of(protocol).endpoint

    answer = sender_to(plain.replace("http://", "https://"), protocol).send(BODY, 3)

    assert answer.verdict == "misconfigured"
    assert "TLS" in answer.cause.what


def test_a_certificate_that_cannot_be_read_is_said_at_the_start(monkeypatch, tmp_path):
    """The variable and the file are named before anything is recorded."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "nowhere.pem"))

    with pytest.raises(InvalidArgumentError, match=r"nowhere\.pem' of OTEL_EXPORTER_OTLP_CERTIFICATE"):
        sender("traces", "https://localhost:4318/v1/traces", "http/protobuf", {})


def test_insecure_says_how_an_address_without_scheme_is_meant(sender_to, grpc_sink, monkeypatch):
    """host:port is TLS, unless OTEL_EXPORTER_OTLP_INSECURE says otherwise."""
    address = grpc_sink.endpoint.removeprefix("http://")
    assert sender_to(address, "grpc").send(BODY, 3).verdict in ("misconfigured", "later")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")

    assert sender_to(address, "grpc").send(BODY, 5).verdict == "accepted"


class Forgetful:
    """An HTTP receiver that closes a connection when the next request comes on it, as busy servers happen to do.

    Attributes:
        requests: Whole requests that came, by connection.
        is_answering_first: Whether the second request of a connection gets the first bytes of an answer.
    """

    def __init__(self, *, is_answering_first=False, is_resetting=False):
        self.requests = []
        self._starts = is_answering_first
        self._resets = is_resetting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1/traces"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                self.requests.append(0)
                self._read(file)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self._read(file)
                if self._starts:
                    connection.sendall(b"HTTP/1")
                if self._resets:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _read(self, file):
        length = 0
        while line := file.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if file.read(length):
            self.requests[-1] += 1


@pytest.mark.parametrize("is_resetting", [False, True])
def test_a_kept_connection_that_ends_is_no_failure(is_resetting):
    """A request on a connection that the receiver closes just then is sent once more, at once, on a new one."""
    receiver = Forgetful(is_resetting=is_resetting)
    one = sender("traces", receiver.endpoint, "http/protobuf", {})
    try:
        assert [one.send(b"body", 5.0).verdict for _ in range(4)] == ["accepted"] * 4
        assert receiver.requests == [2, 2, 2, 1]
    finally:
        one.close()
        receiver.close()


def test_an_answer_that_has_begun_is_a_failure():
    """What the receiver had begun to answer is not sent again at once: it had the request."""
    receiver = Forgetful(is_answering_first=True)
    one = sender("traces", receiver.endpoint, "http/protobuf", {})
    try:
        assert [one.send(b"body", 5.0).verdict for _ in range(2)] == ["accepted", "later"]
        assert receiver.requests == [2]
    finally:
        one.close()
        receiver.close()


def test_a_new_connection_that_ends_is_a_failure(http_sink, sender_to):
    """One try: only a connection that was kept may have ended for a reason of its own."""
    http_sink.behaviour = "reset"
    one = sender_to(http_sink.endpoint)
    assert one.send(b"", 5.0).verdict == "later"
    assert http_sink.attempts == 1


@PROTOCOLS
@pytest.mark.parametrize("spelling", ["NO_PROXY", "no_proxy"])
def test_a_host_that_needs_no_proxy_is_spoken_to_directly(protocol, spelling, sender_to, sink_of, monkeypatch):
    """Both spellings count, for both protocols; gRPC's library knows one of them."""
    for name in ("http_proxy", "HTTP_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{refused_port()}")
    sink = sink_of(protocol)
    assert sender_to(sink.endpoint, protocol).send(BODY, 5).verdict == "later"

    monkeypatch.setenv(spelling, "elsewhere.example,127.0.0.1")
    assert sender_to(sink.endpoint, protocol).send(BODY, 5).verdict == "accepted"
