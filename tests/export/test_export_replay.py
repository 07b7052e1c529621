"""What waits on disk is delivered once, in order, and every record that is not is counted."""

import gc
import threading
import time

import pytest
import spool_files
from spool_files import Receiver, inside, line, log_line, metric_line

from mlotel.export import _claims, replay
from mlotel.export._sender import Answer


def test_everything_is_sent_oldest_first_and_removed(folder):
    """Lines in the order of their files and within them; then nothing is left on disk."""
    now = time.time()
    spool_files.put(folder, [line([4]), line([5, 6])], unique="00000a", changed=now - 10)
    spool_files.put(folder, [line([0, 1]), line([2])], unique="00000b", changed=now - 30)
    spool_files.put(folder, [line([3])], unique="00000b", part=2, changed=now - 20)
    receiver = Receiver()

    replayer = receiver.run(folder)

    assert receiver.numbers() == [0, 1, 2, 3, 4, 5, 6]
    assert [records for _, _, records in receiver.delivered] == [2, 1, 1, 1, 2]
    assert (receiver.dropped, replayer.answers, replayer.left) == ([], {}, {})
    assert inside(folder) == []


def test_the_report_names_the_file(folder):
    """Whoever counts needs to know whose records they were, while the file is still there."""
    path = spool_files.put(folder, [line([1]), b"no line\n"])
    seen = []
    replayer = replay.Replayer(
        folder,
        {"traces": lambda body: Answer("accepted")},
        on_delivered=lambda path, *what: seen.append((path, path.exists(), *what)),
        on_dropped=lambda path, *what: seen.append((path, path.exists(), *what)),
    )

    replayer.run(None, threading.Event())

    assert seen == [(path, True, "traces", 1), (path, True, "traces", 1, "encode")]


def test_local_recordings_are_sent_when_asked_for_and_stay(folder):
    """They are marked, so that they are not sent a second time; what is added later is."""
    path = spool_files.put(folder, [line([1]), log_line(2), metric_line(3)], pending=False)
    receiver = Receiver()
    receiver.run(folder)
    assert receiver.bodies == []

    for _ in range(2):
        receiver.run(folder, recordings=True)

    assert (receiver.numbers("traces"), receiver.numbers("logs"), receiver.numbers("metrics")) == ([1], [2], [3])
    assert inside(folder) == [path.name, f"{path.name}.sent"]
    with path.open("ab") as file:
        file.write(line([4]))
    receiver.run(folder, recordings=True)
    assert receiver.numbers() == [1, 4]


@pytest.mark.parametrize("verdict", ["later", "misconfigured"])
def test_a_receiver_that_cannot_take_more_ends_the_pass(folder, verdict):
    """What was delivered is not sent again, what was not is; nothing counts as lost."""
    now = time.time()
    spool_files.put(folder, [line([0]), line([1]), line([2])], unique="00000a", changed=now - 20)
    spool_files.put(folder, [line([3])], unique="00000b", changed=now - 10)
    answer = Answer(verdict, message="go away", retry_after_s=7.0)
    receiver = Receiver("accepted", answer)

    replayer = receiver.run(folder, signals=("traces",))

    assert receiver.numbers() == [0]
    assert replayer.answers == {"traces": answer}
    receiver.run(folder)
    assert receiver.numbers() == [0, 1, 2, 3]
    assert receiver.dropped == []
    assert inside(folder) == []


def test_signals_do_not_wait_for_each_other(folder):
    """A receiver without metrics, as some are, does not keep traces and logs on disk; later the metrics go, once."""
    lines = [metric_line(0), line([1]), log_line(2), metric_line(3), line([4]), log_line(5)]
    spool_files.put(folder, lines)
    receiver = Receiver()
    refusals = []

    def refuse(body):
        refusals.append(body)
        return Answer("misconfigured")

    replayer = receiver.replayer(folder)
    replayer._send["metrics"] = refuse
    replayer.run(None, threading.Event())

    assert (receiver.numbers("traces"), receiver.numbers("logs")) == ([1, 4], [2, 5])
    assert len(refusals) == 1, "it is not asked again in this pass"
    replayer.run(None, threading.Event())
    assert len(refusals) == 2
    assert len(receiver.bodies) == 4
    receiver.run(folder)
    assert receiver.numbers("metrics") == [0, 3]
    assert len(receiver.bodies) == 6
    assert inside(folder) == []


