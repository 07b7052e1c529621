"""What one run of a pipeline records: its span, its start event, its ids and its status."""

import re

import pytest
from opentelemetry import baggage
from opentelemetry.trace import SpanKind, StatusCode

import mlotel
from mlotel import _settings
from mlotel.testing import capturing


def test_a_run_is_one_span_with_every_attribute(capture):
    """The span of a run carries the names, params and tags that were given, and the status of its end."""
    with mlotel.pipeline(
        "flight-delays", experiment="baseline", params={"months": 6, "loss": "mae"}, tags={"team": "ops", "year": 2013}
    ) as run:
        pass

    span = capture.span("pipeline flight-delays")
    assert dict(span.attributes) == {
        "ml.pipeline.name": "flight-delays",
        "ml.run.id": run.id,
        "ml.run.command.hash": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "ml.run.status": "ok",
        "ml.experiment.name": "baseline",
        "ml.param.months": 6,
        "ml.param.loss": "mae",
        "ml.tag.team": "ops",
        "ml.tag.year": "2013",
        "code.function.name": f"{__name__}.test_a_run_is_one_span_with_every_attribute",
    }
    assert span.kind is SpanKind.INTERNAL
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope.name == "mlotel.tracing"
    assert span.instrumentation_scope.version == mlotel.__version__
    assert span.events == ()


def test_a_run_without_more_has_no_empty_attributes(capture):
    """What was not given is absent, not empty."""
    with mlotel.pipeline("bare"):
        pass

    found = set(capture.span("pipeline bare").attributes)
    assert found == {"ml.pipeline.name", "ml.run.id", "ml.run.status", "ml.run.command.hash", "code.function.name"}


def test_the_run_says_its_ids_and_status():
    """A run id is 32 random hex digits; the trace id is that of the span; the status follows the run."""
    with capturing() as capture:
        with mlotel.pipeline("a") as run:
            assert run.status == "running"
            assert repr(run) == f"<Run {run.id} of 'a': running>"
        [span] = capture.spans()

    assert run.status == "ok"
    assert run.trace_id == f"{span.context.trace_id:032x}"


def test_run_ids_are_random_and_32_hex_digits():
    """Outside the fixture every run gets an id of its own, also when the program seeds its random numbers."""
    import random

    ids = set()
    for _ in range(50):
        random.seed(7)
        with mlotel.pipeline("a") as run:
            ids.add(run.id)

    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_a_run_id_may_be_given(capture):
    """``run_id=`` is the id of the run, on its span and on all in it."""
    with mlotel.pipeline("a", run_id="nightly-7") as run, mlotel.component("c"):
        pass

    assert run.id == "nightly-7"
    assert {span.attributes["ml.run.id"] for span in capture.spans()} == {"nightly-7"}


def test_processes_that_only_share_a_run_id_keep_a_trace_each(capture):
    """The same ``run_id=`` twice, without a parent, is one run of two traces."""
    with mlotel.pipeline("a", run_id="shared") as first:
        pass
    with mlotel.pipeline("a", run_id="shared") as second:
        pass

    assert first.id == second.id
    assert first.trace_id != second.trace_id


def test_the_start_event_goes_out_before_the_run_ends(capture):
    """``ml.run.started`` is there while the run goes on, with its inputs, in the context of its span."""
    with mlotel.pipeline("a", experiment="x", params={"depth": 3}, tags={"t": "u"}) as run:
        [event] = capture.events("ml.run.started")
        assert capture.spans() == []

    record = event.log_record
    assert dict(record.attributes) == {
        "ml.pipeline.name": "a",
        "ml.run.id": run.id,
        "ml.run.command.hash": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "ml.experiment.name": "x",
        "ml.param.depth": 3,
        "ml.tag.t": "u",
        "code.function.name": f"{__name__}.test_the_start_event_goes_out_before_the_run_ends",
        "ml.run.heartbeat.interval": 60.0,
    }
    span = capture.span("pipeline a")
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert record.body == "pipeline a started"
    assert record.severity_text == "INFO"
    assert span.start_time <= record.timestamp <= span.end_time
    assert record.observed_timestamp is not None
    assert event.instrumentation_scope.name == "mlotel.logs"


