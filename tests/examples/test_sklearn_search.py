"""The example of a search runs with and without mlotel, and leaves what its page promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "sklearn_search" / "train.py"


def run(folder, *command):
    folder.mkdir()
    done = subprocess.run(
        [*command, PROGRAM], cwd=folder, env=os.environ | {"COLUMNS": "100"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The program under `mlotel run`, and with `import mlotel` made impossible."""
    place = tmp_path_factory.mktemp("search")
    ours = run(place / "ours", Path(sys.executable).with_name("mlotel"), "run")
    hidden = "import runpy, sys; sys.modules['mlotel'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    bare = run(place / "bare", sys.executable, "-c", hidden)
    return place / "ours", ours, bare


def test_it_prints_the_same_with_and_without_mlotel(both):
    """The line on standard output is the program's own, and the model it saved is the same to the byte."""
    folder, ours, bare = both

    assert ours.stdout == bare.stdout
    assert ours.stdout.startswith("C = ")
    assert (folder / "model.joblib").read_bytes() == (folder.parent / "bare" / "model.joblib").read_bytes()


def test_it_leaves_a_search_with_its_folds_and_the_model(both):
    """One trace has the search, the folds of both workers, the score and the saved file, linked to the search."""
    folder, ours, _ = both
    spans = [
        span
        for path in (folder / ".mlotel" / "spool").glob("*.jsonl")
        for line in path.read_text().splitlines()
        for resource in json.loads(line).get("resourceSpans", ())
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    names = [span["name"] for span in spans]

    assert names.count("fold Pipeline") == 9
    assert {"pipeline train", "search GridSearchCV", "score Pipeline", "write model.joblib"} <= set(names)
    assert len({span["traceId"] for span in spans}) == 1
    [saved] = [span for span in spans if span["name"] == "write model.joblib"]
    [fitted] = [span for span in spans if span["name"] == "write Pipeline"]
    assert [link["spanId"] for link in saved["links"]] == [fitted["spanId"]]
    assert "search GridSearchCV" in ours.stderr
