"""Comparing what pages say with what is printed forgives what changes from run to run, and nothing else."""

import pytest
from doc_output import Comparable

TREE = """
nightly                                     ✓ 36 ms   today 11:45   ae212e
├─ clean   ✓    ━━━━╸    14 ms  raw 4 rows → orders 2 rows (−50.0 %)
│     − 2 rows removed: missing 1, outlier 1
└─ totals  ✓        ━━━ 9.9 ms  orders 2 rows → totals 2 rows
recorded in .mlotel/spool   next: mlotel show ae212e · mlotel runs
"""
ATTRIBUTES = """
      read orders: dataset, 2 rows × 2 columns, 45 B, xxh3:0caa70e39ec87f63a0e22be0555cdfc5, inmemory://laptop/29767/orders
      ml.component.cpu.time = 0.009812313
      ml.component.memory.peak = 3350528
      ml.run.id = nightly-07
"""


def comparable(printed):
    return Comparable().text(printed)


@pytest.mark.parametrize(
    ("printed", "again"),
    [
        (TREE, TREE.replace("ae212e", "0091fc").replace("36 ms", "2.4 s").replace("today 11:45", "yesterday 09:01")),
        (TREE, TREE.replace("   ━━━━╸    14 ms", "━━━━━━━━━━ 1 min 04 s")),
        (TREE, TREE.replace("        ━━━ 9.9 ms", "      ╺     870 µs")),
        (ATTRIBUTES, ATTRIBUTES.replace("laptop/29767", "build-7.example/1").replace("0.009812313", "1.2e-05")),
        (ATTRIBUTES, ATTRIBUTES.replace("      ml.component.memory.peak = 3350528\n", "")),
        ("laptop-10043-20261124T115556-d28721.001.jsonl", "b_7-1-20270101T000000-000000.001.jsonl"),
        ("train → wine.joblib 2.7 kB, train", "train → wine.joblib 12 kB, train"),
        ("3 passed in 0.56s\n", "3 passed in 12.01s\n"),
        ("made by clean in run ae212e (evidence: index)", "made by clean in run 0091fc (evidence: index)"),
    ],
)
def test_what_changes_from_run_to_run_is_forgiven(printed, again):
    """Ids, times, bars, processor time, memory, host and process may differ."""
    assert comparable(printed) == comparable(again)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("4 rows", "5 rows"),
        ("✓    ━━━━╸", "▲    ━━━━╸"),
        ("✓ 36 ms", "✗ failed after 36 ms"),
        ("missing 1, outlier 1", "outlier 1, missing 1"),
        ("−50.0 %", "−50.1 %"),
        ("├─ clean", "├─ cleen"),
        ("│     −", "│   −"),
        ("└─ totals", "└─ total"),
        ("show ae212e", "show ae212f"),
        ("recorded in .mlotel/spool", "recorded in .mlotel"),
        ("   today 11:45", ""),
        ("14 ms", "14 m"),
        ("9.9 ms", "9.9 rows"),
        ("next: ", ""),
    ],
)
def test_anything_else_in_a_tree_is_not(old, new):
    """Counts, names, symbols, order, indentation, and an id that is not the run's are differences."""
    assert old in TREE

    assert comparable(TREE) != comparable(TREE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0caa70e3", "0caa70e4"),
        ("xxh3:", "partial:"),
        ("45 B", "46 B"),
        ("2 columns", "3 columns"),
        ("cpu.time = 0.009812313", "cpu.time = soon"),
        ("memory.peak = 3350528", "memory.peak = -1"),
        ("nightly-07", "nightly-08"),
        ("/orders", "/order"),
    ],
)
def test_anything_else_among_attributes_is_not(old, new):
    """Content ids, sizes and values are compared to the letter."""
    assert old in ATTRIBUTES

    assert comparable(ATTRIBUTES) != comparable(ATTRIBUTES.replace(old, new))


def test_an_id_is_the_same_throughout_a_page():
    """The id that one block prints must be the one that the next block prints, whatever it is."""
    first, second, other = "1" * 32, "2" * 32, "3" * 32
    said, right, wrong = Comparable(), Comparable(), Comparable()

    assert said.text(f"run {first}") == right.text(f"run {second}") == wrong.text(f"run {second}")
    assert said.text(f"again {first}") == right.text(f"again {second}")
    assert said.text(f"again {first}") != wrong.text(f"again {other}")
