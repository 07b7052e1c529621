"""OTLP over HTTP, with protobuf bodies."""

import contextlib
import math
import socket
import ssl
import threading
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mlotel._version import __version__
from mlotel.export import _watch
from mlotel.export._connection import LONGEST_PAUSE_S, RESPONSES, Connection, compressed, provided
from mlotel.export._explain import NO_ANSWER, NO_RECEIVER, NO_TLS_SPOKEN, explain
from mlotel.export._sender import Answer, Verdict
from mlotel.types import Signal

_MAX_ANSWER_BYTES = 65_536

_LATER = frozenset({408, 425, 429})
_BUSY = _LATER | {503}
_MISCONFIGURED = frozenset({401, 403, 404, 405, 406, 407, 411, 415, 421, 426, 511})


class HttpSender:
    """Posts requests of one signal to one address.

    Args:
        connection: Address, headers, certificates, compression.

    Raises:
        RuntimeError: If the environment names a provider of credentials that is not installed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        headers = {**connection.headers, "content-type": "application/x-protobuf"}
        headers.setdefault("user-agent", f"mlotel/{__version__}")
        if connection.compression != "none":
            headers["content-encoding"] = connection.compression
        self._headers = headers
        self._left_to_parent: list[Any] = []
        self._open()

    def _open(self) -> None:
        self._line = _Line()
        self._is_interrupted = False
        self._session = self._provided() or requests.Session()
        if self._connection.credentials is None:
            self._session.mount("http://", self._line)
            self._session.mount("https://", self._line)
        if "authorization" in self._headers:
            self._session.auth = lambda request: request  # a password in ~/.netrc would take its place
        if self._connection.client_certificate is not None:
            certificate, key = self._connection.client_certificate, self._connection.client_key
            self._session.cert = certificate if key is None else (certificate, key)

    def _provided(self) -> requests.Session | None:
        """The session of the provider of credentials that the environment names."""
        name = self._connection.credentials
        if name is None:
            return None
        session = provided(name)
        if not isinstance(session, requests.Session):
            raise RuntimeError(f"The credential provider {name!r} makes no requests.Session.")
        return session

    def send(self, body: bytes, timeout_s: float) -> Answer:
        """See ``Sender.send``."""
        self._is_interrupted = False
        body = compressed(body, self._connection.compression)
        try:
            with _watch.at_most(timeout_s, self.interrupt):
                try:
                    response, said = self._post(body, timeout_s)
                except requests.exceptions.ConnectionError as error:
                    if self._is_interrupted or self._line.has_connected or not _is_hung_up(error):
                        raise
                    response, said = self._post(body, timeout_s)
        except Exception as error:
            return self._failed(error)
        if self._is_interrupted:  # what was read until then may look like a whole answer
            return Answer("later", cause=NO_ANSWER)
        return judge(self._connection.signal, response, said)

    def _post(self, body: bytes, timeout_s: float) -> tuple[requests.Response, bytes]:
        self._line.has_connected = False
        response = self._session.post(
            self._connection.endpoint,
            data=body,
            headers=self._headers,
            timeout=timeout_s,
            allow_redirects=False,
            verify=self._connection.certificate,  # said here, or REQUESTS_CA_BUNDLE would win over it
            stream=True,
        )
        with response:
            said = response.raw.read(_MAX_ANSWER_BYTES, decode_content=True)
            while response.raw.read(_MAX_ANSWER_BYTES, decode_content=True):  # raises if the end is missing
                pass
        return response, said

    def interrupt(self) -> None:
        """See ``Sender.interrupt``."""
        self._is_interrupted = True
        self._line.hang_up()

    def close(self) -> None:
        """See ``Sender.close``."""
        self._line.clear()
        self._session.close()

    def restart(self) -> None:
        """See ``Sender.restart``."""
        # Kept, not closed: closing would end or garble a connection that the parent goes on using.
        self._left_to_parent += [self._line, self._session]
        self._open()

    def _failed(self, error: Exception) -> Answer:
        if self._is_interrupted or isinstance(error, requests.exceptions.Timeout):
            return Answer("later", cause=NO_ANSWER)
        said = f"{error} {error.__context__ or ''}"
        cause = explain(said)
        is_foreign = "badstatusline(" in said.lower() and "badstatusline('http/" not in said.lower()
        if is_foreign or (isinstance(error, requests.exceptions.SSLError) and not _is_cut_off(error)):
            return Answer("misconfigured", cause=cause)
        if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL):
            return Answer("misconfigured", cause=cause)
        return Answer("later", cause=cause)


class _Line(HTTPAdapter):
    """Knows its sockets, so that a request under way can be ended.

    Attributes:
        has_connected: Whether a connection was opened since somebody set it to False. One that was kept from an earlier
            request may have been closed by the receiver just when the next was sent, which says nothing about it.
    """

    def __init__(self) -> None:
        self.has_connected = False
        self._sockets_lock = threading.Lock()
        self._connections: list[HTTPConnection] = []
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        super().init_poolmanager(*arguments, **keywords)
        self.poolmanager.pool_classes_by_scheme = self._classes()

    def proxy_manager_for(self, *arguments: Any, **keywords: Any) -> Any:
        found = super().proxy_manager_for(*arguments, **keywords)
        found.pool_classes_by_scheme = self._classes()
        return found

    def _classes(self) -> dict[str, type[HTTPConnectionPool]]:
        line = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                line.remember(self)
                super().connect()

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                line.remember(self)
                super().connect()

        plain = type("Plain", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        tls = type("Tls", (HTTPSConnectionPool,), {"ConnectionCls": Tls})
        return {"http": plain, "https": tls}

    def remember(self, connection: HTTPConnection) -> None:
        """Note a connection that is about to be opened; those that were closed are forgotten."""
        self.has_connected = True
        with self._sockets_lock:
            self._connections = [known for known in self._connections if known.sock is not None]
            self._connections.append(connection)

    def hang_up(self) -> None:
        """End every connection, also one that another thread is waiting on."""
        with self._sockets_lock:
            connections = list(self._connections)
        for connection in connections:
            found = connection.sock
            if found is not None:
                with contextlib.suppress(OSError):  # closed meanwhile
                    # Not SSLSocket's own: it would take the socket away from the thread that reads from it.
                    socket.socket.shutdown(found, socket.SHUT_RDWR)

    def clear(self) -> None:
        """Close the connections: urllib3 leaves it to finalizers, which at a program's end ran before our last send."""
        pools = self.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118 - no dict: it has no iterator of its own
            pools[key].close()


