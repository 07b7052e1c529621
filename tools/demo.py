"""Runs the flights example, shows what was recorded, names what to try next: ``make demo``.

Arguments go to the example: ``make demo ARGS="--rows 20000"``.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEXT = """
Try next:
  .venv/bin/mlotel runs             all runs recorded here
  .venv/bin/mlotel show --attrs     parameters, artifact ids and links of the last one
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 .venv/bin/python examples/flights/flights.py
                                    the same, sent to an OpenTelemetry collector"""


def main() -> int:
    # The demo needs no server and shows a local record, whatever this shell is set up for.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "MLOTEL_"))}
    # On a busy machine the threads of scikit-learn would wait for each other at full speed, most of the time.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    example = [sys.executable, "examples/flights/flights.py", *sys.argv[1:]]
    print("-- running examples/flights/flights.py", file=sys.stderr, flush=True)
    status = subprocess.run(example, cwd=ROOT, env=environment).returncode
    if status == 0 and not sys.stderr.isatty():  # on a terminal the run has printed its tree itself
        status = subprocess.run(
            [Path(sys.executable).with_name("mlotel"), "show"], cwd=ROOT, env=environment
        ).returncode
    if status == 0:
        print(NEXT)
    return status


if __name__ == "__main__":
    sys.exit(main())
