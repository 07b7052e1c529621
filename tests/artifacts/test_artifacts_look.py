"""What a value looks like from outside: its kind, shape and type."""

import os
import pathlib

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlotel import artifacts


class Estimator(BaseEstimator):
    def fit(self, X, y=None):
        return self


KINDS = [
    (pd.DataFrame({"a": [1, 2, 3]}), "table", (3, 1), "dataset"),
    (pl.DataFrame({"a": [1], "b": [2]}), "table", (1, 2), "dataset"),
    (pa.table({"a": [1, 2]}), "table", (2, 1), "dataset"),
    (pa.table({"a": [1, 2]}).to_batches()[0], "table", (2, 1), "dataset"),
    (pd.Series([1, 2]), "array", (2, None), "dataset"),
    (pl.Series([1, 2]), "array", (2, None), "dataset"),
    (pa.array([1, 2]), "array", (2, None), "dataset"),
    (pa.chunked_array([[1], [2]]), "array", (2, None), "dataset"),
    (np.zeros(4), "array", (4, None), "dataset"),
    (np.zeros((4, 2)), "array", (4, 2), "dataset"),
    (np.zeros((4, 2, 3)), "array", (4, None), "dataset"),
    (np.zeros(()), "array", (None, None), "dataset"),
    (np.ma.zeros(4), "array", (4, None), "dataset"),
    (scipy.sparse.csr_array(np.eye(3)), "array", (3, 3), "dataset"),
    (scipy.sparse.coo_matrix(np.eye(3)), "array", (3, 3), "dataset"),
    (LogisticRegression(), "model", (None, None), "model"),
    (make_pipeline(LogisticRegression()), "model", (None, None), "model"),
    (Estimator(), "model", (None, None), "model"),
    (b"bytes", "bytes", (None, None), "other"),
    (bytearray(b"bytes"), "bytes", (None, None), "other"),
    (memoryview(b"bytes"), "bytes", (None, None), "other"),
    (pathlib.Path("data/x.csv"), "file", (None, None), "dataset"),
    (pathlib.PurePosixPath("model.pkl"), "file", (None, None), "model"),
    *(
        (v, None, (None, None), "other")
        for v in (None, 1, 1.5, True, [1], (1,), {"a": 1}, {1}, object(), len, pd, np.float64(1), np.int8(1))
    ),
    *(
        (v, None, (None, None), "other")
        for v in (LogisticRegression, pd.DataFrame, np.ndarray, pd.Timestamp(0), pl.LazyFrame())
    ),
]


@pytest.mark.parametrize(("value", "kind", "shape", "type_"), KINDS, ids=lambda value: type(value).__name__)
def test_kind_shape_and_type(value, kind, shape, type_):
    """Libraries' tables, arrays and models are told by their types; plain values, classes and functions are none."""
    assert artifacts.kind_of(value) == kind
    assert artifacts.shape_of(value) == shape
    assert artifacts.artifact_type(value) == type_


def test_modules_of_torch_are_models():
    """A subclass of torch.nn.Module is a model and a tensor an array, by the names of their ancestors."""
    module = type("Module", (), {"__module__": "torch.nn.modules.module"})
    tensor = type("Tensor", (), {"__module__": "torch", "shape": (2, 3)})

    assert artifacts.kind_of(type("Net", (module,), {})()) == "model"
    assert artifacts.kind_of(tensor()) == "array"
    assert artifacts.shape_of(tensor()) == (2, 3)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("flights.csv", "dataset"),
        ("flights.CSV", "dataset"),
        ("flights.csv.gz", "dataset"),
        ("a/b.parquet", "dataset"),
        ("x.arrow", "dataset"),
        ("x.feather", "dataset"),
        ("x.npy", "dataset"),
        ("x.npz", "dataset"),
        ("model.pkl", "model"),
        ("model.joblib", "model"),
        ("model.pt", "model"),
        ("model.pth", "model"),
        ("model.onnx", "model"),
        ("model.safetensors", "model"),
        ("metrics.json", "metrics"),
        ("test-scores.json", "metrics"),
        ("evaluation.json", "metrics"),
        ("metrics/config.json", "file"),
        ("config.json", "file"),
        ("scores.txt", "file"),
        ("README", "file"),
        ("", "file"),
        ("s3://bucket/flights.parquet?versionId=7#part", "dataset"),
        ("https://host/model.onnx", "model"),
        ("a.gz", "file"),
    ],
)
def test_types_of_paths(path, expected):
    """A path or URI is told by its suffix."""
    assert artifacts.artifact_type(path) == expected
    if path:
        assert artifacts.artifact_type(pathlib.PurePosixPath(path.partition("?")[0])) == expected


def test_a_broken_path_object_is_a_file():
    """A path that cannot say where it leads is a file."""

    class Broken(os.PathLike):
        def __fspath__(self):
            raise RuntimeError("broken")

    assert artifacts.kind_of(Broken()) == "file"
    assert artifacts.artifact_type(Broken()) == "file"


def test_subclasses_that_lie_about_their_shape():
    """A shape that cannot be had is no error."""

    class Shapeless(pd.DataFrame):
        @property
        def shape(self):
            raise RuntimeError("no shape")

    assert artifacts.kind_of(Shapeless({"a": [1]})) == "table"
    assert artifacts.shape_of(Shapeless({"a": [1]})) == (None, None)