def test_a_line_of_several_signals_is_sent_signal_by_signal(folder):
    """Other programs may write such; what one receiver took is not sent to it again because of another."""
    both = line([1])[:-2] + b"," + metric_line(2)[1:]
    spool_files.put(
        folder, [both, both.replace(b'"asInt":"2"', b'"asInt":"4"').replace(b'"intValue":"1"', b'"intValue":"3"')]
    )
    receiver = Receiver()

    receiver.run(folder, signals=("traces",))
    receiver.run(folder, signals=("traces",))
    assert receiver.numbers() == [1, 3]
    receiver.run(folder)

    assert (receiver.numbers(), receiver.numbers("metrics")) == ([1, 3], [2, 4])
    assert inside(folder) == []


def test_signals_without_a_receiver_stay(folder):
    """What nobody takes is neither sent nor lost."""
    spool_files.put(folder, [line([0]), metric_line(1), line([2])], unique="00000a")
    spool_files.put(folder, [metric_line(3)], unique="00000b")
    receiver = Receiver()

    receiver.run(folder, signals=("traces",))
    receiver.run(folder, signals=())

    assert receiver.numbers() == [0, 2]
    assert len([name for name in inside(folder) if name.endswith(".jsonl")]) == 2
    receiver.run(folder)
    assert sorted(receiver.numbers("metrics")) == [1, 3]
    assert inside(folder) == []


def test_what_is_refused_is_counted_and_does_not_stop_the_rest(folder):
    """A batch that the receiver will never take is lost, and said to be."""
    spool_files.put(folder, [line([0]), line([1, 2]), line([3])])
    receiver = Receiver("accepted", "refused")

    receiver.run(folder)

    assert receiver.numbers() == [0, 3]
    assert receiver.dropped == [("traces", 2, "refused")]
    assert inside(folder) == []


def test_partial_success_is_counted(folder):
    """Records that an accepted request did not take are lost; never more than there were."""
    spool_files.put(folder, [line([0, 1, 2]), line([3]), line([4])])
    receiver = Receiver(Answer("accepted", rejected=2), Answer("accepted", rejected=9))

    receiver.run(folder)

    assert [records for _, _, records in receiver.delivered] == [1, 1]
    assert receiver.dropped == [("traces", 2, "refused"), ("traces", 1, "refused")]


class Narrow(Receiver):
    """Takes requests of so many records at most, and after so many requests none for now."""

    def __init__(self, most, requests=10**9):
        super().__init__()
        self.most = most
        self.requests = requests

    def send(self, signal):
        from records import DECODE, REQUESTS

        def send(body):
            if len(DECODE[signal](REQUESTS[signal].FromString(body))) > self.most:
                return Answer("too_large")
            if len(self.bodies) >= self.requests:
                return Answer("later")
            self.bodies.append((signal, body))
            return Answer("accepted")

        return send


def test_a_request_that_is_too_large_goes_in_parts(folder):
    """Halved until it fits, in the order of its records."""
    spool_files.put(folder, [line(range(11)), line([11])])
    receiver = Narrow(3)

    receiver.run(folder)

    assert receiver.numbers() == list(range(12))
    assert sum(records for _, _, records in receiver.delivered) == 12
    assert receiver.dropped == []


def test_a_record_that_is_too_large_alone_is_refused(folder):
    """It could never be delivered."""
    spool_files.put(folder, [line(range(3))])
    receiver = Narrow(0)

    receiver.run(folder)

    assert receiver.dropped == [("traces", 1, "refused")] * 3
    assert inside(folder) == []


def test_parts_that_were_delivered_are_not_sent_again(folder):
    """Also when the receiver goes away in the middle of a line: the rest of the line comes next time."""
    spool_files.put(folder, [line([0]), line(range(1, 9)), line([9])])
    receiver = Narrow(2, requests=3)
    for requests in (3, 4, 99):
        receiver.requests = requests
        receiver.run(folder, now_s=lambda minutes=requests: 60.0 * minutes)

    assert sorted(receiver.numbers()) == list(range(10))
    assert sum(records for _, _, records in receiver.delivered) == 10


