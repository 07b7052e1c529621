"""Why a delivery failed, in words for people."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit


class Cause(NamedTuple):
    """What went wrong at the other end, and what to do about it."""

    what: str
    remedy: str


_START_ONE = "Start an OpenTelemetry collector there, or leave the endpoint out to record to a local folder."
_WRONG_PROTOCOL = 'A port for gRPC (usually 4317) needs protocol="grpc", one for HTTP (4318) "http/protobuf".'
_LOOK_THERE = "Look at the receiver's own log."

NO_ANSWER = Cause("it does not answer in time", "Check the endpoint, or raise OTEL_EXPORTER_OTLP_TIMEOUT.")
"""When the time was over before the receiver had said anything."""

NO_TLS_SPOKEN = Cause("it wants TLS (https)", "Use https:// instead of http://.")
"""When a plain request came to a port for TLS."""

NO_RECEIVER = Cause(
    "something answers there that is no OTLP receiver",
    "Check host, port and path of the endpoint: perhaps it is a web server or a proxy.",
)
"""When the answer is a web page."""

_BY_STATUS: dict[int, Cause] = {
    401: Cause("it asks for credentials (401)", "Set headers= or OTEL_EXPORTER_OTLP_HEADERS."),
    403: Cause("it refuses the credentials (403)", "Check headers= or OTEL_EXPORTER_OTLP_HEADERS."),
    404: Cause(
        "there is no OTLP receiver at this path (404)",
        "endpoint= is a base such as http://localhost:4318; /v1/traces, /v1/metrics and /v1/logs are added to it. A "
        "receiver that takes some signals only needs OTEL_METRICS_EXPORTER=none, or OTEL_LOGS_EXPORTER=none.",
    ),
    405: Cause("this path takes no OTLP (405)", "Check the path of the endpoint."),
    407: Cause("the proxy asks for credentials (407)", "Check HTTPS_PROXY and HTTP_PROXY."),
    413: Cause("the batch is too large for it (413)", "Lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or raise its limit."),
    415: Cause(
        "it takes no OTLP in protobuf (415)", "Check the endpoint; a receiver of http/json only cannot be used."
    ),
    429: Cause("it is overloaded (429)", "Give the receiver more room, or send less."),
}

_BY_TEXT: tuple[tuple[str, Cause], ...] = (
    ("connection refused", Cause("nothing listens there (connection refused)", _START_ONE)),
    ("name or service not known", Cause("the host name is not known", "Check the spelling of the endpoint.")),
    ("no address associated", Cause("the host name is not known", "Check the spelling of the endpoint.")),
    ("name resolution", Cause("the host name cannot be looked up", "Check the spelling of the endpoint.")),
    ("dns resolution", Cause("the host name cannot be looked up", "Check the spelling of the endpoint.")),
    ("domain name not found", Cause("the host name is not known", "Check the spelling of the endpoint.")),
    ("wrong_version_number", Cause("it speaks no TLS", "Use http:// instead of https://.")),
    ("record layer failure", Cause("it speaks no TLS", "Use http:// instead of https://.")),
    (
        "certificate required",
        Cause(
            "it asks for a certificate of ours",
            "Name key and certificate in OTEL_EXPORTER_OTLP_CLIENT_KEY and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE.",
        ),
    ),
    (
        "hostname mismatch",
        Cause("its TLS certificate is for another name", "Use a name in the endpoint that the certificate has."),
    ),
    (
        "hostname verification",
        Cause("its TLS certificate is for another name", "Use a name in the endpoint that the certificate has."),
    ),
    (
        "certificate",
        Cause("its TLS certificate is not trusted", "Name the authority's file in OTEL_EXPORTER_OTLP_CERTIFICATE."),
    ),
    ("handshake failed", Cause("it does not agree on TLS", "Check whether the endpoint is for http:// or https://.")),
    ("ssl", Cause("it does not agree on TLS", "Check whether the endpoint is for http:// or https://.")),
    (
        "unimplemented",
        Cause(
            "it has no OTLP service for this signal",
            f"{_WRONG_PROTOCOL} A receiver that takes some signals only needs OTEL_METRICS_EXPORTER=none, or "
            "OTEL_LOGS_EXPORTER=none.",
        ),
    ),
    ("http1.x server", Cause("it speaks HTTP, not gRPC", _WRONG_PROTOCOL)),
    ("parsing http/2", Cause("it speaks HTTP, not gRPC", _WRONG_PROTOCOL)),
    ("unauthenticated", Cause("it asks for credentials", "Set headers= or OTEL_EXPORTER_OTLP_HEADERS.")),
    ("permission_denied", Cause("it refuses the credentials", "Check headers= or OTEL_EXPORTER_OTLP_HEADERS.")),
    (
        "message larger",
        Cause("the batch is too large for it", "Lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or raise its limit."),
    ),
    ("resource_exhausted", Cause("it is overloaded", "Give the receiver more room, or send less.")),
    ("invalid_argument", Cause("it refuses the data", _LOOK_THERE)),
    ("badstatusline('http/", Cause("it hangs up in the middle of its answer", _LOOK_THERE)),
    ("badstatusline", Cause("it does not speak HTTP", _WRONG_PROTOCOL)),
    ("connection aborted", Cause("it hangs up", _WRONG_PROTOCOL)),
    ("connection reset", Cause("it hangs up", _WRONG_PROTOCOL)),
    ("connection broken", Cause("it hangs up in the middle of its answer", _LOOK_THERE)),
    ("socket closed", Cause("it hangs up", _WRONG_PROTOCOL)),
    ("network is unreachable", Cause("its network cannot be reached", "Check the endpoint and the network.")),
    ("no route to host", Cause("its network cannot be reached", "Check the endpoint and the network.")),
    ("timed out", NO_ANSWER),
    ("statuscode.unavailable", Cause("it cannot take the data now", _LOOK_THERE)),
    ("deadline_exceeded", NO_ANSWER),
)


def explain(said: str, status: int | None = None, location: str | None = None) -> Cause:
    """The cause of a failed delivery.

    Args:
        said: What the library or the receiver said of it.
        status: The HTTP status, where there was an answer.
        location: Where a redirect leads to.
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and 300 <= status < 400:
        target = f" to {bare(location)}" if location else ""
        return Cause(f"it redirects{target} ({status})", "Name the final address; OTLP follows no redirects.")
    if status is not None and 500 <= status < 600:
        return Cause(f"it cannot take the data now ({status})", _LOOK_THERE)
    if status is not None:
        return Cause(f"it refuses the data ({status})", _LOOK_THERE)
    lower = said.lower()
    for words, cause in _BY_TEXT:
        if words in lower:
            return cause
    plain = re.sub(r"\s+", " ", said).strip()[:200]
    return Cause(plain or "it did not say why", "Check the endpoint and the receiver.")


def bare(url: str) -> str:
    """``url`` without what may be secret: user info, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that do not match: no address at all
        return re.split(r"[?#]", url.rpartition("@")[2], maxsplit=1)[0]
    if not parts.netloc:
        return url.rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
