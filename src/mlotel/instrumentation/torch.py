"""torch: ``save`` and ``load``.

Not recorded: ``torch.jit``, ``torch.export`` and distributed checkpoints.
"""

from mlotel.instrumentation._base import argument, reads, writes
from mlotel.instrumentation._patch import Patch

REQUIRES = "torch>=2.2"


def install(patch: Patch) -> None:
    """Record files that torch reads and writes inside components."""
    patch.after_import("torch", _install)


def _install(patch: Patch) -> None:
    import torch  # type: ignore[import-not-found]  # checked where torch is not installed

    reads(patch, torch, ["load"])
    writes(patch, torch, ["save"], at=1, content=argument(0, "obj"))
