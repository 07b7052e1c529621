"""The runner of `make bench`."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bench(folder, benchmark, *arguments):
    folder.mkdir()
    shutil.copy(ROOT / "bench" / "__main__.py", folder)
    (folder / "speed.py").write_text(benchmark)
    (folder / "shared.py").write_text("VALUE = 1\n")
    return subprocess.run([sys.executable, folder, *arguments], capture_output=True, text=True)


def test_a_missed_bound_is_said_and_fails(tmp_path):
    """A ratio over its bound is marked and gives exit status 1; one that holds is shown beside its bound."""
    done = bench(tmp_path / "bench", "def run(quick): return [('a', 1.25, 1.5, True), ('b', 4.5, 4.0, False)]\n")

    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines == [["measured", "bound"], ["a", "1.25", "1.5", "ok"], ["b", "4.5", "4", "MISSED"], ["1", "missed"]]
    assert done.returncode == 1


def test_all_bounds_held_is_success(tmp_path):
    """With every bound kept the exit status is 0, and --quick reaches the benchmark."""
    benchmark = "def run(quick): return [('quick' if quick else 'thorough', 1.0, 2.0, True)]\n"
    done = bench(tmp_path / "bench", benchmark, "--quick")

    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == ["quick", "1", "2", "ok"]


def test_what_a_file_imports_is_no_benchmark_of_it(tmp_path):
    """A file that has another one's ``run`` is no benchmark, and all the others are run."""
    (folder := tmp_path / "bench").mkdir()
    (folder / "programs.py").write_text("from subprocess import run\n")
    shutil.copy(ROOT / "bench" / "__main__.py", folder)
    (folder / "speed.py").write_text("def run(quick): return [('a', 1.0, 2.0, True)]\n")
    done = subprocess.run([sys.executable, folder], capture_output=True, text=True)

    assert [line.split()[0] for line in done.stdout.splitlines()] == ["measured", "a", "every"]
    assert done.returncode == 0


def test_an_unknown_benchmark_is_refused_with_the_known_ones(tmp_path):
    """A name that is no benchmark is a usage error that lists what there is."""
    done = bench(tmp_path / "bench", "def run(quick): return []\n", "sped")

    assert done.returncode == 2
    assert "no benchmark is called sped; there are shared, speed" in done.stderr
