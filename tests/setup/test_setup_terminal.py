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


def test_the_tree_names_the_revision(tmp_path):
    """The header says which revision ran, as mlotel show does."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=tmp_path, check=True)
    revision = subprocess.run([*git, "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert f"git {revision.stdout[:7]}" in on_a_terminal("", tmp_path, {"NO_COLOR": "1"})


def test_the_tree_says_where_it_was_sent(http_sink, tmp_path):
    """The address as it was given, once the spans have arrived."""
    text = on_a_terminal(f"endpoint={http_sink.endpoint!r}", tmp_path, {"NO_COLOR": "1"})

    assert f"sent to {http_sink.endpoint}\r\n" in text
    assert len(http_sink.spans()) == 2


def test_the_tree_does_not_claim_what_did_not_arrive(http_sink, tmp_path):
    """Spans that the endpoint refused are counted where otherwise stands that they were sent."""
    http_sink.behaviour = 400

    text = on_a_terminal(f"endpoint={http_sink.endpoint!r}", tmp_path, {"NO_COLOR": "1"})

    assert f"2 spans did not arrive at {http_sink.endpoint}" in text
    assert "sent to" not in text


def test_the_tree_says_when_spans_are_still_under_way(http_sink, tmp_path):
    """An endpoint that does not answer within a second is not waited for, and nothing is claimed."""
    http_sink.behaviour = "hang"

    text = on_a_terminal(f"endpoint={http_sink.endpoint!r}", tmp_path, {"NO_COLOR": "1"})

    assert f"still being sent to {http_sink.endpoint}" in text


def test_the_tree_shows_no_credentials(http_sink, tmp_path):
    """User name and password in an address stay off the terminal."""
    address = http_sink.endpoint.replace("://", "://me:hush@")

    text = on_a_terminal(f"endpoint={address!r}", tmp_path, {"NO_COLOR": "1"})

    assert f"sent to {http_sink.endpoint}\r\n" in text
    assert "hush" not in text
