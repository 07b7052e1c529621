"""Where records go, over endpoints that work and endpoints that do not, with true counts in each case."""

import grpc
import pytest
from programs import run
from records import spooled
from sinks import refused_port

ZERO = {"traces": 0, "metrics": 0, "logs": 0}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_everything_arrives_whole(protocol, http_sink, grpc_sink):
    """Spans, metrics and events arrive over both protocols, with headers and resource, and the counts say so.

    Metrics are three points: the program's own, and how many spans and how many events were exported.
    """
    sink = grpc_sink if protocol == "grpc" else http_sink
    program = run(f"""
        telemetry = configure("flights", {sink.endpoint!r}, {protocol!r}, {{"X-Team": "blue"}})
        work()
        show(flush=counts(telemetry.flush()), where=telemetry.endpoints, folder=telemetry.spool_folder)
        show(final=counts(telemetry.shutdown()))
    """)

    assert program.shown["flush"] == {
        "exported": {"traces": 3, "metrics": 3, "logs": 1},
        "spooled": ZERO,
        "dropped": ZERO,
    }
    assert program.shown["final"]["exported"] == {"traces": 3, "metrics": len(sink.metrics()), "logs": 1}
    assert program.log == ""
    spans = sink.spans()
    assert [(span["name"], span["attributes"]) for span in spans] == [("work", {"rows": 7})] * 3
    assert {span["resource"]["service.name"] for span in [*spans, *sink.metrics(), *sink.logs()]} == {"flights"}
    assert [(log["name"], log["body"]) for log in sink.logs()] == [("ml.run.started", "hello")]
    assert [point["value"] for point in sink.metrics() if point["name"] == "rows"] == [5, 5]
    assert all(headers["x-team"] == "blue" for _, _, headers in sink.requests)
    if protocol == "grpc":
        assert program.shown["where"] == dict.fromkeys(ZERO, sink.endpoint)
    else:
        assert program.shown["where"] == {signal: f"{sink.endpoint}/v1/{signal}" for signal in ZERO}
    assert program.shown["folder"] is None


