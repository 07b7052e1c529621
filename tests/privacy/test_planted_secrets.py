"""Secrets planted in every text that a program can give to mlotel: none of them is in any byte that leaves."""

import json

import pytest
from programs import finish, run, start
from records import DECODE, request_of
from sinks import refused_port

SECRET = "k9Zq-never-to-be-seen"

EVERYWHERE = f'''
import datetime, logging, subprocess
from pathlib import Path

SECRET = "{SECRET}"

def passes(result):
    return mlotel.Check(True, SECRET, found=SECRET, many=[SECRET])

def fails(result):
    assert False, SECRET

def crashes(result):
    raise LookupError(SECRET)

def told(result):
    "{SECRET} {{}}"
    return False

told.__name__ = told.__qualname__ = "told " + SECRET

@mlotel.component(
    type=SECRET, owner=SECRET, description=SECRET, after=[passes, fails, crashes, told], outputs=[SECRET + " out"]
)
def load(table=SECRET, many=(SECRET, SECRET), mapping={{SECRET: 1, "b": SECRET}}, frame=None):
    return [bytearray(b"1")], 2

class Job:
    pass

Job.__qualname__ = Job.__name__ = "Job" + SECRET
Error = type("Error" + SECRET, (ValueError,), {{}})

def program():
    with mlotel.pipeline(
        "p " + SECRET, experiment=SECRET, params={{"a": SECRET, SECRET: 1, "nested": {{SECRET: SECRET}}}},
        tags={{"team": SECRET, SECRET: "x"}}, run_id="run " + SECRET,
    ) as a_run:
        inherited = mlotel.environment({{}})
        show(inherited=inherited)
        load()
        folder = Path(SECRET + " folder"); folder.mkdir(exist_ok=True)
        (folder / (SECRET + ".csv")).write_text("a\\n1\\n")
        with mlotel.component("c " + SECRET, description=SECRET) as c:
            c.write([1.0, 2.0], name="made " + SECRET)
            c.read([1.0, 2.0], name="read " + SECRET, uri="https://example.org/" + SECRET + "?a=" + SECRET)
            c.read(folder / (SECRET + ".csv"))
            c.write(str(folder / (SECRET + ".csv")), type="dataset")
            c.read(Job(), name=SECRET)
            c.removed(3, reason="r " + SECRET)
            c.param(**{{SECRET: SECRET, "when": datetime.datetime.now(), "what": Job(), "which": Job}})
            time.sleep(0.5)  # heartbeats
        for error in (Error(SECRET), KeyError(SECRET), Error(*[SECRET] * 3), RuntimeError("https://u:p@h/" + SECRET)):
            try:
                with mlotel.component("failing " + SECRET):
                    try:
                        raise OSError(SECRET)
                    except OSError as cause:
                        raise error from cause
            except Exception:
                pass
'''


def plan(receiver, tmp_path):
    """Arguments of configure() for a place to send to, and a function that gives all bytes that left."""
    folder = tmp_path / ".mlotel" / "spool"

    def files():
        return b"\n".join(file.name.encode() + file.read_bytes() for file in sorted(folder.glob("*")) if file.is_file())

    if receiver == "spool":
        return "", files
    if receiver == "down":
        return f"endpoint='http://127.0.0.1:{refused_port()}'", files
    return f"endpoint={receiver.endpoint!r}, protocol={protocol_of(receiver)!r}", lambda: b"\n".join(
        request.SerializeToString() + json.dumps(headers, default=str).encode()
        for _, request, headers in receiver.requests
    )


def protocol_of(sink):
    return "grpc" if type(sink).__name__ == "GrpcSink" else "http/protobuf"


@pytest.fixture(params=["spool", "down", "http_sink", "grpc_sink"])
def place(request, tmp_path):
    """Every way out of the process: local files, files of an outage, HTTP and gRPC."""
    name = request.param
    return plan(request.getfixturevalue(name) if name.endswith("sink") else name, tmp_path)


def run_planted(place, tmp_path, redact, *, arguments="", environment=None):
    where, left = place
    process = start(
        f"{EVERYWHERE}\n{redact}\n"
        f"telemetry = mlotel.configure('service ' + SECRET, {where}{', ' if where else ''}redact=redact{arguments})\n"
        "program()\nshow(flush=counts(telemetry.shutdown()))\n",
        folder=str(tmp_path),
        environment={
            "MLOTEL_HEARTBEAT_S": "0.1",
            "OTEL_RESOURCE_ATTRIBUTES": f"team={SECRET},deployment.environment.name={SECRET}",
            **(environment or {}),
        },
    )
    program = finish(process, 60)
    assert program.status == 0, program.log
    return program, left()


