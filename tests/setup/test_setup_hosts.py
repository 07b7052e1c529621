"""Every way a process can end, with the receiver there and with nobody listening: what was recorded is delivered,
or on disk, exactly once, and the program ends as it would without mlotel."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest
from programs import finish, start
from records import spooled
from sinks import refused_port

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork are POSIX's")


class Receiver:
    """Where a program sends to, and what it has made of it: what arrived, and what lies on disk."""

    def __init__(self, sink, folder):
        self.sink = sink
        self.folder = folder
        self.endpoint = f"http://127.0.0.1:{refused_port()}" if sink is None else sink.endpoint

    def records(self, kind):
        arrived = [] if self.sink is None else self.sink._decoded(kind)
        return arrived + spooled(self.folder / ".mlotel" / "spool")[kind]

    def names(self):
        """How many spans of each name there are, wherever they are."""
        return Counter(span["name"] for span in self.records("traces"))

    def ids(self):
        return Counter(span["span_id"] for span in self.records("traces"))


@pytest.fixture(params=["up", "down"])
def receiver(request, tmp_path):
    """A receiver that takes everything, and one that is not there."""
    return Receiver(request.getfixturevalue("http_sink") if request.param == "up" else None, tmp_path)


def launch(receiver, code):
    return start(
        f"ENDPOINT = {receiver.endpoint!r}\n" + textwrap.dedent(code),
        folder=str(receiver.folder),
        environment={"OTEL_BSP_SCHEDULE_DELAY": "60000"},  # nothing leaves unless the end sees to it
    )


ENDS = {
    "return": ("", 0),
    "exception": ("1 / 0", 1),
    "sys.exit": ("sys.exit(3)", 3),
    "sys.exit in a component": ("with mlotel.component('last'): sys.exit(3)", 3),
    "exit by a thread": ("threading.Thread(target=lambda: (time.sleep(0.2), record('late'))).start()", 0),
    "daemon threads that go on": (
        "threading.Thread(target=lambda: [time.sleep(0.001) for _ in iter(int, 1)], daemon=True).start()", 0,
    ),
    "os._exit after flush": ("telemetry.flush(); os._exit(7)", 7),
    # CPython takes 1 for 130 when code is compiled after the interrupt: give the last imports time.
    "interrupt": ("time.sleep(0.5); os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", -signal.SIGINT),
    "interrupt that is caught": (
        "try: os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\nexcept KeyboardInterrupt: sys.exit(130)", 130,
    ),
    "sigterm": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", -signal.SIGTERM),
    "sighup": ("os.kill(os.getpid(), signal.SIGHUP); time.sleep(5)", -signal.SIGHUP),
    "sigterm with a handler that exits": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", 9,
    ),
    "sigterm in a lock": (
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start(); threading.Event().wait()",
        -signal.SIGTERM,
    ),
}  # fmt: skip


@posix
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.replace(" ", "-"))
def test_every_end_delivers_or_spools_everything_once(end, receiver):
    """Spans, events and metrics of a program are all there, none twice, and its exit status is its own."""
    code, status = ENDS[end]
    program = finish(launch(receiver, f"import signal\ntelemetry = configure(endpoint=ENDPOINT)\nwork()\n{code}\n"))

    assert program.status == status, program.log
    assert receiver.names()["work"] == 3
    assert set(receiver.ids().values()) == {1}
    assert [log["name"] for log in receiver.records("logs")].count("ml.run.started") == 1
    assert "rows" in {point["name"] for point in receiver.records("metrics")}
    assert receiver.names()["late"] == (1 if "late" in code else 0)
    assert "Exception ignored" not in program.log


@posix
@pytest.mark.parametrize(
    "call",
    [
        "import hashlib; hashlib.pbkdf2_hmac('sha256', b'x', b'y', 6_000_000)",  # lets go of the interpreter
        "import numpy; numpy.linalg.svd(numpy.ones((900, 900)) + numpy.eye(900))",  # likewise
        "pow(3, 1 << 21)",  # holds on to it
    ],
    ids=["hashlib", "numpy", "pow"],
)
def test_sigterm_in_the_middle_of_a_long_call_of_c_code(call, receiver):
    """The signal waits for the call, as Python has it; then everything leaves, and the process dies of the signal."""
    process = launch(
        receiver,
        f"telemetry = configure(endpoint=ENDPOINT)\nwork()\nshow(ready=1)\nfor _ in range(1000): {call}\n",
    )
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    program = finish(process, 60)

    assert program.status == -signal.SIGTERM
    assert receiver.names() == {"work": 3}


@posix
def test_records_leave_while_a_call_of_c_code_keeps_the_signal_waiting(http_sink, tmp_path):
    """What a supervisor kills after a grace period has delivered before: recording threads do not wait for the call."""
    process = start(
        f"""
        import ctypes
        telemetry = configure(endpoint={http_sink.endpoint!r})
        work()
        show(ready=1)
        libc = ctypes.CDLL(None)
        while True: ctypes.CDLL(None).usleep(900_000)
        """,
        folder=str(tmp_path),
    )
    process.stdout.readline()
    assert http_sink.wait_for(lambda sink: len(sink.spans()) == 3)
    process.kill()
    finish(process)


@posix
@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM)])
def test_a_second_signal_does_not_wait(signals, http_sink, tmp_path):
    """Where the receiver hangs at the end, more of the same signal ends the program sooner than the time limit."""
    http_sink.behaviour = "hang"
    process = start(
        f"telemetry = configure(endpoint={http_sink.endpoint!r})\nwork()\nshow(ready=1)\ntime.sleep(60)\n",
        folder=str(tmp_path),
    )
    process.stdout.readline()
    time.sleep(0.5)  # see above: the last imports
    began = time.monotonic()
    process.send_signal(signals[0])
    time.sleep(0.3)
    while process.poll() is None and time.monotonic() - began < 10:
        process.send_signal(signals[1])
        time.sleep(0.3)
    program = finish(process)

    assert program.status == -signals[0]
    assert time.monotonic() - began < 5


@posix
def test_one_interrupt_at_the_end_does_not_break_it_off(receiver):
    """Ctrl-C while the last records leave is waited out; the exit status stays the program's."""
    program = finish(
        launch(
            receiver,
            """
            import atexit, signal
            telemetry = configure(endpoint=ENDPOINT)
            work()
            finish = telemetry.finish
            def interrupted(*arguments):
                print("interrupted")
                os.kill(os.getpid(), signal.SIGINT)
                return finish(*arguments)
            telemetry.finish = interrupted
            """,
        )
    )

    assert (program.status, program.output, program.log.count("KeyboardInterrupt")) == (0, "interrupted\n", 0)
    assert receiver.names() == {"work": 3}


