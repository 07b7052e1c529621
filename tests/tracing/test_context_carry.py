"""Where a run goes: threads, pools, tasks, child processes; and where it does not."""

import asyncio
import concurrent.futures
import contextlib
import inspect
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from functools import partial

import pool_work
import pytest
from opentelemetry import baggage, context, trace

import mlotel
from mlotel import _settings


def run_in_thread(function, *arguments):
    box = []
    thread = threading.Thread(target=lambda: box.append(function(*arguments)))
    thread.start()
    thread.join()
    return box[0]


# Threads


def test_plain_threads_inherit_nothing(capture):
    """A thread starts with nothing: a component in it is a root of its own, without a run."""

    def work():
        with mlotel.component("work"):
            mlotel.read([1], name="x")

    with mlotel.pipeline("p"), mlotel.component("outer"):
        run_in_thread(work)

    span = capture.span("component work")
    assert span.parent is None
    assert "ml.run.id" not in span.attributes


def test_carry_takes_run_and_component_along(capture):
    """``carry`` binds a function to the current run and component; afterwards the thread has nothing again."""
    left = []

    def work():
        with mlotel.component("work"):
            pass
        mlotel.read([1], name="x")

    def thread(function):
        function()
        left.append(dict(context.get_current()))

    with mlotel.pipeline("p") as run, mlotel.component("outer"):
        run_in_thread(thread, mlotel.carry(work))

    outer = capture.span("component outer")
    assert capture.span("component work").parent.span_id == outer.context.span_id
    assert capture.span("read x").attributes["ml.component.name"] == "outer"
    assert capture.span("component work").attributes["ml.run.id"] == run.id
    assert left == [{}]


def test_carry_keeps_the_signature_and_the_errors(capture):
    """The bound function looks like the function, takes its arguments and raises its exceptions."""

    def work(a: int, b: str = "x") -> list:
        """Words."""
        if a < 0:
            raise ValueError(a)
        return [a, b]

    carried = mlotel.carry(work)
    assert carried(1, b="y") == [1, "y"]
    assert inspect.signature(carried) == inspect.signature(work)
    assert (carried.__name__, carried.__doc__) == ("work", "Words.")
    with pytest.raises(ValueError, match="-1"):
        carried(-1)


def test_carry_is_bound_where_it_is_called(capture):
    """The place of the ``carry`` counts, not that of the call."""
    with mlotel.pipeline("p"), mlotel.component("here"):
        carried = mlotel.carry(lambda: mlotel.read([1], name="x"))
    with mlotel.component("there"):
        carried()

    assert capture.span("read x").parent.span_id == capture.span("component here").context.span_id


def test_carry_of_a_coroutine_function(capture):
    """What the coroutine of a carried function does is bound too, in a loop of another thread."""

    async def work():
        await asyncio.sleep(0)
        mlotel.read([1], name="x")
        return 3

    with mlotel.component("outer"):
        carried = mlotel.carry(work)
        assert run_in_thread(lambda: asyncio.run(carried())) == 3

    assert capture.span("read x").attributes["ml.component.name"] == "outer"


def test_carry_in_a_pool_of_threads(capture):
    """Every task of a pool belongs to the component that sent it."""
    with mlotel.component("outer"), concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(mlotel.carry(pool_work.decorated), range(20)))

    assert results == [n * 2 for n in range(20)]
    outer = capture.span("component outer").context.span_id
    assert {span.parent.span_id for span in capture.spans("component decorated")} == {outer}


def test_what_is_carried_may_come_late(capture):
    """A function that runs after its component and run have ended still belongs to them, and records."""
    with mlotel.pipeline("p") as run, mlotel.component("outer"):
        carried = mlotel.carry(lambda: mlotel.component("late").__call__(lambda: mlotel.read([1], name="x"))())
    carried()

    late = capture.span("component late")
    assert late.parent.span_id == capture.span("component outer").context.span_id
    assert late.attributes["ml.run.id"] == run.id
    assert capture.span("read x").parent.span_id == late.context.span_id


def test_tasks_inherit_as_in_python(capture):
    """asyncio tasks inherit the context of where they are made; ``gather`` of components makes siblings."""

    async def work(n):
        with mlotel.component("work") as c:
            await asyncio.sleep(0)
            c.read([n], name=f"r{n}")

    async def main():
        with mlotel.pipeline("p"), mlotel.component("outer"):
            await asyncio.gather(*(work(n) for n in range(3)))

    asyncio.run(main())
    outer = capture.span("component outer").context.span_id
    assert {span.parent.span_id for span in capture.spans("component work")} == {outer}
    assert len(capture.spans("component work")) == 3


# One declaration several times, and ends in any order


def test_one_declaration_open_twice_in_one_frame(capture):
    """A declaration that is open twice at once ends the inner one first."""
    declared = mlotel.component("c")
    with declared as outer:
        outer.param(which="outer")
        with declared as inner:
            inner.param(which="inner")

    inner, outer = capture.spans("component c")
    assert (inner.attributes["ml.param.which"], outer.attributes["ml.param.which"]) == ("inner", "outer")
    assert inner.parent.span_id == outer.context.span_id


