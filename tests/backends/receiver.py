"""Receivers of OTLP that do wrong on demand, and know exactly which records they took.

HTTP/1.1 (protobuf and JSON, plain, gzip and deflate) and gRPC on raw bytes, both without code of mlotel or of an
exporter. What a receiver does with the next requests is a list of ``Behaviour``; every request is kept with the names
of the records that were taken from it, so that losses and duplicates can be counted.
"""

import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from wire import REJECTED, RESPONSES, SERVICES, SIGNALS, of_json, of_protobuf


@dataclass(frozen=True)
class Behaviour:
    """What a receiver does with one request.

    Attributes:
        status: HTTP status; gRPC has the code that means the same.
        takes: Whether the records count as taken. None: for a status of 200 only.
        rejected: Records at the end of the request that a partial success leaves out.
        retry_after_s: Told with the answer.
        delay_s: Before the answer.
        drip_s: The answer comes byte by byte over this time.
        end: ``whole`` answer; ``half`` of its content, then the connection ends; ``reset`` instead of an answer;
            ``silence``: no answer while the receiver lives.
        headers: Sent with the answer, such as the place of a redirect.
    """

    status: int = 200
    takes: bool | None = None
    rejected: int = 0
    retry_after_s: float | None = None
    delay_s: float = 0.0
    drip_s: float = 0.0
    end: str = "whole"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def is_taking(self):
        return self.status == 200 and self.end != "silence" if self.takes is None else self.takes

    @property
    def is_plain(self):
        """Whether a client that waits a second knows for sure what became of its request."""
        return self.end == "whole" and self.delay_s + self.drip_s < 0.5


OK = Behaviour()
UNAVAILABLE = Behaviour(503)
BAD = Behaviour(400)
HANGING = Behaviour(end="silence")
RESET = Behaviour(end="reset", takes=False)
LOST_ANSWER = Behaviour(end="reset", takes=True)
HALF = Behaviour(end="half")
DRIP = Behaviour(drip_s=20.0)


def busy(retry_after_s):
    """429, and when to come back."""
    return Behaviour(429, retry_after_s=retry_after_s)


def partial(rejected):
    """A success that leaves out the last records."""
    return Behaviour(rejected=rejected)


@dataclass
class Request:
    """One request, and what was done with it.

    Attributes:
        signal: ``traces``, ``metrics`` or ``logs``.
        items: All records in it.
        taken: Those that were taken.
        behaviour: What was done.
        at: When it came, by the monotonic clock.
        headers: As they came, names in lower case.
        is_answered: Whether a whole answer was written.
    """

    signal: str
    items: list
    taken: list
    behaviour: Behaviour
    at: float
    headers: dict = field(default_factory=dict)
    is_answered: bool = False


