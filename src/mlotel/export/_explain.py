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

NO_ANSWER = Cause("it does not answer in time", "Check the endpoint, or give shutdown() more time.")
"""When the time for everything was over before the receiver had said anything."""

_BY_STATUS: dict[int, Cause] = {
    401: Cause("it asks for credentials (401)", "Set headers= or OTEL_EXPORTER_OTLP_HEADERS."),
    403: Cause("it refuses the credentials (403)", "Check headers= or OTEL_EXPORTER_OTLP_HEADERS."),
    404: Cause(
        "there is no OTLP receiver at this path (404)",
        "endpoint= is a base such as http://localhost:4318; /v1/traces, /v1/metrics and /v1/logs are added to it.",
    ),
    413: Cause("the batch is too large for it (413)", "Lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or raise its limit."),
    429: Cause("it is overloaded (429)", "Give the receiver more room, or send less."),
}

_BY_TEXT: tuple[tuple[str, Cause], ...] = (
    ("connection refused", Cause("nothing listens there (connection refused)", _START_ONE)),
    ("name or service not known", Cause("the host name is not known", "Check the spelling of the endpoint.")),
    ("name resolution", Cause("the host name cannot be looked up", "Check the spelling of the endpoint.")),
    ("dns resolution", Cause("the host name cannot be looked up", "Check the spelling of the endpoint.")),
    ("wrong_version_number", Cause("it speaks no TLS", "Use http:// instead of https://.")),
    (
        "certificate",
        Cause("its TLS certificate is not trusted", "Name the authority's file in OTEL_EXPORTER_OTLP_CERTIFICATE."),
    ),
    ("unimplemented", Cause("it has no OTLP service", _WRONG_PROTOCOL)),
    ("http1.x server", Cause("it speaks HTTP, not gRPC", _WRONG_PROTOCOL)),
    ("unauthenticated", _BY_STATUS[401]),
    ("permission_denied", _BY_STATUS[403]),
    ("badstatusline", Cause("it does not speak HTTP", _WRONG_PROTOCOL)),
    ("bad status line", Cause("it does not speak HTTP", _WRONG_PROTOCOL)),
    ("connection aborted", Cause("it hangs up", _WRONG_PROTOCOL)),
    ("connection reset", Cause("it hangs up", _WRONG_PROTOCOL)),
    ("network is unreachable", Cause("its network cannot be reached", "Check the endpoint and the network.")),
    ("timed out", Cause("it does not answer in time", "Check the endpoint, or raise OTEL_EXPORTER_OTLP_TIMEOUT.")),
    (
        "deadline_exceeded",
        Cause("it does not answer in time", "Check the endpoint, or raise OTEL_EXPORTER_OTLP_TIMEOUT."),
    ),
    ("due to timeout", Cause("it does not answer in time", "Check the endpoint, or raise OTEL_EXPORTER_OTLP_TIMEOUT.")),
)


def explain(heard: list[str], status: int | None, location: str | None = None) -> Cause:
    """The cause of a failed delivery.

    Args:
        heard: What the exporter logged meanwhile.
        status: The last HTTP status, where there was an answer.
        location: Where a redirect leads to.
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and 300 <= status < 400:
        target = f" to {bare(location)}" if location else ""
        return Cause(f"it redirects{target} ({status})", "Name the final address; OTLP follows no redirects.")
    if status is not None and 500 <= status < 600:
        return Cause(f"it cannot take the data now ({status})", "Look at the receiver's own log.")
    if status is not None and 400 <= status < 500:
        return Cause(f"it refuses the data ({status})", "Look at the receiver's own log.")
    said = " ".join(heard).lower()
    for words, cause in _BY_TEXT:
        if words in said:
            return cause
    last = re.sub(r"\s+", " ", heard[-1])[:200] if heard else "the exporter did not say why"
    return Cause(last, "Check the endpoint and the receiver.")


def bare(url: str) -> str:
    """``url`` without what may be secret: user info, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that do not match: no address at all
        return re.split(r"[?#]", url.rpartition("@")[2], maxsplit=1)[0]
    if not parts.netloc:
        return url.rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
