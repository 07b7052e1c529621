"""Predict how late the flights of a month will arrive, with the saved model and the prepared file."""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from columns import CATEGORIES

import mlotel


def every_flight_has_a_prediction(predictions):
    return predictions["predicted_delay"].notna().all()


def predict(data, model, out, month):
    with mlotel.component("predict", type="predict", owner="operations", after=[every_flight_has_a_prediction]) as c:
        delay_model = joblib.load(model / "model.joblib")
        flights = pd.read_parquet(data / "features.parquet", filters=[("month", "==", month)])
        table = flights[["scheduled", "flight", *CATEGORIES]].assign(predicted_delay=delay_model.predict(flights))
        table.to_csv(out / "predictions.csv", index=False)
        return c.write(table, name="predictions", type="predictions")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(), help="folder of features.parquet (default: this one)")
    parser.add_argument("--model", type=Path, default=Path(), help="folder of model.joblib (default: this one)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for predictions.csv (default: this one)")
    parser.add_argument("--month", type=int, choices=range(1, 13), metavar="1..12", default=12, help="default: 12")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    mlotel.configure(service_name="flights-serve", instrument=("io",))
    with mlotel.pipeline("flights-serve", params={"month": args.month}):
        predictions = predict(args.data, args.model, args.out, args.month)
    print(f"Month {args.month}: {len(predictions):,} flights predicted, see {args.out / 'predictions.csv'}")


if __name__ == "__main__":
    main()
