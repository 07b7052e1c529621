"""The logging filter, and what log events have in common."""

import logging

import pytest
from opentelemetry._logs import SeverityNumber

import mlotel
from mlotel import logs


@pytest.fixture
def logger():
    """A logger with the filter, and the records that it made."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record)

    handler = Keep()
    handler.addFilter(mlotel.log_filter())
    logger = logging.getLogger("app")
    logger.addHandler(handler)
    logger.records = records
    yield logger
    logger.removeHandler(handler)


def fields(record):
    return record.run_id, record.trace_id, record.span_id, record.component


def test_records_say_where_they_belong(capture, logger):
    """Inside a component every record has run id, trace id, span id and component; every record passes."""
    with mlotel.pipeline("p") as run:
        logger.warning("in the run")
        with mlotel.component("clean"):
            logger.warning("in the component")

    in_run, in_component = map(fields, logger.records)
    pipeline, component = capture.span("pipeline p"), capture.span("component clean")
    assert in_run == (run.id, run.trace_id, f"{pipeline.context.span_id:016x}", "")
    assert in_component == (run.id, run.trace_id, f"{component.context.span_id:016x}", "clean")


def test_outside_everything_is_empty(capture, logger):
    """Where there is no run the attributes are empty strings, so that a format can name them always."""
    logger.warning("outside")
    assert fields(logger.records[0]) == ("", "", "", "")
    line = logging.Formatter("%(run_id)s|%(trace_id)s|%(span_id)s|%(component)s|%(message)s").format(logger.records[0])
    assert line == "||||outside"


def test_spans_of_the_application_count(capture, logger):
    """Under a span that is not ours there are trace and span ids, and no run."""
    with capture.tracer_provider.get_tracer("app").start_as_current_span("job") as span:
        logger.warning("x")
    context = span.get_span_context()
    assert fields(logger.records[0]) == ("", f"{context.trace_id:032x}", f"{context.span_id:016x}", "")


def test_a_run_of_another_process_counts(capture, logger):
    """In a context that was handed down the run is known by its baggage."""
    from opentelemetry import baggage, context

    token = context.attach(baggage.set_baggage("ml.run.id", "shared"))
    logger.warning("x")
    context.detach(token)
    assert logger.records[0].run_id == "shared"


def test_the_filter_without_providers(logger):
    """Without anybody listening the filter passes records all the same."""
    with mlotel.pipeline("p"), mlotel.component("c"):
        logger.warning("x")
    assert len(logger.records) == 1


@pytest.mark.parametrize(
    ("severity", "number", "text"),
    [
        ("info", SeverityNumber.INFO, "INFO"),
        ("warning", SeverityNumber.WARN, "WARN"),
        ("error", SeverityNumber.ERROR, "ERROR"),
    ],
)
def test_events(capture, severity, number, text):
    """An event has a name, a body, a severity, both times and a copy of its attributes."""
    from opentelemetry.context import Context

    attributes = {"ml.run.id": "r"}
    logs.emit("ml.run.started", "body", attributes, Context(), severity)
    attributes["later"] = "x"

    [event] = capture.events("ml.run.started")
    record = event.log_record
    assert (record.severity_number, record.severity_text, record.body) == (number, text, "body")
    assert dict(record.attributes) == {"ml.run.id": "r"}
    assert record.timestamp == record.observed_timestamp == capture.clock.now_ns
    assert event.instrumentation_scope.version == mlotel.__version__


def test_nobody_listens_to_events():
    """Without a provider an event is nothing."""
    from opentelemetry.context import Context

    assert not logs.is_listening()
    logs.emit("ml.run.started", "body", {}, Context())
