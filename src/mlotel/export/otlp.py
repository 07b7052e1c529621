"""Delivery over OTLP, by HTTP or gRPC, through the SDK's own exporters.

The exporters repeat a failed request with growing pauses until their time-out. They are never waited for by the
application: only the queue's worker calls them.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mlotel import _guard
from mlotel.export import _listen
from mlotel.export._explain import NO_ANSWER, bare, explain
from mlotel.export._outcome import OtlpProtocol, Outcome
from mlotel.export._records import count, merge
from mlotel.types import Signal

_LOST_VALUE = "Failed to encode key"


class OtlpTarget:
    """Sends the batches of one signal to one endpoint.

    Args:
        signal: Which records these are.
        endpoint: The full address: for HTTP with its path, ``http://localhost:4318/v1/traces``.
        protocol: ``http/protobuf`` or ``grpc``.
        headers: Sent with each request.
        timeout_s: Seconds for one batch, repetitions included.

    Raises:
        Exception: Whatever the exporter says about its settings, such as a certificate file that cannot be read.
    """

    def __init__(
        self, signal: Signal, endpoint: str, protocol: OtlpProtocol, headers: Mapping[str, str], timeout_s: float
    ) -> None:
        self.signal = signal
        self.endpoint = endpoint
        self._protocol = protocol
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._is_interrupted = False
        self._hearing: list[str] | None = None  # while a batch is on its way: what the exporter said of it
        self._left_to_parent: list[Any] = []
        self._answers = _Answers()
        self._exporter: Any = self._open()

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Send ``batch``; what was not confirmed is dropped, with one warning a cause."""
        records = count(self.signal, batch)
        if self._is_interrupted:
            return Outcome(dropped={"refused": records})
        if self._exporter is None:
            self._exporter = self._open()
        self._answers.forget()
        with _listen.listening() as heard:
            self._hearing = heard
            try:
                confirmed = self._export(batch)
            except Exception as error:  # gRPC raises what it cannot encode, and when its channel is closed
                confirmed, heard = False, [*heard, f"Failed to encode ({error!r})"]
            finally:
                self._hearing = None
        if confirmed and not self._answers.is_redirect:
            self._mention_lost_values(heard)
            return Outcome(exported=records)
        if not self._is_interrupted and any(_is_about_the_batch(line) for line in heard):
            return self._without_the_odd_ones(batch, heard)
        if not self._is_interrupted:
            self._complain(heard)
        return Outcome(dropped={"refused": records})

    def interrupt(self) -> None:
        """Break the exporter's pause between two tries; it takes nothing afterwards.

        A batch that is on its way is given up, and why is said here: a program that ends may not hear of it later.
        """
        self._is_interrupted = True
        hearing = self._hearing
        if hearing is not None:
            self._complain(list(hearing))
        exporter = self._exporter
        if exporter is not None:
            with _listen.listening():
                exporter.shutdown()

    def close(self) -> None:
        """Close the connection, unless ``interrupt`` did so."""
        if not self._is_interrupted:
            self.interrupt()

    def restart(self) -> None:
        """Open a connection of its own at the first batch of a forked child."""
        # Kept, not closed: closing would end or garble a connection that the parent goes on using.
        self._left_to_parent.append(self._exporter)
        self._exporter = None
        self._answers = _Answers()

    def _open(self) -> Any:
        if self._protocol == "grpc":
            return _grpc_exporter(self.signal)(endpoint=self.endpoint, headers=self._headers, timeout=self._timeout_s)
        return _http_exporter(self.signal)(
            endpoint=self.endpoint, headers=self._headers, timeout=self._timeout_s, session=self._answers.session()
        )

    def _export(self, batch: Sequence[Any]) -> bool:
        result = self._exporter.export(merge(batch) if self.signal == "metrics" else batch)
        return bool(result.name == "SUCCESS")

    def _without_the_odd_ones(self, batch: Sequence[Any], heard: list[str]) -> Outcome:
        """One record that cannot be encoded fails its whole batch: halve it until that record is alone."""
        if len(batch) == 1:
            _guard.say_once(
                ("encode", self.signal),
                "mlotel could not encode some %s for OTLP (%s). They are dropped and counted.",
                self.signal,
                heard[-1],
            )
            return Outcome(dropped={"encode": count(self.signal, batch)})
        middle = len(batch) // 2
        halves = [self(batch[:middle]), self(batch[middle:])]
        dropped = {
            reason: sum(half.dropped.get(reason, 0) for half in halves) for half in halves for reason in half.dropped
        }
        return Outcome(exported=sum(half.exported for half in halves), dropped=dropped)

    def _mention_lost_values(self, heard: list[str]) -> None:
        for line in heard:
            if line.startswith(_LOST_VALUE):
                _guard.say_once(
                    ("value", self.signal), "A value of an attribute could not be sent as OTLP and is missing: %s", line
                )

    def _complain(self, heard: list[str]) -> None:
        answers = self._answers
        said = [answers.error] if answers.error else heard
        is_silent = self._is_interrupted and not said and answers.status is None
        cause = NO_ANSWER if is_silent else explain(said, answers.status, answers.location)
        where = bare(self.endpoint)
        host = where.split("/v1/")[0]
        _guard.say_once(
            ("deliver", host, cause.what),
            "mlotel cannot deliver to %s: %s. Records are dropped and counted until it answers; the program is not "
            "affected. %s",
            where,
            cause.what,
            cause.remedy,
        )


def _is_about_the_batch(line: str) -> bool:
    return line.startswith("Failed to encode") and not line.startswith(_LOST_VALUE)


class _Answers:
    """The last HTTP answer or failure, which the exporter does not pass on. It takes a redirect for a success."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.status: int | None = None
        self.location: str | None = None
        self.error: str | None = None

    @property
    def is_redirect(self) -> bool:
        return self.status is not None and 300 <= self.status < 400

    def session(self) -> Any:
        """An HTTP client that tells of its answers; None where the environment names a provider of such clients."""
        for name, value in os.environ.items():
            if value and name.startswith("OTEL_PYTHON_EXPORTER_OTLP_HTTP_") and name.endswith("CREDENTIAL_PROVIDER"):
                return None
        import requests

        answers = self

        class Session(requests.Session):
            def request(self, *arguments: Any, **keywords: Any) -> Any:
                answers.forget()
                try:
                    response = super().request(*arguments, **keywords)
                except Exception as error:
                    answers.error = str(error)
                    raise
                answers.status = int(response.status_code)
                answers.location = response.headers.get("location")
                return response

            def close(self) -> None:
                # urllib3 leaves this to finalizers, which at the end of a program have run before our last request.
                adapter: Any
                for adapter in self.adapters.values():
                    pools = adapter.poolmanager.pools
                    for key in pools.keys():  # noqa: SIM118 - no dict: it has no iterator of its own
                        pools[key].close()
                super().close()

        return Session()


def _http_exporter(signal: Signal) -> Any:
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter
    if signal == "metrics":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter


def _grpc_exporter(signal: Signal) -> Any:
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter
    if signal == "metrics":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    return OTLPLogExporter
