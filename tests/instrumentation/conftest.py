"""Every test leaves every library as it was."""

import pytest

import mlotel


@pytest.fixture(autouse=True)
def uninstrumented():
    yield
    mlotel.uninstrument()
