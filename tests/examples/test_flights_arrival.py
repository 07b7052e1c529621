"""The flights example arrives whole: what spool files hold, an OTLP receiver gets, over HTTP and over gRPC."""

import json
import re

import pytest
from flights_programs import PROGRAMS, needs_data, run_all
from records import spooled as read_spool
from sinks import GrpcSink, HttpSink

ROWS = 2000
VOLATILE = {"ml.component.cpu.time", "ml.component.memory.peak"}

pytestmark = needs_data


def comparable(value, ids: dict[str, str]):
    """``value`` without what differs from run to run: run ids, process ids, folders, ids of what bears a stamp."""
    if isinstance(value, list):
        return [comparable(item, ids) for item in value]
    if not isinstance(value, str):
        return value
    for found, word in ids.items():
        value = value.replace(found, word)
    value = re.sub(r"^(inmemory://[^/]+)/\d+/", r"\1/<pid>/", value)
    return re.sub(rf"^file://.*(?=/(?:{'|'.join(PROGRAMS)})/)", "file://<folder>", value)


def shape(spans: list[dict]) -> list:
    """All spans with parents and links told by name, so that two runs can be compared."""
    by_id = {span["span_id"]: span for span in spans}
    ids = {}
    for span in spans:
        ids[span["attributes"]["ml.run.id"]] = f"<run of {span['resource']['service.name']}>"
        if span["name"] == "write features.parquet":  # its stamp holds the ids of this run
            ids[span["attributes"]["ml.artifact.id"]] = "<features.parquet>"

    def facts(attributes):
        return {key: comparable(value, ids) for key, value in attributes.items() if key not in VOLATILE}

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
    """What runs without an endpoint leave on disk."""
    folder = tmp_path_factory.mktemp("spooled")
    run_all(folder, ROWS)
    left = [read_spool(folder / program / ".mlotel" / "spool") for program in PROGRAMS]
    return {signal: [record for records in left for record in records[signal]] for signal in left[0]}


@pytest.mark.parametrize(("kind", "protocol"), [(HttpSink, "http/protobuf"), (GrpcSink, "grpc")])
def test_the_example_arrives_whole(spooled, tmp_path, kind, protocol):
    """With ``OTEL_EXPORTER_OTLP_ENDPOINT`` set, every span, attribute, link, event and metric reaches the receiver."""
    sink = kind()
    try:
        run_all(tmp_path, ROWS, OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    finally:
        sink.close()

    assert shape(sink.spans()) == shape(spooled["traces"])
    assert len(sink.spans()) == 49  # three pipelines, nine components, and what stands in SPANS of test_flights.py
    assert sorted(log["name"] for log in sink.logs()) == sorted(log["name"] for log in spooled["logs"])
    own = {metric["name"] for metric in spooled["metrics"] if not metric["name"].startswith("ml.telemetry.")}
    assert own <= {metric["name"] for metric in sink.metrics()}
    assert {"ml.component.duration", "ml.data.rows", "ml.data.rows.removed", "ml.pipeline.duration"} <= own
    assert not list(tmp_path.glob("*/.mlotel/spool/*.jsonl"))
