"""First words of span names.

Made from registry/ by tools/generate_semconv.py: change the names there.
"""

from typing import Final

PIPELINE: Final = "pipeline"
"""One run of a pipeline."""
COMPONENT: Final = "component"
"""One run of a component."""
HEARTBEAT: Final = "heartbeat"
"""A part of a long run, up to the heartbeat that ended it; below the component that ran then, of which there is no span
before its end."""
READ: Final = "read"
"""A component read an artifact; linked to the span that wrote it."""
WRITE: Final = "write"
"""A component wrote an artifact, or changed one that it had read."""
CHECK: Final = "check"
"""A check before or after a component."""
PREDICT: Final = "predict"
"""A prediction; recorded when its parent is sampled."""
DRIFT: Final = "drift"
"""A check that found that features have changed, or no longer are; linked to the span that wrote the reference."""
FEEDBACK: Final = "feedback"
"""Labels arrived; linked to the predictions they belong to."""
TRAIN: Final = "train"
"""A training run."""
EPOCH: Final = "epoch"
"""One epoch."""
STEPS: Final = "steps"
"""A window of steps."""
