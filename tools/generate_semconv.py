"""Writes the constants of mlotel.semconv and docs/names.md from registry/*.yaml.

python tools/generate_semconv.py             write them
python tools/generate_semconv.py --check     write nothing; exit 1 and print a diff when they are out of step
python tools/generate_semconv.py --planned   also rewrite registry/planned.txt: names that src/mlotel does not use yet
"""

import argparse
import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types
from generated import ROOT, bring_into_step
from semconv_registry import Attribute, Entry, Ref, Registry, RegistryError, constant, load

WIDTH = 120  # of a line: what is written here must be what `ruff format` would leave alone

# Python


def attributes_module(registry: Registry) -> str:
    parts = [_header("Keys of attributes."), "from typing import Final, Literal, TypeAlias\n"]
    for subject, (title, _) in registry.titles.items():
        lines = [f"# {title}"]
        for item in registry.attributes.values():
            if item.subject == subject and item.has_constant:
                lines += [f'{item.constant}: Final = "{item.key}"', _doc(item.brief)]
                if item.members:
                    alias = "".join(word.capitalize() for word in re.split(r"[._]", item.key))
                    values = [_quoted(member["value"]) for member in item.members]
                    lines.append(_listed(f"{alias}: TypeAlias = Literal[", values, "]"))
        if len(lines) > 1:
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def metrics_module(registry: Registry) -> str:
    parts = [
        _header("Metrics: name, instrument, unit, attributes and limits of the buckets."),
        "from typing import Final\n\nfrom mlotel.semconv._spec import MetricSpec\n",
    ]
    for subject, (title, _) in registry.titles.items():
        lines = [f"# {title}"]
        for metric in registry.metrics:
            if metric.subject == subject:
                lines += [f"{constant(metric.name)}: Final = MetricSpec(", *_metric_arguments(metric), ")"]
        if len(lines) > 1:
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _metric_arguments(metric: Entry) -> Iterator[str]:
    for name, value in (("name", metric.name), ("instrument", metric.instrument), ("unit", metric.unit)):
        yield f"    {name}={_quoted(value)},"
    yield f"    brief={_quoted(metric.brief)},"
    yield _tuple("    attributes=", [_quoted(ref.key) for ref in metric.refs])
    if metric.bounds:
        yield _tuple("    bounds=", [repr(bound) for bound in metric.bounds])
    if metric.exponential:
        yield "    exponential=True,"


def events_module(registry: Registry) -> str:
    lines = [f'{constant(event.name)}: Final = "{event.name}"\n{_doc(event.brief)}' for event in registry.events]
    return "\n".join([_header("Names of log events."), "from typing import Final\n", *lines]) + "\n"


def spans_module(registry: Registry) -> str:
    lines = [f'{constant(word)}: Final = "{word}"\n{_doc(span.brief)}' for word, span in registry.span_words().items()]
    return "\n".join([_header("First words of span names."), "from typing import Final\n", *lines]) + "\n"


def types_module(registry: Registry) -> str:
    attributes = registry.attributes.values()
    parts = [
        _header("The registry as tables, for tests and tools; recording code does not load it."),
        "from mlotel.semconv import metrics\nfrom mlotel.semconv._spec import MetricSpec\n",
        _table("ATTRIBUTE_TYPES", "str", [(item.key, item.type) for item in attributes if not item.template]),
        _doc("Type of each attribute: string, int, double, boolean, any, or one of them with []."),
        _table("TEMPLATE_TYPES", "str", [(item.key, item.type) for item in attributes if item.template]),
        _doc("Type of the attributes whose key is this prefix, a dot and a name of the user's."),
        _table(
            "ENUM_VALUES",
            "tuple[str, ...]",
            [(item.key, [member["value"] for member in item.members]) for item in attributes if item.members],
        ),
        _doc("Values that an attribute can have, where they are listed."),
        "METRICS: dict[str, MetricSpec] = {",
        *(f"    {_quoted(metric.name)}: metrics.{constant(metric.name)}," for metric in registry.metrics),
        "}",
        _doc("Every metric."),
    ]
    for name, entries, doc in (
        ("EVENTS", registry.events, "Attributes of each log event; a template stands for all keys that it makes."),
        ("SPANS", registry.spans, "Attributes of each span, by the pattern of its name."),
        ("GROUPS", registry.groups, "Attributes of links and of the resource, and the names that are OpenTelemetry's."),
    ):
        rows = [(entry.name, [ref.key for ref in entry.refs]) for entry in entries]
        parts += [_table(name, "tuple[str, ...]", rows), _doc(doc)]
    return "\n".join(parts) + "\n"


