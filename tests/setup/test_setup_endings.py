"""The ends of a process, and its forks: nothing recorded is lost, and nobody waits longer than agreed."""

import signal
import time

import pytest
from programs import finish, run, start, wait_until
from records import DECODE, request_of, spooled


def names_by_process(folder):
    """Names of spans in the spool, by the id of the process that recorded them."""
    found = {}
    for span in spooled(folder / ".mlotel" / "spool")["traces"]:
        found.setdefault(span["resource"]["process.pid"], []).append(span["name"])
    return found


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1), ("telemetry.flush(); os._exit(0)", 0)],
)
def test_nothing_is_lost_at_the_end(end, status, tmp_path):
    """Return, exit, an uncaught exception, and os._exit() after flush(): every record is in the spool."""
    run(f"telemetry = configure()\nwork()\n{end}\n", status=status, folder=str(tmp_path))

    found = spooled(tmp_path / ".mlotel" / "spool")
    assert [len(found[kind]) for kind in ("traces", "logs")] == [3, 1]
    assert "rows" in {point["name"] for point in found["metrics"]}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_end_waits_five_seconds_at_most_for_a_hanging_endpoint(protocol, http_sink, grpc_sink, tmp_path):
    """A program whose receiver hangs ends by itself after the time limit, with its own exit status."""
    sink = grpc_sink if protocol == "grpc" else http_sink
    sink.behaviour = "hang"
    process = start(
        f"""
        from mlotel._setup import _endings
        _endings._TIME_LIMIT_S = 1.0
        telemetry = configure(endpoint={sink.endpoint!r}, protocol={protocol!r})
        record()
        show(ended=time.time())
        raise SystemExit(4)
        """,
        folder=str(tmp_path),
    )
    program = finish(process)

    assert program.status == 4
    assert time.time() - program.shown["ended"] < 4.0


def test_sigterm_flushes_and_then_kills(tmp_path):
    """SIGTERM with its default action: records are on disk, and the process still dies of SIGTERM."""
    process = start(
        """
        telemetry = configure()
        record(spans=3)
        show(ready=True)
        while True: time.sleep(0.05)
        """,
        folder=str(tmp_path),
    )
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    program = finish(process)

    assert program.status == -signal.SIGTERM
    assert len(spooled(tmp_path / ".mlotel" / "spool")["traces"]) == 3


def test_a_handler_of_the_application_is_left_alone(tmp_path):
    """Where the application handles SIGTERM nothing is put before it; shutdown() gives the default action back."""
    program = run(
        """
        import signal
        mine = lambda number, frame: None
        signal.signal(signal.SIGTERM, mine)
        configure().shutdown()
        show(mine=signal.getsignal(signal.SIGTERM) is mine)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        telemetry = configure()
        show(ours=signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
        telemetry.shutdown()
        show(back=signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        thread = threading.Thread(target=configure); thread.start(); thread.join()
        show(thread=signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """,
        folder=str(tmp_path),
    )

    assert program.shown == {"mine": True, "ours": True, "back": True, "thread": True}


def test_a_started_run_leaves_at_once(http_sink):
    """ml.run.started arrives within a second however long batches wait; a killed run has left a trace."""
    process = start(
        f"""
        configure(endpoint={http_sink.endpoint!r})
        event("ml.exception")
        event("ml.run.started")
        show(at=time.time())
        time.sleep(30)
        """,
        environment={"OTEL_BLRP_SCHEDULE_DELAY": "20000"},
    )
    arrived = http_sink.wait_for(lambda sink: sink.logs())
    at = time.time()
    process.kill()
    program = finish(process)

    assert arrived
    assert at - program.shown["at"] < 1.0
    assert [log["name"] for log in http_sink.logs()] == ["ml.exception", "ml.run.started"]


def test_a_forked_child_has_its_own_records_file_and_counts(tmp_path):
    """After fork the child starts at zero, in a file of its own, as another instance; the parent's records stay its."""
    program = run(
        """
        telemetry = configure()
        counter = metrics.get_meter("m").create_counter("c")
        counter.add(1000)
        record("before fork", spans=2)
        child = os.fork()
        if child == 0:
            record("in child", spans=3)
            counter.add(1)
            show(child=counts(telemetry.flush()), child_pid=os.getpid())
            os._exit(0)
        os.waitpid(child, 0)
        record("after fork")
        show(parent=counts(telemetry.shutdown()), parent_pid=os.getpid())
        """,
        folder=str(tmp_path),
    )

    shown = program.shown
    assert shown["child"]["spooled"]["traces"] == 3
    assert shown["parent"]["spooled"]["traces"] == 3
    by_process = names_by_process(tmp_path)
    assert by_process[shown["child_pid"]] == ["in child"] * 3
    assert by_process[shown["parent_pid"]] == ["before fork", "before fork", "after fork"]
    found = spooled(tmp_path / ".mlotel" / "spool")
    ids = {span["resource"]["process.pid"]: span["resource"]["service.instance.id"] for span in found["traces"]}
    assert len(set(ids.values())) == 2
    sums = {(p["resource"]["process.pid"], p["value"]) for p in found["metrics"] if p["name"] == "c"}
    assert sums == {(shown["parent_pid"], 1000), (shown["child_pid"], 1)}
    assert {f"-{pid}-" for pid in by_process} == {
        next(f"-{pid}-" for pid in by_process if f"-{pid}-" in file.name)
        for file in (tmp_path / ".mlotel" / "spool").glob("*.jsonl")
    }
    assert program.log == ""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_forked_child_opens_its_own_connection(protocol, http_sink, grpc_sink):
    """Parent and child both deliver after a fork, each record once."""
    sink = grpc_sink if protocol == "grpc" else http_sink
    run(f"""
        telemetry = configure(endpoint={sink.endpoint!r}, protocol={protocol!r})
        record("before"); telemetry.flush()
        children = []
        for number in range(3):
            child = os.fork()
            if child == 0:
                record("child"); telemetry.shutdown(); os._exit(0)
            children.append(child)
        for number in range(5):
            record("parent"); telemetry.flush()
        for child in children: os.waitpid(child, 0)
    """)

    names = [span["name"] for span in sink.spans()]
    assert sorted(names) == ["before"] + ["child"] * 3 + ["parent"] * 5
    peers = {}
    for kind, request, headers in sink.requests:
        if kind == "traces":
            peers.setdefault(headers["peer"], set()).update(span["name"] for span in DECODE["traces"](request))
    assert sorted(map(sorted, peers.values())) == [["before", "parent"], ["child"], ["child"], ["child"]]


