"""torch: save and load. Skipped where torch is not installed."""

import io
import pickle

import pytest
from captured_files import record

import mlotel
from mlotel import artifacts

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("torch")


@pytest.fixture
def state():
    return torch.nn.Linear(3, 2).state_dict()


def test_a_model_is_written_and_read(state, capture, tmp_path):
    """`save` and `load` record the file once each, as a model, with one id for what was written and read."""
    path = tmp_path / "model.pt"

    written = record(capture, lambda: torch.save(state, path))
    read = record(capture, lambda: torch.load(path))

    assert written.names == ["write model.pt"]
    assert read.names == ["read model.pt"]
    assert written.one["ml.artifact.id"] == read.one["ml.artifact.id"] == artifacts.identify(path).id
    assert written.one["ml.artifact.type"] == read.one["ml.artifact.type"] == "model"
    assert all(torch.equal(state[name], read.result[name]) for name in state)
    identity = artifacts.identify(state)
    for recorded, value in ((written, state), (read, read.result)):
        identity = artifacts.identify(value)
        expected = identity.id if identity.scope == "full" else None
        assert recorded.one.get("ml.artifact.content.id") == expected


def test_open_files_and_buffers(state, capture, tmp_path):
    """A file that the user opened is a file; a buffer is none."""
    path = tmp_path / "model.pt"

    with path.open("wb") as file:
        assert record(capture, lambda: torch.save(obj=state, f=file)).names == ["write model.pt"]
    with path.open("rb") as file:
        assert record(capture, lambda: torch.load(f=file)).names == ["read model.pt"]
    buffer = io.BytesIO()
    assert record(capture, lambda: torch.save(state, buffer)).names == []
    buffer.seek(0)
    assert record(capture, lambda: torch.load(buffer)).names == []


def test_the_functions_can_be_pickled_and_are_put_back():
    """They are found by name; afterwards each alias is the original again."""
    assert pickle.loads(pickle.dumps(torch.load)) is torch.load is torch.serialization.load
    replaced = torch.load

    mlotel.uninstrument("torch")

    assert torch.load is torch.serialization.load is replaced.__wrapped__
    assert torch.save is torch.serialization.save
