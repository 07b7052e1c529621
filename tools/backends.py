"""Builds the servers that the tests run into ``.backends/``: ``make backends``.

    python3 tools/backends.py [NAME ...]

Sources come as Go modules at pinned versions, and Go checks what it is given against their checksums. What was built
from the same pins, by the same version of Go, is kept. Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".backends"
PINS = ROOT / "tests" / "backends"
OLDEST_GO = (1, 25)
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.159.0"
PROMETHEUS_VERSION = "3.9.1"  # the number that the module in prometheus/go.mod goes by as a program
SMALL = "-s -w"  # without symbols: half the size


class BackendError(Exception):
    """What could not be built, with what to do about it."""


@dataclass(frozen=True)
class Backend:
    """A server, or a tool that comes with one.

    Attributes:
        binary: Where it is below ``.backends``.
        pins: The files that decide what it is.
        command: Builds it, in the root of the clone.
        check: Arguments with which it starts, says what it is, and ends.
    """

    binary: Path
    pins: tuple[Path, ...]
    command: Callable[[Path], list[str]]
    check: tuple[str, ...]


def _collector(go: Path) -> list[str]:
    # The folder that it writes to is named in the manifest.
    return [str(go), "run", BUILDER, f"--config={PINS / 'otelcol' / 'ocb.yaml'}", f"--ldflags={SMALL}"]


def _prometheus(name: str) -> Callable[[Path], list[str]]:
    # `go install` refuses a module with excludes; as a tool of a module of ours it can be built.
    stamped = f"{SMALL} -X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}"
    folder, out = PINS / "prometheus", HOME / "prometheus" / name
    package = f"github.com/prometheus/prometheus/cmd/{name}"
    return lambda go: [
        *(str(go), "build", f"-C={folder}", "-mod=readonly", "-trimpath", "-tags=netgo", f"-ldflags={stamped}"),
        *(f"-o={out}", package),
    ]


_MODULE = (PINS / "prometheus" / "go.mod", PINS / "prometheus" / "go.sum")
BACKENDS = {
    "otelcol": Backend(Path("otelcol/otelcol"), (PINS / "otelcol" / "ocb.yaml",), _collector, ("--version",)),
    "prometheus": Backend(Path("prometheus/prometheus"), _MODULE, _prometheus("prometheus"), ("--version",)),
    "promtool": Backend(Path("prometheus/promtool"), _MODULE, _prometheus("promtool"), ("--version",)),
}


def find_go() -> tuple[Path, str]:
    """The Go toolchain on the PATH, and its version as it prints it."""
    found = shutil.which("go")
    if found is None:
        raise BackendError(
            f"There is no go on the PATH. Install Go {'.'.join(map(str, OLDEST_GO))} or later to build the servers "
            "that the tests run. `make test` runs without them, and skips the tests that need one."
        )
    # Elsewhere a file go.work or go.mod could ask for another toolchain.
    asked = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, cwd=PINS / "prometheus")
    version = asked.stdout.strip()
    numbers = version.removeprefix("go").split(".")
    if asked.returncode != 0 or tuple(int(number) for number in numbers[:2] if number.isdigit()) < OLDEST_GO:
        said = version or asked.stderr.strip()
        raise BackendError(f"{found} is {said}; Go {'.'.join(map(str, OLDEST_GO))} or later is needed.")
    return Path(found), version


def stamp(backend: Backend, command: list[str], go_version: str) -> str:
    """Digest of what decides how the binary turns out."""
    relative = [part.replace(str(ROOT), "") for part in command[1:]]
    digest = hashlib.sha256(repr((go_version, relative)).encode())
    for path in backend.pins:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build(name: str, go: Path, go_version: str) -> bool:
    """Build a backend unless it is there; returns whether it was built."""
    backend = BACKENDS[name]
    binary, done = HOME / backend.binary, HOME / f"{name}.stamp"
    command = backend.command(go)
    wanted = stamp(backend, command, go_version)
    if binary.exists() and done.exists() and done.read_text() == wanted:
        return False
    done.unlink(missing_ok=True)
    binary.parent.mkdir(exist_ok=True)
    say(f"building {name}, minutes when nothing of it is cached")
    began = time.monotonic()
    # Flags and workspaces of the person who builds would make another binary of it.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    built = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if built.returncode != 0:
        sys.stderr.buffer.write(built.stdout)
        raise BackendError(f"{name} could not be built; the lines above say why. Is a proxy of Go modules reachable?")
    started = subprocess.run([str(binary), *backend.check], capture_output=True, text=True)
    if started.returncode != 0:
        raise BackendError(f"{name} was built and does not start:\n{started.stdout}{started.stderr}")
    done.write_text(wanted)
    say(f"{name}: {(started.stdout or started.stderr).splitlines()[0]}, after {time.monotonic() - began:.0f} s")
    return True


def say(message: str) -> None:
    print(f"-- {message}", file=sys.stderr, flush=True)


def main(names: list[str]) -> None:
    if unknown := set(names) - set(BACKENDS):
        raise BackendError(f"No backend is called {', '.join(sorted(unknown))}; there are {', '.join(BACKENDS)}.")
    go, version = find_go()
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second call waits, and then finds everything there
        for name in names or BACKENDS:
            build(name, go, version)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BackendError as error:
        sys.exit(f"{error}")
