"""Where records go, over endpoints that work and endpoints that do not, with true counts in each case."""

import json

import grpc
import pytest
from programs import finish, run, start
from records import spooled
from sinks import refused_port

ZERO = {"traces": 0, "metrics": 0, "logs": 0}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_everything_arrives_whole(protocol, http_sink, grpc_sink, tmp_path):
    """Spans, metrics and events arrive over both protocols, with headers and resource, and the counts say so.

    Metrics are three points: the program's own, and how many spans and how many events were exported.
    """
    sink = grpc_sink if protocol == "grpc" else http_sink
    program = run(
        f"""
        telemetry = configure("flights", {sink.endpoint!r}, {protocol!r}, {{"X-Team": "blue"}})
        work()
        show(flush=counts(telemetry.flush()), where=telemetry.endpoints, folder=telemetry.spool_folder)
        show(final=counts(telemetry.shutdown()))
    """,
        folder=tmp_path,
    )

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
    assert program.shown["folder"].endswith("/.mlotel/spool")  # for what an endpoint does not take
    assert not (tmp_path / ".mlotel").exists()


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


def failing(endpoint, folder, protocol="http/protobuf", timeout_s=2.0, spool=None):
    """A program with three spans and one event whose endpoint does not take them."""
    return run(
        f"""
        telemetry = configure(endpoint={endpoint!r}, protocol={protocol!r}, spool={spool!r})
        record(spans=3); event()
        began = time.monotonic()
        first = telemetry.flush(0.8)
        show(first=counts(first), flush_s=time.monotonic() - began)
        began = time.monotonic()
        show(final=counts(telemetry.shutdown({timeout_s})), shutdown_s=time.monotonic() - began)
        show(again=counts(telemetry.shutdown()))
    """,
        folder=folder,
    )


def endpoint_of(fault, protocol, sink_of):
    """An endpoint that nobody listens on, or one that takes requests and never answers."""
    if fault == "refused":
        return f"http://127.0.0.1:{refused_port()}"
    sink = sink_of(protocol)
    sink.behaviour = "hang"
    return sink.endpoint


@pytest.mark.parametrize("fault", ["refused", "hang"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_endpoint_costs_a_moment_and_no_record(fault, protocol, sink_of, tmp_path):
    """Flush and shutdown end in time, typically within a second, and every record is on disk when they have."""
    shown = failing(endpoint_of(fault, protocol, sink_of), tmp_path, protocol).shown

    assert shown["flush_s"] < 1.3
    assert shown["shutdown_s"] < 1.8
    for flush in (shown["first"], shown["final"]):
        assert flush["exported"] == flush["dropped"] == ZERO
        assert (flush["spooled"]["traces"], flush["spooled"]["logs"]) == (3, 1)
    assert shown["again"] == shown["final"]
    found = spooled(tmp_path / ".mlotel" / "spool")
    assert {signal: len(records) for signal, records in found.items()} == shown["final"]["spooled"]


@pytest.mark.parametrize("fault", ["refused", "hang"])
def test_without_a_spool_what_is_not_delivered_is_counted(fault, sink_of, tmp_path):
    """spool=False: the time-outs hold, nothing is on disk, and at the end every record is counted as dropped."""
    shown = failing(endpoint_of(fault, "http/protobuf", sink_of), tmp_path, spool=False).shown

    assert shown["flush_s"] < 1.5
    assert shown["shutdown_s"] < 3.0
    assert shown["final"]["exported"] == shown["final"]["spooled"] == ZERO
    assert (shown["final"]["dropped"]["traces"], shown["final"]["dropped"]["logs"]) == (3, 1)
    assert not (tmp_path / ".mlotel").exists()


def test_one_warning_says_what_is_wrong_and_what_to_do(tmp_path):
    """There is one line about it, and no traceback: where, why, what becomes of the records, what to do."""
    endpoint = f"http://127.0.0.1:{refused_port()}"
    program = failing(endpoint, tmp_path)

    [line] = program.log.splitlines()
    assert line.startswith(f"mlotel cannot deliver to {endpoint}/v1/")
    assert "nothing listens there (connection refused)" in line
    assert f"kept in {tmp_path / '.mlotel' / 'spool'}" in line
    assert "Start an OpenTelemetry collector there" in line


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("refused", "nothing listens there"),
        ("hang", "it does not answer in time"),
        (503, "it cannot take the data now"),
    ],
)
def test_what_is_wrong_is_said_at_the_end_of_a_short_program(behaviour, words, http_sink, tmp_path):
    """A program that ends at once leaves the one warning too, with the cause known by then, and its records on disk."""
    http_sink.behaviour = behaviour
    endpoint = f"http://127.0.0.1:{refused_port()}" if behaviour == "refused" else http_sink.endpoint
    program = run(f"configure(endpoint={endpoint!r})\nrecord()\n", folder=tmp_path)

    [line] = program.log.splitlines()
    assert line.startswith(f"mlotel cannot deliver to {endpoint}/v1/")
    assert words in line
    assert len(spooled(tmp_path / ".mlotel" / "spool")["traces"]) == 1


