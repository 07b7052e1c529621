"""Plugins are found by file and by entry point, listed without being imported, loaded on demand."""

import logging
import subprocess
import sys
import textwrap

import pytest

from mlotel import _plugins, artifacts
from mlotel.errors import NotFoundError


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes another distribution importable for the test."""
    monkeypatch.setattr(_plugins, "_broken", set())

    def install(entry_points, distribution="other", **modules):
        site = tmp_path / f"site-{distribution}"
        information = site / f"{distribution}-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(textwrap.dedent(entry_points))
        for name, source in modules.items():
            (site / f"{name}.py").write_text(textwrap.dedent(source))
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(site)

    return install


def test_a_file_is_a_plugin():
    """Modules of a folder are its plugins, but those that start with an underscore."""
    found = _plugins.names("artifacts")

    assert {"array", "arrow", "buffer", "file", "pandas", "polars", "value"} <= set(found)
    assert found == sorted(found)
    assert not any(name.startswith("_") for name in found)
    assert _plugins.load("artifacts", "value").__name__ == "mlotel.artifacts.value"


def test_listing_imports_nothing():
    """Names are found without importing plugins or what they need."""
    program = """
        import sys
        from mlotel import _plugins
        assert "pandas" in _plugins.names("artifacts")
        assert not {"mlotel.artifacts.pandas", "mlotel.artifacts.value", "numpy", "opentelemetry"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_other_distributions_join_by_entry_point(install):
    """An entry point of the group mlotel.<folder> is listed, and imported only when it is loaded."""
    install("[mlotel.artifacts]\nzeppelin = zeppelin_kind\n", zeppelin_kind="LOADED = True")

    assert "zeppelin" in _plugins.names("artifacts")
    assert "zeppelin" not in _plugins.names("cli")
    assert "zeppelin_kind" not in sys.modules
    assert _plugins.load("artifacts", "zeppelin").LOADED


def test_own_plugins_come_first(install):
    """Another distribution cannot take the place of a plugin of mlotel."""
    install("[mlotel.artifacts]\nvalue = impostor\n", impostor="")

    assert _plugins.names("artifacts").count("value") == 1
    assert _plugins.load("artifacts", "value").__name__ == "mlotel.artifacts.value"


def test_unknown_names_say_what_there_is():
    """The error lists the plugins and proposes the nearest name."""
    with pytest.raises(NotFoundError, match=r"no plugin 'panda'\. Did you mean 'pandas'\? There are: array, arrow"):
        _plugins.load("artifacts", "panda")
    with pytest.raises(LookupError, match="no plugin '_base'"):
        _plugins.load("artifacts", "_base")


@pytest.mark.parametrize("folder", ["nowhere", "no.where", "types"])
def test_unknown_folders(folder):
    """A folder that mlotel does not have is an error too."""
    with pytest.raises(NotFoundError, match=f"no plugin folder '{folder}'"):
        _plugins.names(folder)


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('bad build')", "import nothing_of_that_name", "raise SystemExit(3)", "x ="]
)
def test_a_broken_plugin_is_reported_once_and_left_out(install, caplog, source):
    """A plugin of others that cannot be imported is logged once, and is no plugin from then on."""
    install("[mlotel.artifacts]\nbroken = broken_kind\n", broken_kind=source)
    assert "broken" in _plugins.names("artifacts")

    with caplog.at_level(logging.WARNING, logger="mlotel"):
        for _ in range(2):
            with pytest.raises(NotFoundError, match="installed but cannot be loaded"):
                _plugins.load("artifacts", "broken")

    [record] = caplog.records
    assert "plugin 'broken' of other (broken_kind)" in record.getMessage()
    assert "broken" not in _plugins.names("artifacts")
    assert not _plugins.has("artifacts", "broken")


AIRSHIP = """
    class Airship:
        def __init__(self, gas):
            self.gas = gas
"""
AIRSHIP_KIND = """
    import airship

    def matches(value):
        return isinstance(value, airship.Airship)

    def identify(value, hasher):
        if value.gas is None:
            raise ValueError("no gas")
        hasher.text("airship")
        hasher.text(value.gas)
        return hasher.identity(rows=1)
"""


def test_a_kind_of_another_distribution(install):
    """Values of a library are identified by the plugin that bears its name, alone and inside collections."""
    install("[mlotel.artifacts]\nairship = airship_kind\n", airship=AIRSHIP, airship_kind=AIRSHIP_KIND)
    import airship

    artifacts.identify(object())
    assert "airship_kind" not in sys.modules

    one, other = (artifacts.identify(airship.Airship(gas)) for gas in ("helium", "hydrogen"))
    assert one.scope == other.scope == "full"
    assert one.id == artifacts.identify(airship.Airship("helium")).id != other.id
    assert one.row_count == 1
    assert artifacts.identify([airship.Airship("helium")]).scope == "full"
    assert artifacts.identify(type("Own", (airship.Airship,), {})("helium")).id == one.id
    assert artifacts.identify(airship.Airship(None)).scope == "none"


def test_a_broken_kind_of_another_distribution(install, caplog):
    """Where the plugin cannot be imported its values are unknown objects, and the program is told once."""
    install("[mlotel.artifacts]\nairship = airship_kind\n", airship=AIRSHIP, airship_kind="import nothing_at_all")
    import airship

    with caplog.at_level(logging.WARNING, logger="mlotel"):
        assert [artifacts.identify(airship.Airship("helium")).scope for _ in range(2)] == ["none", "none"]
    assert len(caplog.records) == 1
