"""Work that joblib hands to threads and processes: it belongs to the call that handed it out.

A task is a function with the place where its work belongs. In a thread that is the context of the call itself. In
another process the task sets mlotel up as in the one that sent it, joins the trace, and delivers what it recorded
before its result is sent: a worker may be ended at any time after that.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from mlotel import _current, _providers, _settings
from mlotel._guard import guard
from mlotel.instrumentation._patch import passed_over
from mlotel.instrumentation._sklearn import calls, kinds, results
from mlotel.instrumentation._sklearn.calls import FRAME, TASK, Call, Frame, SpanCall, frame_in, recorded
from mlotel.instrumentation._sklearn.data import data_facts
from mlotel.instrumentation._sklearn.results import MAX_FOLDS
from mlotel.semconv import attributes as names
from mlotel.tracing import attributes, failures
from mlotel.tracing.context import extract, inject, parent_context
from mlotel.types import AttributeValue

__all__ = ["Task", "cross_validate", "parallel"]

FOLD = ("sklearn.model_selection._validation", "_fit_and_score")
FLUSH_MS = 5000


def parallel(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Called instead of ``joblib.Parallel.__call__``."""
    with guard("carry a call to workers"):
        if len(args) == 2 and _providers.is_listening() and _is_of_joblib(args[0]):
            ctx = parent_context()
            if not _current.is_suppressed(ctx):
                args = (args[0], _tasks(args[1], ctx))
    return wrapped(*args, **kwargs)


def _is_of_joblib(one: Any) -> bool:
    """Whether the workers are threads or processes of this machine: elsewhere mlotel may not be installed."""
    backend = type(getattr(one, "_backend", None))
    return attributes.qualified(backend).startswith("joblib.")


class _Tasks:
    """The items that joblib will dispatch, each with its place."""

    def __init__(self, items: Iterable[Any], ctx: Context, frame: Frame | None) -> None:
        self._items = items
        self._context = ctx
        self._frame = frame

    def __iter__(self) -> Iterator[Any]:
        place = _Place.of(self._frame)
        for index, item in enumerate(self._items):
            yield self._carried(index, item, place) if type(item) is tuple and len(item) == 3 else item

    def _carried(self, index: int, item: tuple[Any, Any, Any], place: "_Place") -> tuple[Any, Any, Any]:
        function, args, kwargs = item
        is_fold = _is_fold(function) and place.shows_folds
        if is_fold and self._frame is not None:
            self._frame.call.folds += 1
            is_fold = self._frame.call.folds <= MAX_FOLDS
        return Task(function, self._context, self._frame, place, index if is_fold else None), args, kwargs


class _Sized(_Tasks):
    """The same where joblib may ask how many there are."""

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]  # it was looked at


def _tasks(items: Any, ctx: Context) -> _Tasks:
    frame = FRAME.get() or frame_in(ctx)
    if frame is not None and not frame.call.is_open:
        frame = None
    return (_Sized if hasattr(type(items), "__len__") else _Tasks)(items, ctx, frame)


def _is_fold(function: Any) -> bool:
    inner = getattr(function, "function", function)  # sklearn's delayed() puts its settings around it
    return (getattr(inner, "__module__", ""), getattr(inner, "__name__", "")) == FOLD


class _Place(tuple[str, str, str, bool]):
    """What a worker process has to know of the call: component, operation, system, and whether folds are spans."""

    __slots__ = ()

    @property
    def shows_folds(self) -> bool:
        """Whether folds are spans."""
        return self[3]

    @staticmethod
    def of(frame: Frame | None) -> "_Place":
        """That of a frame; of none, what is not part of a call."""
        if frame is None:
            return _Place(("", "", "", True))
        call = frame.call
        return _Place(
            (call.component, call.operation, call.system, call.shows_folds and getattr(call, "frame", None) is frame)
        )


class Task:
    """A function that runs where it belongs.

    Args:
        function: What joblib was given.
        ctx: Context that it runs in.
        frame: The call that it is part of; None for none, or in another process.
        place: The same in plain values.
        fold: Which fold it is, if that is to be a span.
        is_away: Whether this is another process than the one that handed it out.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        ctx: Context,
        frame: Frame | None,
        place: tuple[str, str, str, bool],
        fold: int | None,
        is_away: bool = False,
    ) -> None:
        self._function = function
        self._context = ctx
        self._frame = frame
        self._place = place
        self._fold = fold
        self._is_away = is_away
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not _providers.is_listening():
            return self._function(*args, **kwargs)
        frame = self._frame
        away: Call | None = None
        if frame is None and self._is_away and self._place[0]:
            away = Call(*self._place[:3])
            frame = Frame(self, away, has_steps=True)
        attached = context.attach(self._context)
        framed = FRAME.set(frame)
        try:
            if self._fold is None:
                return self._function(*args, **kwargs)
            return recorded(_Fold(self._fold, args, kwargs), self._function, args, kwargs)
        finally:
            if away is not None:
                with guard("measure what a worker did"):
                    away.measure_steps()
            FRAME.reset(framed)
            context.detach(attached)
            if self._is_away:
                _deliver()

    def __reduce__(self) -> tuple[Any, ...]:
        state = (tuple(self._place), self._fold)
        return _arrive, (self._function, inject(self._context), _settings.current.restore, state)


passed_over(Task.__call__)
passed_over(parallel)


def _arrive(
    function: Callable[..., Any],
    headers: dict[str, str],
    restore: tuple[Callable[[Any], None], Any] | None,
    state: tuple[tuple[str, str, str, bool], int | None],
) -> Task:
    """Unpickle in a worker process: set mlotel up as in the process that sent the task."""
    with guard("set mlotel up in a worker process"):
        if restore is not None:
            restore[0](restore[1])
        from mlotel import instrumentation  # imports this package

        if instrumentation.install(["sklearn"]):
            calls.serves_only_tasks = True
    ctx = context.set_value(TASK, True, extract(headers))
    return Task(function, ctx, None, state[0], state[1], is_away=True)


def _deliver() -> None:
    """Have what was recorded in this process on its way before the result is."""
    with guard("deliver what a worker has recorded"):
        for provider in (_providers.tracer_provider(), _providers.logger_provider(), _providers.meter_provider()):
            flush = getattr(provider, "force_flush", None)  # the API has none, every SDK does
            if flush is not None:
                flush(FLUSH_MS)


class _Function:
    """A call of one of scikit-learn's functions that is about to begin."""

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._args = args
        self._kwargs = kwargs
        self._call: SpanCall | None = None
        self.frame: Frame | None = None

    def _argument(self, position: int, name: str) -> Any:
        return self._args[position] if len(self._args) > position else self._kwargs.get(name)


