"""`mlotel run`: a script behaves as under `python`, and leaves its run and a tree."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("mlotel")

SHOWS = """
import json, sys
spec = None if __spec__ is None else __spec__.name
print(json.dumps([__name__, sys.argv, sys.path[0], __file__, spec, __package__, sorted(globals())]))
import helper
assert sys.modules["__main__"].__dict__ is globals()
"""

TRAINS = """
import sys
import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

data = np.arange(20.0).reshape(-1, 2)
np.save("data.npy", data)
data = np.load("data.npy")
model = LinearRegression().fit(data[:, :1], data[:, 1])
joblib.dump(model, "model.joblib")
print("trained")
"""


@pytest.fixture
def work(tmp_path):
    """A folder with a few programs."""
    folder = tmp_path / "work"
    (folder / "package").mkdir(parents=True)
    for name, code in {
        "shows.py": SHOWS,
        "train.py": TRAINS,
        "helper.py": "",
        "package/__init__.py": "",
        "package/__main__.py": SHOWS,
        "package/part.py": SHOWS,
    }.items():
        (folder / name).write_text(code)
    return folder


def call(folder, *command, **environment):
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder, env={**os.environ, "COLUMNS": "100", **environment}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def run(folder, *words, **environment):
    return call(folder, COMMAND, "run", *words, **environment)


def spans(folder):
    found = []
    for path in (folder / ".mlotel" / "spool").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            for resource in json.loads(line).get("resourceSpans", ()):
                found += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
    return found


def test_a_script_leaves_its_run_and_a_tree(work):
    """An unchanged script: output is its own, the tree is on standard error, files and models are linked."""
    done = run(work, "train.py")

    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.split("\n")[1].startswith("train ")
    assert "model.joblib" in done.stderr
    assert "fit LinearRegression" in done.stderr
    assert "recorded in .mlotel/spool" in done.stderr
    found = {span["name"]: span for span in spans(work)}
    assert {"pipeline train", "component train", "fit LinearRegression", "write model.joblib"} <= found.keys()
    [link] = found["write model.joblib"]["links"]
    assert link["spanId"] == found["write LinearRegression"]["spanId"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_tree_has_no_colours_where_none_are_wanted(work, place):
    """``--no-color`` counts for the tree at the end, too, before the command or after it."""
    words = ["--no-color", "run", "train.py"] if place == "before" else ["run", "--no-color", "train.py"]

    assert "\x1b[" in call(work, COMMAND, "run", "train.py", FORCE_COLOR="1").stderr
    assert "\x1b[" not in call(work, COMMAND, *words, FORCE_COLOR="1").stderr


@pytest.mark.parametrize("words", [["shows.py", "a", "--json", "-q"], ["./shows.py"], ["-m", "package", "--b"],
                                   ["-m", "package.part"], ["-m", "helper"]], ids=str)  # fmt: skip
def test_a_program_sees_what_it_sees_under_python(work, words):
    """`__main__`, `sys.argv`, `sys.path` and `__file__` are as `python` makes them, for files and modules."""
    ours, bare = run(work, "-q", *words), call(work, sys.executable, *words)

    assert ours.returncode == bare.returncode == 0, ours.stderr
    assert ours.stdout == bare.stdout
    assert ours.stderr == ""


def test_a_script_in_another_folder_finds_its_neighbours(work):
    """The first place for modules is the folder of the script, links resolved, not the working folder."""
    elsewhere = work.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.py").symlink_to(work / "shows.py")

    ours, bare = run(elsewhere, "-q", "link.py"), call(elsewhere, sys.executable, "link.py")

    assert ours.stdout == bare.stdout
    assert json.loads(ours.stdout)[2] == str(work)


@pytest.mark.parametrize("line", ["sys.exit(7)", "sys.exit()", "sys.exit('no data')", "raise SystemExit(True)",
                                  "sys.exit(0)", "os._exit(9)"])  # fmt: skip
def test_the_exit_status_is_the_scripts_own(work, line):
    """Whatever a script leaves with arrives, with what Python prints for it."""
    (work / "ends.py").write_text(f"import os, sys\n{line}\n")

    ours, bare = run(work, "-q", "ends.py"), call(work, sys.executable, "ends.py")

    assert (ours.returncode, ours.stdout, ours.stderr) == (bare.returncode, bare.stdout, bare.stderr)


@pytest.mark.parametrize("code", [
    "def f():\n    raise ValueError('no')\nf()\n",
    "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error\n",
    "def broken(:\n",
    "import mlotel.errors\nraise mlotel.errors.NotFoundError('gone')\n",
    "raise BrokenPipeError\n",
    "import sys\nsys.excepthook = lambda *a: print('own', a[0].__name__)\nraise ValueError\n",
], ids=["plain", "cause", "syntax", "ours", "pipe", "hook"])  # fmt: skip
def test_a_traceback_has_only_the_frames_of_the_script(work, code):
    """What Python prints of an exception is the same to the letter, and so is the exit status."""
    (work / "fails.py").write_text(code)

    ours, bare = run(work, "-q", "fails.py"), call(work, sys.executable, "fails.py")

    assert ours.returncode == bare.returncode == 1
    assert ours.stdout == bare.stdout
    assert ours.stderr == bare.stderr


def test_a_failure_inside_an_instrumented_library(work):
    """The traceback leads from the script to the library without us, and the run has failed."""
    (work / "fails.py").write_text("from sklearn.linear_model import Lasso\nLasso().fit([[1.0]], [[[1.0]]])\n")

    done = run(work, "fails.py")

    assert done.returncode == 1
    assert "<mlotel" not in done.stderr
    assert not [
        line for line in done.stderr.splitlines() if "File " in line and "mlotel/" in line.partition("site-")[0]
    ]
    assert "✗ failed after" in done.stderr
    [pipeline] = [span for span in spans(work) if span["name"] == "pipeline fails"]
    assert {"key": "error.type", "value": {"stringValue": "ValueError"}} in pipeline["attributes"]


def test_ctrl_c_ends_it_as_it_ends_python(work):
    """After an interrupt the process has died of it, with Python's traceback, and the run is recorded as failed."""
    (work / "waits.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [COMMAND, "run", "-q", "waits.py"], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert error.startswith("Traceback")
    assert error.endswith("KeyboardInterrupt\n")
    assert "mlotel" not in error.replace(str(work), "")
    assert "pipeline waits" in {span["name"] for span in spans(work)}


@pytest.mark.parametrize(("words", "said"), [
    (["missing.py"], "Cannot run 'missing.py': it does not exist."),
    (["package"], "Cannot run 'package': it is a folder."),
    (["train"], "A module: mlotel run -m train"),
    ([], "mlotel run got nothing to run."),
    (["-m"], "mlotel run -m got no module."),
    (["-m", "missing.module"], "Cannot run the module 'missing.module': No module named 'missing'."),
    (["-m", "missing"], "Cannot run the module 'missing': there is none of that name"),
])  # fmt: skip
def test_what_cannot_be_run_is_wrong_usage(work, words, said):
    """The exit status is 2, the message says what to do, and nothing was recorded."""
    done = run(work, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (work / ".mlotel").exists()


def test_a_script_that_sets_mlotel_up_itself(work):
    """What the script says of where records go holds, and its own pipeline is in the run of the script."""
    (work / "own.py").write_text(
        "import mlotel\ntelemetry = mlotel.configure(service_name='own', spool='elsewhere', quiet=True)\n"
        "with mlotel.pipeline('inner') as run, mlotel.component('step'):\n    pass\n"
        "assert run.status == 'ok'\n"
    )

    done = run(work, "own.py")

    assert done.returncode == 0, done.stderr
    assert "inner" in done.stderr
    names = {
        span["name"]
        for path in (work / "elsewhere").glob("*.jsonl")
        for line in path.read_text().splitlines()
        for resource in json.loads(line).get("resourceSpans", ())
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }
    assert names == {"pipeline own", "component own", "pipeline inner", "component step"}


@pytest.mark.parametrize(("variable", "value", "has_fit"), [
    ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "sklearn", False),
    ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "io", True),
    ("MLOTEL_INSTRUMENT", "io", False),
    ("MLOTEL_INSTRUMENT", "sklearn", True),
])  # fmt: skip
def test_libraries_can_be_chosen(work, variable, value, has_fit):
    """`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` takes libraries out, `MLOTEL_INSTRUMENT` names those that are wanted."""
    done = run(work, "-q", "train.py", **{variable: value})

    assert done.returncode == 0, done.stderr
    assert ("fit LinearRegression" in {span["name"] for span in spans(work)}) is has_fit


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", "MLOTEL_DISABLED"])
def test_switched_off_it_is_plain_python(work, variable):
    """With everything switched off the script runs and nothing else happens."""
    done = run(work, "train.py", **{variable: "true"})

    assert (done.returncode, done.stdout, done.stderr) == (0, "trained\n", "")
    assert not (work / ".mlotel").exists()


