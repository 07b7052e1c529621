"""Delivery to an OTLP endpoint: one try a batch, and a true account of what it brought.

The SDK's exporters are not used: they repeat a request inside, take partial success for success, and drop what they
could not deliver. The published encoders are; what they make is sent as bytes.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from mlotel import _guard
from mlotel.export import _listen
from mlotel.export._breaker import Breaker
from mlotel.export._connection import connection
from mlotel.export._explain import Cause, bare
from mlotel.export._outcome import OtlpProtocol, Outcome
from mlotel.export._records import count, halves, merge
from mlotel.export._sender import Answer, Sender
from mlotel.types import Signal

_LONGEST_WAIT_S = 8.0

PATIENCE_S = 0.7
"""A request that was given up before this time says nothing about its endpoint."""


def sender(signal: Signal, endpoint: str, protocol: OtlpProtocol, headers: Mapping[str, str]) -> Sender:
    """A sender with the certificates and the compression that the environment names.

    Raises:
        InvalidArgumentError: If a certificate or key cannot be read.
        RuntimeError: If the environment names a provider of credentials that is not installed.
    """
    found = connection(signal, endpoint, protocol, headers)
    if protocol == "grpc":
        from mlotel.export._grpc import GrpcSender  # each loads a library of its own

        return GrpcSender(found)
    from mlotel.export._http import HttpSender

    return HttpSender(found)


class OtlpTarget:
    """Sends the batches of one signal to one endpoint.

    Args:
        signal: Which records these are.
        endpoint: The full address: for HTTP with its path, ``http://localhost:4318/v1/traces``.
        sender: Speaks to it.
        breaker: Whether the endpoint is tried at the moment.
        timeout_s: Seconds for one batch.
        folder: Where records are kept that it does not take; None when nothing is kept. Then a batch is sent again and
            again until its time is over, and dropped.
        on_recovery: Called when the endpoint takes something after it had not.
    """

    def __init__(
        self,
        signal: Signal,
        endpoint: str,
        sender: Sender,
        breaker: Breaker,
        timeout_s: float,
        folder: Path | None = None,
        on_recovery: Callable[[], None] = lambda: None,
    ) -> None:
        self.signal = signal
        self.endpoint = endpoint
        self._sender = sender
        self._breaker = breaker
        self._timeout_s = timeout_s
        self._folder = folder
        self._on_recovery = on_recovery
        self._is_ending = False
        self._is_under_way = False
        self._is_hurried = False
        self._hurry = threading.Event()

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Send ``batch``. What the endpoint does not take now is left; what it will never take is dropped."""
        self._is_hurried = False
        self._hurry.clear()
        self._is_under_way = True
        try:
            return self._deliver(batch)
        finally:
            self._is_under_way = False

    def hurry(self) -> None:
        """Give up the request under way, and the pause before the next."""
        if self._is_under_way:
            self._is_hurried = True
            self._hurry.set()
            self._sender.interrupt()

    def interrupt(self) -> None:
        """``hurry``, and leave every later batch."""
        self._is_ending = True
        self.hurry()

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()

    def restart(self) -> None:
        """Open a connection of its own at the first batch of a forked child."""
        self._hurry = threading.Event()
        self._is_under_way = False
        self._breaker.restart()
        self._sender.restart()

    def _deliver(self, batch: Sequence[Any]) -> Outcome:
        if self._is_ending or self._is_hurried or not self._breaker.admits():
            return self._left(batch)
        try:
            with _listen.listening() as heard:
                body = encode(self.signal, batch)
        except Exception as error:
            self._breaker.withdraw()
            return self._without_the_odd_ones(batch, error)
        for line in heard:
            _guard.say_once(
                ("value", self.signal), "A value of an attribute could not be sent as OTLP and is missing: %s", line
            )
        answer = self._send(body)
        records = count(self.signal, batch)
        if answer.verdict == "accepted":
            return self._accepted(answer, records)
        if answer.verdict == "too_large" and (parts := halves(self.signal, batch)) is not None:
            return self._deliver(parts[0]) + self._deliver(parts[1])
        if answer.cause is not None:
            self._complain(answer, answer.cause)
        return Outcome(dropped={"refused": records}) if _is_final(answer) else self._left(batch)

    def _send(self, body: bytes) -> Answer:
        """One try; where nothing is kept, tries until the time is over."""
        deadline = time.monotonic() + self._timeout_s
        pause_s = 1.0
        while True:
            begun = time.monotonic()
            answer = self._sender.send(body, max(0.05, deadline - begun))
            if self._is_hurried and answer.verdict == "later" and time.monotonic() - begun < PATIENCE_S:
                self._breaker.withdraw()  # given up too early to say anything about the endpoint
                return Answer("later")
            if self._folder is not None or answer.verdict != "later":
                if self._folder is not None and self._breaker.report(answer):
                    self._on_recovery()
                return answer
            wait_s = answer.retry_after_s
            if wait_s is None:
                wait_s, pause_s = pause_s * random.uniform(0.8, 1.2), min(_LONGEST_WAIT_S, pause_s * 2)
            if time.monotonic() + wait_s >= deadline:
                return answer
            if self._hurry.wait(wait_s):
                return answer

    def _accepted(self, answer: Answer, records: int) -> Outcome:
        rejected = min(answer.rejected, records)
        if rejected:
            _guard.say_once(
                ("partial", self.signal, answer.message),
                "%s took a request and left out some of its %s: %s. They are dropped and counted (refused).",
                bare(self.endpoint),
                self.signal,
                answer.message or "it does not say why",
            )
            return Outcome(exported=records - rejected, dropped={"refused": rejected})
        if answer.message:
            _guard.say_once(
                ("partial", self.signal, answer.message),
                "%s took the %s and says: %s",
                bare(self.endpoint),
                self.signal,
                answer.message,
            )
        return Outcome(exported=records)

    def _left(self, batch: Sequence[Any]) -> Outcome:
        if self._folder is not None:
            return Outcome(left=batch)
        return Outcome(dropped={"refused": count(self.signal, batch)})

    def _without_the_odd_ones(self, batch: Sequence[Any], error: Exception) -> Outcome:
        """One record that cannot be encoded fails its whole batch: halve it until that record is alone."""
        parts = halves(self.signal, batch)
        if parts is not None:
            return self._deliver(parts[0]) + self._deliver(parts[1])
        _guard.say_once(
            ("encode", self.signal),
            "mlotel could not encode some %s for OTLP (%s). They are dropped and counted.",
            self.signal,
            _guard.describe_error(error),
        )
        return Outcome(dropped={"encode": count(self.signal, batch)})

    def _complain(self, answer: Answer, cause: Cause) -> None:
        where = bare(self.endpoint)
        fate = "Records are dropped and counted until it answers"
        if _is_final(answer):
            fate = "What it refuses is dropped and counted"
        elif self._folder is not None:
            fate = f"Records are kept in {self._folder} and sent when it takes them"
        _guard.say_once(
            ("deliver", where.split("/v1/")[0], cause.what),
            "mlotel cannot deliver to %s: %s%s. %s; the program is not affected. %s",
            where,
            cause.what,
            f' and says "{answer.message}"' if answer.message and _is_final(answer) else "",
            fate,
            cause.remedy,
        )


def encode(signal: Signal, batch: Sequence[Any]) -> bytes:
    """One export request as protobuf bytes.

    Raises:
        Exception: Whatever the encoder meets in records that cannot be encoded.
    """
    if signal == "traces":
        return bytes(encode_spans(batch).SerializeToString())
    if signal == "logs":
        return bytes(encode_logs(batch).SerializeToString())
    return bytes(encode_metrics(merge(batch)).SerializeToString())


def _is_final(answer: Answer) -> bool:
    """Whether sending the same again is of no use."""
    return answer.verdict in ("refused", "too_large")
