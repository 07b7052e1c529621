"""What a value looks like from outside: told by the names in its type's ancestry, loading no library.

Values belong to users, so nothing here asks the instance anything that users can define: no ``__getattr__``,
``__len__``, ``__bool__`` or ``__eq__``, not even ``__class__``.
"""

import re
from pathlib import PurePath
from typing import Any

TABLES = frozenset(
    {
        ("pandas", "DataFrame"),
        ("polars", "DataFrame"),
        ("pyarrow", "Table"),
        ("pyarrow", "RecordBatch"),
    }
)
_ARRAYS = frozenset(
    {
        ("numpy", "ndarray"),
        ("pandas", "Series"),
        ("polars", "Series"),
        ("pyarrow", "Array"),
        ("pyarrow", "ChunkedArray"),
        ("torch", "Tensor"),
        ("scipy", "sparray"),
        ("scipy", "spmatrix"),
    }
)

_DATASET = frozenset({".csv", ".parquet", ".arrow", ".feather", ".npy", ".npz"})
_MODEL = frozenset({".pkl", ".joblib", ".pt", ".pth", ".onnx", ".safetensors"})
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})
_METRICS = re.compile("metric|score|eval")


def ancestry(value: Any) -> tuple[type, ...]:
    """The method resolution order of the value's real type."""
    order: tuple[type, ...] = type.__getattribute__(type(value), "__mro__")
    return order


def origin(kind: type) -> tuple[str, str]:
    """Import name of the library that defines a type, and the type's name: ``("pandas", "DataFrame")``."""
    module = type.__getattribute__(kind, "__module__")
    root = module.partition(".")[0] if isinstance(module, str) else ""
    return root, type.__getattribute__(kind, "__name__")


def is_path(value: Any) -> bool:
    """Whether the value is an ``os.PathLike``, as far as its type says so."""
    return _defines(ancestry(value), "__fspath__")


def has_content(value: Any) -> bool:
    """Whether the value's class says itself what its content is."""
    return _defines(ancestry(value), "__mlotel_content__")


def kind_of(value: Any) -> str | None:
    """Which sort of artifact a value is, if any.

    Args:
        value: Anything.

    Returns:
        ``table``, ``array``, ``model``, ``file`` or ``bytes``; None for plain values and unknown objects.

    Example:
        >>> import numpy as np
        >>> from mlotel import artifacts
        >>> artifacts.kind_of(np.zeros(3)), artifacts.kind_of(0.5)
        ('array', None)
    """
    try:
        return _kind_of(ancestry(value))
    except Exception:  # a metaclass may do anything; such a value is none of ours
        return None


def _kind_of(order: tuple[type, ...]) -> str | None:
    for kind in order:
        if kind is bytes or kind is bytearray or kind is memoryview:  # == of a class may be the user's
            return "bytes"
        where = origin(kind)
        if where in TABLES:
            return "table"
        if where in _ARRAYS:
            return "array"
        if where == ("torch", "Module"):
            return "model"
    if _defines(order, "__fspath__"):
        return "file"
    if _defines(order, "fit") and _defines(order, "get_params"):
        return "model"
    return None


def shape_of(value: Any) -> tuple[int | None, int | None]:
    """Rows and columns of a table or an array.

    Args:
        value: Anything.

    Returns:
        Rows and columns; None where there is no such thing: ``(n, None)`` for one dimension, ``(None, None)`` for
        what is neither a table nor an array.

    Example:
        >>> import numpy as np
        >>> from mlotel import artifacts
        >>> artifacts.shape_of(np.zeros((3, 2)))
        (3, 2)
    """
    try:
        sort = _kind_of(ancestry(value))
        if sort not in ("table", "array"):
            return None, None
        if any(origin(kind) in {("pyarrow", "Array"), ("pyarrow", "ChunkedArray")} for kind in ancestry(value)):
            return len(value), None
        shape = tuple(value.shape)
        rows = int(shape[0]) if shape else None
        columns = int(shape[1]) if len(shape) == 2 else None
    except Exception:  # a subclass may define shape as it likes
        return None, None
    return rows, columns


def artifact_type(value: Any) -> str:
    """The value of ``ml.artifact.type`` that fits a value or a path.

    Args:
        value: Anything; a ``str`` is a path or a URI.

    Returns:
        ``dataset``, ``model``, ``metrics``, ``reference``, ``file`` or ``other``. Paths are told by their suffix; that
        of a compressed file is looked at without ``.gz`` and the like.

    Example:
        >>> from mlotel import artifacts
        >>> artifacts.artifact_type("runs/7/scores.json"), artifacts.artifact_type("flights.csv.gz")
        ('metrics', 'dataset')
    """
    try:
        if type(value) is str:
            return _type_of_path(value)
        if has_content(value):
            return str(getattr(type(value), "artifact_type", "other"))
        sort = _kind_of(ancestry(value))
        if sort == "file":
            return _type_of_path(str(value.__fspath__()))
    except Exception:  # __fspath__ is the user's
        return "file"
    if sort in ("table", "array"):
        return "dataset"
    return "model" if sort == "model" else "other"


def _type_of_path(place: str) -> str:
    path = PurePath(re.split("[?#]", place, maxsplit=1)[0] if "://" in place else place)
    if path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    suffix = path.suffix.lower()
    if suffix in _DATASET:
        return "dataset"
    if suffix in _MODEL:
        return "model"
    return "metrics" if suffix == ".json" and _METRICS.search(path.stem.lower()) else "file"


def _defines(order: tuple[type, ...], name: str) -> bool:
    return any(name in type.__getattribute__(kind, "__dict__") for kind in order)
