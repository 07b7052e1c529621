"""Whether a place can be reached: its name, its port, its TLS."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

__all__ = ["Certificate", "Place", "certificate", "connect", "in_time", "place_of", "proxy_for", "resolve"]


@dataclass(frozen=True, slots=True)
class Place:
    """A host and a port, and whether TLS is spoken there."""

    host: str
    port: int
    is_tls: bool

    @property
    def name(self) -> str:
        """``host:port``, as it stands in addresses."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a receiver shows itself with.

    Attributes:
        names: Hosts that it is good for; where it names none, whom it is for.
        issuer: Who vouches for it.
        ends: When it ends, in seconds since 1970.
    """

    names: tuple[str, ...]
    issuer: str
    ends: float

    def is_for(self, host: str) -> bool:
        """Whether it is good for ``host``.

        Example:
            >>> shown = Certificate(("*.otlp.example",), "an authority", 0.0)
            >>> shown.is_for("eu.otlp.example"), shown.is_for("otlp.example")
            (True, False)
        """
        names = {name.lower() for name in self.names}
        host = host.lower()
        return host in names or f"*.{host.partition('.')[2]}" in names


def place_of(endpoint: str, *, is_plain: bool) -> Place | None:
    """Where an endpoint is; None for addresses of gRPC that are no host and port.

    Args:
        endpoint: With a scheme, or ``host:port`` as gRPC names its targets.
        is_plain: Whether no TLS is spoken where there is no scheme.

    Example:
        >>> place_of("https://otlp.example/v1/traces", is_plain=False)
        Place(host='otlp.example', port=443, is_tls=True)
        >>> place_of("unix:/run/otlp.sock", is_plain=True)
    """
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("", "http", "https"):
        return None
    is_tls = parts.scheme == "https" or (not parts.scheme and not is_plain)
    if port is None:
        if not parts.scheme:
            return None
        port = 443 if is_tls else 80
    return Place(host, port, is_tls)


def proxy_for(place: Place, *, is_grpc: bool) -> Place | None:
    """The proxy that requests to ``place`` go through, as the environment says."""
    import os
    from urllib.request import getproxies_environment, proxy_bypass

    if proxy_bypass(place.host):
        return None
    found = getproxies_environment()
    if is_grpc:
        names = ("grpc_proxy", "https_proxy", "http_proxy")
        url = next((os.environ[name] for name in names if os.environ.get(name)), None)
    else:
        url = found.get("https" if place.is_tls else "http") or found.get("all")
    return None if not url else place_of(url if "://" in url else f"http://{url}", is_plain=True)


def in_time(work: Callable[[], T], seconds: float) -> T:
    """What ``work`` returns. A system call that cannot be ended, as looking up a name, goes on in its thread.

    Raises:
        TimeoutError: If it takes longer than ``seconds``.
        Exception: Whatever ``work`` raises.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError("timed out")
    return done[0]


def resolve(place: Place, seconds: float) -> list[str]:
    """Addresses of a host, each once.

    Raises:
        OSError: If there are none, or the time is over.
    """
    found = in_time(lambda: socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM), seconds)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(place: Place, seconds: float) -> float:
    """Open and close a connection; returns the seconds it took.

    Raises:
        OSError: If nothing takes it in time.
    """
    begun = time.monotonic()
    socket.create_connection((place.host, place.port), timeout=max(0.05, seconds)).close()
    return time.monotonic() - begun


def certificate(place: Place, seconds: float, *, is_grpc: bool) -> Certificate | None:
    """The certificate of a receiver, trusted or not; None where it speaks TLS and its certificate cannot be read.

    Raises:
        OSError: If it does not speak TLS (``ssl.SSLError``), or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = _shake_hands(place, context, deadline, is_grpc=is_grpc, is_raw=True)
    if not isinstance(shown, bytes):
        return None
    # Python reads only certificates that it has verified: one that is trusted for this one time.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0)
    with suppress(ssl.SSLError):
        context.load_verify_locations(cadata=shown)
        return _read(_shake_hands(place, context, deadline, is_grpc=is_grpc, is_raw=False))
    return None


def _shake_hands(place: Place, context: ssl.SSLContext, deadline: float, *, is_grpc: bool, is_raw: bool) -> object:
    context.set_alpn_protocols(["h2"] if is_grpc else ["http/1.1"])
    with socket.create_connection((place.host, place.port), max(0.05, deadline - time.monotonic())) as plain:
        plain.settimeout(max(0.05, deadline - time.monotonic()))
        with context.wrap_socket(plain, server_hostname=place.host) as spoken:
            return spoken.getpeercert(True) if is_raw else spoken.getpeercert()


def _read(found: object) -> Certificate | None:
    if not isinstance(found, dict) or "notAfter" not in found:
        return None
    names = tuple(str(value) for _, value in found.get("subjectAltName", ()))
    ends = float(ssl.cert_time_to_seconds(found["notAfter"]))
    return Certificate(names or (_name(found.get("subject", ())),), _name(found.get("issuer", ())), ends)


def _name(parts: "tuple[tuple[tuple[str, str], ...], ...]") -> str:
    pairs = dict(pair for part in parts for pair in part)
    return pairs.get("commonName") or pairs.get("organizationName") or "nobody"
