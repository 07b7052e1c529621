"""The examples in the docstrings run and give what they say, so that the API page shows nothing untested."""

import subprocess
import sys
from pathlib import Path

import pytest

import mlotel

SOURCE = Path(mlotel.__file__).parent
MODULES = sorted(
    ".".join(("mlotel", *file.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for file in SOURCE.rglob("*.py")
    if file.name != "__main__.py" and ">>> " in file.read_text(encoding="utf-8")
)
SETTING_UP = [name for name in MODULES if name.startswith(("mlotel._setup", "mlotel.testing"))]
OTHERS = [name for name in MODULES if name not in SETTING_UP]

RUN = """
import doctest, importlib, sys
failed = tried = 0
for name in sys.argv[1:]:
    one = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    failed, tried = failed + one.failed, tried + one.attempted
print(tried, "examples in", len(sys.argv) - 1, "modules")
sys.exit(bool(failed))
"""


@pytest.mark.parametrize("names", [OTHERS, *[[name] for name in SETTING_UP]], ids=lambda names: names[-1])
def test_examples_in_docstrings_run(names, tmp_path):
    """Each example gives what stands below it. Those that set providers have a process of their own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *names], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-5]) > 0


@pytest.mark.parametrize(
    "name", [name for name in mlotel.__all__ if callable(getattr(mlotel, name)) and name[0].islower()]
)
def test_every_public_call_has_an_example(name):
    """What users call shows how in its docstring."""
    assert ">>> " in getattr(mlotel, name).__doc__
