"""One try to deliver one request, and what the receiver said to it."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from mlotel.export._explain import Cause

Verdict: TypeAlias = Literal["accepted", "later", "misconfigured", "refused", "too_large"]
"""What an answer means for the records that were sent.

- ``accepted``: they arrived, but for ``Answer.rejected`` of them.
- ``later``: nobody answered, or the receiver is busy. Send them again.
- ``misconfigured``: address, protocol, certificate or credentials are wrong. The records are not at fault: keep them.
- ``refused``: the receiver understood and will never take them.
- ``too_large``: it takes smaller requests only.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try.

    Attributes:
        verdict: What it means for the records.
        rejected: Records that an accepted request did not take: spans, data points or log records.
        message: What the receiver said, as it said it; empty where it said nothing.
        retry_after_s: Seconds that the receiver asks to be left alone for.
        cause: What went wrong, in words for people, and the remedy; None for what was accepted whole.
        is_suspicious: Whether the receiver may have failed on these very records: it said so, and not that it is busy.
        date: The ``Date`` header of the answer, where there was one: tells how far two clocks are apart.
    """

    verdict: Verdict
    rejected: int = 0
    message: str = ""
    retry_after_s: float | None = None
    cause: Cause | None = None
    is_suspicious: bool = False
    date: str | None = None


class Sender(Protocol):
    """Speaks to one endpoint about one signal. Thread-safe for one ``send`` at a time.

    ``interrupt`` may come from another thread while ``send`` is under way.
    """

    def send(self, body: bytes, timeout_s: float) -> Answer:
        """Send the protobuf bytes of one export request, once.

        Args:
            body: A serialized ``Export…ServiceRequest``, not compressed.
            timeout_s: Seconds for everything: looking the host up, connecting, sending, hearing the answer.

        Returns:
            The answer. A failure is an answer too: nothing is raised, nothing is repeated.
        """

    def interrupt(self) -> None:
        """Make a ``send`` in progress return soon, with the verdict ``later``. The next one works as ever."""

    def close(self) -> None:
        """Give the connection back. A later ``send`` opens a new one."""

    def restart(self) -> None:
        """In a forked child: leave the connection to the parent; the next ``send`` opens one of its own."""
