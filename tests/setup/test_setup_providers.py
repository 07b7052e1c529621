"""Providers: ours where the application has set none, the application's where it has, never a fight between them."""

import pytest
from programs import run
from records import spooled

HOST = {
    "traces": """
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        trace.set_tracer_provider(provider)
        def found(): return [span.name for span in kept.get_finished_spans()]
        current = trace.get_tracer_provider
    """,
    "metrics": """
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        kept = InMemoryMetricReader()
        provider = MeterProvider([kept])
        metrics.set_meter_provider(provider)
        def found():
            data = kept.get_metrics_data()
            return sorted({m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics})
        current = metrics.get_meter_provider
    """,
    "logs": """
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor, InMemoryLogRecordExporter
        kept = InMemoryLogRecordExporter()
        provider = LoggerProvider()
        provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
        _logs.set_logger_provider(provider)
        def found(): return [log.log_record.event_name for log in kept.get_finished_logs()]
        current = _logs.get_logger_provider
    """,
}
EXPECTED = {"traces": ["work"] * 3, "metrics": ["ml.telemetry.spooled", "rows"], "logs": ["ml.run.started"]}


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_a_provider_of_the_host_is_used_and_survives(signal, tmp_path):
    """One signal goes through the application's provider, the others are ours; the provider outlives shutdown()."""
    program = run(
        HOST[signal]
        + """
        telemetry = configure()
        work()
        show(flush=counts(telemetry.flush()), where=telemetry.endpoints, same=current() is provider)
        show(found=found())
        telemetry.shutdown()
        metrics.get_meter("test").create_counter("later").add(1)
        work()
        show(afterwards=found())
        """,
        folder=str(tmp_path),
    )

    shown = program.shown
    ours = [other for other in EXPECTED if other != signal]
    assert shown["same"] is True
    assert shown["where"] == {signal: "host application", **dict.fromkeys(ours, "spool")}
    # Two points: the program's own, and the counter of the one other signal that is ours.
    assert shown["flush"]["spooled"] == {"traces": 3, "metrics": 2, "logs": 1} | {signal: 0}
    assert set(shown["found"]) == set(EXPECTED[signal])
    assert (
        "later" in shown["afterwards"] if signal == "metrics" else len(shown["afterwards"]) == 2 * len(shown["found"])
    )
    found = spooled(tmp_path / ".mlotel" / "spool")
    assert found[signal] == []
    assert all(found[other] for other in ours)


def test_an_endpoint_that_is_not_used_is_said(http_sink):
    """configure(endpoint=…) beside a provider of the application: one line says which signals do not go there."""
    program = run(f"""
        from opentelemetry.sdk.trace import TracerProvider
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        telemetry = configure(endpoint={http_sink.endpoint!r})
        work()
    """)

    assert http_sink.spans() == []
    assert [log["name"] for log in http_sink.logs()] == ["ml.run.started"]
    [line] = program.log.splitlines()
    assert line.startswith("configure(endpoint=…) is not used for traces: the application has set providers of its own")


def test_flush_reaches_the_hosts_own_exporter_within_the_time_limit(tmp_path):
    """flush() empties the application's batch processor, and does not wait for one that hangs."""
    program = run("""
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(kept))
        trace.set_tracer_provider(provider)
        telemetry = configure(spool=False)
        record()
        show(before=len(kept.get_finished_spans()))
        telemetry.flush()
        show(after=len(kept.get_finished_spans()))
        provider.force_flush = lambda timeout_millis: time.sleep(20)
        began = time.monotonic()
        telemetry.shutdown(0.5)
        show(shutdown_s=time.monotonic() - began)
    """)

    assert (program.shown["before"], program.shown["after"]) == (0, 1)
    assert program.shown["shutdown_s"] < 2.0


