"""Watch the weeks after training: predict, compare each week with the months trained on, say what has changed."""

import argparse
import json
import math
from pathlib import Path

import joblib
import pandas as pd
from columns import CATEGORIES, TARGET, WATCHED
from scipy import stats

import mlotel

LEVEL = 0.05  # of the test that people would run on every week


def months(data, first):
    """The flights before a month, and those from then on with the first day of their week."""
    table = pd.read_parquet(data / "features.parquet")
    local = table["scheduled"].dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()
    later = table["month"] >= first
    start = local[later].min()
    week = start + (local - start) // pd.Timedelta("7D") * pd.Timedelta("7D")
    whole = later & (week + pd.Timedelta("6D") <= local.max())  # days left over are no week yet
    return table[~later], table[whole].assign(week=week[whole].dt.date)


def ks_alarms(reference, week):
    """Numbers of which the week differs by a Kolmogorov-Smirnov test, at the level and at the level shared by all."""
    names = [*(name for name in WATCHED if name not in CATEGORIES), TARGET]
    p_values = [stats.ks_2samp(reference[name], week[name], method="asymp", nan_policy="omit").pvalue for name in names]
    return sum(p < LEVEL for p in p_values), sum(p < LEVEL / len(names) for p in p_values)


def say(report, weeks):
    """Print what began and what ended in the last week, and since when."""
    for name in report.risen:
        feature = report[name]
        print(f"{weeks[-1]}  {name}: level {feature.level} since the week of {weeks[-feature.onset]}, {feature.change}")
    for name in report.cleared:
        print(f"{weeks[-1]}  {name}: as before")


def watch(telemetry, data, model, out, first, compare):
    with mlotel.component("watch", type="monitor", owner="operations") as c:
        delay_model = joblib.load(model / "model.joblib")
        reference = c.read(mlotel.Reference.load(model / "reference.json"), name="reference")
        before, after = months(data, first)
        detector = mlotel.drift.Detector(reference, model=model / "model.joblib")
        weeks, tested = [], []
        with (
            mlotel.observe(detector, "flight-delay", every_s=math.inf),  # checks are made here, one a week
            (out / "weeks.jsonl").open("w") as file,
        ):
            for week, flights in after.groupby("week"):
                detector.update(flights[WATCHED], predictions=delay_model.predict(flights), labels=flights[TARGET])
                report = detector.check()
                telemetry.flush()  # a point a week of every metric
                weeks.append(week)
                say(report, weeks)
                file.write(json.dumps({"week": str(week), **report.to_dict()}) + "\n")
                if compare:
                    tested.append(ks_alarms(before, flights))
        c.write(out / "weeks.jsonl", type="metrics")
    return report, tested


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(), help="folder of features.parquet (default: this one)")
    parser.add_argument("--model", type=Path, default=Path(), help="folder of model.joblib and reference.json")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for weeks.jsonl (default: this one)")
    first = {"type": int, "choices": range(2, 13), "metavar": "2..12", "default": 11}
    parser.add_argument("--month", **first, help="the first to watch: the one after training (default: 11)")
    parser.add_argument("--ks", action="store_true", help="count how often a test a week would have alarmed")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    telemetry = mlotel.configure(service_name="flights-watch", instrument=("io",))
    with mlotel.pipeline("flights-watch", params={"month": args.month}):
        report, tested = watch(telemetry, args.data, args.model, args.out, args.month, args.ks)
    print(report)
    if args.ks:
        plain, corrected = (sum(found > 0 for found in weeks) for weeks in zip(*tested, strict=True))
        print(f"A KS test of each week alarms in {plain} of {len(tested)}, with Bonferroni's correction in {corrected}")


if __name__ == "__main__":
    main()