class Receiver:
    """What both kinds of receivers share: the list of what comes next, and the record of what came.

    Args:
        certificate: Of ``certificates.Certificate``; None for a receiver without TLS.
    """

    protocol = ""

    def __init__(self, certificate=None):
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self.connections = 0
        self._certificate = certificate
        self._lock = threading.Lock()
        self._next = {signal: deque() for signal in SIGNALS}
        self._then = dict.fromkeys(SIGNALS, OK)
        self._is_open = threading.Event()
        self._ended = threading.Event()
        self._port = 0
        self.up()

    @property
    def endpoint(self):
        return f"{'http' if self._certificate is None else 'https'}://localhost:{self._port}"

    def next(self, *behaviours, signals=SIGNALS):
        """What is done with the next requests, of each of ``signals``; afterwards it is as ``always`` said."""
        with self._lock:
            for signal in signals:
                self._next[signal].extend(behaviours)

    def always(self, behaviour, signals=SIGNALS):
        """What is done from now on; what was listed with ``next`` is forgotten."""
        with self._lock:
            for signal in signals:
                self._next[signal].clear()
                self._then[signal] = behaviour

    def taken(self, signal):
        """How often each record of a signal was taken."""
        with self._lock:
            return Counter(item.id for r in self.requests if r.signal == signal for item in r.taken)

    def items(self, signal):
        """All records of a signal that were taken, in order, duplicates too."""
        with self._lock:
            return [item for r in self.requests if r.signal == signal for item in r.taken]

    def excused(self, signal):
        """Records that were taken while their sender could not know it: it may send them again."""
        with self._lock:
            return {
                item.id
                for r in self.requests
                if r.signal == signal and not (r.is_answered and r.behaviour.is_plain)
                for item in r.taken
            }

    def refused(self, signal):
        """Records that it would not have, in a request or at the end of one, for what they are."""
        with self._lock:
            return {
                item.id
                for r in self.requests
                if r.signal == signal and (r.behaviour.status in (400, 413) or r.behaviour.rejected)
                for item in r.items[len(r.taken) :]
            }

    def wait_for(self, condition, timeout_s=10.0):
        """Wait until ``condition(self)`` holds; says whether it does."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def up(self):
        """Listen, on the same port as before."""
        if not self._is_open.is_set():
            self._ended.clear()
            self._port = self._listen(self._port)
            self._is_open.set()

    def down(self):
        """Stop listening and end every connection."""
        if self._is_open.is_set():
            self._is_open.clear()
            self._ended.set()
            self._leave()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.down()

    def _take(self, signal, items, headers):
        """Decide what is done with a request and enter it into the record."""
        with self._lock:
            behaviour = self._next[signal].popleft() if self._next[signal] else self._then[signal]
            taken = items[: len(items) - behaviour.rejected] if behaviour.rejected else items
            request = Request(signal, items, taken if behaviour.is_taking else [], behaviour, time.monotonic(), headers)
            self.requests.append(request)
            return request

    def _listen(self, port):
        raise NotImplementedError

    def _leave(self):
        raise NotImplementedError


class HttpReceiver(Receiver):
    """OTLP over HTTP."""

    protocol = "http/protobuf"

    def _listen(self, port):
        server = _Server(("localhost", port), _handler(self))
        if self._certificate is not None:
            server.context = self._certificate.server_context()
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return server.server_address[1]

    def _leave(self):
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context = None

    def __init__(self, *arguments):
        self._open = set()
        super().__init__(*arguments)

    def finish_request(self, request, address):
        # In the thread of the connection: a handshake must not keep others from being accepted.
        self._open.add(request)
        try:
            if self.context is None:
                super().finish_request(request, address)
                return
            request.settimeout(10)
            with (
                contextlib.suppress(OSError),  # a client that does not believe the certificate
                self.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as wrapped,
            ):
                self._open.add(wrapped)
                try:
                    wrapped.do_handshake()
                    super().finish_request(wrapped, address)
                finally:
                    self._open.discard(wrapped)
        finally:
            self._open.discard(request)

    def end_connections(self):
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, address):
        pass  # connections that end are what these receivers are about


def _handler(receiver):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self):
            super().setup()
            receiver.connections += 1

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            signal = self.path.rpartition("/v1/")[2]
            try:
                body = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(
                    headers.get("content-encoding", ""), bytes
                )(body)
                is_json = headers["content-type"] == "application/json"
                found = of_json(body) if is_json else (signal, of_protobuf(signal, body))
                if found[0] != signal:
                    raise ValueError(f"{found[0]} were sent to {self.path}")
            except Exception as error:
                receiver.problems.append(f"{self.path}: {error!r}")
                self.send_error(400)
                return
            request = receiver._take(signal, found[1], headers)
            behaviour = request.behaviour
            if behaviour.end == "silence":
                receiver._ended.wait()
                self.close_connection = True
                return
            receiver._ended.wait(behaviour.delay_s)
            if behaviour.end == "reset":
                reset(self.connection)
                self.close_connection = True
                return
            request.is_answered = self._answer(signal, behaviour, is_json)

        def _answer(self, signal, behaviour, is_json):
            content = _content(signal, behaviour, is_json)
            lines = [
                f"HTTP/1.1 {behaviour.status} x",
                f"Content-Length: {len(content)}",
                f"Date: {self.date_time_string()}",
            ]
            lines.append(f"Content-Type: {'application/json' if is_json else 'application/x-protobuf'}")
            if behaviour.retry_after_s is not None:
                lines.append(f"Retry-After: {behaviour.retry_after_s:g}")
            lines += [f"{name}: {value}" for name, value in behaviour.headers]
            answer = "\r\n".join([*lines, "", ""]).encode() + content
            if behaviour.end == "half":
                answer = answer.replace(b"Content-Length: ", b"Content-Length: 9")
                self.close_connection = True
            try:
                if behaviour.drip_s:
                    for position in range(len(answer)):
                        self.connection.sendall(answer[position : position + 1])
                        if receiver._ended.wait(behaviour.drip_s / len(answer)):
                            return False
                else:
                    self.connection.sendall(answer)
            except OSError:
                return False
            return behaviour.end == "whole"

        def log_message(self, *arguments):
            pass

    return Handler


def _content(signal, behaviour, is_json):
    """Body of an answer."""
    if behaviour.status != 200:
        said = f"this receiver answers {behaviour.status}"
        return (
            json.dumps({"code": 0, "message": said}).encode() if is_json else Status(message=said).SerializeToString()
        )
    if not behaviour.rejected:
        return b"{}" if is_json else b""
    said = f"{behaviour.rejected} left out"
    if is_json:
        name = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}[signal]
        return json.dumps({"partialSuccess": {name: str(behaviour.rejected), "errorMessage": said}}).encode()
    return _response(signal, behaviour)


def _response(signal, behaviour):
    answer = RESPONSES[signal]()
    if behaviour.rejected:
        setattr(answer.partial_success, REJECTED[signal], behaviour.rejected)
        answer.partial_success.error_message = f"{behaviour.rejected} left out"
    return answer.SerializeToString()


def reset(connection):
    """End a connection as a crash does: the other side gets RST and no answer."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(connection, ssl.SSLSocket):
            connection = socket.socket(fileno=connection.detach())
        connection.close()


CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}


class GrpcReceiver(Receiver):
    """OTLP over gRPC. Its answers are whole or none, so ``half`` and ``reset`` are calls that break off."""

    protocol = "grpc"

    def _listen(self, port):
        server = grpc.server(
            ThreadPoolExecutor(32),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)],
        )
        server.add_generic_rpc_handlers((_Services(self),))
        address = f"localhost:{port}"
        if self._certificate is None:
            found = server.add_insecure_port(address)
        else:
            found = server.add_secure_port(address, self._certificate.grpc_credentials())
        server.start()
        self._server = server
        return found

    def _leave(self):
        self._server.stop(0).wait()


class _Services(grpc.GenericRpcHandler):
    def __init__(self, receiver):
        self._receiver = receiver

    def service(self, details):
        signal = SERVICES.get(details.method)
        if signal is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self._call(signal, body, context))

    def _call(self, signal, body, context):
        receiver = self._receiver
        headers = dict(context.invocation_metadata())
        request = receiver._take(signal, of_protobuf(signal, body), headers)
        behaviour = request.behaviour
        if behaviour.end == "silence":
            while context.is_active() and not receiver._ended.wait(0.05):
                pass
            context.abort(grpc.StatusCode.UNAVAILABLE, "the receiver ends")
        receiver._ended.wait(behaviour.delay_s + behaviour.drip_s)
        if behaviour.end != "whole":
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        request.is_answered = True
        if behaviour.status == 200:
            return _response(signal, behaviour)
        code = CODES[behaviour.status]
        said = "message larger than max" if behaviour.status == 413 else f"this receiver answers {behaviour.status}"
        if behaviour.retry_after_s is not None:
            whole_s, rest = divmod(behaviour.retry_after_s, 1)
            details = AnyMessage()
            details.Pack(RetryInfo(retry_delay=Duration(seconds=int(whole_s), nanos=int(rest * 1e9))))
            status = Status(code=code.value[0], message=said, details=[details])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        return context.abort(code, said)


RECEIVERS = {"http/protobuf": HttpReceiver, "grpc": GrpcReceiver}


def refused_port():
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return taken.getsockname()[1]
