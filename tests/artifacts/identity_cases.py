"""Values of every kind, each with values that resemble it and differ. Run as a program it prints all ids as JSON."""

import array
import datetime
import decimal
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mlotel import artifacts

ROWS = 1000
POSITIONS = {"start": 0, "middle": ROWS // 2, "end": ROWS - 1}
DAY = datetime.date(2024, 1, 1)


@dataclass
class Case:
    """One value and what differs from it.

    Attributes:
        make: Makes the value, equal and new each time.
        others: Makes values that differ from it and from each other, by what is different.
        empty: Makes the smallest value of the kind.
    """

    make: Callable[[], Any]
    others: dict[str, Callable[[], Any]]
    empty: Callable[[], Any]


def columns() -> dict[str, list[Any]]:
    """1000 rows of every type that the three table libraries share, with nulls in some."""
    moments = [datetime.datetime(2024, 1, 1) + datetime.timedelta(minutes=i) for i in range(ROWS)]
    return {
        "number": [i / 7 for i in range(ROWS)],
        "gap": [None if i % 10 == 3 else float(i) for i in range(ROWS)],
        "whole": [i * i for i in range(ROWS)],
        "flag": [i % 3 == 0 for i in range(ROWS)],
        "word": [f"word-{i}" for i in range(ROWS)],
        "some": [None if i == 17 else f"é{i}" for i in range(ROWS)],
        "moment": [None if i == 5 else moment for i, moment in enumerate(moments)],
        "raw": [i.to_bytes(2, "little") for i in range(ROWS)],
        "day": [DAY + datetime.timedelta(days=i) for i in range(ROWS)],
        "price": [decimal.Decimal(i).scaleb(-2) for i in range(ROWS)],
        "list": [[i, i + 1] if i % 4 else [] for i in range(ROWS)],
    }


CHANGED = {
    "number": 0.123,
    "gap": -1.0,
    "whole": -1,
    "flag": None,  # flipped
    "word": "other",
    "some": "other",
    "moment": datetime.datetime(1999, 1, 1),
    "raw": b"xyz",
    "day": datetime.date(1999, 1, 1),
    "price": decimal.Decimal("-1.00"),
    "list": [0, 0, 0],
}


def changed(column: str, position: int) -> dict[str, list[Any]]:
    """The columns with one other cell."""
    data = columns()
    data[column][position] = not data["flag"][position] if column == "flag" else CHANGED[column]
    return data


def renamed(data: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns with another name for the first."""
    return {("Number" if name == "number" else name): values for name, values in data.items()}


def reordered(data: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns the other way round."""
    return dict(reversed(data.items()))


def swapped(data: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns with two neighbouring rows in the other order."""
    return {name: [*values[:500], values[501], values[500], *values[502:]] for name, values in data.items()}


def to_pandas(data: dict[str, list[Any]]) -> pd.DataFrame:
    """A pandas frame."""
    objects = ("raw", "day", "price", "list")
    types = {"moment": "datetime64[us]"} | dict.fromkeys(objects, object)  # pandas 2 would take nanoseconds
    return pd.DataFrame({name: pd.Series(values, dtype=types.get(name)) for name, values in data.items()})


def to_polars(data: dict[str, list[Any]]) -> pl.DataFrame:
    """A polars frame."""
    return pl.DataFrame(data, schema_overrides={"price": pl.Decimal(12, 2)} if "price" in data else None)


def to_arrow(data: dict[str, list[Any]]) -> pa.Table:
    """A pyarrow table."""
    types = {"price": pa.decimal128(12, 2)}
    return pa.table({name: pa.array(values, types.get(name)) for name, values in data.items()})


def table_case(convert: Callable[[dict[str, list[Any]]], Any], retyped: Callable[[Any], Any]) -> Case:
    """The questions for a library of tables."""
    others: dict[str, Callable[[], Any]] = {
        f"{column} changed at the {where}": lambda column=column, position=position: convert(changed(column, position))
        for column in CHANGED
        for where, position in POSITIONS.items()
    }
    others |= {
        "renamed": lambda: convert(renamed(columns())),
        "columns reordered": lambda: convert(reordered(columns())),
        "rows reordered": lambda: convert(swapped(columns())),
        "retyped": lambda: retyped(convert(columns())),
        "a null more": lambda: convert(columns() | {"word": [None, *columns()["word"][1:]]}),
        "an empty string for a null": lambda: convert(columns() | {"some": [word or "" for word in columns()["some"]]}),
        "a row less": lambda: convert({name: values[:-1] for name, values in columns().items()}),
        "a column less": lambda: convert({name: v for name, v in columns().items() if name != "list"}),
        "no rows": lambda: convert(columns()).head(0) if convert is not to_arrow else convert(columns()).slice(0, 0),
    }
    return Case(lambda: convert(columns()), others, lambda: convert({}))


def number_array() -> Any:
    return np.arange(5000.0)


def with_element(values: Any, position: int, element: Any) -> Any:
    """The array with one other element."""
    values[position] = element
    return values


def record_array() -> Any:
    values = np.zeros(50, dtype=[("a", "i4"), ("b", "f8"), ("c", "U4")])
    values["a"] = np.arange(50)
    return values


def nested() -> dict[str, Any]:
    return {
        "depth": 3,
        "rate": 0.1,
        "name": "forest",
        "classes": ["a", "b"],
        "data": {"X": np.arange(6.0).reshape(2, 3), "y": [0, 1]},
        "when": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        "only": {1, 2, 3},
    }


def with_item(path: str, value: Any) -> dict[str, Any]:
    """The nested dict with one other member."""
    whole: Any = nested()
    *parents, last = path.split(".")
    place = whole
    for parent in parents:
        place = place[parent]
    place[last] = value
    return whole


CONTENT = bytes(range(256)) * 8000  # several chunks


def file_of(content: bytes) -> Path:
    """A new file with this content."""
    with tempfile.NamedTemporaryFile(delete=False, dir=tempfile.gettempdir()) as file:
        file.write(content)
    return Path(file.name)


def with_byte(position: int) -> bytes:
    data = bytearray(CONTENT)
    data[position] ^= 1
    return bytes(data)


BYTE_POSITIONS = {"start": 0, "middle": len(CONTENT) // 2, "end": len(CONTENT) - 1}


def sparse_array(**changed: Any) -> Any:
    """A diagonal of 100 numbers, with others in some rows."""
    values = np.arange(1.0, 101.0)
    for row, value in changed.items():
        values[int(row[1:])] = value
    return scipy.sparse.csr_array((values, (np.arange(100), np.arange(100))), shape=(100, 100))


def model(position: int | None = None, **params: Any) -> Any:
    """A fitted pipeline; with a position, trained on data with one other cell."""
    data = np.sin(np.arange(200.0)).reshape(100, 2)
    if position is not None:
        data[position, 0] += 1
    return make_pipeline(StandardScaler(), Ridge(**params)).fit(data, data[:, 1] * 2 + 1)


def folder(name: str = "b", **changed: bytes) -> Path:
    """A folder with three files and a folder."""
    place = Path(tempfile.mkdtemp())
    files = {"a": b"first", name: b"middle", "z": b"last", **changed}
    (place / "below").mkdir()
    for file, content in files.items():
        (place / file).write_bytes(content)
    return place


CASES: dict[str, Case] = {
    "pandas": table_case(to_pandas, lambda frame: frame.astype({"number": "float32"})),
    "polars": table_case(to_polars, lambda frame: frame.cast({"number": pl.Float32})),
    "arrow": table_case(to_arrow, lambda table: table.set_column(0, "number", table["number"].cast(pa.float32()))),
    "series": Case(
        lambda: pd.Series(columns()["number"], name="number"),
        {
            "renamed": lambda: pd.Series(columns()["number"], name="other"),
            "nameless": lambda: pd.Series(columns()["number"]),
            "retyped": lambda: pd.Series(columns()["number"], name="number", dtype="float32"),
            "indexed": lambda: pd.Series(columns()["number"], name="number").sort_values(ascending=False),
            "table": lambda: pd.DataFrame({"number": columns()["number"]}),
            **{
                f"changed at the {where}": lambda p=p: pd.Series(changed("number", p)["number"], name="number")
                for where, p in POSITIONS.items()
            },
        },
        lambda: pd.Series([], dtype=object),
    ),
    "array": Case(
        number_array,
        {
            **{
                f"changed at the {where}": lambda p=p: with_element(number_array(), p, -1.0)
                for where, p in {"start": 0, "middle": 2500, "end": 4999}.items()
            },
            "reordered": lambda: number_array()[::-1],
            "retyped": lambda: number_array().astype("int64"),
            "narrower": lambda: number_array().astype("float32"),
            "reshaped": lambda: number_array().reshape(50, 100),
            "reshaped otherwise": lambda: number_array().reshape(100, 50),
            "column": lambda: number_array().reshape(-1, 1),
            "shorter": lambda: number_array()[:-1],
            "list": lambda: number_array().tolist(),
            "bytes": lambda: number_array().tobytes(),
        },
        lambda: np.zeros(0),
    ),
    "structured array": Case(
        record_array,
        {
            "changed at the start": lambda: with_element(record_array(), 0, (7, 7, "x")),
            "changed in the middle": lambda: with_element(record_array(), 25, (7, 7, "x")),
            "changed at the end": lambda: with_element(record_array(), 49, (7, 7, "x")),
            "renamed": lambda: record_array().astype([("A", "i4"), ("b", "f8"), ("c", "U4")]),
            "reordered": lambda: record_array()[["b", "a", "c"]],
            "retyped": lambda: record_array().astype([("a", "i8"), ("b", "f8"), ("c", "U4")]),
        },
        lambda: record_array()[:0],
    ),
    "object array": Case(
        lambda: np.array([1, "1", None, 1.0, (1, 2)], dtype=object),
        {
            "changed at the start": lambda: np.array(["1", "1", None, 1.0, (1, 2)], dtype=object),
            "changed in the middle": lambda: np.array([1, "1", "None", 1.0, (1, 2)], dtype=object),
            "changed at the end": lambda: np.array([1, "1", None, 1.0, (2, 1)], dtype=object),
        },
        lambda: np.array([], dtype=object),
    ),
    "string array": Case(
        lambda: np.array(["a", "bb", "ccc"]),
        {
            "changed at the start": lambda: np.array(["A", "bb", "ccc"]),
            "changed in the middle": lambda: np.array(["a", "b", "ccc"]),
            "changed at the end": lambda: np.array(["a", "bb", "cc"]),
            "retyped": lambda: np.array([b"a", b"bb", b"ccc"]),
        },
        lambda: np.array([], dtype="U1"),
    ),
    "bytes": Case(
        lambda: bytes(CONTENT),
        {
            **{f"changed at the {where}": lambda p=p: with_byte(p) for where, p in BYTE_POSITIONS.items()},
            "longer": lambda: CONTENT + b"\0",
            "shorter": lambda: CONTENT[:-1],
            "typed": lambda: array.array("H", CONTENT),
            "signed": lambda: array.array("h", CONTENT),
            "text": lambda: CONTENT.decode("latin-1"),
            "file": lambda: file_of(CONTENT),
        },
        lambda: b"",
    ),
    "file": Case(
        lambda: file_of(CONTENT),
        {
            **{f"changed at the {where}": lambda p=p: file_of(with_byte(p)) for where, p in BYTE_POSITIONS.items()},
            "longer": lambda: file_of(CONTENT + b"\0"),
            "shorter": lambda: file_of(CONTENT[:-1]),
        },
        lambda: file_of(b""),
    ),
    "value": Case(
        nested,
        {
            "changed at the start": lambda: with_item("depth", 4),
            "changed in the middle": lambda: with_item("data.X", np.arange(6.0).reshape(3, 2)),
            "changed at the end": lambda: with_item("only", {1, 2, 4}),
            "renamed": lambda: {("Depth" if key == "depth" else key): value for key, value in nested().items()},
            "reordered": lambda: with_item("classes", ["b", "a"]),
            "retyped": lambda: with_item("depth", 3.0),
            "retyped to text": lambda: with_item("depth", "3"),
            "retyped to bool": lambda: with_item("depth", True),
            "retyped list": lambda: with_item("classes", ("a", "b")),
            "zone": lambda: with_item("when", datetime.datetime(2024, 1, 1)),
            "one more": lambda: with_item("more", None),
        },
        dict,
    ),
    "sparse array": Case(
        sparse_array,
        {
            "changed at the start": lambda: sparse_array(r0=-1.0),
            "changed in the middle": lambda: sparse_array(r50=-1.0),
            "changed at the end": lambda: sparse_array(r99=-1.0),
            "reordered": lambda: sparse_array()[::-1],
            "retyped": lambda: sparse_array().astype("float32"),
            "a zero more": lambda: scipy.sparse.csr_array(
                (np.append(np.arange(1.0, 101.0), 0.0), (np.append(np.arange(100), 0), np.append(np.arange(100), 1)))
            ),
            "dense": lambda: sparse_array().toarray(),
            "wider": lambda: scipy.sparse.hstack([sparse_array(), scipy.sparse.csr_array((100, 1))]),
        },
        lambda: scipy.sparse.csr_array((0, 0)),
    ),
    "model": Case(
        model,
        {
            "trained with another cell at the start": lambda: model(0),
            "trained with another cell in the middle": lambda: model(50),
            "trained with another cell at the end": lambda: model(99),
            "of another parameter": lambda: model(alpha=2.0),
            "of another type": lambda: make_pipeline(StandardScaler(), LinearRegression()).fit([[0.0], [1.0]], [0, 1]),
            "a step renamed": lambda: Pipeline([("scale", model()[0]), ("ridge", model()[1])]),
            "reordered": lambda: Pipeline([("ridge", model()[1]), ("standardscaler", model()[0])]),
            "its last step": lambda: model()[1],
        },
        lambda: make_pipeline(StandardScaler(), Ridge()),
    ),
    "folder": Case(
        folder,
        {
            "changed at the start": lambda: folder(a=b"First"),
            "changed in the middle": lambda: folder(b=b"other"),
            "changed at the end": lambda: folder(z=b"lasT"),
            "renamed": lambda: folder("c"),
            "reordered": lambda: folder(a=b"last", z=b"first"),
            "longer": lambda: folder(more=b""),
            "one file": lambda: folder() / "a",
        },
        lambda: Path(tempfile.mkdtemp()),
    ),
}


def all_ids() -> dict[str, str]:
    """Id of every value above, by its name."""
    ids = {}
    for name, case in CASES.items():
        for what, make in {"itself": case.make, "empty": case.empty, **case.others}.items():
            identity = artifacts.identify(make(), budget_s=None)
            assert identity.scope == "full", (name, what)
            ids[f"{name}: {what}"] = identity.id
    return ids


if __name__ == "__main__":
    json.dump(all_ids(), sys.stdout)
