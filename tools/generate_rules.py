"""Writes the Prometheus rules of collector-config/ from registry/*.yaml and the formulas below.

python tools/generate_rules.py           write them
python tools/generate_rules.py --check   write nothing; exit 1 and print a diff when they are out of step

Names come from the registry, so a metric that is renamed there is renamed in the rules, or stops this program.
"""

import argparse
import sys
import textwrap
from collections.abc import Iterator

from generated import ROOT, bring_into_step
from semconv_registry import Registry, load

FOLDER = "collector-config/prometheus/rules"
WINDOWS = {"1h": "1m", "24h": "5m"}
"""How far back the rules look, and how often."""

UNITS = {"s": "seconds", "By": "bytes"}
ORDERED = "numeric|integer|text|datetime"
"""Kinds of features whose bins have an order."""

HEAD = """\
# Made by tools/generate_rules.py from registry/: change it there.
"""
INTRODUCTION = """\
# Drift of a model over all its replicas. Each replica counts its rows in the bins of the reference; here the counts are
# added up, and compared with the reference as one detector that saw all rows would: the same formulas on the same bins.
# Ten bins are coarser than the sixty of a detector, so KS is a lower bound of what one would report.
#
# All replicas of a model and version must have one reference; a new reference asks for a new version. Windows without
# rows give no value. `increase` extrapolates to the edges of its window, in all bins of a replica alike: shares are not
# affected, and counts by about one part in as many as the window has samples. Rows that a replica had counted before it
# was first looked at are not in it.
"""
ALERTS = """\
# Examples of alerts on drift: choose thresholds, waits and severities of your own.
"""


def prometheus_name(registry: Registry, name: str) -> str:
    """What a metric is called by Prometheus, the collector and the Python exporter alike."""
    [metric] = [metric for metric in registry.metrics if metric.name == name]
    parts = [name.replace(".", "_")]
    if not metric.unit.startswith("{"):
        parts.append(UNITS[metric.unit])
    if metric.instrument == "counter":
        parts.append("total")
    return "_".join(parts)


def label(registry: Registry, key: str) -> str:
    """What an attribute is called as a label."""
    return registry.attributes[key].key.replace(".", "_")


class Names:
    """Metrics and labels that the rules speak of."""

    def __init__(self, registry: Registry) -> None:
        self.values = prometheus_name(registry, "ml.feature.values")
        self.proportion = prometheus_name(registry, "ml.feature.reference.proportion")
        self.rows = prometheus_name(registry, "ml.feature.reference.rows")
        self.level = prometheus_name(registry, "ml.drift.level")
        self.model = f"{label(registry, 'ml.model.name')}, {label(registry, 'ml.model.version')}"
        self.feature = f"{self.model}, {label(registry, 'ml.feature.name')}"
        self.bin = label(registry, "ml.feature.bin")
        self.kind = label(registry, "ml.feature.kind")
        kinds = {member["value"] for member in registry.attributes["ml.feature.kind"].members}
        assert set(ORDERED.split("|")) <= kinds