@pytest.mark.parametrize(
    ("rest", "arrived", "counted"),
    [
        (line([7, 8])[:-1], [7, 8], []),  # whole, but for its line end
        (line([7, 8])[:-2], [], [("traces", 2, "torn")]),
        (line([7, 8])[:30], [], [("traces", 1, "torn")]),
        (b"\0" * 512, [], [("traces", 1, "torn")]),
        (b"{}\n", [], [("traces", 1, "encode")]),
        (b'{"resourceLogs":[{"scopeLogs":[{]}\n', [], [("logs", 1, "encode")]),
        (b"\n\n  \n", [], []),
    ],
)
def test_what_cannot_be_read_is_counted_and_goes(folder, rest, arrived, counted):
    """A torn last line is what a crash leaves; others are damage. Neither keeps the file from being done with."""
    spool_files.put(folder, [line([0]), line([1]), rest])
    receiver = Receiver()

    receiver.run(folder)

    assert receiver.numbers()[:2] == [0, 1]
    assert len(receiver.numbers()) == 2 + (2 if rest == line([7, 8])[:-1] or (not counted and b"{" in rest) else 0)
    assert receiver.dropped == counted
    assert inside(folder) == []


def test_damage_in_the_middle_does_not_stop_the_rest(folder):
    """Each line stands for itself; what is counted is counted once, also over several passes."""
    spool_files.put(folder, [line([0]), b"%%%\n", line([1]), b"[]\n", line([2])])
    receiver = Receiver("accepted", "accepted", "later")
    for _ in range(2):
        receiver.run(folder)

    assert receiver.numbers() == [0, 1, 2]
    assert receiver.dropped == [("traces", 1, "encode")] * 2


def test_a_damaged_record_does_not_take_its_line_with_it(folder):
    """The good ones are delivered, the bad one is counted; once, though the line has to be sent twice."""
    spool_files.put(folder, [line([0, 1, 2]).replace(b'"intValue":"1"', b'"intValue":"one"')])
    receiver = Receiver("later")
    for _ in range(2):
        receiver.run(folder)

    assert receiver.numbers() == [0, 2]
    assert receiver.dropped == [("traces", 1, "encode")]
    assert inside(folder) == []


def test_a_line_longer_than_any_of_ours_is_passed_over(folder, monkeypatch):
    """It is not read into memory; the lines after it are sent."""
    monkeypatch.setattr(replay, "MAX_LINE", 2000)
    spool_files.put(folder, [line([0]), line(range(50)), line([1])])
    receiver = Receiver()

    receiver.run(folder)

    assert receiver.numbers() == [0, 1]
    [(signal, records, reason)] = receiver.dropped
    assert (signal, reason) == ("traces", "encode")
    assert records > 0


def test_files_of_both_versions_of_the_format_are_sent(folder):
    """A file as the first version wrote them, and one with marks and fields that a later version may have."""
    old = spool_files.put(folder, [line([0])], pending=False, unique="00000a")
    new = spool_files.put(
        folder,
        [line([1]), line([2]).replace(b'{"resourceSpans"', b'{"v":2,"resourceSpans"'), line([3])],
        unique="00000b",
    )
    (folder / f"{new.name}.sent").write_text(
        f'{{"version":9,"traces":[{len(line([1]))},0,"more"],"profiles":[7]}}', encoding="ascii"
    )
    receiver = Receiver()

    receiver.run(folder, recordings=True)

    assert sorted(receiver.numbers()) == [0, 2, 3]
    assert inside(folder) == [old.name, f"{old.name}.sent"]


def test_a_file_that_grows_while_it_is_read_is_sent_whole(folder, monkeypatch):
    """Where no lock keeps a writer away that was thought dead, what it adds is sent, and its file is not removed."""
    monkeypatch.setattr(_claims, "fcntl", None)
    path = spool_files.put(folder, [line([0])])
    receiver = Receiver()
    replayer = receiver.replayer(folder)
    deliver = replayer._send["traces"]

    def grow(body):
        if len(receiver.bodies) < 3:
            with path.open("ab") as file:
                file.write(line([len(receiver.bodies) + 1]))
        return deliver(body)

    replayer._send["traces"] = grow
    replayer.run(None, threading.Event())
    replayer.run(None, threading.Event())

    assert receiver.numbers() == [0, 1, 2, 3]
    assert inside(folder) == []


