"""The end of a run on a terminal: its tree, on standard error, where somebody reads it."""

import os
import pty
import subprocess
import sys

import pytest
from programs import PROLOGUE

RUN = """
configure({arguments})
with mlotel.pipeline("nightly"):
    with mlotel.component("clean"):
        pass
"""


def on_a_terminal(arguments, folder, environment=None):
    """What a program writes to a terminal on its standard error."""
    ours, theirs = pty.openpty()
    (folder / "script.py").write_text(PROLOGUE + RUN.format(arguments=arguments))
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=folder, stderr=theirs, env={**os.environ, **(environment or {})}
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other side has ended
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(20) == 0, text.decode()
    return text.decode()


def test_a_run_prints_its_tree(tmp_path):
    """The tree of the run, and the folder that it was recorded in."""
    text = on_a_terminal("", tmp_path)

    assert "nightly" in text
    assert "clean" in text
    assert ".mlotel/spool" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(("arguments", "environment"), [("quiet=True", {}), ("", {"MLOTEL_QUIET": "true"})])
def test_quiet_prints_nothing(arguments, environment, tmp_path):
    """quiet= or MLOTEL_QUIET: not a word."""
    assert on_a_terminal(arguments, tmp_path, environment) == ""
