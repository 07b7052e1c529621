"""The public API as a user's type checker sees it. Checked by mypy and pyright, never run.

A ``type: ignore`` here proves an error: both checkers complain about one that is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import mlotel
from mlotel import Check, Component, Flush, Identity, Run, errors, testing

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


# Decorated functions keep their signature and their type


@mlotel.component
def bare(rows: list[int], limit: float = 1.0) -> dict[str, int]:
    return {}


@mlotel.component("named", type="transform", owner="data", before=[bool], after=bool, on_failure="warn")
def called(rows: list[int], *, limit: float = 1.0) -> tuple[int, str]:
    return 1, ""


@mlotel.component()
def empty(x: int) -> int:
    return x


@mlotel.component
async def coroutine(x: int) -> str:
    return ""


@mlotel.component("gen", outputs=["a", "b"], inputs={"x": "rows"})
def generator(x: int) -> Generator[int, str, bytes]:
    yield 1
    return b""


@mlotel.component
def iterator(x: int) -> Iterator[int]:
    yield 1


@mlotel.component
async def async_generator(x: int) -> AsyncGenerator[int, str]:
    yield 1


@mlotel.pipeline
def flow(months: int = 6) -> bool:
    return True


@mlotel.pipeline("nightly", experiment="e", params={"depth": 3}, tags={"team": "ops"}, run_id="r")
async def named_flow(months: int) -> bytes:
    return b""


class Step:
    """Methods of every kind."""

    @mlotel.component
    def method(self, x: int) -> str:
        return ""

    @mlotel.component("named", memory="trace", stale_after_s=60)
    async def coroutine(self, x: int) -> str:
        return ""

    @staticmethod
    @mlotel.component
    def static(x: int) -> str:
        return ""

    @classmethod
    @mlotel.component
    def of_class(cls, x: int) -> str:
        return ""

    @property
    @mlotel.component
    def value(self) -> float:
        return 0.5


async def functions_keep_their_types() -> None:
    assert_type(bare([1]), dict[str, int])
    assert_type(bare([1], limit=2.0), dict[str, int])
    assert_type(called([1], limit=2.0), tuple[int, str])
    assert_type(empty(1), int)
    assert_type(await coroutine(1), str)
    assert_type(generator(1), Generator[int, str, bytes])
    assert_type(iterator(1), Iterator[int])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    assert_type(flow(), bool)
    assert_type(await named_flow(3), bytes)
    step = Step()
    assert_type(step.method(1), str)
    assert_type(await step.coroutine(1), str)
    assert_type(Step.static(1), str)
    assert_type(Step.of_class(1), str)
    assert_type(step.value, float)
    assert_type(mlotel.component("sum")(sum_of)(1, 2), int)
    assert_type(mlotel.component(sum_of)(1, 2), int)


def sum_of(a: int, b: int) -> int:
    return a + b


def wrong_arguments_are_seen() -> None:
    bare("text")  # type: ignore[arg-type]  # rows are a list
    bare([1], 1.0, 2.0)  # type: ignore[call-arg]  # too many
    called([1], 1.0)  # type: ignore[call-arg]  # limit is keyword-only
    called([1], lmit=1.0)  # type: ignore[call-arg]  # no such keyword
    flow(months="6")  # type: ignore[arg-type]  # a number
    Step().method("x")  # type: ignore[arg-type]  # a number


# Context managers


class Frame:
    """Stands for a table of the user's."""


def context_managers(frame: Frame, path: Path) -> None:
    with mlotel.pipeline("p", params={"a": 1}) as run, mlotel.component("c", description="d") as c:
        assert_type(run, Run)
        assert_type(c, Component)
        assert_type(run.id, str)
        assert_type(run.trace_id, str)
        assert_type(c.name, str)
        assert_type(c.read(frame), Frame)
        assert_type(c.read(path, name="n", uri="u", type="dataset"), Path)
        assert_type(c.write({"a": [1]}, name="n"), dict[str, list[int]])
        assert_type(c.write("path.csv"), str)
        assert_type(mlotel.read(frame, name="n"), Frame)
        assert_type(mlotel.write(frame, uri="u"), Frame)
        c.removed(3, reason="outlier")
        c.param(depth=3, anything=frame)
    if run.status == "error":
        print(run)


