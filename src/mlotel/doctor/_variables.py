"""The environment variables that mlotel and OpenTelemetry's SDK read, and what a value of each has to look like."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["FOREIGN", "VARIABLES", "Variable", "complaint"]

Rule: TypeAlias = Callable[[str], str | None]
"""Says what a value must be, when it is not; None when it can be used."""

Effect: TypeAlias = Literal["raises", "default"]
"""What a value that cannot be used leads to: ``configure()`` raises, or the default is taken."""

_SIGNALS = ("TRACES", "METRICS", "LOGS")
_SWITCH = ("on", "off", "true", "false", "1", "0", "yes", "no")


@dataclass(frozen=True, slots=True)
class Variable:
    """What is known of one variable.

    Attributes:
        default: What holds where it is not set; empty where nothing does.
        rule: What a value must look like; None where anything goes.
        effect: What a wrong value leads to.
        shown: How much of a value may be shown: all, an address without what may be secret, the names in
            ``name=value,name=value``, or nothing but that it is set.
    """

    default: str = ""
    rule: Rule | None = None
    effect: Effect = "default"
    shown: Literal["value", "address", "names", "nothing"] = "value"


def complaint(name: str) -> str | None:
    """What the value of ``name`` must be, when what it is cannot be used; None when it can, or is not set."""
    variable, value = VARIABLES.get(name), os.environ.get(name, "").strip()
    return None if variable is None or variable.rule is None or not value else variable.rule(value)


def _one_of(*choices: str) -> Rule:
    said = f"must be {', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else f"must be {choices[0]}"
    return lambda value: None if value.lower() in choices else said


def _number(least: float, most: float = math.inf) -> Rule:
    limit = f"from {least:g} on" if math.isinf(most) else f"from {least:g} to {most:g}"

    def rule(value: str) -> str | None:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        return None if least <= found <= most and not math.isinf(found) else f"must be a number {limit}"

    return rule


def _count(value: str) -> str | None:
    try:
        return None if int(value) >= 0 else "must be a whole number from 0 on"
    except ValueError:
        return "must be a whole number from 0 on"


def _switch(value: str) -> str | None:
    return None if value.lower() in _SWITCH else "must be on or off"


def _truth(value: str) -> str | None:
    return None if value.lower() in ("true", "false", "1", "0") else "must be true or false"


def _only_true(value: str) -> str | None:
    return None if value.lower() in _SWITCH else "must be true or false"


def _file(value: str) -> str | None:
    try:
        with Path(value).open("rb"):
            return None
    except OSError as error:
        return f"must be a PEM file that can be read ({error.strerror or error})"


def _authorities(value: str) -> str | None:
    return None if Path(value).is_dir() else _file(value)


def _names(*known: str) -> Rule:
    def rule(value: str) -> str | None:
        foreign = [name for part in value.split(",") if (name := part.strip()) and name not in known]
        return f"may name {', '.join(known)} only" if foreign else None

    return rule


def _pairs(value: str) -> str | None:
    parts = [part for part in value.split(",") if part.strip()]
    return None if all(part.partition("=")[0].strip() and "=" in part for part in parts) else "must be name=value pairs"


def _headers(value: str) -> str | None:
    if (said := _pairs(value)) is not None:
        return said
    from urllib.parse import unquote

    sent = [unquote(part.partition("=")[2]) for part in value.split(",")]
    is_broken = any(mark in text for text in sent for mark in "\r\n")
    return "must have values without line breaks" if is_broken else None


def _function(value: str) -> str | None:
    return None if re.fullmatch(r"[\w.]+:[\w.]+|[\w]+(\.[\w]+)+", value) else "must be module:function"


def _libraries(value: str) -> str | None:
    from mlotel import instrumentation
    from mlotel.errors import MlotelError

    try:
        instrumentation.require_known([part.strip() for part in value.split(",") if part.strip()], "MLOTEL_INSTRUMENT=")
    except MlotelError as error:
        return f"cannot be used: {error}"
    return None


@cache
def _installed(group: str) -> frozenset[str]:
    from importlib.metadata import entry_points

    return frozenset(entry.name for entry in entry_points(group=group))


def _entry(group: str, *, several: bool = False, besides: tuple[str, ...] = ()) -> Rule:
    def rule(value: str) -> str | None:
        named = [part.strip() for part in value.split(",") if part.strip()] if several else [value]
        missing = [name for name in named if name not in _installed(group) and name not in besides]
        return f"must name what is installed: {', '.join(sorted(_installed(group)))}" if missing else None

    return rule


_SAMPLERS = (
    "always_on", "always_off", "parentbased_always_on", "parentbased_always_off", "traceidratio",
    "parentbased_traceidratio",
)  # fmt: skip
_COMPRESSION = Variable("none", _one_of("gzip", "deflate", "none"))
_LIMIT = Variable("", _count, "raises")
_PROTOCOL = _one_of("http/protobuf", "grpc")

_SPAN_GROUPS = ("run", "component", "artifact", "estimator", "epoch", "steps", "predict")

_OF_SIGNALS = {  # general, and one for each signal
    "ENDPOINT": Variable("", None, "raises", "address"),  # its rule is that of configure(), asked with the protocol
    "PROTOCOL": Variable("http/protobuf", _PROTOCOL, "raises"),
    "HEADERS": Variable("", _headers, "raises", "names"),
    "TIMEOUT": Variable("10", _number(0.001)),
    "CERTIFICATE": Variable("", _authorities, "raises"),
    "CLIENT_KEY": Variable("", _file, "raises"),
    "CLIENT_CERTIFICATE": Variable("", _file, "raises"),
    "COMPRESSION": _COMPRESSION,
    "INSECURE": Variable("false", _truth),
}

VARIABLES: Mapping[str, Variable] = {
    "MLOTEL_DISABLED": Variable("false", _only_true),
    "MLOTEL_SPOOL": Variable(".mlotel/spool"),
    "MLOTEL_SPOOL_MAX_BYTES": Variable("1000000000", _number(10_000)),
    "MLOTEL_SPOOL_FSYNC": Variable("batch", _one_of("batch", "off")),
    "MLOTEL_CAPTURE_VALUES": Variable("false", _truth),
    "MLOTEL_CAPTURE_ERRORS": Variable("all", _one_of("type", "all")),
    "MLOTEL_REDACT": Variable("", _function, "raises"),
    "MLOTEL_INSTRUMENT": Variable("", _libraries, "raises"),
    "MLOTEL_SPAN_GROUPS": Variable(
        "default",
        lambda value: _names("default", "quiet", "all", *_SPAN_GROUPS)(value.lower()),
    ),
    "MLOTEL_QUIET": Variable("false", _truth),
    "MLOTEL_HEARTBEAT_S": Variable("60", _number(0)),
    "MLOTEL_INDEX": Variable("on", _switch),
    "MLOTEL_EMBED": Variable("on", _switch),
    "MLOTEL_SIDECAR": Variable("off", _switch),
    "MLOTEL_HASH": Variable("xxh3", _one_of("xxh3", "blake3", "sha256")),
    "OTEL_SDK_DISABLED": Variable("false", _one_of("true", "false")),
    "OTEL_SERVICE_NAME": Variable("the script's name"),
    "OTEL_RESOURCE_ATTRIBUTES": Variable("", _pairs, shown="names"),
    **{f"OTEL_EXPORTER_OTLP_{what}": variable for what, variable in _OF_SIGNALS.items()},
    **{f"OTEL_EXPORTER_OTLP_{signal}_{what}": found for what, found in _OF_SIGNALS.items() for signal in _SIGNALS},
    **{f"OTEL_{signal}_EXPORTER": Variable("", _names("otlp", "console", "none")) for signal in _SIGNALS},
    "OTEL_TRACES_SAMPLER": Variable("parentbased_always_on", _one_of(*_SAMPLERS)),
    "OTEL_TRACES_SAMPLER_ARG": Variable("", _number(0, 1)),
    "OTEL_BSP_SCHEDULE_DELAY": Variable("5000", _number(1)),
    "OTEL_BSP_MAX_QUEUE_SIZE": Variable("8192", _number(1)),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": Variable("512", _number(1)),
    "OTEL_BSP_EXPORT_TIMEOUT": Variable("30000", _number(1)),
    "OTEL_BLRP_SCHEDULE_DELAY": Variable("1000", _number(1)),
    "OTEL_BLRP_MAX_QUEUE_SIZE": Variable("8192", _number(1)),
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": Variable("512", _number(1)),
    "OTEL_BLRP_EXPORT_TIMEOUT": Variable("30000", _number(1)),
    "OTEL_METRIC_EXPORT_INTERVAL": Variable("60000", _number(1)),
    "OTEL_METRIC_EXPORT_TIMEOUT": Variable("30000", _number(1)),
    "OTEL_METRICS_EXEMPLAR_FILTER": Variable(
        "trace_based", _one_of("always_on", "always_off", "trace_based"), "raises"
    ),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": Variable(
        "cumulative", _one_of("cumulative", "delta", "lowmemory")
    ),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": Variable(
        "explicit_bucket_histogram", _one_of("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
    ),
    "OTEL_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": _LIMIT,
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": _LIMIT,
    "OTEL_SPAN_EVENT_COUNT_LIMIT": _LIMIT,
    "OTEL_SPAN_LINK_COUNT_LIMIT": _LIMIT,
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": _LIMIT,
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": Variable(
        "otel", _entry("opentelemetry_resource_detector", several=True, besides=("*", "otel")), "raises"
    ),
    "OTEL_PYTHON_CONTEXT": Variable("contextvars_context", _entry("opentelemetry_context"), "raises"),
    **{
        f"OTEL_PYTHON_EXPORTER_OTLP_{kind}_{middle}CREDENTIAL_PROVIDER": Variable(
            "", _entry("opentelemetry_otlp_credential_provider"), "raises"
        )
        for kind in ("HTTP", "GRPC")
        for middle in ("", *(f"{signal}_" for signal in _SIGNALS))
    },
}
"""What mlotel reads, and what OpenTelemetry's SDK reads when mlotel sets it up."""

FOREIGN = frozenset(
    {
        "OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE", "OTEL_LOG_LEVEL", "OTEL_PROPAGATORS",
        "OTEL_ENTITIES", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_SERVICE_VERSION",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_TIMEOUT", "OTEL_EXPORTER_PROMETHEUS_HOST",
        "OTEL_EXPORTER_PROMETHEUS_PORT", "OTEL_EXPORTER_OTLP_SPAN_INSECURE", "OTEL_EXPORTER_OTLP_METRIC_INSECURE",
    }
)  # fmt: skip
"""Variables of OpenTelemetry that mlotel does not look at: known, so that they are no misspelling."""
