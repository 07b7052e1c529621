"""The flights example, run as a user runs it: its spools are read with plain json, its rows are counted with pandas."""

import json
import re
import runpy
from collections import Counter

import pytest
from flights_programs import EXAMPLE, PROGRAMS, ROWS, data_folder, needs_data, run_all
from spool_reader import Spool, attributes

pytestmark = needs_data

SPANS = {
    "prepare": """
pipeline flights-prepare
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
    read clean-flights
    write features.parquet
""",
    "train": """
pipeline flights-train
  component split
    read features.parquet
    write train
    write test
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
  component profile
    read train
    read delay_model
    write reference
""",
    "serve": """
pipeline flights-serve
  component predict
    read model.joblib
    read features.parquet
    write predictions.csv
    write predictions
    check every_flight_has_a_prediction
""",
}

LINKS = {
    ("join", "flights"): ("ingest", "flights"),
    ("join", "weather"): ("ingest", "weather"),
    ("join", "planes"): ("ingest", "planes"),
    ("clean", "joined"): ("join", "joined"),
    ("featurize", "clean-flights"): ("clean", "clean-flights"),
    ("train", "train"): ("split", "train"),
    ("evaluate", "train"): ("split", "train"),
    ("evaluate", "test"): ("split", "test"),
    ("evaluate", "delay_model"): ("train", "delay_model"),
    ("profile", "train"): ("split", "train"),
    ("profile", "delay_model"): ("evaluate", "model.joblib"),  # who had it last: the same content, as a file
}
"""Within one process; those between processes are in test_flights_lineage.py."""


@pytest.fixture(scope="module")
def everything(spools) -> Spool:
    """The three spools as one."""
    return Spool(
        spans=[span for spool in spools.values() for span in spool.spans],
        events=[event for spool in spools.values() for event in spool.events],
    )


