"""What ``configure()`` was asked for: arguments over environment over defaults, checked and made plain."""

import logging
import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from mlotel import _guard
from mlotel._setup import _environment
from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.export._explain import bare
from mlotel.export._ledger import SIGNALS
from mlotel.export._outcome import OtlpProtocol
from mlotel.tracing.arguments import kind_of, refuse_unknown, require_text
from mlotel.types import Signal

DEFAULT_SPOOL = ".mlotel/spool"
ARGUMENTS = (
    "service_name", "endpoint", "protocol", "headers", "spool", "instrument", "capture_values", "redact", "quiet"
)  # fmt: skip

_PROTOCOLS: tuple[OtlpProtocol, ...] = ("http/protobuf", "grpc")
_DEFAULT_ENDPOINTS: dict[OtlpProtocol, str] = {
    "http/protobuf": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}


@dataclass(frozen=True, slots=True)
class Route:
    """Where one signal goes.

    Attributes:
        kind: ``otlp``, ``spool``, or ``none``: nowhere.
        endpoint: The full address, for ``otlp``.
        protocol: For ``otlp``.
        headers: For ``otlp``; never shown, they may hold secrets.
        is_printed: Whether it is printed on standard output as well.
    """

    kind: Literal["otlp", "spool", "none"]
    endpoint: str = ""
    protocol: OtlpProtocol = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_printed: bool = False

    def __str__(self) -> str:
        where = {"otlp": bare(self.endpoint) if self.endpoint else "", "spool": "spool", "none": ""}[self.kind]
        return " and ".join(filter(None, [where, "console" if self.is_printed else ""])) or "none"


@dataclass(frozen=True, slots=True)
class Options:
    """Checked settings of one ``configure()``.

    Attributes:
        service_name: As asked for; None leaves it to the environment and the script.
        routes: Where each signal goes.
        spool: Folder as asked for; None for no spool.
        instrument: Names of instrumentations.
        capture_values: Whether values of data may leave.
        redact: Applied to every text that leaves.
        is_quiet: Whether nothing is printed at the end of a run.
    """

    service_name: str | None
    routes: Mapping[Signal, Route]
    spool: str | None
    instrument: tuple[str, ...]
    capture_values: bool
    redact: Callable[[str], str] | None
    is_quiet: bool

    def differences(self, other: "Options") -> list[str]:
        """Names of the arguments of ``configure()`` in which the two differ."""
        mine, theirs = self._by_argument(), other._by_argument()
        return [name for name in ARGUMENTS if mine[name] != theirs[name]]

    def _by_argument(self) -> dict[str, Any]:
        routes = [self.routes[signal] for signal in SIGNALS]
        return {
            "service_name": self.service_name,
            "endpoint": [(route.kind, route.endpoint, route.is_printed) for route in routes],
            "protocol": [route.protocol for route in routes],
            "headers": [dict(route.headers) for route in routes],
            "spool": self.spool,
            "instrument": self.instrument,
            "capture_values": self.capture_values,
            "redact": self.redact,
            "quiet": self.is_quiet,
        }


