"""A reference and rows that all tests of `mlotel.observe` share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from observed_rows import fitted

from mlotel import _providers
from mlotel.metrics import observables


@pytest.fixture(scope="session")
def reference():
    """Fitted on 20,000 rows with predictions and labels."""
    return fitted()


@pytest.fixture(autouse=True)
def nothing_stays():
    """What a test leaves open is open in no other test."""
    before = observables.attached()  # such as the scores of searches that other tests have made
    yield
    for source in observables.attached():
        if source not in before:
            source.close()
            observables.detach(source)


@pytest.fixture
def providers():
    """Puts other providers in place of the global ones: ``providers(meter_provider=…)``."""
    before = []

    def use(**given):
        before.append(_providers.use(_providers.Providers(**given)))

    yield use
    for found in reversed(before):
        _providers.use(found)
