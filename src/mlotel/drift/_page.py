"""A report for a notebook: HTML with inline pictures, without a script and without a library.

Reference and current data are drawn on one axis, as shares of rows in the same bins, so that a shift looks like one.
"""

import html
from typing import TYPE_CHECKING

import numpy as np

from mlotel.drift._profile import Floats, Integers, Profile, show
from mlotel.drift._table import remark, schema_lines, sparkline

if TYPE_CHECKING:
    from mlotel.drift.report import FeatureReport, Report

_WIDTH, _HEIGHT, _FOOT = 240.0, 56.0, 13.0
_SHOWN = 12
_BARS = 24
_CUT = 0.005
_STYLE = (
    "<style>.mlotel-drift{border-collapse:collapse;font:13px system-ui,sans-serif}"
    ".mlotel-drift th,.mlotel-drift td{padding:3px 10px;text-align:left;vertical-align:middle;border:0}"
    ".mlotel-drift td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".mlotel-drift tr.alarm td:first-child{border-left:3px solid #d1495b}"
    ".mlotel-drift svg text{font:10px system-ui,sans-serif;fill:currentColor;opacity:.65}</style>"
)
_LEGEND = (
    '<p style="font:12px system-ui,sans-serif;margin:2px 0 8px">'
    '<span style="color:#8a8f98">▇ reference</span> &nbsp; <span style="color:#d1495b">▁ current</span> &nbsp; '
    "share of rows in each bin, both on one axis</p>"
)


def page_of(report: "Report") -> str:
    """The report as HTML: every feature with an alarm, and those with most evidence."""
    order = sorted(report.names, key=lambda name: (-report[name].level, -report[name].evidence))
    shown = max(_SHOWN, len(report.alarms))
    head = "".join(
        f"<th>{word}</th>"
        for word in ("feature", "reference and current", "evidence", "level", "PSI (noise)", "rows", "detectable", "")
    )
    rows = "".join(_row(report[name]) for name in order[:shown])
    more = f"<p>{len(order) - shown} more features, all without an alarm.</p>" if len(order) > shown else ""
    alarms = report.alarms
    title = f"{len(alarms)} of {len(report)} features have changed" if alarms else f"No alarm on {len(report)} features"
    schema = "".join(f"<p>{html.escape(line)}</p>" for line in schema_lines(report))
    return (
        f"<div>{_STYLE}<p><b>Check {report.check}: {title}</b></p>{_LEGEND}"
        f'<table class="mlotel-drift"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}{schema}</div>'
    )


def _row(feature: "FeatureReport") -> str:
    psi, noise = feature.score("psi"), feature.noise("psi")
    figures = "–" if psi is None or noise is None else f"{psi:.3f} ({noise:.3f})"
    return (
        f"<tr{' class=alarm' if feature.level else ''}><td>{html.escape(feature.name)}</td><td>{picture(feature)}</td>"
        f'<td title="{feature.evidence:.2f}; 1 is an alarm">{sparkline(feature.history).strip()}</td>'
        f'<td>{"▲" * feature.level or "·"}</td><td class="n">{figures}</td><td class="n">{feature.rows:,}</td>'
        f'<td class="n">{feature.detectable:.1%}</td><td>{html.escape(remark(feature))}</td></tr>'
    )


def picture(feature: "FeatureReport") -> str:
    """Reference as bars, current rows as a line over them, on one axis."""
    if feature.profile.is_ordered:
        moments = feature.moments
        low, high, reference, current = density(
            feature.profile, feature.counts, moments.get("min", np.inf), moments.get("max", -np.inf)
        )
        labels = [(0.0, "start", show(low)), (_WIDTH, "end", show(high))]
    else:
        words, reference, current = shares(feature.profile, feature.counts)
        step = _WIDTH / len(words)
        room = max(1, int(step / 6))
        labels = [
            ((place + 0.5) * step, "middle", word if len(word) <= room else word[: room - 1] + "…" if room > 3 else "")
            for place, word in enumerate(words)
        ]
    top = max(float(reference.max()), float(current.max()), 1e-12)
    step = _WIDTH / reference.size
    bars = "".join(
        f'<rect x="{place * step:.1f}" y="{_HEIGHT * (1 - value / top):.1f}" width="{step * 0.92:.1f}" '
        f'height="{_HEIGHT * value / top:.1f}" fill="#8a8f98" fill-opacity=".5"/>'
        for place, value in enumerate(reference.tolist())
    )
    line = ""
    if feature.scored_rows:
        points = " ".join(
            f"{(place + side) * step:.1f},{_HEIGHT * (1 - value / top):.1f}"
            for place, value in enumerate(current.tolist())
            for side in (0, 0.92)
        )
        line = f'<polyline points="{points}" fill="none" stroke="#d1495b" stroke-width="1.6"/>'
    texts = "".join(
        f'<text x="{x:.1f}" y="{_HEIGHT + _FOOT - 2:.1f}" text-anchor="{anchor}">{html.escape(word)}</text>'
        for x, anchor, word in labels
    )
    name = html.escape(feature.name, quote=True)
    return (
        f'<svg role="img" aria-label="{name}: reference and current" width="{_WIDTH:.0f}" '
        f'height="{_HEIGHT + _FOOT:.0f}" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT + _FOOT:.0f}">{bars}{line}{texts}</svg>'
    )


def density(profile: Profile, counts: Integers, lowest: float, highest: float) -> tuple[float, float, Floats, Floats]:
    """Ends of the axis, and shares of reference and current rows in 24 bars of equal width.

    The axis spans what either side has, without the outermost half percent of each: one wild value would otherwise
    squeeze everything else into one bar. Rows beyond the ends are in the first and last bar. Within a bin rows are
    spread evenly.

    Args:
        profile: The feature.
        counts: ``(B,)`` current rows in each bin.
        lowest: Smallest current value.
        highest: Largest.
    """
    assert profile.edges is not None
    reference, current = profile.counts[:-1], counts[:-1]
    edges = np.concatenate([[min(lowest, profile.minimum)], profile.edges, [max(highest, profile.edges[-1])]])
    low, high = _ends(edges, reference)
    if current.sum():
        other_low, other_high = _ends(edges, current)
        low, high = min(low, other_low), max(high, other_high)
    if not high > low:
        low, high = low - 0.5, low + 0.5
    grid = np.linspace(low, high, _BARS + 1)
    return low, high, _shares_on(grid, edges, reference), _shares_on(grid, edges, current)


def _ends(edges: Floats, counts: Integers) -> tuple[float, float]:
    below = np.cumsum(counts) / max(int(counts.sum()), 1)
    first = int((below > _CUT).argmax())
    last = int((below >= 1 - _CUT).argmax())
    return float(edges[first]), float(edges[last + 1])


def _shares_on(grid: Floats, edges: Floats, counts: Integers) -> Floats:
    total = max(int(counts.sum()), 1)
    known = np.concatenate([[0.0], np.cumsum(counts)]) / total
    # Bins of no width are steps: their upper end comes last among equals.
    at = np.interp(grid[1:-1], np.maximum.accumulate(edges), known)
    return np.diff(np.concatenate([[0.0], at, [1.0 if counts.sum() else 0.0]]))


def shares(profile: Profile, counts: Integers) -> tuple[list[str], Floats, Floats]:
    """Names, and shares of reference and current rows, of the largest categories and of the rest."""
    last = min(profile.top, _BARS - 3)
    words = [*(profile.labels or ())[:last], "other", "unseen", "missing"]

    def folded(values: Integers) -> Floats:
        rest = [values[last:-2].sum(), values[-2], values[-1]]
        return np.asarray(np.concatenate([values[:last], rest]) / max(int(values.sum()), 1), dtype=np.float64)

    reference, current = folded(profile.counts), folded(counts)
    is_used = (reference + current > 0) | (np.arange(len(words)) < last)
    return [word for word, used in zip(words, is_used, strict=True) if used], reference[is_used], current[is_used]