def test_the_deadline_and_the_stop_are_kept(folder):
    """A pass ends with the request under way, and the next one goes on where it ended."""
    spool_files.put(folder, [line([number]) for number in range(6)])
    receiver = Receiver()
    stop = threading.Event()
    replayer = receiver.replayer(folder)
    deliver = replayer._send["traces"]

    def slow(body):
        if len(receiver.bodies) == 1:
            stop.set()
        elif len(receiver.bodies) == 3:
            time.sleep(0.3)
        return deliver(body)

    replayer._send["traces"] = slow
    replayer.run(None, stop)
    assert receiver.numbers() == [0, 1]
    replayer.run(time.monotonic() + 0.2, threading.Event())
    assert receiver.numbers() == [0, 1, 2, 3]
    replayer.run(time.monotonic() - 1, threading.Event())
    assert receiver.numbers() == [0, 1, 2, 3]
    replayer.run(None, threading.Event())
    assert receiver.numbers() == [0, 1, 2, 3, 4, 5]


def test_a_pause_ends_when_it_is_told_to(folder):
    """Replay rests most of the time; nobody waits for that."""
    spool_files.put(folder, [line(range(300)), line(range(300))])
    receiver = Receiver()
    stop = threading.Event()
    replayer = receiver.replayer(folder, share=0.001)
    timer = threading.Timer(0.3, stop.set)
    begin = time.monotonic()
    timer.start()

    replayer.run(None, stop)

    assert 0.25 < time.monotonic() - begin < 3
    assert len(receiver.bodies) == 1
    timer.join()


@pytest.mark.lenient
def test_a_failure_of_ours_is_no_loss(folder, caplog):
    """What fails for a reason that nobody thought of stays on disk, and is said once."""
    now = time.time()
    spool_files.put(folder, [line([0]), line([1])], unique="00000a", changed=now - 20)
    spool_files.put(folder, [line([2])], unique="00000b", changed=now - 10)
    receiver = Receiver()
    replayer = receiver.replayer(folder)
    deliver = replayer._send["traces"]
    failing = [False, True]

    def fail(body):
        if failing and failing.pop(0):
            raise ZeroDivisionError("odd")
        return deliver(body)

    replayer._send["traces"] = fail
    replayer.run(None, threading.Event())
    assert receiver.numbers() == [0, 2]
    assert list(replayer.left.values()) == ["odd"]
    assert caplog.text.count("could not deliver a spool file (ZeroDivisionError: odd)") == 1
    replayer.run(None, threading.Event())
    assert sorted(receiver.numbers()) == [0, 1, 2]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    """Neither does a file in its place; neither is an error."""
    (tmp_path / "file").write_text("x")
    receiver = Receiver()

    for name in ("none", "file", "file/below"):
        assert receiver.run(tmp_path / name).left == {}


def test_files_in_use_are_named(folder):
    """Whoever asks why records are still there can be told."""
    from mlotel.export.spool import SpoolWriter

    writer = SpoolWriter(folder, pending=True)
    writer.write(line([0]), {"traces": 1})
    receiver = Receiver()

    replayer = receiver.run(folder)

    assert replayer.left == {writer.file: "another process writes or sends it"}
    writer.rotate()
    receiver.run(folder)
    assert receiver.numbers() == [0]
    writer.close()


def test_recording_beside_it_costs_no_more(folder, request):
    """Replay takes a small share of one core, and a thread that records at full speed needs no more time for a span."""
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    full = line(range(400), **{f"ml.attribute.{number}": "value" for number in range(10)})
    for number in range(8):
        spool_files.put(folder, [full] * 10, unique=f"{number:06x}")
    receiver = Receiver()
    share = []

    def replay_beside(stop):
        begin, used = time.perf_counter(), time.thread_time()
        receiver.replayer(folder, share=replay.GENTLE).run(None, stop)
        share.append((time.thread_time() - used) / (time.perf_counter() - begin))

    def record():
        used = time.thread_time()
        for _ in range(1000):
            tracer.start_span("work", attributes={"rows": 7, "kind": "a"}).end()
        return time.thread_time() - used

    costs = {False: [], True: []}
    gc.collect()
    gc.freeze()  # going through what thousands of tests have left would take either thread a third of a second
    request.addfinalizer(gc.unfreeze)
    for number in range(8):  # in turns: other programs slow both
        is_beside = number % 2 == 1
        stop = threading.Event()
        thread = threading.Thread(target=replay_beside, args=(stop,))
        if is_beside:
            thread.start()
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            costs[is_beside].append(record())
        stop.set()
        if is_beside:
            thread.join()

    alone, beside = (sorted(costs[is_beside])[len(costs[is_beside]) // 2] for is_beside in (False, True))
    assert beside <= 1.1 * alone
    assert sum(share) / len(share) <= 2 * replay.GENTLE, "a pass begins with work, and is cut short after 0.4 s"
    assert receiver.bodies, "and still it gets on"
