"""The notebook of the flights example runs, and shows the report."""

import re
import shutil

import nbformat
import pytest
from flights_programs import EXAMPLE, needs_data, run_program
from nbclient import NotebookClient

pytestmark = [
    needs_data,
    # Of pyzmq's event loop on some Pythons; the kernel is a process of its own, which this says nothing about.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_the_notebook_runs_and_shows_the_report(tmp_path):
    """Executed by a real kernel, it ends in the report as HTML: alarms with pictures, reference and current in each."""
    run_program("prepare", tmp_path, "--rows", "100000")
    for file in (*EXAMPLE.glob("*.py"), EXAMPLE / "drift.ipynb"):
        shutil.copy(file, tmp_path / "prepare")
    notebook = nbformat.read(tmp_path / "prepare" / "drift.ipynb", as_version=4)

    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path / "prepare")}}
    ).execute()

    page = notebook.cells[-1].outputs[0]["data"]["text/html"]
    assert re.search(r"Check 14: \d of 14 features have changed", page)
    assert 'aria-label="plane_age: reference and current"' in page
    said = "".join(output.get("text", "") for cell in notebook.cells[1:] for output in cell.get("outputs", []))
    assert "plane_age since 2013-" in said


def test_the_notebook_is_kept_without_outputs():
    """What runs print is not committed: it would change with every run."""
    notebook = nbformat.read(EXAMPLE / "drift.ipynb", as_version=4)

    assert [
        cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)
    ] == []
