"""What ``configure()`` returns: ask it to deliver, ask it what became of the records."""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from mlotel import _guard
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.export._ledger import SIGNALS, Ledger
from mlotel.types import Flush, Signal

if TYPE_CHECKING:
    from mlotel.export.delivery import Delivery


class Files(Protocol):
    """What writes files of the spool."""

    @property
    def folder(self) -> Path:
        """Where they are by now."""

    @property
    def file(self) -> Path | None:
        """The one that is being written."""


class Spool:
    """The files of this process in the spool, whoever writes them."""

    def __init__(self, writers: Sequence[Files]) -> None:
        self._writers = list(writers)

    @property
    def folder(self) -> Path:
        """Where they are by now."""
        return self._writers[0].folder

    @property
    def file(self) -> Path | None:
        """The first that was begun; None before the first record."""
        return next((writer.file for writer in self._writers if writer.file is not None), None)


class Telemetry:
    """A configured mlotel. Made by ``mlotel.configure()``, used by whoever must not lose records.

    At the end of the program ``shutdown`` is called by itself. Call ``flush`` before ``os._exit()``, and where a
    program must know that its records have left.
    """

    def __init__(
        self,
        service_name: str,
        endpoints: Mapping[Signal, str],
        *,
        ledger: Ledger,
        delivery: "Delivery | None" = None,
        spool: Spool | None = None,
        hosts: Mapping[Signal, Any] = MappingProxyType({}),
        resource: Callable[[], Mapping[str, Any]] = dict,
        stop_recording: Callable[[], None] = lambda: None,
        release: Callable[[], None] = lambda: None,
        why_disabled: str | None = None,
    ) -> None:
        self.service_name = service_name
        self._endpoints = MappingProxyType(dict(endpoints))
        self._ledger = ledger
        self._delivery = delivery
        self._spool = spool
        self._hosts = dict(hosts)
        self._resource = resource
        self._stop_recording = stop_recording
        self._release = release
        self._why_disabled = why_disabled
        self._is_open = why_disabled is None
        self._closing = threading.Lock()

    @property
    def endpoints(self) -> Mapping[Signal, str]:
        """Where each signal goes: an address, ``spool``, ``console``, ``host application`` or ``none``."""
        return self._endpoints

    @property
    def is_open(self) -> bool:
        """Whether records are taken: True until ``shutdown``."""
        return self._is_open

    @property
    def spool_folder(self) -> Path | None:
        """Folder for records that have no endpoint, or whose endpoint does not take them; None without a spool."""
        return None if self._spool is None else self._spool.folder

    @property
    def spool_file(self) -> Path | None:
        """A file of this process in the spool; None before the first record is written there."""
        return None if self._spool is None else self._spool.file

    @property
    def resource(self) -> Mapping[str, Any]:
        """Attributes of the process, as far as they are known by now."""
        return MappingProxyType(dict(self._resource()))

    def flush(self, timeout_s: float = 5.0) -> Flush:
        """Deliver what was recorded so far, metrics collected once more, and count.

        What the endpoint has not confirmed shortly before the time is over goes to the spool, so that nothing is left
        in memory; it is delivered later, by this process or another. With ``spool=False`` delivery goes on in the
        background.

        Args:
            timeout_s: Seconds to wait, at most, whatever the network does.

        Returns:
            Records since ``configure()`` that were exported, that are on disk and that were dropped, a signal each.
            They add up to what was recorded before the call; with ``spool=False`` what is still under way is in none.
            What goes through providers of the host application is flushed there, and not counted: only its exporters
            know.

        Raises:
            InvalidTypeError: If ``timeout_s`` is no number.
            InvalidArgumentError: If it is negative or not finite.

        Example:
            >>> import mlotel
            >>> telemetry = mlotel.configure(service_name="nightly", spool=False)
            >>> telemetry.flush().dropped["traces"]
            0
            >>> telemetry.shutdown().exported["traces"]
            0
        """
        deadline = time.monotonic() + _seconds("flush", timeout_s)
        if self._is_open:
            _end_held_spans()
            waiting = self._flush_hosts(timeout_s)
            if self._delivery is not None:
                self._delivery.settle(max(0.0, deadline - time.monotonic()))
            for done in waiting:
                done.wait(max(0.0, deadline - time.monotonic()))
        return self._ledger.result()

    def finish(self, timeout_s: float) -> None:
        """``flush`` for the end of a program: it waits only while the endpoint takes something, as ``shutdown`` does.

        Args:
            timeout_s: Seconds to wait, at most.
        """
        deadline = time.monotonic() + timeout_s
        if self._is_open:
            _end_held_spans()
            waiting = self._flush_hosts(timeout_s)
            if self._delivery is not None:
                self._delivery.finish(max(0.0, deadline - time.monotonic()))
            for done in waiting:
                done.wait(max(0.0, deadline - time.monotonic()))

    def shutdown(self, timeout_s: float = 5.0) -> Flush:
        """``flush``, then stop: nothing is recorded afterwards, and ``configure()`` may be called again.

        It waits only while the endpoint takes something: after 0.8 seconds without an answer the rest goes to the
        spool, where the next ``configure()`` with an endpoint finds it. With ``spool=False`` it waits as long as it
        may, and what was not delivered is counted as dropped.

        Args:
            timeout_s: Seconds to wait, at most, whatever the network does.

        Returns:
            The final counts. A second call returns them again.

        Raises:
            InvalidTypeError: If ``timeout_s`` is no number.
            InvalidArgumentError: If it is negative or not finite.
        """
        deadline = time.monotonic() + _seconds("shutdown", timeout_s)
        with self._closing:
            if self._is_open:
                _end_held_spans()
                self._is_open = False
                self._stop_recording()
                waiting = self._flush_hosts(timeout_s)
                try:
                    if self._delivery is not None:
                        self._delivery.close(max(0.0, deadline - time.monotonic()))
                    for done in waiting:
                        done.wait(max(0.0, deadline - time.monotonic()))
                finally:
                    self._release()
        return self._ledger.result()

    def restart(self) -> None:
        """Make the object usable in a forked child, where a lock may have stayed locked."""
        self._closing = threading.Lock()

    def __repr__(self) -> str:
        if self._why_disabled is not None:
            return f"<Telemetry disabled: {self._why_disabled}>"
        where = ", ".join(f"{signal} → {self._endpoints[signal]}" for signal in SIGNALS)
        spool = f"; spool {self.spool_folder}" if self._spool is not None else ""
        return f"<Telemetry of {self.service_name!r}: {where}{spool}{'' if self._is_open else '; shut down'}>"

    def _flush_hosts(self, timeout_s: float) -> list[threading.Event]:
        """Flush the host application's providers, each in a thread: the SDK's own time-outs are not kept."""
        waiting = []
        for signal, provider in self._hosts.items():
            flush = getattr(provider, "force_flush", None)
            if flush is None:
                continue
            done = threading.Event()
            try:
                threading.Thread(
                    target=_flush_host, args=(flush, timeout_s, done), name=f"mlotel-host-{signal}", daemon=True
                ).start()
            except RuntimeError:  # the interpreter is ending; the host flushes at its own exit
                continue
            waiting.append(done)
        return waiting


def _end_held_spans() -> None:
    """Reads and writes of files wait a moment for more that may be said about them."""
    held = sys.modules.get("mlotel.tracing.held")  # where it was not loaded, nothing is held
    if held is not None:
        with _guard.guard("end the spans of files"):
            held.end_all()


def _flush_host(flush: Callable[..., object], timeout_s: float, done: threading.Event) -> None:
    try:
        with _guard.guard("flush a provider of the host application"):
            flush(timeout_millis=int(timeout_s * 1000))
    finally:
        done.set()


def _seconds(call: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(f"{call}() got timeout_s of type {type(value).__qualname__}. Pass seconds as a number.")
    if not 0 <= value < float("inf"):
        raise InvalidArgumentError(f"{call}() got timeout_s={value!r}. Pass zero or more seconds.")
    return float(value)
