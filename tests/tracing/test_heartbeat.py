"""Long runs show that they live, at little cost, and nothing is left behind when they end."""

import contextvars
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import mlotel
from mlotel import _guard, _providers
from mlotel.semconv import _types
from mlotel.testing import capturing
from mlotel.tracing import heartbeat

EVERY_S = 0.05


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Heartbeats come every 50 ms; the thread goes soon after the last run."""
    monkeypatch.setenv("MLOTEL_HEARTBEAT_S", str(EVERY_S))
    monkeypatch.setattr(heartbeat, "LINGER_S", 0.1)
    yield
    assert wait_until(lambda: beating() == [])


def beating():
    """The threads that send heartbeats."""
    return [thread for thread in threading.enumerate() if thread.name == "mlotel-heartbeat"]


def wait_until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def beats(capture):
    return capture.events("ml.run.heartbeat")


def test_an_open_run_sends_events_and_spans_that_follow_each_other(capture):
    """Each heartbeat is an event and a span in the open component; the spans cover its time without gaps."""
    with mlotel.pipeline("nightly", run_id="r1"), mlotel.component("train"):
        assert wait_until(lambda: len(beats(capture)) >= 3)

    [train] = capture.spans("component train")
    spans = capture.spans("heartbeat train")[:3]
    for span, event in zip(spans, beats(capture), strict=False):
        record = event.log_record
        expected = {"ml.run.id": "r1", "ml.pipeline.name": "nightly", "ml.component.name": "train",
                    "ml.run.duration": record.attributes["ml.run.duration"],
                    "ml.run.heartbeat.interval": 0.05}  # fmt: skip
        assert capture.ml_attributes(event) == expected
        assert capture.ml_attributes(span) == {**expected, "ml.run.active.name": "train"}
        assert span.parent.span_id == train.context.span_id == record.span_id
        assert "now in component train" in record.body
    assert set(spans[0].attributes) == set(_types.SPANS["heartbeat {ml.run.active.name}"])
    assert set(beats(capture)[0].log_record.attributes) == set(_types.EVENTS["ml.run.heartbeat"])
    assert spans[0].start_time == train.start_time
    assert [span.start_time for span in spans[1:]] == [span.end_time for span in spans[:-1]]
    durations = [event.log_record.attributes["ml.run.duration"] for event in beats(capture)]
    assert durations == sorted(set(durations))


def test_a_run_says_at_its_start_how_often_it_will_be_heard(capture, monkeypatch):
    """A reader knows from the start event how long silence may last; 0 says that none is promised."""
    with mlotel.pipeline("one"):
        pass
    monkeypatch.setenv("MLOTEL_HEARTBEAT_S", "0")
    with mlotel.pipeline("two"):
        time.sleep(0.1)
    monkeypatch.delenv("MLOTEL_HEARTBEAT_S")
    with mlotel.pipeline("three"):
        pass

    started = [event.log_record.attributes for event in capture.events("ml.run.started")]
    assert [values["ml.run.heartbeat.interval"] for values in started] == [0.05, 0.0, 60.0]
    assert [event for event in beats(capture) if event.log_record.attributes["ml.pipeline.name"] == "two"] == []


@pytest.mark.parametrize("text", ["often", "-1", "nan", "inf"])
def test_a_variable_that_cannot_be_used_is_said_once(text, capture, monkeypatch, caplog):
    """A wrong value of MLOTEL_HEARTBEAT_S stops no run: the default holds, and one line says so."""
    monkeypatch.setenv("MLOTEL_HEARTBEAT_S", text)
    for _ in range(2):
        with mlotel.pipeline("nightly"):
            pass

    assert [event.log_record.attributes["ml.run.heartbeat.interval"] for event in capture.events("ml.run.started")] == [
        60.0, 60.0,
    ]  # fmt: skip
    [line] = [record.getMessage() for record in caplog.records if "MLOTEL_HEARTBEAT_S" in record.getMessage()]
    assert (
        line == f"MLOTEL_HEARTBEAT_S is {text!r}, which is no number of seconds: 60 is used. Set it to seconds, "
        "or to 0 for no heartbeats."
    )


def test_the_innermost_component_is_named_and_the_pipeline_where_none_is_open(capture):
    """What a heartbeat names follows what runs, also back to the outer component and to the pipeline."""

    def heard(name):
        return wait_until(lambda: capture.spans(f"heartbeat {name}"))

    with mlotel.pipeline("nightly") as run:
        assert heard("nightly")
        with mlotel.component("outer"):
            with mlotel.component("inner"):
                assert heard("inner")
            assert heard("outer")

    assert run.status == "ok"
    by_name = {span.name: span for span in capture.spans()}
    assert by_name["heartbeat nightly"].parent.span_id == by_name["pipeline nightly"].context.span_id
    assert "ml.component.name" not in by_name["heartbeat nightly"].attributes
    assert by_name["heartbeat outer"].parent.span_id == by_name["component outer"].context.span_id


def test_a_pipeline_in_a_pipeline_beats_for_itself(capture):
    """Both have events of their own; only the inner one makes spans, below what runs in it."""
    with (
        mlotel.pipeline("outer"),
        mlotel.component("call"),
        mlotel.pipeline("inner", run_id="other"),
        mlotel.component("work"),
    ):
        assert wait_until(
            lambda: {e.log_record.attributes["ml.pipeline.name"] for e in beats(capture)} == {"outer", "inner"}
        )

    assert {span.name for span in capture.spans() if span.name.startswith("heartbeat ")} == {"heartbeat work"}
    runs = {e.log_record.attributes["ml.pipeline.name"]: e.log_record for e in beats(capture)}
    assert runs["inner"].attributes["ml.run.id"] == "other"
    assert "ml.component.name" not in runs["outer"].attributes


def test_one_thread_beats_for_all_runs_and_none_is_there_without_a_run(capture):
    """Eight runs in eight threads share one thread, which goes when the last has ended."""
    assert beating() == []
    all_open, done = threading.Barrier(9), threading.Event()

    def work(number):
        with mlotel.pipeline(f"p{number}"):
            all_open.wait()
            done.wait(10)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    all_open.wait()
    assert len(beating()) == 1
    assert wait_until(lambda: len({e.log_record.attributes["ml.pipeline.name"] for e in beats(capture)}) == 8)
    done.set()
    for thread in threads:
        thread.join()
    assert wait_until(lambda: beating() == [])
    heard = len(beats(capture))
    time.sleep(4 * EVERY_S)
    assert len(beats(capture)) == heard


def test_runs_one_after_the_other_share_a_thread(capture):
    """A service that opens a run a request starts no thread for each."""
    seen = set()
    for _ in range(200):
        with mlotel.pipeline("request"):
            seen.update(thread.ident for thread in beating())

    assert len(seen) <= 3  # the machine may be so busy that the thread ends once between two of them


def test_no_thread_where_nothing_is_recorded():
    """Without providers a run is no reason for a thread."""
    with mlotel.pipeline("nightly"):
        assert beating() == []


def test_a_suspended_generator_is_alive_and_a_dropped_one_is_not(capture):
    """A generator's run beats while it waits for its consumer; one that is let go ends, and is kept by nobody."""

    @mlotel.pipeline
    def numbers():
        with mlotel.component("count"):
            yield from range(10)

    running = numbers()
    assert next(running) == 0
    assert wait_until(lambda: capture.spans("heartbeat count"))
    gone = weakref.ref(running)
    del running
    gc.collect()

    assert gone() is None
    assert capture.span("pipeline numbers").attributes["ml.run.status"] == "ok"
    assert wait_until(lambda: beating() == [])


