"""Receivers for the tests of this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sinks import grpc_sink, http_sink, identity, sink_of  # noqa: F401 - fixtures, found beside this file


@pytest.fixture
def folder(tmp_path):
    """A spool folder."""
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"
