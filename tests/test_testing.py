"""``mlotel.testing``: the same scenario records the same telemetry, and nothing leaks in or out."""

import asyncio
import json
import time

import numpy as np
import pytest
from opentelemetry import context, trace

import mlotel
from mlotel import _clock, _providers, _settings
from mlotel.testing import Clock, capturing

pytest_plugins = ["pytester"]


class Opaque:
    """Content that cannot be hashed."""


KEPT = Opaque()


def scenario(folder):
    """Uses what depends on the machine or on chance: ids, clocks, processor time, memory, opaque objects, addresses."""

    @mlotel.component("train", type="train", stale_after_s=1e-6, after=[lambda result: result > 3])
    def train(frame, depth=3):
        """Fit it."""
        return depth

    @mlotel.component
    def batches(n):
        yield from range(n)

    async def main():
        with mlotel.component("async"):
            await asyncio.sleep(0)

    with mlotel.pipeline("p", params={"a": 1}), mlotel.component("make") as c:
        c.write(np.arange(5.0), name="numbers")
        c.write(KEPT, name="opaque")
        c.write(Opaque(), name="fresh")
        c.read("s3://bucket/key")
        c.write({"a": {1, 2}}, name="plain")
    with mlotel.pipeline("q"):
        train(np.arange(5.0))
        list(batches(2))
        asyncio.run(main())
        with mlotel.component("use") as c:
            c.read(KEPT, name="opaque")
            c.read(folder / "data.csv")
            sum(range(50_000))
            bytearray(10_000_000)
    try:
        with mlotel.pipeline("fails"):
            raise ValueError("always the same")
    except ValueError:
        pass


def everything(capture):
    """All that was recorded, as text; metrics without the times that the SDK takes from the machine."""
    points = [
        [one.name, one.unit, sorted((sorted(p.attributes.items()), getattr(p, "value", None) or p.sum) for p in found)]
        for one in capture._metrics()
        for found in [one.data.data_points]
    ]
    return "\n".join(
        [
            *(span.to_json() for span in capture.spans()),
            *(event.to_json() for event in capture.events()),
            json.dumps(points, default=str),
        ]
    )


def test_the_same_scenario_is_recorded_the_same(tmp_path):
    """Two captures of one scenario are byte for byte equal, whatever ran between them."""
    (tmp_path / "data.csv").write_text("a\n1\n")
    recorded = []
    for _ in range(2):
        with capturing() as capture:
            scenario(tmp_path)
            recorded.append(everything(capture))
        np.ones(20_000_000)  # a new peak of memory
        time.sleep(0.01)

    assert recorded[0] == recorded[1]
    assert len(recorded[0]) > 20_000


def test_the_same_scenario_in_another_process(tmp_path):
    """A capture does not depend on the process either: ids, addresses and the order of sets are the same."""
    import os
    import subprocess
    import sys

    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_testing as t\n"
        "with t.capturing() as capture:\n"
        "    t.scenario(pathlib.Path(sys.argv[2]))\n"
        "    print(t.everything(capture))"
    )
    (tmp_path / "data.csv").write_text("a\n1\n")
    command = [sys.executable, "-c", code, str(mlotel_tests()), str(tmp_path)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}, timeout=60)
        for seed in ("1", "2")
    ]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[0].stdout == runs[1].stdout


def mlotel_tests():
    from pathlib import Path

    return Path(__file__).parent


def test_ids_count_up(capture):
    """Trace and span ids count from one, run ids too."""
    with mlotel.pipeline("a") as first, mlotel.component("b"):
        pass
    with mlotel.pipeline("c") as second:
        pass

    assert [span.context.span_id for span in capture.spans()] == [2, 1, 3]
    assert (first.trace_id, second.trace_id) == (f"{1:032x}", f"{2:032x}")
    assert (first.id, second.id) == (f"{1:032x}", f"{2:032x}")


def test_the_clock(capture):
    """Time moves a millisecond a look, and by as much as a test says."""
    before = capture.clock.now_ns
    assert before == 1_767_225_600_000_000_000
    with mlotel.component("c"):
        capture.clock.advance(60)

    span = capture.span("component c")
    assert span.start_time == before + 1_000_000
    assert span.end_time - span.start_time == 60_000_000_000 + 1_000_000
    clock = Clock(now_ns=0, step_ns=5)
    assert [clock.look(), clock.look()] == [5, 10]


def test_spans_by_name(capture):
    """``spans()`` are all, in the order of their ends, or those of a name; ``span()`` is the only one."""
    for name in ("a", "b", "a"):
        with mlotel.component(name):
            pass

    assert [span.name for span in capture.spans()] == ["component a", "component b", "component a"]
    assert len(capture.spans("component a")) == 2
    assert capture.span("component b").name == "component b"
    with pytest.raises(AssertionError, match=r"^2 spans are called 'component a'; ended spans: 'component a', 'comp"):
        capture.span("component a")
    with pytest.raises(AssertionError, match=r"^0 spans are called 'c'"):
        capture.span("c")


def test_nothing_was_recorded(capture):
    """An empty capture says so."""
    with pytest.raises(AssertionError, match=r"^0 spans are called 'c'; ended spans: none$"):
        capture.span("c")
    assert capture.events() == []
    assert capture.metric_names() == set()
    assert capture.metrics("ml.component.duration") == []