def test_os_exit_after_flush_leaves_nothing_in_memory(http_sink, tmp_path):
    """A flush just before os._exit() puts on disk what a hanging receiver has not confirmed."""
    http_sink.behaviour = "hang"
    program = run(
        f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        record(spans=1500); event()
        began = time.monotonic()
        flush = telemetry.flush(1.0)
        show(flush=counts(flush), flush_s=time.monotonic() - began)
        os._exit(0)
    """,
        folder=tmp_path,
    )

    found = spooled(tmp_path / ".mlotel" / "spool")
    assert (len(found["traces"]), len(found["logs"])) == (1500, 1)
    assert program.shown["flush"]["spooled"] == {signal: len(records) for signal, records in found.items()}
    assert program.shown["flush_s"] < 1.5


def test_the_next_program_delivers_what_the_last_one_left(http_sink, tmp_path):
    """Records of an outage arrive when the next program is configured with an endpoint, whole and once."""
    code = f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        work()
        show(final=counts(telemetry.shutdown()))
    """
    http_sink.behaviour = 503
    first = run(code, folder=tmp_path)
    assert first.shown["final"]["spooled"]["traces"] == 3
    http_sink.behaviour = "ok"
    process = start(f"configure(endpoint={http_sink.endpoint!r}); record('second'); sys.stdin.read()", folder=tmp_path)
    assert http_sink.wait_for(lambda sink: len(sink.spans()) >= 3 and sink.logs() and sink.metrics())
    finish(process)

    assert [span["name"] for span in http_sink.spans()].count("work") == 3
    assert len(http_sink.logs()) == 1
    assert [point["value"] for point in http_sink.metrics() if point["name"] == "rows"] == [5]
    assert list((tmp_path / ".mlotel" / "spool").glob("*.jsonl*")) == []


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_an_outage_in_the_middle(protocol, sink_of, tmp_path):
    """Down, then up again: flush() counts what is on disk as spooled, and as exported when it has arrived."""
    sink = sink_of(protocol)
    sink.behaviour = 503 if protocol == "http/protobuf" else grpc.StatusCode.UNAVAILABLE
    process = start(
        f"""
        telemetry = configure(endpoint={sink.endpoint!r}, protocol={protocol!r})
        record(spans=700); event()
        show(down=counts(telemetry.flush()))
        sys.stdin.readline()
        record(spans=2)
        show(up=counts(telemetry.flush()))
        """,
        folder=tmp_path,
    )
    assert process.stdout.readline()
    sink.behaviour = "ok"
    program = finish(process, said="\n")

    up = json.loads(program.output.splitlines()[0][1:])["up"]
    assert (up["exported"]["traces"], up["exported"]["logs"]) == (702, 1)
    assert up["spooled"] == up["dropped"] == ZERO
    assert len({span["span_id"] for span in sink.spans()}) == len(sink.spans()) == 702
    assert len(sink.logs()) == 1


def test_jaeger_takes_traces_only(http_sink, tmp_path):
    """A receiver that has no metrics costs the traces nothing: each signal has an outage of its own."""
    http_sink.missing = {"metrics", "logs"}
    program = run(
        f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        for number in range(3):
            work(); telemetry.flush()
        show(final=counts(telemetry.shutdown()))
    """,
        folder=tmp_path,
    )

    final = program.shown["final"]
    assert final["exported"] == {"traces": 9, "metrics": 0, "logs": 0}
    assert (final["spooled"]["traces"], final["spooled"]["logs"]) == (0, 3)
    assert final["dropped"] == ZERO
    assert "no OTLP receiver at this path (404)" in program.log


def test_a_full_queue_spills_while_a_receiver_is_slow(http_sink, tmp_path):
    """More records than the queue holds, recorded while nobody answers: all of them are on disk or delivered."""
    http_sink.behaviour = "hang"
    program = run(
        f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        for number in range(30):
            record(spans=100); time.sleep(0.01)
        show(final=counts(telemetry.shutdown()))
    """,
        folder=tmp_path,
        environment={"OTEL_BSP_MAX_QUEUE_SIZE": "500", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"},
    )

    assert program.shown["final"]["spooled"]["traces"] == 3000
    assert program.shown["final"]["dropped"] == ZERO
    assert len(spooled(tmp_path / ".mlotel" / "spool")["traces"]) == 3000


def test_the_cap_of_the_spool_is_a_setting(tmp_path):
    """MLOTEL_SPOOL_MAX_BYTES holds over all files; MLOTEL_SPOOL_FSYNC=off is understood, nonsense is said."""
    program = run(
        """
        telemetry = configure()
        for number in range(10):
            record(spans=100, text="x" * 300); telemetry.flush()
        show(final=counts(telemetry.shutdown()))
    """,
        folder=tmp_path,
        environment={"MLOTEL_SPOOL_MAX_BYTES": "200000", "MLOTEL_SPOOL_FSYNC": "sometimes"},
    )

    folder = tmp_path / ".mlotel" / "spool"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 200_000
    final = program.shown["final"]
    assert final["spooled"]["traces"] == len(spooled(folder)["traces"]) < 1000
    assert final["spooled"]["traces"] + final["dropped"]["traces"] == 1000
    assert "MLOTEL_SPOOL_FSYNC is 'sometimes'; it must be batch or off" in program.log


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


@pytest.mark.parametrize(
    ("behaviour", "words", "fate"),
    [
        (400, "it refuses the data (400)", "dropped"),
        (401, "it asks for credentials (401)", "spooled"),
        (404, "there is no OTLP receiver at this path (404)", "spooled"),
        (302, "it redirects to https://elsewhere.example/v1/traces (302)", "spooled"),
    ],
)
def test_http_refusals_are_counted_and_explained(behaviour, words, fate, http_sink):
    """What is refused for good is dropped, what is only sent to the wrong place is kept; the warning says which."""
    http_sink.behaviour = behaviour
    program = run(f"""
        telemetry = configure(endpoint={http_sink.endpoint!r})
        record(spans=3)
        telemetry._delivery.flush(5.0, ("traces",))
        show(flush=counts(telemetry.flush()))
    """)

    assert program.shown["flush"]["exported"] == ZERO
    assert program.shown["flush"][fate]["traces"] == 3
    assert [line for line in program.log.splitlines() if words in line] == program.log.splitlines()[:1]


def test_grpc_refusal_is_counted_and_explained(grpc_sink):
    """Missing credentials are explained, and the records kept."""
    grpc_sink.behaviour = grpc.StatusCode.UNAUTHENTICATED
    program = run(f"""
        telemetry = configure(endpoint={grpc_sink.endpoint!r}, protocol="grpc")
        record(spans=3)
        show(flush=counts(telemetry.flush()))
    """)

    assert program.shown["flush"]["spooled"]["traces"] == 3
    assert "it asks for credentials" in program.log


def test_wrong_protocol_is_named(grpc_sink, tmp_path):
    """HTTP spoken to a gRPC port: the warning says how ports and protocols go together."""
    program = failing(grpc_sink.endpoint, tmp_path)

    assert 'needs protocol="grpc"' in program.log


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
