"""What is said of a component when it is declared, checked once and prepared for every execution."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.semconv import attributes as names
from mlotel.tracing import attributes
from mlotel.tracing.arguments import (
    require_checks,
    require_choice,
    require_mapping,
    require_seconds,
    require_text,
)
from mlotel.tracing.checks import BoundCheck, OnFailure
from mlotel.tracing.code import name_of_function
from mlotel.types import AttributeValue

type_of = type  # ``type`` is also the name of an argument
_MAX_DECLARED = 256
_declared: dict[Any, "Declaration"] = {}

KEYWORDS = (
    "type",
    "owner",
    "description",
    "before",
    "after",
    "on_failure",
    "stale_after_s",
    "memory",
    "inputs",
    "outputs",
)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A component as declared.

    Attributes:
        attributes: Of every span of it.
        before: Checks of inputs.
        after: Checks of outputs.
        on_failure: What a failed check does.
        stale_after_s: Age in seconds from which an input is reported as stale.
        memory: ``trace`` to follow Python's allocations.
        inputs: Parameter to artifact name, for decorated functions.
        outputs: Names of what a decorated function returns.
        checks: All checks.
        has_checks: Whether there are any.
        must_check: Whether they run even when nobody listens: a check that was asked to raise guards the program.
    """

    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    before: tuple[BoundCheck, ...] = ()
    after: tuple[BoundCheck, ...] = ()
    on_failure: OnFailure = "record"
    stale_after_s: float | None = None
    memory: Literal["trace"] | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: str | tuple[str, ...] | None = None
    checks: tuple[BoundCheck, ...] = field(init=False)
    has_checks: bool = field(init=False)
    must_check: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", self.before + self.after)
        object.__setattr__(self, "has_checks", bool(self.checks))
        object.__setattr__(self, "must_check", self.has_checks and self.on_failure == "raise")

    def for_function(self, function: Callable[..., Any]) -> "Declaration":
        """The declaration of a decorated function, with its name in the code and, unless given, its description."""
        found = {names.CODE_FUNCTION_NAME: name_of_function(function), **self.attributes}
        text = inspect.getdoc(function) if inspect.isroutine(function) else None
        if names.ML_COMPONENT_DESCRIPTION not in found and text:
            found[names.ML_COMPONENT_DESCRIPTION] = attributes.clean(text.strip().split("\n", 1)[0])
        self._refuse_unknown_parameters(function)
        return dataclasses.replace(self, attributes=found)

    def _refuse_unknown_parameters(self, function: Callable[..., Any]) -> None:
        """A check before a function, and ``inputs=``, can only name its parameters."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return
        known = [p.name for p in parameters]
        for parameter in self.inputs:
            if parameter.partition(".")[0] not in known:
                asked = f"component() got inputs={{{parameter!r}: …}}"
                raise InvalidArgumentError(_no_such_parameter(asked, function, parameter, known))
        for check in self.before:
            for missing in sorted(check.wanted - set(known)):
                asked = f"The check {check.name!r} asks for {missing!r}"
                raise InvalidArgumentError(_no_such_parameter(asked, function, missing, known))


def _no_such_parameter(asked: str, function: Callable[..., Any], name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    called = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{asked}, and {called}() has no such parameter.{hint} It has: {', '.join(known) or 'none'}."


def declare(
    type: str | None,
    owner: str | None,
    description: str | None,
    before: Any,
    after: Any,
    on_failure: str,
    stale_after_s: float | None,
    memory: str | None,
    inputs: Mapping[str, str] | None,
    outputs: str | Sequence[str] | None,
) -> Declaration:
    """Check the arguments of ``component()`` and prepare what every execution needs."""
    key: Any = None
    if inputs is None and outputs is None and type_of(before) is type_of(after) is tuple and not (before or after):
        # ``with mlotel.component("clean", type="transform")`` in a loop says the same thing each time.
        key = (type, owner, description, on_failure, stale_after_s, type_of(stale_after_s), memory)
        try:
            known = _declared.get(key)
        except TypeError:  # something that is none of these types, and not hashable: refused below
            key = known = None
        if known is not None:
            return known
    made = _declare(type, owner, description, before, after, on_failure, stale_after_s, memory, inputs, outputs)
    if key is not None and len(_declared) < _MAX_DECLARED:
        _declared[key] = made
    return made


def _declare(
    type: str | None,
    owner: str | None,
    description: str | None,
    before: Any,
    after: Any,
    on_failure: str,
    stale_after_s: float | None,
    memory: str | None,
    inputs: Mapping[str, str] | None,
    outputs: str | Sequence[str] | None,
) -> Declaration:
    found: dict[str, AttributeValue] = {}
    for argument, value, attribute in (
        ("type", type, names.ML_COMPONENT_TYPE),
        ("owner", owner, names.ML_COMPONENT_OWNER),
        ("description", description, names.ML_COMPONENT_DESCRIPTION),
    ):
        if value is not None:
            found[attribute] = attributes.clean(require_text("component", argument, value))
    return Declaration(
        attributes=found,
        before=tuple(BoundCheck(f, "before", i) for i, f in enumerate(require_checks("before", before))),
        after=tuple(BoundCheck(f, "after", i) for i, f in enumerate(require_checks("after", after))),
        on_failure=cast(
            "OnFailure", require_choice("component", "on_failure", on_failure, ("record", "warn", "raise"))
        ),
        stale_after_s=None if stale_after_s is None else require_seconds("component", "stale_after_s", stale_after_s),
        memory=None
        if memory is None
        else cast("Literal['trace']", require_choice("component", "memory", memory, ("trace",))),
        inputs=_inputs(inputs),
        outputs=_outputs(outputs),
    )


def _inputs(inputs: Mapping[str, str] | None) -> Mapping[str, str]:
    if inputs is None:
        return {}
    found = require_mapping("component", "inputs", inputs)
    return {parameter: require_text("component", f"inputs[{parameter!r}]", name) for parameter, name in found.items()}


def _outputs(outputs: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    if outputs is None:
        return None
    if isinstance(outputs, str):
        return require_text("component", "outputs", outputs)
    if not isinstance(outputs, list | tuple):
        raise InvalidTypeError(
            "component() got outputs that is neither a name nor a list of names. Write outputs='clean' or "
            "outputs=['train', 'test']."
        )
    return tuple(require_text("component", "outputs", name) for name in outputs)
