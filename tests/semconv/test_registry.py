"""The registry of names on the wire, read here without the generator, and what is made from it."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlotel.semconv import _types, attributes, events, metrics, spans

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted((ROOT / "registry").glob("*.yaml"))}
OURS = [item for content in FILES.values() for item in content.get("attributes", ())]
REUSED = [
    item for group in FILES["upstream"]["attribute_groups"] for item in group["attributes"]
]  # references to OpenTelemetry's own registry
KEYS = [item["key"] for item in OURS] + [item["ref"] for item in REUSED]
METRICS = [item for content in FILES.values() for item in content.get("metrics", ())]
EVENTS = [item["name"] for content in FILES.values() for item in content.get("events", ())]
SPANS = [item["name"]["note"] for content in FILES.values() for item in content.get("spans", ())]

# The first edition of the names, as it was decided before the registry existed: what dashboards may rely on.
FIRST_ATTRIBUTES = """
ml.pipeline.name ml.run.id ml.experiment.name ml.component.name ml.component.type ml.component.owner
ml.component.description ml.component.staleness ml.component.cpu.time ml.component.memory.peak ml.component.input.ids
ml.component.output.ids ml.system.name ml.system.version ml.operation.name ml.data.row.count ml.data.column.count
ml.data.role ml.data.slice ml.model.name ml.model.version ml.training.epoch.index ml.training.step.first
ml.training.step.last ml.training.stage ml.training.phase ml.prediction.id ml.prediction.row.count ml.prediction.value
ml.class.label ml.link.type ml.link.evidence ml.check.name ml.check.status ml.check.message ml.artifact.id
ml.artifact.name ml.artifact.uri ml.artifact.type ml.artifact.role ml.artifact.digest.scope ml.artifact.content.id
ml.artifact.schema.hash ml.artifact.row.count ml.artifact.column.count ml.artifact.size ml.artifact.producer
ml.removal.reason ml.feature.name ml.feature.bin ml.statistic.name ml.drift.statistic ml.performance.metric
ml.feedback.outcome ml.loss.name ml.optimizer.param_group ml.alert.name ml.alert.severity ml.telemetry.signal
ml.telemetry.reason ml.check.stage ml.artifact.links.omitted ml.run.status error.type code.function.name
exception.type exception.message exception.stacktrace service.name service.version service.instance.id
vcs.ref.head.revision
"""
FIRST_TEMPLATES = {
    "ml.param": "any",
    "ml.tag": "string",
    "ml.training.time": "double",
    "ml.removal.rows": "int",
    "ml.check.value": "any",
}
FIRST_SPANS = """
pipeline {ml.pipeline.name}; component {ml.component.name}; read {ml.artifact.name}; write {ml.artifact.name};
train {ml.model.name}; epoch; steps; {ml.operation.name} {ml.component.name}; predict {ml.model.name};
feedback {ml.model.name}; check {ml.check.name}
""".replace("\n", " ")
FIRST_METRICS = """
ml.component.duration histogram s | ml.component.cpu.time histogram s | ml.component.memory.peak histogram By
ml.data.rows counter {row} | ml.data.rows.removed counter {row} | ml.pipeline.duration histogram s
ml.check.failures counter {failure} | ml.inference.duration histogram s | ml.inference.rows counter {row}
ml.inference.active updowncounter {inference} | ml.inference.predictions counter {prediction}
ml.inference.confidence histogram {score} | ml.inference.value histogram {value}
ml.class.proportion gauge {fraction} | ml.class.imbalance gauge {ratio} | ml.feature.values counter {value}
ml.feature.reference.proportion gauge {fraction} | ml.feature.statistic gauge {value}
ml.feature.missing gauge {fraction} | ml.feature.unseen gauge {fraction} | ml.feature.out_of_range gauge {fraction}
ml.drift.score gauge {score} | ml.drift.noise gauge {score} | ml.drift.evidence gauge {ratio}
ml.drift.level gauge {level} | ml.drift.detectable gauge {fraction} | ml.drift.detections counter {detection}
ml.drift.age gauge s | ml.performance.score gauge {score} | ml.performance.lower gauge {score}
ml.performance.upper gauge {score} | ml.performance.estimate gauge {score} | ml.performance.coverage gauge {fraction}
ml.feedback.labels counter {label} | ml.feedback.delay histogram s | ml.training.step.duration histogram s
ml.training.epoch.duration histogram s | ml.training.phase.duration histogram s | ml.training.steps counter {step}
ml.training.samples counter {sample} | ml.training.loss gauge {loss} | ml.training.learning_rate gauge {rate}
ml.training.gradient.norm gauge {norm} | ml.training.nonfinite counter {loss} | ml.training.progress gauge {fraction}
ml.training.score gauge {score} | ml.checkpoint.duration histogram s | ml.checkpoint.size histogram By
ml.alert.active gauge {alert} | ml.telemetry.dropped counter {record} | ml.telemetry.spooled counter {record}
ml.telemetry.exported counter {record}
"""
FIRST_EVENTS = """
ml.run.started ml.run.heartbeat ml.exception ml.check.result ml.drift.detected ml.drift.cleared ml.alert.raised
ml.alert.cleared ml.checkpoint.saved ml.feedback ml.prediction ml.flag.set ml.flag.cleared ml.training.verdict
"""
FIRST_VALUES = {
    "ml.artifact.type": "dataset features model predictions labels reference checkpoint metrics file other",
    "ml.artifact.role": "input output mutated",
    "ml.artifact.digest.scope": "full sampled metadata none",
    "ml.link.type": "consumed derived trained labelled previous",
    "ml.link.evidence": "process embedded sidecar index attrs backend declared",
    "ml.check.status": "passed failed skipped",
    "ml.check.stage": "before after",
    "ml.run.status": "ok error",
    "ml.data.role": "reference prediction label",
    "ml.statistic.name": "mean median std skewness kurtosis min max",
    "ml.drift.statistic": "psi ks wasserstein js hellinger tvd chi2 cramers_v",
    "ml.feedback.outcome": "matched late unknown duplicate",
    "ml.training.stage": "train validate test",
    "ml.training.phase": "data_wait transfer forward backward optimizer other",
    "ml.telemetry.signal": "traces metrics logs",
    "ml.telemetry.reason": "queue_full refused spool_full spool_unusable torn encode evicted cardinality",
}


def constant(name):
    return name.upper().replace(".", "_")


def public(module):
    """Constants of a generated module."""
    return {name: value for name, value in vars(module).items() if re.fullmatch("[A-Z][A-Z0-9_]*", name)}


# The registry itself


@pytest.mark.parametrize("kind", ["keys", "metrics", "events", "first words of spans"])
def test_names_are_well_formed(kind):
    """Names are lower-case words, joined by dots and underscores, beginning with a letter."""
    names = {
        "keys": KEYS,
        "metrics": [metric["name"] for metric in METRICS],
        "events": EVENTS,
        "first words of spans": [name.split()[0] for name in SPANS if not name.startswith("{")],
    }[kind]

    assert names
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*([._][a-z0-9]+)*", name)] == []


def test_no_key_is_the_namespace_of_another():
    """No attribute key, template or not, is what comes before a dot in another one."""
    assert [(key, other) for key in KEYS for other in KEYS if other.startswith(f"{key}.")] == []


def test_no_name_is_defined_twice():
    """Each key, metric, event and span has one definition in all files together."""
    for names in (KEYS, [metric["name"] for metric in METRICS], EVENTS, SPANS):
        assert [name for name in names if names.count(name) > 1] == []


def test_what_is_ours_is_under_one_root():
    """Names defined here begin with ml., names of OpenTelemetry are references and do not."""
    assert [item["key"] for item in OURS if not item["key"].startswith("ml.")] == []
    assert [item["ref"] for item in REUSED if item["ref"].startswith("ml.")] == []
    assert [name for name in [*EVENTS, *(m["name"] for m in METRICS)] if not name.startswith("ml.")] == []


def test_no_gauge_has_unit_1():
    """A gauge of unit 1 would have one name in Prometheus by OTLP and another by its exporter."""
    assert [metric["name"] for metric in METRICS if metric["instrument"] == "gauge" and metric["unit"] == "1"] == []


def test_no_name_holds_a_unit():
    """Units stand beside the name, and a counter is not called total."""
    units = {"s", "ms", "us", "ns", "seconds", "milliseconds", "bytes", "kb", "mb", "gb", "percent", "ratio", "total"}
    names = [*(item["key"] for item in OURS), *(metric["name"] for metric in METRICS)]

    assert [name for name in names if units & set(re.split("[._]", name))] == []


def test_points_of_metrics_have_few_attribute_values():
    """Nothing that is new with each run, artifact, step or prediction is on a metric, and all values are words."""
    one_each = re.compile(r".*\.(id|ids|hash|uri|producer|message)")
    for spec in _types.METRICS.values():
        assert [key for key in spec.attributes if _types.ATTRIBUTE_TYPES[key] != "string"] == [], spec.name
        assert [key for key in spec.attributes if one_each.fullmatch(key)] == [], spec.name


def test_histograms_say_what_their_buckets_are():
    """Bucket limits rise and suit the unit; predicted numbers, of unknown size, have exponential buckets."""
    specs = _types.METRICS
    for spec in specs.values():
        has_buckets = bool(spec.bounds) != spec.exponential
        assert has_buckets == (spec.instrument == "histogram"), spec.name
        assert list(spec.bounds) == sorted(set(spec.bounds)), spec.name

    assert (specs["ml.component.duration"].bounds[0], specs["ml.component.duration"].bounds[-1]) == (0.001, 3600)
    assert (specs["ml.inference.duration"].bounds[0], specs["ml.inference.duration"].bounds[-1]) == (0.0005, 10)
    assert specs["ml.inference.confidence"].bounds == tuple(step / 20 for step in range(1, 21))
    assert specs["ml.component.memory.peak"].bounds == tuple(2**power for power in range(20, 40, 2))
    assert specs["ml.inference.value"].exponential


def test_the_first_edition_is_there():
    """Every name of the first edition is in the registry, with the instrument, unit and values it was given."""
    by_name = {metric["name"]: f"{metric['name']} {metric['instrument']} {metric['unit']}" for metric in METRICS}
    wanted = [line.strip() for line in re.split(r"[|\n]", FIRST_METRICS) if line.strip()]

    assert [key for key in FIRST_ATTRIBUTES.split() if key not in KEYS] == []
    assert {key: _types.TEMPLATE_TYPES.get(key) for key in FIRST_TEMPLATES} == FIRST_TEMPLATES
    assert [name for name in (part.strip() for part in FIRST_SPANS.split(";")) if name not in SPANS] == []
    assert [line for line in wanted if by_name.get(line.split()[0]) != line] == []
    assert [name for name in FIRST_EVENTS.split() if name not in EVENTS] == []
    assert {key: " ".join(_types.ENUM_VALUES.get(key, ())) for key in FIRST_VALUES} == FIRST_VALUES


# What is made from it


def test_generated_files_are_in_step():
    """Constants and docs are what the generator makes of the registry as it is."""
    run = subprocess.run(
        [sys.executable, "tools/generate_semconv.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_change_of_the_registry_shows_until_it_is_generated(tmp_path):
    """--check prints the difference and exits 1; a plain run writes the files; after it --check is content."""
    for name in ("tools", "registry", "docs", "src/mlotel/semconv"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    telemetry = tmp_path / "registry" / "telemetry.yaml"
    telemetry.write_text(
        telemetry.read_text("utf-8").replace("Records that are lost.", "Records lost for good."), "utf-8"
    )

    def generate(*arguments):
        command = [sys.executable, tmp_path / "tools" / "generate_semconv.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    before, write, after = generate("--check"), generate(), generate("--check")

    assert before.returncode == 1
    assert '+    brief="Records lost for good.",' in before.stdout
    assert write.stdout.split() == ["wrote", "src/mlotel/semconv/metrics.py", "wrote", "docs/names.md"]
    assert (after.returncode, after.stdout) == (0, "")


def test_every_name_has_one_constant():
    """A constant is its name in capitals; each name has one, but for attributes that the SDK sets by itself."""
    templates = [item["key"] for item in OURS if str(item["type"]).startswith("template[")]
    by_sdk = [item["ref"] for item in REUSED if item["annotations"].get("set_by") == "sdk"]
    plain = [key for key in KEYS if key not in templates + by_sdk]
    words = [name.split()[0] for name in SPANS if not name.startswith("{")]

    assert public(attributes) == {
        **{constant(key): key for key in plain},
        **{f"{constant(key)}_TEMPLATE": key for key in templates},
    }
    assert {name: spec.name for name, spec in public(metrics).items()} == {
        constant(metric["name"]): metric["name"] for metric in METRICS
    }
    assert public(events) == {constant(name): name for name in EVENTS}
    assert public(spans) == {constant(word): word for word in words}
    assert attributes.ML_PIPELINE_NAME == "ml.pipeline.name"
    assert attributes.ML_PARAM_TEMPLATE == "ml.param"
    assert metrics.ML_DATA_ROWS.unit == "{row}"
    assert events.ML_RUN_STARTED == "ml.run.started"
    assert spans.PIPELINE == "pipeline"


def test_tables_hold_the_types():
    """The tables for tests and tools give each key its value type, each event, span and metric its attributes."""
    assert set(_types.ATTRIBUTE_TYPES) | set(_types.TEMPLATE_TYPES) == set(KEYS)
    assert set(_types.METRICS) == {metric["name"] for metric in METRICS}
    assert set(_types.EVENTS) == set(EVENTS)
    assert set(_types.SPANS) == set(SPANS)
    assert _types.ATTRIBUTE_TYPES["ml.artifact.row.count"] == "int"
    assert _types.ATTRIBUTE_TYPES["ml.component.input.ids"] == "string[]"
    assert _types.ATTRIBUTE_TYPES["ml.component.cpu.time"] == "double"
    assert _types.ATTRIBUTE_TYPES["ml.artifact.type"] == "string"
    assert _types.ATTRIBUTE_TYPES["ml.vcs.dirty"] == "boolean"
    assert _types.ATTRIBUTE_TYPES["process.pid"] == "int"
    assert _types.METRICS["ml.check.failures"].attributes == ("ml.check.name", "ml.component.name")
    assert "exception.stacktrace" in _types.EVENTS["ml.exception"]
    assert "ml.param" in _types.SPANS["pipeline {ml.pipeline.name}"]
    assert _types.GROUPS["ml.link"] == ("ml.link.type", "ml.link.evidence", "ml.artifact.id")


def test_the_docs_show_every_name():
    """docs/names.md has a row for each attribute, metric, event and span."""
    rows = [line.split(" |")[0] for line in (ROOT / "docs" / "names.md").read_text("utf-8").splitlines()]
    shown = {match[1] for row in rows if (match := re.fullmatch(r"\| `(.*)`", row))}
    keys = {f"{key}.<key>" if key in _types.TEMPLATE_TYPES else key for key in KEYS}

    assert shown == keys | set(EVENTS) | set(SPANS) | {metric["name"] for metric in METRICS}


def test_keys_cost_nothing_to_import():
    """mlotel.semconv.attributes loads nothing that `import mlotel` and typing have not loaded already."""
    code = "import sys, typing, mlotel; before = set(sys.modules); import mlotel.semconv.attributes; "
    code += "print(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set(run.stdout.split()) <= {"mlotel.semconv", "mlotel.semconv.attributes"}


# Use


def used_constants():
    """(module, constant) of each constant of mlotel.semconv that the package itself imports or reaches."""
    used = set()
    for path in sorted((ROOT / "src" / "mlotel").rglob("*.py")):
        if "semconv" in path.relative_to(ROOT / "src" / "mlotel").parts:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        modules = {}
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom(module="mlotel.semconv"):
                    modules.update({name.asname or name.name: name.name for name in node.names})
                case ast.ImportFrom(module=str(module)) if module.startswith("mlotel.semconv."):
                    used.update((module.removeprefix("mlotel.semconv."), name.name) for name in node.names)
                case ast.Import():
                    full = [name for name in node.names if name.name.startswith("mlotel.semconv.")]
                    modules.update({n.asname or n.name: n.name.removeprefix("mlotel.semconv.") for n in full})
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in modules:
                used.add((modules[ast.unparse(node.value)], node.attr))
    return used


def test_names_that_nothing_uses_are_planned():
    """A name is used by the package or listed in registry/planned.txt, once, and never both."""
    kinds = {"attribute": attributes, "metric": metrics, "event": events, "span": spans}
    every = {
        f"{kind} {getattr(value, 'name', value)}": (f"{kind}s", name)
        for kind, module in kinds.items()
        for name, value in public(module).items()
    }
    used = used_constants()
    lines = (ROOT / "registry" / "planned.txt").read_text("utf-8").splitlines()
    planned = [line for line in lines if line and not line.startswith("#")]
    hint = "run: python tools/generate_semconv.py --planned"

    assert [line for line in planned if planned.count(line) > 1] == [], hint
    assert [line for line in planned if line not in every] == [], f"planned, but not in the registry; {hint}"
    assert [line for line in planned if every[line] in used] == [], f"planned, but in use; {hint}"
    unused = [name for name, where in every.items() if where not in used]
    assert [name for name in unused if name not in planned] == [], f"neither used nor planned; {hint}"


def test_the_package_uses_no_name_that_does_not_exist():
    """What is taken from the modules of constants is in them."""
    modules = {"attributes": attributes, "metrics": metrics, "events": events, "spans": spans}

    assert [pair for pair in used_constants() if pair[0] in modules and not hasattr(modules[pair[0]], pair[1])] == []


# What the generator refuses

ATTRIBUTE = "  - {key: ml.a.b, type: string, stability: development, brief: A name., examples: [x]}\n"
EVENT = "events:\n  - {name: ml.e, stability: development, brief: It happened., attributes: [{ref: ml.a.b}]}\n"
SOUND = "# Title\nfile_format: definition/2\nattributes:\n" + ATTRIBUTE + EVENT


def metric(name="ml.m", instrument="counter", unit="{row}", extra=""):
    fields = f"name: {name}, instrument: {instrument}, unit: '{unit}', stability: development, brief: A number.{extra}"
    return f"metrics:\n  - {{{fields}}}\n"


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Loads a registry of one file with the given text."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    module = importlib.import_module("semconv_registry")

    def load(text):
        (tmp_path / "subject.yaml").write_text(text, "utf-8")
        return module.load(tmp_path)

    load.error = module.RegistryError
    return load


def test_a_sound_registry_is_accepted(load):
    """What the broken ones below are made from is in order."""
    assert list(load(SOUND + metric()).attributes) == ["ml.a.b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SOUND.replace(ATTRIBUTE, 2 * ATTRIBUTE), "already defined"),
        (SOUND.replace(ATTRIBUTE, ATTRIBUTE + ATTRIBUTE.replace("ml.a.b", "ml.a.b.c")), "is the namespace of ml.a.b.c"),
        (
            SOUND.replace(
                ATTRIBUTE, ATTRIBUTE.replace("string", "'template[string]'") + ATTRIBUTE.replace("a.b", "a.b.c")
            ),
            "is the namespace of ml.a.b.c",
        ),
        (SOUND.replace(ATTRIBUTE, ATTRIBUTE + ATTRIBUTE.replace("ml.a.b", "ml.a_b")), "has the same constant"),
        (SOUND.replace("ml.a.b", "ml.A.b"), "does not match"),
        (SOUND.replace("ml.a.b", "ml.a..b"), "does not match"),
        (SOUND.replace("ml.a.b", "ml.a.b_ms"), "does not belong in a name: ms"),
        (SOUND.replace("ml.a.b", "a.b"), "is not under ml."),
        (SOUND.replace("type: string", "type: number"), "unknown type 'number'"),
        (SOUND.replace("[x]", "[1]"), "the example 1 is no string"),
        (SOUND.replace("brief: A name.", "brief: A name"), "brief is not a sentence"),
        (SOUND.replace("brief: A name.", "brief: A name., brief: Again."), "a key is given twice"),
        (SOUND.replace("examples", "example"), "unknown example"),
        (SOUND.replace("{ref: ml.a.b}", "{ref: ml.other}"), "unknown attribute 'ml.other'"),
        (SOUND.replace("{ref: ml.a.b}", "{ref_group: other}"), "unknown group 'other'"),
        (SOUND.replace("{ref: ml.a.b}", "{ref: ml.a.b}, {ref: ml.a.b}"), "is given twice"),
        (SOUND.replace("[{ref: ml.a.b}]", "[]"), "no span, metric, event or public group has ml.a.b"),
        (SOUND.replace("definition/2", "definition/1"), "file_format is not definition/2"),
        (SOUND.replace("# Title\n", ""), "not a comment that gives the title"),
        (SOUND + metric() + metric().removeprefix("metrics:\n"), "has the same constant as 'ml.m'"),
        (SOUND + metric(instrument="gauge", unit="1"), "is a gauge of unit 1"),
        (SOUND + metric(name="ml.rows_total"), "does not belong in a name: total"),
        (SOUND + metric(name="ml.duration.seconds"), "does not belong in a name: seconds"),
        (SOUND + metric(instrument="summary"), "unknown instrument 'summary'"),
        (SOUND + metric(instrument="histogram"), "says nothing about its buckets"),
        (SOUND + metric(extra=", annotations: {aggregation: {method: exponentialhistogram}}"), "is no histogram"),
    ],
)
def test_a_broken_registry_is_refused(load, text, message):
    """Whatever breaks a rule stops the generator, with the place and the reason."""
    with pytest.raises(load.error, match=re.escape(message)):
        load(text)
