"""What is instrumented after its import is told of it, and nothing of ours stays in the module."""

import importlib
import importlib.util
import inspect
import subprocess
import sys
import textwrap
from importlib.machinery import SourceFileLoader

import pytest

import mlotel
from mlotel import instrumentation
from mlotel.instrumentation._imports import when_imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that can be imported, under a name of its own."""
    name = f"late_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text("SPEC = __spec__.loader, __loader__\nVALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_it_is_told_once_and_when_the_module_is_there(module):
    """The call comes at the end of the import, not when it is imported again or reloaded."""
    told = []
    when_imported(module, lambda: told.append(sys.modules[module].VALUE))
    assert told == []

    found = importlib.import_module(module)
    assert told == [1]
    importlib.import_module(module)
    importlib.reload(found)
    assert told == [1]


def test_the_module_has_its_own_loader(module):
    """While it runs and afterwards, as if nobody had waited for it."""
    when_imported(module, lambda: None)

    found = importlib.import_module(module)

    for loader in (*found.SPEC, found.__spec__.loader, found.__loader__):
        assert type(loader) is SourceFileLoader
    assert "VALUE = 1" in inspect.getsource(found)


def test_who_looks_without_importing_finds_what_there_is(module):
    """A look for the module finds a loader that can all that its own can, and tells nobody."""
    told = []
    when_imported(module, lambda: told.append(1))

    spec = importlib.util.find_spec(module)

    assert isinstance(spec.loader, SourceFileLoader)
    assert "VALUE = 1" in spec.loader.get_source(module)
    assert told == []
    importlib.import_module(module)
    assert told == [1]


def test_an_import_that_fails_is_waited_for_again(module, tmp_path):
    """The error is that of the module; the next import that succeeds is told."""
    told = []
    file = tmp_path / f"{module}.py"
    source = file.read_text()
    file.write_text("raise RuntimeError('not yet')\n")
    when_imported(module, lambda: told.append(1))
    with pytest.raises(RuntimeError, match="not yet"):
        importlib.import_module(module)
    assert told == []

    file.write_text(source + "# another size\n")
    importlib.invalidate_caches()
    importlib.import_module(module)
    assert told == [1]


@pytest.mark.parametrize(
    ("version", "is_supported"),
    [("1.5", True), ("1.5.0+local", True), ("2", True), ("1.10.3", True), ("1.4.9", False), ("0.99", False)],
)
def test_a_group_asks_for_the_version_once_the_library_is_loaded(version, is_supported, tmp_path, monkeypatch):
    """A library of a group that turns out too old when it is imported is left as it is."""
    (tmp_path / "agedlib.py").write_text(f"__version__ = {version!r}\ndef load(): return 'original'\n")
    (tmp_path / "aged_plugin.py").write_text(
        "REQUIRES = 'aged-lib>=1.5'\n"
        "def install(patch): patch.after_import('agedlib', then)\n"
        "def then(patch):\n"
        "    import agedlib\n"
        "    patch.around(agedlib, 'load', lambda wrapped, args, kwargs: 'replaced')\n"
    )
    information = tmp_path / "other-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(instrumentation.GROUPS, "aged", ("agedlib", "absentlib"))
    (information / "entry_points.txt").write_text(
        "[mlotel.instrumentation]\nagedlib = aged_plugin\nabsentlib = aged_plugin\n"
    )
    try:
        mlotel.instrument("aged")
        assert "absentlib" not in instrumentation._installed

        import agedlib

        assert agedlib.load() == ("replaced" if is_supported else "original")
        mlotel.uninstrument("aged")
        assert agedlib.load() == "original"
        mlotel.instrument("aged")  # loaded by now
        assert agedlib.load() == ("replaced" if is_supported else "original")
    finally:
        mlotel.uninstrument("aged")
        sys.modules.pop("agedlib", None)
        sys.modules.pop("aged_plugin", None)


def test_setting_up_loads_no_more_than_it_must(tmp_path):
    """A program that configures, instruments and records loads neither asyncio nor a reader of package metadata."""
    program = """
        import pickle, sys
        import mlotel
        mlotel.configure(service_name="test", instrument=["io"], quiet=True)
        with mlotel.pipeline("nightly"), mlotel.component("save"), open("model.pkl", "wb") as file:
            pickle.dump({"weight": 0.5}, file)
        mlotel.configure(service_name="test", instrument=["io"], quiet=True).shutdown()
        slow = ("asyncio", "wrapt", "packaging", "importlib.metadata", "opentelemetry.proto_json", "google.protobuf")
        print([name for name in slow if name in sys.modules])
        """
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[]\n"
    assert list(tmp_path.glob(".mlotel/spool/*.jsonl"))
