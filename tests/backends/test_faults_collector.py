"""The same faults with the OpenTelemetry Collector at the other end."""

import json
import urllib.request

import disk
import pytest
from account import accounts, counter_total, has_all, settle
from collector import Collector
from fault_programs import OFTEN, Plan, Program, run
from receiver import HttpReceiver


def test_everything_arrives(protocol, collector, folder, spool):
    """A collector that is well has every record once when the program has ended."""
    with collector:
        result = run(Plan("mlotel", collector.endpoint(protocol), protocol, spans=1000), folder)
        collector.stop()

        found = settle([result], [collector], [spool])
        assert len(found["traces"].arrived) == 1000
        assert counter_total([result], [collector], [spool]) == (100, 100)
        assert result.log == ""


def test_it_is_down_at_the_start_and_comes_while_the_program_runs(protocol, collector, folder, spool):
    """What was made before the collector started is on disk, then in the collector, before the program ends."""
    plan = Plan("mlotel", collector.endpoint(protocol), protocol, spans=500, ending="wait")
    program = Program(plan, folder, OFTEN)
    program.wait_for(500)
    assert collector.wait_for(lambda _: len(disk.read(spool).ids("traces")) == 500)
    with collector:
        assert collector.wait_for(has_all(collector, program), 20)
        program.go_on()
        result = program.finish()
        collector.stop()

        found = settle([result], [collector], [spool])
        assert found["traces"].stored == set()
        assert counter_total([result], [collector], [spool]) == (50, 50)


def test_it_ends_and_is_started_again(protocol, collector, folder, spool):
    """Over two restarts of the collector every record arrives once."""
    plan = Plan("mlotel", collector.endpoint(protocol), protocol, spans=1200, per_s=300, ending="wait")
    collector.start()
    program = Program(plan, folder, OFTEN)
    for spans in (200, 600):
        program.wait_for(spans)
        collector.stop()
        program.wait_for(spans + 150)
        collector.start()
    program.wait_for(1200)
    arrived = collector.wait_for(has_all(collector, program), 20)
    program.go_on()
    result = program.finish()
    collector.stop()

    # A collector that ends may take a request and close the connection before its answer is out.
    found = accounts([result], [collector], [spool])
    assert arrived, result.log
    assert found["traces"].missing == found["logs"].missing == set()
    assert found["traces"].stored == found["logs"].stored == set()
    assert len(found["traces"].duplicates) <= 2 * 64
    assert counter_total([result], [collector], [spool]) == (120, 120)


def test_it_is_killed_and_started_again(protocol, collector_binary, folder, spool, tmp_path):
    """Behind a queue on disk nothing that the collector confirmed is lost by SIGKILL, and we sent the rest again."""
    with (
        HttpReceiver() as receiver,
        Collector(collector_binary, tmp_path / "collector", forward=receiver.endpoint) as collector,
    ):
        plan = Plan("mlotel", collector.endpoint(protocol), protocol, spans=1200, per_s=300, ending="wait")
        program = Program(plan, folder, OFTEN)
        for spans in (200, 600):
            program.wait_for(spans)
            collector.kill()
            program.wait_for(spans + 150)
            collector.start()
        program.wait_for(1200)
        arrived = receiver.wait_for(has_all(receiver, program), 20)
        program.go_on()
        result = program.finish()

        found = accounts([result], [receiver], [spool])
        assert arrived, result.log
        assert found["traces"].missing == found["logs"].missing == set()
        assert found["traces"].strangers == found["logs"].strangers == set()
        assert found["traces"].stored == set()
        assert counter_total([result], [receiver], [spool]) == (120, 120)


def test_over_tls(protocol, collector_binary, folder, spool, certificate, tmp_path):
    """Over TLS, with the authority named, the collector has every record."""
    authority = certificate.write_authority(tmp_path / "authority.pem")
    with Collector(collector_binary, tmp_path / "collector", certificate=certificate) as collector:
        plan = Plan("mlotel", collector.endpoint(protocol), protocol)
        result = run(plan, folder, environment={"OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority)})
        collector.stop()

        found = settle([result], [collector], [spool])
        assert len(found["traces"].arrived) == 100


@pytest.mark.parametrize("endpoint", ["", "http://localhost:1"], ids=["local recording", "behind an endpoint"])
def test_lines_of_the_spool_are_requests_as_they_are(endpoint, collector, folder, spool):
    """A collector takes each line of a spool file as a request in OTLP/JSON, and finds every record in it."""
    result = run(Plan("mlotel", endpoint, spans=300), folder)
    paths = {"resourceSpans": "traces", "resourceMetrics": "metrics", "resourceLogs": "logs"}
    with collector:
        for file in spool.glob("*.jsonl"):
            for line in file.read_bytes().splitlines():
                [top] = json.loads(line)
                request = urllib.request.Request(
                    f"{collector.endpoint('http/protobuf')}/v1/{paths[top]}", line, {"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request) as answer:
                    assert answer.status == 200
                    assert json.loads(answer.read() or b"{}") in ({}, {"partialSuccess": {}})
        collector.stop()

        assert set(collector.taken("traces")) == set(result.made["traces"])
        assert set(collector.taken("logs")) == set(result.made["logs"])
        assert counter_total([result], [collector], []) == (30, 30)
