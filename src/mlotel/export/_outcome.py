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
    """What became of one batch. All together are the records that were in it.

    Attributes:
        exported: Records that the receiver confirmed.
        spooled: Records that are on disk.
        dropped: Records that are lost, by reason.
        left: Items that could not be delivered now, to be kept on disk by whoever called.
    """

    exported: int = 0
    spooled: int = 0
    dropped: Mapping[Reason, int] = field(default_factory=dict)
    left: Sequence[Any] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        """What became of two batches together."""
        dropped = dict(self.dropped)
        for reason, records in other.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + records
        return Outcome(self.exported + other.exported, self.spooled + other.spooled, dropped, [*self.left, *other.left])


class Target(Protocol):
    """Where the batches of one signal go. Called from one thread, the queue's worker."""

    def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Deliver ``batch``, in bounded time. Failures are part of the outcome, never raised on purpose."""

    def hurry(self) -> None:
        """Make a call in progress return soon. Comes from another thread; later calls work as ever."""

    def interrupt(self) -> None:
        """``hurry``, for the end of the program: later calls deliver nothing, and leave their batches."""

    def close(self) -> None:
        """Give back what the target holds. Nothing is delivered afterwards."""

    def restart(self) -> None:
        """Start anew in a forked child, leaving connections and files to the parent."""
