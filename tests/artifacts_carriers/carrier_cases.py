"""One file of every format that carries stamps, made and read by the library it belongs to."""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import safetensors
import safetensors.numpy
from onnx import TensorProto, helper
from PIL import Image

from mlotel.artifacts.carriers import Stamp

STAMP = Stamp(
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    content_id="xxh3:0123456789abcdef0123456789abcdef",
    component="clean",
    run_id="run-7",
    name="clean-flights",
    uri="file://host/data/flights",
    schema_hash="0" * 32,
    created_ns=1_700_000_000_000_000_000,
    data_id="xxh3:" + "d" * 32,  # of some file: one that is given stays as it is
)
OTHER = replace(STAMP, component="another", run_id="run-80000", content_id="sha256:" + "ab" * 32)

FRAME = pd.DataFrame(
    {
        "delay": [1.5, -0.0, float("nan"), 4.0] * 5,
        "carrier": ["AA", None, "Überflieger", "DL"] * 5,
        "when": pd.date_range("2013-01-01", periods=20, tz="America/New_York"),
        "origin": pd.Categorical(["JFK", "LGA", "JFK", "EWR"] * 5),
    }
)
ARRAYS = {"weight": np.arange(12, dtype=np.float32).reshape(3, 4), "bias": np.array([1, 2, 3], dtype=np.int64)}
PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


@dataclass(frozen=True)
class Case:
    """A way to make a file, what a reader gets from it, and where a reader of the format shows the stamp."""

    name: str
    format: str
    file: str
    make: Callable[[Path], Any]
    content: Callable[[Path], Any]
    shown: Callable[[Path], str]


def _model() -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
        [helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])],
    )
    model = helper.make_model(graph, producer_name="test")
    helper.set_model_props(model, {"author": "somebody"})
    return model


def _onnx_content(path: Path) -> bytes:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    others = {entry.key: entry.value for entry in model.metadata_props if entry.key != "mlotel"}
    helper.set_model_props(model, others)
    return model.SerializeToString(deterministic=True)


def _onnx_shown(path: Path) -> str:
    [value] = [entry.value for entry in onnx.load(path).metadata_props if entry.key == "mlotel"]
    return value


def _png_content(path: Path) -> Any:
    with Image.open(path) as image:
        image.load()
        others = {key: value for key, value in image.text.items() if key != "mlotel"}
        return image.size, image.mode, image.tobytes(), others, image.info.get("dpi")


def _png_shown(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.text["mlotel"])


def _make_png(path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "delays")
    info.add_itxt("Author", "Ünal")
    Image.fromarray(PIXELS).save(path, pnginfo=info, dpi=(96, 96))


def _tensors_content(path: Path) -> Any:
    with safetensors.safe_open(path, "numpy") as file:
        others = sorted(entry for entry in (file.metadata() or {}).items() if entry[0] != "mlotel")
        return {key: file.get_tensor(key).tolist() for key in file.keys()}, others  # noqa: SIM118 - no mapping


def _tensors_shown(path: Path) -> str:
    with safetensors.safe_open(path, "numpy") as file:
        return str(file.metadata()["mlotel"])


def _parquet_shown(path: Path) -> str:
    return pa.parquet.read_metadata(path).metadata[b"mlotel"].decode()


def _parquet_content(path: Path) -> Any:
    found = pa.parquet.read_metadata(path)
    others = {key: value for key, value in (found.metadata or {}).items() if key != b"mlotel"}
    groups = [found.row_group(n).to_dict() for n in range(found.num_row_groups)]
    frame, polars = pd.read_parquet(path), pl.read_parquet(path)
    return pa.parquet.read_table(path).to_pylist().__repr__(), frame.to_csv(), polars.to_dict(), others, groups


SHOWS_FOOTERS = hasattr(pa.ipc.RecordBatchFileReader, "metadata")
"""Whether this pyarrow lets users see what else is in the footer of an Arrow file."""


def _arrow_shown(path: Path) -> str:
    if not SHOWS_FOOTERS:
        [text] = re.findall(rb'mlotel\0\0.{4}({"version":1,[^\0]*})\0', path.read_bytes(), re.DOTALL)
        return text.decode()
    return pa.ipc.open_file(path).metadata[b"mlotel"].decode()


def _arrow_content(path: Path) -> Any:
    table = pa.feather.read_table(path)
    batches = pa.ipc.open_file(path).num_record_batches
    return repr(table.to_pylist()), table.schema.to_string(), batches, pl.read_ipc(path).to_dict()


def _small(path: Path) -> None:
    safetensors.numpy.save_file(ARRAYS, path)


CASES = [
    Case("pandas parquet", "parquet", "a.parquet", FRAME.to_parquet, _parquet_content, _parquet_shown),
    Case(
        "parquet of many row groups",
        "parquet",
        "b.pq",
        lambda path: FRAME.to_parquet(path, row_group_size=3, compression="gzip"),
        _parquet_content,
        _parquet_shown,
    ),
    Case(
        "polars parquet",
        "parquet",
        "c.parquet",
        lambda path: pl.from_pandas(FRAME).write_parquet(path),
        _parquet_content,
        _parquet_shown,
    ),
    Case(
        "parquet without metadata",
        "parquet",
        "d.PARQUET",
        lambda path: pa.parquet.write_table(pa.table({"x": [1, 2]}), path, store_schema=False),
        _parquet_content,
        _parquet_shown,
    ),
    Case("feather", "arrow", "a.feather", FRAME.to_feather, _arrow_content, _arrow_shown),
    Case(
        "polars arrow",
        "arrow",
        "b.arrow",
        lambda path: pl.from_pandas(FRAME).write_ipc(path, compression="zstd"),
        _arrow_content,
        _arrow_shown,
    ),
    Case(
        "empty arrow",
        "arrow",
        "c.ipc",
        lambda path: pa.feather.write_feather(pa.table({"x": pa.array([], pa.int8())}), path),
        _arrow_content,
        _arrow_shown,
    ),
    Case("safetensors", "safetensors", "a.safetensors", _small, _tensors_content, _tensors_shown),
    Case(
        "safetensors with metadata",
        "safetensors",
        "b.safetensors",
        lambda path: safetensors.numpy.save_file(ARRAYS, path, metadata={"format": "np", "naïve": 'qu"ote'}),
        _tensors_content,
        _tensors_shown,
    ),
    Case("onnx", "onnx", "a.onnx", lambda path: onnx.save(_model(), path), _onnx_content, _onnx_shown),
    Case("png", "png", "a.png", _make_png, _png_content, _png_shown),
]


def listed(folder: Path) -> list[str]:
    """Names in a folder, but for the one that every test has."""
    return sorted(path.name for path in folder.iterdir() if path.name != "isolated")


def same(one: Any, other: Any) -> bool:
    """Equality that holds for frames and NaN too."""
    return repr(one) == repr(other)


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum or zlib.crc32(kind + body))
