"""Imports point one way, heavy libraries load only where they are used, and no import hides a public name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mlotel

PACKAGE = Path(mlotel.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Each group may import the groups before it, never one beside it in the same row.
FOUNDATION = ["semconv", "errors", "types"]
LADDER = [
    ["quality", "performance"],
    ["artifacts"],
    ["drift", "alerts"],
    ["metrics", "logs"],
    ["tracing"],
    ["monitor", "loops"],
    ["instrumentation"],
]
BOTTOM = {  # what each of the private modules at the bottom may import; everybody may import them
    "_version": set(),
    "_guard": set(),
    "_clock": set(),
    "_current": {"semconv"},
    "_settings": {"types"},
    "_plugins": {"_guard", "errors"},
    "_providers": {"_guard", "_settings", "_version"},
}
BOTTOM_WITHOUT_OPENTELEMETRY = set(BOTTOM) - {"_providers", "_current"}


def allowed():
    """What each part of mlotel may import of mlotel."""
    table = {name: set(may) for name, may in BOTTOM.items()}
    table |= {"semconv": set(), "errors": set(), "types": {"errors"}}
    below = {*FOUNDATION, *BOTTOM}
    for row in LADDER:
        for name in row:
            table[name] = set(below)
        below |= set(row)
    table["export"] = {*FOUNDATION, *BOTTOM, "metrics"}
    table["_setup"] = {*below, "export", "terminal"}
    table["terminal"] = {*FOUNDATION, "_guard"}
    table["store"] = {*FOUNDATION, *BOTTOM_WITHOUT_OPENTELEMETRY}
    table["doctor"] = {*below, "export", "_setup", "terminal"}
    table["query"] = {*table["store"], "store"}
    table["viewer"] = {*table["query"], "query"}
    everything = {*table, "cli", "testing"}
    table["cli"] = table["testing"] = table["__init__"] = everything
    table["__main__"] = {"cli"}
    return table


ALLOWED = allowed()
SDK = {"export", "_setup", "testing"}
WITHOUT_OPENTELEMETRY = {
    *FOUNDATION, *BOTTOM_WITHOUT_OPENTELEMETRY, "quality", "performance", "artifacts", "drift", "alerts",
    "store", "query", "terminal", "doctor", "cli", "__init__", "__main__",
}  # fmt: skip
HEAVY = {"numpy", "scipy", "pandas", "polars", "pyarrow", "sklearn", "torch", "joblib"}
HEAVY_ALLOWED = {"quality", "performance", "artifacts", "drift", "monitor", "loops", "instrumentation"}
LOADERS = {"import_module", "__import__", "find_spec", "run_module", "run_path"}
LOADS = {  # every line that turns a string into a module
    "__init__": ["import_module(_HOMES[name])", "import_module(f'mlotel.{name}')"],  # a public name, at its first use
    "cli.run": [
        "importlib.util.find_spec(name)",
        "importlib.util.find_spec(f'{name}.__main__')",
    ],  # for `mlotel run -m`
    "instrumentation": ["importlib.util.find_spec(name)"],  # whether a library is there; nothing is loaded
    "_plugins": ["importlib.import_module(f'mlotel.{folder}.{name}')", "importlib.util.find_spec(f'mlotel.{folder}')"],
}
NOT_INSTALLED = ("torch",)  # libraries too large for the suite's environment
FORBIDDEN_AT_IMPORT = {"numpy", "scipy", "pandas", "polars", "pyarrow", "sklearn", "torch", "opentelemetry.sdk"}


def module_of(path):
    """Dotted name of a file: ``tracing.runs``, ``tracing`` for its ``__init__``, ``__init__`` for the root's."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def exists(dotted):
    place = PACKAGE.joinpath(*dotted.split("."))
    return place.with_suffix(".py").is_file() or place.is_dir()


