"""What one program has made is known to the next, although they share no endpoint, no variable and no folder."""

import shutil
from pathlib import Path

import pytest
from flights_programs import move, needs_data, run_program
from spool_reader import Span, Spool, read_spool

pytestmark = needs_data

FEW = "3000"


def the(spool: Spool, name: str) -> Span:
    [found] = [span for span in spool.spans if span.name == name]
    return found


def read_in(folder: Path, program: str, name: str) -> Span:
    return the(read_spool(folder / program / ".mlotel" / "spool"), f"read {name}")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder in which features.parquet was prepared, and the span that wrote it."""
    folder = tmp_path_factory.mktemp("prepared")
    run_program("prepare", folder, "--rows", FEW)
    return folder, the(read_spool(folder / "prepare" / ".mlotel" / "spool"), "write features.parquet")


@pytest.mark.parametrize(
    ("program", "file", "made_by", "component", "evidence", "by"),
    [
        ("train", "features.parquet", "prepare", "featurize", "embedded", "ml.artifact.content.id"),
        ("serve", "features.parquet", "prepare", "featurize", "embedded", "ml.artifact.id"),  # one month of it is read
        ("serve", "model.joblib", "train", "evaluate", "index", "ml.artifact.id"),
    ],
)
def test_a_read_is_linked_to_the_write_in_an_earlier_process(spools, program, file, made_by, component, evidence, by):
    """The one link of a read leads to the span that wrote the file, in another trace, and says how that is known."""
    read, write = the(spools[program], f"read {file}"), the(spools[made_by], f"write {file}")

    [link] = read.links

    assert (link["trace"], link["span"]) == (write.trace_id, write.span_id)
    assert read.trace_id != write.trace_id
    assert link["ml.link.type"] == "consumed"
    assert link["ml.link.evidence"] == evidence
    assert link["ml.artifact.id"] == write.attributes[by]
    assert read.attributes["ml.artifact.id"] == write.attributes["ml.artifact.id"]
    assert read.attributes["ml.artifact.producer"] == f"{component}@{write.attributes['ml.run.id']}"
    assert read.attributes["ml.artifact.uri"] != write.attributes["ml.artifact.uri"]
    assert "ml.artifact.claim.doubt" not in read.attributes


def test_every_read_but_that_of_the_source_files_has_a_producer(spools):
    """Over all three programs no read is left without a link, except for the three files that nobody made."""
    spans = [span for spool in spools.values() for span in spool.spans]
    reads = [span for span in spans if span.name.startswith("read ")]
    writes = {(span.trace_id, span.span_id) for span in spans if span.name.startswith("write ")}

    assert {span.name for span in reads if not span.links} == {
        "read flights.csv.zip",
        "read weather.csv",
        "read planes.csv",
    }
    assert {(link["trace"], link["span"]) for span in reads for link in span.links} <= writes


def test_a_file_that_is_handed_to_another_user_brings_its_producer_along(prepared, tmp_path):
    """Without the index of the one who made it, the stamp inside a file is enough."""
    folder, write = prepared
    (tmp_path / "train").mkdir()
    shutil.copy(folder / "prepare" / "features.parquet", tmp_path / "train" / "features.parquet")

    run_program("train", tmp_path)

    [link] = read_in(tmp_path, "train", "features.parquet").links
    assert (link["trace"], link["span"]) == (write.trace_id, write.span_id)
    assert link["ml.link.evidence"] == "embedded"


def test_a_file_without_a_stamp_is_found_in_the_index(tmp_path):
    """With MLOTEL_EMBED=off files are left as their library wrote them, and the user's index knows them."""
    parquet = pytest.importorskip("pyarrow.parquet")
    run_program("prepare", tmp_path, "--rows", FEW, MLOTEL_EMBED="off")
    write = the(read_spool(tmp_path / "prepare" / ".mlotel" / "spool"), "write features.parquet")
    move("features.parquet", tmp_path / "prepare", tmp_path / "train")
    assert b"mlotel" not in parquet.read_metadata(tmp_path / "train" / "features.parquet").metadata

    run_program("train", tmp_path)

    [link] = read_in(tmp_path, "train", "features.parquet").links
    assert (link["trace"], link["span"]) == (write.trace_id, write.span_id)
    assert link["ml.link.evidence"] == "index"


def test_a_file_that_was_tampered_with_has_no_link_and_says_why(prepared, tmp_path):
    """One changed cell, the metadata kept: the stamp in the file no longer counts, and the span tells what it found."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder, _ = prepared
    file = parquet.ParquetFile(folder / "prepare" / "features.parquet")
    table = file.read()
    delays = table["arr_delay"].to_pylist()
    delays[len(delays) // 2] += 1.0
    place = table.column_names.index("arr_delay")
    changed = table.set_column(place, table.schema.field("arr_delay"), arrow.array(delays, arrow.float64()))
    changed = changed.replace_schema_metadata(file.metadata.metadata)  # with the stamp, which pyarrow drops
    (tmp_path / "train").mkdir()
    parquet.write_table(changed, tmp_path / "train" / "features.parquet")

    run_program("train", tmp_path, HOME=str(folder / "home"))

    read = read_in(tmp_path, "train", "features.parquet")
    assert read.links == []
    assert "ml.artifact.producer" not in read.attributes
    doubt = read.attributes["ml.artifact.claim.doubt"]
    assert doubt.startswith("embedded: The content is not what featurize wrote: its id is xxh3:")


def test_the_index_belongs_to_the_user_alone(finished):
    """It lies in the state folder of the user and nobody else can read it."""
    index = finished[1] / "home" / ".local" / "state" / "mlotel" / "lineage.db"

    assert index.stat().st_mode & 0o777 == 0o600