def test_workers_of_a_script_find_its_functions(work):
    """Functions that a script defines reach worker processes, and their work is in the run."""
    (work / "pools.py").write_text(
        "import joblib, multiprocessing\nfrom sklearn.dummy import DummyClassifier\n"
        "def square(n):\n    DummyClassifier().fit([[0], [1]], [0, 1])\n    return n * n\n"
        "if __name__ == '__main__':\n"
        "    print(joblib.Parallel(n_jobs=2)(joblib.delayed(square)(n) for n in range(3)))\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(square, [3]))\n"
    )

    done = run(work, "-q", "pools.py")

    assert (done.stdout, done.stderr, done.returncode) == ("[0, 1, 4]\n[9]\n", "", 0)
    assert [span["name"] for span in spans(work)].count("fit DummyClassifier") == 3


def test_opentelemetry_instrument_gives_the_same_spans(work):
    """`opentelemetry-instrument python train.py` records the estimators as `mlotel run` does.

    Which SDK records is what a distribution of OpenTelemetry says; here the program does.
    """
    (work / "with_sdk.py").write_text(
        "import runpy\nfrom opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))\n"
        "runpy.run_path('train.py')\n"
    )
    ours = run(work, "-q", "train.py")
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    theirs = call(work, command, sys.executable, "with_sdk.py")

    assert ours.returncode == theirs.returncode == 0, theirs.stderr
    assert "mlotel" not in theirs.stderr
    [fit] = [span for span in spans(work) if span["name"] == "fit LinearRegression"]
    keys = {attribute["key"] for attribute in fit["attributes"]} - {"ml.run.id"}
    assert '"name": "fit LinearRegression"' in theirs.stdout
    assert all(f'"{key}"' in theirs.stdout for key in keys)