def imports(path):
    """``(line, full dotted name)`` of everything that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            for name in node.names:
                yield node.lineno, f"{node.module}.{name.name}"


def external(path):
    return [(line, name) for line, name in imports(path) if name.split(".")[0] != "mlotel"]


def complaints(rule):
    """``file:line what`` for each import that ``rule(part, module, name)`` objects to."""
    found = []
    for path in FILES:
        module = module_of(path)
        for line, name in imports(path):
            if rule(module.split(".")[0], module, name):
                found.append(f"{module}:{line} imports {name}")
    return found


def test_every_part_has_its_place():
    """Whatever folder or module is added to the package gets a row in the table above."""
    assert {module_of(path).split(".")[0] for path in FILES} <= set(ALLOWED)


def test_imports_inside_the_package_point_one_way():
    """A part imports only what stands before it."""

    def wrong(part, module, name):
        if not name.startswith("mlotel."):
            return False
        target = name.split(".")[1]
        return target != part and target not in ALLOWED[part]

    assert complaints(wrong) == []


def test_nobody_imports_the_package_root():
    """Inside the package a name is imported from the module that defines it, never from `mlotel` itself."""

    def wrong(part, module, name):
        return name == "mlotel" or (name.startswith("mlotel.") and not exists(name.split(".")[1]))

    assert complaints(wrong) == []


def test_only_export_and_set_up_know_the_sdk():
    """The SDK and its exporters are imported by export, _setup and testing; everybody else sees the API."""

    def wrong(part, module, name):
        return name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")) and part not in SDK

    assert complaints(wrong) == []


def test_parts_that_work_without_opentelemetry_never_import_it():
    """Identity, statistics, spool reading, the tree and the command line need no OpenTelemetry."""
    assert complaints(lambda part, _, name: part in WITHOUT_OPENTELEMETRY and name.startswith("opentelemetry")) == []


def test_heavy_libraries_are_imported_only_where_data_are_looked_at():
    """numpy and everything built on it stay out of tracing, export, reading and the command line."""

    def wrong(part, module, name):
        return name.split(".")[0] in HEAVY and part not in HEAVY_ALLOWED and module != "metrics._bulk"

    assert complaints(wrong) == []


def test_loading_by_name_happens_on_the_listed_lines_only():
    """A string becomes a module on the lines listed above and nowhere else."""
    loads = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in LOADERS:
                loads.setdefault(module_of(path), []).append(ast.unparse(node))

    assert loads == LOADS


def at_module_level(tree):
    """Nodes that run when a module is imported: those in ``if`` and ``try`` too, those in functions and classes not."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def test_no_module_bears_the_name_of_a_callable_of_its_parent():
    """Importing a submodule sets its name on the parent, so the parent has no function or class of that name."""
    for path in FILES:
        if path.name != "__init__.py":
            continue
        package = ".".join(["mlotel", *path.parent.relative_to(PACKAGE).parts])
        children = {child.stem for child in path.parent.iterdir() if child.suffix == ".py" or child.is_dir()}
        named = set()
        for node in at_module_level(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                named.add(node.name)
            elif isinstance(node, ast.ImportFrom) and node.module != package:
                named |= {name.asname or name.name for name in node.names}
        assert named & children == set(), package


def run(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


IMPORT = (  # imports ``name``; a plugin may fail for want of a library of its own, and only for that
    "def load(name):\n"
    "    try:\n"
    "        importlib.import_module(name)\n"
    "    except ModuleNotFoundError as error:\n"
    f"        if error.name not in {NOT_INSTALLED!r} or name.split('.')[-1] != error.name:\n"
    "            raise\n"
)


def test_public_names_survive_the_import_of_every_submodule():
    """With every submodule imported, each public name is still what it was before."""
    code = (
        f"import importlib, pkgutil, mlotel\n{IMPORT}"
        "before = {name: getattr(mlotel, name) for name in mlotel.__all__}\n"
        "for found in pkgutil.walk_packages(mlotel.__path__, 'mlotel.'):\n"
        "    if found.name != 'mlotel.__main__':\n"
        "        load(found.name)\n"
        "        print(found.name)\n"
        "for name, value in before.items():\n"
        "    assert getattr(mlotel, name) is value, name\n"
        "assert set(mlotel.__all__) <= set(dir(mlotel))\n"
    )
    imported = run(code)

    expected = {f"mlotel.{module_of(path)}" for path in FILES} - {"mlotel.__init__", "mlotel.__main__"}
    assert set(imported) == expected


def test_every_submodule_can_be_the_first_one_imported():
    """No module needs another one to have been imported before it."""
    names = [f"mlotel.{module_of(path)}" for path in FILES if path.stem not in ("__init__", "__main__")]
    code = (
        f"import importlib, os\n{IMPORT}"
        f"for name in {names!r}:\n"
        "    child = os.fork()\n"  # a fresh state for each, without the cost of a fresh interpreter
        "    if child == 0:\n"
        "        load(name)\n"
        "        os._exit(0)\n"
        "    if os.waitpid(child, 0)[1]:\n"
        "        print(name)\n"
    )

    assert run(code) == []


def test_unknown_public_name_is_an_attribute_error():
    """`mlotel.nonsense` fails as any module's missing attribute does, and names the attribute."""
    with pytest.raises(AttributeError, match="nonsense"):
        mlotel.nonsense  # noqa: B018 - asking for the attribute is what is tested


@pytest.mark.parametrize("statement", ["import mlotel", "import mlotel.testing", "import mlotel.cli"])
def test_importing_loads_nothing_heavy(statement):
    """`import mlotel`, the pytest plugin and the command line load neither the SDK nor numpy nor what builds on it."""
    loaded = run(f"import sys\n{statement}\nprint(*sys.modules)")

    assert FORBIDDEN_AT_IMPORT & set(loaded) == set()


@pytest.mark.parametrize("command", ["runs", "show"])
def test_commands_that_only_read_never_import_opentelemetry(command):
    """`mlotel runs` and `mlotel show` answer from files without loading OpenTelemetry."""
    loaded = run(
        "import contextlib, io, sys\n"
        "from mlotel.cli import main\n"
        f"sys.argv = ['mlotel', {command!r}]\n"
        "quiet = io.StringIO()\n"
        "with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "print(*sys.modules)"
    )

    assert f"mlotel.cli.{command}" in loaded
    assert [name for name in loaded if name.startswith("opentelemetry")] == []