def test_own_counters_tell_what_became_of_records(http_sink):
    """ml.telemetry.exported counts what was confirmed before the collection, a signal each."""
    run(f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        record(spans=4)
        telemetry.flush()
        telemetry.flush()
    """)

    counters = [point for point in http_sink.metrics() if point["name"] == "ml.telemetry.exported"]
    traces = [point for point in counters if point["attributes"] == {"ml.telemetry.signal": "traces"}]
    assert {point["value"] for point in traces} == {4}
    assert {(point["unit"], point["kind"], point["scope"]) for point in counters} == {
        ("{record}", "sum", "mlotel.export")
    }


def test_without_an_endpoint_the_spool_has_everything(tmp_path):
    """No endpoint: every record is in this process's file, which only its owner may read."""
    program = run(
        """
        telemetry = configure()
        show(before=telemetry.spool_file)
        work()
        show(flush=counts(telemetry.flush()), file=telemetry.spool_file, where=telemetry.endpoints)
        mode = os.stat(telemetry.spool_file).st_mode
        show(mode=oct(mode & 0o777), folder_mode=oct(os.stat(telemetry.spool_folder).st_mode & 0o777), cwd=os.getcwd())
    """,
        folder=str(tmp_path),
    )

    shown = program.shown
    assert shown["before"] is None
    assert shown["flush"] == {"exported": ZERO, "spooled": {"traces": 3, "metrics": 3, "logs": 1}, "dropped": ZERO}
    assert shown["where"] == dict.fromkeys(ZERO, "spool")
    assert (shown["mode"], shown["folder_mode"]) == ("0o600", "0o700")
    assert (tmp_path / ".mlotel" / ".gitignore").read_text() == "*\n"
    assert shown["file"].startswith(str(tmp_path / ".mlotel" / "spool"))
    found = spooled(tmp_path / ".mlotel" / "spool")
    assert [span["name"] for span in found["traces"]] == ["work"] * 3
    assert [log["name"] for log in found["logs"]] == ["ml.run.started"]
    assert {span["resource"]["service.name"] for span in found["traces"]} == {"script"}


def failing(endpoint, protocol="http/protobuf", timeout_s=2.0, environment=None):
    """A program with three spans and one event whose endpoint does not take them."""
    return run(
        f"""
        telemetry = configure(endpoint={endpoint!r}, protocol={protocol!r})
        record(spans=3); event()
        began = time.monotonic()
        first = telemetry.flush(0.5)
        show(first=counts(first), flush_s=time.monotonic() - began)
        began = time.monotonic()
        show(final=counts(telemetry.shutdown({timeout_s})), shutdown_s=time.monotonic() - began)
        show(again=counts(telemetry.shutdown()))
    """,
        environment=environment,
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_refusing_endpoint_costs_no_more_than_the_time_given(protocol):
    """Nobody listens: flush and shutdown end in time, and every record is counted as dropped."""
    endpoint = f"http://127.0.0.1:{refused_port()}"
    program = failing(endpoint, protocol)

    shown = program.shown
    assert shown["flush_s"] < 1.5
    assert shown["shutdown_s"] < 3.5
    assert shown["first"] == {"exported": ZERO, "spooled": ZERO, "dropped": ZERO}  # not decided yet, so in no count
    assert shown["final"]["exported"] == shown["final"]["spooled"] == ZERO
    assert (shown["final"]["dropped"]["traces"], shown["final"]["dropped"]["logs"]) == (3, 1)
    assert shown["again"] == shown["final"]


def test_one_warning_says_what_is_wrong_and_what_to_do():
    """When the exporter gives up there is one line about it, none of the exporter's own, and no traceback."""
    endpoint = f"http://127.0.0.1:{refused_port()}"
    program = failing(endpoint, timeout_s=4.0, environment={"OTEL_EXPORTER_OTLP_TIMEOUT": "1"})

    assert program.shown["final"]["dropped"]["traces"] == 3
    [line] = program.log.splitlines()
    assert line.startswith(f"mlotel cannot deliver to {endpoint}/v1/")
    assert "nothing listens there (connection refused)" in line
    assert "Start an OpenTelemetry collector there" in line


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("refused", "nothing listens there"),
        ("hang", "it does not answer in time"),
        (503, "it cannot take the data now"),
    ],
)
def test_what_is_lost_at_the_end_of_a_short_program_is_said(behaviour, words, http_sink):
    """A program that ends while the exporter still tries leaves the one warning too, with the cause known by then."""
    http_sink.behaviour = behaviour
    endpoint = f"http://127.0.0.1:{refused_port()}" if behaviour == "refused" else http_sink.endpoint
    program = run(f"""
        from mlotel._setup import _endings
        _endings._TIME_LIMIT_S = 2.0
        configure(endpoint={endpoint!r})
        record()
    """)

    [line] = program.log.splitlines()
    assert line.startswith(f"mlotel cannot deliver to {endpoint}/v1/")
    assert words in line


