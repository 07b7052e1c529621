"""The same columns as each library holds them."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

INTEGERS, FLOATS = [3, 1, 2, 2, 5], [3.0, None, 2.5, float("nan"), -0.0]
LABELS, FLAGS = ["AA", None, "DL", "AA", "ÄÖ"], [True, False, None, True, True]
TIMES = [datetime.datetime(2013, 1, day, 5, 30, 0, 250_000) for day in (1, 5, 3, 3)]


def integers():
    return {
        "list": INTEGERS,
        "tuple": tuple(INTEGERS),
        "numpy": np.array(INTEGERS),
        "numpy int8": np.array(INTEGERS, dtype=np.int8),
        "numpy big-endian": np.array(INTEGERS, dtype=">i4"),
        "numpy column": np.array(INTEGERS)[:, None],
        "numpy strided": np.repeat(INTEGERS, 2)[::2],
        "numpy objects": np.array(INTEGERS, dtype=object),
        "numpy masked": np.ma.masked_array([*INTEGERS, 99], mask=[0] * 5 + [1]),
        "pandas": pd.Series(INTEGERS),
        "pandas frame": pd.DataFrame({"x": INTEGERS}),
        "pandas Int64": pd.Series([*INTEGERS, None], dtype="Int64"),
        "pandas arrow": pd.Series([*INTEGERS, None], dtype="int64[pyarrow]"),
        "pandas index": pd.Index(INTEGERS),
        "polars": pl.Series(INTEGERS),
        "polars nulls": pl.Series([*INTEGERS, None]),
        "arrow": pa.array(INTEGERS),
        "arrow chunks": pa.chunked_array([INTEGERS[:2], [*INTEGERS[2:], None]]),
    }


def floats():
    return {
        "list": FLOATS,
        "numpy": np.array(FLOATS, dtype=float),
        "pandas": pd.Series(FLOATS),
        "pandas Float64": pd.Series(FLOATS, dtype="Float64"),
        "polars": pl.Series(FLOATS, strict=False),
        "arrow": pa.array(FLOATS),
        "arrow decimals": pa.array(FLOATS, from_pandas=True).cast(pa.decimal128(10, 2)),
    }


def labels():
    return {
        "list": LABELS,
        "numpy objects": np.array(LABELS, dtype=object),
        "pandas": pd.Series(LABELS),
        "pandas objects": pd.Series(LABELS, dtype=object),
        "pandas categories": pd.Series(LABELS, dtype="category"),
        "pandas arrow": pd.Series(LABELS, dtype=pd.ArrowDtype(pa.string())),
        "polars": pl.Series(LABELS),
        "polars categories": pl.Series(LABELS, dtype=pl.Categorical),
        "polars enum": pl.Series(LABELS, dtype=pl.Enum(["AA", "DL", "ÄÖ"])),
        "arrow": pa.array(LABELS),
        "arrow dictionary": pa.array(LABELS).dictionary_encode(),
        "arrow large": pa.array(LABELS, type=pa.large_string()),
    }


def flags():
    return {
        "list": FLAGS,
        "pandas boolean": pd.Series(FLAGS, dtype="boolean"),
        "pandas objects": pd.Series(FLAGS, dtype=object),
        "polars": pl.Series(FLAGS),
        "arrow": pa.array(FLAGS),
    }


def times():
    zone = datetime.timezone.utc
    return {
        "list": TIMES,
        "list with zone": [time.replace(tzinfo=zone) for time in TIMES],
        "list of Timestamps": list(pd.Series(TIMES)),
        "numpy": np.array(TIMES, dtype="M8[ms]"),
        "pandas": pd.Series(TIMES),
        "pandas with zone": pd.Series(TIMES).dt.tz_localize("UTC").dt.tz_convert("America/New_York"),
        "pandas ns": pd.Series(TIMES).astype("M8[ns]"),
        "polars": pl.Series([*TIMES, None]),
        "polars with zone": pl.Series(TIMES).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin"),
        "arrow": pa.array([*TIMES, None]),
        "arrow with zone": pa.array(TIMES, type=pa.timestamp("us", tz="Asia/Tokyo")),
    }
