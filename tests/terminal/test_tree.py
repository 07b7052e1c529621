"""Records become runs: by run id, nested by parents, whatever is missing."""

import random
import time

import pytest

from mlotel.store.otlp import records
from mlotel.terminal.nodes import Group, folded, walk
from mlotel.terminal.summary import Summaries
from mlotel.terminal.tree import build_runs
from mlotel.types import SpanRecord
from spool_recorder import NOON, RUN, Recorder, flights, lost_context, outline

TRACE = "ab" * 16


def recorded(*recorders):
    """What recorders recorded, as records."""
    return [record for recorder in recorders for request in recorder.requests() for record in records(request)]


def summed(found):
    """The same records through the list of runs: it must tell the same story."""
    summaries = Summaries()
    summaries.add(found)
    return summaries.newest_first()


def only_run(found):
    [run] = build_runs(found)
    [summary] = summed(found)
    assert (summary.id, summary.name, summary.status) == (run.id, run.name, run.status)
    assert (summary.start_ns, summary.trace_ids) == (run.start_ns, set(run.trace_ids))
    return run


def component(number, parent, start=0, **attributes):
    """A component span by hand, for shapes that no SDK would record."""
    parent_id = None if parent is None else f"{parent:016x}"
    values = {"ml.component.name": f"c{number}", "ml.run.id": RUN} | attributes
    return SpanRecord(TRACE, f"{number:016x}", parent_id, f"component c{number}", start, start + 10, values)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_is_a_tree_of_its_components_in_any_order_of_records(seed):
    """Components hang below their parents in the order they started; reads, writes, checks and removals are on them."""
    recorder = Recorder(**{"vcs.ref.head.revision": "9f2c1e7"})
    flights(recorder)
    found = recorded(recorder)
    random.Random(seed).shuffle(found)

    run = only_run([*found, *found])

    assert (run.id, run.name, run.status, run.duration_ns) == (RUN, "flight-delays", "ok", 44_900_000_000)
    assert outline(run.roots) == [("flight-delays", ["ingest", "clean", ("train", ["fold"] * 8), "evaluate"])]
    assert run.resource["vcs.ref.head.revision"] == "9f2c1e7"
    ingest, clean, train, evaluate = run.roots[0].children
    assert [(a.name, a.type, a.rows, a.size) for a in ingest.inputs] == [("flights.csv.zip", "file", None, 7_400_000)]
    assert [(a.name, a.rows, a.columns) for a in ingest.outputs] == [("flights", 336_776, 19)]
    assert [(c.name, c.status, c.message) for c in ingest.failed_checks] == [
        ("wind_is_plausible", "failed", "the highest wind is 1,048 mph")
    ]
    assert clean.removed == {"cancelled": 8255, "missing": 1175, "outlier": 56}
    assert [(c.name, c.status) for c in evaluate.checks] == [("beats_the_baseline", "passed")]
    assert train.duration_ns == 37_100_000_000


def test_what_others_recorded_in_between_does_not_break_the_chain():
    """A component below a span of another library, below a read, hangs below the nearest component above."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    outer = recorder.component("outer", 0, 8, top)
    read = recorder.artifact("read", "flights", 1, outer)
    request = recorder.span("GET /flights", 1, 5, read)
    query = recorder.span("read file", 1, 5, request)
    recorder.component("inner", 2, 4, query)
    recorder.artifact("write", "rows", 3, query, 12)
    recorder.check("late", 3, request, "failed")

    run = only_run(recorded(recorder))

    assert outline(run.roots) == [("nightly", [("outer", ["inner"])])]
    [outer_node] = run.roots[0].children
    assert [artifact.name for artifact in outer_node.outputs] == ["rows"]
    assert [check.name for check in outer_node.checks] == ["late"]


def test_a_component_whose_parent_was_never_recorded_hangs_below_the_pipeline_that_ran():
    """Where the chain is cut, the pipeline of the trace that ran at the time is the place."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    recorder.component("orphan", 2, 3, lost_context(top.trace_id, 0x99))

    assert outline(only_run(recorded(recorder)).roots) == [("nightly", ["orphan"])]


def test_several_processes_of_one_run_are_one_run():
    """Processes that share only a run id are roots of one run; a child process that joined the trace is within."""
    parent, child, other = Recorder(), Recorder(), Recorder()
    top = parent.pipeline("nightly", 0, 9)
    launcher = parent.component("launch", 1, 8, top)
    child.component("in-child", 2, 3, launcher)
    other.pipeline("nightly", 4, 5)

    run = only_run(recorded(other, child, parent))

    assert outline(run.roots) == [("nightly", [("launch", ["in-child"])]), "nightly"]
    assert len(run.trace_ids) == 2


def test_a_pipeline_in_a_pipeline_is_one_run():
    """A nested pipeline is a node of the run around it."""
    recorder = Recorder()
    top = recorder.pipeline("outer", 0, 9)
    step = recorder.component("step", 1, 8, top)
    inner = recorder.pipeline("inner", 2, 7, parent=step)
    recorder.component("deep", 3, 4, inner)

    run = only_run(recorded(recorder))

    assert outline(run.roots) == [("outer", [("step", [("inner", ["deep"])])])]
    assert run.name == "outer"


