"""Providers: none, some, others; samplers, suppression and switches. Unasked, mlotel does nothing."""

import os
import subprocess
import sys
import textwrap

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

import mlotel
from mlotel import _providers

_opened: list[str] = []


def _note_open(event, arguments):
    if event == "open" and str(arguments[0]).endswith("watched.csv"):
        _opened.append(arguments[0])


sys.addaudithook(_note_open)  # hashing opens the file; hooks cannot be taken away again


class Watched:
    """A path to a file, and how often it was opened."""

    def __init__(self, path):
        self.path = path
        _opened.clear()

    def __fspath__(self):
        return str(self.path)

    @property
    def opened(self):
        return len(_opened)


@pytest.fixture
def watched(tmp_path):
    (tmp_path / "watched.csv").write_text("a\n1\n")
    _opened.clear()
    return Watched(tmp_path / "watched.csv")


@pytest.fixture
def use():
    """Send mlotel's signals to these providers; undone afterwards."""
    before = _providers.use(_providers.Providers())
    yield lambda **providers: _providers.use(_providers.Providers(**providers))
    _providers.use(before)


def everything(value, table=((1, 2), (3, 4))):
    """A scenario that uses every feature; returns what came back."""

    @mlotel.component(before=[lambda x: True])
    def decorated(x, k=3):
        return x

    with mlotel.pipeline("p", params={"a": 1}) as run, mlotel.component("c", after=[lambda y: True]) as c:
        results = [c.read(value, name="x"), c.write(value, name="y"), mlotel.read(value), decorated(value)]
        c.param(a=1)
        c.removed(2, reason="r")
    return run, results


def test_without_providers_nothing_is_hashed_and_all_is_returned(watched):
    """With no provider every call returns its argument, the run has an id and a status, and no file is looked at."""
    run, results = everything(watched)

    assert all(result is watched for result in results)
    assert watched.opened == 0
    assert run.status == "ok"
    assert run.trace_id == "0" * 32
    assert len(run.id) == 32


def test_without_providers_statuses_follow_exceptions():
    """The status of a run needs no provider; several runs of one declaration do not mix."""
    import threading

    declared = mlotel.pipeline("p")
    ran = {}
    barrier = threading.Barrier(2)

    def work(fail):
        try:
            with declared as run:
                ran[fail] = run
                barrier.wait()
                if fail:
                    raise ValueError
                barrier.wait()
        except ValueError:
            barrier.wait()

    threads = [threading.Thread(target=work, args=(fail,)) for fail in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {fail: run.status for fail, run in ran.items()} == {True: "error", False: "ok"}


def test_only_a_tracer_provider(use, watched):
    """With spans alone listened to, spans are whole, and nothing else fails."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use(tracer_provider=provider)

    run, results = everything(watched)

    assert all(result is watched for result in results)
    assert [span.name for span in exporter.get_finished_spans()].count("read x") == 2
    assert watched.opened == 5
    assert run.trace_id != "0" * 32


def test_only_a_meter_provider(use, watched):
    """With metrics alone listened to, all are counted, rows too, and nothing is hashed."""
    import numpy as np

    reader = InMemoryMetricReader()
    use(meter_provider=MeterProvider([reader], shutdown_on_exit=False))

    everything(watched)
    with mlotel.component("rows") as c:
        c.read(np.zeros((5, 2)), name="x")

    @mlotel.component
    def decorated(x):
        return x[:2]

    decorated(np.zeros((5, 2)))

    points = {}
    for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics:
        assert scope.scope.name == "mlotel.metrics"
        for metric in scope.metrics:
            points[metric.name] = [(dict(p.attributes), getattr(p, "value", None)) for p in metric.data.data_points]
    assert {"ml.pipeline.duration", "ml.component.duration", "ml.component.cpu.time", "ml.data.rows.removed"} <= set(
        points
    )
    rows = {(a["ml.component.name"], a["ml.artifact.role"]): value for a, value in points["ml.data.rows"]}
    assert rows == {("rows", "input"): 5, ("decorated", "input"): 5, ("decorated", "output"): 2}
    assert watched.opened == 0


def test_only_a_logger_provider(use, watched):
    """With log events alone listened to, they go out, and nothing is hashed."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    use(logger_provider=provider)

    everything(watched)
    with pytest.raises(ValueError, match="x"), mlotel.component("c"):
        raise ValueError("x")

    names = [record.log_record.event_name for record in exporter.get_finished_logs()]
    assert names == ["ml.run.started", "ml.check.result", "ml.check.result", "ml.exception"]
    assert watched.opened == 0


def test_no_op_providers_are_none(use, watched):
    """Providers that do nothing count as none."""
    use(
        tracer_provider=trace.NoOpTracerProvider(),
        meter_provider=metrics.NoOpMeterProvider(),
        logger_provider=_logs.NoOpLoggerProvider(),
    )
    assert not _providers.is_listening()
    everything(watched)
    assert watched.opened == 0


def test_a_sampler_that_drops_runs_is_said_once(use, watched, caplog):
    """Under a sampler that drops, nothing is hashed, metrics still count, and one warning names the way out."""
    import numpy as np

    reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use(tracer_provider=provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False))

    for _ in range(3):
        run, results = everything(watched)
    with mlotel.component("rows") as c:
        c.write(np.zeros((5, 2)), name="x")

    assert watched.opened == 0
    assert all(result is watched for result in results)
    assert exporter.get_finished_spans() == ()
    assert run.trace_id != "0" * 32
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        "The sampler of this application dropped a pipeline, so its run has no spans: no tree, no lineage. "
        "Keep spans named 'pipeline …' (or set OTEL_TRACES_SAMPLER=parentbased_always_on)."
    )
    found = {m.name: m for s in reader.get_metrics_data().resource_metrics[0].scope_metrics for m in s.metrics}
    assert found["ml.pipeline.duration"].data.data_points[0].count == 3
    assert [point.value for point in found["ml.data.rows"].data.data_points] == [5]
    assert sum(point.value for point in found["ml.data.rows.removed"].data.data_points) == 6


