"""Whatever users can type, set or get is on a page: names, methods, arguments, commands, variables, signals, plugins.

Each test collects what there is from the code, not from a list, so that something new fails here until it is described.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT

import mlotel
from mlotel import _plugins, testing
from mlotel.doctor._variables import VARIABLES
from mlotel.semconv import events, metrics, spans

SOURCE = Path(mlotel.__file__).parent
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
WRITTEN = {name: text for name, text in TEXT.items() if name not in ("names.md", "api.md")}
BY_HAND = "\n".join(WRITTEN.values())
CODE = [file for file in sorted(SOURCE.rglob("*.py")) if not file.is_relative_to(SOURCE / "semconv")]
PLUGIN_FOLDERS = {  # what is in each plugin
    "artifacts": "def identify(",
    "cli": "def add_arguments(",
    "doctor": "SECTION = ",
    "drift/statistics": "STATISTIC = ",
    "instrumentation": "def install(",
    "quality": "CHECK = ",
}


BETWEEN_PARTS = {  # methods and attributes without an underscore that parts of mlotel have for one another
    "artifact_type", "finish", "forget", "is_model_given", "restart", "undecided", "unwatch", "watch",
}  # fmt: skip
DATA = {"X", "detector", "name", "reference", "value"}
"""What a call is about: it comes first, and nobody writes its name."""


def missing(names, text, form=r"(?<![\w.]){}(?!\w)"):
    """Which of ``names`` the text does not hold."""
    return sorted(name for name in names if not re.search(form.format(re.escape(name)), text))


def test_every_public_name_has_an_entry_and_a_place_in_the_text():
    """What is in ``mlotel.__all__`` stands in the API page and is used or explained on another page."""
    names = set(mlotel.__all__) - {"__version__"}

    assert missing({f"mlotel.{name}" for name in names}, TEXT["api.md"], r":: {}(?![\w.])") == []
    assert missing(names, BY_HAND, r"(?<!\w){}(?!\w)") == []


@pytest.mark.parametrize(
    "kind",
    [
        mlotel.Component, mlotel.Run, mlotel.Telemetry, testing.Capture, mlotel.Flush, mlotel.Reference,
        mlotel.drift.Detector, mlotel.drift.Report,
    ],
)  # fmt: skip
def test_every_public_method_and_attribute_is_explained(kind):
    """Methods, properties and attributes of what users hold in their hands stand on a page that somebody wrote."""
    named = {name for name in vars(kind) if not name.startswith("_")}
    named |= set(re.findall(r"^        (\w+): ", (kind.__doc__ or "").partition("Attributes:")[2], re.MULTILINE))

    assert named
    assert missing(named - BETWEEN_PARTS, BY_HAND, r"(?:\.|`){}(?!\w)") == []


@pytest.mark.parametrize(
    "call",
    [
        mlotel.configure, mlotel.pipeline, mlotel.component, mlotel.read, mlotel.observe, mlotel.Reference.fit,
        mlotel.drift.Detector,
    ],
)  # fmt: skip
def test_every_argument_is_explained(call):
    """Every argument of the calls that users make stands on a page that somebody wrote."""
    parameters = inspect.signature(call).parameters.values()
    names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}

    assert missing(names - DATA, BY_HAND, r"(?:`|\b){}(?:`|=)") == []


def test_every_error_is_in_the_api_page():
    """The API page lists the errors from the module itself, so one more is there at once."""
    assert re.search(r"automodule:: mlotel\.errors\n +:members:\n", TEXT["api.md"])


def test_every_command_has_its_heading_and_its_help():
    """The page of the command line has a section for each command, with every option it takes."""
    for name in _plugins.names("cli"):
        assert f"\n## mlotel {name}\n" in TEXT["cli.md"], name
        parser = _Options()
        _plugins.load("cli", name).add_arguments(parser)
        section = TEXT["cli.md"].partition(f"\n## mlotel {name}\n")[2].partition("\n## ")[0]
        assert missing(parser.options, section, r"(?<![\w-]){}(?![\w-])") == []


class _Options:
    """Stands for a parser and notes what is added to it."""

    def __init__(self):
        self.options = set()

    def add_argument(self, *names, **_):
        self.options.update(names)

    def add_argument_group(self, *_, **__):
        return self

    def add_mutually_exclusive_group(self, *_, **__):
        return self


READERS = {"get", "getenv", "text", "truth", "number", "whole", "milliseconds"}


def variables():
    """Names of environment variables in the code; ``*`` stands for what is put in when it runs."""
    found = set()
    for file in CODE:
        if (
            file.parent.name == "doctor"
        ):  # it tells of variables that others read, such as gunicorn's; see the test below
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} if re.fullmatch(r"(OTEL|MLOTEL)_[A-Z_]+[A-Z]", node.value) else set()
                found |= set(re.findall(r"\b((?:OTEL|MLOTEL)_[A-Z_]+[A-Z])\b", node.value)) - {"OTEL_BSP", "OTEL_BLRP"}
            elif isinstance(node, ast.JoinedStr):
                name = "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
                found |= {name} if re.fullmatch(r"\*?[A-Z_*]+", name) and re.search(r"OTEL_|^\*_[A-Z]", name) else set()
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS:
                names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found |= {name for name in names if re.fullmatch(r"[A-Z][A-Z0-9_]{3,}", name)}
    return found - {"OTEL_BSP", "OTEL_BLRP"}


def test_every_environment_variable_is_explained():
    """Each variable that the code reads stands in the page of the configuration; of a family, a member."""
    page = TEXT["configuration.md"] + TEXT["concepts.md"]
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)(?:=[^`]*)?`", page))
    lost = set()
    for name in variables():
        pattern = re.sub(r"^\\\*", "[A-Z_]+", re.escape(name)).replace(r"\*", "[A-Z]+")
        pattern = pattern.replace("OTLP_[A-Z]+_", "OTLP_(?:[A-Z]+_)?")  # "…, and one for each signal"
        if not any(re.fullmatch(pattern, known) for known in documented):
            lost.add(name)

    assert len(variables()) > 25
    assert sorted(lost) == []


def test_each_variable_of_ours_has_its_row_and_its_default():
    """The table on the page names the variables that ``mlotel doctor`` knows, each once, with the default it shows."""
    page = TEXT["configuration.md"].partition("\n## Variables of mlotel\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(MLOTEL_\w+)` \| (?:`([^`]+)`|none) \|", page, re.MULTILINE)
    ours = {name: variable.default for name, variable in VARIABLES.items() if name.startswith("MLOTEL_")}

    assert dict(rows) == ours
    assert len(rows) == len(ours)


def emitted():
    """Names of the metrics, events and kinds of spans whose constants the code uses."""
    used = {
        node.attr
        for file in CODE
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    constants = [(name, value) for module in (metrics, events, spans) for name, value in vars(module).items()]
    return {getattr(value, "name", value) for name, value in constants if name.isupper() and name in used}


def test_every_signal_is_explained():
    """Whatever is emitted is in the table of names, and on a page that says what it is for."""
    found = emitted()

    assert {"pipeline", "ml.run.started", "ml.component.duration"} <= found
    assert missing(found, TEXT["names.md"], r"`{}(?:`| \{{)") == []
    assert missing(found, BY_HAND, "`{}[ `]") == []


@pytest.mark.parametrize("folder", PLUGIN_FOLDERS)
def test_every_plugin_is_listed(folder):
    """The page about the source names each plugin of each folder, and how another distribution adds one."""
    page = TEXT["architecture.md"] + TEXT["cli.md"]

    # Read, not imported: the library of a plugin need not be here.
    files = {name: SOURCE / folder / f"{name}.py" for name in _plugins.own(folder.replace("/", "."))}
    names = {
        name
        for name, file in files.items()
        if file.is_file() and f"\n{PLUGIN_FOLDERS[folder]}" in file.read_text(encoding="utf-8")
    }
    assert names
    assert missing(names, page, r"(?<!\w){}(?!\w)") == []
    assert f"mlotel.{folder.replace('/', '.')}" in TEXT["architecture.md"]


def test_every_folder_of_plugins_is_known_here():
    """A folder that the code loads plugins from by name is among those above."""
    loaded = {
        node.args[0].value
        for file in CODE
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("names", "load", "has")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "_plugins"
    }

    assert loaded <= {folder.replace("/", ".") for folder in PLUGIN_FOLDERS}


def test_every_part_of_the_source_is_in_the_map():
    """The page about the source has a row for each folder of the package."""
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}

    assert missing({f"src/mlotel/{name}/" for name in folders}, TEXT["architecture.md"], "`{}`") == []
    assert all((ROOT / path).exists() for path in re.findall(r"^\| `([\w/.]+)`", TEXT["architecture.md"], re.MULTILINE))


def test_public_modules_say_what_is_theirs():
    """A name in a public module's ``__all__`` exists, so that the API page shows all of it."""
    for name in ("artifacts", "errors", "testing"):
        module = importlib.import_module(f"mlotel.{name}")
        assert (
            missing(module.__all__, TEXT["api.md"], r"\b{}\b") == [] or "automodule:: mlotel.errors" in TEXT["api.md"]
        )
        assert all(hasattr(module, public) for public in module.__all__)
