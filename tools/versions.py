"""Runs the suite on every Python version that the metadata names, each in an environment of its own.

    python3 tools/versions.py [--lowest] [3.10 3.12 ...]

Interpreters are looked for as ``python3.X`` on the path and in pyenv's folder. A version that is not there is said and
counts as a failure only when it was asked for by name. ``--lowest`` takes the oldest dependencies that pyproject.toml
allows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, SetUpError, say, version_of
from suite import pytest

# Read as text: tomllib came with 3.11.
NAMED = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())


def find(version: str) -> Path | None:
    """An interpreter of ``version`` that starts: on the path, else the newest one that pyenv has."""
    wanted = tuple(int(part) for part in version.split("."))
    on_path = shutil.which(f"python{version}")
    candidates = [Path(on_path)] if on_path else []
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip()
        folders = sorted(Path(root, "versions").glob(f"{version}.*"), key=lambda folder: version_of_name(folder.name))
        candidates += [folder / "bin" / "python" for folder in reversed(folders)]
    for candidate in candidates:
        if (version_of(candidate) or ())[:2] == wanted:
            return candidate
    return None


def version_of_name(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def main(asked: list[str]) -> int:
    lowest = "--lowest" in asked
    asked = [version for version in asked if version != "--lowest"]
    results: dict[str, str] = {}
    for version in asked or NAMED:
        interpreter = find(version)
        if interpreter is None:
            results[version] = "not found" if asked else "not found, skipped"
            continue
        say(f"Python {version}")
        try:
            status = pytest(
                f".venv-lowest-{version}" if lowest else f".venv-test-{version}",
                str(interpreter),
                "requirements/lowest.txt" if lowest else "requirements/test.txt",
                [],
            )
        except SetUpError as error:
            print(error, file=sys.stderr)
            status = 1
        results[version] = "passed" if status == 0 else "failed"
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return 0 if all(result in ("passed", "not found, skipped") for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
