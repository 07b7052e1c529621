"""What a component costs, as a multiple of what OpenTelemetry alone costs.

- Recorded: a component without artifacts, as a ``with`` statement and as a decorated call, against a bare SDK span
  (no attributes, no processor) and one histogram record with three attributes.
- Nobody listens: the same, and a pipeline, against the API's ``with start_as_current_span`` on its no-op tracer.

Each half runs in a process of its own, since providers are global. Everything is measured in turns, by the processor
time of the thread, so what else runs on the machine slows all of it alike; the ratio is the median over all turns.

Run it alone with ``python bench/tracing.py [--quick]``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

RECORDED_BOUND = 4.0
IDLE_BOUND = 2.0
BATCH = 300

Work = Callable[[], object]


def measure(reference: Work, works: Mapping[str, Work], turns: int) -> dict[str, float]:
    """Each work's cost as a multiple of the reference's.

    Args:
        reference: What one is.
        works: What is compared, by name.
        turns: How often everything is measured; a turn is a batch of calls of each.

    Returns:
        Median ratio by name.
    """
    ratios: dict[str, list[float]] = {name: [] for name in works}
    for work in (reference, *works.values()):
        _batch(work)  # the first calls make instruments and fill caches
    for _ in range(turns):
        before = _batch(reference)
        spent = {name: _batch(work) for name, work in works.items()}
        unit = (before + _batch(reference)) / 2  # around the others, so that a drift of the machine cancels out
        for name, value in spent.items():
            ratios[name].append(value / unit)
    return {name: statistics.median(found) for name, found in ratios.items()}


def _batch(work: Work) -> int:
    before = time.thread_time_ns()
    for _ in range(BATCH):
        work()
    return time.thread_time_ns() - before


def recorded(turns: int) -> dict[str, float]:
    """With providers of the SDK set."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    import mlotel

    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))
    tracer = trace.get_tracer("bench")
    histogram = metrics.get_meter("bench").create_histogram("bench.duration", "s")
    attributes = {"name": "clean", "type": "transform", "error": "none"}

    def bare() -> None:
        span = tracer.start_span("bare")
        histogram.record(0.5, attributes)
        span.end()

    def component() -> None:
        with mlotel.component("clean"):
            pass

    @mlotel.component
    def decorated() -> None:
        pass

    return measure(bare, {"with component": component, "decorated component": decorated}, turns)


def idle(turns: int) -> dict[str, float]:
    """Without any provider."""
    from opentelemetry import trace

    import mlotel

    tracer = trace.get_tracer("bench")

    def no_op() -> None:
        with tracer.start_as_current_span("bare"):
            pass

    def component() -> None:
        with mlotel.component("clean"):
            pass

    def pipeline() -> None:
        with mlotel.pipeline("nightly"):
            pass

    @mlotel.component
    def decorated() -> None:
        pass

    works = {"with component": component, "decorated component": decorated, "with pipeline": pipeline}
    return measure(no_op, works, turns)


HALVES: dict[str, tuple[Callable[[int], dict[str, float]], str, float]] = {
    "recorded": (recorded, "{} / bare span + histogram record", RECORDED_BOUND),
    "idle": (idle, "no provider: {} / no-op with span", IDLE_BOUND),
}


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """What was measured against its bound: name, ratio, bound, whether it holds."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_"))}
    rows = []
    for half, (_, title, bound) in HALVES.items():
        command = [sys.executable, __file__, "--child", half, str(15 if quick else 101)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600)
        for name, ratio in json.loads(done.stdout).items():
            rows.append((title.format(name), ratio, bound, ratio <= bound))
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(HALVES[sys.argv[2]][0](int(sys.argv[3]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--quick", action="store_true", help="fewer turns: seconds, and less certain")
        for title, ratio, bound, _ in run(parser.parse_args().quick):
            print(f"{title:<58} {ratio:6.2f}  bound {bound:g}")