@posix
def test_sigterm_at_the_end_waits_for_it_and_then_kills(receiver):
    """SIGTERM that arrives while the last records leave is not lost, and neither are they."""
    program = finish(
        launch(
            receiver,
            """
            import signal
            telemetry = configure(endpoint=ENDPOINT)
            work()
            finish = telemetry.finish
            def terminated(*arguments):
                os.kill(os.getpid(), signal.SIGTERM)
                return finish(*arguments)
            telemetry.finish = terminated
            """,
        )
    )

    assert program.status == -signal.SIGTERM
    assert receiver.names() == {"work": 3}


def test_exit_handlers_of_the_application_may_record(receiver):
    """Handlers registered before and after configure() record like any other code, whichever runs first."""
    program = finish(
        launch(
            receiver,
            """
            import atexit
            atexit.register(record, "registered before")
            telemetry = configure(endpoint=ENDPOINT)
            atexit.register(record, "registered after")
            record("main")
            """,
        )
    )

    assert (program.status, program.log.count("Traceback")) == (0, 0)
    assert receiver.names() == {"main": 1, "registered before": 1, "registered after": 1}


@posix
def test_sigterm_ends_a_program_whose_own_exit_handler_hangs(receiver):
    """Between our two steps of the end the signal is what it was: an exit handler that hangs can be ended by it."""
    process = launch(
        receiver,
        """
        import atexit
        atexit.register(time.sleep, 60)
        telemetry = configure(endpoint=ENDPOINT)
        work()
        atexit.register(show, ready=1)
        """,
    )
    process.stdout.readline()
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    program = finish(process)

    assert program.status == -signal.SIGTERM
    assert receiver.names() == {"work": 3}


@posix
def test_sigterm_while_a_lock_of_ours_is_held_ends_in_time(tmp_path):
    """A handler may interrupt anything: where the flush cannot go on, the process dies after the time limit."""
    process = start(
        """
        from mlotel._setup import _endings
        _endings._TIME_LIMIT_S = 1.0
        telemetry = configure()
        record()
        stuck = threading.Event()
        telemetry.finish = lambda timeout_s: stuck.wait()
        show(ready=1)
        while True: time.sleep(0.01)
        """,
        folder=str(tmp_path),
    )
    process.stdout.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    program = finish(process)

    assert program.status == -signal.SIGTERM
    assert 1.0 < time.monotonic() - began < 4


def test_sigkill_loses_the_last_batch_and_no_more_and_the_run_shows_as_lost(receiver):
    """What had been flushed is there; `mlotel runs` shows the run, and when it was last seen."""
    process = start(
        f"""
        telemetry = configure(endpoint={receiver.endpoint!r})
        with mlotel.pipeline("nightly", run_id="nightly-1"), mlotel.component("train"):
            record("flushed", spans=4)
            telemetry.flush()
            record("last batch")
            show(ready=1)
            time.sleep(0.6)
            os.kill(os.getpid(), 9)
        """,
        folder=str(receiver.folder),
        environment={"OTEL_BSP_SCHEDULE_DELAY": "60000", "MLOTEL_HEARTBEAT_S": "0.2"},
    )
    finish(process)

    assert receiver.names()["flushed"] == 4
    events = [log["name"] for log in receiver.records("logs")]
    assert events.count("ml.run.started") == 1
    assert events.count("ml.run.heartbeat") >= 1
    if receiver.sink is None:
        time.sleep(0.8)
        listed = subprocess.run(
            [sys.executable, "-m", "mlotel", "runs"], cwd=receiver.folder, capture_output=True, text=True, check=True
        ).stdout
        [row] = listed.splitlines()[1:]
        assert row.startswith("nightly-1 ")
        assert "▲" in row
        assert "last seen today" in row


