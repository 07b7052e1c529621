"""How one endpoint is to be spoken to: OpenTelemetry's ``OTEL_EXPORTER_OTLP_*`` variables, made plain."""

import gzip
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from mlotel import _guard
from mlotel.errors import InvalidArgumentError
from mlotel.export._outcome import OtlpProtocol
from mlotel.types import Signal

Compression: TypeAlias = Literal["none", "gzip", "deflate"]
_COMPRESSIONS: tuple[Compression, ...] = ("none", "gzip", "deflate")

RESPONSES: dict[Signal, tuple[Any, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}
"""What a receiver answers, and where it says how many records it did not take."""

LONGEST_PAUSE_S = 3600.0
"""Of what a receiver asks for: a misprint must not silence a program for years."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything about one endpoint but the records.

    Attributes:
        signal: Which records go there.
        endpoint: The full address: for HTTP with its path, ``http://localhost:4318/v1/traces``.
        headers: Sent with each request; never shown, they may hold secrets.
        compression: Of the requests.
        certificate: File with the authorities that are trusted; None for the system's.
        client_key: File with the private key that this process shows itself with.
        client_certificate: File with the certificate that belongs to it.
        is_insecure: For gRPC: whether to speak in the clear where the address does not say so.
        credentials: Name of an entry point that makes the HTTP session, or gRPC's credentials.
    """

    signal: Signal
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: Compression = "none"
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None
    is_insecure: bool = False
    credentials: str | None = None


def connection(signal: Signal, endpoint: str, protocol: OtlpProtocol, headers: Mapping[str, str]) -> Connection:
    """The connection for ``signal``, certificates and compression as the environment says.

    Raises:
        InvalidArgumentError: If a certificate or key cannot be read.
    """
    kind = "GRPC" if protocol == "grpc" else "HTTP"
    return Connection(
        signal,
        endpoint,
        dict(headers),
        _compression(signal),
        _file(signal, "CERTIFICATE"),
        _file(signal, "CLIENT_KEY"),
        _file(signal, "CLIENT_CERTIFICATE"),
        (_own_or_general(signal, "INSECURE")[1] or "").lower() == "true",
        _first(
            f"OTEL_PYTHON_EXPORTER_OTLP_{kind}_CREDENTIAL_PROVIDER",
            f"OTEL_PYTHON_EXPORTER_OTLP_{kind}_{signal.upper()}_CREDENTIAL_PROVIDER",
        )[1],
    )


def compressed(body: bytes, compression: Compression) -> bytes:
    """``body`` as it goes over HTTP."""
    if compression == "gzip":
        return gzip.compress(body, 6, mtime=0)
    return zlib.compress(body) if compression == "deflate" else body


def provided(name: str) -> Any:
    """What the entry point ``name`` in OpenTelemetry's group of credential providers makes.

    Raises:
        RuntimeError: If there is none of that name.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group="opentelemetry_otlp_credential_provider", name=name):
        return entry.load()()
    raise RuntimeError(
        f"The environment names the credential provider {name!r}, which is not installed. Install it, or unset "
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER."
    )


def _first(*names: str) -> tuple[str, str | None]:
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    return names[0], None


def _own_or_general(signal: Signal, what: str) -> tuple[str, str | None]:
    return _first(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}")


def _compression(signal: Signal) -> Compression:
    name, value = _own_or_general(signal, "COMPRESSION")
    for known in _COMPRESSIONS:
        if value is None or value.lower() == known:
            return known
    _guard.say_once(
        ("environment", name), "%s is %r; it must be gzip, deflate or none. Nothing is compressed.", name, value
    )
    return "none"


def _file(signal: Signal, what: str) -> str | None:
    """A file that is there and can be read: better said at the start than with every batch."""
    name, value = _own_or_general(signal, what)
    if value is None or (what == "CERTIFICATE" and Path(value).is_dir()):  # OpenSSL takes folders of authorities
        return value
    try:
        with Path(value).open("rb"):
            return value
    except OSError as error:
        raise InvalidArgumentError(
            f"configure() cannot read {value!r} of {name} ({error.strerror or error}). Name a PEM file that exists."
        ) from None
