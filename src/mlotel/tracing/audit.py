"""What a run was made of, for whoever asks later: the command, and the libraries that touched data and models."""

import hashlib
import os
import sys
from collections.abc import Sequence

from mlotel.semconv import attributes as names
from mlotel.types import AttributeValue

LIBRARIES = (
    "catboost",
    "joblib",
    "lightgbm",
    "numpy",
    "onnx",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
    "statsmodels",
    "torch",
    "xgboost",
)
"""Import names of libraries that read, change or learn from data."""


def words() -> Sequence[str]:
    """The command line as it was typed, with the interpreter's own options and without the interpreter."""
    return sys.orig_argv[1:]


def command() -> dict[str, AttributeValue]:
    """Hash of the command line. The words themselves may hold secrets and stay here."""
    joined = b"\0".join(os.fsencode(word) for word in words())
    return {names.ML_RUN_COMMAND_HASH: f"sha256:{hashlib.sha256(joined).hexdigest()}"}


def libraries() -> dict[str, AttributeValue]:
    """Versions of the libraries that are loaded by now; none is loaded for this."""
    found = []
    for library in LIBRARIES:
        module = sys.modules.get(library)
        version = None if module is None else vars(module).get("__version__")
        if isinstance(version, str):
            found.append(f"{library}=={version}")
    return {names.ML_RUN_LIBRARIES: found} if found else {}