def _header(summary: str) -> str:
    return f'"""{summary}\n\nMade from registry/ by tools/generate_semconv.py: change the names there.\n"""\n'


def _doc(text: str) -> str:
    return "\n".join(textwrap.wrap(f'"""{text}"""', WIDTH))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(start: str, items: list[str], end: str) -> str:
    """``start``, the items and ``end`` on one line where they fit, else one item a line."""
    line = f"{start}{', '.join(items)}{end}"
    indent = " " * (len(start) - len(start.lstrip()))
    return line if len(line) <= WIDTH else "\n".join([start, *(f"{indent}    {item}," for item in items), indent + end])


def _tuple(start: str, items: list[str]) -> str:
    return f"{start}({items[0]},)," if len(items) == 1 else _listed(f"{start}(", items, "),")


def _table(name: str, kind: str, rows: Iterable[tuple[str, str | list[str]]]) -> str:
    lines = [
        f"    {_quoted(key)}: {_quoted(value)},"
        if isinstance(value, str)
        else _tuple(f"    {_quoted(key)}: ", [_quoted(item) for item in value])
        for key, value in rows
    ]
    return "\n".join([f"{name}: dict[str, {kind}] = {{", *lines, "}"])


# Docs

INTRODUCTION = """\
# Names

Every name that mlotel puts on the wire, with its type and meaning: what you need to write a query, an alert or a
dashboard. The page is made from the files in `registry/`, which have the form of OpenTelemetry's own registry.

- `ml.` is the one root of what mlotel adds. Where a name of OpenTelemetry fits, that name is used unchanged: see the
  last section.
- An attribute is there when it is known. Those marked *always* are never missing.
- `<key>` stands for a name of yours: the parameter `threshold` becomes the attribute `ml.param.threshold`.
- Durations are in seconds and sizes in bytes (`By`). Units in braces are for people only.
- On failure a span has the status `ERROR` and the attribute `error.type`, the metrics of the operation carry
  `error.type` too, and one event `ml.exception` holds the exception.
- Ids of runs and artifacts are never on a metric. Follow the exemplar of a point to get to its run.
- Prometheus shows the names in its own spelling: `ml.component.duration` as `ml_component_duration_seconds`,
  `ml.data.rows` as `ml_data_rows_total`.

Names that no part of mlotel sends yet are listed in `registry/planned.txt`.
"""


def docs_page(registry: Registry) -> str:
    parts = [INTRODUCTION]
    for subject, (title, introduction) in registry.titles.items():
        parts += [f"## {title}\n", f"{introduction}\n"]
        spans, metrics, events = (
            [entry for entry in entries if entry.subject == subject]
            for entries in (registry.spans, registry.metrics, registry.events)
        )
        if spans:
            rows = [(f"`{item.name}`", item.brief, _references(registry, item.refs)) for item in spans]
            parts += ["### Spans\n", _grid(("Name", "Meaning", "Attributes"), rows)]
        if metrics:
            lines = [
                (
                    f"`{item.name}`",
                    f"{item.instrument}, `{item.unit}`",
                    _meaning(item),
                    _references(registry, item.refs),
                )
                for item in metrics
            ]
            parts += ["### Metrics\n", _grid(("Name", "Instrument, unit", "Meaning", "Attributes"), lines)]
        if events:
            rows = [(f"`{item.name}`", item.brief, _references(registry, item.refs)) for item in events]
            parts += ["### Events\n", _grid(("Name", "Meaning", "Attributes"), rows)]
        ours = [item for item in registry.attributes.values() if item.subject == subject and not item.upstream]
        if ours:
            parts += ["### Attributes\n", _attribute_grid(ours, examples=True)]
        for group in registry.groups:
            if group.subject == subject:
                members = [registry.attributes[ref.key] for ref in group.refs]
                parts += [f"### {group.brief.rstrip('.')}\n", _attribute_grid(members, examples=False)]
    return "\n".join(parts)


