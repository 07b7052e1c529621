"""`mlotel doctor` asks real receivers as recording would, and says what is wrong in words that name the remedy."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

from sinks import grpc_sink, http_sink, identity, refused_port, sink_of  # noqa: F401 - fixtures, but for one

from mlotel import cli
from mlotel.doctor._variables import VARIABLES

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SECRET = "tok-4f1d9a"


@pytest.fixture
def doctor(capsys, monkeypatch):
    """Runs the command in its own process; returns exit status and what ``--json`` says, by subject."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        status = cli.main(["doctor", "--json", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert err == ""
        return status, json.loads(out)

    return call


@pytest.fixture
def text(capsys, monkeypatch):
    """Runs the command for people; returns exit status and what it prints."""

    def call(*arguments, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        status = cli.main(["doctor", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out

    return call


def section(said, title):
    [found] = [part["results"] for part in said["sections"] if part["title"] == title]
    return found


def signals(said):
    """What was said of the signals together."""
    [found] = [result for result in section(said, "Endpoints") if result["subject"] == "traces, metrics, logs"]
    return found


def findings(said):
    return [
        (part["title"], result["subject"], result["says"])
        for part in said["sections"]
        for result in part["results"]
        if result["verdict"] in ("warn", "fail")
    ]


def set_endpoint(monkeypatch, endpoint, protocol=None, **more):
    monkeypatch.setenv(ENDPOINT, endpoint)
    if protocol is not None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    for name, value in more.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(value))


def test_all_is_well(doctor, http_sink, monkeypatch):  # noqa: F811 - the fixture
    """One empty request a signal is accepted, its time and the clock are told, and the exit status is 0."""
    set_endpoint(monkeypatch, http_sink.endpoint)

    status, said = doctor()

    assert (status, said["verdict"], findings(said)) == (0, "info", [])
    assert [part["title"] for part in said["sections"]] == [
        "Settings", "Endpoints", "Records", "Spool", "Conflicts", "Versions", "Lineage index",
    ]  # fmt: skip
    place, asked, clock = section(said, "Endpoints")
    assert (place["verdict"], place["subject"]) == ("ok", http_sink.endpoint)
    assert place["facts"]["protocol"] == "http/protobuf"
    assert 0 < place["facts"]["connected_s"] < 3
    assert (asked["verdict"], asked["facts"]["answer"]) == ("ok", "accepted")
    assert set(asked["facts"]["took_s"]) == {"traces", "metrics", "logs"}
    assert (clock["verdict"], abs(clock["facts"]["ahead_s"]) < 5) == ("ok", True)
    assert sorted(signal for signal, _, _ in http_sink.requests) == ["logs", "metrics", "traces"]
    assert (http_sink.spans(), http_sink.metrics(), http_sink.logs()) == ([], [], [])


def test_over_grpc(doctor, grpc_sink):  # noqa: F811 - the fixture
    """Address, protocol and headers may be given as configure() would get them; gRPC does not tell the time."""
    given = ("--endpoint", grpc_sink.endpoint, "--protocol", "grpc", "--header", f"x-key={SECRET}")

    status, said = doctor(*given)

    assert (status, findings(said)) == (0, [])
    assert signals(said)["verdict"] == "ok"
    assert {headers["x-key"] for _, _, headers in grpc_sink.requests} == {SECRET}
    [clock] = [result for result in section(said, "Endpoints") if result["subject"] == "clock"]
    assert (clock["verdict"], "do not tell the time" in clock["says"]) == ("info", True)
    assert SECRET not in json.dumps(said)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("there", "asked", "says", "remedy"),
    [
        ("grpc", "http/protobuf", "it speaks gRPC, not HTTP", 'protocol="grpc"'),
        ("http/protobuf", "grpc", "it speaks HTTP, not gRPC", 'protocol="http/protobuf"'),
    ],
)
def test_the_wrong_protocol_is_told_apart(there, asked, says, remedy, tls, doctor, sink_of, identity, monkeypatch):  # noqa: F811 - fixtures and cases
    """A port of the other protocol is tried with it, so that the answer is certain."""
    sink = sink_of(there, identity if tls else None)
    trusted = {"CERTIFICATE": identity.authority} if tls else {}
    set_endpoint(monkeypatch, sink.endpoint, asked, **trusted)

    status, said = doctor()

    assert status == 1
    assert (signals(said)["verdict"], signals(said)["says"]) == ("fail", says)
    assert remedy in signals(said)["remedy"]


def test_nothing_listens(doctor, monkeypatch):
    """A refused connection is a finding of the place, and no request is tried."""
    set_endpoint(monkeypatch, f"http://127.0.0.1:{refused_port()}")

    status, said = doctor()

    [place] = section(said, "Endpoints")
    assert (status, place["verdict"]) == (1, "fail")
    assert place["says"] == "nothing listens there (connection refused)"
    assert "Start an OpenTelemetry collector" in place["remedy"]


def test_the_host_is_not_known(doctor, monkeypatch):
    """A name that cannot be looked up is told from a port that is closed."""
    set_endpoint(monkeypatch, "http://no-such-host.invalid:4318")

    status, said = doctor()

    [place] = section(said, "Endpoints")
    assert (status, place["verdict"]) == (1, "fail")
    assert place["says"].startswith("the host name ")


@pytest.mark.parametrize(
    ("behaviour", "verdict", "says", "remedy"),
    [
        (401, "fail", "it asks for credentials (401)", "OTEL_EXPORTER_OTLP_HEADERS"),
        (403, "fail", "it refuses the credentials (403)", "OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "fail", "there is no OTLP receiver at this path (404)", "/v1/traces"),
        (503, "fail", "it cannot take the data now (503)", "log"),
        ("page", "fail", "something answers there that is no OTLP receiver", "web server"),
        (400, "info", "refuses an empty request", "mlotel flush"),
    ],
)
def test_what_a_receiver_answers(behaviour, verdict, says, remedy, doctor, http_sink, monkeypatch):  # noqa: F811 - as above
    """Each answer has its words and its remedy; a receiver that minds an empty request is no finding."""
    http_sink.behaviour = behaviour
    set_endpoint(monkeypatch, http_sink.endpoint)

    status, said = doctor()

    assert (signals(said)["verdict"], says in signals(said)["says"]) == (verdict, True)
    assert remedy in signals(said)["remedy"]
    assert status == (1 if verdict == "fail" else 0)


def test_a_path_that_is_missing(doctor, http_sink, monkeypatch):  # noqa: F811 - the fixture
    """The address of one signal is used as it is; with the path added it works, and that is said."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{http_sink.endpoint}/v1/logs")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", http_sink.endpoint)
    http_sink.missing = {""}

    status, said = doctor()

    by_subject = {result["subject"]: result for result in section(said, "Endpoints")}
    assert status == 1
    assert by_subject["logs"]["verdict"] == "ok"
    assert by_subject["traces"]["says"] == "the path /v1/traces is missing"
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in by_subject["traces"]["remedy"]
    assert "no endpoint is set here" in by_subject["metrics"]["says"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_receiver_that_hangs_costs_seconds(protocol, doctor, sink_of, monkeypatch):  # noqa: F811 - the fixture
    """Each endpoint has three seconds, all at once; the whole command ends within eight."""
    sink = sink_of(protocol)
    sink.behaviour = "hang"
    set_endpoint(monkeypatch, sink.endpoint, protocol)
    begun = time.monotonic()

    status, said = doctor()

    assert time.monotonic() - begun < 8
    assert (status, signals(said)["says"]) == (1, "it does not answer in time")


def test_a_port_that_takes_connections_and_says_nothing(doctor, monkeypatch):
    """Not even TLS is spoken: still an answer in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        set_endpoint(monkeypatch, f"https://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()

        status, said = doctor("--timeout", "1")

    assert time.monotonic() - begun < 6
    assert (status, signals(said)["verdict"]) == (1, "fail")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_certificates(protocol, doctor, sink_of, identity, monkeypatch):  # noqa: F811 - fixtures
    """One that is not trusted is a finding that names the variable; a trusted one is shown with its end."""
    sink = sink_of(protocol, identity)
    set_endpoint(monkeypatch, sink.endpoint, protocol)

    status, said = doctor()

    assert (status, signals(said)["says"]) == (1, "its TLS certificate is not trusted")
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in signals(said)["remedy"]

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(identity.authority))
    status, said = doctor()

    assert (status, findings(said)) == (0, [])
    [tls] = [result for result in section(said, "Endpoints") if result["subject"] == "TLS"]
    assert tls["says"].startswith("certificate for localhost, issued by ")
    [place] = [result for result in section(said, "Endpoints") if result["subject"] == sink.endpoint]
    assert place["facts"]["certificate"]["names"] == ["localhost"]
    assert len(place["facts"]["certificate"]["ends"]) == len("2026-01-05")


def test_a_certificate_for_another_host(doctor, sink_of, identity, monkeypatch):  # noqa: F811 - fixtures
    """The names that it is good for are said."""
    sink = sink_of("http/protobuf", identity)
    set_endpoint(monkeypatch, sink.endpoint.replace("localhost", "127.0.0.1"), CERTIFICATE=identity.authority)

    _, said = doctor()

    assert signals(said)["says"] == "its TLS certificate is for localhost, not for 127.0.0.1"


@pytest.mark.parametrize(
    ("scheme", "says", "remedy"),
    [("http", "it wants TLS (https)", "Use https://"), ("https", "it speaks no TLS", "Use http://")],
)
def test_with_and_without_tls(scheme, says, remedy, doctor, sink_of, identity, monkeypatch):  # noqa: F811 - as above
    """An address with the wrong one of http and https names the right one."""
    sink = sink_of("http/protobuf", identity if scheme == "http" else None)
    set_endpoint(monkeypatch, f"{scheme}://{sink.endpoint.partition('://')[2]}")

    _, said = doctor()

    assert signals(said)["says"] == says
    assert remedy in signals(said)["remedy"]


@pytest.fixture
def wrong_clock():
    """An OTLP receiver whose clock is an hour ahead."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() + 3600)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_clock_that_is_wrong(doctor, wrong_clock, monkeypatch):
    """More than five seconds between the two clocks are a warning that says which is ahead."""
    set_endpoint(monkeypatch, wrong_clock)

    status, said = doctor()

    [clock] = [result for result in section(said, "Endpoints") if result["subject"] == "clock"]
    assert (status, clock["verdict"]) == (1, "warn")
    assert clock["says"] == "the receiver's is 60 min ahead of this one"
    assert 3595 < clock["facts"]["ahead_s"] < 3605


def test_settings_come_with_their_origin(doctor, monkeypatch):
    """What is set stands beside the variable that sets it; the rest is listed with its default."""
    monkeypatch.setenv("MLOTEL_CAPTURE_VALUES", "true")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")

    _, said = doctor("--protocol", "grpc")

    found = {result["subject"]: result["facts"] for result in section(said, "Settings")}
    assert found["MLOTEL_CAPTURE_VALUES"] == {"value": "true", "origin": "environment"}
    assert found["OTEL_BSP_SCHEDULE_DELAY"] == {"value": "200", "origin": "environment"}
    assert found["protocol"] == {"value": "grpc", "origin": "argument"}
    assert found["defaults"]["defaults"]["spool"] == ".mlotel/spool"
    assert "capture_values" not in found["defaults"]["defaults"]


@pytest.mark.parametrize(
    ("name", "value", "verdict", "says", "remedy"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "junk", "fail", "junk: it must be a whole number from 0 on", "raises"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "some", "fail", "some: it must be always_on", "raises"),
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "junk", "fail", "junk: it must name what is installed", "raises"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "fail", "http/json: it must be http/protobuf or grpc", "raises"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "no.pem", "fail", "no.pem: it must be a PEM file", "raises"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "warn", "many: it must be a number from 1 on", "8192 is used"),
        ("MLOTEL_SPOOL_FSYNC", "never", "warn", "never: it must be batch or off", "batch is used"),
        ("MLOTEL_INSTRUMENT", "pandsa", "fail", "Did you mean 'pandas'?", "raises"),
        ("MLOTEL_REDACT", "no function", "fail", "it must be module:function", "raises"),
        ("MLOTEL_DISABLED", "true", "warn", "nothing is recorded", "Unset it"),
        ("MLOTEL_SPOL", "/tmp", "warn", "there is no such variable", "Perhaps MLOTEL_SPOOL is meant."),
        ("MLOTEL_ZZ", "1", "warn", "there is no such variable", "Unset it"),
        ("OTEL_EXPORTER_OTLP_ENDPIONT", "x", "warn", "there is no such variable", f"Perhaps {ENDPOINT} is meant."),
    ],
)
def test_values_that_cannot_be_used(name, value, verdict, says, remedy, doctor, monkeypatch):
    """Variable, value and rule are named, and what happens until it is put right."""
    monkeypatch.setenv(name, value)

    status, said = doctor()

    [found] = [result for result in section(said, "Settings") if result["subject"] == name]
    assert (status, found["verdict"]) == (1, verdict)
    assert says in found["says"]
    assert remedy in found["remedy"]


def test_every_variable_of_mlotel_is_known():
    """Whatever variable the code reads has a rule here, so that it is never called a misspelling."""
    source = Path(cli.__file__).parent.parent
    files = [file for file in source.rglob("*.py") if file.parent.name != "doctor"]
    read = {name for file in files for name in re.findall(r"\"(MLOTEL_[A-Z_]+[A-Z])\"", file.read_text("utf-8"))}

    assert "MLOTEL_SPOOL" in read
    assert read <= VARIABLES.keys()


def test_an_address_that_configure_refuses(doctor, monkeypatch):
    """The doctor says what configure() would raise, once, and asks nobody."""
    monkeypatch.setenv(ENDPOINT, f"localhost:4318/{SECRET}@x")

    status, said = doctor()

    assert status == 1
    assert section(said, "Settings")[0]["subject"] == "endpoint"
    assert "which is no web address" in section(said, "Settings")[0]["says"]
    assert section(said, "Endpoints")[0]["remedy"] == "See Settings."


def test_junk_that_keeps_opentelemetry_from_being_imported(doctor, monkeypatch):
    """The one who is asked for help still answers, and names the variable."""
    monkeypatch.setenv("OTEL_PYTHON_CONTEXT", "junk")
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "-1")

    status, said = doctor()

    assert status == 1
    assert {subject for title, subject, _ in findings(said) if title == "Settings"} == {
        "OTEL_PYTHON_CONTEXT", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    }  # fmt: skip


@pytest.mark.parametrize(("sampler", "verdict"), [("always_off", "fail"), ("traceidratio", "warn")])
def test_a_sampler_that_drops_runs(sampler, verdict, doctor, monkeypatch):
    """Runs that leave no trace are a finding."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")

    status, said = doctor()

    [found] = [result for result in section(said, "Conflicts") if result["subject"] == "OTEL_TRACES_SAMPLER"]
    assert (status, found["verdict"]) == (1, verdict)
    assert "parentbased_always_on" in found["remedy"]


def test_versions(doctor):
    """Python, mlotel, what it is built on, and the libraries whose files it can record."""
    _, said = doctor()

    by_subject = {result["subject"]: result for result in section(said, "Versions")}
    assert by_subject["mlotel"]["facts"]["packages"].keys() >= {"opentelemetry-sdk", "protobuf", "grpcio", "numpy"}
    assert "pandas" in by_subject["libraries"]["facts"]["packages"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_secret_is_ever_shown(form, http_sink, capfd, monkeypatch):  # noqa: F811 - the fixture
    """Not those of headers, addresses, proxies, unknown variables or resource attributes, whatever others repeat."""
    secrets = [f"{SECRET}-{number}" for number in range(9)]
    http_sink.behaviour, http_sink.message = 401, f"bad token {secrets[0]} for {secrets[1]}, {secrets[2]}"
    place = http_sink.endpoint.removeprefix("http://")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{secrets[0]},x-key={secrets[1]}")
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://ana:{secrets[2]}@{place}/v1/traces?k={secrets[3]}"
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"http://127.0.0.1:1/v1/logs?key={secrets[3]}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"http://{place}/v1/metrics")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_HEADERS", f"x-key={secrets[4]}%0A,{secrets[5]}=")
    monkeypatch.setenv("MLOTEL_TOKEN", secrets[6])
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"team=blue,token={secrets[7]}")
    monkeypatch.setenv("https_proxy", f"http://ana:{secrets[8]}@127.0.0.1:1")

    status = cli.main(["doctor", *form])

    out, err = capfd.readouterr()
    assert status == 1
    assert "authorization" in out
    shown = [secret for number, secret in enumerate(secrets) if number != 5 and secret in out + err]
    assert shown == []


def test_what_people_see(text, http_sink, monkeypatch):  # noqa: F811 - the fixture
    """Lines fit the terminal, plain in a pipe; -q prints findings only, and nothing where there are none."""
    set_endpoint(monkeypatch, http_sink.endpoint)

    for columns in (40, 80, 200):
        status, out = text(columns=columns)
        assert status == 0
        assert max(map(len, out.splitlines())) <= columns
        assert "\x1b" not in out
        assert out.splitlines()[0] == "Settings"
        assert out.splitlines()[-1] == "✓ Nothing wrong was found."
    assert text("-q") == (0, "")
    http_sink.behaviour = 401
    status, out = text("-q")
    assert status == 1
    place, signal_line, remedy_line = out.splitlines()
    assert place.startswith(f"  ✓ {http_sink.endpoint}  ")
    assert signal_line == "    ✗ traces, metrics, logs  it asks for credentials (401)"
    assert remedy_line.strip() == "→ Set headers= or OTEL_EXPORTER_OTLP_HEADERS."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--timeout", "0"], "is no time"),
        (["--header", SECRET], "write it as NAME=VALUE"),
        (["--store", "no/such"], "there is no such folder"),
    ],
)
def test_wrong_usage(arguments, says, capsys):
    """Wrong arguments are said on standard error, a header never by its text; nothing is printed beside."""
    status = cli.main(["doctor", *arguments])

    out, err = capsys.readouterr()
    assert (status, out) == (3 if "--store" in arguments else 2, "")
    assert says in err
    assert SECRET not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", [["doctor"], ["--help"], ["--version"], ["runs", "--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_the_output(command, unbuffered):
    """One line on standard error and exit status 1, whatever was to be printed."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mlotel", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("mlotel: The output cannot be written: No space left on device.")