def test_what_was_opened_by_hand_and_dropped_is_not_kept():
    """A run whose end never comes stops to beat once nobody holds it."""
    spans = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    before = _providers.use(_providers.Providers(tracer_provider=tracers))  # the exporter of logs keeps contexts
    try:
        contextvars.Context().run(lambda: mlotel.pipeline("forgotten").__enter__() and None)
        assert len(beating()) == 1
        gc.collect()

        assert wait_until(lambda: beating() == [])
    finally:
        _providers.use(before)
    assert [span.name for span in spans.get_finished_spans() if span.name.startswith("pipeline")] == []


def test_a_thread_that_opens_components_meanwhile_disturbs_nothing(capture):
    """Heartbeats look at the open components while these come and go."""
    with mlotel.pipeline("nightly"):
        deadline = time.monotonic() + 8 * EVERY_S
        while time.monotonic() < deadline:
            with mlotel.component("a"), mlotel.component("b"):
                pass

    assert len(beats(capture)) >= 1
    assert {span.name for span in capture.spans()} <= {
        "component a", "component b", "pipeline nightly", "heartbeat a", "heartbeat b", "heartbeat nightly",
    }  # fmt: skip


def test_redact_sees_the_words_of_heartbeats():
    """Names in heartbeats are those that went through redact=."""
    with capturing(redact=lambda text: text.replace("secret", "<gone>")) as capture:
        with mlotel.pipeline("secret-p"), mlotel.component("secret-c"):
            assert wait_until(lambda: beats(capture) and capture.spans("heartbeat <gone>-c"))
        told = [(str(e.log_record.body), str(dict(e.log_record.attributes))) for e in beats(capture)]
        told += [(span.name, str(dict(span.attributes))) for span in capture.spans()]

    assert "secret" not in str(told)


