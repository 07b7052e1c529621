"""The page about statistics says of each what the code says."""

import re
from pathlib import Path

import pytest

from mlotel import _plugins
from mlotel.drift import statistics

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "drift-statistics.md").read_text(encoding="utf-8")
NAMES = sorted(_plugins.own("drift.statistics"))


def test_the_table_is_what_the_code_says():
    """Bounds, unit, need of an order, noise and p-value of each statistic stand in the table as they are."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    expected = []
    for name in NAMES:
        one = statistics.get(name)
        words = ["no", "yes"]
        expected.append(
            (
                name,
                " | ".join(
                    [
                        f"{one.lower_bound:g}",
                        "–" if one.upper_bound is None else f"{one.upper_bound:g}",
                        f"`{one.unit}`",
                        words[one.numbers_only],
                        words[one.noise is not None],
                        words[one.p_value is not None],
                    ]
                ),
            )
        )

    assert rows == expected


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_section(name):
    """A section a statistic: what it answers, formula, unit, noise, p-value, and when not to use it."""
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]

    assert section.lstrip().startswith("What it answers: ")
    found = re.findall(r"^- ([^:]+): ", section, re.MULTILINE)
    assert found == ["Formula", "Unit", "Noise", "p-value", "When not to use it"]
    one = statistics.get(name)
    assert ("- p-value: none" in section) == (one.p_value is None)
    assert ("- Noise: none" in section) == (one.noise is None)