def check(arguments: Mapping[str, Any], unknown: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of ``configure()``; raises for those that are wrong whatever the environment says."""
    refuse_unknown("configure", unknown, ARGUMENTS)
    for name in ("service_name", "endpoint", "protocol"):
        if arguments[name] is not None:
            require_text("configure", name, arguments[name])
    if arguments["protocol"] is not None:
        _protocol(arguments["protocol"], "protocol=")
    if arguments["headers"] is not None:
        _headers(arguments["headers"], "headers=")
    spool = arguments["spool"]
    if not (spool is None or spool is False or isinstance(spool, str | os.PathLike)):
        raise InvalidTypeError(
            f"configure() got spool of type {kind_of(spool)}. Pass a folder, or False to keep nothing on disk."
        )
    if isinstance(spool, str) and not spool.strip():
        raise InvalidArgumentError("configure() got an empty spool. Pass a folder, or False to keep nothing on disk.")
    if arguments["redact"] is not None and not callable(arguments["redact"]):
        raise InvalidTypeError(
            f"configure() got redact of type {kind_of(arguments['redact'])}. Pass a function that takes a string and "
            "returns what may leave of it."
        )
    for name in ("capture_values", "quiet"):
        if arguments[name] is not None and not isinstance(arguments[name], bool):
            raise InvalidTypeError(f"configure() got {name} of type {kind_of(arguments[name])}. Pass True or False.")
    return {**arguments, "instrument": _instrument(arguments["instrument"])}


def resolve(arguments: Mapping[str, Any]) -> Options:
    """Settings from arguments that ``check`` returned, the environment and defaults.

    Raises:
        InvalidArgumentError: If an endpoint or protocol, argument or variable, cannot be used.
        NotFoundError: If an instrumentation does not exist.
    """
    spool = arguments["spool"]
    if spool is None:
        spool = _environment.text("MLOTEL_SPOOL") or DEFAULT_SPOOL
    capture = arguments["capture_values"]
    quiet = arguments["quiet"]
    named = (_environment.text("MLOTEL_INSTRUMENT") or "").split(",")
    instrument = arguments["instrument"] or _instrument([name for name in named if name.strip()])
    return Options(
        service_name=arguments["service_name"],
        routes=routes(arguments, has_spool=spool is not False),
        spool=None if spool is False else os.fspath(spool),
        instrument=instrument,
        capture_values=bool(_environment.truth("MLOTEL_CAPTURE_VALUES")) if capture is None else capture,
        redact=_redact_from_environment() if arguments["redact"] is None else arguments["redact"],
        is_quiet=bool(_environment.truth("MLOTEL_QUIET")) if quiet is None else quiet,
    )


def routes(arguments: Mapping[str, Any], *, has_spool: bool) -> dict[Signal, Route]:
    """Where each signal goes, from ``endpoint``, ``protocol`` and ``headers`` and the environment.

    Raises:
        InvalidArgumentError: If an endpoint or protocol, argument or variable, cannot be used.
    """
    return {signal: _route(signal, arguments, has_spool=has_spool) for signal in SIGNALS}


def spool_folder(options: Options) -> Path | None:
    """The spool's folder, wherever the program goes later."""
    if options.spool is None:
        return None
    folder = Path(options.spool).expanduser()
    try:
        return folder.absolute()
    except OSError:  # the working folder was removed: the writer will find that out, and take the user's folder
        return folder


def _route(signal: Signal, arguments: Mapping[str, Any], *, has_spool: bool) -> Route:
    exporters = _exporters(signal)
    is_printed = "console" in exporters
    if "none" in exporters or exporters == {"console"}:
        return Route("none", is_printed=is_printed)
    kind = signal.upper()
    protocol = _protocol_of(kind, arguments["protocol"])
    found = _endpoint(signal, protocol, arguments["endpoint"])
    if found is None and "otlp" in exporters:  # asked for by name, so OpenTelemetry's default address is meant
        found = _with_path(_DEFAULT_ENDPOINTS[protocol], signal, protocol)
    if found is None:
        return Route("spool" if has_spool else "none", is_printed=is_printed)
    named = _environment.text(f"OTEL_EXPORTER_OTLP_{kind}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    headers = _headers(named or {}, "OTEL_EXPORTER_OTLP_HEADERS") | _headers(arguments["headers"] or {}, "headers=")
    if protocol == "grpc":
        _sendable(headers, "headers for gRPC", charset="ascii")
    return Route("otlp", found, protocol, headers, is_printed)


def _exporters(signal: Signal) -> set[str]:
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    named = {name.strip() for name in (_environment.text(variable) or "").split(",") if name.strip()}
    foreign = named - {"otlp", "console", "none"}
    if foreign:
        _guard.say_once(
            ("environment", variable),
            "%s names %s, which mlotel does not have. It has otlp, console and none.",
            variable,
            ", ".join(sorted(foreign)),
        )
    return named - foreign


def _protocol_of(kind: str, argument: str | None) -> OtlpProtocol:
    if argument is not None:
        return _protocol(argument, "protocol=")
    for variable in (f"OTEL_EXPORTER_OTLP_{kind}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = _environment.text(variable)
        if value is not None:
            return _protocol(value, f"{variable}=")
    return "http/protobuf"


def _protocol(value: str, source: str) -> OtlpProtocol:
    for known in _PROTOCOLS:
        if value.strip().lower() == known:
            return known
    choices = " or ".join(f'"{known}"' for known in _PROTOCOLS)
    if value.strip().lower() == "http/json":
        raise InvalidArgumentError(
            f"configure() got {source}{value!r}, which the Python exporters do not speak. Use {choices}: a receiver of "
            "http/json takes http/protobuf too."
        )
    raise InvalidArgumentError(f"configure() got {source}{value!r}. Use {choices}.")


def _endpoint(signal: Signal, protocol: OtlpProtocol, argument: str | None) -> str | None:
    """The full address for ``signal``, or None where nobody names one."""
    if argument is not None:
        _check_endpoint(argument, protocol, "endpoint=")
        if protocol != "grpc" and argument.rstrip("/").endswith(("/v1/traces", "/v1/metrics", "/v1/logs")):
            base = argument.rstrip("/").rsplit("/v1/", 1)[0]
            raise InvalidArgumentError(
                f"configure() got endpoint={bare(argument)!r}. Pass the base, {bare(base)!r}: the path of each signal "
                "is added to it. The address of one signal goes into OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its like."
            )
        return _with_path(argument, signal, protocol)
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    value = _environment.text(own)
    if value is not None:
        _check_endpoint(value, protocol, f"{own}=")
        return value  # as it is: the specification adds no path to these
    value = _environment.text("OTEL_EXPORTER_OTLP_ENDPOINT")
    if value is not None:
        _check_endpoint(value, protocol, "OTEL_EXPORTER_OTLP_ENDPOINT=")
        return _with_path(value, signal, protocol)
    return None


def _with_path(base: str, signal: Signal, protocol: OtlpProtocol) -> str:
    return base if protocol == "grpc" else f"{base.rstrip('/')}/v1/{signal}"


def _check_endpoint(value: str, protocol: OtlpProtocol, source: str) -> None:
    scheme, separator, rest = value.partition("://")
    if not separator and protocol == "grpc":
        return  # host:port, as gRPC names its targets; OTEL_EXPORTER_OTLP_INSECURE says whether it is in the clear
    if scheme.lower() not in ("http", "https") or not rest.strip("/") or not _has_host(value):
        wanted = f"http://{value}" if not separator and value.strip("/") else _DEFAULT_ENDPOINTS[protocol]
        raise InvalidArgumentError(
            f"configure() got {source}{bare(value)!r}, which is no web address. Pass scheme and host: {bare(wanted)!r}."
        )


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0  # the port is looked at when it is asked for
    except ValueError:
        return False


def _headers(value: Any, source: str) -> dict[str, str]:
    """Headers by lower-case name. Messages never show a value."""
    if isinstance(value, str):
        from opentelemetry.util.re import parse_env_headers

        foreign = logging.getLogger("opentelemetry.util.re")
        was_disabled, foreign.disabled = foreign.disabled, True  # it logs what it cannot read: secrets, too
        try:
            found = dict(parse_env_headers(value, liberal=True))
        finally:
            foreign.disabled = was_disabled
        if len(found) < len([part for part in value.split(",") if part.strip()]):
            raise InvalidArgumentError(f"configure() got {source} with a part that is not name=value. Write 'a=1,b=2'.")
        return _sendable(found, source)
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"configure() got {source} of type {kind_of(value)}. Pass a dict, or 'a=1,b=2'.")
    for name, content in value.items():
        if not isinstance(name, str) or not isinstance(content, str):
            raise InvalidTypeError(f"configure() got {source} with a name or value that is not a string.")
        if not name.strip() or any(mark in name + content for mark in "\r\n"):
            raise InvalidArgumentError(f"configure() got {source} with an empty name or a line break.")
    return _sendable({name.strip().lower(): content for name, content in value.items()}, source)


def _sendable(headers: dict[str, str], source: str, *, charset: str = "latin-1") -> dict[str, str]:
    """Headers that can be sent: names in ASCII, values in what the protocol has room for."""
    for name, content in headers.items():
        try:
            name.encode("ascii")
            content.encode(charset)
        except UnicodeEncodeError:
            raise InvalidArgumentError(
                f"configure() got {source} with the header {name!r}, whose name or value has characters that a header "
                "cannot carry. Use ASCII."
            ) from None
    return headers


def _instrument(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        hint = f" instrument=({value!r},)" if isinstance(value, str) else ""
        raise InvalidTypeError(f"configure() got instrument of type {kind_of(value)}. Pass a list of names.{hint}")
    asked = tuple(name.strip() if isinstance(name, str) else name for name in value)
    for name in asked:
        require_text("configure", "instrument", name)
    if asked:
        from mlotel import instrumentation  # only for those who instrument

        instrumentation.require_known(asked, "configure() got instrument=")
    return asked


def _redact_from_environment() -> Callable[[str], str] | None:
    """The function that ``MLOTEL_REDACT`` names as ``module:function``."""
    named = _environment.text("MLOTEL_REDACT")
    if named is None:
        return None
    try:
        found = pkgutil.resolve_name(named)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidArgumentError(
            f"MLOTEL_REDACT is {named!r}, which cannot be loaded ({error}). Write it as module:function."
        ) from None
    if not callable(found):
        raise InvalidArgumentError(f"MLOTEL_REDACT is {named!r}, which is no function. Write it as module:function.")
    return found  # type: ignore[no-any-return]  # whatever was named, it can be called