def judge(signal: Signal, response: requests.Response, said: bytes) -> Answer:
    """What an HTTP answer with the body ``said`` means."""
    status, headers = int(response.status_code), response.headers
    date = headers.get("date")
    kind = headers.get("content-type", "").lower()
    if 200 <= status < 300:
        if "html" in kind:
            return Answer("misconfigured", cause=NO_RECEIVER, date=date)
        rejected, message = _partial(signal, said, kind)
        return Answer("accepted", rejected, message, date=date)
    message = "" if "html" in kind else _message(said, kind)
    cause = explain("", status, headers.get("location"))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Answer("too_large", message=message, cause=cause, date=date)
    verdict: Verdict
    if status in _LATER or (500 <= status < 600 and status not in _MISCONFIGURED):
        verdict = "later"
    elif status in _MISCONFIGURED or 300 <= status < 400:
        verdict = "misconfigured"
    elif b"HTTPS" in said and b"HTTP request" in said:
        verdict, cause = "misconfigured", NO_TLS_SPOKEN
    elif "html" in kind:  # a web page judges no records
        verdict, cause = "misconfigured", NO_RECEIVER
    else:
        verdict = "refused"
    pause_s = _pause_s(headers.get("retry-after"), date) if verdict == "later" else None
    is_suspicious = verdict == "later" and status not in _BUSY
    return Answer(verdict, 0, message, pause_s, cause, is_suspicious, date)


def _partial(signal: Signal, said: bytes, kind: str) -> tuple[int, str]:
    """Rejected records, and the message, of an accepted request."""
    if not said:
        return 0, ""
    response, field = RESPONSES[signal]
    try:
        if "json" in kind:
            from google.protobuf import json_format  # type: ignore[import-untyped]  # has no stubs

            parsed = json_format.Parse(said, response(), ignore_unknown_fields=True)
        else:
            parsed = response.FromString(said)
    except Exception:  # receivers that answer "ok", or nothing that is meant to be read
        return 0, ""
    return max(0, getattr(parsed.partial_success, field)), parsed.partial_success.error_message


def _message(said: bytes, kind: str) -> str:
    """What a failure says: a ``google.rpc.Status``, or plain text."""
    if "protobuf" in kind:
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # has no stubs

        try:
            return str(Status.FromString(said).message)[:500]
        except Exception:
            return ""
    return " ".join(said.decode("utf-8", "replace").split())[:500]


def _pause_s(value: str | None, date: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header: a number, or a date, read on the receiver's own clock."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
            # Both dates are the receiver's: how far its clock is from ours does not matter.
            seconds = (until - parsedate_to_datetime(date)).total_seconds() if date else _from_now_s(until)
        except (TypeError, ValueError):
            return None
    return min(max(0.0, seconds), LONGEST_PAUSE_S) if math.isfinite(seconds) else None


def _from_now_s(until: Any) -> float:
    from datetime import datetime, timezone

    return float((until - datetime.now(timezone.utc)).total_seconds())


def _is_hung_up(error: Exception) -> bool:
    """Whether the connection ended before the first byte of an answer."""
    causes = [*error.args, error.__context__]
    causes += [argument for cause in causes if isinstance(cause, Exception) for argument in cause.args]
    return any(
        isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError | ssl.SSLEOFError)
        for cause in causes
    )


def _is_cut_off(error: Exception) -> bool:
    """Whether a TLS connection just ended, as when a receiver restarts; nothing is wrong with certificates then."""
    text = str(error).lower()
    return "eof occurred" in text or "timed out" in text or isinstance(error.__context__, ssl.SSLEOFError)
