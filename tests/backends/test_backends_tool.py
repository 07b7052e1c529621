"""`make backends`: what it says without Go, and that it does nothing twice."""

import os
import subprocess
import sys
import time
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent.parent / "tools" / "backends.py"


def backends(*names, **environment):
    return subprocess.run(
        [sys.executable, TOOL, *names], env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_without_go_it_says_what_to_install(tmp_path):
    """No go on the PATH: status 1, one message with the remedy, nothing built."""
    done = backends(PATH=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.startswith("There is no go on the PATH. Install Go 1.25 or later")


def test_a_go_that_is_too_old_is_refused(tmp_path):
    """An older Go: its version and the one that is needed."""
    (tmp_path / "go").write_text("#!/bin/sh\necho go1.21.3\n")
    (tmp_path / "go").chmod(0o755)
    done = backends(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert done.returncode == 1
    assert "go1.21.3; Go 1.25 or later is needed" in done.stderr


def test_an_unknown_name_is_refused_with_the_known_ones():
    """A server that nobody builds: status 1, and what there is."""
    done = backends("jager")

    assert done.returncode == 1
    assert done.stderr == "No backend is called jager; there are otelcol, prometheus, promtool.\n"


def test_what_is_built_is_not_built_again(collector_binary):
    """With the collector there from the same pins a second call ends at once and leaves it as it is."""
    before, began = collector_binary.stat().st_mtime_ns, time.monotonic()
    done = backends("otelcol")

    assert (done.returncode, done.stderr) == (0, "")
    assert collector_binary.stat().st_mtime_ns == before
    assert time.monotonic() - began < 10
