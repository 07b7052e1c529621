"""The distribution: what is in wheel and sdist, what their metadata say, what is committed."""

import ast
import email
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import mlotel

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for folder in ("src", "tests", "tools", "bench", "examples") for path in (ROOT / folder).rglob("*.py")
)
RUN_ON = {"3.10", "3.11", "3.12", "3.13"}  # `make versions` runs the suite on each of them


@pytest.fixture(scope="session")
def wheel_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def unpacked_sdist(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    [tree] = folder.iterdir()
    return tree


@pytest.fixture(scope="session")
def wheel_metadata(wheel_files):
    [content] = [content for name, content in wheel_files.items() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(content)


def python(*arguments, **kwargs):
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, **kwargs).stdout


def test_the_suite_runs_against_the_installed_wheel(is_installed_from_wheel, wheel):
    """Under `make test` mlotel is the wheel in site-packages, byte for byte, and src is not on the path."""
    if not is_installed_from_wheel:
        pytest.skip("mlotel is tested from the source tree here; `make test` tests the wheel")
    package = Path(mlotel.__file__).parent

    assert package.parent == Path(sysconfig.get_path("purelib"))
    assert (ROOT / "src").resolve() not in [Path(entry).resolve() for entry in sys.path]
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.startswith("mlotel/")]
        assert all((package.parent / name).read_bytes() == archive.read(name) for name in modules)


def test_version_is_the_same_everywhere(wheel, sdist, wheel_metadata):
    """The module, the metadata and the file names carry one version."""
    assert mlotel.__version__ == metadata.version("mlotel") == wheel_metadata["Version"]
    assert wheel.name == f"mlotel-{mlotel.__version__}-py3-none-any.whl"
    assert sdist.name == f"mlotel-{mlotel.__version__}.tar.gz"


def test_metadata_name_only_python_versions_that_were_run(wheel_metadata):
    """Classifiers name the versions that `make versions` runs, and 3.10 is the oldest that installs."""
    classifiers = wheel_metadata.get_all("Classifier")
    named = {
        found[1] for text in classifiers if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text))
    }

    assert named == RUN_ON
    assert wheel_metadata["Requires-Python"] == ">=3.10"
    assert "Typing :: Typed" in classifiers


def test_metadata_state_licence_dependencies_and_extras(wheel_metadata):
    """Licence expression, base dependencies and extras are the documented ones."""
    required = [Requirement(text) for text in wheel_metadata.get_all("Requires-Dist")]
    base = {requirement.name for requirement in required if requirement.marker is None}

    assert wheel_metadata["License-Expression"] == "Apache-2.0"
    assert set(wheel_metadata.get_all("License-File")) == {"LICENSE", "NOTICE"}
    assert base == {
        "numpy", "opentelemetry-api", "opentelemetry-exporter-otlp", "opentelemetry-instrumentation",
        "opentelemetry-sdk", "scipy", "xxhash",
    }  # fmt: skip
    assert set(wheel_metadata.get_all("Provides-Extra")) == {"ui", "sklearn", "torch", "demo"}
    assert wheel_metadata["Summary"]
    assert wheel_metadata["Description-Content-Type"] == "text/markdown"


def test_every_lower_bound_is_the_one_that_make_lowest_installs(wheel_metadata):
    """requirements/lowest.txt holds exactly the lower bounds of the metadata, so no bound is untested."""
    pinned = {
        requirement.name: str(requirement.specifier).removeprefix("==")
        for line in (ROOT / "requirements" / "lowest.txt").read_text().splitlines()
        if not line.startswith("#") and (requirement := Requirement(line))
    }
    tested = {"", "demo", "sklearn"}
    for text in wheel_metadata.get_all("Requires-Dist"):
        requirement = Requirement(text)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in tested):
            continue
        [bound] = [part.version for part in requirement.specifier if part.operator in (">=", "==")]
        assert Version(pinned[requirement.name]) == Version(bound), requirement.name


