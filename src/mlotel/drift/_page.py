"""A report for a notebook: HTML with inline pictures, without a script and without a library.

Reference and current data are drawn on one axis, as shares of rows in the same bins, so that a shift looks like one.
"""

import html
from typing import TYPE_CHECKING

import numpy as np

from mlotel.drift._profile import Floats, Integers, Profile, show
from mlotel.drift._table import remark, schema_lines

if TYPE_CHECKING:
    from mlotel.drift.report import FeatureReport, Report

_WIDTH, _HEIGHT, _FOOT = 240.0, 56.0, 13.0
_STRIP_WIDTH, _STRIP_HEIGHT, _STRIP_TOP = 96.0, 30.0, 1.5
_SHOWN = 12
_BARS = 24
_CUT = 0.005
_ALARM = ' class="alarm"'
_GREY, _BLUE, _RED = "#7d838c", "#3b7ddd", "#d1495b"  # each at least 3:1 against white and against near-black
_STYLE = f"""<style>
.mlotel-drift {{container-type:inline-size;font:13px system-ui,sans-serif;line-height:1.35}}
.mlotel-drift p {{margin:4px 0 8px}}
.mlotel-drift table {{border-collapse:collapse;font-size:13px}}
.mlotel-drift th,.mlotel-drift td {{padding:3px 9px;text-align:left;vertical-align:middle;border:0;background:none}}
.mlotel-drift tr {{background:none!important}}
.mlotel-drift .n {{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.mlotel-drift td:first-child {{border-left:3px solid transparent;max-width:17em;overflow-wrap:anywhere}}
.mlotel-drift tr.alarm td:first-child {{border-left-color:{_RED}}}
.mlotel-drift small {{font-size:12px;opacity:.72}}
.mlotel-drift svg {{display:block;overflow:visible;max-width:100%}}
.mlotel-drift svg text {{font:10px system-ui,sans-serif;fill:currentColor;opacity:.72}}
@container (max-width:700px) {{
.mlotel-drift thead {{display:none}}
.mlotel-drift tr {{display:flex;flex-wrap:wrap;align-items:end;padding:8px 0 4px;border-left:3px solid transparent}}
.mlotel-drift tr.alarm {{border-left-color:{_RED}}}
.mlotel-drift td {{text-align:left!important;padding:2px 9px}}
.mlotel-drift td:first-child {{width:100%;max-width:none;border:0}}
.mlotel-drift td[data-word]::before {{content:attr(data-word) " ";opacity:.72}}
}}
</style>"""
_LEGEND = (
    f'<p><small><span style="color:{_GREY}">▇</span> reference &nbsp; <span style="color:{_BLUE}">━</span> current, '
    "as shares of rows on one axis &nbsp; ┄ evidence at which an alarm is raised</small></p>"
)


def page_of(report: "Report") -> str:
    """The report as HTML: every feature with an alarm, and those with most evidence."""
    order = sorted(report.names, key=lambda name: (-report[name].level, -report[name].evidence))
    shown = max(_SHOWN, len(report.alarms))
    words = ("feature", "reference and current", "evidence", "level", "PSI (noise)", "rows", "detectable")
    head = "".join(
        f'<th class="n">{word}</th>' if place > 3 else f"<th>{word}</th>" for place, word in enumerate(words)
    )
    rows = "".join(_row(report[name]) for name in order[:shown])
    rest = ", ".join(order[shown:])
    more = f"<p><small>Also without an alarm: {html.escape(rest)}</small></p>" if rest else ""
    alarms = report.alarms
    title = f"{len(alarms)} of {len(report)} features have changed" if alarms else f"No alarm on {len(report)} features"
    schema = "".join(f"<p>{html.escape(line)}</p>" for line in schema_lines(report))
    return (
        f'<div class="mlotel-drift">{_STYLE}<p><b>Check {report.check}: {title}</b></p>{_LEGEND}'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}{schema}</div>"
    )


