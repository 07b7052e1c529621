"""Conflicts: who else sets up telemetry in the same programs, and settings that leave runs out."""

import os
from pathlib import Path

from mlotel.doctor._base import Case, Result, Section, version_of

_ORDER = "mlotel then records through its providers and exporters: {other} decides where records go. "
_OTHERS = {  # distributions that set OpenTelemetry's global providers when they are started, by what starts them
    "logfire": "logfire.configure()",
    "traceloop-sdk": "Traceloop.init()",
    "openlit": "openlit.init()",
    "langfuse": "Langfuse()",
    "azure-monitor-opentelemetry": "configure_azure_monitor()",
    "arize-phoenix-otel": "phoenix.otel.register()",
    "uptrace": "uptrace.configure_opentelemetry()",
    "honeycomb-opentelemetry": "configure_opentelemetry()",
    "lmnr": "Laminar.initialize()",
    "agentops": "agentops.init()",
    "splunk-opentelemetry": "splunk-py-trace",
    "elastic-opentelemetry": "opentelemetry-instrument",
    "aws-opentelemetry-distro": "opentelemetry-instrument",
    "opentelemetry-distro": "opentelemetry-instrument",
}
_BESIDE = {  # distributions that touch OpenTelemetry only when told to, and by what
    "ddtrace": ("DD_TRACE_OTEL_ENABLED", "ddtrace-run with DD_TRACE_OTEL_ENABLED=true sets its own provider"),
    "sentry-sdk": ("", "sentry_sdk.init(…) with its OpenTelemetry integration adds a processor to the provider"),
    "mlflow": ("MLFLOW_USE_DEFAULT_TRACER_PROVIDER", "its tracing keeps a provider of its own, unless told otherwise"),
    "mlflow-skinny": ("MLFLOW_USE_DEFAULT_TRACER_PROVIDER", "its tracing keeps a provider of its own"),
    "newrelic": ("NEW_RELIC_OPENTELEMETRY_ENABLED", "with its OpenTelemetry support on it sets its own provider"),
}
_DROPPING = ("always_off", "parentbased_always_off")


def _look(case: Case) -> list[Result]:
    results = [*_sampler(), *_started_before(), *_installed(), *_preload(), *_carried_over()]
    return results or [Result("ok", "none", "no other library that sets up OpenTelemetry is installed")]


def _sampler() -> list[Result]:
    name = "OTEL_TRACES_SAMPLER"
    sampler = os.environ.get(name, "").strip().lower()
    facts = {"sampler": sampler}
    if sampler in _DROPPING:
        remedy = f"Unset {name}, or set it to parentbased_always_on."
        return [Result("fail", name, f"{sampler}: no run is recorded, only metrics and events", remedy, facts)]
    if "traceidratio" not in sampler:
        return []
    text = os.environ.get(f"{name}_ARG", "").strip()
    try:
        share = float(text)
    except ValueError:
        share = 1.0
    if not 0 <= share < 1:
        return []
    said = f"{sampler} {text}: {1 - share:.3g} of all runs have no tree and no lineage"
    remedy = f"Set {name}=parentbased_always_on to keep every run."
    return [Result("warn", name, said, remedy, {**facts, "share": share})]


def _started_before() -> list[Result]:
    """Whether OpenTelemetry sets itself up before a program begins, by a module that Python loads at its start."""
    for entry in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        path = Path(entry) / "sitecustomize.py"
        try:
            text = path.read_text(encoding="utf-8", errors="replace")[:20_000]
        except OSError:
            continue
        for word, name in (
            ("opentelemetry", "opentelemetry-instrument"),
            ("ddtrace", "ddtrace-run"),
            ("newrelic", "newrelic-admin"),
        ):
            if word in text or word in entry:
                said = f"{path} starts it in every program: providers are set before mlotel.configure()"
                remedy = _ORDER.format(other=name) + "Set its exporter, or take it off PYTHONPATH."
                return [Result("warn", name, said, remedy, {"file": os.fspath(path), "active": True})]
    return []


def _installed() -> list[Result]:
    results = []
    for name, starter in _OTHERS.items():
        version = version_of(name)
        if version is not None:
            said = (
                f"{version} is installed. Where a program starts it with {starter} before mlotel.configure(), mlotel "
            )
            said += "records through its providers and exporters"
            remedy = "Both at once work; to keep them apart call mlotel.configure() first."
            results.append(Result("info", name, said, remedy, {"version": version, "installed": True}))
    for name, (variable, text) in _BESIDE.items():
        version = version_of(name)
        if version is None:
            continue
        is_on = bool(variable) and os.environ.get(variable, "").strip().lower() in ("true", "1")
        said = f"{version}, and {variable} is on: {text}" if is_on else f"{version}: {text}"
        remedy = f"Unset {variable}, or let mlotel.configure() come first." if is_on else ""
        facts = {"version": version, "installed": True, "active": is_on}
        results.append(Result("warn" if is_on else "info", name, said, remedy, facts))
    return results


def _preload() -> list[Result]:
    """Whether gunicorn loads the program before it forks; threads of before do not come along."""
    arguments = os.environ.get("GUNICORN_CMD_ARGS", "")
    if "--preload" not in arguments.split():
        return []
    said = "GUNICORN_CMD_ARGS has --preload: configure() runs once, before the workers are forked"
    remedy = "Nothing has to be done for mlotel, whose workers begin anew; other libraries need a post_fork hook."
    return [Result("info", "gunicorn", said, remedy, {"preload": True})]


def _carried_over() -> list[Result]:
    """A parent's trace in this shell: every program started from it joins that one."""
    if not os.environ.get("TRACEPARENT", "").strip():
        return []
    said = "is set: programs started here join that trace and run"
    return [Result("info", "TRACEPARENT", said, "Unset it to begin runs of their own.", {"set": True})]


SECTION = Section(title="Conflicts", place=5, look=_look)
