"""Builds the wheel and the sdist into a folder, each straight from the source tree.

    python tools/distributions.py dist

Needs ``build`` and ``hatchling`` in the environment that runs it; nothing is downloaded.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(source: Path, folder: Path, *kinds: str) -> list[Path]:
    """Build ``kinds`` (``wheel``, ``sdist``) of the tree ``source``; what lay in ``folder`` before goes.

    The old files stay until the new ones are there, and a file with the same content is left alone.
    """
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", place]
        command += [f"--{kind}" for kind in kinds]
        # One date for all files makes the same sources give the same bytes, so nothing is installed twice.
        environment = {"SOURCE_DATE_EPOCH": "1577836800", **os.environ}
        done = subprocess.run([*command, str(source)], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise SystemExit(f"Building {', '.join(kinds)} of {source} failed:\n{done.stdout}{done.stderr}")
        built = sorted(Path(place).iterdir())
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("mlotel-*"):
            if path.name not in {new.name for new in built}:
                path.unlink()
        for path in built:
            if not (folder / path.name).exists() or (folder / path.name).read_bytes() != path.read_bytes():
                shutil.copy(path, folder / path.name)
        return [folder / path.name for path in built]


if __name__ == "__main__":
    for path in build(ROOT, Path(sys.argv[1] if len(sys.argv) > 1 else "dist"), "sdist", "wheel"):
        print(path)
