"""The tools of this folder, with the SDK alone: what they count is what happened."""

import gzip
import json
import urllib.error
import urllib.request

import disk
import pytest
from account import Account, accounts, counter_total
from fault_programs import Plan, run
from receiver import BAD, RECEIVERS, UNAVAILABLE, HttpReceiver, partial
from wire import of_json, of_protobuf


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_everything_of_the_sdk_is_counted_once(compression, receiver, protocol, folder):
    """What the SDK's own exporters deliver has the names that the program noted, and the counter its sum."""
    environment = {"OTEL_EXPORTER_OTLP_COMPRESSION": compression} if compression else {}
    result = run(Plan("stock", receiver.endpoint, protocol, spans=300, shutdown_s=5), folder, environment=environment)

    for account in accounts([result], [receiver], []).values():
        assert account.made, result.log
        assert account.missing == account.strangers == account.duplicates == set()
    assert counter_total([result], [receiver], []) == (30, 30)


def test_losses_of_the_sdk_are_seen(receiver, protocol, folder):
    """A refused batch and what a partial success left out are missing, and nobody counted them."""
    receiver.next(BAD, partial(2), signals=["traces"])
    environment = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"}
    result = run(Plan("stock", receiver.endpoint, protocol, spans=300, shutdown_s=5), folder, environment=environment)

    account = accounts([result], [receiver], [])["traces"]
    assert account.unaccounted == len(account.missing) == 102
    assert account.missing == receiver.refused("traces")


@pytest.mark.parametrize("kind", list(RECEIVERS))
def test_a_receiver_comes_back_on_its_port(kind, folder):
    """Down and up again it listens where it did."""
    with RECEIVERS[kind]() as receiver:
        endpoint = receiver.endpoint
        receiver.down()
        receiver.up()
        result = run(Plan("stock", endpoint, kind, shutdown_s=5), folder)

        assert receiver.endpoint == endpoint
        assert set(receiver.taken("traces")) == set(result.made["traces"])


def test_json_and_protobuf_name_a_record_alike():
    """A record has one name, whichever way it is written."""
    from opentelemetry.exporter.otlp.json.common.metrics_encoder import encode_metrics as json_metrics
    from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans as json_spans
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("m")
    meter.create_counter("c").add(3, {"a": "x", "b": 2})
    meter.create_histogram("h").record(1.5)
    meter.create_gauge("g").set(2.5)
    data = reader.get_metrics_data()
    spans = [TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s")]
    spans[0].end()

    assert of_json(json_metrics(data).to_json()) == (
        "metrics", of_protobuf("metrics", encode_metrics(data).SerializeToString()),
    )  # fmt: skip
    assert of_json(json_spans(spans).to_json()) == (
        "traces", of_protobuf("traces", encode_spans(spans).SerializeToString()),
    )  # fmt: skip
    assert [item.value for item in of_json(json_metrics(data).to_json())[1]] == [3, 1, 2.5]


def test_an_account_says_what_is_wrong():
    """Each kind of mistake shows in a place of its own."""
    account = Account({"a", "b", "c", "d"}, {"a": 2, "b": 1, "x": 1}, {"b", "c"}, 0, set())

    assert account.missing == {"d"}
    assert account.unaccounted == 1
    assert account.duplicates == {"a"}
    assert account.strangers == {"x"}
    assert account.twice == {"b"}


def test_marks_and_torn_lines_are_read(tmp_path):
    """What a mark calls delivered is so, up to the record; half a line is torn."""
    one = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}\n'
    spans = [b'{"traceId":"%032x","spanId":"%016x","name":"s"}' % (1, number) for number in range(1, 5)]
    lines = [one % spans[0], one % b",".join(spans[1:3]), one % spans[3], b'{"resourceSp']
    file = tmp_path / "h-1-20260105T120000-0a0b0c.001.pending.jsonl"
    file.write_bytes(b"".join(lines))
    file.with_name(file.name + ".sent").write_text(json.dumps({"traces": [len(lines[0]), 1]}))

    found = disk.read(tmp_path)
    assert [item.id[-1] for item in found.delivered["traces"]] == ["1", "2"]
    assert [item.id[-1] for item in found.undelivered["traces"]] == ["3", "4"]
    assert found.torn == 1


def test_a_receiver_answers_in_json_and_reads_gzip():
    """JSON is answered in JSON, a partial success with its count as text, as protobuf's JSON has 64-bit numbers."""
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":"s"}]}]}]}' % (1, 2)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with HttpReceiver() as receiver:
        receiver.next(partial(1), UNAVAILABLE)
        request = urllib.request.Request(f"{receiver.endpoint}/v1/traces", gzip.compress(body), headers)
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "1 left out"}}'
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(request)
        refused.value.close()

        assert receiver.taken("traces") == {}
        assert [len(request.items) for request in receiver.requests] == [1, 1]
