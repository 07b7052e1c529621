"""OTLP over gRPC, with requests that are bytes already."""

import threading
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # in no stub, but in every Python

import grpc  # type: ignore[import-untyped]  # has no stubs
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # as above
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # as above

from mlotel._version import __version__
from mlotel.export._connection import LONGEST_PAUSE_S, RESPONSES, Connection, provided
from mlotel.export._explain import NO_ANSWER, explain
from mlotel.export._sender import Answer
from mlotel.types import Signal

_METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_COMPRESSIONS = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
_MISCONFIGURED = frozenset(
    {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
)
_REFUSED = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
_SUSPICIOUS = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
_TOO_LARGE = ("message larger than max", "larger than max (")
# What the receiver's end of a connection that could never work looks like from here: gRPC calls it all UNAVAILABLE.
_WRONG_END = ("http1.x server", "parsing http/2", "certificate", "ssl", "tls", "handshake")


class GrpcSender:
    """Calls one receiver's service for one signal.

    Args:
        connection: Address, headers, certificates, compression.

    Raises:
        RuntimeError: If the environment names a provider of credentials that is not installed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        parts = urlsplit(connection.endpoint)
        self._target = parts.netloc.rpartition("@")[2] if parts.netloc else connection.endpoint
        is_plain = parts.scheme == "http" or (not parts.netloc and connection.is_insecure)
        self._credentials = None if is_plain and parts.scheme != "https" else _credentials(connection)
        self._metadata = tuple((name.lower(), value) for name, value in connection.headers.items())
        self._left_to_parent: list[Any] = []
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._channel: Any = None
        self._call: Any = None
        self._export: Any = None

    def _open(self) -> None:
        options: list[tuple[str, Any]] = [("grpc.primary_user_agent", f"mlotel/{__version__}")]
        if proxy_bypass_environment(self._target):  # gRPC itself reads no_proxy only, and not NO_PROXY
            options.append(("grpc.enable_http_proxy", 0))
        compression = _COMPRESSIONS[self._connection.compression]
        if self._credentials is None:
            self._channel = grpc.insecure_channel(self._target, options, compression)
        else:
            self._channel = grpc.secure_channel(self._target, self._credentials, options, compression)
        response, _ = RESPONSES[self._connection.signal]
        self._export = self._channel.unary_unary(
            _METHODS[self._connection.signal], request_serializer=None, response_deserializer=response.FromString
        )

    def send(self, body: bytes, timeout_s: float) -> Answer:
        """See ``Sender.send``."""
        try:
            with self._lock:
                if self._channel is None:
                    self._open()
                call = self._call = self._export.future(body, timeout=timeout_s, metadata=self._metadata)
            response = call.result()
        except grpc.FutureCancelledError:
            return Answer("later", cause=NO_ANSWER)
        except grpc.RpcError as error:
            answer = judge(error)
            if answer.verdict in ("later", "misconfigured"):
                self.close()  # a channel waits longer and longer before it connects again; a new one does so at once
            return answer
        except Exception as error:
            self.close()
            return Answer("later", cause=explain(str(error)))
        finally:
            self._call = None
        partial = response.partial_success
        _, field = RESPONSES[self._connection.signal]
        return Answer("accepted", max(0, getattr(partial, field)), partial.error_message)

    def interrupt(self) -> None:
        """See ``Sender.interrupt``."""
        call = self._call
        if call is not None:
            call.cancel()

    def close(self) -> None:
        """See ``Sender.close``."""
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def restart(self) -> None:
        """See ``Sender.restart``."""
        # Kept, not closed: closing would end or garble a connection that the parent goes on using.
        self._left_to_parent.append((self._channel, self._call, self._export))
        self._begin()


def judge(error: Any) -> Answer:
    """What a call that failed means."""
    code, details = error.code(), error.details() or ""
    lower = details.lower()
    cause = explain(f"{details} {code}")
    if code in _MISCONFIGURED:
        is_ours = "hostname verification" in lower  # said by the library here, with the code for credentials
        return Answer("misconfigured", message=details, cause=cause if is_ours else explain(str(code)))
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and any(words in lower for words in _TOO_LARGE):
        return Answer("too_large", message=details, cause=cause)
    if code in _REFUSED:
        return Answer("refused", message=details, cause=explain("invalid_argument"))
    if code is grpc.StatusCode.UNAVAILABLE and any(words in lower for words in _WRONG_END):
        return Answer("misconfigured", message=details, cause=cause)
    return Answer("later", 0, details, _pause_s(error), cause, is_suspicious=code in _SUSPICIOUS)


def _pause_s(error: Any) -> float | None:
    """Seconds that the receiver asks for with a ``google.rpc.RetryInfo``."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            try:
                for detail in Status.FromString(value).details:
                    info = RetryInfo()
                    if detail.Unpack(info):
                        pause_s = float(info.retry_delay.ToTimedelta().total_seconds())
                        return min(max(0.0, pause_s), LONGEST_PAUSE_S)
            except Exception:  # bytes that are something else
                return None
    return None


def _credentials(connection: Connection) -> grpc.ChannelCredentials:
    if connection.credentials is not None:
        found = provided(connection.credentials)
        if not isinstance(found, grpc.ChannelCredentials):
            raise RuntimeError(f"The credential provider {connection.credentials!r} makes no grpc.ChannelCredentials.")
        return found
    return grpc.ssl_channel_credentials(
        *(_content(file) for file in (connection.certificate, connection.client_key, connection.client_certificate))
    )


def _content(file: str | None) -> bytes | None:
    if file is None:
        return None
    with open(file, "rb") as opened:  # noqa: PTH123 - a path that the environment gave as text
        return opened.read()
