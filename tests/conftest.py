"""What every test starts from: failures of mlotel show, nothing of the machine leaks in, nothing is left behind."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlotel import _guard, _settings

ROOT = Path(__file__).resolve().parent.parent
INHERITED = ("OTEL_", "MLOTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")

# A suite that runs in the background, or under nohup, ignores these, and so would the programs that it starts.
for _ignored, _default in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if getattr(signal, _ignored, None) and signal.getsignal(getattr(signal, _ignored)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _ignored), _default)

# Before any test loads scikit-learn: on a busy machine its threads would wait for each other at full speed.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_addoption(parser):
    parser.addoption(
        "--dist", type=Path, help="folder with the built wheel and sdist; they are built when it is absent"
    )


@pytest.fixture(autouse=True)
def strict(request, monkeypatch):
    """A failure that ``_guard`` would only log is raised, unless the test is marked ``lenient``."""
    monkeypatch.setattr(_guard, "STRICT", request.node.get_closest_marker("lenient") is None)
    _guard.forget()


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Home, state and working folder are empty ones of the test; no telemetry setting is inherited."""
    for name in [name for name in os.environ if name.startswith(INHERITED)]:
        monkeypatch.delenv(name)
    place = tmp_path / "isolated"  # beside what the test itself makes in tmp_path
    for name, folder in {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config"}.items():
        (place / folder).mkdir(parents=True)
        monkeypatch.setenv(name, str(place / folder))
    (place / "work").mkdir()
    monkeypatch.chdir(place / "work")


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """What a test changes in the settings is undone; MLOTEL_DISABLED is read anew."""
    before = {field.name: getattr(_settings.current, field.name) for field in dataclasses.fields(_settings.current)}
    monkeypatch.setattr(_settings, "_disabled", None)
    yield
    for name, value in before.items():
        setattr(_settings.current, name, value)


@pytest.fixture(scope="session")
def dist(request, tmp_path_factory):
    """Folder with one wheel and one sdist of this tree."""
    given = request.config.getoption("--dist")
    if given:
        return given.resolve()
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, ROOT / "tools" / "distributions.py", folder], check=True, stdout=subprocess.PIPE)
    return folder


@pytest.fixture(scope="session")
def wheel(dist):
    """The built wheel."""
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(dist):
    """The built source distribution."""
    [path] = dist.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def is_installed_from_wheel(request):
    """Whether this is `make test`: mlotel must then come from the wheel and from nowhere else."""
    return request.config.getoption("--dist") is not None
