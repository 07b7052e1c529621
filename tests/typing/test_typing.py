"""The public API under mypy --strict and pyright, as it is installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

API = Path(__file__).with_name("api.py")


def check(tmp_path: Path, module: str, *arguments: str) -> None:
    """Run a type checker in a folder without settings of ours, on the installed package."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed for {sys.executable}")
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    if "XDG_CACHE_HOME" not in environment:  # the checkers' downloads are not those of a test's empty home
        environment["HOME"] = os.path.expanduser(f"~{_user()}")  # noqa: PTH111 - of the user, not of $HOME
    (tmp_path / "api.py").write_text(API.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "api.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def test_mypy(tmp_path: Path) -> None:
    """mypy --strict agrees with every type and every expected error of the public API."""
    check(tmp_path, "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path / "cache"))


def test_pyright(tmp_path: Path) -> None:
    """pyright agrees as well."""
    check(tmp_path, "pyright", "--pythonpath", sys.executable)


def test_the_file_checks_something() -> None:
    """The file holds what is to be checked: types that are asserted, and errors that are expected."""
    text = API.read_text(encoding="utf-8")
    assert text.count("assert_type(") > 40
    assert text.count("# type: ignore[") > 20
