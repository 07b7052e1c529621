"""One empty export request, and what a receiver says to it. Nothing is stored by it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlotel.doctor import _reach
from mlotel.export._explain import NO_ANSWER, NO_TLS_SPOKEN, Cause
from mlotel.export._outcome import OtlpProtocol
from mlotel.export._sender import Answer
from mlotel.types import Signal

if TYPE_CHECKING:
    from mlotel.export._sender import Sender

__all__ = ["Heard", "ask"]

_SECOND_TRY_S = 1.0
_LEAST_S = 0.05
_SIGNED_OUT = ("credentials", "certificate of ours")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking one endpoint.

    Attributes:
        answer: To the request as the product would send it.
        took_s: Seconds until it was there.
        cause: Why it was not accepted, as far as further tries can tell; None when it was.
        ahead_s: Seconds that the receiver's clock is ahead of ours; None where it does not say its time.
    """

    answer: Answer
    took_s: float
    cause: Cause | None
    ahead_s: float | None


def ask(
    signal: Signal,
    endpoint: str,
    protocol: OtlpProtocol,
    headers: Mapping[str, str],
    timeout_s: float,
    *,
    place: "_reach.Place | None",
    variable: str | None,
) -> Heard:
    """Send an empty request as recording would, and find out more where it is not taken.

    Args:
        signal: What it is for.
        endpoint: The full address.
        protocol: How it is to be spoken to.
        headers: Sent with it.
        timeout_s: Seconds for the answer.
        place: Host and port, where they are reached without a proxy.
        variable: The variable that names this address for this signal alone, used as it is; None for a base.

    Raises:
        InvalidArgumentError: If a certificate or key cannot be read.
        RuntimeError: If the environment names a provider of credentials that is not installed.
    """
    before, begun = time.time(), time.monotonic()
    answer = _send(signal, endpoint, protocol, headers, timeout_s)
    took_s = time.monotonic() - begun
    cause = None if answer.verdict == "accepted" else answer.cause or NO_ANSWER
    if cause is not None and _is_open_question(answer, took_s, timeout_s):
        if "certificate" in cause.what or "TLS" in cause.what:
            cause = (None if place is None else _of_another_name(place, protocol)) or cause
        else:
            cause = _look_closer(signal, endpoint, protocol, headers, place, variable) or cause
    return Heard(answer, took_s, cause, _ahead_s(answer.date, before, before + took_s))


def _is_open_question(answer: Answer, took_s: float, timeout_s: float) -> bool:
    """Whether another way of asking may tell more: not when it spoke of credentials, nor when it said nothing."""
    if answer.verdict == "refused" or took_s >= timeout_s - _LEAST_S:
        return False
    return answer.cause is not None and not any(words in answer.cause.what for words in _SIGNED_OUT)


def _look_closer(
    signal: Signal,
    endpoint: str,
    protocol: OtlpProtocol,
    headers: Mapping[str, str],
    place: "_reach.Place | None",
    variable: str | None,
) -> Cause | None:
    """Try what is usually meant: the signal's path, the other protocol, TLS."""
    path = f"/v1/{signal}"
    if protocol == "http/protobuf" and variable is not None and not urlsplit(endpoint).path.endswith(path):
        parts = urlsplit(endpoint)
        longer = parts._replace(path=parts.path.rstrip("/") + path).geturl()
        if _is_taken(_send(signal, longer, protocol, headers, _SECOND_TRY_S)):
            return Cause(
                f"the path {path} is missing", f"{variable} is used as it is: add {path}, or set the base for all."
            )
    if place is None:
        return None
    if _is_taken(_send(signal, *_other(signal, place, protocol), headers, _SECOND_TRY_S)):
        if protocol == "grpc":
            return Cause(
                "it speaks HTTP, not gRPC",
                'Set protocol="http/protobuf" (OTEL_EXPORTER_OTLP_PROTOCOL), or name its port for gRPC (usually 4317).',
            )
        return Cause(
            "it speaks gRPC, not HTTP",
            'Set protocol="grpc" (OTEL_EXPORTER_OTLP_PROTOCOL=grpc), or name its port for HTTP (usually 4318).',
        )
    if not place.is_tls:
        try:
            _reach.certificate(place, _SECOND_TRY_S, is_grpc=protocol == "grpc")
        except OSError:
            return None
        return NO_TLS_SPOKEN
    return None


def _of_another_name(place: "_reach.Place", protocol: OtlpProtocol) -> Cause | None:
    """A certificate for other hosts: the libraries say that they do not trust it."""
    try:
        found = _reach.certificate(place, _SECOND_TRY_S, is_grpc=protocol == "grpc")
    except OSError:
        return None
    if found is None or found.is_for(place.host):
        return None
    named = ", ".join(found.names[:3])
    return Cause(f"its TLS certificate is for {named}, not for {place.host}", "Use a name that the certificate has.")


def _other(signal: Signal, place: "_reach.Place", protocol: OtlpProtocol) -> tuple[str, OtlpProtocol]:
    base = f"{'https' if place.is_tls else 'http'}://{place.name}"
    return (f"{base}/v1/{signal}", "http/protobuf") if protocol == "grpc" else (base, "grpc")


def _is_taken(answer: Answer) -> bool:
    """Whether this was the right way to ask, be it that credentials are wrong."""
    if answer.verdict == "accepted":
        return True
    return answer.cause is not None and any(words in answer.cause.what for words in _SIGNED_OUT)


def _send(
    signal: Signal, endpoint: str, protocol: OtlpProtocol, headers: Mapping[str, str], timeout_s: float
) -> Answer:
    from mlotel._current import silence  # a patched HTTP library must not record our own requests

    sender = _sender(signal, endpoint, protocol, headers)
    try:
        with silence():
            return sender.send(b"", timeout_s)
    finally:
        sender.close()


def _sender(signal: Signal, endpoint: str, protocol: OtlpProtocol, headers: Mapping[str, str]) -> "Sender":
    """As ``export.otlp`` makes it, without the encoders: junk in a variable can keep the SDK from being imported."""
    from mlotel.export._connection import connection

    found = connection(signal, endpoint, protocol, headers)
    if protocol == "grpc":
        from mlotel.export._grpc import GrpcSender

        return GrpcSender(found)
    from mlotel.export._http import HttpSender

    return HttpSender(found)


def _ahead_s(date: str | None, begun: float, ended: float) -> float | None:
    """How far the receiver's clock is ahead: its answer was made between the two times, and says whole seconds."""
    if date is None:
        return None
    try:
        said = parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    if said > ended:
        return said - ended
    return min(0.0, said + 1 - begun)
