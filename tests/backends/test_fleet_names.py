"""A real Prometheus takes what `mlotel.observe` exports over OTLP, under the names that the rules speak of."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml
from collector import free_ports

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "collector-config" / "prometheus" / "rules"
BUILT = ROOT / ".backends" / "prometheus" / "prometheus"
IS_REQUIRED = os.environ.get("MLOTEL_TEST_BACKENDS") == "required"  # read before any test clears the environment

NAMES = """
ml_class_imbalance ml_class_proportion ml_drift_age_seconds ml_drift_detectable ml_drift_detections_total
ml_drift_evidence ml_drift_level ml_drift_noise ml_drift_score ml_feature_missing ml_feature_out_of_range
ml_feature_reference_proportion ml_feature_reference_rows ml_feature_statistic ml_feature_unseen ml_feature_values_total
"""

PROGRAM = """
    import numpy as np

    import mlotel

    rng = np.random.default_rng(0)


    def flights(rows):
        return {"delay": rng.normal(10, 20, rows), "carrier": rng.choice(["AA", "DL", "UA"], rows)}


    telemetry = mlotel.configure(service_name="eta")
    late = rng.random(5000) < 0.3
    detector = mlotel.drift.Detector(mlotel.Reference.fit(flights(5000), predictions=late))
    with mlotel.observe(detector, "eta", "7"):
        telemetry.flush()
        detector.update(flights(1000), predictions=late[:1000])
    print(telemetry.shutdown(30).exported["metrics"])
"""


class Prometheus:
    """A server with the rules that are shipped, which takes OTLP."""

    def __init__(self, binary, folder):
        [port] = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        config = folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump({"rule_files": [str(path) for path in RULES.glob("*.yaml")]}))
        self._log = (folder / "log.txt").open("wb")
        self._process = subprocess.Popen(
            [
                *(binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
                *(f"--web.listen-address=127.0.0.1:{port}", "--web.enable-otlp-receiver"),
            ],
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
        )

    def ask(self, path, **parameters):
        url = f"{self.address}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def wait(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.ask("/-/ready")
            except OSError:
                assert self._process.poll() is None, "Prometheus has ended: see its log"
                assert time.monotonic() < deadline, "Prometheus does not start"
                time.sleep(0.1)

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


@pytest.fixture
def prometheus(tmp_path):
    """A Prometheus of this test's own."""
    found = shutil.which(BUILT)
    if found is None:
        if IS_REQUIRED:
            pytest.fail("there is no Prometheus, and MLOTEL_TEST_BACKENDS=required asks for it")
        pytest.skip("there is no Prometheus: run `make backends`")
    (tmp_path / "prometheus").mkdir()
    server = Prometheus(found, tmp_path / "prometheus")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_prometheus_has_every_name_and_the_rules(prometheus, tmp_path):
    """Each metric of a detector arrives under its name, rows are all there, and the rules are loaded."""
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{prometheus.address}/api/v1/otlp/v1/metrics",
        "MLOTEL_SPOOL": str(tmp_path / "spool"),
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100

    names = json.loads(prometheus.ask("/api/v1/label/__name__/values"))["data"]
    assert [name for name in names if name.startswith(("ml_drift", "ml_feature", "ml_class"))] == NAMES.split()
    query = (
        'sum by (ml_feature_name, ml_model_name, ml_model_version) (ml_feature_values_total{ml_feature_name="delay"})'
    )
    [found] = json.loads(prometheus.ask("/api/v1/query", query=query))["data"]["result"]
    assert found["metric"] == {"ml_feature_name": "delay", "ml_model_name": "eta", "ml_model_version": "7"}
    assert float(found["value"][1]) == 1000
    rules = [
        rule["name"]
        for group in json.loads(prometheus.ask("/api/v1/rules"))["data"]["groups"]
        for rule in group["rules"]
    ]
    assert {"feature:ml_drift_psi:1h", "feature:ml_drift_psi:24h", "MlotelFleetDrift"} <= set(rules)