def test_params_are_flattened_one_level_and_bounded(capture):
    """Nested dicts are flattened one level; deeper ones are described; at most 64 params are kept."""
    nested = {"model": {"depth": 6, "grid": {"a": 1}}, **{f"p{index}": index for index in range(200)}}
    with mlotel.pipeline("a", params=nested, tags={f"t{index}": index for index in range(200)}):
        pass

    attributes = capture.span("pipeline a").attributes
    assert attributes["ml.param.model.depth"] == 6
    assert attributes["ml.param.model.grid"] == "<dict of 1>"
    assert sum(key.startswith("ml.param.") for key in attributes) == 64
    assert sum(key.startswith("ml.tag.") for key in attributes) == 32
    assert attributes["ml.pipeline.name"] == "a"
    assert attributes["ml.run.status"] == "ok"


def test_params_are_those_of_the_call(capture):
    """A dict that changes after ``pipeline()`` was called changes nothing."""
    params = {"depth": 3}
    declared = mlotel.pipeline("a", params=params)
    params["depth"] = 4
    with declared:
        pass

    assert capture.span("pipeline a").attributes["ml.param.depth"] == 3


def test_a_failed_run_says_so(capture):
    """An exception that leaves the run makes it ``error``, with the status and type on the span."""
    with pytest.raises(ZeroDivisionError), mlotel.pipeline("a") as run:
        1 / 0  # noqa: B018 - raises

    span = capture.span("pipeline a")
    assert run.status == "error"
    assert capture.ml_attributes(span)["ml.run.status"] == "error"
    assert span.attributes["error.type"] == "ZeroDivisionError"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "division by zero")


def test_a_caught_exception_leaves_the_run_ok(capture):
    """What the program handles is no failure of the run, only of the component."""
    with mlotel.pipeline("a") as run:
        try:
            with mlotel.component("c"):
                raise KeyError("k")
        except KeyError:
            pass

    assert run.status == "ok"
    assert capture.span("pipeline a").status.status_code is StatusCode.UNSET
    assert capture.span("component c").status.status_code is StatusCode.ERROR


def test_a_pipeline_inside_another_belongs_to_its_run(capture):
    """A nested pipeline is a child span of the same trace and run, and emits its own start."""
    with mlotel.pipeline("outer") as outer, mlotel.component("step"), mlotel.pipeline("inner") as inner:
        mlotel.read([1], name="x")

    assert inner.id == outer.id
    assert inner.trace_id == outer.trace_id
    assert capture.span("pipeline inner").parent.span_id == capture.span("component step").context.span_id
    assert len(capture.events("ml.run.started")) == 2
    assert "ml.component.name" not in capture.span("read x").attributes  # step is around the pipeline, not in it


def test_a_nested_pipeline_with_its_own_id_is_its_own_run(capture):
    """``run_id=`` inside a run begins another run, and the outer one goes on after it."""
    with mlotel.pipeline("outer") as outer:
        with mlotel.pipeline("inner", run_id="mine"), mlotel.component("in"):
            pass
        with mlotel.component("after"):
            pass

    assert capture.span("component in").attributes["ml.run.id"] == "mine"
    assert capture.span("component after").attributes["ml.run.id"] == outer.id


def test_a_pipeline_under_the_hosts_span_joins_its_trace(capture):
    """A span of the application is the parent of a run inside it."""
    tracer = capture.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("request") as request, mlotel.pipeline("a") as run:
        pass

    assert run.trace_id == f"{request.get_span_context().trace_id:032x}"
    assert capture.span("pipeline a").parent.span_id == request.get_span_context().span_id


def test_the_run_id_travels_as_baggage(capture):
    """Inside a run the baggage ``ml.run.id`` is its id, beside what the application put there; outside it is gone."""
    from opentelemetry import context

    token = context.attach(baggage.set_baggage("customer", "c7"))
    try:
        with mlotel.pipeline("a") as run:
            assert baggage.get_baggage("ml.run.id") == run.id
            assert baggage.get_baggage("customer") == "c7"
        assert baggage.get_baggage("ml.run.id") is None
    finally:
        context.detach(token)


def test_children_span_the_time_of_their_parent(capture):
    """Spans lie inside each other; lengths come from the monotonic clock."""
    with mlotel.pipeline("a"), mlotel.component("c") as c:
        c.read([1], name="x")

    run, component, read = (capture.span(name) for name in ("pipeline a", "component c", "read x"))
    assert run.start_time < component.start_time < read.start_time
    assert read.end_time <= component.end_time <= run.end_time


