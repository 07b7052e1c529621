"""Setting mlotel up: ``configure()``, what it returns, and the same for worker processes."""

from mlotel._setup._configure import configure, restore
from mlotel._setup._telemetry import Telemetry

__all__ = ["Telemetry", "configure", "restore"]
