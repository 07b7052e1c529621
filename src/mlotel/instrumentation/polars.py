"""polars: ``read_*``, ``scan_*``, ``write_*`` and ``sink_*`` of files.

A scan is recorded when it is made, as the file without its content, which nobody has read by then; a sink when the
query has run. Patterns and lists of files are that many files.

Not recorded: databases, clipboard, Iceberg and Lance; targets that are split into partitions; a sink with
``lazy=True``, which writes when it is collected.
"""

import os
import pathlib
from typing import Any

from mlotel.instrumentation._base import argument, nothing, one_file, reads, some_files, writes
from mlotel.instrumentation._patch import Patch
from mlotel.instrumentation._targets import Target

REQUIRES = "polars>=1.0"

READ = (
    "read_avro", "read_csv", "read_delta", "read_excel", "read_ipc", "read_ipc_stream", "read_json", "read_lines",
    "read_ndjson", "read_ods", "read_parquet",
)  # fmt: skip
SCAN = ("read_csv_batched", "scan_csv", "scan_delta", "scan_ipc", "scan_lines", "scan_ndjson", "scan_parquet")
WRITE = (
    "write_avro", "write_csv", "write_delta", "write_ipc", "write_ipc_stream", "write_json", "write_ndjson",
    "write_parquet",
)  # fmt: skip
SINK = ("sink_csv", "sink_delta", "sink_ipc", "sink_ndjson", "sink_parquet")


def install(patch: Patch) -> None:
    """Record files that polars reads and writes inside components."""
    patch.after_import("polars", _install)


def _install(patch: Patch) -> None:
    import polars as pl

    frame = argument(0, "self")
    reads(patch, pl, READ, find=some_files)
    reads(patch, pl, SCAN, find=some_files, content=nothing)
    # A merge into a Delta table returns what will do it.
    writes(patch, pl.DataFrame, WRITE, at=1, content=frame, is_done=lambda result: result is None)
    writes(patch, pl.DataFrame, ["write_excel"], at=1, content=frame, find=_workbook)
    writes(patch, pl.LazyFrame, SINK, at=1, content=nothing, is_done=lambda result: type(result) is not pl.LazyFrame)


def _workbook(value: Any, kwargs: dict[str, Any]) -> Target | None:
    """The file that polars writes: it adds what is missing, the name or the suffix."""
    if value is None:
        value = "dataframe.xlsx"
    if isinstance(value, str | os.PathLike):
        path = pathlib.Path(value)
        value = path if path.suffix else path.with_suffix(".xlsx")
    return one_file(value, kwargs)
