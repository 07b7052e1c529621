"""Whichever provider there is, and whenever it comes, a detector that is observed is in it."""

import json
import subprocess
import sys
import textwrap

BEGIN = """
    import json, pathlib, sys
    import numpy as np
    import mlotel

    rng = np.random.default_rng(0)
    detector = mlotel.drift.Detector(mlotel.Reference.fit({"age": rng.normal(40, 9, 2000)}))


    def more():
        detector.update({"age": rng.normal(40, 9, 600)})
"""


def run(program, folder):
    """What a program prints as JSON."""
    code = textwrap.dedent(BEGIN) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def test_it_may_come_before_the_provider(tmp_path):
    """Observed first, a provider of the application's own set later: everything is there, once."""
    found = run(
        """
        handle = mlotel.observe(detector, "churn", "7")
        more()
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        [resource] = reader.get_metrics_data().resource_metrics
        [scope] = resource.scope_metrics
        second = mlotel.observe(mlotel.drift.Detector(detector.reference), "other")
        [resource] = reader.get_metrics_data().resource_metrics
        [again] = resource.scope_metrics
        values = {m.name: sum(p.value for p in m.data.data_points) for m in again.metrics}
        print(json.dumps([scope.scope.name, len(scope.metrics), values["ml.feature.values"], detector.checks]))
        """,
        tmp_path,
    )
    assert found == ["mlotel.metrics", 13, 600, 1]


def test_it_outlives_shutdown_and_configure(tmp_path):
    """Configured later, shut down and configured again, a handle is in the files of both times."""
    found = run(
        """
        handle = mlotel.observe(detector, "churn", "7")
        values = []
        for place in ("one", "two"):
            telemetry = mlotel.configure(spool=place)
            more()
            telemetry.shutdown()
            more()  # nobody listens, and nothing breaks
            text = "".join(path.read_text() for path in sorted(pathlib.Path(place).glob("*.jsonl")))
            lines = [json.loads(line) for line in text.splitlines()]
            points = [
                int(point["asInt"])
                for line in lines
                for resource in line.get("resourceMetrics", ())
                for scope in resource["scopeMetrics"]
                for metric in scope["metrics"]
                if metric["name"] == "ml.feature.values"
                for point in metric["sum"]["dataPoints"]
            ]
            values.append([len(points), sum(points)])
        print(json.dumps(values))
        """,
        tmp_path,
    )
    assert found == [[11, 600], [11, 1800]]


def test_a_job_without_a_collection_loses_nothing(tmp_path):
    """A script that ends at once: its rows, its check and its alarm are in the spool."""
    found = run(
        """
        telemetry = mlotel.configure()
        with mlotel.observe(detector, "churn", "7"):
            for _ in range(2):
                detector.update({"age": rng.normal(60, 9, 600)})
                detector.check()
            detector.update({"age": rng.normal(60, 9, 100)})
        telemetry.shutdown()
        text = "".join(path.read_text() for path in pathlib.Path(".mlotel/spool").glob("*.jsonl"))
        print(json.dumps([text.count('"ml.drift.detected"'), text.count('"ml.feature.values"'), detector.checks]))
        """,
        tmp_path,
    )
    assert found == [1, 1, 3]


def test_importing_it_loads_no_sdk(tmp_path):
    """`mlotel.observe` works with the API alone, and without a provider costs a check and no more."""
    found = run(
        """
        with mlotel.observe(detector, "churn", "7"):
            more()
        print(json.dumps([detector.checks, "opentelemetry.sdk" in sys.modules]))
        """,
        tmp_path,
    )
    assert found == [1, False]
