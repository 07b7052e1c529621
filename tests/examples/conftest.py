"""The three programs of the flights example, run once for the tests of this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "export"))  # its receivers serve here too


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The three processes, the folder that they ran in, and what each left in its spool."""
    from flights_programs import run_all, spools_in  # this folder is on the path once its tests are

    folder = tmp_path_factory.mktemp("flights")
    return run_all(folder), folder, spools_in(folder)


@pytest.fixture(scope="session")
def spools(finished):
    """The spool of each program."""
    return finished[2]
