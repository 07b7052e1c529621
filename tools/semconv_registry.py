"""Reads registry/*.yaml and refuses whatever breaks a rule of the names on the wire.

The registry has the form of OpenTelemetry's own (``file_format: definition/2``). The first comment of a file is the
title of its section in the docs, the comments after it are the introduction.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

ORDER = ["pipeline", "artifact", "check", "library", "inference", "drift", "performance", "training", "alert"]
"""Files in the order in which a reader meets them; others follow, upstream comes last."""

KEY = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
SCALARS: dict[str, type] = {"string": str, "int": int, "double": float, "boolean": bool}
TYPES = {*SCALARS, *(f"{name}[]" for name in SCALARS), "any"}
INSTRUMENTS = {"counter", "updowncounter", "histogram", "gauge"}
LEVELS = {"required": "always", "recommended": "", "opt_in": "with capture on"}
NOT_IN_NAMES = {"s", "ms", "us", "ns", "seconds", "milliseconds", "by", "bytes", "kb", "mb", "gb", "percent", "total"}
FIELDS = {
    "file": "file_format attributes attribute_groups spans metrics events",
    "attribute": "key type stability brief note examples",
    "member": "id value brief stability",
    "group": "id visibility stability brief attributes",
    "span": "type kind stability name brief note attributes",
    "metric": "name instrument unit stability brief note annotations attributes",
    "event": "name stability brief note attributes",
    "reference": "ref ref_group requirement_level brief annotations",
}


class RegistryError(Exception):
    """The registry breaks one of its rules."""


@dataclass
class Attribute:
    """An attribute, or a template that stands for all keys that begin with ``key`` and a dot."""

    key: str
    type: str
    brief: str
    subject: str
    note: str = ""
    examples: list[Any] = field(default_factory=list)
    members: list[dict[str, str]] = field(default_factory=list)
    template: bool = False
    upstream: bool = False
    has_constant: bool = True

    @property
    def constant(self) -> str:
        return constant(self.key) + ("_TEMPLATE" if self.template else "")


@dataclass
class Ref:
    """An attribute of a span, metric, event or group, and when it is there."""

    key: str
    level: str


@dataclass
class Entry:
    """A span (``name`` is the pattern of its name), metric, event or public group of attributes."""

    name: str
    brief: str
    subject: str
    refs: list[Ref]
    note: str = ""
    unit: str = ""
    instrument: str = ""
    bounds: tuple[float, ...] = ()
    exponential: bool = False


@dataclass
class Registry:
    """All files of the registry, checked. ``titles`` maps a file's stem to its title and introduction."""

    titles: dict[str, tuple[str, str]] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    spans: list[Entry] = field(default_factory=list)
    metrics: list[Entry] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)
    groups: list[Entry] = field(default_factory=list)

    def span_words(self) -> dict[str, Entry]:
        """First words of span names, where that word is fixed."""
        return {span.name.split()[0]: span for span in self.spans if not span.name.startswith("{")}

    def constants(self) -> Iterator[tuple[str, str, str, str]]:
        """Kind, constant, name on the wire and subject of everything that gets a constant."""
        for attribute in self.attributes.values():
            if attribute.has_constant:
                yield "attribute", attribute.constant, attribute.key, attribute.subject
        for kind, entries in (("metric", self.metrics), ("event", self.events)):
            for entry in entries:
                yield kind, constant(entry.name), entry.name, entry.subject
        for word, span in self.span_words().items():
            yield "span", constant(word), word, span.subject


def constant(name: str) -> str:
    """Python name of a name on the wire."""
    return re.sub(r"[._]", "_", name).upper()


