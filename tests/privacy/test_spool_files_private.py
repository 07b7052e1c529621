"""Files and folders of the spool are their owner's, whatever the umask; a folder that others can read is said."""

import os
import stat

import pytest
from programs import run
from sinks import refused_port

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def modes(folder):
    """Mode of everything in ``folder`` and of itself."""
    return {
        str(path.relative_to(folder.parent)): stat.S_IMODE(path.lstat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("umask", ["0o000", "0o022", "0o077"])
@pytest.mark.parametrize("where", ["", "endpoint='http://127.0.0.1:{port}'"], ids=["local", "down"])
def test_files_and_folders_are_the_owners(where, umask, tmp_path):
    """Under every umask: folders 700, files 600, nothing for group and others."""
    run(
        f"os.umask({umask})\ntelemetry = configure({where.format(port=refused_port())})\nwork()\n"
        "telemetry.flush()\nwork()\n",
        folder=str(tmp_path),
    )

    found = modes(tmp_path / ".mlotel" / "spool")
    assert any(name.endswith(".jsonl") for name in found)
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


def test_a_folder_that_others_can_read_is_said_once(tmp_path):
    """A folder that was there, open to others, stays as it is, and one line says what to do; the files are private."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    program = run(
        f"telemetry = configure(spool={str(folder)!r})\nwork()\ntelemetry.flush()\nwork()\n", folder=str(tmp_path)
    )

    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in folder.glob("*.jsonl"))
    said = [line for line in program.log.splitlines() if str(folder) in line]
    assert len(said) == 1
    assert f"chmod 700 {folder}" in said[0]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path):
    """Whoever can write into the folder cannot make mlotel write somewhere else: file names cannot be foreseen."""
    program = run("telemetry = configure()\nwork()\ntelemetry.flush()\nshow(file=telemetry.spool_file)\n",
                  folder=str(tmp_path))  # fmt: skip

    name = program.shown["file"].rpartition("/")[2]
    assert len(name.split("-")[-1].partition(".")[0]) >= 6
    assert not (tmp_path / ".mlotel" / "spool" / name).is_symlink()
