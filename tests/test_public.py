"""The public names of mlotel: all there, loaded when they are used, and documented."""

import inspect
import os
import subprocess
import sys

import pytest

import mlotel

NAMES = {
    "Check", "Component", "Flush", "Identity", "Run", "Telemetry", "__version__", "artifacts", "carry", "component",
    "configure", "environment", "errors", "log_filter", "pipeline", "read", "testing", "write",
}  # fmt: skip


def test_the_names():
    """These names are public and can be found; nothing private is among what is."""
    assert set(mlotel.__all__) >= NAMES
    assert set(dir(mlotel)) >= set(mlotel.__all__)
    assert not [name for name in mlotel.__all__ if name.startswith("_") and name != "__version__"]


@pytest.mark.parametrize("name", sorted(mlotel.__all__))
def test_each_name_is_there_and_documented(name):
    """Every public name can be used, is the same each time and has a docstring."""
    found = getattr(mlotel, name)
    assert getattr(mlotel, name) is found
    if name != "__version__":
        assert inspect.getdoc(found)


def test_an_unknown_name():
    """A name that is not there is an AttributeError as of any module."""
    with pytest.raises(AttributeError, match=r"^module 'mlotel' has no attribute 'componnent'$"):
        mlotel.componnent  # noqa: B018 - raises


def test_importing_everything_by_star():
    """``from mlotel import *`` gives what is public."""
    namespace = {}
    exec("from mlotel import *", namespace)
    assert set(namespace) >= NAMES - {"__version__"}


def test_importing_loads_nothing_heavy():
    """``import mlotel`` loads no OpenTelemetry, no SDK and no numerical library."""
    heavy = "'opentelemetry', 'numpy', 'scipy', 'pandas', 'sklearn', 'torch', 'xxhash', 'pytest'"
    code = f"import sys, mlotel; print([m for m in ({heavy}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, check=True)
    assert done.stdout.strip() == "[]"


PROMISED = {
    "pipeline": ["name", "experiment", "params", "tags", "run_id"],
    "component": [
        "name", "type", "owner", "description", "before", "after", "on_failure", "stale_after_s", "memory", "inputs",
        "outputs",
    ],
    "read": ["value", "name", "uri", "type"],
    "write": ["value", "name", "uri", "type"],
    "carry": ["function"],
    "environment": ["base"],
    "log_filter": [],
}  # fmt: skip


@pytest.mark.parametrize("name", PROMISED)
def test_arguments(name):
    """Arguments have the promised names, in this order, perhaps more; all but the first are keyword-only."""
    parameters = [
        p for p in inspect.signature(getattr(mlotel, name)).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    assert [p.name for p in parameters][: len(PROMISED[name])] == PROMISED[name]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[1:])


def test_methods_of_a_component():
    """A component has the methods ``read``, ``write``, ``removed`` and ``param``, and a name."""
    public = {name for name in dir(mlotel.Component) if not name.startswith("_")}
    assert public == {"read", "write", "removed", "param", "name"}
    assert {name for name in dir(mlotel.Run) if not name.startswith("_")} == {"id", "trace_id", "status"}
