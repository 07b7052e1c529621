"""Checks before and after a component: a function that looks at inputs or outputs and says whether they are good."""

import inspect
import keyword
import os
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from mlotel import _clock, logs, metrics
from mlotel._guard import describe_error, guard
from mlotel.errors import CheckFailed, CheckWarning
from mlotel.semconv import attributes as names
from mlotel.semconv import events, spans
from mlotel.semconv import metrics as specs
from mlotel.tracing import attributes, failures
from mlotel.tracing.scope import Records, Scope, keep_record, record_of, span_name, start_span
from mlotel.types import AttributeValue, Check

Stage = Literal["before", "after"]
OnFailure = Literal["record", "warn", "raise"]

_FAILED_TYPE = attributes.qualified(CheckFailed)
_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep


class Answer(NamedTuple):
    """What came of a check.

    Attributes:
        verdict: The result, a failed one when the check crashed.
        error: The exception that the verdict was made from.
        crashed: Whether that exception was no AssertionError.
    """

    verdict: Check
    error: Exception | None = None
    crashed: bool = False

    @property
    def message(self) -> str:
        """What the check said."""
        said = self.verdict.message
        return said if type(said) is str else attributes.word(said)

    @property
    def public_message(self) -> str:
        """What the check said, as it may leave the process."""
        if self.error is not None and failures.only_types():
            return ("crashed with " if self.crashed else "raised ") + failures.type_of(self.error)
        return attributes.text(self.message)

    @property
    def error_type(self) -> str:
        """Value of ``error.type`` when the check failed."""
        return failures.type_of(self.error) if self.error is not None and self.crashed else _FAILED_TYPE


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

    def run(self, values: Mapping[str, Any], known: Iterable[str] = ()) -> Answer:
        """Call the check. Exceptions that are no ``Exception`` pass.

        Args:
            values: What some check asks for.
            known: Names of everything that could have been asked for, for the message.
        """
        missing = sorted(self.wanted - values.keys())
        if missing:
            have = ", ".join(sorted({*values, *known})) or "none"
            kind = "input" if self.stage == "before" else "output"
            return Answer(Check(False, f"no {kind} named {', '.join(missing)}; there is: {have}"))
        try:
            found = self._call({name: value for name, value in values.items() if self.wants(name)})
        except AssertionError as error:
            return Answer(Check(False, describe_error(error)), error)
        except Exception as error:
            reason = f"crashed with {attributes.qualified(type(error))}: {describe_error(error)}"
            return Answer(Check(False, reason), error, crashed=True)
        return Answer(Check(False, self._claim()) if found is False else _verdict(found))

    def _claim(self) -> str:
        """What a check that says no more than False has found wanting: the first line of its docstring."""
        text = inspect.getdoc(self.function) if inspect.isroutine(self.function) else None
        return f"does not hold: {text.strip().splitlines()[0]}" if text and text.strip() else ""

    def _call(self, values: dict[str, Any]) -> Any:
        parameters = inspect.signature(self.function).parameters if self.accepted is not None else {}
        positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY and p.name in values]
        return self.function(*(values.pop(name) for name in positional), **values)


def _verdict(answer: Any) -> Check:
    """What the answer of a check means. Only True, False and None are looked at: the rest might not be a verdict."""
    kind = type(answer)
    if issubclass(kind, Check):
        return cast("Check", answer)
    if answer is None or answer is True:
        return Check(True)
    if answer is False:
        return Check(False)
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind is numpy.bool_:
        return Check(answer)
    if kind is types.CoroutineType:
        answer.close()
        return Check(False, "is async, and nobody awaits checks; write a plain function")
    return Check(
        False, f"returned {attributes.qualified(kind)}; return a bool, a Check or None, or raise AssertionError"
    )


