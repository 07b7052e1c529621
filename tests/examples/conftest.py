"""Lets the tests of this folder use the receivers of ``tests/export``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "export"))