def test_one_declaration_in_many_threads(capture):
    """Threads that enter one declaration at once, and fail or not, each end their own."""
    component, run = mlotel.component("c"), mlotel.pipeline("p")
    barrier = threading.Barrier(4)
    statuses = {}

    def work(n):
        for _ in range(25):
            with contextlib.suppress(ValueError), run as opened:
                statuses[n] = opened
                with component as c:
                    barrier.wait()
                    c.param(n=n)
                    if n % 2:
                        raise ValueError(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    spans = capture.spans("component c")
    assert len(spans) == 100
    for span in spans:
        assert ("error.type" in span.attributes) == bool(span.attributes["ml.param.n"] % 2)
    assert {n: opened.status for n, opened in statuses.items()} == {0: "ok", 1: "error", 2: "ok", 3: "error"}


def test_suppressed_and_recorded_executions_of_one_declaration(capture):
    """A declaration open in a thread that is silenced and in one that is not ends each where it was opened."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    declared = mlotel.component("c")
    entered, leave = threading.Event(), threading.Event()

    def silent():
        with suppress_instrumentation(), declared:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=silent)
    with declared as c:
        thread.start()
        entered.wait()
        leave.set()
        thread.join()
        c.param(still="open")

    [span] = capture.spans("component c")
    assert span.attributes["ml.param.still"] == "open"


def test_exit_stacks(capture):
    """An ExitStack ends its components in order, also several of one declaration, mixed with ``with``."""
    declared = mlotel.component("c")
    before = context.get_current()
    with contextlib.ExitStack() as stack:
        for n in range(3):
            stack.enter_context(declared).param(n=n)
        with declared as c:
            c.param(n=3)

    assert [span.attributes["ml.param.n"] for span in capture.spans("component c")] == [3, 2, 1, 0]
    assert context.get_current() is before


def test_components_closed_out_of_order_leave_nothing_current(capture):
    """Ended by hand in the wrong order, no component stays current, and the open one stays it as long as it is."""
    before = context.get_current()
    first, second, third = mlotel.component("a"), mlotel.component("b"), mlotel.component("c")
    first.__enter__()
    second.__enter__()
    inside = third.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    mlotel.read([1], name="x")
    assert capture.span("read x").attributes["ml.component.name"] == inside.name
    third.__exit__(None, None, None)
    assert context.get_current() is before


def test_context_that_the_user_forgot_goes_with_the_component(capture):
    """A context that code inside attached and never detached does not outlive the component."""
    before = context.get_current()
    with mlotel.component("c"):
        context.attach(baggage.set_baggage("forgotten", "yes"))
    assert context.get_current() is before


# Processes


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_pools_of_processes(capture, method):
    """A carried function in a worker process continues the trace and the run under the component that sent it."""
    workers = multiprocessing.get_context(method)
    with (
        mlotel.pipeline("p", run_id="run with spaces, and ünïcode") as run,
        mlotel.component("outer"),
        concurrent.futures.ProcessPoolExecutor(1, mp_context=workers) as pool,
    ):
        results = list(pool.map(mlotel.carry(pool_work.work), range(3)))

    outer = capture.span("component outer")
    assert results == [(n, run.trace_id, f"{outer.context.span_id:016x}", run.id) for n in range(3)]


def test_a_carried_function_can_be_pickled(capture):
    """Decorated functions, partials and methods of modules are carried by pickle; what cannot be pickled says so."""
    with mlotel.component("outer"):
        for function in (pool_work.decorated, partial(pool_work.decorated), abs):
            carried = pickle.loads(pickle.dumps(mlotel.carry(function)))
            assert carried(4) == function(4)
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(mlotel.carry(lambda: 1))

    outer = capture.span("component outer").context
    arrived = capture.spans("component decorated")[0]
    assert (arrived.parent.trace_id, arrived.parent.span_id) == (outer.trace_id, outer.span_id)


def test_a_worker_is_set_up_like_the_sender(capture):
    """Arriving in a worker process, a carried function first does what ``configure()`` left for it."""
    _settings.current.restore = (pool_work.restore, {"endpoint": "e"})
    carried = pickle.dumps(mlotel.carry(pool_work.what_was_restored))
    pool_work.restored.clear()
    assert pickle.loads(carried)() == [{"endpoint": "e"}]


@pytest.mark.lenient
def test_a_set_up_that_fails_does_not_stop_the_worker(capture, caplog):
    """When a worker cannot be set up, the function runs all the same and one line says so."""
    _settings.current.restore = (int, "no number")
    assert pickle.loads(pickle.dumps(mlotel.carry(abs)))(-1) == 1
    assert "could not set mlotel up in a worker process" in caplog.text


CHILD = """
    import json, os, sys
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    import mlotel
    found = []
    def note(c):
        span = c._scope.span
        found.append([f"{span.context.trace_id:032x}", span.parent and f"{span.parent.span_id:016x}",
                      span.attributes.get("ml.run.id")])
    with mlotel.pipeline("child") as run:
        note(run)
        with mlotel.component("c") as c:
            note(c)
    with mlotel.component("alone") as c:
        note(c)
    print(json.dumps(found))
"""


def child(environment, code=CHILD):
    import json

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_child_process_joins_trace_and_run(capture):
    """A child started with ``mlotel.environment()`` continues trace and run; so does its own child."""
    with mlotel.pipeline("p", run_id="r 1") as run, mlotel.component("outer"):
        environment = mlotel.environment()
        assert "TRACEPARENT" not in os.environ

    outer = f"{capture.span('component outer').context.span_id:016x}"
    assert environment["TRACEPARENT"] == f"00-{run.trace_id}-{outer}-01"
    pipeline, component, alone = child(environment)
    assert pipeline == [run.trace_id, outer, "r 1"]
    assert component[0] == run.trace_id
    assert component[2] == "r 1"
    assert alone == [run.trace_id, outer, "r 1"]

    grandchild = """
        import json, mlotel
        environment = mlotel.environment()
        print(json.dumps([environment["TRACEPARENT"], environment["BAGGAGE"]]))
    """
    assert child(environment, grandchild) == [environment["TRACEPARENT"], environment["BAGGAGE"]]


def test_the_environment_is_a_copy(capture):
    """``environment()`` starts from this process's or the given one, and removes what belongs to another trace."""
    with mlotel.pipeline("p"):
        environment = mlotel.environment({"A": "1", "TRACESTATE": "old=1"})
        assert set(environment) == {"A", "TRACEPARENT", "BAGGAGE"}
        assert mlotel.environment()["PATH"] == os.environ["PATH"]
    assert mlotel.environment({"TRACEPARENT": "stale", "BAGGAGE": "stale=1"}) == {}


def test_a_child_with_only_the_run(capture):
    """``BAGGAGE`` alone joins the run in a trace of its own."""
    pipeline, component, alone = child({"BAGGAGE": "ml.run.id=shared,other=1", "PATH": os.environ["PATH"]})
    assert [pipeline[2], component[2], alone[2]] == ["shared"] * 3
    assert pipeline[1] is None
    assert alone[0] != pipeline[0]


@pytest.mark.parametrize("value", ["", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-abc-def-01", "\udcff"])
def test_a_broken_traceparent_is_ignored(value):
    """A ``TRACEPARENT`` that cannot be read begins a trace of its own; the run in ``BAGGAGE`` still counts."""
    environment = {"TRACEPARENT": value, "BAGGAGE": "ml.run.id=shared", "PATH": os.environ["PATH"]}
    pipeline, component, _ = child(environment)
    assert pipeline[1] is None
    assert len(pipeline[0]) == 32
    assert pipeline[2] == "shared"
    assert component[0] == pipeline[0]


def test_a_span_of_the_host_goes_before_the_environment(capture, monkeypatch):
    """Where the application has a current span, ``TRACEPARENT`` of the process does not count."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    tracer = capture.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("request"), mlotel.pipeline("inside"):
        pass
    with mlotel.pipeline("outside"):
        pass

    assert capture.span("pipeline inside").parent.span_id == capture.span("request").context.span_id
    assert f"{capture.span('pipeline outside').parent.span_id:016x}" == "cd" * 8


def test_the_environment_is_looked_at_again_when_it_changes(capture, monkeypatch):
    """A ``TRACEPARENT`` that changes while the process runs counts from then on, with the ``BAGGAGE`` beside it."""
    seen = []
    for trace_parent, run_id in (("ab", "one"), ("ef", "two"), (None, None)):
        for name, value in (
            ("TRACEPARENT", trace_parent and f"00-{trace_parent * 16}-{'cd' * 8}-01"),
            ("BAGGAGE", run_id and f"ml.run.id={run_id}"),
        ):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        with mlotel.pipeline("p") as run:
            seen.append((run.trace_id[:2], run.id))

    assert seen == [("ab", "one"), ("ef", "two"), ("00", f"{1:032x}")]


def test_baggage_of_the_host_does_not_hide_the_inherited_run(capture, monkeypatch):
    """Baggage that the application put into its context lies beside what the parent process handed down."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    monkeypatch.setenv("BAGGAGE", "ml.run.id=shared,customer=parent")
    token = context.attach(baggage.set_baggage("customer", "own"))
    token_of_a_no_op = context.attach(trace.set_span_in_context(trace.INVALID_SPAN))
    try:
        with mlotel.pipeline("p") as run:
            assert baggage.get_baggage("customer") == "own"
    finally:
        context.detach(token_of_a_no_op)
        context.detach(token)

    assert run.id == "shared"
    assert f"{capture.span('pipeline p').parent.span_id:016x}" == "cd" * 8


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_inside_a_component(capture):
    """A forked child goes on inside the component: what it records belongs to the same trace and run."""
    workers = multiprocessing.get_context("fork")
    queue = workers.SimpleQueue()

    def work():
        queue.put(pool_work.work(7))

    with mlotel.pipeline("p") as run, mlotel.component("outer"):
        process = workers.Process(target=work)
        process.start()
        found = queue.get()
        process.join()

    outer = f"{capture.span('component outer').context.span_id:016x}"
    assert found == (7, run.trace_id, outer, run.id)
