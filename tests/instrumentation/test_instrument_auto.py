"""OpenTelemetry's own tools find the instrumentation, and it does what they expect."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import mlotel
from mlotel import instrumentation
from mlotel.instrumentation._entry import IoInstrumentor, SklearnInstrumentor

PROGRAM = """
import sys
import mlotel
print("imported before:", *{"pandas", "polars", "pyarrow", "joblib", "torch"} & set(sys.modules))
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
import pickle
with mlotel.component("save"), open("model.pkl", "wb") as file:
    pickle.dump({"weight": 0.5}, file)
"""


def run(folder, *command, **environment):
    (folder / "program.py").write_text(PROGRAM)
    command = [*command, sys.executable, "program.py"]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_the_entry_point_is_there():
    """The distribution offers `io` and `sklearn`, and asks for no library by `instruments`: that would block all."""
    entries = [e for e in metadata.entry_points(group="opentelemetry_instrumentor") if e.dist.name == "mlotel"]

    assert {e.name: e.load() for e in entries} == {"io": IoInstrumentor, "sklearn": SklearnInstrumentor}
    assert not any("instruments" in requirement for requirement in metadata.requires("mlotel"))


@pytest.mark.parametrize("disabled", [False, True])
def test_a_program_under_opentelemetry_instrument(disabled, tmp_path):
    """`opentelemetry-instrument python program.py` captures files, imports no library, and can be told not to."""
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    environment = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "io"} if disabled else {}

    done = run(tmp_path, command, **environment)

    assert "imported before:\n" in done.stdout
    assert '"name": "component save"' in done.stdout
    assert ('"name": "write model.pkl"' in done.stdout) is not disabled
    assert "mlotel" not in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_tool_nothing_is_captured(tmp_path):
    """The same program alone records nothing, for nobody has asked."""
    assert "write model.pkl" not in run(tmp_path).stdout


def test_by_hand_it_does_the_same():
    """`IoInstrumentor().instrument()` is `mlotel.instrument("io")`, and takes back what it did and no more."""
    mlotel.instrument("numpy")

    IoInstrumentor().instrument()
    assert "pickle" in instrumentation._installed
    assert IoInstrumentor().is_instrumented_by_opentelemetry
    IoInstrumentor().uninstrument()

    assert list(instrumentation._installed) == ["numpy"]
    assert IoInstrumentor().instrumentation_dependencies() == ()