def test_after_shutdown_another_configuration_has_the_same_providers(tmp_path, http_sink):
    """Reconfigured, the same global providers and instruments go elsewhere, under another service, from zero."""
    program = run(
        f"""
        telemetry = configure("first")
        providers = [trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()]
        work()
        first_id = dict(telemetry.resource)["service.instance.id"]
        show(first=counts(telemetry.shutdown()), log_before=1)
        work()  # between the two: nobody takes it
        show(still=counts(telemetry.shutdown()))
        telemetry = configure("second", {http_sink.endpoint!r})
        work()
        show(second=counts(telemetry.flush()))
        show(same=providers == [trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()])
        telemetry.shutdown()
        """,
        folder=str(tmp_path),
    )

    shown = program.shown
    assert shown["same"] is True
    assert shown["still"] == shown["first"]
    assert (shown["first"]["spooled"]["traces"], shown["first"]["spooled"]["logs"]) == (3, 1)
    assert shown["second"]["exported"]["traces"] == 3
    assert shown["second"]["spooled"] == {"traces": 0, "metrics": 0, "logs": 0}
    assert {span["resource"]["service.name"] for span in http_sink.spans()} == {"second"}
    assert {point["value"] for point in http_sink.metrics() if point["name"] == "rows"} == {5}  # not the 10 before
    assert {record["resource"]["service.name"] for record in spooled(tmp_path / ".mlotel/spool")["traces"]} == {"first"}
    assert program.log == ""


def test_telemetry_of_other_libraries_goes_the_same_way(tmp_path):
    """Our providers are the global ones: a span made before configure() by a proxy tracer arrives as well."""
    run(
        """
        tracer = trace.get_tracer("a.library")
        counter = metrics.get_meter("a.library").create_counter("calls")
        telemetry = configure()
        with tracer.start_as_current_span("theirs"):
            counter.add(1)
        """,
        folder=str(tmp_path),
    )

    found = spooled(tmp_path / ".mlotel" / "spool")
    assert [(span["name"], span["scope"]) for span in found["traces"]] == [("theirs", "a.library")]
    assert ("calls", 1) in {(point["name"], point["value"]) for point in found["metrics"]}


def test_flush_by_way_of_the_providers(tmp_path):
    """force_flush() and shutdown() of the global providers deliver too, and leave them usable."""
    program = run(
        """
        telemetry = configure()
        work()
        providers = [trace.get_tracer_provider(), _logs.get_logger_provider(), metrics.get_meter_provider()]
        show(flushed=[provider.force_flush() for provider in providers], counts=counts(telemetry._ledger.result()))
        for provider in providers:
            provider.shutdown()
        work()
        show(final=counts(telemetry.shutdown()))
        """,
        folder=str(tmp_path),
    )

    assert program.shown["flushed"] == [True, True, True]
    assert program.shown["counts"]["spooled"]["traces"] == 3
    assert program.shown["final"]["spooled"]["traces"] == 6
    assert program.shown["final"]["spooled"]["logs"] == 2


def test_sampler_of_the_environment_holds(tmp_path):
    """OTEL_TRACES_SAMPLER is honoured; spans that it drops are nobody's."""
    program = run(
        """
        telemetry = configure()
        record(spans=3)
        show(flush=counts(telemetry.flush()))
        """,
        folder=str(tmp_path),
        environment={"OTEL_TRACES_SAMPLER": "always_off"},
    )

    assert program.shown["flush"]["spooled"]["traces"] == 0


def test_signals_can_be_switched_off_and_printed(tmp_path):
    """OTEL_METRICS_EXPORTER=none sets no meter provider; console prints and still spools where asked to."""
    program = run(
        """
        telemetry = configure()
        work()
        show(flush=counts(telemetry.flush()), kind=type(metrics.get_meter_provider()).__name__)
        """,
        folder=str(tmp_path),
        environment={"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "console"},
    )

    assert program.shown["flush"]["exported"]["traces"] == 3
    assert '"name": "work"' in program.output
    assert program.shown["kind"] == "_ProxyMeterProvider"
    assert program.shown["flush"]["spooled"] == {"traces": 0, "metrics": 0, "logs": 1}


def test_delta_and_exponential_histograms_are_honoured(tmp_path):
    """OTEL_EXPORTER_OTLP_METRICS_* decide about temporality and histograms, for the spool too."""
    run(
        """
        telemetry = configure()
        metrics.get_meter("m").create_counter("c").add(1)
        metrics.get_meter("m").create_histogram("h").record(2.5)
        """,
        folder=str(tmp_path),
        environment={
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
        },
    )

    points = {point["name"]: point for point in spooled(tmp_path / ".mlotel" / "spool")["metrics"]}
    assert (points["c"]["temporality"], points["h"]["kind"]) == (1, "exponential_histogram")
