"""Train a model of how late a flight will arrive on the first months of the prepared file, and test it on the next."""

import argparse
import calendar
import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from columns import CATEGORIES, NUMBERS, TARGET, WATCHED
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import mlotel


def beats_the_baseline(metrics):
    return mlotel.Check(metrics["mae"] < metrics["baseline_mae"], **metrics)


def split(data, test_month):
    with mlotel.component("split", type="transform", owner="data-science") as c:
        c.param(test_month=test_month)
        table = pd.read_parquet(data / "features.parquet")
        earlier, tested = table["month"] < test_month, table["month"] == test_month
        train, test = (table[rows].reset_index(drop=True) for rows in (earlier, tested))
        return c.write(train, name="train"), c.write(test, name="test")


@mlotel.component("train", type="train", owner="data-science")
def delay_model(train, learning_rate=0.05, max_iter=500, seed=0):
    """Fit decision trees that minimize the absolute error."""
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
        c.write(out / "metrics.json", type="metrics")
        return c.write(metrics, name="metrics", type="metrics")


def profile(model, train, out):
    """Save what the training months looked like, and what such a model says of flights that it has not learned from."""
    with mlotel.component("profile", type="evaluate", owner="data-science") as c:
        train = c.read(train, name="train")
        unseen = cross_val_predict(c.read(model, name="delay_model"), train, train[TARGET], cv=KFold(2))
        about = {"predictions": unseen, "labels": train[TARGET], "times": train["scheduled"], "metrics": ["mae"]}
        reference = mlotel.Reference.fit(train[WATCHED], **about, model=out / "model.joblib")
        c.write(reference, name="reference")
        reference.save(out / "reference.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(), help="folder of features.parquet (default: this one)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for model and metrics (default: this one)")
    tested = {"type": int, "choices": range(2, 13), "metavar": "2..12", "default": 11}
    parser.add_argument("--test-month", **tested, help="train on the months before it (default: 11)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    mlotel.configure(service_name="flights-train", instrument=("io",))
    with mlotel.pipeline("flights-train"):
        train, test = split(args.data, args.test_month)
        model = delay_model(train)
        metrics = evaluate(model, train, test, args.out)
        profile(model, train, args.out)
    month = calendar.month_name[args.test_month]
    print(f"{month}: off by {metrics['mae']:.1f} minutes on average, a constant by {metrics['baseline_mae']:.1f}")


if __name__ == "__main__":
    main()
