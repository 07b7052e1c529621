"""Real OTLP receivers for the pages that send somewhere: HTTP with protobuf and JSON, and gRPC. They count."""

import contextlib
import gzip
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

ADDRESSES = {"http": "localhost:4318", "grpc": "localhost:4317"}
"""Where the pages send to."""

_REQUESTS: dict[str, Any] = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
}


@dataclass
class Receivers:
    """Two receivers and what they were sent.

    Attributes:
        http: ``host:port`` of the one for HTTP.
        grpc: ``host:port`` of the one for gRPC.
        received: Records by transport and signal: ``("http", "traces")``.
    """

    http: str
    grpc: str
    received: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, transport: str, signal: str, request: Any) -> None:
        """Count the records of one request."""
        if signal == "traces":
            number = sum(len(scope.spans) for r in request.resource_spans for scope in r.scope_spans)
        elif signal == "metrics":
            number = sum(len(scope.metrics) for r in request.resource_metrics for scope in r.scope_metrics)
        else:
            number = sum(len(scope.log_records) for r in request.resource_logs for scope in r.scope_logs)
        self.received[transport, signal] += number


@contextlib.contextmanager
def receivers() -> Iterator[Receivers]:
    """Both receivers, on free ports."""
    found = Receivers("", "")
    web = ThreadingHTTPServer(("localhost", 0), _handler(found))
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    server = grpc.server(ThreadPoolExecutor(2))
    for signal, add in (
        ("traces", trace_service_pb2_grpc.add_TraceServiceServicer_to_server),
        ("metrics", metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server),
        ("logs", logs_service_pb2_grpc.add_LogsServiceServicer_to_server),
    ):
        add(_Service(found, signal), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    found.http, found.grpc = f"localhost:{web.server_address[1]}", f"localhost:{port}"
    try:
        yield found
    finally:
        server.stop(0).wait()
        web.shutdown()
        thread.join()
        web.server_close()


class _Service:
    """One of the three services of OTLP over gRPC."""

    def __init__(self, found: Receivers, signal: str) -> None:
        self._found = found
        self._signal = signal

    def Export(self, request: Any, context: Any) -> Any:
        self._found.take("grpc", self._signal, request)
        answer = type(request).__name__.replace("Request", "Response")
        module = {"traces": trace_service_pb2, "metrics": metrics_service_pb2, "logs": logs_service_pb2}[self._signal]
        return getattr(module, answer)()


def _handler(found: Receivers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            signal = self.path.removeprefix("/v1/")
            if signal not in _REQUESTS:
                self.send_error(404)
                return
            request, kind = _REQUESTS[signal](), self.headers["Content-Type"]
            if kind == "application/json":
                json_format.Parse(_ids_as_bytes(body), request, ignore_unknown_fields=True)
            elif kind == "application/x-protobuf":
                request.ParseFromString(body)
            else:
                self.send_error(415)
                return
            found.take("http", signal, request)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _ids_as_bytes(body: bytes) -> str:
    """OTLP/JSON writes ids as hex digits, where protobuf's own JSON has base64."""
    import base64
    import re

    def converted(found: "re.Match[str]") -> str:
        return f'"{found[1]}":"{base64.b64encode(bytes.fromhex(found[2])).decode()}"'

    return re.sub(r'"(traceId|spanId|parentSpanId)"\s*:\s*"([0-9a-fA-F]*)"', converted, body.decode())