def test_a_step_of_the_wall_clock_never_makes_a_duration_negative(capture):
    """When the wall clock is set back during a run, its length is still what passed."""
    from mlotel import _clock

    with mlotel.pipeline("a"):
        ahead = _clock.wall_ns
        _clock.wall_ns = lambda: ahead() - 3_600_000_000_000
        capture.clock.advance(2.0)

    span = capture.span("pipeline a")
    assert 2.0 < (span.end_time - span.start_time) / 1e9 < 2.1


def test_the_records_of_a_run_reach_whoever_shows_it(capture):
    """The outermost pipeline hands all spans of its run over, once, when it ends: components, artifacts, checks."""
    told = []
    _settings.current.on_run_end = told.append

    with mlotel.pipeline("outer") as run, mlotel.pipeline("inner"):
        with mlotel.component("c", after=[lambda x: True]) as c:
            c.write([1, 2], name="x")
        with mlotel.component("d") as d:
            d.read([1, 2], name="x")

    [records] = told
    assert [record.name for record in records] == [
        "write x", "check after.0", "component c", "read x", "component d", "pipeline inner", "pipeline outer",
    ]  # fmt: skip
    spans = {span.name: span for span in capture.spans()}
    for record in records:
        span = spans[record.name]
        assert record.trace_id == run.trace_id
        assert record.span_id == f"{span.context.span_id:016x}"
        assert record.parent_id == (None if span.parent is None else f"{span.parent.span_id:016x}")
        assert (record.start_ns, record.end_ns) == (span.start_time, span.end_time)
        assert {key: tuple(v) if isinstance(v, list) else v for key, v in record.attributes.items()} == span.attributes
    [link] = next(record for record in records if record.name == "read x").links
    assert link.span_id == f"{spans['write x'].context.span_id:016x}"
    assert link.attributes["ml.link.type"] == "consumed"


def test_a_pipeline_inside_a_component_alone_ends_its_own_run(capture):
    """A component around the outermost pipeline does not keep its run from being shown."""
    told = []
    _settings.current.on_run_end = told.append
    with mlotel.component("around"), mlotel.pipeline("a"):
        pass

    assert [[record.name for record in records] for records in told] == [["pipeline a"]]


def test_what_a_long_run_keeps_for_its_tree_is_bounded(capture):
    """A run of very many spans keeps 5,000 of them for its tree, its own among them."""
    told = []
    _settings.current.on_run_end = told.append
    with mlotel.pipeline("a"):
        for _ in range(2000):
            with mlotel.component("c", after=[lambda x: True]) as c:
                c.write(1, name="x")

    [records] = told
    assert len(records) == 5001
    assert records[-1].name == "pipeline a"


@pytest.mark.lenient
def test_a_failure_of_what_shows_the_run_stays_inside(capture, caplog):
    """When the tree cannot be made, the program goes on and one line says so."""

    def broken(records):
        raise RuntimeError("no terminal")

    _settings.current.on_run_end = broken
    for _ in range(2):
        with mlotel.pipeline("a") as run:
            pass

    assert run.status == "ok"
    [line] = [record.getMessage() for record in caplog.records]
    assert "could not show a run (RuntimeError: no terminal)" in line


def test_a_decorated_pipeline_is_a_run_per_call(capture):
    """Every call is a run; scalar arguments are params, declared params win, data are left to the components."""

    @mlotel.pipeline(params={"source": "declared"})
    def nightly(rows, months=6, source="argument"):
        with mlotel.component("c"):
            return len(rows), months

    assert nightly([[1], [2]], months=2) == (2, 2)
    nightly([])

    first, second = capture.spans("pipeline nightly")
    assert first.attributes["ml.run.id"] != second.attributes["ml.run.id"]
    assert (first.attributes["ml.param.months"], second.attributes["ml.param.months"]) == (2, 6)
    assert first.attributes["ml.param.source"] == "declared"
    assert [span.name for span in capture.spans()] == ["component c", "pipeline nightly"] * 2
    assert first.attributes["code.function.name"].endswith(
        "test_a_decorated_pipeline_is_a_run_per_call.<locals>.nightly"
    )
    started = capture.events("ml.run.started")[0].log_record.attributes
    assert started["ml.param.months"] == 2