def rules(names: Names, window: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, expression and labels of each rule of a window, each before those that use it."""
    feature, bins = names.feature, f"{names.feature}, {names.bin}"
    each = f"on ({feature}) group_left ()"  # a number a feature, for each of its bins
    values, total = f"feature_bin:ml_feature_values:increase{window}", f"feature:ml_feature_values:increase{window}"
    reference, rows = f"feature_bin:ml_feature_reference_values:{window}", f"feature:ml_feature_reference_rows:{window}"
    live = f"feature:ml_feature_live_bins:{window}"
    smooth, reference_smooth = (
        f"feature_bin:ml_feature_{which}smoothed_proportion:{window}" for which in ("", "reference_")
    )
    noise, psi = f"feature:ml_drift_psi_noise:{window}", f"feature:ml_drift_psi:{window}"
    gap = f"feature_bin:ml_drift_gap:{window}"

    def rule(name: str, expression: str, **labels: str) -> tuple[str, str, dict[str, str]]:
        return name, textwrap.dedent(expression).strip(), labels

    yield rule(values, f"sum by ({bins}) (increase({names.values}[{window}]))")
    yield rule(total, f"sum by ({feature}) ({values}) > 0")
    yield rule(rows, f"max by ({feature}) (last_over_time({names.rows}[{window}]))")
    yield rule(
        reference,
        f"""
        max by ({bins}) (last_over_time({names.proportion}[{window}]))
          * {each} {rows}
        """,
    )
    yield rule(live, f"count by ({feature}) ({values} + {reference} > 0) and {total}")
    yield rule(
        smooth,
        f"""
        (({values} + 0.5) and ({values} + {reference} > 0))
          / {each} ({total} + 0.5 * {live})
        """,
    )
    yield rule(
        reference_smooth,
        f"""
        (({reference} + 0.5) and ({values} + {reference} > 0))
          / {each} ({rows} + 0.5 * {live})
        """,
    )
    yield rule(psi, f"sum by ({feature}) (({smooth} - {reference_smooth}) * ln({smooth} / {reference_smooth}))")
    yield rule(noise, f"({live} - 1) * (1 / {total} + 1 / {rows})")
    yield rule(
        f"feature:ml_drift_hellinger:{window}",
        f"""
        sqrt(clamp_max(0.5 * sum by ({feature}) ((
          sqrt({values} / {each} {total})
            - sqrt({reference} / {each} {rows})
        ) ^ 2), 1))
        """,
    )
    yield rule(
        f"feature:ml_drift_tvd:{window}",
        f"""
        0.5 * sum by ({feature}) (abs(
          {values} / {each} {total}
            - {reference} / {each} {rows}
        ))
        """,
    )
    for missing, name in (("10", "missing"), ("11", "unseen")):
        yield rule(
            f"feature:ml_feature_{name}:{window}",
            f'sum by ({feature}) ({values}{{{names.bin}="{missing}"}}) / {total}',
        )
    for last in range(9):
        below, present = (f'{{{names.bin}=~"0[0-{digit}]"}}' for digit in (last, 9))
        yield rule(
            gap,
            f"""
            abs(
              sum by ({feature}) ({values}{below})
                / (sum by ({feature}) ({values}{present}) > 0)
              - sum by ({feature}) ({reference}{below})
                / (sum by ({feature}) ({reference}{present}) > 0)
            ) and max by ({feature}) (last_over_time({names.rows}{{{names.kind}=~"{ORDERED}"}}[{window}]))
            """,
            **{names.bin: f"0{last}"},
        )
    yield rule(f"feature:ml_drift_ks:{window}", f"max by ({feature}) ({gap})")


def rules_file(names: Names) -> str:
    """The recording rules."""
    parts = [HEAD, INTRODUCTION, "groups:\n"]
    for window, interval in WINDOWS.items():
        parts.append(f"  - name: mlotel-drift-{window}\n    interval: {interval}\n    rules:\n")
        for name, expression, labels in rules(names, window):
            parts.append(f"      - record: {name}\n{_expression(expression)}")
            parts += [f'        labels: {{{key}: "{value}"}}\n' for key, value in labels.items()]
    return "".join(parts)


def alerts(names: Names) -> Iterator[tuple[str, str, str, str, str]]:
    """Name, expression, wait, severity and summary of each alert."""
    feature = "{{ $labels.ml_feature_name }} of {{ $labels.ml_model_name }} {{ $labels.ml_model_version }}"
    yield (
        "MlotelDrift",
        f"max by ({names.feature}) ({names.level}) >= 2",
        "0m",
        "page",
        f"{feature} has certainly changed: level {{{{ $value }}}}",
    )
    yield (
        "MlotelFleetDrift",
        "feature:ml_drift_psi:24h - feature:ml_drift_psi_noise:24h > 0.1",
        "30m",
        "ticket",
        f"{feature} has a PSI of {{{{ $value }}}} above its noise over all replicas in 24 hours",
    )
    reference = f'feature_bin:ml_feature_reference_values:1h{{{names.bin}="10"}}'
    yield (
        "MlotelMissing",
        f"""feature:ml_feature_missing:1h
  > 0.05 + 2 * sum by ({names.feature}) ({reference}) / feature:ml_feature_reference_rows:1h""",
        "15m",
        "ticket",
        f"{feature} is missing in {{{{ $value | humanizePercentage }}}} of the rows",
    )
    yield (
        "MlotelNoRows",
        f"max by ({names.model}) ({names.rows}) unless max by ({names.model}) ({names.level})",
        "15m",
        "ticket",
        "{{ $labels.ml_model_name }} {{ $labels.ml_model_version }} is up and sees no rows",
    )


def alerts_file(names: Names) -> str:
    """The examples of alerts."""
    parts = [HEAD, ALERTS, "groups:\n  - name: mlotel-drift-alerts\n    rules:\n"]
    for name, expression, wait, severity, summary in alerts(names):
        parts.append(
            f"      - alert: {name}\n{_expression(expression)}        for: {wait}\n"
            f"        labels: {{severity: {severity}}}\n        annotations:\n          summary: '{summary}'\n"
        )
    return "".join(parts)


def _expression(text: str) -> str:
    return "        expr: |-\n" + textwrap.indent(text, " " * 10) + "\n"


def main() -> int:
    """Write, or compare; the exit status."""
    parser = argparse.ArgumentParser(description="Write the Prometheus rules of collector-config/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of step")
    options = parser.parse_args()
    names = Names(load(ROOT / "registry"))
    wanted = {
        f"{FOLDER}/mlotel-drift.yaml": rules_file(names),
        f"{FOLDER}/mlotel-drift-alerts.yaml": alerts_file(names),
    }
    return bring_into_step(wanted, "from registry/", check=options.check)


if __name__ == "__main__":
    sys.exit(main())
