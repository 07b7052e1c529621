"""`mlotel runs` and `mlotel show`: what they find in real spool files, as text and as JSON."""

import json
import time

import pytest

from mlotel import cli
from spool_recorder import NOON, RUN, Recorder, flights, lost_context

KILLED = "8c1f99" + "0" * 26


@pytest.fixture
def spool(tmp_path, monkeypatch):
    """A working folder with three processes' files: a run, a failed one of a chosen id, a killed one; and damage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / ".mlotel" / "spool"
    first, second, third = Recorder(**{"host.name": "box"}), Recorder(), Recorder()
    flights(first)
    first.write(folder / "box-1-20260105T120000-aaaaaa.001.jsonl")
    error = ("ValueError", "could not convert string to float: 'abc'\nmore")
    top = second.pipeline("churn", 100, 110, "nightly-07", error=error)
    second.component("train", 101, 109, top, "nightly-07", error=error)
    second.write(folder / "box-2-20260105T120140-bbbbbb.001.jsonl")
    lost = lost_context(0xAB << 96, 0x1)
    third.started("flight-delays", 200, lost, KILLED)
    third.component("ingest", 201, 203, lost, KILLED)
    third.write(folder / "box-3-20260105T120320-cccccc.001.jsonl")
    return folder


@pytest.fixture
def run(capsys):
    """Runs the command line; returns exit status, standard output, standard error."""

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return call


def ids(output):
    return [line.split()[0] for line in output.splitlines()]


def test_runs_are_listed_newest_first(spool, run):
    """Each run is a line: id, pipeline, when, took, status, steps, outputs."""
    status, out, err = run("runs")

    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert ids(out) == ["id", "8c1f99", "nightly-07", "8c1f2a"]
    assert lines[0].split() == ["id", "pipeline", "when", "took", "status", "steps", "outputs"]
    assert "▲ unfinished" in lines[1]
    assert "✗ error" in lines[2]
    assert lines[3].endswith("44.9 s  ✓ ok          12 ▲1  metrics.json")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "1"], ["8c1f99"]),
        (["--pipeline", "flight-delays"], ["8c1f99", "8c1f2a"]),
        (["--status", "error"], ["nightly-07"]),
        (["--status", "unfinished"], ["8c1f99"]),
        (["--pipeline", "flight-delays", "--status", "ok"], ["8c1f2a"]),
        (["--status", "ok", "--limit", "5"], ["8c1f2a"]),
        (["--since", "9999w"], ["8c1f99", "nightly-07", "8c1f2a"]),
    ],
)
def test_runs_can_be_chosen(options, expected, spool, run):
    """By pipeline, status and age, together; the limit counts what matches."""
    status, out, _ = run("runs", "-q", *options)

    assert status == 0
    assert ids(out) == expected


@pytest.mark.parametrize(
    "options", [["--pipeline", "churns"], ["--since", "1s"], ["--status", "ok", "--pipeline", "churn"]]
)
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_a_choice_without_runs_is_status_3(options, json_, spool, run):
    """Nothing that matches is nothing found, on standard error."""
    status, out, err = run("runs", *options, *json_)

    assert (status, out) == (3, "")
    assert "No run in .mlotel/spool matches. List all: mlotel runs" in err


def test_runs_as_json(spool, run):
    """One object a run, with the keys that the documentation names."""
    _, out, _ = run("runs", "--json")

    newest, failed, whole = json.loads(out)
    assert [one["id"] for one in (newest, failed, whole)] == [KILLED, "nightly-07", RUN]
    trace_ids = whole.pop("trace_ids")
    assert whole == {
        "id": RUN, "pipeline": "flight-delays", "status": "ok", "start": "2026-01-05T12:00:00.000000Z",
        "end": "2026-01-05T12:00:44.900000Z", "last_seen": None, "duration_s": 44.9,
        "steps": 12, "failed_steps": 0, "failed_checks": 1,
        "outputs": ["metrics.json"],
    }  # fmt: skip
    assert [len(trace_id) for trace_id in trace_ids] == [32]
    assert (failed["status"], failed["failed_steps"], newest["status"]) == ("error", 1, "unfinished")


def test_damage_is_said_and_costs_nothing_else(spool, run):
    """Torn lines are counted on standard error; quiet says nothing; standard output is the same."""
    _, whole, _ = run("runs")
    with (spool / "box-3-20260105T120320-cccccc.001.jsonl").open("a") as file:
        file.write('not json\n{"resourceSpans":[{"resou')

    _, out, err = run("runs")
    _, quiet_out, quiet_err = run("runs", "-q")

    assert out == whole
    assert err == "mlotel: 2 records in .mlotel/spool could not be read (torn, or not OTLP/JSON); the rest is shown.\n"
    assert quiet_err == ""
    assert quiet_out.splitlines() == whole.splitlines()[1:]


def test_a_file_copied_by_the_collector_counts_once(spool, run):
    """The same spans in a second file add no steps."""
    _, once, _ = run("runs", "--json")
    for file in list(spool.iterdir()):
        (spool / f"collector-{file.name}").write_bytes(file.read_bytes())

    assert run("runs", "--json")[1] == once


def test_asking_twice_gives_the_same_answer(spool, run):
    """Reading deletes and changes nothing."""
    before = {file: file.read_bytes() for file in spool.iterdir()}

    assert run("show", "8c1f2a") == run("show", "8c1f2a")
    assert {file: file.read_bytes() for file in spool.iterdir()} == before


def test_show_without_an_id_is_the_latest_run(spool, run):
    """`mlotel show` shows what happened last, and what to type for more."""
    status, out, _ = run("show")

    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("flight-delays")
    assert "▲ unfinished, 3.0 s so far" in lines[0]
    assert lines[-1] == "params, resource, artifact ids: mlotel show 8c1f99 --attrs"


@pytest.mark.parametrize("reference", ["nightly-07", "nightly", "n"])
def test_show_finds_a_run_by_its_id_or_the_beginning_of_it(reference, spool, run):
    """An id that a person chose is found like a random one; the error is told with its first line."""
    status, out, _ = run("show", reference)

    assert status == 0
    assert out.startswith("churn ")
    assert "✗ ValueError: could not convert string to float: 'abc' …" in out


def test_show_finds_a_run_by_its_trace(spool, run):
    """A trace id, in any case, leads to the run with all its traces."""
    other = Recorder()
    other.pipeline("flight-delays", 50, 60)  # another process of the same run, with a trace of its own
    other.write(spool / "box-4-20260105T120050-dddddd.001.jsonl")
    traces = json.loads(run("show", RUN, "--json")[1])["trace_ids"]
    assert len(traces) == 2

    for trace in traces:
        for reference in (trace, trace[:12].upper()):
            status, out, _ = run("show", reference, "--json")
            assert (status, json.loads(out)["trace_ids"]) == (0, traces)


def test_show_of_an_ambiguous_id_lists_the_runs(spool, run):
    """Several runs whose ids start alike are an error that names them."""
    status, out, err = run("show", "8c1f")

    assert (status, out) == (2, "")
    assert err.startswith("mlotel: 2 runs have an id that starts with '8c1f'; type more of it:\n")
    assert [line.split()[:2] for line in err.splitlines()[1:]] == [[KILLED, "flight-delays"], [RUN, "flight-delays"]]


def test_an_exact_id_wins_over_longer_ones(spool, run):
    """An id that is the beginning of others can still be shown."""
    recorder = Recorder()
    for number, run_id in enumerate(("v1", "v10", "v11")):
        recorder.pipeline(f"p-{run_id}", number, number + 1, run_id)
    recorder.write(spool / "box-5-20260105T120050-eeeeee.001.jsonl")

    assert run("show", "v1")[1].startswith("p-v1 ")
    assert run("show", "v")[0] == 2


@pytest.mark.parametrize("reference", ["ffffff", "nightly-08", "\x1b[31m", "特徴", '"', "-", "8c1f2a9\n"])
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_show_of_an_unknown_id_is_status_3(reference, json_, spool, run):
    """What is not there is said on standard error, with the way to what is."""
    status, out, err = run("show", *json_, "--", reference)

    assert (status, out) == (3, "")
    assert "List them: mlotel runs" in err
    assert "\x1b" not in err


def test_an_id_that_json_writes_with_escapes_is_found(spool, run):
    """Ids of any characters can be asked for."""
    recorder = Recorder()
    recorder.pipeline("odd", 0, 1, 'Läufe "<&>" \\ 7')
    recorder.write(spool / "box-5-20260105T120050-eeeeee.001.jsonl")

    assert run("show", 'Läufe "<')[1].startswith("odd ")


def test_show_attrs_has_all_that_was_recorded(spool, run):
    """Params, tags, resource, artifacts with their ids and who made them, here and in another run."""
    written_id = next(
        span["spanId"]
        for line in (spool / "box-1-20260105T120000-aaaaaa.001.jsonl").read_text().splitlines()
        for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        if span["name"] == "write delay-model"
    )
    trace_id = json.loads(run("show", RUN, "--json")[1])["trace_ids"][0]
    recorder = Recorder()
    top = recorder.pipeline("scoring", 300, 310, "scoring-1", **{"ml.param.threshold": 0.5, "ml.tag.team": "ops"})
    step = recorder.component("predict", 301, 309, top, "scoring-1", **{"ml.component.owner": "operations"})
    link = {"ml.link.type": "consumed", "ml.link.evidence": "embedded"}
    writer = lost_context(int(trace_id, 16), int(written_id, 16))
    recorder.artifact(
        "read", "model", 301, step, kind="model", run_id="scoring-1", links=[(writer, link)],
        **{"ml.artifact.id": "xxh3:" + "5b" * 16, "ml.artifact.uri": "file:///models/delay.joblib"},
    )  # fmt: skip
    recorder.write(spool / "box-6-20260105T120500-ffffff.001.jsonl")

    status, out, _ = run("show", "scoring-1", "--attrs")
    shown = json.loads(run("show", "scoring-1", "--json")[1])

    assert status == 0
    for expected in (
        "run id = scoring-1",
        "resource service.name = flights",
        "ml.param.threshold = 0.5",
        "ml.tag.team = ops",
        "ml.component.owner = operations",
        "read model: model, xxh3:" + "5b" * 16 + ", file:///models/delay.joblib",
        "made by train in run 8c1f2a (evidence: embedded)",
    ):
        assert expected in [line.lstrip("│├└─ ") for line in out.splitlines()]
    [artifact] = shown["nodes"][1]["inputs"]
    assert artifact["producers"] == [
        {
            "component": "train", "run_id": RUN, "trace_id": trace_id, "span_id": written_id,
            "link": "consumed", "evidence": "embedded",
        }
    ]  # fmt: skip


def test_show_as_json_has_every_documented_key(spool, run):
    """The object holds the whole run; keys are those of the documentation, in every node and artifact."""
    _, out, _ = run("show", RUN, "--json")

    shown = json.loads(out)
    assert set(shown) == {
        "id", "pipeline", "status", "start", "end", "last_seen", "duration_s", "trace_ids", "experiment", "params",
        "tags", "resource", "nodes", "events",
    }  # fmt: skip
    assert (shown["id"], shown["pipeline"], shown["status"]) == (RUN, "flight-delays", "ok")
    assert (shown["params"], shown["tags"]) == ({"rows": "all"}, {"team": "ops"})
    assert shown["resource"]["host.name"] == "box"
    assert [node["name"] for node in shown["nodes"]] == [
        "flight-delays", "ingest", "clean", "train", *["fold"] * 8, "evaluate",
    ]  # fmt: skip
    top, ingest, clean, train, fold = shown["nodes"][:5]
    assert [node["parent"] for node in (top, ingest, clean, train, fold)] == [
        None, top["span_id"], top["span_id"], top["span_id"], train["span_id"],
    ]  # fmt: skip
    assert set(top) == {
        "kind", "name", "trace_id", "span_id", "parent", "status", "start", "end", "last_seen", "duration_s", "error",
        "inputs", "outputs", "removed", "checks", "stale", "attributes",
    }  # fmt: skip
    assert clean["removed"] == {"cancelled": 8255, "missing": 1175, "outlier": 56}
    assert ingest["checks"] == [
        {
            "name": "wind_is_plausible", "stage": None, "status": "failed",
            "message": "the highest wind is 1,048 mph", "values": {},
        }
    ]  # fmt: skip
    [flights_] = ingest["outputs"]
    assert flights_ == {
        "name": "flights", "id": "xxh3:" + "3e" * 16, "type": "dataset", "role": "output", "uri": None,
        "rows": 336_776, "columns": 19, "size": None, "schema_hash": None, "scope": "full", "content_id": None,
        "producers": [],
    }  # fmt: skip
    assert clean["inputs"][0]["producers"][0]["component"] == "ingest"
    assert shown["nodes"][-1]["checks"][0]["values"] == {"mae": 18.25}


def test_show_as_json_of_failed_and_killed_runs(spool, run):
    """Errors have type and whole message; a node without an end says null; events are there."""
    failed = json.loads(run("show", "nightly-07", "--json")[1])
    killed = json.loads(run("show", KILLED, "--json")[1])

    assert failed["nodes"][1]["error"] == {
        "type": "ValueError",
        "message": "could not convert string to float: 'abc'\nmore",
    }
    assert (killed["status"], killed["nodes"][0]["end"], killed["nodes"][0]["status"]) == (
        "unfinished",
        None,
        "unfinished",
    )
    assert [(event["name"], event["time"]) for event in killed["events"]] == [
        ("ml.run.started", "2026-01-05T12:03:20.000000Z")
    ]


def test_numbers_that_json_does_not_know_are_text(spool, run):
    """NaN and infinities become words, so that every reader of JSON can read it."""
    recorder = Recorder()
    values = {"ml.param.nan": float("nan"), "ml.param.high": float("inf"), "ml.param.low": [float("-inf"), 1.0]}
    recorder.pipeline("odd", 400, 401, "odd", **values)
    recorder.write(spool / "box-5-20260105T120050-eeeeee.001.jsonl")

    def refuse(name):
        raise AssertionError(name)

    shown = json.loads(run("show", "odd", "--json")[1], parse_constant=refuse)

    assert shown["params"] == {"nan": "NaN", "high": "Infinity", "low": ["-Infinity", 1.0]}


def test_runs_of_many_processes_at_once_are_whole(spool, run):
    """Eight processes of one run, each with a file and a trace of its own, are one run with eight roots."""
    for rank in range(8):
        recorder = Recorder()
        top = recorder.pipeline("train-net", 500 + rank, 520, "shared", **{"ml.distributed.rank": rank})
        recorder.component("epoch", 501 + rank, 510, top, "shared")
        recorder.write(spool / f"node-{rank}-20260105T120820-{rank:06x}.001.jsonl")

    _, out, _ = run("show", "shared")
    [newest] = json.loads(run("runs", "--json", "--limit", "1")[1])

    assert "train-net ×8" in out
    assert (newest["id"], newest["steps"], len(newest["trace_ids"])) == ("shared", 8, 8)
    assert len(json.loads(run("show", "shared", "--json")[1])["nodes"]) == 16


def test_a_run_whose_parts_fill_several_files_is_whole(spool, run):
    """The start is in the first part, the end in the last; both are read although one is old."""
    recorder = Recorder()
    top = lost_context(0xCD, 0x7)
    recorder.started("long", 600, top, "long-1")
    recorder.component("first", 601, 602, top, "long-1")
    recorder.write(spool / "box-9-20260105T121000-999999.001.jsonl", changed=602)
    recorder.component("last", 90_000, 90_001, top, "long-1")
    recorder.write(spool / "box-9-20260105T121000-999999.002.jsonl", changed=90_002)

    [newest] = json.loads(run("runs", "--json", "--limit", "1")[1])
    _, out, _ = run("show")

    assert (newest["id"], newest["steps"], newest["start"]) == ("long-1", 2, "2026-01-05T12:10:00.000000Z")
    assert "first" in out
    assert "last" in out


def test_a_clock_that_was_ahead_hides_nothing(spool, run):
    """A run that claims to start in the future does not keep older files, with more of it, from being read."""
    ahead = time.time_ns() + 10 * 365 * 86_400 * 10**9
    for part in ("first", "last"):
        recorder = Recorder(ahead)
        top = recorder.pipeline(part, 0, 1, "future")
        recorder.component(part, 0, 1, top, "future")
        recorder.write(spool / f"{part}-5-20260105T120050-eeeeee.001.jsonl")
    assert ahead > NOON

    [newest] = json.loads(run("runs", "--json", "--limit", "1")[1])

    assert (newest["id"], newest["steps"]) == ("future", 2)


def test_many_runs_in_one_trace_are_all_shown(spool, run):
    """Runs of a service's one long trace are found one by one."""
    recorder = Recorder()
    request = recorder.span("POST /jobs", 700, 800)
    for number in range(30):
        top = recorder.pipeline("job", 700 + number, 701 + number, f"job-{number:02}", request)
        recorder.component("step", 700.2 + number, 700.8 + number, top, f"job-{number:02}")
    recorder.write(spool / "box-5-20260105T120050-eeeeee.001.jsonl")

    _, out, _ = run("show", "job-17", "--json")

    assert [node["name"] for node in json.loads(out)["nodes"]] == ["job", "step"]
    assert len(ids(run("runs", "-q", "--limit", "30", "--pipeline", "job")[1])) == 30