def test_runs_at_the_same_time_are_kept_apart():
    """Two runs, also in one trace of the host's, share nothing; spans without a run id follow their parents."""
    recorder = Recorder()
    request = recorder.span("POST /jobs", 0, 20)
    first = recorder.pipeline("a", 0, 9, "run-a", request)
    second = recorder.pipeline("b", 1, 8, "run-b", request)
    for name, top, run_id in (("a1", first, "run-a"), ("b1", second, "run-b")):
        step = recorder.component(name, 2, 3, top, run_id)
        recorder.check(f"check-{name}", 3, step, "failed")

    runs = build_runs(recorded(recorder))

    assert [(run.id, outline(run.roots)) for run in runs] == [("run-a", [("a", ["a1"])]), ("run-b", [("b", ["b1"])])]
    assert [[check.name for node in walk(run.roots) for check in node.checks] for run in runs] == [
        ["check-a1"],
        ["check-b1"],
    ]


def test_components_outside_any_pipeline_are_a_run_by_their_trace():
    """Without a pipeline the trace is the run, named after its first component, and failed if a component did."""
    recorder = Recorder()
    outer = recorder.component("clean", 0, 2, run_id=None, error=("ValueError", "bad value"))
    recorder.component("part", 1, 2, outer, run_id=None)

    run = only_run(recorded(recorder))

    assert (run.id, run.name, run.status) == (format(outer.trace_id, "032x"), "clean", "error")
    assert outline(run.roots) == [("clean", ["part"])]


def test_spans_of_others_alone_are_no_run():
    """Traces without a pipeline and without a component are nobody's run."""
    recorder = Recorder()
    recorder.span("GET /", 0, 1)
    recorder.span("component without attributes", 0, 1)
    recorder.artifact("read", "flights", 0, None, run_id=None)
    recorder.check("alone", 0, None)

    found = recorded(recorder)

    assert build_runs(found) == []
    assert summed(found) == []


@pytest.mark.parametrize(
    ("error", "attributes", "expected"),
    [
        (None, {}, "ok"),
        (("ValueError", "bad value"), {}, "error"),
        (None, {"ml.run.status": "error"}, "error"),
    ],
)
def test_a_run_ended_as_its_pipeline_did(error, attributes, expected):
    """Status and error.type of the pipeline's span decide."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9, error=error, **attributes)
    recorder.started("nightly", 0, top)

    assert only_run(recorded(recorder)).status == expected


def test_an_error_that_the_pipeline_survived_is_not_the_runs():
    """A caught error of a component, and of a pipeline within, leaves the run ok."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    step = recorder.component("try", 1, 8, top, error=("ValueError", "bad value"))
    recorder.pipeline("inner", 2, 7, parent=step, error=("ValueError", "bad value"))

    run = only_run(recorded(recorder))

    assert run.status == "ok"
    assert [node.status for node in walk(run.roots)] == ["ok", "error", "error"]


def test_a_killed_run_is_seen_by_its_start_and_what_ended_before():
    """The record of a start stands for the pipeline; components that ended hang below it."""
    recorder = Recorder()
    top = lost_context(0xAB, 0x1)
    recorder.started("nightly", 0, top)
    recorder.component("ingest", 1, 2, top)
    recorder.component("inside", 3, 4, lost_context(0xAB, 0x2))  # its component never ended

    run = only_run(recorded(recorder))

    assert (run.name, run.status, run.start_ns, run.end_ns) == ("nightly", "unfinished", NOON, NOON + 4 * 10**9)
    assert outline(run.roots) == [("nightly", ["ingest", "inside"])]
    assert run.roots[0].status == "unfinished"


def test_a_killed_run_of_two_pipelines_keeps_them_one_in_the_other():
    """Two starts without an end are an outer pipeline and the one within."""
    recorder = Recorder()
    recorder.started("outer", 0, lost_context(0xAB, 0x1))
    recorder.started("inner", 1, lost_context(0xAB, 0x2))
    recorder.component("step", 2, 3, lost_context(0xAB, 0x2))

    run = only_run(recorded(recorder))

    assert outline(run.roots) == [("outer", [("inner", ["step"])])]


def test_components_without_their_pipeline_are_unfinished():
    """A run id without any pipeline means that its pipeline has not ended yet."""
    recorder = Recorder()
    recorder.component("ingest", 1, 2, lost_context(0xAB, 0x1))

    run = only_run(recorded(recorder))

    assert (run.name, run.status, outline(run.roots)) == ("ingest", "unfinished", ["ingest"])


