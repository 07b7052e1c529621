"""Identity of data: equal content has the same id wherever it is, different content never has.

>>> import numpy as np
>>> from mlotel import artifacts
>>> one, other = np.arange(5000.0), np.arange(5000.0)
>>> artifacts.identify(one) == artifacts.identify(other)
True
>>> other[2500] += 1
>>> artifacts.identify(one) == artifacts.identify(other)
False

An id is ``xxh3:`` and 128 bits in hex by default; ``blake3:`` or ``sha256:`` where a digest must resist forgery. Two
further schemes never mean equal content: ``partial:`` (only a sample was hashed, because the time ran out) and
``ref:`` (an object whose content cannot be hashed).

What counts as equal:

- **Tables**: pandas and polars frames and pyarrow tables by their logical content, column by column: name, order,
  logical type, values, nulls, categories, time zone. How rows are chunked, how strings are stored and what other
  metadata there is (``attrs``, Arrow schema metadata, nullability) does not count. In pandas the index counts unless
  it is the default one, and null is null whatever stands for it: None, NaN, NaT, ``pd.NA``. polars and Arrow keep NaN
  apart from null. A pandas column of dtype ``object`` has the type of the values in it. Categories count by their
  labels, unused ones too, and the order of labels only when they are ordered; polars Categoricals know only the labels
  in use. Times in whole seconds count as milliseconds, since Parquet stores no seconds; decimals by their scale.
- **Arrays**: shape, dtype and elements. Strides, memory order and byte order do not count, nor does the padding of
  structured arrays and the width of fixed-width strings beyond the longest one.
- **Floats**: by their bits, so -0.0 is not 0.0; all NaNs, signalling or with payloads, are one.
- **Plain values**: ``1``, ``True``, ``1.0`` and ``"1"`` are four values; lists and tuples differ; sets and the order of
  a dict's keys have no order. numpy's bool, int64, float64, complex128 and str are Python's own.
- **Sparse arrays** of scipy: shape, dtype and stored entries; not the format, the dtype of indices, the order of
  entries or how duplicates were split.
- **Models** of scikit-learn, and what behaves like them: class, parameters and fitted state, from the objects and not
  from pickles. Code is known by its importable name. Seconds, threads, caches and training's own generators do not
  count (see ``mlotel.artifacts.sklearn``).
- **torch**: tensors like arrays, on whatever device; modules by class, parameters, buffers and settings, in train or
  eval mode (see ``mlotel.artifacts.torch``).
- **Files**: their bytes. A file and the table in it are two artifacts.
- **Folders**: the names in them, the files' bytes, the targets of symbolic links, which are not followed.

Reading while another thread writes gives the id of whatever was read: files that change are noticed, arrays are not.
"""

from typing import Any

from mlotel import _guard
from mlotel.artifacts import _dispatch, _refs
from mlotel.artifacts._base import Changed, Hasher, OverBudget, Unidentifiable, deadline_of, state_maker
from mlotel.artifacts._look import artifact_type, has_content, kind_of, origin, shape_of
from mlotel.types import Identity

__all__ = ["artifact_type", "has_content", "identify", "is_scalar", "kind_of", "shape_of", "tell_writer"]


def tell_writer(value: Any, trace_id: str, span_id: str, model_id: str | None = None) -> None:
    """Let an object that says what its content is know which span wrote it, and for which model.

    Args:
        value: An object for which ``has_content`` is true.
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        model_id: Of the model that it belongs to; an object that knows one already keeps it.
    """
    from mlotel.artifacts import content  # loaded for the first of them

    content.tell_writer(value, trace_id, span_id, model_id)


def is_scalar(value: Any) -> bool:
    """Whether a value is one number, date or the like, or no bytes at all: equal ones are so mostly by chance.

    Strings count as text, which tells more.

    Example:
        >>> from mlotel import artifacts
        >>> artifacts.is_scalar(0), artifacts.is_scalar([0])
        (True, False)
    """
    from mlotel.artifacts import value as plain  # loaded by the first value, not by the first import of mlotel

    kind = type(value)
    if kind is bytes or kind is bytearray:
        return not value
    try:
        return kind is not str and plain.is_plain(kind) and not plain.is_collection(kind)
    except TypeError:  # its metaclass makes the class unhashable
        return False


def identify(value: Any, *, algorithm: str = "xxh3", budget_s: float | None = 2.0) -> Identity:
    """Identity of a value by its content.

    Args:
        value: Arrays, tensors, frames, tables, models, bytes, paths (``os.PathLike``) of files and folders, and plain
            values, also nested. A ``str`` is a plain value.
        algorithm: ``xxh3``, or ``blake3`` (needs the package blake3) or ``sha256`` for audits.
        budget_s: Seconds after which a sample of the content is hashed instead; None for no limit.

    Returns:
        The identity. Its scope is ``full`` when every byte counted, ``sampled`` when the budget was used up, and
        ``none`` when the content cannot be hashed: an unknown object, a model with an unknown piece, a file that
        cannot be read or changed meanwhile.

    Raises:
        InvalidArgumentError: If the algorithm or the budget cannot be used. Data never raise.

    Example:
        >>> from mlotel import artifacts
        >>> artifacts.identify({"depth": 3, "rate": 0.1}) == artifacts.identify({"rate": 0.1, "depth": 3})
        True
        >>> artifacts.identify(object()).scope
        'none'
    """
    new = state_maker(algorithm)
    deadline_of(budget_s)  # raises what it cannot use
    try:
        kind = _dispatch.kind_for(value)
        if kind is None:
            return _refs.reference(value)
        try:
            # The time starts here: the first value of a kind loads what knows it, which says nothing of the content.
            return kind.identify(value, Hasher(algorithm, deadline_of(budget_s), new=new))
        except OverBudget:
            return kind.identify(value, Hasher(algorithm, sampling=True, new=new))
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic inside polars is no Exception
        _guard.report(f"identify a value of type {'.'.join(origin(type(value)))}", error, level=10)
        # Of what failed half-way, or changed meanwhile, not even the same object has the same content.
        is_verdict = isinstance(error, Unidentifiable) and not isinstance(error, Changed)
        return _refs.reference(value) if is_verdict else _refs.fresh()
