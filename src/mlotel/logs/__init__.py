"""Log events of mlotel: records with a name, a time and the context of the span that they belong to."""

from collections.abc import Mapping

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context

from mlotel import _clock, _providers
from mlotel.types import AttributeValue

SCOPE = "mlotel.logs"

_SEVERITY = {"info": SeverityNumber.INFO, "warning": SeverityNumber.WARN, "error": SeverityNumber.ERROR}
_SEVERITY_TEXT = {"info": "INFO", "warning": "WARN", "error": "ERROR"}


def is_listening() -> bool:
    """Whether anybody receives log events."""
    return _providers.logger(SCOPE) is not None


def emit(
    event: str,
    body: str,
    attributes: Mapping[str, AttributeValue],
    context: Context,
    severity: str = "info",
) -> None:
    """Emit the event ``event`` in ``context``.

    Args:
        event: A name of ``mlotel.semconv.events``.
        body: What a person reads in a list of logs.
        attributes: Clean values: see ``mlotel.tracing.attributes``.
        context: Its span is the one that the event belongs to.
        severity: ``info``, ``warning`` or ``error``.
    """
    logger = _providers.logger(SCOPE)
    if logger is None:
        return
    now = _clock.wall_ns()
    logger.emit(
        timestamp=now,  # the SDK leaves it out unless told, and an event without a time is none
        observed_timestamp=now,
        context=context,
        severity_number=_SEVERITY[severity],
        severity_text=_SEVERITY_TEXT[severity],
        body=body,
        attributes=dict(attributes),
        event_name=event,
    )