def test_a_provider_that_fails_costs_one_heartbeat_and_no_run(capture, monkeypatch, caplog):
    """An exporter of the host's that raises is reported, and the next heartbeat comes."""
    monkeypatch.setattr(_guard, "STRICT", False)
    real, failures = heartbeat.start_span, []

    def failing(*args, **kwargs):
        if not failures:
            failures.append(1)
            raise RuntimeError("no room")
        return real(*args, **kwargs)

    monkeypatch.setattr(heartbeat, "start_span", failing)
    with mlotel.pipeline("nightly"):
        assert wait_until(lambda: capture.spans("heartbeat nightly"))

    assert failures
    assert "could not send a heartbeat (RuntimeError: no room)" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_parents_run_to_the_parent_and_beats_for_its_own(tmp_path):
    """After a fork the child has no thread until it opens a run; no heartbeat of the parent's run comes from it."""
    program = """
    import os, sys, threading, time
    import mlotel
    from mlotel.testing import capturing

    def names(capture):
        return [e.log_record.attributes["ml.pipeline.name"] for e in capture.events("ml.run.heartbeat")]

    with capturing() as capture, mlotel.pipeline("parent"):
        while not names(capture): time.sleep(0.01)
        before = len(names(capture))
        child = os.fork()
        if child == 0:
            time.sleep(0.2)
            quiet = len(names(capture)) <= before + 1  # one may have been in the making
            threads = [t.name for t in threading.enumerate()]
            with mlotel.pipeline("child"):
                deadline = time.monotonic() + 10
                while "child" not in names(capture) and time.monotonic() < deadline: time.sleep(0.01)
            os._exit(0 if quiet and "child" in names(capture) and threads == ["MainThread"] else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        heard = len(names(capture))
        while len(names(capture)) == heard: time.sleep(0.01)
    sys.exit(status)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_a_heartbeat_costs_less_than_a_millisecond():
    """Event and span of one heartbeat, in the SDK, take at most 1 ms of CPU time of the thread (the median of 50)."""
    spent = []
    params = {f"p{number}": number for number in range(40)}
    with capturing(), mlotel.pipeline("nightly", params=params) as run, mlotel.component("train"):
        scope = run._scope
        for _ in range(50):
            before = time.thread_time_ns()
            heartbeat._send(scope, scope.start_ns, 60.0)
            spent.append(time.thread_time_ns() - before)

    assert sorted(spent)[25] < 1_000_000