def test_without_a_provider_no_sampler_is_blamed(use, caplog):
    """Where only metrics are listened to, there is no sampler to warn about."""
    use(meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))
    with mlotel.pipeline("p"):
        pass
    assert caplog.records == []


def test_suppression_silences_everything(capture, watched):
    """Under ``suppress_instrumentation()`` nothing is recorded, by hand-written components either, also half-way."""
    with suppress_instrumentation():
        run, results = everything(watched)
        mlotel.write(watched)
    with mlotel.component("open") as c, suppress_instrumentation():
        c.read(watched)
        mlotel.read(watched)

    assert run.status == "ok"
    assert all(result is watched for result in results)
    assert [span.name for span in capture.spans()] == ["component open"]
    assert capture.events() == []
    assert watched.opened == 0


def test_suppression_ends(capture):
    """What comes after a suppressed block is recorded as ever, with the right parent."""
    declared = mlotel.component("c")
    with declared:
        with suppress_instrumentation(), declared as silent:
            silent.param(a=1)
        mlotel.read([1], name="x")

    [component] = capture.spans("component c")
    assert capture.span("read x").parent.span_id == component.context.span_id
    assert "ml.param.a" not in component.attributes


def test_artifacts_under_a_span_that_was_sampled_out(use, watched):
    """Outside components too, nothing is hashed below a span of the application that the sampler dropped."""
    import numpy as np

    reader = InMemoryMetricReader()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    use(tracer_provider=provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    with provider.get_tracer("app").start_as_current_span("request"):
        assert mlotel.read(watched) is watched
        mlotel.write(np.zeros(4), name="x")

    assert watched.opened == 0
    [metric] = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert [point.value for point in metric.data.data_points] == [4]


class Broken:
    """A provider, and all that comes from it: whatever is called raises."""

    def __init__(self, *working):
        self._working = working

    def __getattr__(self, name):
        def call(*args, **kwargs):
            if name in self._working:
                return Broken(*self._working)
            raise RuntimeError(f"{name} is broken")

        return call


@pytest.mark.lenient
@pytest.mark.parametrize(
    "working",
    [
        (),
        ("get_tracer", "get_meter", "get_logger"),
        ("get_tracer", "get_meter", "get_logger", "start_span", "create_histogram", "create_counter"),
        ("get_tracer", "get_meter", "get_logger", "start_span", "get_span_context", "is_recording"),
    ],
)
def test_providers_that_fail_harm_nobody(use, watched, working):
    """Providers that raise at any of their calls harm nobody: results, exceptions and checks are as ever."""
    use(tracer_provider=Broken(*working), meter_provider=Broken(*working), logger_provider=Broken(*working))

    def stops():
        raise KeyboardInterrupt

    run, results = everything(watched)
    assert all(result is watched for result in results)
    assert run.status == "ok"
    with pytest.raises(ValueError, match="mine"), mlotel.pipeline("p") as run, mlotel.component("c"):
        raise ValueError("mine")
    assert run.status == "error"
    with pytest.raises(mlotel.errors.CheckFailed), mlotel.component("c", before=[lambda: False], on_failure="raise"):
        pass
    with pytest.raises(KeyboardInterrupt), mlotel.component("c", before=[stops], on_failure="raise"):
        pass

    from opentelemetry import context

    assert dict(context.get_current()) == {}


@pytest.mark.lenient
def test_spans_are_whole_although_metrics_and_logs_fail(use, tmp_path):
    """A meter or logger that raises takes no span with it: all end, with their attributes."""
    import numpy as np

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    working = ("get_meter", "get_logger", "create_histogram", "create_counter")
    use(tracer_provider=provider, meter_provider=Broken(*working), logger_provider=Broken(*working))

    @mlotel.pipeline("p")
    def work():
        with mlotel.component("a", after=[lambda x: False]) as c:
            c.write(np.zeros(3), name="x")
            c.removed(3, reason="r")
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        work()

    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"pipeline p", "component a", "write x", "check after.0"}
    assert spans["component a"].attributes["ml.removal.rows.r"] == 3
    assert spans["check after.0"].attributes["ml.check.status"] == "failed"
    assert spans["pipeline p"].attributes["error.type"] == "ValueError"


