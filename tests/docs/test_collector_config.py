"""Configurations of collectors on the pages: they hang together, and a collector accepts them where there is one."""

import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from doc_pages import PAGES, blocks_of

BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language == "yaml"]
SIGNALS = {"traces", "metrics", "logs"}
BUILT = Path(__file__).resolve().parent.parent.parent / ".backends" / "otelcol" / "otelcol"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_pipeline_names_what_is_defined(block):
    """Each signal has a pipeline whose receivers and exporters stand in the same file, and nothing there is unused."""
    config = yaml.safe_load(block.text)

    pipelines = config["service"]["pipelines"]
    assert set(pipelines) == SIGNALS
    for part in ("receivers", "exporters", "processors"):
        used = {name for pipeline in pipelines.values() for name in pipeline.get(part, [])}
        assert used == set(config.get(part, {})), part


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_a_collector_accepts_it(block, tmp_path):
    """The collector on the PATH, when there is one with these components, finds nothing wrong with the file."""
    collector = shutil.which("otelcol-contrib") or shutil.which("otelcol") or shutil.which(BUILT)
    if collector is None:
        pytest.skip("there is no otelcol-contrib and no otelcol on the PATH, and `make backends` was not run")
    listed = yaml.safe_load(
        subprocess.run([collector, "components"], capture_output=True, text=True, check=True).stdout
    )
    config = yaml.safe_load(block.text)
    for part in ("receivers", "exporters"):
        missing = {name.partition("/")[0] for name in config[part]} - {entry["name"] for entry in listed[part]}
        if missing:
            pytest.skip(f"{collector} has no {', '.join(sorted(missing))}")
    file = tmp_path / "collector.yaml"
    file.write_text(block.text, encoding="utf-8")

    done = subprocess.run([collector, "validate", f"--config={file}"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_files_that_mlotel_sends_itself_are_left_out():
    """A receiver that reads the spool passes over what waits for an endpoint: it would arrive twice."""
    read = [
        receiver
        for block in BLOCKS
        for name, receiver in yaml.safe_load(block.text)["receivers"].items()
        if name.startswith("otlpjsonfile")
    ]
    names = [
        "box-7-20260105T120000-0a1b2c.001.jsonl",
        "box-7-20260105T120000-0a1b2c.001.pending.jsonl",
        "box-7-20260105T120000-0a1b2c.001.jsonl.sent",
    ]

    for receiver in read:
        [include], [exclude] = receiver["include"], receiver["exclude"]
        folder = include.rpartition("/")[0]
        paths = [f"{folder}/{name}" for name in names]
        taken = [path for path in paths if fnmatchcase(path, include) and not fnmatchcase(path, exclude)]
        assert taken == [f"{folder}/{names[0]}"]
    assert read
