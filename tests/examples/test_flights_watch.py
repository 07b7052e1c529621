"""Nine months of flights, watched week by week: what is printed, what is saved and what is exported are one."""

import json
import re
from collections import Counter

import pytest
from flights_programs import move, needs_data, run_program
from spool_reader import attributes, read_spool

pytestmark = needs_data

ROWS = "100000"  # of 336,776; a week has 1,700 of them
OF_A_FEATURE = {
    "ml.drift.evidence": "evidence",
    "ml.drift.level": "level",
    "ml.drift.detectable": "detectable",
    "ml.feature.missing": "missing",
    "ml.feature.unseen": "unseen",
    "ml.feature.out_of_range": "out_of_range",
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """The process that watched from April on a model of January to March, and the folder of all."""
    folder = tmp_path_factory.mktemp("watched")
    run_program("prepare", folder, "--rows", ROWS)
    move("features.parquet", folder / "prepare", folder / "train")
    run_program("train", folder, "--test-month", "4", OMP_WAIT_POLICY="passive")
    for file in ("features.parquet", "model.joblib", "reference.json"):
        move(file, folder / "train", folder / "watch")
    return run_program("watch", folder, "--month", "4", "--ks", OMP_WAIT_POLICY="passive"), folder


@pytest.fixture(scope="module")
def weeks(watched):
    """The report of each week, as it was saved."""
    return [json.loads(line) for line in (watched[1] / "watch" / "weeks.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def exported(watched):
    """Points of drift and features of each export, ``{(metric, attributes): value}``, in the order of time."""
    found = []
    for file in sorted((watched[1] / "watch" / ".mlotel" / "spool").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            points = {}
            for group in json.loads(line).get("resourceMetrics", []):
                for metric in (metric for scope in group["scopeMetrics"] for metric in scope["metrics"]):
                    if not metric["name"].startswith(("ml.drift.", "ml.feature.")):
                        continue
                    [kind] = {"gauge", "sum"} & metric.keys()
                    for point in metric[kind]["dataPoints"]:
                        value = int(point["asInt"]) if "asInt" in point else point["asDouble"]
                        about = {key: text for key, text in attributes(point).items() if key != "ml.feature.kind"}
                        points[metric["name"], frozenset(about.items())] = value
            if points:
                found.append(points)
    return found


def test_every_week_is_exported_once(weeks, exported):
    """Thirty-nine whole weeks from the first of April, one export each, with all rows that the file has."""
    assert [weeks[0]["week"], weeks[-1]["week"], len(weeks)] == ["2013-04-01", "2013-12-23", 39]
    assert len(exported) == 39
    assert all(week["features"]["hour"]["rows"] > 1000 for week in weeks)


def test_metrics_agree_with_the_report_number_for_number(weeks, exported):
    """Each figure of each feature is exported, week by week, with exactly the value in the report; nothing else is."""
    rows, raised = Counter(), Counter()
    for week, points in zip(weeks, exported, strict=True):
        wanted = {}
        for name, found in week["features"].items():
            about = {"ml.model.name": "flight-delay", "ml.feature.name": name}

            def add(metric, value, about=about, wanted=wanted, **more):
                if value is not None:
                    key = {**about, **{word.replace("__", "."): text for word, text in more.items()}}
                    wanted[metric, frozenset(key.items())] = value

            for metric, field in OF_A_FEATURE.items():
                add(metric, found[field])
            for statistic in ("psi", "ks"):
                add("ml.drift.score", found["scores"][statistic], ml__drift__statistic=statistic)
                add("ml.drift.noise", found["noise"][statistic], ml__drift__statistic=statistic)
            for statistic in ("mean", "median", "std", "skewness", "kurtosis"):
                add("ml.feature.statistic", found["moments"].get(statistic), ml__statistic__name=statistic)
            raised[name] += found["raised"]
            add("ml.drift.detections", raised[name])
            rows[name] += found["rows"]
        counted = Counter()
        for (metric, about), value in points.items():
            if metric == "ml.feature.values":
                counted[dict(about)["ml.feature.name"]] += value
        left_out = ("ml.feature.values", "ml.feature.reference.proportion", "ml.feature.reference.rows", "ml.drift.age")
        said = {key: value for key, value in points.items() if key[0] not in left_out}

        assert said == wanted
        assert counted == rows
    assert len(wanted) > 200


def test_alarms_are_events_linked_to_the_training(watched, weeks):
    """Each level that rose and each alarm that ended is one event; its span is linked to the write of the reference."""
    spool, training = (read_spool(watched[1] / name / ".mlotel" / "spool") for name in ("watch", "train"))
    told = Counter(
        (event["eventName"], attributes(event)["ml.feature.name"], attributes(event)["ml.drift.level"])
        for event in spool.events
        if event["eventName"].startswith("ml.drift.")
    )
    wanted, before = Counter(), dict.fromkeys(weeks[0]["features"], 0)
    for week in weeks:
        for name, found in week["features"].items():
            wanted["ml.drift.detected", name, found["level"]] += found["level"] > before[name]
            wanted["ml.drift.cleared", name, 0] += found["cleared"]
            before[name] = found["level"]
    [written] = [span for span in training.spans if span.name == "write reference"]

    assert told == +wanted
    assert told
    for span in spool.spans:
        if span.name == "drift flight-delay":
            assert [(link["trace"], link["span"]) for link in span.links] == [(written.trace_id, written.span_id)]


def test_what_is_printed_is_what_was_found(watched, weeks):
    """A line for each level that rose, with the week it began in; at last the table; the weather raises nothing."""
    lines = watched[0].stdout.splitlines()
    said = [re.match(r"(\S+)  (\w+): level (\d) since the week of (\S+), (?:more|fewer) ", line) for line in lines]
    said = [found.groups() for found in said if found]
    dates, before, wanted = [], dict.fromkeys(weeks[0]["features"], 0), []
    for week in weeks:
        dates.append(week["week"])
        for name, found in week["features"].items():
            if found["level"] > before[name]:
                wanted.append((week["week"], name, str(found["level"]), dates[-found["onset"]]))
            before[name] = found["level"]

    assert said == wanted
    assert {"plane_age", "scheduled_minutes"} <= {name for _, name, _, _ in said}
    assert not {"humid", "wind_speed", "precip", "visib"} & {name for _, name, _, _ in said}
    assert any(line.startswith("check 39: ") for line in lines)


def test_a_test_a_week_alarms_in_every_week(watched):
    """The Kolmogorov-Smirnov test alarms in all weeks, corrected for the number of columns or not."""
    assert watched[0].stdout.splitlines()[-1] == (
        "A KS test of each week alarms in 39 of 39, with Bonferroni's correction in 39"
    )


def test_the_reference_is_tied_to_its_model(watched):
    """The file beside the model has its id, and predictions of flights that the model had not learned from."""
    reference = json.loads((watched[1] / "watch" / "reference.json").read_text("utf-8"))
    training = read_spool(watched[1] / "train" / ".mlotel" / "spool")
    [model] = [span for span in training.spans if span.name == "write model.joblib"]

    assert reference["model_id"] == model.attributes["ml.artifact.id"]
    assert (watched[1] / "watch" / "reference.json").stat().st_size < 150_000
