"""Counts of several processes, added up in one place."""

import multiprocessing

import numpy as np
import pytest

from mlotel.drift import Detector, Reference
from mlotel.errors import InvalidArgumentError


def rows(size, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        "x": np.where(rng.random(size) < 0.01, np.nan, rng.normal(shift, size=size)),
        "n": rng.poisson(4, size),
        "c": rng.choice(list("abc"), size),
    }


@pytest.fixture(scope="module")
def reference():
    return Reference.fit(rows(20_000, 0))


def test_ten_replicas_decide_as_one_detector(reference):
    """Ten detectors that only take rows, merged at every check, decide exactly as one that saw all rows."""
    one, merged = Detector(reference), Detector(reference)
    replicas = [Detector(reference) for _ in range(10)]
    for check in range(8):
        for place, replica in enumerate(replicas):
            part = rows(90 + 20 * place, 100 * check + place, shift=0.3 if check > 3 else 0.0)
            one.update(part)
            replica.update(part)
        merged.merge(*(replica.collect() for replica in replicas))
        expected, found = one.check(), merged.check()
        for name in ("x", "n", "c"):
            assert found[name].evidence == expected[name].evidence
            assert (found[name].level, found[name].onset) == (expected[name].level, expected[name].onset)
            assert found[name].counts.tolist() == expected[name].counts.tolist()
            assert found[name].score("psi") == expected[name].score("psi")
            assert found[name].missing == expected[name].missing
        assert found["x"].score("wasserstein") == pytest.approx(expected["x"].score("wasserstein"), abs=1e-12)
        assert found["x"].moments == pytest.approx(expected["x"].moments, rel=1e-9)

    assert found.alarms == ["x"]


def _serve(file, seed, out):
    detector = Detector(Reference.load(file))
    for part in range(5):
        detector.update(rows(200, 10 * seed + part))
    out.put(detector.collect())


def test_processes_share_a_reference_file(reference, tmp_path):
    """Two processes that load the same file collect what a third one merges."""
    path = str(reference.save(tmp_path / "reference.json"))
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=_serve, args=(path, seed, out)) for seed in range(2)]
    for worker in workers:
        worker.start()
    parts = [out.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    detector = Detector(Reference.load(path))
    detector.merge(*parts)

    assert detector.check()["c"].rows == 2000


def test_what_was_collected_is_gone(reference):
    """Collecting twice gives the rows once; schema changes and absent columns go along."""
    detector, target = Detector(reference), Detector(reference)
    part = rows(600, 1)
    detector.update({"x": part["x"], "c": part["c"], "new": part["x"]})
    first, second = detector.collect(), detector.collect()
    target.merge(first, second)
    report = target.check()

    assert [report[name].rows for name in ("x", "n", "c")] == [600, 0, 600]
    assert [(change.what, change.column, change.rows) for change in report.schema] == [
        ("missing", "n", 600), ("new", "new", 600),
    ]  # fmt: skip


def test_counts_of_another_reference_are_refused(reference):
    """Counts in other bins mean other things: merging them raises and adds nothing, not even the good ones."""
    other = Detector(Reference.fit(rows(20_000, 5)))
    good, target = Detector(reference), Detector(reference)
    good.update(rows(100, 2))

    with pytest.raises(InvalidArgumentError, match="Give all processes one reference file"):
        target.merge(good.collect(), other.collect())
    with pytest.raises(InvalidArgumentError, match=r"Pass the bytes that Detector.collect\(\) returned"):
        target.merge(target.state())
    assert target.check()["c"].rows == 0


def test_rows_that_were_decided_on_are_not_handed_on(reference):
    """A detector that has made a check of fewer rows than scores take cannot hand those rows on as new."""
    detector = Detector(reference)
    detector.update(rows(100, 3))
    detector.check()

    with pytest.raises(InvalidArgumentError, match="has made checks of these rows"):
        detector.collect()
