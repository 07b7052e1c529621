"""Real servers for the tests of this folder, and what they share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import collector as collectors
from certificates import Certificate
from receiver import RECEIVERS

REQUIRED = "MLOTEL_TEST_BACKENDS"
"""Set to ``required``: a server that is not there is a failure, and no reason to skip."""

IS_REQUIRED = os.environ.get(REQUIRED) == "required"  # read before any test clears the environment


def absent(what):
    """Skip for want of a server, or fail where servers are required."""
    if IS_REQUIRED:
        pytest.fail(f"{what}, and {REQUIRED}=required asks for it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def collector_binary():
    """The collector that `make backends` builds."""
    found = collectors.find()
    if found is None:
        absent("the collector is not built: run `make backends`")
    return found


@pytest.fixture
def collector(collector_binary, tmp_path):
    """A collector that writes to a file; it is not started yet."""
    made = collectors.Collector(collector_binary, tmp_path / "collector")
    yield made
    if made.is_running:
        made.kill()


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request):
    """Both ways of OTLP."""
    return request.param


@pytest.fixture
def receiver(protocol):
    """A receiver that takes everything until it is told otherwise."""
    with RECEIVERS[protocol]() as made:
        yield made
        assert made.problems == []


@pytest.fixture(scope="session")
def certificate():
    """For localhost, by an authority of its own."""
    return Certificate()


@pytest.fixture
def folder(tmp_path):
    """Where programs run."""
    return tmp_path / "program"


@pytest.fixture
def spool(folder):
    """Where programs in ``folder`` keep their records."""
    return folder / ".mlotel" / "spool"


@pytest.fixture
def mount(tmp_path):
    """Gives small file systems in memory: ``mount("size=1m")`` is the folder of a new one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small file system")
    mounted = []

    def make(options):
        place = tmp_path / f"mount-{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", place], check=True)
