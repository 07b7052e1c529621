"""What a target is, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Reason: TypeAlias = Literal[
    "queue_full", "refused", "spool_full", "spool_unusable", "torn", "encode", "evicted", "cardinality"
]
"""Why records are lost: the values of ``ml.telemetry.reason``."""


OtlpProtocol: TypeAlias = Literal["http/protobuf", "grpc"]
"""How OTLP is spoken."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one batch. The three add up to the records that were in it.

    Attributes:
        exported: Records that the receiver confirmed.
        spooled: Records that are on disk.
        dropped: Records that are lost, by reason.
    """

    exported: int = 0
    spooled: int = 0
    dropped: Mapping[Reason, int] = field(default_factory=dict)


class Target(Protocol):
    """Where the batches of one signal go. Called from one thread, the queue's worker.

    A target that keeps what another one refuses wraps it: it calls the other, and looks at ``Outcome.dropped``.
    """

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Deliver ``batch``, in bounded time. Failures are part of the outcome, never raised on purpose."""

    def interrupt(self) -> None:
        """Make a call in progress return soon. Comes from another thread; later calls deliver nothing."""

    def close(self) -> None:
        """Give back what the target holds. Nothing is delivered afterwards."""

    def restart(self) -> None:
        """Start anew in a forked child, leaving connections and files to the parent."""