def test_wheel_holds_the_package_and_nothing_else(wheel_files):
    """The wheel has every module of the source tree, py.typed and the licence, and no tests or tools."""
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    packed = {name for name in wheel_files if not name.startswith("mlotel-")}

    assert {name for name in packed if name.endswith(".py")} == sources
    assert "mlotel/py.typed" in packed
    assert {name.split("/")[0] for name in packed} == {"mlotel"}
    assert {Path(name).name for name in wheel_files if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_licence_is_the_full_apache_text(wheel_files):
    """The licence file is version 2.0 of the Apache licence from its title to its appendix."""
    [text] = [content.decode() for name, content in wheel_files.items() if name.endswith("/licenses/LICENSE")]

    assert text.split() == (ROOT / "LICENSE").read_text().split()
    assert text.split()[:6] == ["Apache", "License", "Version", "2.0,", "January", "2004"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_wheel_registers_the_command_and_the_pytest_plugin(wheel_files):
    """Installing gives the command `mlotel` and, in pytest, the fixtures of mlotel.testing."""
    [text] = [content.decode() for name, content in wheel_files.items() if name.endswith("entry_points.txt")]

    assert "[console_scripts]\nmlotel = mlotel.cli:main\n" in text
    assert "[pytest11]\nmlotel = mlotel.testing\n" in text


def test_the_command_and_the_module_answer_alike():
    """`mlotel --version` and `python -m mlotel --version` print the version."""
    command = Path(sys.executable).with_name("mlotel")

    by_command = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout

    assert by_command == python("-m", "mlotel", "--version")
    assert mlotel.__version__ in by_command


def test_wheel_from_the_sdist_equals_wheel_from_the_tree(unpacked_sdist, wheel_files, tmp_path):
    """Whoever builds from the sdist gets the same files with the same content."""
    python(unpacked_sdist / "tools" / "distributions.py", tmp_path / "again", cwd=unpacked_sdist)
    [again] = (tmp_path / "again").glob("*.whl")

    with zipfile.ZipFile(again) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == wheel_files


def test_the_sdist_works_where_it_was_unpacked(unpacked_sdist, monkeypatch):
    """A program that imports mlotel from the unpacked sdist records a run, and the sdist holds suite and registry."""
    program = (
        "import mlotel, pathlib\n"
        "with mlotel.pipeline('smoke') as run, mlotel.component('step') as c:\n"
        "    assert c.write([1, 2], name='numbers') == [1, 2]\n"
        "assert run.status == 'ok'\n"
        "print(pathlib.Path(mlotel.__file__).parent, mlotel.__version__)"
    )
    monkeypatch.setenv("PYTHONPATH", str(unpacked_sdist / "src"))

    assert python("-c", program).split() == [str(unpacked_sdist / "src" / "mlotel"), mlotel.__version__]
    for name in (
        "tests/conftest.py",
        "registry/pipeline.yaml",
        "Makefile",
        "requirements/test.txt",
        "LICENSE",
        "NOTICE",
    ):
        assert (unpacked_sdist / name).is_file(), name


def test_syntax_is_that_of_the_oldest_python():
    """Every file parses as Python 3.10."""
    assert SOURCES
    for path in SOURCES:
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 10))


def committed():
    """What git has, and what it would take with the next `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    names = done.stdout.decode().split("\0")[:-1] if done.returncode == 0 else []
    return [ROOT / name for name in names if (ROOT / name).is_file()]


# Put together from pieces, so that this file does not name what it looks for.
HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "proxy.golang" + ".org",
    "ana" + "conda.org",
]
OPTIONS = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--trusted" + "-host"]
FOLDERS = ["/" + "work/", "/" + "root/", "/" + "Users/", f"{ROOT}/", f"{Path.home()}/"]


def test_no_committed_file_names_a_download_host_or_a_folder_of_one_machine():
    """What is committed works anywhere: no registry host, no index option, no absolute path of a machine."""
    if not (files := committed()):
        pytest.skip("not a git checkout")
    words = re.compile("|".join(re.escape(word) for word in [*HOSTS, *OPTIONS, *FOLDERS]))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files
        if b"\0" not in (content := path.read_bytes())
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1)
        if words.search(line)
    ]

    assert found == []


def test_pinned_requirements_are_complete():
    """Every line of the pinned files is one exact version, so two installs a year apart are the same."""
    for name in ("install.txt", "dev.txt", "test.txt", "lowest.txt"):
        for line in (ROOT / "requirements" / name).read_text().splitlines():
            if line and not line.startswith("#"):
                assert re.fullmatch(r"==[^*]+", str(Requirement(line).specifier)), f"{name}: {line}"


def test_changelog_fragments_have_a_known_kind():
    """A file in changes/ is named <slug>.<kind>.md and says something."""
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]

    for path in fragments:
        assert re.fullmatch(r"[a-z0-9-]+\.(added|changed|deprecated|removed|fixed|security)\.md", path.name), path.name
        assert path.read_text().strip()
