"""What one run of a component records: its span, its numbers, its rows and its staleness."""

import os
import threading
import time

import numpy as np
import pytest
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode

import mlotel
from mlotel.tracing.usage import AllocationTrace


def test_a_component_is_one_span_with_every_attribute(capture):
    """The span of a component carries what was declared, what happened, and what went in and out."""
    with (
        mlotel.pipeline("p") as run,
        mlotel.component("clean", type="transform", owner="data", description="Drop outliers.") as c,
    ):
        c.read([1, 2, 3], name="raw")
        c.write([1, 2], name="kept")
        c.removed(1, reason="outlier")
        c.param(threshold=3.0, columns=["a", "b"])

    span = capture.span("component clean")
    attributes = dict(span.attributes)
    cpu_s = attributes.pop("ml.component.cpu.time")
    assert type(cpu_s) is float
    assert cpu_s >= 0
    assert attributes == {
        "ml.component.name": "clean",
        "ml.component.type": "transform",
        "ml.component.owner": "data",
        "ml.component.description": "Drop outliers.",
        "ml.run.id": run.id,
        "code.function.name": f"{__name__}.test_a_component_is_one_span_with_every_attribute",
        "ml.component.input.ids": (capture.span("read raw").attributes["ml.artifact.id"],),
        "ml.component.output.ids": (capture.span("write kept").attributes["ml.artifact.id"],),
        "ml.removal.rows.outlier": 1,
        "ml.param.threshold": 3.0,
        "ml.param.columns": ("a", "b"),
    }
    assert span.kind is SpanKind.INTERNAL
    assert span.parent.span_id == capture.span("pipeline p").context.span_id
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope.name == "mlotel.tracing"


def test_a_component_alone_has_no_run(capture):
    """Outside a pipeline a component is a root span without a run id, and nothing that was not given is there."""
    with mlotel.component("alone") as c:
        assert repr(c) == "<Component 'alone'>"
        assert c.name == "alone"

    span = capture.span("component alone")
    assert span.parent is None
    assert set(span.attributes) == {"ml.component.name", "code.function.name", "ml.component.cpu.time"}


def test_components_nest(capture):
    """A component inside another is its child, and the outer one is current again afterwards."""
    with mlotel.component("outer"):
        with mlotel.component("inner"):
            mlotel.read([1], name="in")
        mlotel.read([2], name="out")

    assert capture.span("component inner").parent.span_id == capture.span("component outer").context.span_id
    assert capture.span("read in").attributes["ml.component.name"] == "inner"
    assert capture.span("read out").attributes["ml.component.name"] == "outer"


def test_the_span_is_current_inside_and_gone_outside(capture):
    """Spans that the application makes inside are children; afterwards the context is what it was."""
    before = context.get_current()
    tracer = capture.tracer_provider.get_tracer("app")
    with mlotel.component("c"), tracer.start_as_current_span("query") as query:
        pass

    assert context.get_current() is before
    assert query.parent.span_id == capture.span("component c").context.span_id


def test_a_component_opened_by_an_exit_stack_names_the_function(capture):
    """``code.function.name`` is the user's function, not that of contextlib."""
    import contextlib

    with contextlib.ExitStack() as stack:
        stack.enter_context(mlotel.component("c"))

    name = capture.span("component c").attributes["code.function.name"]
    assert name.endswith("test_a_component_opened_by_an_exit_stack_names_the_function")


