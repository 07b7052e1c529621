"""Runs the suite against the built wheel, in an environment of its own that never sees the source tree.

    python3 tools/suite.py FOLDER [PYTEST-ARGUMENTS]

What pytest prints last is what is printed last.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from environment import ROOT, SetUpError, check, clean_environment, create, install, python_of


def prepare(folder: str, interpreter: str, pins: str) -> tuple[Path, Path]:
    """Set up ``folder`` with ``pins``, build, install the wheel; returns the folder of wheel and sdist, and python."""
    create(folder, interpreter)
    install(folder, ["-r", pins])
    python = python_of(Path(folder).absolute())
    dist = Path(folder).absolute() / "dist"
    built = subprocess.run(
        [str(python), "tools/distributions.py", str(dist)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    if built.returncode != 0:
        raise SetUpError("The wheel could not be built; the lines above say why.")
    [wheel] = [line for line in built.stdout.splitlines() if line.endswith(".whl")]
    install(folder, ["--no-deps", "--force-reinstall", wheel])
    check(folder)  # a wheel that asks for more than the pins give
    return dist, python


def pytest(folder: str, interpreter: str, pins: str, arguments: list[str]) -> int:
    """Run the suite in ``folder``; returns pytest's exit status."""
    dist, python = prepare(folder, interpreter, pins)
    environment = clean_environment()
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment.get('PATH', '')}"
    # The console script, not ``python -m pytest``: that would put the working folder on the import path.
    command = [str(python.with_name("pytest")), f"--dist={dist}", *arguments]  # "=": else a path to test
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def main(arguments: list[str]) -> int:
    if not arguments:
        raise SetUpError("Usage: suite.py FOLDER [PYTEST-ARGUMENTS]")
    return pytest(arguments[0], sys.executable, "requirements/test.txt", arguments[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetUpError as error:
        sys.exit(f"{error}")
