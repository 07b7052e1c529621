"""What a run says of itself for later: its command, as a hash, and the libraries that touched data."""

import hashlib
import json
import subprocess
import sys

PROGRAM = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import mlotel
memory = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
with mlotel.pipeline("p"):
    if "--load" in sys.argv:
        import pandas
print(json.dumps(dict(memory.get_finished_spans()[-1].attributes)))
"""


def attributes(*words):
    found = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def test_the_command_is_known_by_its_hash():
    """The same words give the same hash, other words another, and the words themselves do not leave."""
    first, again, other = attributes("--key", "s3cret"), attributes("--key", "s3cret"), attributes("--key", "else")

    joined = "\0".join(["-c", PROGRAM, "--key", "s3cret"]).encode()
    assert first["ml.run.command.hash"] == f"sha256:{hashlib.sha256(joined).hexdigest()}"
    assert first["ml.run.command.hash"] == again["ml.run.command.hash"] != other["ml.run.command.hash"]
    assert "s3cret" not in json.dumps(first)


def test_the_libraries_that_touched_data_are_named():
    """Those loaded when the run ends, with the versions that their metadata states; none is loaded for the purpose."""
    from importlib.metadata import version

    loaded = attributes("--load")["ml.run.libraries"]
    assert f"pandas=={version('pandas')}" in loaded
    assert f"numpy=={version('numpy')}" in loaded
    assert not [entry for entry in attributes().get("ml.run.libraries", []) if entry.startswith("pandas")]