def test_a_working_folder_that_was_removed(tmp_path):
    """The program goes on, and its records go to the user's folder."""
    state = tmp_path / "state"
    gone = tmp_path / "gone"
    gone.mkdir()
    program = run(
        """
        os.rmdir(os.getcwd())
        configure(service_name="nightly")
        work()
        print("done")
    """,
        environment={"XDG_STATE_HOME": str(state)},
        folder=str(gone),
        file=str(tmp_path / "script.py"),
    )

    assert program.output == "done\n"
    assert f"Records go to {state / 'mlotel' / 'spool'} instead" in program.log
    assert [span["name"] for span in spooled(state / "mlotel" / "spool")["traces"]] == ["work"] * 3


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_hanging_endpoint_costs_no_more_than_the_time_given(protocol, http_sink, grpc_sink):
    """A receiver that never answers: flush and shutdown end in time, every record is counted as dropped."""
    sink = grpc_sink if protocol == "grpc" else http_sink
    sink.behaviour = "hang"
    shown = failing(sink.endpoint, protocol, timeout_s=1.5).shown

    assert shown["flush_s"] < 1.5
    assert shown["shutdown_s"] < 3.0
    assert shown["final"]["exported"] == ZERO
    assert (shown["final"]["dropped"]["traces"], shown["final"]["dropped"]["logs"]) == (3, 1)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (400, "it refuses the data (400)"),
        (401, "it asks for credentials (401)"),
        (404, "there is no OTLP receiver at this path (404)"),
        (302, "it redirects to https://elsewhere.example/v1/traces (302)"),
    ],
)
def test_http_refusals_are_counted_and_explained(behaviour, words, http_sink):
    """A final refusal, a redirect too, drops the batch at once, and the warning says which it was."""
    http_sink.behaviour = behaviour
    program = run(f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        record(spans=3)
        telemetry._delivery.flush(5.0, ("traces",))
        show(flush=counts(telemetry.flush()))
    """)

    assert program.shown["flush"]["exported"] == ZERO
    assert program.shown["flush"]["dropped"]["traces"] == 3
    assert [line for line in program.log.splitlines() if words in line] == program.log.splitlines()[:1]


def test_grpc_refusal_is_counted_and_explained(grpc_sink):
    """A gRPC status that is final drops the batch and is explained."""
    grpc_sink.behaviour = grpc.StatusCode.UNAUTHENTICATED
    program = run(f"""
        telemetry = configure(endpoint={grpc_sink.endpoint!r}, protocol="grpc")
        record(spans=3)
        show(flush=counts(telemetry.flush()))
    """)

    assert program.shown["flush"]["dropped"]["traces"] == 3
    assert "it asks for credentials" in program.log


def test_wrong_protocol_is_named(grpc_sink):
    """HTTP spoken to a gRPC port: the warning says how ports and protocols go together."""
    program = failing(grpc_sink.endpoint, timeout_s=4.0, environment={"OTEL_EXPORTER_OTLP_TIMEOUT": "1"})

    assert 'needs protocol="grpc"' in program.log


def test_an_overloaded_receiver_gets_the_batch_when_it_recovers(http_sink):
    """503 is tried again, and what arrives then is exported, once, without a word in the log."""
    http_sink.behaviour, http_sink.times = 503, 1
    program = run(f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        record(spans=3)
        telemetry._delivery.flush(5.0, ("traces",))
        show(flush=counts(telemetry.flush()))
    """)

    assert program.shown["flush"]["exported"]["traces"] == 3
    assert len(http_sink.spans()) == 3
    assert program.log == ""


def test_a_callback_that_hangs_holds_nobody_up(tmp_path):
    """An observable instrument of the application's that never answers: spans leave, everything ends in time."""
    program = run(
        """
        def hang(options):
            time.sleep(20)
            return []
        telemetry = configure()
        metrics.get_meter("m").create_observable_gauge("slow", [hang])
        record(spans=3)
        began = time.monotonic()
        telemetry.flush(0.4)
        show(flush_s=time.monotonic() - began)
        began = time.monotonic()
        show(final=counts(telemetry.shutdown(0.4)), shutdown_s=time.monotonic() - began)
        began = time.monotonic()
        telemetry = configure("again")
        record(spans=2)
        show(again=counts(telemetry.shutdown(0.4)), again_s=time.monotonic() - began)
        """,
        folder=str(tmp_path),
    )

    shown = program.shown
    assert (shown["final"]["spooled"]["traces"], shown["again"]["spooled"]["traces"]) == (3, 2)
    assert shown["flush_s"] < 1.5
    assert shown["shutdown_s"] < 2.0
    assert shown["again_s"] < 3.0


def test_headers_of_the_environment_and_of_the_argument_go_together(http_sink):
    """The argument wins for the same name; neither is ever shown."""
    program = run(
        """
        telemetry = configure(headers="authorization=secret%20two,x-a=1")
        record()
        telemetry.flush()
        show(text=repr(telemetry))
    """,
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": http_sink.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret,x-b=2",
        },
    )

    [headers] = [headers for signal, _, headers in http_sink.requests if signal == "traces"]
    assert (headers["authorization"], headers["x-a"], headers["x-b"]) == ("secret two", "1", "2")
    assert "secret" not in program.shown["text"]