def _row(feature: "FeatureReport") -> str:
    psi, noise = feature.score("psi"), feature.noise("psi")
    figures = "–" if psi is None or noise is None else f"{psi:.3f} <small>({noise:.3f})</small>"
    said = remark(feature)
    said = f"<br/><small>{html.escape(said)}</small>" if said else ""
    profile = feature.profile
    reasons = [
        f"the reference itself wanders by {profile.tolerance:.1%}" if profile.tolerance > 0 else "",
        f"{profile.design_effect:.0f} rows tell as much as one" if profile.design_effect > 1 else "",
        f"{profile.rows:,} rows of reference",
    ]
    why = "; ".join(reason for reason in reasons if reason)
    return (
        f"<tr{_ALARM if feature.level else ''}><td>{html.escape(feature.name)}{said}</td>"
        f'<td class="picture">{picture(feature)}</td><td class="picture">{_strip(feature)}</td>'
        f'<td data-word="level">{"▲" * feature.level or "·"}</td><td class="n" data-word="PSI">{figures}</td>'
        f'<td class="n" data-word="rows">{feature.rows:,}</td>'
        f'<td class="n" data-word="detectable" title="{why}">{feature.detectable:.1%}</td></tr>'
    )


def _strip(feature: "FeatureReport") -> str:
    """Evidence of the last checks as bars, the dashed line at 1."""
    values = feature.history[-_BARS:]
    step = _STRIP_WIDTH / _BARS
    line = _STRIP_HEIGHT * (1 - 1 / _STRIP_TOP)
    bars = ""
    for place, value in enumerate(values, start=_BARS - len(values)):
        height = _STRIP_HEIGHT * min(max(value, 0.0), _STRIP_TOP) / _STRIP_TOP
        if height >= 0.5:
            bars += (
                f'<rect x="{place * step:.0f}" y="{_STRIP_HEIGHT - height:.1f}" width="{step - 1:.0f}" '
                f'height="{height:.1f}" fill="{_RED if value >= 1 else _GREY}"/>'
            )
    return (
        f'<svg role="img" aria-label="evidence {feature.evidence:.2f}, an alarm is raised at 1" '
        f'width="{_STRIP_WIDTH:.0f}" height="{_STRIP_HEIGHT:.0f}"><title>{feature.evidence:.2f}</title>{bars}'
        f'<path d="M0 {line:.1f}H{_STRIP_WIDTH:.0f}" stroke="currentColor" stroke-opacity=".5" stroke-dasharray="2 3"/>'
        f'<path d="M0 {_STRIP_HEIGHT:.1f}H{_STRIP_WIDTH:.0f}" stroke="currentColor" stroke-opacity=".35"/></svg>'
    )


def picture(feature: "FeatureReport") -> str:
    """Reference as an area with a clear upper edge, current rows as a line over it, on one axis."""
    is_ordered = feature.profile.is_ordered
    if is_ordered:
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
    share = 1.0 if is_ordered else 0.8  # of the width of a step; categories stand apart
    edge = _line(reference / top, share, is_ordered)
    drawn = (
        f'<path d="{_area(reference / top, share)}" fill="{_GREY}" fill-opacity=".35"/>'
        f'<path d="{edge}" fill="none" stroke="{_GREY}"/>'
    )
    if feature.scored_rows:
        line = _line(current / top, share, is_ordered)
        drawn += f'<path d="{line}" fill="none" stroke="{_BLUE}" stroke-width="2" stroke-linejoin="round"/>'
    texts = "".join(
        f'<text x="{x:.1f}" y="{_HEIGHT + _FOOT - 2:.1f}" text-anchor="{anchor}">{html.escape(word)}</text>'
        for x, anchor, word in labels
    )
    name = html.escape(feature.name, quote=True)
    return (
        f'<svg role="img" aria-label="{name}: reference and current" width="{_WIDTH:.0f}" '
        f'height="{_HEIGHT + _FOOT:.0f}" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT + _FOOT:.0f}">{drawn}'
        f'<path d="M0 {_HEIGHT:.0f}H{_WIDTH:.0f}" stroke="currentColor" stroke-opacity=".35"/>{texts}</svg>'
    )


def _steps(values: Floats, share: float) -> list[tuple[float, float, float]]:
    """Left and right end of each step, and its height from above."""
    step = _WIDTH / values.size
    inset = step * (1 - share) / 2
    return [
        (place * step + inset, (place + 1) * step - inset, _HEIGHT * (1 - value))
        for place, value in enumerate(values.tolist())
    ]


def _line(values: Floats, share: float, is_joined: bool) -> str:
    """The upper edges of all steps, as one line or each alone."""
    path = ""
    for place, (left, right, y) in enumerate(_steps(values, share)):
        path += f"V{y:.1f}H{right:.1f}" if is_joined and place else f"M{left:.1f} {y:.1f}H{right:.1f}"
    return path


def _area(values: Floats, share: float) -> str:
    return "".join(
        f"M{left:.1f} {_HEIGHT:.0f}V{y:.1f}H{right:.1f}V{_HEIGHT:.0f}Z" for left, right, y in _steps(values, share)
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
