"""joblib: ``dump`` and ``load``.

Not recorded: what joblib itself writes for ``Memory`` and for the arrays of ``Parallel``. It calls the same functions
by another name, which is left as it is.
"""

from mlotel.instrumentation._base import argument, reads, writes
from mlotel.instrumentation._patch import Patch

REQUIRES = "joblib>=1.4"


def install(patch: Patch) -> None:
    """Record files that joblib reads and writes inside components."""
    patch.after_import("joblib", _install)


def _install(patch: Patch) -> None:
    import joblib  # type: ignore[import-untyped]  # joblib ships no types

    reads(patch, joblib, ["load"], everywhere=False)
    writes(patch, joblib, ["dump"], at=1, content=argument(0, "value"), everywhere=False)