class _Fold(_Function):
    """Fitting and scoring on one fold."""

    def __init__(self, index: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        super().__init__(args, kwargs)
        self._index = index

    def begin(self) -> bool:
        """Open the span and make it current."""
        ctx = context.get_current()
        owner = self._argument(0, "estimator")
        outer = FRAME.get()
        call = SpanCall("fold", owner, ".".join(FOLD), ctx, None if outer is None else outer.call)
        frame = Frame(self, call, has_steps=True)
        facts: dict[str, AttributeValue] = {names.ML_FOLD_INDEX: self._index}
        params: dict[str, Any] = {}
        with guard("describe a fold"):
            facts |= self._facts()
            parameters = self._kwargs.get("parameters")
            if type(parameters) is dict:
                params = {
                    name: results.name_of(value) if kinds.is_estimator(value) else value
                    for name, value in parameters.items()
                }
        call.open(facts, params, ctx, frame)
        call.scope.attach()
        self._call, self.frame = call, frame
        return True

    def _facts(self) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        split, candidate = self._kwargs.get("split_progress"), self._kwargs.get("candidate_progress")
        if type(split) is tuple:
            found[names.ML_FOLD_INDEX], found[names.ML_FOLD_COUNT] = int(split[0]), int(split[1])
        if type(candidate) is tuple:
            found[names.ML_CANDIDATE_INDEX] = int(candidate[0])
        shape = data_facts(self._argument(1, "X"))
        train = data_facts(self._kwargs.get("train"))
        if names.ML_DATA_ROW_COUNT in train:
            found[names.ML_DATA_ROW_COUNT] = train[names.ML_DATA_ROW_COUNT]
        if names.ML_DATA_COLUMN_COUNT in shape:
            found[names.ML_DATA_COLUMN_COUNT] = shape[names.ML_DATA_COLUMN_COUNT]
        return found

    def end(self, error: BaseException | None, result: Any) -> None:
        """Close the span."""
        call = self._call
        if call is not None:
            call.close(error, lambda: self._scores(call, result))

    def _scores(self, call: SpanCall, result: Any) -> dict[str, AttributeValue]:
        if type(result) is not dict:
            return {}
        found = result.get("test_scores")
        said = results.scores(found if type(found) is dict else {"score": found})
        trouble = result.get("fit_error")
        if type(trouble) is str:  # an exception that became a score: error_score=nan
            last = trouble.rstrip().rpartition("\n")[2]
            kind, _, message = last.partition(": ")
            said[names.ERROR_TYPE] = attributes.text(kind, 128)
            shown = "" if failures.only_types() else attributes.text(message)
            call.scope.span.set_status(Status(StatusCode.ERROR, shown or None))
        return said


class _Validation(_Function):
    """A cross-validation."""

    def begin(self) -> bool:
        """Open the span and make it current; whether there is one."""
        ctx = parent_context()
        if _current.is_suppressed(ctx):
            return False
        owner = self._argument(0, "estimator")
        call = SpanCall("cross_validate", owner, "sklearn.model_selection.cross_validate", ctx, None)
        frame = Frame(self, call, has_steps=True)
        facts: dict[str, AttributeValue] = {}
        params: dict[str, Any] = {}
        with guard("describe a cross-validation"):
            facts = data_facts(self._argument(1, "X"))
            params = kinds.params_of(owner)
        call.open(facts, params, ctx, frame)
        call.scope.attach()
        self._call, self.frame = call, frame
        return True

    def end(self, error: BaseException | None, result: Any) -> None:
        """Close the span."""
        call = self._call
        if call is None:
            return

        def facts() -> dict[str, AttributeValue]:
            owner = self._argument(0, "estimator")
            found = results.cross_validated(owner, result, self._kwargs.get("scoring"))
            if call.folds > MAX_FOLDS:
                found[names.ML_FOLD_OMITTED] = call.folds - MAX_FOLDS
            return found

        call.close(error, facts)


def cross_validate(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Called instead of ``sklearn.model_selection.cross_validate``, which ``cross_val_score`` calls too."""
    frame = FRAME.get()
    if calls.serves_only_tasks and frame is None and context.get_value(TASK) is None:
        return wrapped(*args, **kwargs)
    if (frame is not None and frame.call.is_open) or not _providers.is_listening():
        return wrapped(*args, **kwargs)
    return recorded(_Validation(args, kwargs), wrapped, args, kwargs)
