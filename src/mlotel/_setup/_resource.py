"""Who and where the telemetry comes from: service, process, host, revision, CI run."""

import contextlib
import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import OTELResourceDetector, Resource, ServiceInstanceIdResourceDetector

from mlotel import _guard
from mlotel._setup._ci import ci_facts
from mlotel._setup._vcs import vcs_facts, work_tree
from mlotel.semconv import attributes as names
from mlotel.tracing import attributes as texts

_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i686": "x86",
    "i386": "x86",
}


class Facts:
    """The attributes of the resource, complete after ``settle``.

    What costs nothing is there at once. What ``git`` knows is asked in a thread, so that ``configure()`` does not wait
    for it; the first delivery does, for a second at most. From then on nothing changes, or one process would look like
    two.

    Args:
        service_name: The service's name; None takes it from the environment, else from the script.
        redact: Applied to every text.
    """

    def __init__(self, service_name: str | None, redact: Callable[[str], str] | None) -> None:
        self._redact = redact
        # Extra detectors of OTEL_EXPERIMENTAL_RESOURCE_DETECTORS run here too; OTEL_RESOURCE_ATTRIBUTES wins over all.
        found = dict(Resource.create().attributes)
        stated = OTELResourceDetector().detect().attributes
        if names.SERVICE_NAME not in stated and str(found[names.SERVICE_NAME]).startswith("unknown_service"):
            del found[names.SERVICE_NAME]
        self._stated: dict[str, Any] = found
        if service_name is not None:
            self._stated[names.SERVICE_NAME] = service_name
        self.service_name = str(self._stated.setdefault(names.SERVICE_NAME, script_name() or "unknown_service"))
        self._ci = ci_facts(os.environ)
        self._vcs: Mapping[str, Any] = {}
        self._folder = work_tree(_folders())
        self._look()

    def _look(self) -> None:
        self._is_settled = threading.Event()
        self._attributes = self._compose()
        if self._folder is None:
            self._is_settled.set()
            return
        try:
            threading.Thread(target=self._ask_git, name="mlotel-facts", daemon=True).start()
        except RuntimeError:  # the interpreter is ending
            self._is_settled.set()

    def attributes(self) -> Mapping[str, Any]:
        """The attributes as far as they are known."""
        return self._attributes

    def settle(self, patience_s: float = 1.0) -> None:
        """Wait for what is still being found out, then leave it at that."""
        if not self._is_settled.wait(patience_s):
            self._is_settled.set()

    def restart(self) -> None:
        """Describe the forked child: another process, the same everything else."""
        self._stated.update(ServiceInstanceIdResourceDetector().detect().attributes)
        if self._is_settled.is_set():
            self._attributes = self._compose()
        else:
            self._look()

    def _ask_git(self) -> None:
        vcs: Mapping[str, Any] = {}
        with _guard.guard("find out the revision of the code"):
            assert self._folder is not None
            vcs = vcs_facts(self._folder)
        if not self._is_settled.is_set():
            self._vcs = vcs
            self._attributes = self._compose()
            self._is_settled.set()

    def _compose(self) -> Mapping[str, Any]:
        found = {**process_facts(), **self._ci, **self._vcs, **self._stated}
        if self._redact is None:
            return found
        return {
            name: texts.redacted_by(self._redact, value) if isinstance(value, str) else value
            for name, value in found.items()
        }


class LiveResource(Resource):
    """A resource whose attributes are looked up when they are exported.

    Providers cannot be given another resource, but ``configure()`` after ``shutdown()`` may name another service. The
    SDK's providers merge process-dependent attributes into their resource after a fork: those lie on top.

    Args:
        look_up: Gives the attributes of the moment.
        on_top: Attributes that win over them.
    """

    def __init__(self, look_up: Callable[[], Mapping[str, Any]], on_top: Mapping[str, Any] | None = None) -> None:
        super().__init__({})
        self._look_up = look_up
        self._on_top = dict(on_top or {})

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the moment."""
        return {**self._look_up(), **self._on_top}

    def merge(self, other: Resource) -> Resource:
        """A resource with the attributes of ``other`` on top, as live as this one."""
        return LiveResource(self._look_up, {**self._on_top, **other.attributes})

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)  # the base class makes JSON of all attributes, and encoders ask for each span


def process_facts() -> dict[str, str | int]:
    """Process, runtime and host. No argument of the command line: they may hold secrets."""
    system = platform.system().lower()
    machine = platform.machine().lower()
    version = sys.implementation.version
    found: dict[str, str | int] = {
        names.PROCESS_PID: os.getpid(),
        names.PROCESS_EXECUTABLE_NAME: Path(sys.executable).name if sys.executable else "",
        names.PROCESS_RUNTIME_NAME: sys.implementation.name,
        names.PROCESS_RUNTIME_VERSION: f"{version.major}.{version.minor}.{version.micro}",
        names.HOST_NAME: platform.node(),
        names.HOST_ARCH: _ARCHITECTURES.get(machine, machine),
        names.OS_TYPE: {"sunos": "solaris"}.get(system, system),
    }
    return {name: value for name, value in found.items() if value != ""}


def script_name() -> str | None:
    """Name of the script that runs, without its suffix; of its package for ``python -m package``."""
    script = _script()
    if script is None:
        return None
    return script.parent.name if script.stem == "__main__" else script.stem


def _script() -> Path | None:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(file, str) or not file or file.startswith("<"):
        return None
    return Path(file).absolute()


def _folders() -> list[Path]:
    folders = []
    script = _script()
    if script is not None:
        folders.append(script.parent)
    with contextlib.suppress(OSError):  # the working folder was removed
        folders.append(Path.cwd())
    return folders
