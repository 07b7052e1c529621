"""The reference: what the data looked like that a model was trained or tested on."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlotel import artifacts
from mlotel._guard import logger
from mlotel.drift import _file
from mlotel.drift._evidence import Counter, Evidence, Promise
from mlotel.drift._fit import Fitted, fit_table
from mlotel.drift._kinds import Source
from mlotel.drift._profile import Profile
from mlotel.drift._stream import fit_stream, is_stream
from mlotel.errors import InvalidArgumentError, InvalidTypeError, NotFoundError

__all__ = ["Reference"]

_COARSE = 0.05
_USUAL_TOLERANCE = 0.01
_LARGEST_FILE = 1 << 28  # ten thousand columns; what is larger is something else, and need not be read to say so


class Reference:
    """Counts of every feature, per bin, of rows that are as they should be.

    Make one with ``fit``, or read one with ``load``. It holds no row of the data: counts in about 70 bins a number and
    65 a category, their edges, and names of categories that have at least 20 rows.

    Attributes:
        rows: Rows it was fitted on.
        names: Features, in order: those of embeddings and of hours have names of their own.
        notes: What it cannot see, in words.
        proportions: ``{"prediction": {class: share}, "label": {class: share}}``, as far as there were classes.
        baseline: For each metric given to ``fit``: rows, sum and sum of squares, overall, by score and by slice.
        model_id: Artifact id of the model it belongs to: of ``model=``, else filled by ``mlotel.write(reference)`` with
            the model that the same component wrote last, or read; None when neither is known.
        is_model_given: Whether the model was given with ``model=``: only then others are refused.
        trace_id: Trace that wrote it, 32 hex digits; filled by ``mlotel.write(reference)``.
        span_id: The write span in that trace, 16 hex digits.

    Example:
        >>> import numpy as np
        >>> from mlotel import Reference
        >>> rng = np.random.default_rng(0)
        >>> reference = Reference.fit({"age": rng.normal(40, 9, 20_000), "plan": rng.choice(["a", "b", "c"], 20_000)})
        >>> reference
        Reference(20,000 rows, 2 features)
        >>> reference["plan"].kind, round(reference.detectable["age"], 3)
        ('category', 0.024)
    """

    artifact_type = "reference"

    def __init__(self, fitted: Fitted) -> None:
        self.rows = fitted.rows
        self.sources: tuple[Source, ...] = tuple(fitted.sources)
        self.profiles: tuple[Profile, ...] = tuple(fitted.profiles)
        self.proportions = fitted.proportions
        self.baseline = fitted.baseline
        self.notes = tuple(fitted.notes)
        self.model_id: str | None = None
        self.is_model_given = False
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self._places = {profile.name: place for place, profile in enumerate(self.profiles)}

    @classmethod
    def fit(
        cls,
        X: Any,  # noqa: N803 - as everywhere in machine learning
        predictions: Any = None,
        labels: Any = None,
        times: Any = None,
        *,
        kinds: Mapping[str, str] | None = None,
        metrics: Sequence[str] = (),
        slices: Sequence[str] = (),
        model: Any = None,
    ) -> "Reference":
        """Fit a reference.

        Args:
            X: A pandas or polars frame, a pyarrow table, a 2-D array, ``{name: values}``, or rows as lists or dicts.
                For data that do not fit in memory a callable that returns an iterator over such batches, which is
                called twice; or an iterator, which is read once, with edges and counts from quantile sketches.
            predictions: ``(n,)`` predictions or scores, or ``(n, k)`` scores of ``k`` classes, of the same rows. They
                become features called ``prediction``, ``prediction.0``, …
            labels: ``(n,)`` what came true. A feature called ``label``.
            times: ``(n,)`` when each row came, as times or seconds: dependence of rows and cycles are then measured and
                allowed for. It takes 10,000 rows, and two turns of the longest cycle.
            kinds: Kinds that shall not be inferred: ``numeric``, ``integer``, ``boolean``, ``category``, ``text`` (its
                length), ``datetime`` (seconds), ``hour`` (of the day), ``datetime+hour``, ``embedding``.
            metrics: Of predictions against labels, kept by score and slice: ``mae``, ``mse``, ``bias``, ``accuracy``,
                ``log_loss``, ``brier``.
            slices: Columns of X by whose values metrics are kept.
            model: The model it belongs to: the object, its file or its artifact id.

        Raises:
            EmptySampleError: With fewer than 100 rows, or a column without values.
            InvalidTypeError: If something is no table or column, or not of the kind it was declared.
            InvalidArgumentError: If lengths or names do not fit, or a kind or metric is unknown.

        Example:
            >>> import numpy as np
            >>> def batches():
            ...     for seed in range(10):
            ...         yield {"x": np.random.default_rng(seed).normal(size=5000)}
            >>> Reference.fit(batches).rows
            50000
        """
        if isinstance(metrics, str) or isinstance(slices, str):
            raise InvalidTypeError("Reference.fit() takes metrics= and slices= as lists. Put the name in one.")
        if is_stream(X):
            given = {"predictions": predictions, "labels": labels, "times": times}
            wrong = [name for name, value in given.items() if value is not None] + ["metrics"] * bool(metrics)
            if wrong:
                raise InvalidArgumentError(
                    f"Reference.fit() got {wrong[0]}= with a stream of batches. Put predictions and labels into the "
                    "batches as columns, or pass a table."
                )
            fitted = fit_stream(X, kinds or {})
        else:
            fitted = fit_table(
                X, predictions, labels, times, kinds=kinds or {}, metrics=tuple(metrics), slices=tuple(slices)
            )
        reference = cls(fitted)
        reference.model_id, reference.is_model_given = _model_id(model), model is not None
        reference.notes += tuple(reference._say_what_it_misses())
        return reference

    @property
    def names(self) -> tuple[str, ...]:
        """Features, in order."""
        return tuple(self._places)

    @property
    def detectable(self) -> dict[str, float]:
        """Smallest change of probability that a detector with default settings can certify, a feature."""
        evidence = Evidence(self.profiles, Counter(self.profiles), Promise(), _USUAL_TOLERANCE)
        return dict(zip(self.names, evidence.detectable.tolist(), strict=True))

    def __getitem__(self, name: str) -> Profile:
        try:
            return self.profiles[self._places[name]]
        except KeyError:
            raise NotFoundError(f"The reference has no feature {name!r}. It has {', '.join(self.names)}.") from None

    def __len__(self) -> int:
        return len(self.profiles)

    def __repr__(self) -> str:
        return f"Reference({self.rows:,} rows, {len(self.profiles)} features)"

    def _say_what_it_misses(self) -> list[str]:
        """What a reference of this size cannot see, logged once here and kept."""
        coarse = {name: gap for name, gap in self.detectable.items() if gap > _COARSE}
        if not coarse:
            return []
        worst = max(coarse, key=lambda name: coarse[name])
        wandering = sum(
            p.tolerance > _USUAL_TOLERANCE or p.design_effect > 1 for p in self.profiles if p.name in coarse
        )
        why, remedy = f"the reference has {self.rows:,} rows", "Fit more rows to see smaller ones."
        if wandering:
            why = f"rows depend on each other or follow a cycle in {wandering} of them"
            remedy = "Fit more rows, or one reference for each part of the cycle, to see smaller ones."
        note = (
            f"{len(coarse)} of {len(self.profiles)} features cannot show a change of less than {_COARSE:.0%} of their "
            f"rows ({worst}: {coarse[worst]:.0%}), since {why}. {remedy}"
        )
        logger.warning("Reference: %s", note)
        return [note]

    def check_model(self, model: Any) -> None:
        """Make sure that the reference belongs to a model, as far as both are known.

        Args:
            model: The model, its file or its artifact id.

        Raises:
            InvalidArgumentError: If it was fitted with ``model=`` another one. What ``write`` filled in may be the id
                of the object where a file is given here, or the other way round, and refuses nothing.
        """
        found = _model_id(model)
        if self.is_model_given and found is not None and found != self.model_id:
            raise InvalidArgumentError(
                f"The reference belongs to model {self.model_id}, and the model here is {found}. Load the reference "
                "that was saved with this model, or fit one."
            )

    def save(self, path: "str | os.PathLike[str]") -> Path:
        """Write it as one JSON file, whole or not at all, and return the path."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            # A lone surrogate becomes its escape, which JSON knows: backslash, u and four hex digits.
            beside.write_text(_file.text_of(self), encoding="utf-8", errors="backslashreplace")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        return target

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Reference":
        """Read what ``save`` wrote.

        Raises:
            NotFoundError: If there is no such file.
            InvalidArgumentError: If it is no reference, is damaged, or needs a newer mlotel.
        """
        try:
            size = Path(path).stat().st_size
            if size > _LARGEST_FILE:
                raise InvalidArgumentError(
                    f"{path} is no reference of mlotel: it has {size:,} bytes. Pass what Reference.save() wrote."
                )
            text = Path(path).read_text(encoding="utf-8-sig")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFoundError(f"There is no reference at {path}. Pass the path that Reference.save() got.") from error
        except UnicodeDecodeError as error:
            raise InvalidArgumentError(
                f"{path} is no reference of mlotel. Pass what Reference.save() wrote."
            ) from error
        return cls._of(*_file.parse(text, str(path)))

    @classmethod
    def _of(cls, fitted: Fitted, about: Mapping[str, Any]) -> "Reference":
        reference = cls(fitted)
        reference.model_id, reference.trace_id, reference.span_id, reference.is_model_given = (
            about[name] for name in ("model_id", "trace_id", "span_id", "model_given")
        )
        return reference

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: what the file holds."""
        return _file.to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Reference":
        """What ``to_dict`` gave.

        Raises:
            InvalidArgumentError: If it is no reference, is damaged, or needs a newer mlotel.
        """
        return cls._of(*_file.from_dict(plain, "This dict"))

    def __mlotel_content__(self) -> dict[str, Any]:
        """What makes it this reference: not which span wrote it, nor for which model."""
        plain = self.to_dict()
        apart = {"trace_id", "span_id", "model_id", "model_given", "notes"}
        return {name: plain[name] for name in plain.keys() - apart}


def _model_id(model: Any) -> str | None:
    """Artifact id of a model; a string that looks like one is one."""
    if model is None:
        return None
    if isinstance(model, str):
        if model.partition(":")[0] in ("xxh3", "blake3", "sha256", "ref", "partial"):
            return model
        model = Path(model)
    if isinstance(model, Path) and not model.exists():
        raise NotFoundError(f"There is no model at {model}. Pass the model, its file or its artifact id.")
    return artifacts.identify(model).id
