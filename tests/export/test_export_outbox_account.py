"""Whatever happens to a spool, the account of its records adds up: made = delivered + on disk + counted as lost."""

import json
import tempfile
import threading
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from records import DECODE, request_of
from spool_files import Receiver, spans

from mlotel.export._records import encode
from mlotel.export._sender import Answer
from mlotel.export.spool import FILE_NAME, SpoolFullError, SpoolWriter

SPANS = spans(range(2000))


class Spool(RuleBasedStateMachine):
    """One folder, a writer after the other, and passes of replay in between. Each record has a number."""

    def __init__(self):
        super().__init__()
        self._place = tempfile.TemporaryDirectory()
        self.folder = Path(self._place.name)
        self.receiver = Receiver()
        self.made = 0
        self.unwritten = 0
        self.now_s = 1_800_000_000.0
        self.evicted = 0
        self.orphans = set()  # files of writers that crashed: nobody counts what is evicted of them
        self.evicted_orphans = 0
        self.begin()

    def begin(self):
        self.writer = SpoolWriter(
            self.folder, pending=True, is_synced=False, max_file_bytes=2_500, max_total_bytes=12_000
        )

    def teardown(self):
        self.writer.close()
        self._place.cleanup()

    @rule(size=st.integers(1, 4))
    def write(self, size):
        """A batch comes; the oldest files may have to go for it."""
        if self.made + size > len(SPANS):
            return
        batch = SPANS[self.made : self.made + size]
        self.made += size
        before = self.waiting(self.orphans)
        try:
            removed = self.writer.write(encode("traces", batch), {"traces": size})
        except SpoolFullError:
            self.unwritten += size
            removed = []
        self.evicted += sum(held.get("traces", 0) for held in removed)
        self.evicted_orphans += before - self.waiting(self.orphans)

    @rule()
    def rotate(self):
        """The part that is open ends."""
        self.writer.rotate()

    @rule()
    def crash(self):
        """The process ends without a word; another one comes."""
        self.writer.close()
        self.orphans |= set(self.files())
        self.begin()

    @precondition(lambda self: any(self.torn_candidates()))
    @rule(choice=st.integers(0, 99), cut=st.integers(1, 9))
    def tear(self, choice, cut):
        """The last line of a part whose writer is gone loses its end."""
        candidates = list(self.torn_candidates())
        path = candidates[choice % len(candidates)]
        path.write_bytes(path.read_bytes()[:-cut])

    @rule(
        answers=st.lists(
            st.sampled_from(
                [
                    Answer("accepted"),
                    Answer("accepted"),
                    Answer("accepted", rejected=1),
                    Answer("refused"),
                    Answer("too_large"),
                    Answer("later"),
                    Answer("later", is_suspicious=True),
                    Answer("misconfigured"),
                ]
            ),
            max_size=8,
        ),
        then=st.sampled_from([Answer("accepted"), Answer("later")]),
    )
    def replay(self, answers, then):
        """A pass, with a receiver in whatever mood."""
        self.receiver.answers = [*answers, *[then] * 100]
        self.now_s += 4000
        replayer = self.receiver.replayer(self.folder, signals=("traces",), now_s=lambda: self.now_s)
        settle = self.writer.settle
        delivered, dropped = replayer._on_delivered, replayer._on_dropped

        def on_delivered(path, signal, records):
            settle(path, signal, records)
            delivered(path, signal, records)

        def on_dropped(path, signal, records, reason):
            settle(path, signal, records)
            dropped(path, signal, records, reason)

        replayer._on_delivered, replayer._on_dropped = on_delivered, on_dropped
        replayer.run(None, threading.Event())

    def files(self):
        return [path for path in self.folder.iterdir() if FILE_NAME.fullmatch(path.name)]

    def torn_candidates(self):
        """Parts of writers that are gone, with a whole last line that nobody has begun to send."""
        for path in sorted(self.orphans & set(self.files())):
            offset, records = self.place(path)
            lines = path.read_bytes().splitlines(keepends=True)
            if lines and lines[-1].endswith(b"\n"):
                start = sum(map(len, lines[:-1]))
                if offset <= start and not (offset == start and records):
                    yield path

    def mark(self, path):
        """What the mark beside ``path`` says."""
        mark = path.with_name(path.name + ".sent")
        return json.loads(mark.read_text()) if mark.exists() else {}

    def place(self, path):
        """How far the traces of ``path`` are done with, as the mark beside it says."""
        return self.mark(path).get("traces", [0, 0])

    def waiting(self, among=None):
        """Records on disk that are not done with, read by other code than replay's."""
        found = 0
        for path in self.files():
            if among is not None and path not in among:
                continue
            place, records = self.place(path)
            aside = {line[0]: line[1] for line in self.mark(path).get("aside", {}).get("traces", [])}
            offset = 0
            for line in path.read_bytes().splitlines(keepends=True):
                if offset in aside:
                    found += len(DECODE["traces"](request_of(line)[1])) - aside[offset]
                elif offset >= place:
                    try:
                        _, request = request_of(line)
                        found += len(DECODE["traces"](request))
                    except ValueError:
                        found += line.count(b'"endTimeUnixNano":')
                    if offset == place:
                        found -= records
                offset += len(line)
        return found

    @invariant()
    def account(self):
        """Every record is in one place."""
        delivered = sum(records for _, _, records in self.receiver.delivered)
        dropped = sum(records for _, records, _ in self.receiver.dropped)
        lost = dropped + self.unwritten + self.evicted + self.evicted_orphans
        assert self.made == delivered + self.waiting() + lost

    @invariant()
    def nothing_twice(self):
        """No record is sent twice: nobody was killed between a delivery and its mark."""
        numbers = self.receiver.numbers()
        assert len(numbers) == len(set(numbers))
        assert sum(records for _, _, records in self.receiver.delivered) <= len(numbers)

    @invariant()
    def nothing_else_is_left(self):
        """Beside spool files there are marks of files that exist, at most."""
        for path in self.folder.iterdir():
            if not FILE_NAME.fullmatch(path.name):
                assert path.suffix == ".sent"
                assert path.with_suffix("").exists()


Spool.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSpool = Spool.TestCase
