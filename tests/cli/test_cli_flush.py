"""`mlotel flush`: sends what waits to a real receiver, and says what became of every record."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import spool_files
from sinks import grpc_sink, http_sink, refused_port  # noqa: F401 - fixtures
from spool_files import line, log_line, metric_line

from mlotel import cli
from mlotel.export.spool import SpoolWriter

SECRET = "tok-4f1d"


@pytest.fixture
def spool(tmp_path, monkeypatch):
    """A working folder with an empty spool."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / ".mlotel" / "spool"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def flush(capsys):
    """Runs the command; returns exit status, standard output, standard error."""

    def call(*arguments):
        status = cli.main(["flush", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def table(output):
    """The table that was printed: ``{signal: {column: number}}``."""
    titles, *rows = [text.split() for text in output.splitlines() if not text.startswith(" ") or "sent" in text.split()]
    return {
        row[0]: {title: int(cell.replace(",", "")) for title, cell in zip(titles, row[1:], strict=True)}
        for row in rows
        if row[0] in ("traces", "metrics", "logs")
    }


def test_everything_is_sent_and_told(spool, flush, http_sink):  # noqa: F811 - the fixture
    """Counts a signal and of files; the exit status is 0, and the folder is empty."""
    spool_files.put(spool, [line(range(1204)), metric_line(1)], unique="00000a")
    spool_files.put(spool, [log_line(2), line([5])], unique="00000b")

    status, out, err = flush("--endpoint", http_sink.endpoint)

    assert (status, err) == (0, "")
    assert out.splitlines()[0].split() == ["sent", "refused", "torn", "unreadable", "left"]
    assert table(out) == {
        "traces": {"sent": 1205, "refused": 0, "torn": 0, "unreadable": 0, "left": 0},
        "metrics": {"sent": 1, "refused": 0, "torn": 0, "unreadable": 0, "left": 0},
        "logs": {"sent": 1, "refused": 0, "torn": 0, "unreadable": 0, "left": 0},
    }
    assert out.splitlines()[-1] == "2 files sent, 0 left"
    assert "1,205" in out
    assert (len(http_sink.spans()), len(http_sink.metrics()), len(http_sink.logs())) == (1205, 1, 1)
    assert list(spool.iterdir()) == []
    status, out, err = flush("--endpoint", http_sink.endpoint)
    assert (status, out) == (3, "")
    assert "Nothing waits in .mlotel/spool or " in err


def test_over_grpc(spool, flush, grpc_sink):  # noqa: F811 - the fixture
    """As protocol and header say."""
    spool_files.put(spool, [line([7])])

    status, _, err = flush("--endpoint", grpc_sink.endpoint, "--protocol", "grpc", "--header", f"x-key={SECRET}")

    assert (status, err) == (0, "")
    [(_, _, headers)] = grpc_sink.requests
    assert headers["x-key"] == SECRET
    assert grpc_sink.spans()[0]["attributes"]["n"] == 7


def test_the_environment_names_the_endpoint_as_for_configure(spool, flush, http_sink, monkeypatch):  # noqa: F811
    """General and own addresses, and headers; signals that nobody takes stay, and that is said."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", http_sink.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{http_sink.endpoint}/own/v1/logs")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={SECRET},x-more=1")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    spool_files.put(spool, [line([1]), log_line(2), metric_line(3)])

    status, out, err = flush("--header", "x-more=2")

    assert status == 1
    assert table(out)["metrics"] == {"sent": 0, "refused": 0, "torn": 0, "unreadable": 0, "left": 1}
    assert out.splitlines()[-1].endswith(".jsonl: no endpoint for metrics")
    assert err == ""
    assert {headers["path"] for _, _, headers in http_sink.requests} == {"/v1/traces", "/own/v1/logs"}
    assert {(headers["x-key"], headers["x-more"]) for _, _, headers in http_sink.requests} == {(SECRET, "2")}


def test_local_recordings_are_sent_when_asked_for(spool, flush, http_sink):  # noqa: F811 - the fixture
    """Without --all there is nothing to do, and it says how; with it they are sent once, and stay."""
    path = spool_files.put(spool, [line([1])], pending=False)

    status, out, err = flush("--endpoint", http_sink.endpoint, "--store", ".mlotel")
    assert (status, out) == (3, "")
    assert err == (
        "mlotel: Nothing waits for an endpoint in .mlotel/spool. Send the local recordings there with: "
        "mlotel flush --all\n"
    )
    assert flush("--endpoint", http_sink.endpoint, "--all")[0] == 0
    assert flush("--endpoint", http_sink.endpoint, "--all")[0] == 3
    assert len(http_sink.spans()) == 1
    assert path.exists()


def test_losses_are_findings(spool, flush, http_sink):  # noqa: F811 - the fixture
    """What the receiver refuses, and what a crash has torn, is counted, and the exit status is 1."""
    spool_files.put(spool, [line([1, 2]), b"{}\n", line([3]), line([4])[:-9]])
    http_sink.behaviour, http_sink.times = 400, 1

    status, out, _ = flush("--endpoint", http_sink.endpoint)

    assert status == 1
    assert table(out) == {"traces": {"sent": 1, "refused": 2, "torn": 1, "unreadable": 1, "left": 0}}
    assert list(spool.iterdir()) == []


def test_what_cannot_be_delivered_is_left_and_explained(spool, flush):
    """One sentence for all signals says what is wrong and what to do; nothing is lost."""
    spool_files.put(spool, [line([1, 2]), metric_line(3)])
    endpoint = f"http://localhost:{refused_port()}"

    status, out, err = flush("--endpoint", endpoint, "--header", f"authorization=Bearer {SECRET}")

    assert status == 1
    assert {signal: counts["left"] for signal, counts in table(out).items()} == {"traces": 2, "metrics": 1}
    assert "0 files sent, 1 left" in out
    assert f"Cannot deliver traces and metrics to {endpoint}: nothing listens there" in err
    assert "Start an OpenTelemetry collector there" in err
    assert len(err.splitlines()) == 1
    assert SECRET not in out + err


def test_wrong_settings_at_the_other_end_lose_nothing(spool, flush, http_sink):  # noqa: F811 - the fixture
    """Credentials are asked for: the records stay."""
    spool_files.put(spool, [line([1])])
    http_sink.behaviour = 401

    status, out, err = flush("--endpoint", http_sink.endpoint)

    assert (status, table(out)["traces"]["left"]) == (1, 1)
    assert "it asks for credentials (401)" in err
    http_sink.behaviour = "ok"
    assert flush("--endpoint", http_sink.endpoint)[0] == 0


def test_a_receiver_that_repeats_a_secret_is_not_quoted(spool, flush):
    """Some name the token that they refuse, without the word before it, or the user in the address: both are hidden."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = f"the token {self.headers['authorization'].split()[1]} of pa55word has ended".encode()
            self.send_response(403)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    spool_files.put(spool, [line([1])])

    endpoint = f"http://ana:pa55word@127.0.0.1:{server.server_port}"
    _, out, err = flush("--endpoint", endpoint, "--header", f"authorization=Bearer {SECRET}")
    server.shutdown()
    server.server_close()

    assert "It says: the token [hidden] of [hidden] has ended." in err
    assert SECRET not in out + err
    assert "pa55word" not in out + err


def test_a_receiver_that_asks_for_time_gets_it(spool, flush):
    """Retry-After is waited for while there is time, and what was sent before is not sent again."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    times = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            times.append(time.monotonic())
            self.send_response(429 if len(times) == 2 else 200)
            if len(times) == 2:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    spool_files.put(spool, [line([1]), line([2])])

    status, out, _ = flush("--endpoint", f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()

    assert (status, table(out)["traces"]["sent"]) == (0, 2)
    assert len(times) == 3
    assert times[2] - times[1] >= 0.9


def test_the_time_is_kept(spool, flush, http_sink):  # noqa: F811 - the fixture
    """A receiver that never answers costs the time that was given, and no more."""
    spool_files.put(spool, [line([1]), log_line(2)])
    http_sink.behaviour = "hang"
    begin = time.monotonic()

    status, out, _ = flush("--endpoint", http_sink.endpoint, "--timeout", "0.5")

    assert status == 1
    assert 0.4 < time.monotonic() - begin < 4
    assert {signal: counts["left"] for signal, counts in table(out).items()} == {"traces": 1, "logs": 1}


def test_files_of_living_processes_are_left_and_named(spool, flush, http_sink):  # noqa: F811 - the fixture
    """Also their reason is given; the others are sent."""
    spool_files.put(spool, [line([1])])
    code = (
        "import sys; from pathlib import Path; from mlotel.export.spool import SpoolWriter\n"
        "writer = SpoolWriter(Path(sys.argv[1]), pending=True)\n"
        "writer.write(sys.argv[2].encode(), {'traces': 1}); print(writer.file, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, spool, line([2]).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    theirs = Path(other.stdout.readline().strip()).name

    status, out, _ = flush("--endpoint", http_sink.endpoint)

    assert status == 1
    assert table(out)["traces"] | {"torn": 0} == {"sent": 1, "refused": 0, "torn": 0, "unreadable": 0, "left": 1}
    assert "1 file sent, 1 left" in out
    assert f"{theirs}: process {other.pid}, which wrote it, is running" in out
    other.communicate()
    assert flush("--endpoint", http_sink.endpoint)[0] == 0


def test_as_json(spool, flush, http_sink):  # noqa: F811 - the fixture
    """The same numbers for programs; addresses without what may be secret in them."""
    spool_files.put(spool, [line([1, 2])])
    held = SpoolWriter(spool, pending=True)
    held.write(log_line(3), {"logs": 1})
    endpoint = http_sink.endpoint.replace("http://", f"http://user:{SECRET}@")

    status, out, _ = flush("--json", "--endpoint", endpoint, "--header", f"x-key={SECRET}")

    nothing = {"sent": 0, "refused": 0, "torn": 0, "unreadable": 0, "left": 0}
    assert status == 1
    assert json.loads(out) == {
        "endpoints": {signal: f"{http_sink.endpoint}/v1/{signal}" for signal in ("traces", "metrics", "logs")},
        "records": {"traces": nothing | {"sent": 2}, "metrics": nothing, "logs": nothing | {"left": 1}},
        "files_sent": 1,
        "files_left": [{"file": f".mlotel/spool/{held.file.name}", "reason": "another process writes or sends it"}],
        "problems": [],
    }
    assert SECRET not in out
    held.close()


def test_problems_as_json(spool, flush, http_sink):  # noqa: F811 - the fixture
    """What is wrong, where, and the remedy."""
    spool_files.put(spool, [log_line(3)])
    http_sink.behaviour = 404

    _, out, _ = flush("--json", "--endpoint", http_sink.endpoint)

    [problem] = json.loads(out)["problems"]
    assert (problem["signal"], problem["where"]) == ("logs", http_sink.endpoint)
    assert problem["what"].startswith("there is no OTLP receiver at this path (404)")
    assert problem["remedy"]


def test_quiet_prints_the_rows_only(spool, flush, http_sink):  # noqa: F811 - the fixture
    """No titles, no sentence."""
    spool_files.put(spool, [line([1, 2])])

    assert flush("-q", "--endpoint", http_sink.endpoint)[1].split() == ["traces", "2", "0", "0", "0", "0"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is no endpoint. Pass --endpoint http://localhost:4318, or set OTEL_EXPORTER_OTLP_ENDPOINT."),
        (["--endpoint", "localhost:4318"], "--endpoint got 'localhost:4318', which is no web address."),
        (["--endpoint", "http://h", "--protocol", "http/json"], "--protocol got 'http/json'"),
        (["--header", SECRET], "write it as NAME=VALUE, in quotes where it has blanks"),
        (["--header", f"={SECRET}"], "write it as NAME=VALUE, in quotes where it has blanks"),
        (["--header", f"a={SECRET}\nb: c"], "write it as NAME=VALUE, in quotes where it has blanks"),
        (["--timeout", "0"], "'0' is no time; give a number of seconds above 0"),
        (["--timeout", "nan"], "'nan' is no time; give a number of seconds above 0"),
        (["--store", ""], "--store got ''. Give the folder"),
        (["--store", "file.jsonl"], "--store got 'file.jsonl'. Give the folder"),
    ],
)
def test_wrong_usage(spool, flush, arguments, said):
    """Status 2, nothing on standard output, and what to type instead; never a header's value."""
    spool_files.put(spool, [line([1])])
    Path("file.jsonl").write_text("")

    status, out, err = flush(*arguments)

    assert (status, out) == (2, "")
    assert said in err
    assert SECRET not in err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "somewhere", "Got OTEL_EXPORTER_OTLP_ENDPOINT='somewhere', which is no web"),
        ("OTEL_EXPORTER_OTLP_HEADERS", SECRET, "Got OTEL_EXPORTER_OTLP_HEADERS with a part that is not name=value."),
    ],
)
def test_wrong_variables(spool, variable, value, said):
    """They are named; of headers nothing more is told, in logs neither."""
    spool_files.put(spool, [line([1])])

    done = subprocess.run(
        [sys.executable, "-m", "mlotel", "flush"],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", variable: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert SECRET not in done.stderr


def test_nowhere_to_look(tmp_path, flush, monkeypatch):
    """A folder that is not there is nothing found."""
    monkeypatch.chdir(tmp_path)

    assert flush("--store", "nowhere")[::2] == (3, "mlotel: Cannot read 'nowhere': there is no such folder.\n")
    assert flush("--endpoint", "http://localhost:1")[0] == 3


def test_the_users_own_folder_is_flushed_too(spool, flush, http_sink, monkeypatch, tmp_path):  # noqa: F811
    """Recording goes there where the working folder cannot be written."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    spool_files.put(tmp_path / "state" / "mlotel" / "spool", [line([1])])
    spool_files.put(spool, [line([2])])

    status, out, _ = flush("--endpoint", http_sink.endpoint)

    assert (status, out.splitlines()[-1]) == (0, "2 files sent, 0 left")
    assert sorted(span["attributes"]["n"] for span in http_sink.spans()) == [1, 2]


def test_runs_in_pending_files_are_listed(spool, capsys):
    """Until they are delivered they are here; parts of one writer, of either kind, are one."""
    from spool_recorder import Recorder

    for part, kind in ((1, ".pending"), (2, ".pending"), (3, "")):
        recorder = Recorder()
        top = recorder.pipeline("nightly", part, part + 1, f"run-{part}")
        recorder.component("clean", part, part + 1, top, f"run-{part}")
        recorder.write(spool / f"box-1-20260105T120000-aaaaaa.{part:03d}{kind}.jsonl")

    assert cli.main(["runs", "-q"]) == 0
    assert [text.split()[0] for text in capsys.readouterr().out.splitlines()] == ["run-3", "run-2", "run-1"]
    from mlotel.store.spool import Spool

    [group] = Spool(spool).groups()
    assert [path.name.split(".", 1)[1] for path in group.files] == [
        "001.pending.jsonl",
        "002.pending.jsonl",
        "003.jsonl",
    ]
