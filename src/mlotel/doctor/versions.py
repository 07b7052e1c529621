"""Versions: of Python, mlotel, OpenTelemetry, and of the libraries that can be instrumented."""

import platform
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement  # comes with opentelemetry-instrumentation

from mlotel import _plugins
from mlotel._version import __version__
from mlotel.doctor._base import Case, Result, Section, version_of

_BASE = (
    "opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp", "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-instrumentation", "opentelemetry-semantic-conventions", "protobuf", "grpcio", "requests", "numpy",
)  # fmt: skip
_SEEN = ("pandas", "polars", "pyarrow", "scipy", "scikit-learn", "joblib", "torch")
"""Libraries whose objects mlotel knows; more are instrumented than these where plugins of others say so."""


def _look(case: Case) -> list[Result]:
    found = {name: version for name in _BASE if (version := version_of(name)) is not None}
    said = ", ".join(f"{name} {version}" for name, version in found.items())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    facts = {"python": python, "mlotel": __version__, "packages": found}
    results = [
        Result("info", "mlotel", f"{__version__} on {python}, {platform.system()} {platform.machine()}", facts=facts),
        Result("info", "packages", said),
    ]
    return [*results, *_unfit(), *_libraries()]


def _unfit() -> list[Result]:
    """What mlotel needs and is not installed in a version that it works with."""
    try:
        needed = [Requirement(text) for text in metadata.requires("mlotel") or ()]
    except (metadata.PackageNotFoundError, InvalidRequirement):
        return []
    results = []
    for need in needed:
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        version = version_of(need.name)
        if version is None or not need.specifier.contains(version, prereleases=True):
            said = f"{version or 'nothing'} is installed; mlotel needs {need}"
            facts = {"version": version, "needs": str(need)}
            results.append(Result("fail", need.name, said, f"pip install '{need.name}{need.specifier}'", facts))
    return results


def _libraries() -> list[Result]:
    """Libraries that are installed, and whether their files are recorded when they are instrumented."""
    supported: dict[str, str] = {}
    results = []
    for name in _plugins.names("instrumentation"):
        need = _requirement(name)
        version = None if need is None else version_of(need.name)
        if need is None or version is None:
            continue
        if need.specifier.contains(version, prereleases=True):
            supported[need.name] = version
        else:
            said = f"{version} is installed; to record its files mlotel needs {need}"
            facts = {"version": version, "needs": str(need)}
            results.append(Result("warn", need.name, said, f"pip install '{need.name}{need.specifier}'", facts))
    others = {name: version for name in _SEEN if name not in supported and (version := version_of(name)) is not None}
    for word, libraries, text in (
        ("libraries", supported, "whose files can be recorded"),
        ("also here", others, "known as data or models"),
    ):
        if libraries:
            said = ", ".join(f"{name} {version}" for name, version in libraries.items())
            results.append(Result("info", word, f"{said} ({text})", facts={"packages": libraries}))
    return results


def _requirement(name: str) -> Requirement | None:
    try:
        return Requirement(str(_plugins.load("instrumentation", name).REQUIRES))
    except Exception:  # a part of Python, or a plugin that cannot be loaded
        return None


SECTION = Section(title="Versions", place=6, look=_look)
