"""What configure() accepts, and how it says what it does not. Nothing here sets a provider: no signal goes anywhere."""

import os
import threading
from pathlib import Path

import pytest

from mlotel import _settings
from mlotel._setup import configure
from mlotel._setup._options import check, resolve
from mlotel.errors import AlreadyConfiguredError, InvalidArgumentError, InvalidTypeError, MlotelError, NotFoundError

NOTHING = {
    "service_name": None, "endpoint": None, "protocol": None, "headers": None, "spool": None,
    "instrument": (), "capture_values": None, "redact": None, "quiet": None,
}  # fmt: skip


@pytest.fixture
def nowhere():
    """configure() with everything switched off, shut down after the test."""
    made = []

    def configure_nowhere(**arguments):
        made.append(configure(**{"spool": False, **arguments}))
        return made[-1]

    yield configure_nowhere
    for telemetry in made:
        telemetry.shutdown(0)


def options(**arguments):
    return resolve(check({**NOTHING, **arguments}, {}))


@pytest.mark.parametrize(
    ("arguments", "kind", "builtin", "words"),
    [
        ({"service_name": 7}, InvalidTypeError, TypeError, "service_name=7. Pass a string"),
        ({"service_name": " "}, InvalidArgumentError, ValueError, "empty service_name"),
        ({"endpoint": 4318}, InvalidTypeError, TypeError, "endpoint=4318. Pass a string"),
        ({"endpoint": "localhost:4318"}, InvalidArgumentError, ValueError, "'http://localhost:4318'"),
        ({"endpoint": "http://[::1"}, InvalidArgumentError, ValueError, "which is no web address"),
        ({"endpoint": "http://host:port"}, InvalidArgumentError, ValueError, "which is no web address"),
        ({"endpoint": "http://host:99999"}, InvalidArgumentError, ValueError, "which is no web address"),
        ({"endpoint": "ftp://host"}, InvalidArgumentError, ValueError, "Pass scheme and host"),
        (
            {"endpoint": "http://host:4318/v1/traces"},
            InvalidArgumentError,
            ValueError,
            "Pass the base, 'http://host:4318'",
        ),
        ({"protocol": "http/json"}, InvalidArgumentError, ValueError, 'do not speak. Use "http/protobuf" or "grpc"'),
        ({"protocol": "udp"}, InvalidArgumentError, ValueError, 'Use "http/protobuf" or "grpc"'),
        ({"headers": 3}, InvalidTypeError, TypeError, "of type int. Pass a dict"),
        ({"headers": {"a": 1}}, InvalidTypeError, TypeError, "not a string"),
        ({"headers": {"a": "x\ny"}}, InvalidArgumentError, ValueError, "line break"),
        ({"headers": {"grün": "a"}}, InvalidArgumentError, ValueError, "Use ASCII"),
        ({"headers": {"a": "\u4e2d"}}, InvalidArgumentError, ValueError, "Use ASCII"),
        (
            {"headers": {"a": "é"}, "endpoint": "http://x:1", "protocol": "grpc"},
            InvalidArgumentError,
            ValueError,
            "gRPC",
        ),
        ({"headers": "a=1,b"}, InvalidArgumentError, ValueError, "Write 'a=1,b=2'"),
        ({"spool": 3}, InvalidTypeError, TypeError, "spool of type int"),
        ({"spool": ""}, InvalidArgumentError, ValueError, "empty spool"),
        ({"instrument": "sklearn"}, InvalidTypeError, TypeError, "instrument=('sklearn',)"),
        ({"instrument": ["nonsense"]}, NotFoundError, LookupError, "instrument='nonsense', which does not exist"),
        ({"capture_values": "yes"}, InvalidTypeError, TypeError, "Pass True or False"),
        ({"quiet": 1}, InvalidTypeError, TypeError, "Pass True or False"),
        ({"redact": "password"}, InvalidTypeError, TypeError, "Pass a function"),
        (
            {"end_point": "http://x"},
            InvalidTypeError,
            TypeError,
            "unknown keyword 'end_point'. Did you mean 'endpoint'?",
        ),
    ],
)
def test_wrong_call_is_an_error_with_the_way_out(arguments, kind, builtin, words):
    """A wrong argument raises at once, as MlotelError and as the built-in that fits, and says what to do."""
    with pytest.raises(kind) as raised:
        configure(**arguments)

    assert isinstance(raised.value, MlotelError)
    assert isinstance(raised.value, builtin)
    assert words in str(raised.value)


def test_secrets_are_in_no_message():
    """Neither a password in an address nor a header's value is repeated in an error."""
    for arguments in ({"endpoint": "ftp://me:hush@host"}, {"headers": {"key": "hush\n"}}, {"headers": "hush"}):
        with pytest.raises(InvalidArgumentError) as raised:
            configure(**arguments)
        assert "hush" not in str(raised.value)


def test_same_call_returns_the_same_telemetry(nowhere):
    """configure() twice with the same settings is one configuration."""
    first = nowhere(service_name="a", headers={"k": "v"})

    assert nowhere(service_name="a", headers="k=v") is first


def test_other_settings_are_refused_by_name(nowhere):
    """A second call with other settings raises and names what differs; after shutdown() it is fine."""
    first = nowhere(service_name="a")
    with pytest.raises(AlreadyConfiguredError, match=r"another service_name, capture_values\. .*shutdown\(\)"):
        nowhere(service_name="b", capture_values=True)
    first.shutdown()

    second = nowhere(service_name="b")

    assert second is not first
    assert (first.is_open, second.is_open, second.service_name) == (False, True, "b")


