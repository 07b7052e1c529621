"""Runs what ``make demo`` runs, elsewhere, for comparison with the README."""

import re
import shutil
import subprocess
from pathlib import Path

from doc_output import Comparable
from doc_pages import ROOT, environment, on_terminal

COMMAND = "make demo"
COLUMNS = 104  # a few more or less leave the lines as they are, so durations of five or six characters do too
_BY_VERSION = [  # what a saved model weighs and how well it does is the libraries' business
    (re.compile(r"\b\d+(?:\.\d)? (?:B|kB|MB)\b"), "<size>"),
    (re.compile(r"\b\d\d\.\d(?= minutes)|(?<=a constant by )\d\d\.\d\b"), "<minutes>"),
    (re.compile(r"\bgit [0-9a-f]{7}\+?(?= |$)", re.MULTILINE), "git <revision>"),
]


def demo(folder: Path) -> str:
    """What ``make demo`` prints on a terminal, once everything is set up.

    It runs in a copy of the files, in a repository of its own: nothing is written into the clone, and the record has a
    revision as it has there.
    """
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "demo.py", folder / "tools")
    shutil.copytree(ROOT / "examples" / "flights", folder / "examples" / "flights")
    (folder / ".gitignore").write_text(".mlotel/\n")
    git = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "The demo"]):
        subprocess.run([*git, *command], cwd=folder, env=environment(), check=True, capture_output=True)
    return on_terminal("python tools/demo.py", folder, COLUMNS)


def took_seconds(printed: str) -> bool:
    """Whether all steps took less than a minute: longer words for longer times leave less room beside them."""
    return re.search(r"[✓✗▲] [ ━╸╺]{10} +\d+ (?:min|h) ", printed) is None


def comparable(printed: str, with_flows: bool = True) -> str:
    """``printed`` without what changes from run to run and from version to version of the libraries.

    Args:
        printed: What was printed.
        with_flows: Whether what went in and out of each step counts.
    """
    text = Comparable().text(printed)
    if not with_flows:
        text = re.sub(r"(?<=<bar> <time>) .*", "", text)
    for pattern, replacement in _BY_VERSION:
        text = pattern.sub(replacement, text)
    return text