def test_metrics(capture):
    """``metric()`` is the value of a counter or the sum of a histogram; what there is stands in the message."""
    with mlotel.component("c") as c:
        c.removed(3, reason="outlier")
        c.removed(4, reason="missing")

    assert capture.metric("ml.data.rows.removed", ml_removal_reason="outlier") == 3
    assert capture.metric("ml.component.duration") == capture.metrics("ml.component.duration")[0].sum
    with pytest.raises(AssertionError, match=r"^2 points of 'ml.data.rows.removed' have \{\}; there are: \[\{'ml"):
        capture.metric("ml.data.rows.removed")
    with pytest.raises(AssertionError, match=r"^0 points .* have \{'ml.removal.reason': 'x'\}"):
        capture.metric("ml.data.rows.removed", ml_removal_reason="x")


def test_attributes_of_ours(capture):
    """``ml_attributes`` leaves out what is not ours, with lists for tuples, of spans and events."""
    with mlotel.pipeline("p"), mlotel.component("c") as c:
        c.param(x=[1, 2])

    found = capture.ml_attributes(capture.span("component c"))
    assert found["ml.param.x"] == [1, 2]
    assert "code.function.name" not in found
    assert capture.ml_attributes(capture.events("ml.run.started")[0])["ml.pipeline.name"] == "p"


def test_providers_of_the_capture_take_other_telemetry(capture):
    """Spans, metrics and logs that a test makes itself can be captured too."""
    with capture.tracer_provider.get_tracer("app").start_as_current_span("mine"):
        capture.meter_provider.get_meter("app").create_counter("count").add(2)
        capture.logger_provider.get_logger("app").emit(event_name="event", body="b")

    assert capture.span("mine").resource.attributes["service.name"] == "test"
    assert capture.metric("count") == 2
    assert capture.events("event")[0].log_record.body == "b"


def test_nothing_from_around_reaches_inside(monkeypatch):
    """A current span, TRACEPARENT, BAGGAGE and MLOTEL_DISABLED around a capture count again only after it."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    monkeypatch.setenv("TRACESTATE", "a=b")
    monkeypatch.setenv("BAGGAGE", "ml.run.id=outside")
    monkeypatch.setattr(_settings, "_disabled", True)
    with capturing() as outer:
        pass
    with capturing() as around, mlotel.pipeline("around"), capturing() as capture:
        with mlotel.pipeline("p") as run:
            pass
        assert capture.span("pipeline p").parent is None
        assert run.id == f"{1:032x}"
        assert outer.spans() == []
    assert [span.name for span in around.spans()] == ["pipeline around"]
    assert _settings.is_disabled()
    _settings._disabled = False
    from mlotel.tracing.context import parent_context

    assert f"{trace.get_current_span(parent_context()).get_span_context().trace_id:032x}" == "ab" * 16


def test_only_baggage_from_around_does_not_reach_inside(monkeypatch):
    """A run id in BAGGAGE alone is kept out as well, also when it was looked at before."""
    from mlotel.tracing.context import parent_context

    monkeypatch.setenv("BAGGAGE", "ml.run.id=outside")
    parent_context()
    with capturing(), mlotel.pipeline("p") as run:
        assert run.id != "outside"


def test_everything_is_put_back():
    """After a capture, also one that failed, clocks, ids, settings, providers and context are what they were."""
    from mlotel.artifacts import _refs
    from mlotel.tracing import artifacts, audit, lineage, runs, usage

    def state():
        return (
            _clock.wall_ns, _clock.monotonic_ns, runs.new_run_id, usage.cpu_ns, usage.process_peak, _settings.current,
            _settings._disabled, _providers._override, lineage.memory, lineage.open_index, artifacts.new_digits,
            audit.words, audit.libraries,
            artifacts.this_process, _refs.new_digits, context.get_current(),
        )  # fmt: skip

    def capture_and_fail():
        with capturing(redact=str.upper, capture_values=True):
            assert _settings.current.capture_values
            raise KeyError

    before = state()
    for _ in range(2):
        with pytest.raises(KeyError):
            capture_and_fail()
    assert all(a is b for a, b in zip(before, state(), strict=True))


def test_redaction_can_be_tested():
    """``capturing(redact=…)`` is like ``configure(redact=…)``."""
    with capturing(redact=lambda text: text.replace("alice", "***")) as capture:
        with mlotel.component("alice"):
            pass
        assert capture.span("component ***")


def test_the_fixture_is_there_wherever_mlotel_is_installed(pytester):
    """In a fresh project a test that only imports mlotel can use ``capture``; pytest lists it with its docstring."""
    pytester.makepyfile(
        """
        import mlotel

        @mlotel.component
        def clean(rows):
            return [row for row in rows if row < 100]

        def test_clean(capture):
            assert clean([1.0, 999.0]) == [1.0]
            assert capture.span("component clean").attributes["ml.param.clean"] == (1.0,)

        def test_each_test_starts_anew(capture):
            assert capture.spans() == []
        """
    )
    done = pytester.runpytest_subprocess("-q", "-W", "error")
    done.assert_outcomes(passed=2)
    listed = pytester.runpytest_subprocess("--fixtures", "-q")
    listed.stdout.fnmatch_lines(["capture -- *", "*What the code under test records*"])


def test_the_plugin_loads_little(pytester):
    """Every pytest run where mlotel is installed loads the plugin: it loads no SDK and no numpy until it is used."""
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            assert "mlotel.testing" in sys.modules
            assert [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "numpy"))] == []
        """
    )
    done = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    done.assert_outcomes(passed=1)