def unknown_keywords_are_refused(c: Component, frame: Frame) -> None:
    mlotel.component("c", onwer="x")  # type: ignore[call-overload]  # owner
    mlotel.component("c", on_failure="rise")  # type: ignore[call-overload]  # raise
    mlotel.component("c", memory="rss")  # type: ignore[call-overload]  # trace
    mlotel.component(5)  # type: ignore[call-overload]  # a name or a function
    mlotel.pipeline("p", parms={})  # type: ignore[call-overload]  # params
    mlotel.pipeline(run_id=5)  # type: ignore[call-overload]  # a string
    c.read(frame, nam="x")  # type: ignore[arg-type]  # name
    c.write(frame, name=3)  # type: ignore[arg-type]  # a string
    c.read(frame, "name")  # type: ignore[call-arg]  # keyword-only
    c.removed(1)  # type: ignore[call-arg]  # a reason
    c.removed(1, reason="r", why="x")  # type: ignore[arg-type]  # reason only
    c.removed("1", reason="r")  # type: ignore[arg-type]  # a number
    mlotel.read(frame, uri=3)  # type: ignore[arg-type]  # a string
    mlotel.write(frame, tpe="x")  # type: ignore[arg-type]  # type
    c.mising()  # type: ignore[attr-defined]  # no such method


# Checks


def checks() -> None:
    def enough(rows: list[int]) -> bool:
        return len(rows) > 3

    def detailed(rows: list[int]) -> Check:
        return Check(len(rows) > 3, "rows", count=len(rows), share=0.5)

    mlotel.component("c", before=enough, after=[enough, detailed], on_failure="raise")
    assert_type(Check("skipped").message, str)
    Check("ok")  # type: ignore[arg-type]  # passed
    try:
        pass
    except errors.CheckFailed as failed:
        assert_type(failed.check, str)
        assert_type(failed.message, str)


# Context, logging, identity, testing


async def carrying() -> None:
    carried = mlotel.carry(sum_of)
    assert_type(carried(1, 2), int)
    carried("1", 2)  # type: ignore[arg-type]  # a number
    function: Callable[[int], Awaitable[str]] = mlotel.carry(coroutine)
    assert_type(await function(1), str)
    assert_type(mlotel.environment(), dict[str, str])
    assert_type(mlotel.environment({"A": "b"}), dict[str, str])
    mlotel.carry(3)  # type: ignore[arg-type]  # a function


def logs() -> None:
    assert_type(mlotel.log_filter(), logging.Filter)
    logging.StreamHandler().addFilter(mlotel.log_filter())


def identities(identity: Identity, flush: Flush) -> None:
    assert_type(identity.id, str)
    assert_type(identity.row_count, int | None)
    assert_type(mlotel.artifacts.identify([1]), Identity)
    assert_type(flush.exported["traces"], int)
    assert_type(mlotel.__version__, str)


def drifting(table: dict[str, list[float]]) -> None:
    reference = mlotel.Reference.fit(table, predictions=[0.1], labels=[1], times=[0.0], kinds={"a": "numeric"})
    assert_type(reference, mlotel.Reference)
    assert_type(mlotel.Reference.load(reference.save("reference.json")), mlotel.Reference)
    detector = mlotel.drift.Detector(reference, alpha=0.01, tolerances=(0.01, 0.05), min_windows=2, n_features=None)
    detector.update(table)
    report = detector.check()
    assert_type(report.alarms, list[str])
    assert_type(report["a"].level, int)
    assert_type(report["a"].onset, int | None)
    assert_type(report["a"].score("psi"), float | None)
    assert_type(mlotel.drift.Detector.from_state(detector.state()), mlotel.drift.Detector)
    detector.merge(detector.collect())
    with mlotel.observe(detector, "eta", version="7", statistics=["psi"], stale_after_s=60, every_s=30.0) as handle:
        assert_type(handle.close(), None)
    mlotel.observe(reference)  # type: ignore[arg-type]  # no detector
    mlotel.drift.Detector(table)  # type: ignore[arg-type]  # no reference


def test_with_the_fixture(capture: testing.Capture) -> None:
    assert_type(capture.span("component c").name, str)
    assert_type(capture.clock.now_ns, int)
    capture.clock.advance(3)
    assert_type(capture.ml_attributes(capture.span("component c")), dict[str, Any])
    with testing.capturing(redact=str.upper) as captured:
        assert_type(captured, testing.Capture)
