"""Renews the pinned versions in requirements/: ``make pins``.

A file holds all Python versions, told apart by markers, and names no download host. ``lowest.txt`` holds the oldest
versions that pyproject.toml and test.in allow; ``install.txt`` is written by hand.
"""

import subprocess
import sys
from pathlib import Path

from environment import ROOT

FOLDER = ROOT / "requirements"
PACKAGE = ["pyproject.toml", "--extra", "demo", "--extra", "sklearn"]
EVERY_PYTHON = ["--universal", "--python-version", "3.10"]
FILES = {
    "test.txt": [*PACKAGE, "requirements/test.in", *EVERY_PYTHON, "--upgrade"],
    "dev.txt": ["requirements/dev.in", "-c", "requirements/test.txt", *EVERY_PYTHON, "--upgrade"],
    "lowest.txt": [*PACKAGE, "requirements/test.in", "--python-version", "3.10", "--resolution", "lowest-direct"],
}


def main() -> None:
    uv = Path(sys.executable).with_name("uv")
    for name, sources in FILES.items():
        quiet = ["--quiet", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
        command = [str(uv), "pip", "compile", *quiet, *sources]
        resolved = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if resolved.returncode != 0:
            sys.exit(f"{name} cannot be resolved:\n{resolved.stderr}")
        (FOLDER / name).write_text("# Written by `make pins`; do not edit.\n" + resolved.stdout)
        print(f"requirements/{name}: {len(resolved.stdout.splitlines())} versions")


if __name__ == "__main__":
    main()
