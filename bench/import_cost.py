"""What ``import mlotel`` costs, as a multiple of ``import opentelemetry.trace``.

CPU time of fresh interpreters, taken in turns so that a busy machine slows all of them alike, less that of a bare
interpreter; medians.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile

PROGRAMS = {"bare": "pass", "opentelemetry": "import opentelemetry.trace", "mlotel": "import mlotel"}
BOUND = 1.5


def cpu_time_s(program: str, folder: str) -> float:
    """CPU time of one fresh interpreter that runs ``program``, its start and end included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, cwd=folder, env={"PATH": os.environ.get("PATH", "")})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def run(quick: bool) -> list[tuple[str, float, float, bool]]:
    """One row: name, measured ratio, bound, whether it holds."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for program in PROGRAMS.values():
            cpu_time_s(program, folder)  # the first run writes bytecode
        for _ in range(11 if quick else 41):
            for name, program in PROGRAMS.items():
                times[name].append(cpu_time_s(program, folder))
    cost = {name: statistics.median(values) for name, values in times.items()}
    ratio = (cost["mlotel"] - cost["bare"]) / (cost["opentelemetry"] - cost["bare"])
    return [("import mlotel / import opentelemetry.trace", ratio, BOUND, ratio <= BOUND)]
