"""What the tests of captured reading and writing share."""

import mlotel
from mlotel import artifacts


class Recorded:
    """What a piece of work in a component returned, and the attributes of the artifacts that were recorded of it."""

    def __init__(self, result, spans):
        self.result = result
        self.names = [span.name for span in spans]
        self.attributes = [dict(span.attributes) for span in spans]

    @property
    def one(self):
        """Attributes of the one artifact."""
        assert len(self.names) == 1, self.names
        return self.attributes[0]


def record(capture, work):
    """Run ``work`` in a component of its own."""
    before = len(capture.spans())
    with mlotel.component("step"):
        result = work()
    spans = capture.spans()[before:]
    return Recorded(result, [span for span in spans if span.name != "component step"])


UNKNOWN = object()


def assert_file(recorded, role, path, value=UNKNOWN, type="dataset"):
    """The one artifact is the file at ``path``, in the given role, and carries the id of ``value``."""
    found = recorded.one
    word = {"input": "read", "output": "write"}[role]
    assert recorded.names == [f"{word} {path.name}"]
    file = artifacts.identify(path)
    if file.scope == "full":
        assert found["ml.artifact.id"] == file.id
    assert found["ml.artifact.digest.scope"] == file.scope == ("full" if path.is_file() else file.scope)
    assert found["ml.artifact.role"] == role
    assert found["ml.artifact.name"] == path.name
    assert found["ml.artifact.uri"].endswith(f"/{path.name}")
    assert found["ml.artifact.type"] == type
    assert found["ml.component.name"] == "step"
    if value is UNKNOWN:
        assert "ml.artifact.content.id" not in found
        assert "ml.artifact.row.count" not in found
    else:
        identity = artifacts.identify(value)
        assert identity.scope == "full"
        assert found["ml.artifact.content.id"] == identity.id
        assert found.get("ml.artifact.row.count") == identity.row_count
        assert found.get("ml.artifact.column.count") == identity.column_count
