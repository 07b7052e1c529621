"""Checks before and after a component: a function that looks at inputs or outputs and says whether they are good."""

import inspect
import keyword
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from mlotel import _clock, logs, metrics
from mlotel._guard import describe_error, guard
from mlotel.errors import CheckFailed, CheckWarning
from mlotel.semconv import attributes as names
from mlotel.semconv import events, spans
from mlotel.semconv import metrics as specs
from mlotel.tracing import attributes
from mlotel.tracing.scope import Records, Scope, record_of, span_name, start_span
from mlotel.types import AttributeValue, Check

Stage = Literal["before", "after"]
OnFailure = Literal["record", "warn", "raise"]

_FAILED_TYPE = attributes.qualified(CheckFailed)


def identifier(name: str) -> str:
    """``name`` as the parameter of a check may spell it: ``clean-flights`` is ``clean_flights``."""
    made = re.sub(r"\W", "_", name)
    return f"_{made}" if made[:1].isdigit() or keyword.iskeyword(made) else made


class BoundCheck:
    """A check and the names of the values it asks for.

    Attributes:
        name: Name of the function; ``before.0`` for a lambda.
        wanted: Parameters without a default.
        accepted: All parameters; None when the function takes any keyword.
    """

    __slots__ = ("accepted", "function", "name", "stage", "wanted")

    def __init__(self, function: Callable[..., Any], stage: Stage, index: int) -> None:
        self.function = function
        self.stage = stage
        name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
        self.name = name if isinstance(name, str) and name.isidentifier() else f"{stage}.{index}"
        self.wanted: frozenset[str] = frozenset()
        self.accepted: frozenset[str] | None = None
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # built-ins without a signature: they get everything and say what is wrong
            return
        named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.wanted = frozenset(p.name for p in named if p.default is p.empty)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            self.accepted = frozenset(p.name for p in named)

    def is_ready(self, values: Mapping[str, Any]) -> bool:
        """Whether every value that the check cannot do without is there."""
        return self.wanted <= values.keys()

    def wants(self, name: str) -> bool:
        """Whether the check can use a value called ``name``."""
        return self.accepted is None or name in self.accepted

    def run(self, values: Mapping[str, Any]) -> tuple[Check, BaseException | None]:
        """The verdict, and the error when the check crashed. Exceptions that are no ``Exception`` pass."""
        missing = sorted(self.wanted - values.keys())
        if missing:
            have = ", ".join(sorted(values)) or "none"
            kind = "input" if self.stage == "before" else "output"
            return Check(False, f"no {kind} named {', '.join(missing)}; there is: {have}"), None
        try:
            answer = self._call({name: value for name, value in values.items() if self.wants(name)})
        except AssertionError as error:
            return Check(False, describe_error(error)), None
        except Exception as error:
            return Check(False, f"crashed with {attributes.qualified(type(error))}: {describe_error(error)}"), error
        return _verdict(answer), None

    def _call(self, values: dict[str, Any]) -> Any:
        parameters = inspect.signature(self.function).parameters if self.accepted is not None else {}
        positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY and p.name in values]
        return self.function(*(values.pop(name) for name in positional), **values)


def _verdict(answer: Any) -> Check:
    """What the answer of a check means. Only True, False and None are looked at: anything else might not be a verdict."""
    if isinstance(answer, Check):
        return answer
    if answer is None or answer is True:
        return Check(True)
    if answer is False:
        return Check(False)
    kind = type(answer)
    if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"):
        return Check(answer)
    if inspect.iscoroutine(answer):
        answer.close()
    return Check(
        False, f"returned a {attributes.qualified(kind)}; return a bool, a Check or None, or raise AssertionError"
    )


def run_checks(
    checks: Iterable[BoundCheck],
    values: Mapping[str, Any],
    *,
    scope: Scope | None,
    labels: Mapping[str, AttributeValue],
    on_failure: OnFailure,
    records: Records | None,
) -> None:
    """Run ``checks`` on ``values`` and record each result.

    Args:
        checks: What to run, in order.
        values: By the names that checks use.
        scope: Of the component; None when nobody listens, and then nothing is recorded.
        labels: ``ml.component.name`` and, when there is one, ``ml.run.id``.
        on_failure: ``record`` goes on, ``warn`` warns, ``raise`` raises.
        records: Where spans are kept for the tree of the run.

    Raises:
        CheckFailed: The first failure, when ``on_failure`` is ``raise``. The checks after it do not run.
    """
    for check in checks:
        ctx = None if scope is None else scope.context
        start_ns, before = _clock.wall_ns(), _clock.monotonic_ns()
        span = None
        if ctx is not None:
            with guard("begin a check"):
                span = start_span(
                    span_name(spans.CHECK, check.name),
                    ctx,
                    {names.ML_CHECK_NAME: attributes.text(check.name), names.ML_CHECK_STAGE: check.stage, **labels},
                    start_ns,
                )
        token = None if span is None or ctx is None else context.attach(trace.set_span_in_context(span, ctx))
        try:
            verdict, error = check.run(values)
        except BaseException as stopped:
            if span is not None:
                span.set_status(Status(StatusCode.ERROR, attributes.qualified(type(stopped))))
                span.set_attribute(names.ERROR_TYPE, attributes.qualified(type(stopped)))
                span.end(end_time=start_ns + _clock.monotonic_ns() - before)
            raise
        finally:
            if token is not None:
                context.detach(token)
        message = attributes.text(str(verdict.message))
        if span is not None and ctx is not None:
            with guard("record a check"):
                end_ns = start_ns + _clock.monotonic_ns() - before
                _record(check, verdict, message, error, span, ctx, labels, (start_ns, end_ns), records)
        if verdict.status == "failed":
            if on_failure == "raise":
                raise CheckFailed(check.name, message) from error
            if on_failure == "warn":
                warnings.warn(f"check {check.name} failed: {message}", CheckWarning, stacklevel=4)


def _record(
    check: BoundCheck,
    verdict: Check,
    message: str,
    error: BaseException | None,
    span: trace.Span,
    ctx: Context,
    labels: Mapping[str, AttributeValue],
    times: tuple[int, int],
    records: Records | None,
) -> None:
    failed = verdict.status == "failed"
    found: dict[str, AttributeValue] = {names.ML_CHECK_STATUS: verdict.status}
    if message:
        found[names.ML_CHECK_MESSAGE] = message
    found.update(attributes.params(names.ML_CHECK_VALUE_TEMPLATE, verdict.values))
    span.set_attributes(found)
    if failed:
        span.set_attribute(names.ERROR_TYPE, _FAILED_TYPE if error is None else attributes.qualified(type(error)))
        span.set_status(Status(StatusCode.ERROR, message))
        metric_labels = {names.ML_CHECK_NAME: attributes.text(check.name)}
        if names.ML_COMPONENT_NAME in labels:
            metric_labels[names.ML_COMPONENT_NAME] = cast("str", labels[names.ML_COMPONENT_NAME])
        metrics.add(specs.ML_CHECK_FAILURES, 1, metric_labels, ctx)
    whole = {names.ML_CHECK_NAME: attributes.text(check.name), names.ML_CHECK_STAGE: check.stage, **labels, **found}
    logs.emit(
        events.ML_CHECK_RESULT,
        f"check {check.name} {verdict.status}" + (f": {message}" if message else ""),
        whole,
        trace.set_span_in_context(span, ctx),
        severity="warning" if failed else "info",
    )
    span.end(end_time=times[1])
    if records is not None:
        parent = trace.get_current_span(ctx).get_span_context()
        records.append(record_of(span, parent, span_name(spans.CHECK, check.name), *times, whole, failed, message))
