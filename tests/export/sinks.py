"""Real OTLP receivers for tests, over HTTP and over gRPC, that keep what they got and can misbehave.

``behaviour`` may be changed at any time: ``"ok"``; ``"hang"`` takes a request and never answers; a number is an HTTP
status (for gRPC a ``grpc.StatusCode``) that every request gets, or only the first ``times``. ``refused_port()`` is a
port that nobody listens on.
"""

import socket
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from records import DECODE, REQUESTS


class Sink:
    """What was received, decoded; ``requests`` holds ``(signal, request, headers)`` in the order of arrival.

    Beside the headers stand ``peer``, the other end of the connection, and for HTTP ``path``.
    """

    def __init__(self):
        self.behaviour = "ok"
        self.times = None
        self.requests = []
        self.attempts = 0
        self.arrived = threading.Condition()
        self.released = threading.Event()

    def behave(self):
        """What the next request gets."""
        with self.arrived:
            self.attempts += 1
            return "ok" if self.times is not None and self.attempts > self.times else self.behaviour

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
    """OTLP/HTTP with protobuf bodies, on ``endpoint``."""

    def __init__(self):
        super().__init__()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                behaviour = sink.behave()
                if behaviour == "hang":
                    sink.released.wait(30)
                    self.close_connection = True
                    return
                if behaviour != "ok":
                    self.send_response(behaviour)
                    if 300 <= behaviour < 400:
                        self.send_header("Location", "https://elsewhere.example/v1/traces")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                signal = self.path.rpartition("/")[2]
                request = REQUESTS[signal].FromString(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()
                headers = {name.lower(): value for name, value in self.headers.items()}
                sink.take(signal, request, {**headers, "path": self.path, "peer": str(self.client_address)})

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class GrpcSink(Sink):
    """OTLP/gRPC without TLS, on ``endpoint``."""

    def __init__(self):
        super().__init__()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        for signal, service, answers in (
            ("traces", trace_service_pb2_grpc.TraceServiceServicer, trace_service_pb2.ExportTraceServiceResponse),
            (
                "metrics",
                metrics_service_pb2_grpc.MetricsServiceServicer,
                metrics_service_pb2.ExportMetricsServiceResponse,
            ),
            ("logs", logs_service_pb2_grpc.LogsServiceServicer, logs_service_pb2.ExportLogsServiceResponse),
        ):
            servicer = type("Servicer", (service,), {"Export": self._exporter(signal, answers)})()
            add = {
                "traces": trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
                "metrics": metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
                "logs": logs_service_pb2_grpc.add_LogsServiceServicer_to_server,
            }[signal]
            add(servicer, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _exporter(self, signal, answer):
        def export(servicer, request, context):
            behaviour = self.behave()
            if behaviour == "hang":
                self.released.wait(30)
            elif behaviour != "ok":
                context.abort(behaviour, "not today")
            self.take(signal, request, {**dict(context.invocation_metadata()), "peer": context.peer()})
            return answer()

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
