"""Real OTLP receivers for tests, over HTTP and over gRPC, that keep what they got and can misbehave.

``behaviour`` may be changed at any time: ``"ok"``; ``"hang"`` takes a request and never answers; a number is an HTTP
status (for gRPC a ``grpc.StatusCode``) that every request gets, or only the first ``times``. Over HTTP also ``"reset"``
(the connection breaks), ``"drip"`` (an answer that comes a byte at a time), ``"half"`` (an answer that ends in the
middle) and ``"page"`` (a web page). ``retry_after`` goes with a failure, ``rejected`` and ``message`` with a success,
``limit`` is the size from which requests are too large, ``poison`` bytes that make an HTTP receiver fail (500),
``missing`` holds signals that an HTTP receiver does not have. ``refused_port()`` is a port that nobody listens on.
"""

import gzip
import socket
import ssl
import struct
import threading
import zlib
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
import trustme
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from records import DECODE, REQUESTS

RESPONSES = {
    "traces": (trace_service_pb2.ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (metrics_service_pb2.ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records"),
}
INFLATE = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}


class Sink:
    """What was received, decoded; ``requests`` holds ``(signal, request, headers)`` in the order of arrival.

    Beside the headers stand ``peer``, the other end of the connection, and for HTTP ``path``.
    """

    def __init__(self):
        self.behaviour = "ok"
        self.times = None
        self.requests = []
        self.attempts = 0
        self.retry_after = None
        self.rejected = 0
        self.message = ""
        self.limit = None
        self.poison = None
        self.missing = set()
        self.arrived = threading.Condition()
        self.released = threading.Event()

    def behave(self):
        """What the next request gets."""
        with self.arrived:
            self.attempts += 1
            return "ok" if self.times is not None and self.attempts > self.times else self.behaviour

    def response(self, signal):
        """What a success says."""
        response, field = RESPONSES[signal]
        partial = {field: self.rejected, "error_message": self.message}
        return response(partial_success=partial) if self.rejected or self.message else response()

    def take(self, signal, request, headers):
        with self.arrived:
            self.requests.append((signal, request, headers))
            self.arrived.notify_all()

    def spans(self):
        return self._decoded("traces")

    def metrics(self):
        return self._decoded("metrics")

    def logs(self):
        return self._decoded("logs")

    def wait_for(self, condition, timeout_s=10.0):
        """Wait until ``condition(self)`` holds after an arrival; says whether it does."""
        with self.arrived:
            return self.arrived.wait_for(lambda: condition(self), timeout_s)

    def _decoded(self, signal):
        return [record for kind, request, _ in self.requests if kind == signal for record in DECODE[signal](request)]


class HttpSink(Sink):
    """OTLP/HTTP with protobuf bodies, on ``endpoint``; over TLS with the ``SSLContext`` of a server."""

    def __init__(self, tls=None):
        super().__init__()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                behaviour = sink.behave()
                body = INFLATE[self.headers.get("Content-Encoding")](body)
                if self.path.rpartition("/")[2] in sink.missing:
                    behaviour = 404
                if sink.limit is not None and len(body) > sink.limit:
                    behaviour = 413
                if sink.poison is not None and sink.poison in body:
                    behaviour = 500
                if behaviour in ("hang", "reset", "drip"):
                    self.close_connection = True
                    getattr(self, behaviour)()
                    return
                if isinstance(behaviour, int):
                    self.refuse(behaviour)
                    return
                if behaviour == "page":
                    self.answer(b"<html>Welcome</html>", "text/html")
                    return
                signal = self.path.rpartition("/")[2]
                request = REQUESTS[signal].FromString(body)
                if behaviour == "half":
                    self.close_connection = True
                    self.answer(b"half of it", length=20)
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                sink.take(signal, request, {**headers, "path": self.path, "peer": str(self.client_address)})
                self.answer(sink.response(signal).SerializeToString())

            def answer(self, body, kind="application/x-protobuf", length=None):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def refuse(self, status):
                body = sink.message.encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "https://elsewhere.example/v1/traces")
                if sink.retry_after is not None:
                    self.send_header("Retry-After", str(sink.retry_after))
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def hang(self):
                sink.released.wait(30)

            def reset(self):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def drip(self):
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
                    if sink.released.wait(0.05):
                        break
                    self.wfile.write(bytes([byte]))

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that hung up in the middle

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        # A certificate is for a name; the number spares those who do without a second try over IPv6.
        base = "http://127.0.0.1" if tls is None else "https://localhost"
        self.endpoint = f"{base}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class GrpcSink(Sink):
    """OTLP/gRPC on ``endpoint``; over TLS with the credentials of a server."""

    def __init__(self, tls=None, largest=None):
        super().__init__()
        options = [] if largest is None else [("grpc.max_receive_message_length", largest)]
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=options)
        for signal, service in (
            ("traces", trace_service_pb2_grpc.TraceServiceServicer),
            ("metrics", metrics_service_pb2_grpc.MetricsServiceServicer),
            ("logs", logs_service_pb2_grpc.LogsServiceServicer),
        ):
            servicer = type("Servicer", (service,), {"Export": self._exporter(signal)})()
            add = {
                "traces": trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
                "metrics": metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
                "logs": logs_service_pb2_grpc.add_LogsServiceServicer_to_server,
            }[signal]
            add(servicer, self._server)
        if tls is None:
            self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        else:
            self.endpoint = f"https://localhost:{self._server.add_secure_port('localhost:0', tls)}"
        self._server.start()

    def _exporter(self, signal):
        def export(servicer, request, context):
            behaviour = self.behave()
            if behaviour == "hang":
                self.released.wait(30)
                context.abort(grpc.StatusCode.CANCELLED, "nobody waits any more")
            if behaviour != "ok":
                if self.retry_after is not None:
                    pause = Any()
                    pause.Pack(RetryInfo(retry_delay=Duration(seconds=self.retry_after)))
                    status = Status(code=behaviour.value[0], message="not today", details=[pause])
                    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
                context.abort(behaviour, self.message or "not today")
            self.take(signal, request, {**dict(context.invocation_metadata()), "peer": context.peer()})
            return self.response(signal)

        return export

    def close(self):
        self.released.set()
        self._server.stop(0).wait()