def load(folder: Path) -> Registry:
    """Read all files of ``folder``.

    Raises:
        RegistryError: Where the first broken rule is, and which.
    """
    registry = Registry()
    contents: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.yaml"), key=_position):
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, _Loader)
        _fields(content, "file", path.name)
        if content.get("file_format") != "definition/2":
            _refuse(path.name, "file_format is not definition/2")
        comments = [line[1:].strip() for line in text.partition("file_format")[0].splitlines() if line.startswith("#")]
        if not comments:
            _refuse(path.name, "the first line is not a comment that gives the title")
        registry.titles[path.stem] = comments[0], " ".join(comments[1:])
        contents[path.stem] = content
    for subject, content in contents.items():
        for raw in content.get("attributes", ()):
            _add(registry, _attribute(raw, subject))
        for group in content.get("attribute_groups", ()):
            for raw in group["attributes"]:
                if "type" in raw.get("annotations", {}):
                    _add(registry, _upstream(raw, subject))
    groups = _groups(registry, contents)
    for subject, content in contents.items():
        for kind, entries in (("span", registry.spans), ("metric", registry.metrics), ("event", registry.events)):
            entries += [_entry(registry, raw, kind, subject, groups) for raw in content.get(f"{kind}s", ())]
    _check_names(registry)
    return registry


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped base, see the import
    """Refuses a key that is given twice, of which YAML would keep the last in silence."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs = [(loader.construct_object(key), loader.construct_object(value, deep=True)) for key, value in node.value]
    if len(dict(pairs)) < len(pairs):
        _refuse(
            f"line {node.start_mark.line + 1}", f"a key is given twice in {', '.join(str(key) for key, _ in pairs)}"
        )
    return dict(pairs)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _position(path: Path) -> tuple[bool, int, str]:
    return path.stem == "upstream", ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.stem


def _refuse(where: str, why: str) -> NoReturn:
    raise RegistryError(f"{where}: {why}")


def _fields(raw: dict[str, Any], kind: str, where: str) -> None:
    unknown = set(raw) - set(FIELDS[kind].split())
    if unknown:
        _refuse(where, f"unknown {', '.join(sorted(unknown))}; a {kind} has {FIELDS[kind]}")
    if kind in ("attribute", "span", "metric", "event"):
        _sentence(raw, where)
        if raw.get("stability") != "development":
            _refuse(where, "stability is not development")


def _sentence(raw: dict[str, Any], where: str) -> None:
    if not str(raw.get("brief", "")).endswith("."):
        _refuse(where, "brief is not a sentence")


def _attribute(raw: dict[str, Any], subject: str) -> Attribute:
    where = f"{subject}.yaml: attribute {raw.get('key')!r}"
    _fields(raw, "attribute", where)
    if not raw["key"].startswith("ml."):
        _refuse(where, "is not under ml.; names of others belong to upstream.yaml")
    kind: str = "string"
    members: list[dict[str, str]] = []
    examples = raw.get("examples", [])
    if isinstance(raw["type"], dict):
        members = raw["type"]["members"]
        values = [member["value"] for member in members]
        for member in members:
            _fields(member, "member", where)
        if not values or len(set(values)) < len(values) or not all(isinstance(value, str) for value in values):
            _refuse(where, "members are different strings, at least one")
    else:
        kind = raw["type"]
        if not examples:
            _refuse(where, "has no examples")
    template = kind.startswith("template[")
    kind = kind.removeprefix("template[").removesuffix("]") if template else kind
    if kind not in TYPES:
        _refuse(where, f"unknown type {kind!r}; types are {', '.join(sorted(TYPES))}, template[type] and members")
    for example in examples:
        if not _fits(example, kind):
            _refuse(where, f"the example {example!r} is no {kind}")
    note = " ".join(raw.get("note", "").split())
    return Attribute(raw["key"], kind, raw["brief"], subject, note, examples, members, template)


def _fits(value: Any, kind: str) -> bool:
    if kind == "any":
        items = value if isinstance(value, list) else [value]
        return all(type(item) is type(items[0]) and type(item) in SCALARS.values() for item in items)
    if kind.endswith("[]"):
        return isinstance(value, list) and all(_fits(item, kind[:-2]) for item in value)
    return type(value) is SCALARS[kind]


def _upstream(raw: dict[str, Any], subject: str) -> Attribute:
    where = f"{subject}.yaml: reference {raw['ref']!r}"
    if raw["ref"].startswith("ml."):
        _refuse(where, "is ours and must be defined under attributes")
    annotations = raw["annotations"]
    if annotations["type"] not in TYPES:
        _refuse(where, f"unknown type {annotations['type']!r}")
    _sentence(raw, where)
    attribute = Attribute(raw["ref"], annotations["type"], raw["brief"], subject, upstream=True)
    attribute.has_constant = annotations.get("set_by") != "sdk"
    return attribute


def _add(registry: Registry, attribute: Attribute) -> None:
    if attribute.key in registry.attributes:
        first = registry.attributes[attribute.key].subject
        _refuse(f"{attribute.subject}.yaml: attribute {attribute.key!r}", f"is already defined in {first}.yaml")
    registry.attributes[attribute.key] = attribute


_Group = Callable[[str, str], list[Ref]]


def _groups(registry: Registry, contents: dict[str, dict[str, Any]]) -> _Group:
    """Adds the public groups to the registry; returns what gives the attributes of a group, public or not."""
    raws: dict[str, tuple[dict[str, Any], str]] = {}
    for subject, content in contents.items():
        for raw in content.get("attribute_groups", ()):
            where = f"{subject}.yaml: group {raw.get('id')!r}"
            _fields(raw, "group", where)
            if raw["id"] in raws:
                _refuse(where, "is defined twice")
            raws[raw["id"]] = raw, where

    def refs_of(name: str, where: str) -> list[Ref]:
        if name not in raws:
            _refuse(where, f"unknown group {name!r}")
        return _refs(registry, *raws[name], refs_of)

    for name, (raw, where) in raws.items():
        refs = refs_of(name, where)
        if raw["visibility"] == "public":
            _sentence(raw, where)
            registry.groups.append(Entry(name, raw["brief"], where.partition(".yaml")[0], refs))
    return refs_of


def _refs(registry: Registry, raw: dict[str, Any], where: str, group: _Group) -> list[Ref]:
    refs: list[Ref] = []
    for item in raw.get("attributes", ()):
        _fields(item, "reference", where)
        if "ref_group" in item:
            refs += group(item["ref_group"], where)
            continue
        level = item.get("requirement_level", "recommended")
        level = level["conditionally_required"] if isinstance(level, dict) else LEVELS[level]
        refs.append(Ref(item["ref"], level))
    keys = [ref.key for ref in refs]
    for key in keys:
        if key not in registry.attributes:
            _refuse(where, f"unknown attribute {key!r}")
        if keys.count(key) > 1:
            _refuse(where, f"attribute {key!r} is given twice")
    return refs


def _entry(registry: Registry, raw: dict[str, Any], kind: str, subject: str, group: _Group) -> Entry:
    name = raw["name"]["note"] if kind == "span" else raw["name"]
    where = f"{subject}.yaml: {kind} {name!r}"
    _fields(raw, kind, where)
    refs = _refs(registry, raw, where, group)
    entry = Entry(name, raw["brief"], subject, refs, note=" ".join(raw.get("note", "").split()))
    if kind == "span":
        always = {ref.key for ref in refs if ref.level == "always"}
        missing = set(re.findall(r"{(.*?)}", name)) - always
        if raw["kind"] != "internal" or missing:
            _refuse(where, f"kind is not internal, or {missing} is in the name and not always an attribute")
    elif not name.startswith("ml."):
        _refuse(where, "is not under ml.")
    if kind == "metric":
        _measure(entry, raw, where)
    return entry


def _measure(entry: Entry, raw: dict[str, Any], where: str) -> None:
    entry.unit, entry.instrument = raw["unit"], raw["instrument"]
    if entry.instrument not in INSTRUMENTS:
        _refuse(where, f"unknown instrument {entry.instrument!r}; there are {', '.join(sorted(INSTRUMENTS))}")
    if entry.instrument == "gauge" and entry.unit == "1":
        _refuse(where, "is a gauge of unit 1, which gets two names in Prometheus; use a unit in braces: {fraction}")
    # The form of this annotation is the one proposed for OpenTelemetry's own tools.
    aggregation = raw.get("annotations", {}).get("aggregation", {})
    entry.bounds = tuple(aggregation.get("parameters", {}).get("boundaries", ()))
    entry.exponential = aggregation.get("method") == "exponentialhistogram"
    if entry.instrument != "histogram":
        if aggregation:
            _refuse(where, "has an aggregation and is no histogram")
    elif not entry.exponential and (aggregation.get("method") != "explicithistogram" or not entry.bounds):
        _refuse(where, "is a histogram and says nothing about its buckets")
    if list(entry.bounds) != sorted(set(entry.bounds)):
        _refuse(where, "the boundaries do not rise")


def _check_names(registry: Registry) -> None:
    names = [entry.name for entry in (*registry.metrics, *registry.events)]
    for name in (*registry.attributes, *names, *registry.span_words()):
        if not KEY.fullmatch(name):
            _refuse(repr(name), f"does not match ^{KEY.pattern}$")
    seen: dict[tuple[str, str], str] = {}
    for kind, name_in_python, name, subject in registry.constants():
        where = f"{subject}.yaml: {kind} {name!r}"
        if (kind, name_in_python) in seen:
            _refuse(where, f"has the same constant as {seen[kind, name_in_python]!r}")
        seen[kind, name_in_python] = name
        words = set(re.split(r"[._]", name)) & NOT_IN_NAMES
        if words and name.startswith("ml."):
            _refuse(where, f"a unit or 'total' does not belong in a name: {', '.join(words)}")
    for key, attribute in registry.attributes.items():
        where = f"{attribute.subject}.yaml: attribute {key!r}"
        inside = [other for other in registry.attributes if other.startswith(f"{key}.")]
        if inside:
            _refuse(where, f"is the namespace of {', '.join(inside)}")
    if len({span.name for span in registry.spans}) < len(registry.spans):
        _refuse("registry", "two spans have the same name")
    entries = [*registry.spans, *registry.metrics, *registry.events, *registry.groups]
    lost = set(registry.attributes) - {ref.key for entry in entries for ref in entry.refs}
    if lost:
        _refuse("registry", f"no span, metric, event or public group has {', '.join(sorted(lost))}")
