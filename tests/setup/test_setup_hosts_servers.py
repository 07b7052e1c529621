"""Servers that fork or spawn workers: each worker is an instance of its own, counts from zero, and loses nothing when
the server is told to stop."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest
from records import spooled
from sinks import refused_port

pytestmark = pytest.mark.skipif(os.name != "posix", reason="gunicorn and signals are POSIX's")

WSGI = """
import os
import mlotel
from opentelemetry import metrics

{configure}

def app(environ, start_response):
    with mlotel.component("predict"):
        metrics.get_meter("m").create_counter("requests").add(1)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

ASGI = """
import os
import mlotel
from opentelemetry import metrics

{configure}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({{"type": message["type"] + ".complete"}})
            if message["type"] == "lifespan.shutdown":
                {at_shutdown}
                return
    with mlotel.component("predict"):
        metrics.get_meter("m").create_counter("requests").add(1)
    body = str(os.getpid()).encode()
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}})
    await send({{"type": "http.response.body", "body": body}})

if __name__ == "__main__":
    import sys, uvicorn
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server under test, with what it answered."""

    def __init__(self, command, folder, port):
        self.port = port
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000", "PYTHONWARNINGS": "ignore"},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def ask(self, times):
        """Ask until it answers, then so often; returns how often each process answered."""
        answers = Counter()
        deadline = time.monotonic() + 40
        while sum(answers.values()) < times and time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/", headers={"Connection": "close"})
                answers[int(connection.getresponse().read())] += 1
                connection.close()
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        return answers

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def serve(tmp_path):
    """Starts servers, and sees to it that none is left."""
    started = []

    def launch(command, code):
        (tmp_path / "app.py").write_text(textwrap.dedent(code))
        port = free_port()
        server = Server([sys.executable, "-m", *[part.replace("PORT", str(port)) for part in command]], tmp_path, port)
        started.append(server)
        return server

    yield launch
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture(params=["up", "down"])
def place(request, tmp_path):
    """Where the server sends to, and what it made of it."""
    sink = request.getfixturevalue("http_sink") if request.param == "up" else None
    endpoint = sink.endpoint if sink else f"http://127.0.0.1:{refused_port()}"

    def records(kind):
        folder = tmp_path / ".mlotel" / "spool"
        return ([] if sink is None else sink._decoded(kind)) + (spooled(folder)[kind] if folder.exists() else [])

    return endpoint, records


def assert_all_there(answers, records):
    """A span for each request, by as many instances as there were workers, each of which counted its own."""
    spans = [span for span in records("traces") if span["name"] == "component predict"]
    by_process = Counter(span["resource"]["process.pid"] for span in spans)
    assert by_process == answers
    assert len({span["resource"]["service.instance.id"] for span in spans}) == len(answers)
    last = {}
    for point in records("metrics"):
        if point["name"] == "requests":
            last[point["resource"]["service.instance.id"]] = (point["resource"]["process.pid"], point["value"])
    assert dict(last.values()) == answers


@pytest.mark.parametrize("options", [[], ["--preload"], ["--worker-class", "gthread", "--threads", "2"]], ids=str)
def test_gunicorn(options, place, serve):
    """Workers deliver all when gunicorn is stopped, with the application loaded before the fork or after it."""
    pytest.importorskip("gunicorn")
    endpoint, records = place
    command = ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:PORT", *options, "app:app"]
    server = serve(command, WSGI.format(configure=f"mlotel.configure('shop', endpoint={endpoint!r})"))
    answers = server.ask(40)

    assert server.stop() == 0, server.log.read_text()
    assert_all_there(answers, records)


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=str)
def test_uvicorn_with_shutdown_in_the_lifespan(options, place, serve):
    """uvicorn ends its processes by a signal of their own: shutdown() at the end of the lifespan loses nothing."""
    pytest.importorskip("uvicorn")
    endpoint, records = place
    configure = f"telemetry = mlotel.configure('shop', endpoint={endpoint!r})"
    code = ASGI.format(configure=configure, at_shutdown="telemetry.shutdown()")
    server = serve(["uvicorn", "--log-level", "warning", "--port", "PORT", *options, "app:app"], code)
    answers = server.ask(20)

    server.stop()
    assert_all_there(answers, records)


def test_uvicorn_run_by_a_program_that_configured_before(place, serve):
    """Where configure() comes before uvicorn.run(), the signal that uvicorn passes on flushes first."""
    pytest.importorskip("uvicorn")
    endpoint, records = place
    code = ASGI.format(configure=f"mlotel.configure('shop', endpoint={endpoint!r})", at_shutdown="pass")
    server = serve(["app", "PORT"], code)
    answers = server.ask(20)

    server.stop()
    assert_all_there(answers, records)