def test_what_redact_takes_out_is_in_no_byte_that_leaves(place, tmp_path):
    """Names, keys, values, statuses, stack traces, resource, links, events, heartbeats, baggage, names of files."""
    redact = 'redact = lambda text: text.replace(SECRET, "<gone>").replace(SECRET.replace("-", "_"), "<gone>")'
    program, left = run_planted(place, tmp_path, redact)

    assert left.count(b"<gone>") > 100
    for word in (b"ml.run.heartbeat", b"heartbeat c <gone>", b"exception.stacktrace", b"ml.check.result", b"consumed"):
        assert word in left
    assert SECRET.encode() not in left
    assert SECRET not in json.dumps(program.shown["inherited"])
    assert sum(program.shown["flush"]["dropped"].values()) == 0


def test_the_planted_secrets_do_leave_without_redact(place, tmp_path):
    """The test above would see them: without redact= they are in many places."""
    _, left = run_planted(place, tmp_path, "redact = None")

    assert left.count(SECRET.encode()) > 100


@pytest.mark.parametrize(
    "failing",
    [
        "def redact(text): raise RuntimeError('cannot take out ' + text)",
        "def redact(text): return None",
        "def redact(text): raise RecursionError(text)",
        "def redact(text): return text.encode()",
    ],
)
def test_a_redact_that_fails_costs_the_text_and_not_the_record(failing, http_sink, tmp_path):
    """All spans and events are there, none has a text of the user's, and the log does not tell what was given."""
    program, left = run_planted(plan(http_sink, tmp_path), tmp_path, failing)

    names = [span["name"] for span in http_sink.spans()]
    assert names.count("component [redacted]") == 6
    assert names.count("pipeline [redacted]") == 1
    assert {log["name"] for log in http_sink.logs()} == {
        "ml.run.started", "ml.run.heartbeat", "ml.check.result", "ml.exception",
    }  # fmt: skip
    assert SECRET.encode() not in left
    assert SECRET not in program.log
    assert "could not apply redact=" in program.log


HEADERS = f"authorization=Bearer {SECRET},x-api-key={SECRET}"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("behaviour", ["refused", 401, 403, 302, 503, "hang"])
def test_headers_are_in_no_log_no_text_of_ours_and_no_file(behaviour, protocol, request, tmp_path):
    """Whatever the receiver answers: tokens, and passwords in the address, are in no log, at DEBUG, and in no file."""
    import grpc

    sink = request.getfixturevalue("grpc_sink" if protocol == "grpc" else "http_sink")
    statuses = {401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED,
                302: grpc.StatusCode.UNIMPLEMENTED, 503: grpc.StatusCode.UNAVAILABLE}  # fmt: skip
    sink.behaviour = statuses.get(behaviour, behaviour) if protocol == "grpc" else behaviour
    port = refused_port() if behaviour == "refused" else sink.endpoint.rpartition(":")[2]
    program = run(
        f"""
        import logging
        logging.basicConfig(level=logging.DEBUG)
        telemetry = mlotel.configure(
            "shop", "http://user:{SECRET}@127.0.0.1:{port}", {protocol!r}, headers={HEADERS!r}
        )
        work()
        telemetry.flush(1.0)
        print(telemetry, dict(telemetry.endpoints), dict(telemetry.resource), vars(telemetry))
        try:
            mlotel.configure("shop", "http://user:{SECRET}@127.0.0.1:{port}", headers="authorization=other-{SECRET}")
        except mlotel.errors.MlotelError as error:
            print(repr(error))
        telemetry.shutdown(1.0)
        """,
        folder=str(tmp_path),
    )

    assert SECRET not in program.log.replace("raise", "")
    assert SECRET not in program.output
    files = [file for file in (tmp_path / ".mlotel").rglob("*") if file.is_file()]
    assert all(SECRET.encode() not in file.read_bytes() for file in files)


@pytest.mark.parametrize("given", [f"{SECRET}", f"authorization={SECRET}\u00e9\n", f"a b={SECRET}", f"={SECRET}"])
def test_headers_that_cannot_be_used_are_refused_without_being_told(given, tmp_path):
    """The message about a wrong header does not repeat it, from the argument or from the environment."""
    code = f"""
        for headers in ({given!r}, {{"authorization": {given!r}, {given!r}: "x"}}, None):
            try:
                mlotel.configure("shop", "http://127.0.0.1:9", headers=headers).shutdown(0.1)
            except mlotel.errors.MlotelError as error:
                print("refused", error)
        """
    program = run(code, folder=str(tmp_path), environment={"OTEL_EXPORTER_OTLP_HEADERS": given.strip()})

    assert SECRET not in program.output + program.log


def test_the_lines_of_a_spool_file_are_requests_and_nothing_else(tmp_path):
    """No line of a file tells where it was to be sent, or with what."""
    run(
        f"configure(endpoint='http://user:{SECRET}@127.0.0.1:{refused_port()}', headers={HEADERS!r})\nwork()\n",
        folder=str(tmp_path),
    )

    files = sorted((tmp_path / ".mlotel" / "spool").glob("*.jsonl"))
    assert files
    for file in files:
        for line in file.read_bytes().splitlines():
            signal, request = request_of(line)
            assert DECODE[signal](request)
            assert SECRET.encode() not in line
