"""A report for a terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlotel.drift.report import FeatureReport, Report

_BARS = "▁▂▃▄▅▆▇█"
_HEADER = ("feature", "evidence", "", "level", "PSI", "noise", "rows", "detectable")
_GAP = "  "
_WIDTH, _NARROWEST = 80, 12


def sparkline(values: list[float], width: int = 12) -> str:
    """The last values as bars, the highest for 1 and more."""
    last = values[-width:]
    return "".join(_BARS[min(int(max(value, 0.0) * (len(_BARS) - 1)), len(_BARS) - 1)] for value in last).rjust(width)


def table_of(report: "Report") -> str:
    """A row a feature, alarms first, then by evidence; below an alarm what has changed; 80 columns if it can be."""
    order = sorted(report.names, key=lambda name: (-report[name].level, -report[name].evidence))
    rows = [_HEADER, *(_row(report[name]) for name in order)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADER))]
    widths[0] = min(widths[0], max(_NARROWEST, _WIDTH - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)))
    lines = []
    for row, remarked in zip(rows, ["", *(remark(report[name]) for name in order)], strict=True):
        cells = [
            _clipped(cell, width).ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_GAP.join(cells).rstrip())
        if remarked:
            lines.append(f"  └ {remarked}")
    alarms = report.alarms
    summary = f"check {report.check}: " + (
        f"{len(alarms)} of {len(report)} features have changed" if alarms else f"no alarm on {len(report)} features"
    )
    return "\n".join([summary, *lines, *schema_lines(report)])


def _clipped(name: str, width: int) -> str:
    """Without its middle: features of one column differ at their ends."""
    if len(name) <= width:
        return name
    front = (width - 1) // 2
    return f"{name[:front]}…{name[front + 1 - width :]}"


def _row(feature: "FeatureReport") -> tuple[str, ...]:
    return (
        feature.name,
        sparkline(feature.history),
        f"{max(feature.evidence, 0.0):.2f}",
        "▲" * feature.level or "·",
        _figure(feature.score("psi")),
        _figure(feature.noise("psi")),
        f"{feature.rows:,}",
        f"{feature.detectable:.1%}",
    )


def remark(feature: "FeatureReport") -> str:
    """What has changed and since when."""
    if feature.cleared:
        return "cleared"
    if not feature.level or feature.onset is None:
        return ""
    since = "since this check" if feature.onset == 1 else f"since {feature.onset} checks"
    return f"{feature.change}, {since}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def schema_lines(report: "Report") -> list[str]:
    """A line for each column that differs."""
    words = {"missing": "missing column", "new": "new column", "type": "other type", "unreadable": "not counted"}
    return [
        f"{words[change.what]} {change.column}: {change.detail}".replace(" :", ":")
        + (f" ({change.rows:,} rows)" if change.rows else "")
        for change in report.schema
    ]
