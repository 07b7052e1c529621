"""Runs scikit-learn's own tests bare and instrumented, and compares what each test did: ``make sklearn-suite``.

    python tools/sklearn_suite.py [--quick] [MODULE ...]

The tests are those that the installed scikit-learn brings along. Instrumented, a pipeline is open and records go to a
folder. Exit status 1 when any test has another outcome.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODULES = (
    "sklearn.tests.test_base",
    "sklearn.tests.test_pipeline",
    "sklearn.compose.tests.test_column_transformer",
    "sklearn.compose.tests.test_target",
    "sklearn.model_selection.tests.test_search",
    "sklearn.model_selection.tests.test_successive_halving",
    "sklearn.model_selection.tests.test_validation",
    "sklearn.ensemble.tests.test_base",
    "sklearn.ensemble.tests.test_bagging",
    "sklearn.ensemble.tests.test_forest",
    "sklearn.ensemble.tests.test_gradient_boosting",
    "sklearn.ensemble.tests.test_stacking",
    "sklearn.ensemble.tests.test_voting",
    "sklearn.ensemble.tests.test_weight_boosting",
    "sklearn.tests.test_multiclass",
    "sklearn.tests.test_multioutput",
    "sklearn.tests.test_calibration",
    "sklearn.tests.test_metaestimators",
    "sklearn.tests.test_metaestimators_metadata_routing",
    "sklearn.utils.tests.test_parallel",
    "sklearn.utils.tests.test_set_output",
)
QUICK = ("sklearn.tests.test_base", "sklearn.ensemble.tests.test_base", "sklearn.compose.tests.test_target")

PLUGIN = """
import json, os, pathlib, pytest
found = {}
if os.environ.get("SUITE_INSTRUMENTED"):
    import mlotel
    telemetry = mlotel.configure(spool=os.environ["SUITE_FOLDER"], quiet=True)
    mlotel.instrument("sklearn")
    run = mlotel.pipeline("scikit-learn's tests")
    run.__enter__()

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        found[report.nodeid] = report.outcome
        if report.outcome == "failed":
            found[report.nodeid] += ": " + str(report.longrepr)[-1500:]

def pytest_sessionfinish(session):
    told = {"tests": found}
    if os.environ.get("SUITE_INSTRUMENTED"):
        run.__exit__(None, None, None)
        flush = telemetry.shutdown()
        told["spans"] = flush.spooled["traces"]
    pathlib.Path(os.environ["SUITE_RESULT"]).write_text(json.dumps(told))
"""


def outcomes(modules: list[str], *, is_instrumented: bool, folder: Path) -> dict[str, object]:
    """What each test did, and how many spans there were."""
    folder.mkdir()
    (folder / "suite_plugin.py").write_text(PLUGIN)
    result = folder / "result.json"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_"))}
    environment |= {
        "PYTHONPATH": str(folder),
        "SUITE_RESULT": str(result),
        "SUITE_FOLDER": str(folder / "spool"),
        "OMP_WAIT_POLICY": "passive",
        "SKLEARN_SEEDS": "0",
    }
    if is_instrumented:
        environment["SUITE_INSTRUMENTED"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "suite_plugin", "-p", "no:cacheprovider", "-p", "no:mlotel"]
    with (folder / "output.txt").open("w") as output:
        subprocess.run(
            [*command, "--pyargs", *modules], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    if not result.exists():
        sys.exit((folder / "output.txt").read_text()[-3000:])
    told: dict[str, object] = json.loads(result.read_text())
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="default: pipelines, search, ensembles and others")
    parser.add_argument("--quick", action="store_true", help="a few modules, under a minute")
    arguments = parser.parse_args()
    modules = arguments.modules or list(QUICK if arguments.quick else MODULES)
    with tempfile.TemporaryDirectory() as place:
        bare = outcomes(modules, is_instrumented=False, folder=Path(place, "bare"))
        ours = outcomes(modules, is_instrumented=True, folder=Path(place, "instrumented"))
    one, other = bare["tests"], ours["tests"]
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    differing = [name for name in sorted({*one, *other}) if str(one.get(name))[:6] != str(other.get(name))[:6]]
    for name in differing:
        print(f"{name}\n  bare: {one.get(name)}\n  instrumented: {other.get(name)}")
    print(f"{len(one)} tests, {len(differing)} with another outcome, {ours.get('spans')} spans recorded")
    return 1 if differing or not one or not ours.get("spans") else 0


if __name__ == "__main__":
    sys.exit(main())
