"""``configure()``: where telemetry goes, and what may be in it."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from mlotel import _guard, _settings
from mlotel._setup import _endings, _options, _workers
from mlotel._setup._telemetry import Telemetry
from mlotel.errors import AlreadyConfiguredError
from mlotel.export._ledger import SIGNALS, Ledger

if TYPE_CHECKING:
    from mlotel._setup._assemble import Active


class _Holder:
    """The one ``Telemetry`` that is open, and what is behind it."""

    def __init__(self) -> None:
        self.active: Active | None = None
        self.instrumented: list[str] = []
        self.lock = threading.RLock()

    def telemetry(self) -> Telemetry | None:
        return None if self.active is None else self.active.telemetry

    def before_fork(self) -> None:
        if self.active is not None:
            self.active.before_fork()

    def after_fork_in_parent(self) -> None:
        if self.active is not None:
            self.active.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        from mlotel._setup import _globals

        self.lock = threading.RLock()
        _globals.restart()
        if self.active is not None:
            self.active.after_fork_in_child()


_holder = _Holder()


def configure(
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: Literal["http/protobuf", "grpc"] | None = None,
    headers: Mapping[str, str] | str | None = None,
    spool: "str | os.PathLike[str] | Literal[False] | None" = None,
    instrument: Iterable[str] = (),
    capture_values: bool | None = None,
    redact: Callable[[str], str] | None = None,
    *,
    quiet: bool | None = None,
    **unknown: NoReturn,
) -> Telemetry:
    """Say where telemetry goes. Without arguments and variables: to files in ``.mlotel/spool``.

    OpenTelemetry's variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its like) are honoured; an argument wins over them.
    Providers that the application has set itself are used and never replaced: then its exporters decide, and only
    ``capture_values``, ``redact``, ``instrument`` and ``quiet`` have a meaning for those signals.

    Args:
        service_name: Name of the program or service; by default ``OTEL_SERVICE_NAME``, else the name of the script.
        endpoint: Base address of an OTLP receiver for all signals, ``http://localhost:4318``; for gRPC its address. A
            signal without an endpoint goes to the spool.
        protocol: ``http/protobuf`` (the default) or ``grpc``.
        headers: Sent with each request, beside those of the environment: a dict, or ``"name=value,name=value"``.
        spool: Folder for records that have no endpoint, and for those that it does not take: they are delivered when it
            does, also those of earlier programs. By default ``MLOTEL_SPOOL``, else ``.mlotel/spool``; False keeps
            nothing on disk.
        instrument: Names of libraries to instrument, as for ``mlotel.instrument``; ``shutdown()`` takes it back.
        capture_values: Whether values of data may leave the process; by default ``MLOTEL_CAPTURE_VALUES``, else no.
        redact: Function that every text goes through before it leaves; by default the one that ``MLOTEL_REDACT`` names
            as ``module:function``.
        quiet: Whether to print nothing when a run ends on a terminal; by default ``MLOTEL_QUIET``, else no.
        **unknown: Nothing else is taken.

    Returns:
        The handle to flush and to shut down. The same call again returns the same one.

    Raises:
        AlreadyConfiguredError: If it was called before with other settings, and not shut down since.
        InvalidArgumentError: If a value, also of a variable, cannot be used.
        InvalidTypeError: If an argument has the wrong type, or a keyword is unknown.
        NotFoundError: If a name in ``instrument`` is unknown, or its library is not installed.

    Example:
        >>> import mlotel
        >>> telemetry = mlotel.configure(service_name="nightly", spool=False)
        >>> telemetry
        <Telemetry of 'nightly': traces → none, metrics → none, logs → none>
        >>> flush = telemetry.shutdown()
    """
    arguments = {
        "service_name": service_name,
        "endpoint": endpoint,
        "protocol": protocol,
        "headers": headers,
        "spool": spool,
        "instrument": instrument,
        "capture_values": capture_values,
        "redact": redact,
        "quiet": quiet,
    }
    checked = _options.check(arguments, unknown)
    if _settings.is_disabled():
        return _disabled()
    options = _options.resolve(checked)
    with _holder.lock:
        if _holder.active is not None and not _holder.active.telemetry.is_open:
            _holder.active.telemetry.shutdown()  # another thread is at it: wait until it is done
        if _holder.active is None:
            active = _begin(options)
            if endpoint is not None and active.hosts:
                _guard.say_once(
                    ("hosts",),
                    "configure(endpoint=…) is not used for %s: the application has set providers of its own for them.",
                    ", ".join(active.hosts),
                )
            return active.telemetry
        differing = _holder.active.options.differences(options)
        if differing:
            raise AlreadyConfiguredError(
                f"configure() was called before, with another {', '.join(differing)}. Pass the same settings, or call "
                "shutdown() on the Telemetry that it returned."
            )
        return _holder.active.telemetry


def restore(snapshot: Mapping[str, Any]) -> None:
    """Set a worker process up like the one that made ``snapshot``; never raises.

    Does nothing in a process that is configured. Signals that go through providers of the host application are left
    out, since it has set them in its own process only; ``skipped()`` counts such calls.

    Args:
        snapshot: The second part of ``_settings.current.restore``.
    """
    with _workers.guarded(), _holder.lock:
        if _holder.active is not None or _settings.is_disabled():
            return
        _workers.restore(snapshot, _begin)


def _begin(options: _options.Options, *, is_worker: bool = False, **details: Any) -> "Active":
    from mlotel._setup import _assemble  # loads the SDK

    libraries: list[str] = []
    if options.instrument:
        from mlotel import instrumentation  # for those who instrument

        with _workers.guarded() if is_worker else contextlib.nullcontext():
            libraries = instrumentation.resolve(options.instrument, "configure() got instrument=")
    active = _assemble.assemble(options, release=_end, **details)
    _holder.active = active
    if libraries:
        _holder.instrumented = instrumentation.install(libraries)
    _settings.current.on_run_end = None if is_worker else _assemble.printer(active)
    _settings.current.restore = (restore, _workers.snapshot(active))
    _endings.arm(_holder)
    return active


def _end() -> None:
    from mlotel._setup import _assemble

    _holder.active = None
    if _holder.instrumented:
        from mlotel import instrumentation

        instrumentation.remove(_holder.instrumented)
        _holder.instrumented = []
    _assemble.dismantle()
    _endings.disarm()


def _disabled() -> Telemetry:
    reason = _settings.why_disabled() or "MLOTEL_DISABLED=true"  # changed since the first use, which is what counts
    return Telemetry("", dict.fromkeys(SIGNALS, "none"), ledger=Ledger(), why_disabled=reason)