def test_cpu_time_counts_work_and_not_waiting():
    """Processor time is that of the work inside, of all threads; sleeping costs none."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from mlotel import _providers

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = _providers.use(_providers.Providers(provider))
    try:
        with mlotel.component("works"):
            started = time.process_time()
            worker = threading.Thread(target=lambda: sum(range(2_000_000)))
            worker.start()
            worker.join()
            spent = time.process_time() - started
        with mlotel.component("sleeps"):
            time.sleep(0.2)
    finally:
        _providers.use(before)

    works, sleeps = (span.attributes["ml.component.cpu.time"] for span in exporter.get_finished_spans())
    assert spent <= works < spent + 0.05
    assert sleeps < 0.1


def test_memory_is_the_rise_of_the_process_peak():
    """A component that takes more memory than the process ever had says how much; one that does not says nothing."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from mlotel import _providers
    from mlotel.tracing import usage

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not a file of ours
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    size = usage.process_peak() - resident + 50_000_000
    before = _providers.use(_providers.Providers(provider))
    try:
        with mlotel.component("large"):
            np.ones(size // 8)
        with mlotel.component("small"):
            np.ones(10)
    finally:
        _providers.use(before)

    large, small = exporter.get_finished_spans()
    rise = large.attributes["ml.component.memory.peak"]
    assert type(rise) is int
    assert 20_000_000 < rise < size + 20_000_000
    assert "ml.component.memory.peak" not in small.attributes


def test_memory_can_be_traced(capture):
    """``memory="trace"`` measures what Python allocates, also freed again, and switches tracing off afterwards."""
    import tracemalloc

    with mlotel.component("a", memory="trace"):
        bytearray(3_000_000)

    assert 2_900_000 < capture.span("component a").attributes["ml.component.memory.peak"] < 3_500_000
    assert not tracemalloc.is_tracing()


def test_traced_memory_of_nested_components_and_of_a_host_that_traces(capture):
    """An inner component does not hide the peak of the outer one; tracing that was on stays on."""
    import tracemalloc

    tracemalloc.start()
    try:
        with mlotel.component("outer", memory="trace"):
            bytearray(5_000_000)
            with mlotel.component("inner", memory="trace"):
                bytearray(1_000_000)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()

    assert 4_900_000 < capture.span("component outer").attributes["ml.component.memory.peak"] < 5_500_000
    assert 900_000 < capture.span("component inner").attributes["ml.component.memory.peak"] < 1_500_000
    assert AllocationTrace._open == []


def test_removed_rows_add_up_by_reason(capture):
    """Calls with one reason add up, numpy integers too; reasons become the last part of the key."""
    with mlotel.component("c") as c:
        c.removed(3, reason="outlier")
        c.removed(np.int64(4), reason="outlier")
        c.removed(0, reason="missing")
        c.removed(2, reason="too old")

    attributes = capture.ml_attributes(capture.span("component c"))
    assert attributes["ml.removal.rows.outlier"] == 7
    assert attributes["ml.removal.rows.missing"] == 0
    assert attributes["ml.removal.rows.too_old"] == 2
    assert type(capture.span("component c").attributes["ml.removal.rows.outlier"]) is int


def test_reasons_of_removal_are_bounded(capture):
    """Reasons that contain data, against the advice, do not push the name out of the span: the rest is ``other``."""
    with mlotel.component("c") as c:
        for index in range(500):
            c.removed(1, reason=f"r{index}")

    attributes = capture.span("component c").attributes
    assert attributes["ml.component.name"] == "c"
    assert attributes["ml.removal.rows.other"] == 468
    assert sum(key.startswith("ml.removal.rows.") for key in attributes) == 33
    assert len(capture.metrics("ml.data.rows.removed")) == 33


def test_rows_removed_in_threads_all_count(capture):
    """Threads that share a component lose no rows."""
    with mlotel.component("c") as c:
        threads = [threading.Thread(target=lambda: [c.removed(1, reason="r") for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert capture.span("component c").attributes["ml.removal.rows.r"] == 2000


def test_params_of_many_calls_are_bounded(capture):
    """A loop that records params never pushes the names out of the span; a later value of a known key counts."""
    with mlotel.component("c", type="t") as c:
        for index in range(300):
            c.param(**{f"p{index}": index}, last=index)

    attributes = capture.span("component c").attributes
    assert sum(key.startswith("ml.param.") for key in attributes) == 64
    assert attributes["ml.param.last"] == 299
    assert attributes["ml.component.name"] == "c"
    assert attributes["ml.component.type"] == "t"


def test_many_artifacts_leave_the_span_small(capture):
    """Of many inputs and outputs a component lists the first hundred ids; each has its span."""
    with mlotel.component("c") as c:
        for index in range(150):
            c.read(index, name="x")

    assert len(capture.spans("read x")) == 150
    assert len(capture.span("component c").attributes["ml.component.input.ids"]) == 100


def test_an_input_that_is_too_old_is_reported(capture, tmp_path):
    """``ml.component.staleness`` lists each input older than ``stale_after_s``, with its age; fresh ones are absent."""
    old, fresh = tmp_path / "old.csv", tmp_path / "fresh.csv"
    now_s = capture.clock.now_ns / 1e9
    for path, age_s in ((old, 3 * 86_400), (fresh, 60)):
        path.write_text("a\n1\n")
        os.utime(path, (now_s - age_s, now_s - age_s))

    with mlotel.component("train", stale_after_s=3600) as c:
        c.read(old)
        c.read(fresh)
        c.read([1, 2], name="unknown age")
        c.read(tmp_path / "not there")
        c.read("s3://bucket/of/unknown/age")

    assert capture.span("component train").attributes["ml.component.staleness"] == (
        "old.csv is 3.0 d old; the limit is 1.0 h",
    )


def test_the_age_of_what_this_process_wrote_is_known(capture):
    """An input that was written in this process is as old as its write."""
    with mlotel.component("make") as c:
        c.write([1, 2, 3], name="numbers")
    capture.clock.advance(90)
    with mlotel.component("fresh", stale_after_s=100) as c:
        c.read([1, 2, 3], name="numbers")
    with mlotel.component("stale", stale_after_s=60) as c:
        c.read([1, 2, 3], name="numbers")

    assert "ml.component.staleness" not in capture.span("component fresh").attributes
    [reason] = capture.span("component stale").attributes["ml.component.staleness"]
    assert reason == "numbers is 1.5 min old; the limit is 1.0 min"


def test_a_failed_component_has_status_and_type(capture):
    """The span of a component that raised has the message as status and the class as ``error.type``."""
    with pytest.raises(ValueError, match="no rows"), mlotel.component("c"):
        raise ValueError("no rows left")

    span = capture.span("component c")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no rows left")
    assert span.attributes["error.type"] == "ValueError"


def test_a_component_that_ended_takes_calls_quietly(capture):
    """Methods called after the end do nothing and return what they were given."""
    with mlotel.component("c") as c:
        pass

    assert c.read([1], name="late") == [1]
    assert c.write([1], name="late") == [1]
    c.param(late=1)
    c.removed(1, reason="late")
    assert [span.name for span in capture.spans()] == ["component c"]
    assert "ml.param.late" not in capture.span("component c").attributes


def test_a_sampled_parent_of_the_application_leads_to_children(capture):
    """A component under a span of the application joins its trace."""
    tracer = capture.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("job") as job, mlotel.component("c"):
        assert trace.get_current_span() is not job

    assert capture.span("component c").parent.span_id == job.get_span_context().span_id
