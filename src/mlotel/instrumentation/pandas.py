"""pandas: ``read_*`` and ``to_*`` of files.

Not recorded: databases, clipboard and Iceberg catalogues; ``ExcelFile``, ``ExcelWriter`` and ``HDFStore``, which read
and write piece by piece; tables with a style (``DataFrame.style``).
"""

from typing import Any

from mlotel.instrumentation._base import argument, reads, some_files, writes
from mlotel.instrumentation._patch import Patch

REQUIRES = "pandas>=2.2"

READ = (
    "read_csv", "read_excel", "read_feather", "read_fwf", "read_hdf", "read_html", "read_json", "read_orc",
    "read_pickle", "read_sas", "read_spss", "read_stata", "read_table", "read_xml",
)  # fmt: skip
READ_SEVERAL = ("read_parquet",)  # takes lists of paths
WRITE = (
    "to_csv", "to_excel", "to_feather", "to_hdf", "to_html", "to_json", "to_latex", "to_markdown", "to_orc",
    "to_parquet", "to_pickle", "to_stata", "to_string", "to_xml",
)  # fmt: skip


def install(patch: Patch) -> None:
    """Record files that pandas reads and writes inside components."""
    patch.after_import("pandas", _install)


def _install(patch: Patch) -> None:
    import pandas as pd  # type: ignore[import-untyped]  # pandas ships no types

    reads(patch, pd, READ)
    reads(patch, pd, READ_SEVERAL, find=some_files)
    writes(patch, pd, ["to_pickle"], at=1, content=argument(0, "obj"))
    for kind in (pd.DataFrame, pd.Series):
        for name in WRITE:
            owner = _definer(kind, name)
            if owner is not None:
                writes(patch, owner, [name], at=1, content=argument(0, "self"))


def _definer(kind: type, name: str) -> Any:
    """The class that a method comes from: frames and series share most of them, and pickle finds them there."""
    return next((base for base in kind.__mro__ if name in vars(base)), None)
