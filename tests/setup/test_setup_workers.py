"""Worker processes: set up alike by a snapshot that any pickle takes."""

import pickle

import pytest
from programs import run
from records import spooled

from mlotel import _guard, _settings
from mlotel._setup import _workers, configure, restore


@pytest.fixture
def telemetry():
    made = configure("batch", spool=False, quiet=True)
    yield made
    made.shutdown(0)


def hide(text):
    return text.replace("secret", "***")


def test_snapshot_is_plain_and_small(telemetry):
    """The call that sets a worker up can be pickled and holds nothing but plain values."""
    function, state = _settings.current.restore

    assert function is restore
    assert pickle.loads(pickle.dumps((function, state))) == (restore, state)
    assert len(pickle.dumps(state)) < 2000
    assert state["service_name"] == "batch"


def test_restore_does_nothing_where_something_is_configured(telemetry):
    """In a configured process, and for states of any other kind, restore() changes nothing."""
    restore({"nonsense": True})

    assert configure("batch", spool=False, quiet=True) is telemetry


@pytest.mark.lenient
def test_restore_never_raises(caplog):
    """A state that cannot be used is logged, not raised, in somebody else's worker."""
    restore({"nonsense": True})

    assert "could not set up a worker process" in caplog.text


def test_redact_travels_by_name(tmp_path):
    """A function of a module is found again in the worker; with one that cannot travel the worker records nothing."""
    (tmp_path / "hiding.py").write_text("def hide(text):\n    return text.replace('secret', '***')\n")
    program = run(
        """
        import subprocess, pickle, base64
        from hiding import hide
        from mlotel import _settings
        child = "import sys, pickle, base64; f, state = pickle.loads(base64.b64decode(sys.argv[1])); f(state)\\n"
        child += "from opentelemetry import trace\\n"
        child += "from mlotel import _settings; print(_settings.current.redact)\\n"
        child += "trace.get_tracer('t').start_span('in worker').end()"
        def worker():
            state = base64.b64encode(pickle.dumps(_settings.current.restore)).decode()
            return subprocess.run([sys.executable, "-c", child, state], capture_output=True, text=True)
        telemetry = configure("batch", redact=hide)
        done = worker(); show(first=done.stdout, first_log=done.stderr)
        telemetry.shutdown()
        telemetry = configure("batch", redact=lambda text: text)
        done = worker(); show(second=done.stdout, second_log=done.stderr)
        """,
        folder=str(tmp_path),
    )

    assert "function hide" in program.shown["first"]
    assert program.shown["first_log"] == ""
    assert program.shown["second"].strip() == "None"
    assert "must be a function at the top of a module" in program.shown["second_log"]
    found = spooled(tmp_path / ".mlotel" / "spool")["traces"]
    assert [(span["name"], span["resource"]["service.name"]) for span in found] == [("in worker", "batch")]


def test_signals_of_the_host_are_skipped_and_counted(telemetry):
    """Where the application owns every provider the worker records nothing; the call is counted."""
    function, state = _settings.current.restore
    telemetry.shutdown()
    before = _workers.skipped()

    function({**state, "hosted": ["logs", "metrics", "traces"]})

    assert _workers.skipped() == before + 1
    assert _settings.current.restore is None


def test_a_worker_that_configures_itself_alike_is_fine(telemetry):
    """The worker's own configure() with the parent's arguments returns what restore() has set up."""
    _, state = _settings.current.restore
    telemetry.shutdown()
    _guard.forget()
    restore(state)

    again = configure("batch", spool=False, quiet=True)

    assert again.is_open
    assert _settings.current.on_run_end is None
    again.shutdown(0)