def test_one_process_killed_and_one_done_is_unfinished_but_a_killed_child_is_not():
    """A root without an end leaves the run open; a killed child process was survived by the pipeline around it."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 9)
    recorder.started("child", 1, lost_context(top.trace_id, 0x99))
    child_killed = recorded(recorder)

    recorder.pipeline("nightly", 0, 9)
    recorder.started("nightly", 1, lost_context(0xAB, 0x1))
    peer_killed = recorded(recorder)

    assert only_run(child_killed).status == "ok"
    assert outline(only_run(child_killed).roots) == [("nightly", ["child"])]
    assert only_run(peer_killed).status == "unfinished"


@pytest.mark.parametrize(
    "parents",
    [{1: 1}, {1: 2, 2: 1}, {1: 2, 2: 3, 3: 1, 4: 2}, {1: None, 2: 3, 3: 2, 4: 1}],
)
def test_parents_in_a_circle_lose_nothing_and_end(parents):
    """However parents point, every component is in the tree exactly once."""
    found = [component(number, parent, start=number) for number, parent in parents.items()]

    [run] = build_runs(found)

    assert sorted(node.name for node in walk(run.roots)) == [f"c{number}" for number in parents]


def test_a_circle_of_foreign_spans_ends():
    """Spans of others that are their own ancestors lead nowhere, and not for ever."""
    foreign = [
        SpanRecord(TRACE, f"{one:016x}", f"{other:016x}", "GET /", 0, 1, {}) for one, other in ((100, 101), (101, 100))
    ]

    [run] = build_runs([*foreign, component(1, 100), component(2, 101, **{"ml.run.id": ""})])

    assert sorted(outline(run.roots)) == ["c1", "c2"]


def test_ten_thousand_levels_are_no_recursion():
    """Depth costs no stack, also where every span above is of others."""
    deep = [component(number, number - 1 if number > 1 else None, start=number) for number in range(1, 10_001)]
    foreign = [
        SpanRecord(TRACE, f"{n:016x}", f"{n - 1:016x}", "GET /", n, n, {}) for n in range(10_001, 20_001)
    ]  # fmt: skip
    end = component(20_001, 20_000, start=20_001)

    [run] = build_runs([end, *foreign, *reversed(deep)])

    assert sum(1 for _ in walk(run.roots)) == 10_001


def test_five_thousand_spans_cost_little():
    """A run of 5,000 spans is a tree within half a second of CPU time."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 5000)
    for number in range(1250):
        step = recorder.component(f"step {number % 40}", number, number + 1, top)
        recorder.artifact("read", "a", number, step, 10)
        recorder.artifact("write", "b", number, step, 9)
        recorder.check("c", number, step)
    found = recorded(recorder)
    before = time.process_time()

    [run] = build_runs(found)
    spent = time.process_time() - before

    assert len(found) == 5001
    assert len(run.roots[0].children) == 1250
    assert spent < 0.5


def test_many_components_of_one_name_are_one_group():
    """Six and more of a name fold, where the first one stood; five stay."""
    recorder = Recorder()
    top = recorder.pipeline("nightly", 0, 100)
    for second in range(6):
        recorder.component("load", second, second + 1, top)
        recorder.component(f"single {second}" if second % 2 else "few", second + 0.5, second + 1, top)
    children = only_run(recorded(recorder)).roots[0].children

    shown = [f"{one.name} x{len(one.nodes)}" if isinstance(one, Group) else one.name for one in folded(children)]

    assert shown == ["load x6", "few", "single 1", "few", "single 3", "few", "single 5"]


def test_values_of_wrong_types_are_shown_or_left_out():
    """Attributes that another writer got wrong break nothing."""
    odd = component(1, None, **{
        "ml.removal.rows.text": "many", "ml.removal.rows.nan": float("nan"), "ml.removal.rows.inf": float("inf"),
        "ml.removal.rows.float": 3.0, "ml.removal.rows.bool": True, "ml.component.staleness": 5, "error.type": 7,
    })  # fmt: skip
    nameless = SpanRecord(
        TRACE, "00000000000000aa", None, "component", 0, 1, {"ml.component.name": 5, "ml.run.id": RUN}
    )
    other_id = component(3, None, **{"ml.run.id": 12})

    [run] = build_runs([odd, nameless, other_id])

    assert run.roots[0].removed == {"float": 3}
    assert (run.roots[0].status, run.roots[0].error_type, run.roots[0].stale) == ("error", "7", ["5"])
    assert {node.name for node in run.roots} == {"c1", "5", "c3"}


def test_a_list_of_runs_names_what_came_out_of_them():
    """Outputs are what was written and not read again, models first."""
    recorder = Recorder()
    flights(recorder)
    top = recorder.pipeline("other", 50, 60, "other")
    step = recorder.component("train", 51, 59, top, "other")
    recorder.artifact("write", "report", 52, step, run_id="other")
    recorder.artifact("write", "net", 53, step, kind="model", run_id="other")
    recorder.artifact("write", "scores", 54, step, run_id="other")

    newest, oldest = summed(recorded(recorder))

    assert (newest.id, newest.outputs) == ("other", ["net", "scores", "report"])
    assert (oldest.id, oldest.outputs) == (RUN, ["metrics.json"])
    assert (oldest.steps, oldest.failed_steps, oldest.failed_checks) == (12, 0, 1)
