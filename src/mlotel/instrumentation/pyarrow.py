"""pyarrow: Parquet, Feather, ORC, CSV, JSON, IPC and datasets.

``csv.open_csv``, ``json.open_json``, ``ipc.open_file``, ``ipc.open_stream`` and ``dataset.dataset`` are recorded when
they open, as the file without its content.

Not recorded: other file systems than the local one, given as ``filesystem=``; ``pyarrow.NativeFile`` objects, which do
not tell their path; ``ParquetFile``, ``ParquetWriter``, ``ParquetDataset`` and the writers of ``ipc``, which read and
write piece by piece.
"""

from mlotel.instrumentation._base import argument, nothing, reads, some_files, writes
from mlotel.instrumentation._patch import Patch

REQUIRES = "pyarrow>=17"


def install(patch: Patch) -> None:
    """Record files that pyarrow reads and writes inside components; each submodule once it is loaded."""
    for name, then in (
        ("csv", _csv), ("dataset", _dataset), ("feather", _feather), ("ipc", _ipc), ("json", _json), ("orc", _orc),
        ("parquet", _parquet),
    ):  # fmt: skip
        patch.after_import(f"pyarrow.{name}", then)


def _csv(patch: Patch) -> None:
    import pyarrow.csv as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["read_csv"], find=some_files)
    reads(patch, module, ["open_csv"], find=some_files, content=nothing)
    writes(patch, module, ["write_csv"], at=1, content=argument(0, "data"), find=some_files)


def _dataset(patch: Patch) -> None:
    import pyarrow.dataset as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["dataset"], find=some_files, content=nothing)
    writes(patch, module, ["write_dataset"], at=1, content=argument(0, "data"), find=some_files)


def _feather(patch: Patch) -> None:
    import pyarrow.feather as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["read_feather", "read_table"], find=some_files)
    writes(patch, module, ["write_feather"], at=1, content=argument(0, "df"), find=some_files)


def _ipc(patch: Patch) -> None:
    import pyarrow.ipc as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["open_file", "open_stream"], find=some_files, content=nothing)


def _json(patch: Patch) -> None:
    import pyarrow.json as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["read_json"], find=some_files)
    reads(patch, module, ["open_json"], find=some_files, content=nothing)


def _orc(patch: Patch) -> None:
    import pyarrow.orc as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["read_table"], find=some_files)
    writes(patch, module, ["write_table"], at=1, content=argument(0, "table"), find=some_files)


def _parquet(patch: Patch) -> None:
    import pyarrow.parquet as module  # type: ignore[import-untyped]  # pyarrow ships no types

    reads(patch, module, ["read_table", "read_pandas"], find=some_files)
    writes(patch, module, ["write_table", "write_to_dataset"], at=1, content=argument(0, "table"), find=some_files)
