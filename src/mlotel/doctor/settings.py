"""Settings: what is set, by whom, and what of it cannot be used."""

import difflib
import os

from mlotel.doctor._base import Case, Result, Section
from mlotel.doctor._variables import FOREIGN, VARIABLES, Variable, complaint
from mlotel.export._explain import bare

_LIKE_OURS = 0.6
_LIKE_OTEL = 0.9  # other programs have variables of their own that begin like this
_LONGEST = 200

_DEFAULTS = {  # what holds for whom nothing is set, by the argument of configure() that says so
    "service_name": ("the script's name", ("OTEL_SERVICE_NAME",)),
    "endpoint": ("none: the spool", ("OTEL_EXPORTER_OTLP_ENDPOINT",)),
    "protocol": ("http/protobuf", ("OTEL_EXPORTER_OTLP_PROTOCOL",)),
    "headers": ("none", ("OTEL_EXPORTER_OTLP_HEADERS",)),
    "spool": (".mlotel/spool", ("MLOTEL_SPOOL",)),
    "instrument": ("none", ("MLOTEL_INSTRUMENT",)),
    "capture_values": ("no", ("MLOTEL_CAPTURE_VALUES",)),
    "redact": ("none", ("MLOTEL_REDACT",)),
    "quiet": ("no", ("MLOTEL_QUIET",)),
}


def _look(case: Case) -> list[Result]:
    found = [*_from_command_line(case), *_set(case), *_misspelt(), _defaults(case)]
    said = " ".join(result.says + result.subject for result in found if result.is_finding)
    if case.refusal and not any(name in said for name in VARIABLES if name in case.refusal):
        found.insert(
            0,
            Result(
                "fail", "endpoint", case.refusal.removeprefix("Got "), "configure() raises until this is put right."
            ),
        )
    return found


def _from_command_line(case: Case) -> list[Result]:
    given = {
        "endpoint": None if case.endpoint is None else bare(case.endpoint),
        "protocol": case.protocol,
        "headers": ", ".join(sorted(name.lower() for name in case.headers)) or None,
    }
    return [
        Result("info", name, f"{value}  (given here)", facts={"value": value, "origin": "argument"})
        for name, value in given.items()
        if value is not None
    ]


def _set(case: Case) -> list[Result]:
    results = []
    for name, variable in VARIABLES.items():
        value = os.environ.get(name, "").strip()
        if not value:
            continue
        shown = case.hide(_shown(variable, value))
        facts = {"value": shown, "origin": "environment"}
        wrong = complaint(name)
        if wrong is not None:
            text = f"{shown}: it {case.hide(wrong)}" if variable.shown == "value" else f"it {case.hide(wrong)}"
            if variable.effect == "raises":
                unsent = ", or nothing can be sent" if variable.shown == "names" else ""
                remedy = f"configure() raises{unsent}. Correct or unset it."
            else:
                remedy = f"{variable.default} is used." if variable.default else "It is not used."
            results.append(Result("fail" if variable.effect == "raises" else "warn", name, text, remedy, facts))
        elif _switches_off(name, value):
            results.append(Result("warn", name, f"{shown}: nothing is recorded", "Unset it to record.", facts))
        else:
            results.append(Result("info", name, shown, facts=facts))
    return results


def _shown(variable: Variable, value: str) -> str:
    if variable.shown == "address":
        return bare(value)
    if variable.shown == "names":
        names = [part.partition("=")[0].strip() for part in value.split(",") if "=" in part]
        return ", ".join(filter(None, names)) or "set"
    return value[:_LONGEST] if variable.shown == "value" else "set"


def _switches_off(name: str, value: str) -> bool:
    if name == "MLOTEL_DISABLED":
        return value.lower() in ("true", "1", "yes", "on")
    return name == "OTEL_SDK_DISABLED" and value.lower() == "true"


def _misspelt() -> list[Result]:
    """Variables that nobody reads. Their values are not shown: nobody knows what they are."""
    results = []
    for name in sorted(os.environ):
        if name in VARIABLES or name in FOREIGN or not os.environ[name]:
            continue
        is_ours = name.startswith("MLOTEL_")
        if not is_ours and not name.startswith("OTEL_"):
            continue
        close = _closest(name, "MLOTEL_", _LIKE_OURS) if is_ours else _closest(name, "OTEL_", _LIKE_OTEL)
        if close:
            remedy = f"Perhaps {close} is meant."
        elif is_ours:
            remedy = "Unset it; docs/configuration.md lists what there is."
        else:
            continue
        results.append(Result("warn", name, "there is no such variable", remedy, {"origin": "environment"}))
    return results


def _closest(name: str, prefix: str, cutoff: float) -> str | None:
    """The variable that is spelled most alike behind the prefix, which all have in common."""
    known = [known.removeprefix(prefix) for known in VARIABLES if known.startswith(prefix)]
    close = difflib.get_close_matches(name.removeprefix(prefix), known, n=1, cutoff=cutoff)
    return prefix + close[0] if close else None


def _defaults(case: Case) -> Result:
    given = {"endpoint": case.endpoint, "protocol": case.protocol, "headers": case.headers}
    left = {
        name: default
        for name, (default, variables) in _DEFAULTS.items()
        if not given.get(name) and not any(os.environ.get(variable, "").strip() for variable in variables)
    }
    named = {variable for _, variables in _DEFAULTS.values() for variable in variables}
    left |= {
        name: variable.default
        for name, variable in VARIABLES.items()
        if name.startswith("MLOTEL_") and name not in named and not os.environ.get(name, "").strip()
    }
    said = ", ".join(f"{name} {value}" for name, value in left.items())
    return Result("info", "defaults", said, facts={"defaults": left})


SECTION = Section(title="Settings", place=1, look=_look)