def run_python(code, **environment):
    """Output of ``code`` in a fresh process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "MLOTEL_", "TRACE"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


HOST = """
    from opentelemetry import trace, metrics, _logs
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    def set_up():
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_providers_of_the_host(order):
    """The host's global provider is used, whether it was set before mlotel was first used or after."""
    found = run_python(
        HOST
        + f"""
    if {order == "before"}:
        set_up()
    import mlotel
    @mlotel.component
    def f(): pass
    f()
    with mlotel.component("c"): pass
    if {order == "after"}:
        set_up()
    f()
    with mlotel.component("c"): pass
    print(*[span.name.replace(" ", ":") for span in exporter.get_finished_spans()])
    """
    )
    assert found == ["component:f", "component:c"] * (2 if order == "before" else 1)


@pytest.mark.parametrize("variable", ["MLOTEL_DISABLED", "OTEL_SDK_DISABLED"])
@pytest.mark.parametrize("value", ["true", "TRUE", " True ", "false", ""])
def test_switched_off_by_the_environment(variable, value):
    """``MLOTEL_DISABLED=true`` silences mlotel although the host listens; checks that raise still do."""
    code = """
    set_up()
    import mlotel
    with mlotel.pipeline("p") as run, mlotel.component("c") as c:
        print(c.read("given"), run.status)
    try:
        with mlotel.component("c", before=[lambda: False], on_failure="raise"): pass
    except mlotel.errors.CheckFailed:
        print("raised")
    print(len(exporter.get_finished_spans()))
    """
    found = run_python(HOST + code, **{variable: value})
    off = value.strip().lower() == "true"
    if variable == "MLOTEL_DISABLED" or off:
        assert found == ["given", "running", "raised", "0" if off else "5"]


def test_mlotel_alone_loads_no_sdk():
    """Using components without providers loads neither the SDK nor numpy."""
    found = run_python(
        """
        import sys, mlotel
        with mlotel.pipeline("p"), mlotel.component("c") as c:
            c.read([1], name="x")
        print(*sorted({m.split(".")[0] for m in sys.modules} & {"numpy", "scipy", "pandas", "sklearn"}), "none")
        print(any(m.startswith("opentelemetry.sdk") for m in sys.modules))
        """
    )
    assert found == ["none", "False"]