def run_checks(
    checks: Iterable[BoundCheck],
    values: Mapping[str, Any],
    *,
    scope: Scope | None,
    labels: Mapping[str, AttributeValue],
    on_failure: OnFailure,
    records: Records | None,
    known: Iterable[str] = (),
) -> None:
    """Run ``checks`` on ``values`` and record each result.

    Args:
        checks: What to run, in order.
        values: By the names that checks use.
        scope: Of the component; None when nobody listens, and then nothing is recorded.
        labels: ``ml.component.name`` and, when there is one, ``ml.run.id``.
        on_failure: ``record`` goes on, ``warn`` warns, ``raise`` raises.
        records: Where spans are kept for the tree of the run.
        known: Names of all inputs or outputs, also those that no check asks for.

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
                    span_name(spans.CHECK, attributes.text(check.name)),
                    ctx,
                    {names.ML_CHECK_NAME: attributes.text(check.name), names.ML_CHECK_STAGE: check.stage, **labels},
                    start_ns,
                )
        token = None if span is None or ctx is None else context.attach(trace.set_span_in_context(span, ctx))
        try:
            answer = check.run(values, known)
        except BaseException as stopped:
            if span is not None:
                with guard("record a check"):
                    if failures.is_failure(stopped):
                        span.set_status(Status(StatusCode.ERROR, failures.message_of(stopped) or None))
                        span.set_attribute(names.ERROR_TYPE, failures.type_of(stopped))
                    span.end(end_time=start_ns + _clock.monotonic_ns() - before)
            raise
        finally:
            if token is not None:
                context.detach(token)
        if span is not None and ctx is not None:
            with guard("record a check"):
                end_ns = start_ns + _clock.monotonic_ns() - before
                _record(check, answer, span, ctx, labels, (start_ns, end_ns), records)
        try:
            if answer.verdict.status == "failed":
                if on_failure == "raise":
                    raise CheckFailed(check.name, answer.message) from answer.error
                if on_failure == "warn":
                    text = f"check {check.name} failed: {answer.message}"
                    warnings.warn(text, CheckWarning, stacklevel=_levels_to_the_user())
        finally:
            del answer  # the frames of its error lead back to this one: a circle that would keep the data in them


def _levels_to_the_user() -> int:
    """How far up the first frame is that is not mlotel's: a warning names the line that a person can look at."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def _record(
    check: BoundCheck,
    answer: Answer,
    span: trace.Span,
    ctx: Context,
    labels: Mapping[str, AttributeValue],
    times: tuple[int, int],
    records: Records | None,
) -> None:
    status, message = answer.verdict.status, answer.public_message
    failed = status == "failed"
    name = attributes.text(check.name)
    found: dict[str, AttributeValue] = {names.ML_CHECK_STATUS: status}
    if message:
        found[names.ML_CHECK_MESSAGE] = message
    found.update(attributes.params(names.ML_CHECK_VALUE_TEMPLATE, answer.verdict.values))
    if failed:
        found[names.ERROR_TYPE] = answer.error_type
        span.set_status(Status(StatusCode.ERROR, message or None))
        metric_labels = {names.ML_CHECK_NAME: name}
        if names.ML_COMPONENT_NAME in labels:
            metric_labels[names.ML_COMPONENT_NAME] = cast("str", labels[names.ML_COMPONENT_NAME])
        with guard("count a failed check"):
            metrics.add(specs.ML_CHECK_FAILURES, 1, metric_labels, ctx)
    span.set_attributes(found)
    whole = {names.ML_CHECK_NAME: name, names.ML_CHECK_STAGE: check.stage, **labels, **found}
    with guard("report a check"):
        logs.emit(
            events.ML_CHECK_RESULT,
            f"check {name} {status}" + (f": {message}" if message else ""),
            whole,
            trace.set_span_in_context(span, ctx),
            severity="warning" if failed else "info",
        )
    span.end(end_time=times[1])
    if records is not None:
        parent = trace.get_current_span(ctx).get_span_context()
        keep_record(records, record_of(span, parent, span_name(spans.CHECK, name), *times, whole, failed, message))
