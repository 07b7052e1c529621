"""Sets up a virtual environment and remembers what is in it, so that a second call costs nothing.

    python3 tools/environment.py .venv -r requirements/dev.txt -e .

The first argument is the folder, the rest goes to ``pip install``. uv does the work where it can be had, pip otherwise.
Standard library only: this is the first thing that runs on a fresh clone.
"""

from __future__ import annotations  # so that a Python that is too old gets as far as the message that says so

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALLER = ROOT / "requirements" / "install.txt"
OLDEST = (3, 10)


class SetUpError(Exception):
    """What could not be set up, with what to do about it."""


def python_of(folder: str | Path) -> Path:
    return Path(folder) / "bin" / "python"


def version_of(interpreter: str | Path) -> tuple[int, ...] | None:
    """``(3, 11, 7)`` for an interpreter that starts, None for one that does not."""
    code = "import sys; print('%d %d %d' % sys.version_info[:3])"
    try:
        done = subprocess.run([str(interpreter), "-I", "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else None


def create(folder: str | Path, interpreter: str | Path) -> None:
    """Make sure that ``folder`` holds a virtual environment of ``interpreter``; what already works there is kept."""
    wanted = version_of(interpreter)
    if wanted is None:
        raise SetUpError(f"{interpreter} does not start. Name another one: make PYTHON=/path/to/python3")
    present = version_of(python_of(folder))
    if present is not None and present[:2] == wanted[:2]:
        return
    if wanted[:2] < OLDEST:
        raise SetUpError(
            f"{interpreter} is Python {'.'.join(map(str, wanted))}; mlotel needs 3.10 or later. "
            "Name another one: make PYTHON=/path/to/python3"
        )
    if present is not None and Path(folder).name == ".venv":
        return  # the environment a person works in, with the version of their choice
    if Path(folder).exists():
        shutil.rmtree(folder)
    say(f"creating {folder} with Python {'.'.join(map(str, wanted))}")
    done = subprocess.run([str(interpreter), "-m", "venv", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise SetUpError(
            f"{interpreter} -m venv failed: {(done.stdout + done.stderr).strip()}\n"
            "On Debian and Ubuntu its package python3-venv is missing."
        )


def pip(folder: str | Path, action: str) -> list[str]:
    """Start of the command ``pip ACTION`` for ``folder``: by uv, fetched into the environment at first, else by pip."""
    python = python_of(folder)
    quiet = ["--quiet"] if action == "install" and not sys.stderr.isatty() else []
    inside = python.with_name("uv")
    if not inside.exists():
        plain = [str(python), "-m", "pip", "--disable-pip-version-check"]
        if subprocess.run([*plain, "install", "--quiet", "-r", str(INSTALLER)]).returncode != 0:
            say("uv cannot be installed here; pip takes its place and takes longer")
            return [*plain, action, *quiet]
    return [str(inside), "pip", action, *quiet, "--python", str(python)]


def stamp(folder: str | Path, arguments: list[str]) -> str:
    """Digest of everything that decides what is in the environment: arguments, files they name, our own metadata."""
    digest = hashlib.sha256(repr((version_of(python_of(folder)), arguments)).encode())
    named = [Path(argument) for argument in arguments if Path(argument).is_file()]
    for path in [*named, INSTALLER, ROOT / "pyproject.toml", ROOT / "src" / "mlotel" / "_version.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def install(folder: str | Path, arguments: list[str]) -> bool:
    """``pip install ARGUMENTS`` in ``folder``, unless exactly this was done before; returns whether it ran."""
    done = Path(folder) / ".stamps" / hashlib.sha256(repr(arguments).encode()).hexdigest()[:12]
    wanted = stamp(folder, arguments)
    if done.exists() and done.read_text() == wanted:
        return False
    say(f"installing {' '.join(arguments)} into {folder}")
    if subprocess.run([*pip(folder, "install"), *arguments], cwd=ROOT, env=clean_environment()).returncode != 0:
        raise SetUpError(f"Installing into {folder} failed; the lines above say why. Is a package index reachable?")
    done.parent.mkdir(exist_ok=True)
    done.write_text(wanted)
    return True


def check(folder: str | Path) -> None:
    """Make sure that everything in ``folder`` has what it asks for."""
    done = subprocess.run(pip(folder, "check"), cwd=ROOT, env=clean_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise SetUpError(f"What is in {folder} does not fit together:\n{done.stdout}{done.stderr}")


def clean_environment() -> dict[str, str]:
    """The environment variables without those that would make another Python or other modules take part."""
    return {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}


def say(message: str) -> None:
    print(f"-- {message}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        raise SetUpError("Usage: environment.py FOLDER PIP-INSTALL-ARGUMENTS")
    folder, *wanted = arguments
    create(folder, sys.executable)
    install(folder, wanted)
    check(folder)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SetUpError as error:
        sys.exit(f"{error}")