def refused_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def http_sink():
    sink = HttpSink()
    yield sink
    sink.close()


@pytest.fixture
def grpc_sink():
    sink = GrpcSink()
    yield sink
    sink.close()


class Identity:
    """An authority of the tests' own, and what it has issued."""

    def __init__(self, folder):
        authority = trustme.CA()
        self.server = authority.issue_cert("localhost")
        self._client = authority.issue_cert("client.example")
        self.authority = folder / "authority.pem"
        self.client_certificate, self.client_key = folder / "client.pem", folder / "client.key"
        authority.cert_pem.write_to_path(str(self.authority))
        self._client.cert_chain_pems[0].write_to_path(str(self.client_certificate))
        self._client.private_key_pem.write_to_path(str(self.client_key))

    def context(self, *, is_client_known=False):
        """For an HTTP server, which may ask its clients for a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.configure_cert(context)
        if is_client_known:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority)
        return context

    def credentials(self, *, is_client_known=False):
        """For a gRPC server."""
        chain = b"".join(part.bytes() for part in self.server.cert_chain_pems)
        pairs = [(self.server.private_key_pem.bytes(), chain)]
        if not is_client_known:
            return grpc.ssl_server_credentials(pairs)
        return grpc.ssl_server_credentials(pairs, self.authority.read_bytes(), require_client_auth=True)


@pytest.fixture
def identity(tmp_path):
    return Identity(tmp_path)


@pytest.fixture
def sink_of():
    """Makes a sink of either protocol, over TLS when an identity is given."""
    made = []

    def make(protocol, identity=None, **options):
        if protocol == "grpc":
            made.append(GrpcSink(identity and identity.credentials(**options)))
        else:
            made.append(HttpSink(identity and identity.context(**options)))
        return made[-1]

    yield make
    for sink in made:
        sink.close()