# Children


@posix
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children(method, receiver):
    """Children of every kind deliver their own, from zero, as instances of their own; the parent's stay its own."""
    code = f"""
        import multiprocessing
        from mlotel import _settings

        def child(setup):
            setup[0](setup[1])
            record("in child", spans=2)
            metrics.get_meter("m").create_counter("c").add(1)

        if __name__ == "__main__":
            telemetry = configure("batch", endpoint=ENDPOINT, quiet=True)
            metrics.get_meter("m").create_counter("c").add(1000)
            record("in parent")
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=child, args=(_settings.current.restore,)) for _ in range(2)]
            for one in children: one.start()
            for one in children: one.join()
            show(status=[one.exitcode for one in children])
        """
    program = finish(launch(receiver, code), 90)

    assert (program.status, program.shown["status"]) == (0, [0, 0]), program.log
    assert receiver.names() == {"in child": 4, "in parent": 1}
    instances = {span["resource"]["service.instance.id"] for span in receiver.records("traces")}
    assert len(instances) == 3
    latest = {
        point["resource"]["service.instance.id"]: point["value"]
        for point in receiver.records("metrics")
        if point["name"] == "c"
    }
    assert sorted(latest.values()) == [1, 1, 1000]


@posix
def test_pool_terminate_and_pools_of_futures(receiver):
    """Workers that are terminated in the middle of their wait, and those that end with their pool, lose nothing."""
    code = """
        import multiprocessing, warnings
        from concurrent.futures import ProcessPoolExecutor
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what this is about

        def task(name):
            record(name)
            return os.getpid()

        if __name__ == "__main__":
            telemetry = configure(endpoint=ENDPOINT)
            pool = multiprocessing.get_context("fork").Pool(2)
            pool.map(task, ["terminated"] * 4, chunksize=1)
            pool.terminate(); pool.join()
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
                list(pool.map(task, ["future"] * 4))
    """
    program = finish(launch(receiver, code), 60)

    assert program.status == 0, program.log
    assert receiver.names() == {"terminated": 4, "future": 4}


@posix
@pytest.mark.parametrize("end", ["os._exit(0)", "telemetry.shutdown(); os._exit(0)"])
def test_a_fork_in_the_middle_of_an_export(end, http_sink, tmp_path):
    """A child forked while a batch is on its way sends none of the parent's; both deliver their own, once."""
    program = finish(
        start(
            f"""
            telemetry = configure(endpoint={http_sink.endpoint!r})
            children = []
            for turn in range(12):
                record("parent", spans=40)
                asking = threading.Thread(target=telemetry.flush); asking.start()
                time.sleep(0.002 * turn)
                child = os.fork()
                if child == 0:
                    record("child", spans=2)
                    telemetry.flush()
                    {end}
                children.append(child)
                asking.join()
            show(status=[os.waitpid(child, 0)[1] for child in children])
            show(parent=counts(telemetry.shutdown()))
            """,
            folder=str(tmp_path),
        ),
        90,
    )

    assert program.shown["status"] == [0] * 12
    assert program.shown["parent"]["exported"]["traces"] == 480
    receiver = Receiver(http_sink, tmp_path)
    assert receiver.names() == {"parent": 480, "child": 24}
    assert set(receiver.ids().values()) == {1}


def test_a_subinterpreter_records_nothing_and_does_no_harm(tmp_path):
    """A subinterpreter ends with the process alive: no thread of ours is in it, and the main one goes on recording."""
    code = '''
        try:
            import _interpreters as interpreters
            create, run = lambda: interpreters.create("legacy"), interpreters.exec
        except ImportError:
            import _xxsubinterpreters as interpreters
            create, run = lambda: interpreters.create(isolated=False), interpreters.run_string
        telemetry = configure()
        record("main")
        for _ in range(2):
            other = create()
            run(other, """if True:
                import mlotel, threading
                telemetry = mlotel.configure()
                with mlotel.pipeline("sub"), mlotel.component("c") as c:
                    c.param(a=1)
                telemetry.flush()
                print(telemetry, threading.active_count(), flush=True)
                """)
            interpreters.destroy(other)
        record("main")
        show(flush=counts(telemetry.flush()))
    '''
    program = finish(start(code, folder=str(tmp_path)), 60)

    assert program.status == 0, program.log
    assert program.output.count("<Telemetry disabled: subinterpreters cannot have background threads> 1") == 2
    assert program.shown["flush"]["spooled"]["traces"] == 2