def _attribute_grid(attributes: list[Attribute], *, examples: bool) -> str:
    rows = []
    for item in attributes:
        texts = [item.brief, item.note]
        texts += [f"`{member['value']}`: {member['brief']}" for member in item.members if "brief" in member]
        words = [f"`{member['value']}`" for member in item.members if "brief" not in member]
        texts += [f"{'Also' if len(words) < len(item.members) else 'One of'} {', '.join(words)}."] if words else []
        shown = ", ".join(f"`{_example(example)}`" for example in item.examples)
        rows.append((f"`{_key(item)}`", item.type, " ".join(filter(None, texts)), shown)[: 4 if examples else 3])
    return _grid(("Key", "Type", "Meaning", "Examples")[: 4 if examples else 3], rows)


def _meaning(metric: Entry) -> str:
    buckets = "Exponential buckets." if metric.exponential else ""
    if metric.bounds:
        buckets = f"{len(metric.bounds)} bucket limits from {metric.bounds[0]:,} to {metric.bounds[-1]:,}."
    return " ".join(filter(None, (metric.brief, metric.note, buckets)))


def _references(registry: Registry, refs: list[Ref]) -> str:
    keys = [(f"`{_key(registry.attributes[ref.key])}`", ref.level) for ref in refs]
    return ", ".join(f"{key} (*{level}*)" if level else key for key, level in keys)


def _key(item: Attribute) -> str:
    return f"{item.key}.<key>" if item.template else item.key


def _example(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_example, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _grid(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# Planned names


def planned_text(registry: Registry, package: Path) -> str:
    """Names whose constant no module of the package uses, by file of the registry."""
    used = _used_constants(package)
    lines = [
        "# Names in the registry that no part of mlotel uses yet, by the file that defines them.",
        "# Rewritten by: python tools/generate_semconv.py --planned",
    ]
    for subject in registry.titles:
        names = [
            f"{kind} {name}"
            for kind, name_in_python, name, owner in registry.constants()
            if owner == subject and (f"{kind}s", name_in_python) not in used
        ]
        if names:
            lines += ["", f"# {subject}", *names]
    return "\n".join(lines) + "\n"


def _used_constants(package: Path) -> set[tuple[str, str]]:
    """Module and name of each constant that is imported by name or reached through its module."""
    used: set[tuple[str, str]] = set()
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "semconv"):
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        modules: dict[str, str] = {}
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module == "mlotel.semconv":
                modules |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("mlotel.semconv."):
                used |= {(str(node.module).rpartition(".")[2], alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                names = [alias for alias in node.names if alias.name.startswith("mlotel.semconv.")]
                modules |= {alias.asname or alias.name: alias.name.rpartition(".")[2] for alias in names}
        for node in nodes:
            if isinstance(node, ast.Attribute) and (module := modules.get(ast.unparse(node.value))):
                used.add((module, node.attr))
    return used


def main() -> int:
    """Write, or compare; the exit status."""
    parser = argparse.ArgumentParser(description="Write mlotel's constants and docs/names.md from registry/*.yaml.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of step")
    parser.add_argument("--planned", action="store_true", help="also rewrite registry/planned.txt")
    options = parser.parse_args()
    try:
        registry = load(ROOT / "registry")
    except (RegistryError, yaml.YAMLError) as error:
        print(f"registry: {error}", file=sys.stderr)
        return 1
    wanted = {
        "src/mlotel/semconv/attributes.py": attributes_module(registry),
        "src/mlotel/semconv/metrics.py": metrics_module(registry),
        "src/mlotel/semconv/events.py": events_module(registry),
        "src/mlotel/semconv/spans.py": spans_module(registry),
        "src/mlotel/semconv/_types.py": types_module(registry),
        "docs/names.md": docs_page(registry),
    }
    if options.planned:
        wanted["registry/planned.txt"] = planned_text(registry, ROOT / "src" / "mlotel")
    return bring_into_step(wanted, "from registry/", check=options.check)


if __name__ == "__main__":
    sys.exit(main())