@pytest.fixture(scope="module")
def expected() -> dict[str, int]:
    """Rows of each table and removed for each reason, from the CSV files alone."""
    pandas = pytest.importorskip("pandas")
    everything = pandas.read_csv(data_folder() / "flights.csv.zip")
    flights = everything.loc[[index * len(everything) // ROWS for index in range(ROWS)]]
    departed = flights[flights["dep_time"] == flights["dep_time"]]
    arrived = departed[departed["arr_delay"] == departed["arr_delay"]]
    kept = arrived[arrived["arr_delay"] <= 480]
    months = kept["month"].value_counts()
    return {
        "flights": ROWS,
        "weather": len(pandas.read_csv(data_folder() / "weather.csv")),
        "planes": len(pandas.read_csv(data_folder() / "planes.csv")),
        "cancelled": len(flights) - len(departed),
        "missing": len(departed) - len(arrived),
        "outlier": len(arrived) - len(kept),
        "kept": len(kept),
        "train": int(months[months.index <= 10].sum()),
        "test": int(months[11]),
        "later": int(months[12]),
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_span_is_there_in_its_place(spools, program):
    """Each component, artifact and check is one span, under its component, in the order of the code."""
    spool = spools[program]
    [run] = [span for span in spool.spans if span.parent_id == ""]
    lines = [run.name]
    for component in spool.under(run):
        lines.append(f"  {component.name}")
        lines.extend(f"    {span.name}" for span in spool.under(component))

    assert lines == SPANS[program].strip().splitlines()
    assert len(spool.spans) == len(lines)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_is_one_trace_of_one_run(spools, program):
    """All spans share a trace, a run id and the resource of the service; children lie inside their parents."""
    spool = spools[program]
    by_id = {span.span_id: span for span in spool.spans}
    [run] = [span for span in spool.spans if span.parent_id == ""]

    assert {span.trace_id for span in spool.spans} == {run.trace_id}
    assert {span.attributes["ml.run.id"] for span in spool.spans} == {run.attributes["ml.run.id"]}
    assert re.fullmatch("[0-9a-f]{32}", run.attributes["ml.run.id"])
    assert {span.resource["service.name"] for span in spool.spans} == {f"flights-{program}"}
    for span in spool.spans:
        if span is not run:
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns
            assert span.end_ns <= parent.end_ns + 10_000_000  # the wall clock may be slewed meanwhile


def test_the_programs_are_three_runs(everything):
    """Nothing joins the programs but links: three traces, three run ids, three processes."""
    assert len({span.trace_id for span in everything.spans}) == 3
    assert len({span.attributes["ml.run.id"] for span in everything.spans}) == 3
    assert len({span.resource["process.pid"] for span in everything.spans}) == 3


@pytest.mark.parametrize(
    ("program", "params"), [("prepare", {"ml.param.rows": ROWS}), ("train", {}), ("serve", {"ml.param.month": 12})]
)
def test_the_pipelines_say_how_they_were_run(spools, program, params):
    """The span of a run carries the name of the pipeline, its parameters and how it ended."""
    [run] = [span for span in spools[program].spans if span.parent_id == ""]

    assert run.attributes["ml.pipeline.name"] == f"flights-{program}"
    assert {key: value for key, value in run.attributes.items() if key.startswith("ml.param.")} == params
    assert run.attributes["ml.run.status"] == "ok"


@pytest.mark.parametrize(
    ("program", "name", "kind", "owner", "params"),
    [
        ("prepare", "ingest", "ingest", "data", {}),
        ("prepare", "join", "transform", "data", {}),
        ("prepare", "clean", "transform", "data", {"ml.param.max_delay": 480}),
        ("prepare", "featurize", "transform", "data-science", {"ml.param.window": "3h"}),
        ("train", "split", "transform", "data-science", {"ml.param.test_month": 11}),
        (
            "train",
            "train",
            "train",
            "data-science",
            {"ml.param.learning_rate": 0.05, "ml.param.max_iter": 500, "ml.param.seed": 0},
        ),
        ("train", "evaluate", "evaluate", "data-science", {}),
        ("train", "profile", "evaluate", "data-science", {}),
        ("serve", "predict", "predict", "operations", {}),
    ],
)
def test_components_say_what_they_are(spools, program, name, kind, owner, params):
    """A component has its type, owner and params, the defaults of a decorated function included, and what it used."""
    found = spools[program].component(name).attributes

    assert found["ml.component.name"] == name
    assert found["ml.component.type"] == kind
    assert found["ml.component.owner"] == owner
    assert {key: value for key, value in found.items() if key.startswith("ml.param.")} == params
    assert 0 < found["ml.component.cpu.time"] < 300


def test_docstrings_become_descriptions(spools):
    """The first line of a decorated function's docstring describes the component."""
    assert spools["prepare"].component("join").attributes["ml.component.description"].startswith("Give each flight")


@pytest.mark.parametrize(
    ("program", "component", "artifact", "rows", "columns"),
    [
        ("prepare", "ingest", "read weather.csv", "weather", 15),
        ("prepare", "ingest", "read planes.csv", "planes", 9),
        ("prepare", "ingest", "write flights", "flights", 19),
        ("prepare", "ingest", "write weather", "weather", 15),
        ("prepare", "ingest", "write planes", "planes", 9),
        ("prepare", "join", "read flights", "flights", 19),
        ("prepare", "join", "write joined", "flights", 25),
        ("prepare", "clean", "read joined", "flights", 25),
        ("prepare", "clean", "write clean-flights", "kept", 25),
        ("prepare", "featurize", "read clean-flights", "kept", 25),
        ("prepare", "featurize", "write features.parquet", "kept", 18),
        ("train", "split", "read features.parquet", "kept", 18),
        ("train", "split", "write train", "train", 18),
        ("train", "split", "write test", "test", 18),
        ("train", "evaluate", "read test", "test", 18),
        ("serve", "predict", "write predictions.csv", "later", 6),
        ("serve", "predict", "write predictions", "later", 6),
    ],
)
def test_tables_have_the_rows_that_pandas_counts(spools, expected, program, component, artifact, rows, columns):
    """Rows and columns on a span are those of the table, counted from the CSV files without the example's code."""
    found = spools[program].artifact(component, artifact).attributes

    assert (found["ml.artifact.row.count"], found["ml.artifact.column.count"]) == (expected[rows], columns)
    assert found["ml.artifact.digest.scope"] == "full"
    assert re.fullmatch("xxh3:[0-9a-f]{32}", found["ml.artifact.id"])
    assert found["ml.artifact.role"] == ("input" if artifact.startswith("read ") else "output")
    assert found["ml.component.name"] == component


def test_artifacts_have_the_types_that_were_given_or_inferred(everything):
    """Tables are datasets, in memory and in files, the estimator is a model, and types that the code names are kept."""
    spans = [span for span in everything.spans if span.name.startswith(("read ", "write "))]
    types = {(span.name, span.attributes["ml.artifact.type"]) for span in spans}

    assert types >= {
        ("write flights", "dataset"),
        ("write features.parquet", "dataset"),
        ("read features.parquet", "dataset"),
        ("write delay_model", "model"),
        ("write model.joblib", "model"),
        ("read model.joblib", "model"),
        ("write metrics.json", "metrics"),
        ("write metrics", "metrics"),
        ("write predictions", "predictions"),
    }


@pytest.mark.parametrize(
    ("program", "span", "written", "now"),
    [
        ("prepare", "write features.parquet", "prepare/made", "serve/data"),
        ("train", "read features.parquet", "train/received", "serve/data"),
        ("train", "write model.joblib", "train/made", "serve/model"),
        ("train", "write metrics.json", "train/made", "train/made"),
        ("serve", "read model.joblib", "serve/model", "serve/model"),
        ("serve", "read features.parquet", "serve/data", "serve/data"),
        ("serve", "write predictions.csv", "serve/made", "serve/made"),
    ],
)
def test_files_are_known_by_place_and_size(spools, finished, program, span, written, now):
    """A file is named by the URI that it had then, with the bytes that it has on disk, wherever it was moved since."""
    [found] = [other.attributes for other in spools[program].spans if other.name == span]
    name = span.partition(" ")[2]

    assert found["ml.artifact.uri"].startswith("file://")
    assert found["ml.artifact.uri"].endswith(f"/{written}/{name}")
    assert found["ml.artifact.size"] == (finished[1] / now / name).stat().st_size


@pytest.mark.parametrize(
    ("program", "file", "value"),
    [("train", "model.joblib", "delay_model"), ("serve", "predictions.csv", "predictions")],
)
def test_a_written_file_names_the_content_that_it_holds(spools, program, file, value):
    """The span of a file carries the id of the model or table in it, which is that of the value in memory."""
    [written] = [span.attributes for span in spools[program].spans if span.name == f"write {file}"]
    [held] = [span.attributes for span in spools[program].spans if span.name == f"write {value}"]

    assert written["ml.artifact.content.id"] == held["ml.artifact.id"]
    assert written["ml.artifact.id"] != held["ml.artifact.id"]


def test_reads_within_a_program_are_linked_to_the_writes_that_made_them(spools):
    """Every read of something that the same run made has one link, to that very write; source files have none."""
    found = {}
    for spool in spools.values():
        for read in (span for span in spool.spans if span.name.startswith("read ")):
            component, artifact = read.attributes["ml.component.name"], read.name.removeprefix("read ")
            if component == "ingest":
                assert read.links == []
            if component == "ingest" or (component, artifact) not in LINKS:
                continue
            [link] = read.links
            [write] = [span for span in spool.spans if span.span_id == link["span"]]
            assert write.name.startswith("write ")
            assert link["trace"] == write.trace_id
            assert link["ml.link.type"] == "consumed"
            assert link["ml.link.evidence"] == "process"
            made = write.attributes["ml.artifact.id"], write.attributes.get("ml.artifact.content.id")
            assert link["ml.artifact.id"] == read.attributes["ml.artifact.id"]
            assert link["ml.artifact.id"] in made
            assert (
                read.attributes["ml.artifact.producer"]
                == f"{write.attributes['ml.component.name']}@{write.attributes['ml.run.id']}"
            )
            found[component, artifact] = write.attributes["ml.component.name"], write.name.removeprefix("write ")

    assert found == LINKS


def test_removed_rows_add_up(spools, expected):
    """What cleaning removed, by reason, is what the CSV files say, and rows in less rows removed are rows out."""
    spool = spools["prepare"]
    found = spool.component("clean").attributes
    removed = {reason: found[f"ml.removal.rows.{reason}"] for reason in ("cancelled", "missing", "outlier")}

    assert removed == {reason: expected[reason] for reason in removed}
    assert all(removed.values())
    rows_in = spool.artifact("clean", "read joined").attributes["ml.artifact.row.count"]
    rows_out = spool.artifact("clean", "write clean-flights").attributes["ml.artifact.row.count"]
    assert rows_in - sum(removed.values()) == rows_out == expected["kept"]


def test_checks_find_the_one_known_fault_of_the_data(spools, everything):
    """All checks pass but one: in one hour of the weather the wind is 1,048 mph, which the check reports."""
    checks = {s.attributes["ml.check.name"]: s for s in everything.spans if s.name.startswith("check ")}
    results = [event for event in everything.events if event.get("eventName") == "ml.check.result"]

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
    assert spools["prepare"].count("ml.check.failures", ml__check__name="wind_is_plausible") == 1
    assert [name for spool in spools.values() for name, _ in spool.points].count("ml.check.failures") == 1


def test_the_metrics_file_is_what_the_check_saw(spools, finished):
    """The model beats the constant, with the same numbers in the file and in the record of the check."""
    metrics = json.loads((finished[1] / "train" / "made" / "metrics.json").read_text(encoding="utf-8"))
    [check] = [span for span in spools["train"].spans if span.name == "check beats_the_baseline"]

    assert metrics["mae"] < metrics["baseline_mae"]
    assert {key: check.attributes[f"ml.check.value.{key}"] for key in metrics} == metrics


def test_predictions_are_saved_for_every_flight_of_december(finished, expected):
    """The file has one prediction for each flight of December that was kept."""
    lines = (finished[1] / "serve" / "made" / "predictions.csv").read_text(encoding="utf-8").splitlines()

    assert lines[0] == "scheduled,flight,carrier,origin,dest,predicted_delay"
    assert len(lines) - 1 == expected["later"]
    assert all(line.startswith(("2013-12-", "2014-01-01")) for line in lines[1:])


@pytest.mark.parametrize(("program", "checks"), [("prepare", 3), ("train", 1), ("serve", 1)])
def test_the_run_is_announced_and_nothing_fails(spools, program, checks):
    """One event announces the run, in the span of the pipeline, and there is no exception."""
    spool = spools[program]
    [run] = [span for span in spool.spans if span.parent_id == ""]
    counts = Counter(event.get("eventName") for event in spool.events)
    [started] = [event for event in spool.events if event.get("eventName") == "ml.run.started"]

    assert counts == {"ml.run.started": 1, "ml.check.result": checks}
    assert started["spanId"] == run.span_id
    assert attributes(started)["ml.run.id"] == run.attributes["ml.run.id"]


def test_metrics_count_the_runs(spools, expected):
    """Pipelines, components, rows in and out and rows removed are counted once each."""
    for program, components in (("prepare", 4), ("train", 4), ("serve", 1)):
        spool = spools[program]
        assert spool.count("ml.pipeline.duration", ml__pipeline__name=f"flights-{program}") == 1
        assert len([name for name, _ in spool.points if name == "ml.component.duration"]) == components
    assert spools["train"].count("ml.component.duration", ml__component__name="train", ml__component__type="train") == 1
    prepare = spools["prepare"]
    for reason in ("cancelled", "missing", "outlier"):
        removed = prepare.count("ml.data.rows.removed", ml__component__name="clean", ml__removal__reason=reason)
        assert removed == expected[reason]
    rows = {
        role: prepare.count("ml.data.rows", ml__component__name="clean", ml__artifact__role=role)
        for role in ("input", "output")
    }
    assert rows == {"input": ROWS, "output": expected["kept"]}


def test_without_telemetry_the_programs_are_the_same(finished, tmp_path):
    """With MLOTEL_DISABLED=true the example prints and saves the same and leaves no record.

    Only the prepared file differs: by the note in its metadata that says who made it.
    """
    parquet = pytest.importorskip("pyarrow.parquet")
    processes, folder, _ = finished
    silent = run_all(tmp_path, MLOTEL_DISABLED="true")

    for program in PROGRAMS:
        assert silent[program].stderr == processes[program].stderr
        said = processes[program].stderr.splitlines()  # the reference says what it cannot see, whoever listens
        assert [line.partition(": ")[0] for line in said] == ["Reference"] * (program == "train")
        assert silent[program].stdout == processes[program].stdout
        assert not (tmp_path / program / ".mlotel").exists()
    assert not list((tmp_path / "home").rglob("*"))
    for file in ("train/made/metrics.json", "serve/model/model.joblib", "serve/made/predictions.csv"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
    plain, stamped = (parquet.ParquetFile(place / "serve/data/features.parquet") for place in (tmp_path, folder))
    assert plain.read().replace_schema_metadata().equals(stamped.read().replace_schema_metadata())
    assert plain.schema_arrow.remove_metadata().equals(stamped.schema_arrow.remove_metadata(), check_metadata=True)
    assert {**plain.metadata.metadata, b"mlotel": stamped.metadata.metadata[b"mlotel"]} == stamped.metadata.metadata


def test_features_know_nothing_of_the_hour_before_departure(monkeypatch, tmp_path):
    """Whatever happens to flights that leave after a moment changes no feature of flights predicted before it."""
    pandas = pytest.importorskip("pandas")
    monkeypatch.syspath_prepend(EXAMPLE)
    example = runpy.run_path(str(EXAMPLE / "prepare.py"), run_name="prepare")
    tables = [
        pandas.read_csv(data_folder() / name, parse_dates=dates)
        for name, dates in (("flights.csv.zip", ["time_hour"]), ("weather.csv", ["time_hour"]), ("planes.csv", None))
    ]
    flights = example["clean"](example["joined"](tables[0].iloc[:30_000], *tables[1:]))
    moment = pandas.Timestamp("2013-01-14T20:00:00Z")
    left = flights["time_hour"] + pandas.to_timedelta(flights["minute"] + flights["dep_delay"], "min")
    changed = flights.copy()
    changed.loc[left > moment, ["dep_delay", "arr_delay"]] += 1000

    before, after = (
        example["featurize"](table, tmp_path).set_index(["scheduled", "carrier", "flight"]).sort_index()
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


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_are_short(program):
    """Each program stays under 100 lines, so that it can be read at one sitting."""
    assert len((EXAMPLE / f"{program}.py").read_text(encoding="utf-8").splitlines()) < 100
