"""Programs and receivers are those of the export tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "export"))

from sinks import grpc_sink, http_sink  # noqa: F401 - fixtures, found in the folder above
