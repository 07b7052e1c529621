"""The real OpenTelemetry Collector, started, killed and started again on the same ports by the tests."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path

import yaml
from wire import SIGNALS, of_json

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / ".backends" / "otelcol" / "otelcol"


def find():
    """The collector that `make backends` builds; None where there is none."""
    return BUILT if os.access(BUILT, os.X_OK) else None


def free_ports(number):
    """Ports of this machine on which nobody listens."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


class Collector:
    """A collector that writes what it takes to a file, or keeps it in a queue on disk and passes it on.

    Args:
        binary: The collector.
        folder: For its configuration, its log, its file and its queue.
        forward: Base address of an OTLP receiver over HTTP. What the collector confirmed is then on its disk until that
            receiver has it, so that even a SIGKILL loses nothing of it. Without one it writes to a file, which is whole
            after a SIGTERM only.
        certificate: Of ``certificates.Certificate``; None for plain connections.
    """

    def __init__(self, binary, folder, *, forward=None, certificate=None):
        self._binary = str(binary)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._process = None
        self._grpc, self._http, self._health = free_ports(3)
        self._is_safe = certificate is not None
        self._file = folder / "taken.jsonl"
        self._config = folder / "collector.yaml"
        self._config.write_text(yaml.safe_dump(self._configuration(forward, certificate)), encoding="utf-8")

    def endpoint(self, protocol):
        """Base address for ``http/protobuf`` or ``grpc``."""
        scheme = "https" if self._is_safe else "http"
        return f"{scheme}://localhost:{self._grpc if protocol == 'grpc' else self._http}"

    @property
    def is_running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def log(self):
        """What it has said so far."""
        return (self._folder / "log.txt").read_text(encoding="utf-8")

    def start(self, timeout_s=30.0):
        """Start it and wait until it takes records."""
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, f"--config={self._config}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + timeout_s
        while not self._is_healthy():
            if not self.is_running or time.monotonic() > deadline:
                raise AssertionError(f"the collector did not start:\n{self.log}")
            time.sleep(0.05)
        return self

    def _is_healthy(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, timeout_s=20.0):
        """End it with SIGTERM: it takes nothing more and writes down what it has."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self):
        """End it with SIGKILL."""
        self._end(signal.SIGKILL, 10.0)

    def _end(self, number, timeout_s):
        if not self.is_running:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the collector did not end within {timeout_s} s:\n{self.log}") from None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        if self.is_running:
            self.kill()

    def items(self, signal_name):
        """All records of a signal in its file, in order, duplicates too."""
        if not self._file.exists():
            return []
        found = []
        for line in self._file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                kind, items = of_json(line)
                found += items if kind == signal_name else []
        return found

    def taken(self, signal_name):
        """How often each record of a signal is in its file."""
        return Counter(item.id for item in self.items(signal_name))

    def excused(self, signal_name):
        """Nothing: a collector that ends with SIGTERM answers what it has taken."""
        return set()

    def wait_for(self, condition, timeout_s=15.0):
        """Wait until ``condition(self)`` holds; says whether it does. Its file is some tenths of a second behind."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _configuration(self, forward, certificate):
        tls = {}
        if certificate is not None:
            tls = {"tls": {name: str(path) for name, path in certificate.write_server(self._folder).items()}}
        protocols = {
            "grpc": {"endpoint": f"localhost:{self._grpc}", "max_recv_msg_size_mib": 64, **tls},
            "http": {"endpoint": f"localhost:{self._http}", **tls},
        }
        extensions = {"health_check": {"endpoint": f"127.0.0.1:{self._health}"}}
        if forward is None:
            exporters = {"file": {"path": str(self._file), "append": True, "flush_interval": "100ms"}}
        else:
            queue = self._folder / "queue"
            queue.mkdir(exist_ok=True)
            extensions["file_storage"] = {"directory": str(queue), "fsync": True}
            exporters = {
                "otlp_http": {
                    "endpoint": forward,
                    "compression": "none",
                    "sending_queue": {"storage": "file_storage", "num_consumers": 1, "queue_size": 100_000},
                    "retry_on_failure": {"initial_interval": "100ms", "max_interval": "1s", "max_elapsed_time": "0s"},
                }
            }
        pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
        return {
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": exporters,
            "extensions": extensions,
            "service": {
                "extensions": list(extensions),
                "telemetry": {"metrics": {"level": "none"}},  # it would take a fourth port
                "pipelines": dict.fromkeys(SIGNALS, pipeline),
            },
        }