def test_fork_in_the_middle_of_a_collection(tmp_path):
    """A child forked while metrics are being collected still delivers its own."""
    program = run(
        """
        inside = threading.Event()
        def slow(options):
            inside.set(); time.sleep(0.3)
            return [metrics.Observation(os.getpid())]
        telemetry = configure()
        metrics.get_meter("m").create_observable_gauge("pid", [slow])
        asking = threading.Thread(target=telemetry.flush); asking.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            inside.clear()
            telemetry.shutdown(); os._exit(0)
        asking.join()
        show(child=child, status=os.waitpid(child, 0)[1])
        """,
        folder=str(tmp_path),
    )

    values = {point["value"] for point in spooled(tmp_path / ".mlotel" / "spool")["metrics"] if point["name"] == "pid"}
    assert program.shown["child"] in values


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_deliver_their_records(method, tmp_path):
    """A multiprocessing target that just returns has lost nothing, however its process was started."""
    program = run(
        f"""
        import multiprocessing
        from mlotel import _settings

        def child(setup):
            setup[0](setup[1])
            record("in child", spans=2)
            metrics.get_meter("m").create_counter("c").add(1)

        if __name__ == "__main__":
            telemetry = configure("batch", quiet=True)
            process = multiprocessing.get_context({method!r}).Process(target=child, args=(_settings.current.restore,))
            process.start(); process.join()
            show(status=process.exitcode, pid=process.pid)
            record("in parent")
        """,
        folder=str(tmp_path),
    )

    assert program.shown["status"] == 0
    found = spooled(tmp_path / ".mlotel" / "spool")
    by_process = names_by_process(tmp_path)
    assert by_process.pop(program.shown["pid"]) == ["in child"] * 2
    assert list(by_process.values()) == [["in parent"]]
    assert {span["resource"]["service.name"] for span in found["traces"]} == {"batch"}
    assert ("c", 1) in {(point["name"], point["value"]) for point in found["metrics"]}


def test_process_pools_of_the_standard_library(tmp_path):
    """Workers of a ProcessPoolExecutor deliver what they recorded, when the pool ends."""
    run(
        """
        from concurrent.futures import ProcessPoolExecutor
        import multiprocessing

        def task(number):
            record("task")
            return os.getpid()

        telemetry = configure()
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            show(pids=list(pool.map(task, range(4))))
        """,
        folder=str(tmp_path),
    )

    assert sum(len(names) for names in names_by_process(tmp_path).values()) == 4


def test_killed_process_leaves_whole_lines(tmp_path):
    """SIGKILL in the middle of everything: what was flushed is there, and only the last line may be torn."""
    process = start(
        """
        telemetry = configure()
        record("flushed", spans=5)
        telemetry.flush()
        show(file=telemetry.spool_file)
        while True: record("later")
        """,
        folder=str(tmp_path),
    )
    process.stdout.readline()
    [file] = (tmp_path / ".mlotel" / "spool").glob("*.jsonl")
    assert wait_until(lambda: file.stat().st_size > 200_000)
    process.kill()
    finish(process)

    lines = file.read_bytes().splitlines()[:-1]
    names = [
        span["name"] for line in lines for signal, request in [request_of(line)] for span in DECODE[signal](request)
    ]
    assert names[:5] == ["flushed"] * 5
    assert len(names) > 500


def test_the_end_of_a_run_does_not_wait_for_a_batch(tmp_path):
    """Another process sees that a run has ended while the program that ran it goes on."""
    code = "configure()\nwith mlotel.pipeline('nightly'), mlotel.component('clean'):\n    pass\ntime.sleep(60)\n"
    process = start(code, folder=str(tmp_path))
    try:
        within_s = 4  # a batch would wait for five
        assert wait_until(
            lambda: any("pipeline nightly" in names for names in names_by_process(tmp_path).values()), within_s
        )
    finally:
        process.kill()
        process.communicate()