def test_configure_from_many_threads_is_one_configuration(nowhere):
    """Threads that configure at once all get the same Telemetry."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(nowhere(service_name="a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_settings_reach_recording_code_and_leave_with_shutdown(nowhere):
    """capture_values and redact hold from configure() to shutdown()."""
    telemetry = nowhere(capture_values=True, redact=str.upper)
    assert (_settings.current.capture_values, _settings.current.redact) == (True, str.upper)
    assert _settings.current.restore is not None

    telemetry.shutdown()

    assert (_settings.current.capture_values, _settings.current.redact, _settings.current.restore) == (
        False,
        None,
        None,
    )


@pytest.mark.parametrize("variable", ["MLOTEL_DISABLED", "OTEL_SDK_DISABLED"])
def test_disabled_is_inert(variable, monkeypatch):
    """Disabled by a variable: nothing is set up, everything can still be called, a wrong call is still wrong."""
    monkeypatch.setenv(variable, "true")

    telemetry = configure(endpoint="http://localhost:4318")

    assert repr(telemetry) == f"<Telemetry disabled: {variable}=true>"
    assert sum(telemetry.flush().dropped.values()) == 0
    assert telemetry.shutdown() == telemetry.flush()
    assert telemetry.endpoints == {"traces": "none", "metrics": "none", "logs": "none"}
    assert (telemetry.is_open, telemetry.spool_file) == (False, None)
    with pytest.raises(InvalidTypeError):
        configure(endpoint=1)


@pytest.mark.parametrize(
    ("seconds", "kind"), [("1", InvalidTypeError), (-1, InvalidArgumentError), (float("inf"), InvalidArgumentError)]
)
def test_time_limits_are_numbers_of_seconds(nowhere, seconds, kind):
    """flush() and shutdown() refuse what is no time to wait."""
    telemetry = nowhere()
    for call in (telemetry.flush, telemetry.shutdown):
        with pytest.raises(kind):
            call(seconds)


def routes(**arguments):
    return {signal: str(route) for signal, route in options(**arguments).routes.items()}


def test_argument_wins_over_variable_wins_over_default(monkeypatch):
    """Argument, else the signal's own variable, else the general one, else the default."""
    assert routes() == {"traces": "spool", "metrics": "spool", "logs": "spool"}

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:1/base/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:2/as/it/is")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
    monkeypatch.setenv("MLOTEL_CAPTURE_VALUES", "true")
    monkeypatch.setenv("MLOTEL_SPOOL", "elsewhere")
    assert routes() == {
        "traces": "http://general:1/base/v1/traces",
        "metrics": "http://general:1/base/",
        "logs": "http://logs:2/as/it/is",
    }
    assert (options().capture_values, options().spool) == (True, "elsewhere")

    assert routes(endpoint="http://mine:3", protocol="http/protobuf") == {
        signal: f"http://mine:3/v1/{signal}" for signal in ("traces", "metrics", "logs")
    }
    assert (options(capture_values=False).capture_values, options(spool=Path("here")).spool) == (False, "here")


def test_exporter_variables_are_honoured(monkeypatch):
    """none switches a signal off, console prints it, otlp without an address means OpenTelemetry's default one."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp,console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "console")

    assert routes() == {"traces": "http://localhost:4318/v1/traces and console", "metrics": "none", "logs": "console"}
    assert routes(protocol="grpc")["traces"] == "http://localhost:4317 and console"
    assert routes(endpoint="http://mine:3")["metrics"] == "none"


def test_wrong_variables_are_named(monkeypatch):
    """An address or protocol in a variable that cannot be used is an error that names the variable; a foreign exporter
    is said and left out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(InvalidArgumentError, match="OTEL_EXPORTER_OTLP_PROTOCOL="):
        options()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318")
    with pytest.raises(InvalidArgumentError, match="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT='collector:4318'"):
        options()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    assert routes()["metrics"] == "spool"


def test_wrong_numbers_in_variables_fall_back(monkeypatch, caplog):
    """OpenTelemetry's rule for numbers: what cannot be used is said and the default holds."""
    from mlotel._setup._assemble import _limits, _timeout_s

    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "250")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "7")
    monkeypatch.setenv("OTEL_BSP_EXPORT_TIMEOUT", "3000")

    assert (_limits("traces").records, _limits("traces").batch, _limits("traces").delay_s) == (8192, 512, 5.0)
    assert (_limits("logs").records, _limits("logs").batch, _limits("logs").delay_s) == (10, 10, 0.25)
    assert (_timeout_s("traces"), _timeout_s("logs")) == (3.0, 7.0)
    assert "OTEL_BSP_MAX_QUEUE_SIZE is 'many'" in caplog.text


def test_redact_can_be_named_by_a_variable(monkeypatch):
    """MLOTEL_REDACT names module:function; one that cannot be loaded is an error."""
    monkeypatch.setenv("MLOTEL_REDACT", "os.path:basename")
    assert options().redact is os.path.basename
    assert options(redact=str.lower).redact == str.lower
    monkeypatch.setenv("MLOTEL_REDACT", "no.such:thing")
    with pytest.raises(InvalidArgumentError, match=r"MLOTEL_REDACT is 'no\.such:thing'"):
        options()
