"""What people see of a report: a table in a terminal, a page in a notebook."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mlotel.drift import Detector, Reference
from mlotel.drift._page import density, shares
from mlotel.drift._table import _clipped, sparkline


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    detector = Detector(Reference.fit({
        "<age> & more": rng.normal(40, 9, 50_000),
        "carrier": rng.choice(["AA", "DL"], 50_000),
        "zero": np.zeros(50_000),
    }))  # fmt: skip
    for check in range(6):
        detector.update({
            "<age> & more": rng.normal(44 if check > 2 else 40, 9, 1000),
            "carrier": rng.choice(["AA", "DL", "<b>"], 1000),
            "zero": np.zeros(1000), "extra": np.zeros(1000),
        })  # fmt: skip
        report = detector.check()
    return report


def test_sparklines_show_evidence_up_to_the_alarm():
    """Nothing below 0, the full bar at 1 and above, the last twelve values."""
    assert sparkline([-3.0, 0.0, 0.5, 1.0, 40.0]) == "       ▁▁▄██"
    assert len(sparkline([0.1] * 50)) == 12


def test_the_table_has_alarms_first(report):
    """A line a feature with evidence, level, PSI and noise, what has changed below it; columns that differ."""
    lines = str(report).splitlines()
    psi = report["<age> & more"].score("psi")

    assert lines[0] == "check 6: 2 of 3 features have changed"
    assert lines[1].split() == ["feature", "evidence", "level", "PSI", "noise", "rows", "detectable"]
    assert {line.split()[0] for line in lines[2:6:2]} == {"<age>", "carrier"}
    assert all(line.startswith("  └ more ") for line in lines[3:7:2])
    assert any(f"{psi:.3f}" in line and "▲" in line and "since" in below for line, below in itertools.pairwise(lines))
    assert lines[6].startswith("zero")
    assert "·" in lines[6]
    assert lines[7] == "new column extra: the reference has no such column (1,000 rows)"
    assert max(map(len, lines)) <= 80


def test_long_names_keep_both_ends():
    """A name that does not fit loses its middle, so that the parts of one column can be told apart."""
    assert _clipped("embedding_of_the_text.projection.3", 17) == "embeddin…ection.3"
    assert _clipped("carrier", 17) == "carrier"


def test_the_page_is_well_formed_and_escaped(report):
    """The HTML is well-formed, loads nothing from elsewhere, runs nothing, and shows names as they are."""
    page = report._repr_html_()
    tree = ElementTree.fromstring(page.replace("&nbsp;", " "))
    text = "".join(tree.itertext())

    assert "<age> & more" in text
    assert "<b>" not in page.replace("<b>Check", "").replace("</b>", "")
    assert not re.search(r"<script|src=|href=|url\(|@import", page)
    pictures = [svg.get("aria-label") for svg in tree.findall(".//svg")]
    assert [label for label in pictures if label.endswith(": reference and current")] == pictures[::2]
    assert [label.startswith("evidence ") for label in pictures[1::2]] == [True] * 3
    assert "2 of 3 features have changed" in text
    assert len(page) < 60_000


def test_both_sides_share_one_axis(report):
    """The axis spans reference and current rows; the shares of each side sum to one and have their means."""
    feature = report["<age> & more"]
    moments = feature.moments
    low, high, reference, current = density(feature.profile, feature.counts, moments["min"], moments["max"])
    middle = low + (np.arange(24) + 0.5) * (high - low) / 24

    assert reference.sum() == pytest.approx(1)
    assert current.sum() == pytest.approx(1)
    assert (middle * reference).sum() == pytest.approx(40, abs=0.6)
    assert (middle * current).sum() == pytest.approx(44, abs=1.2)


def test_rows_beyond_the_reference_are_seen():
    """Current rows far above everything in the reference lie on the axis, at its other end."""
    rng = np.random.default_rng(1)
    detector = Detector(Reference.fit({"x": rng.normal(size=5000)}))
    detector.update({"x": rng.normal(100, size=1000)})
    feature = detector.check()["x"]
    low, high, reference, current = density(
        feature.profile, feature.counts, feature.moments["min"], feature.moments["max"]
    )

    assert low < -2
    assert high > 99
    assert reference[:3].sum() == pytest.approx(1)
    assert current[-1] > 0
    assert current[reference > 0].sum() < 0.2


def test_categories_have_a_bar_each(report):
    """Names, and unseen ones, with the share of either side."""
    words, reference, current = shares(report["carrier"].profile, report["carrier"].counts)

    assert sorted(words) == ["AA", "DL", "unseen"]
    assert reference[words.index("unseen")] == 0
    assert current[words.index("unseen")] == pytest.approx(1 / 3, abs=0.05)


def test_a_report_without_rows_is_shown_too():
    """Before any rows came the table and the page have no figures, and no error."""
    rng = np.random.default_rng(2)
    report = Detector(Reference.fit({"x": rng.normal(size=50_000), "c": rng.choice(list("ab"), 50_000)})).check()

    assert "no alarm on 2 features" in str(report)
    assert "–" in report._repr_html_()
    assert report["x"].history == [0.0]
