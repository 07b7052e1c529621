"""What all kinds of values share: the hasher, which knows the encoding's building blocks and the time budget.

Every kind describes its value as a series of tokens that says its own length at each step, so that two different
values never give the same bytes: ``([1, 2], [3])`` is not ``([1], [2, 3])``. A kind starts with a word that names
what it describes.

The encoding decides every id, so a change of it changes all ids: ``_FORMAT`` then changes with it.
"""

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

from mlotel.errors import InvalidArgumentError, InvalidTypeError
from mlotel.types import Identity

CHUNK = 1 << 19
"""Bytes read at a time: small enough to stay in a core's cache for a second look, large enough to hide the calls."""

SAMPLE = 1000
"""Rows, or members of a collection, that a sampled identity looks at."""

_FORMAT = b"mlotel.artifact/1\0"
_SMALL = 1 << 12  # below this, copying into the buffer is cheaper than a call of the hash function
_BUFFER = 1 << 16

ALGORITHMS = ("xxh3", "blake3", "sha256")


class Unidentifiable(Exception):  # noqa: N818 - a verdict about a value, not a failure
    """The content of a value cannot be hashed; the value gets a ``ref:`` id."""


class Changed(Unidentifiable):
    """A value changed while it was read; not even the same object has the same content later."""


class OverBudget(Exception):  # noqa: N818 - a verdict about a value, not a failure
    """Hashing took longer than the budget; the value gets a sampled identity."""


class State(Protocol):
    """A running hash, as in ``hashlib``."""

    def update(self, data: Any, /) -> object:
        """Add bytes."""

    def digest(self) -> bytes:
        """Digest of all bytes so far."""


def state_maker(algorithm: str) -> Callable[[], State]:
    """The function that starts a hash.

    Raises:
        InvalidArgumentError: If the algorithm is unknown, or needs a package that is not installed.
        InvalidTypeError: If it is not a string.
    """
    if not isinstance(algorithm, str):
        raise InvalidTypeError(
            f"identify() got an algorithm of type {type(algorithm).__qualname__}. Use one of {', '.join(ALGORITHMS)}."
        )
    if algorithm == "xxh3":
        import xxhash  # loaded by the first hash, not by the first import of mlotel

        return xxhash.xxh3_128
    if algorithm == "sha256":
        import hashlib

        return hashlib.sha256
    if algorithm == "blake3":
        try:
            from blake3 import blake3
        except ImportError as error:
            raise InvalidArgumentError(
                "identify() was asked for algorithm='blake3', which needs the package blake3. "
                "Install it with: pip install blake3. sha256 needs no package."
            ) from error
        return blake3
    raise InvalidArgumentError(f"identify() got algorithm={algorithm!r}. Use one of {', '.join(ALGORITHMS)}.")


def deadline_of(budget_s: float | None) -> float | None:
    """The moment when a budget that starts now is used up.

    Raises:
        InvalidArgumentError: If the budget is negative or not a number.
        InvalidTypeError: If it is neither a number nor None.
    """
    if budget_s is None:
        return None
    if isinstance(budget_s, bool) or not isinstance(budget_s, (int, float)):
        raise InvalidTypeError(
            f"identify() got a budget_s of type {type(budget_s).__qualname__}. Use seconds, or None for no limit."
        )
    if math.isnan(budget_s) or budget_s < 0:
        raise InvalidArgumentError(f"identify() got budget_s={budget_s}. Use 0 or more seconds, or None for no limit.")
    return time.monotonic() + budget_s


class Hasher:
    """Takes the description of a value and turns it into an identity.

    Args:
        algorithm: One of ``ALGORITHMS``.
        deadline: ``time.monotonic()`` after which ``OverBudget`` is raised; None for no limit.
        sampling: Whether kinds should look at a sample only; the id then says so.

    Attributes:
        scheme: First part of the id of a fully hashed value.
        sampling: As given. Kinds ask ``stride``.
        open: Addresses of the values that are being described, each with how many were before it. Children share it,
            so that a value that holds itself, by whatever way, is noticed.
    """

    __slots__ = ("_buffer", "_deadline", "_new", "_state", "open", "sampling", "scheme")

    def __init__(
        self,
        algorithm: str = "xxh3",
        deadline: float | None = None,
        *,
        sampling: bool = False,
        new: Callable[[], State] | None = None,
        open: dict[int, int] | None = None,
    ) -> None:
        self.scheme = algorithm
        self.open = {} if open is None else open
        self.sampling = sampling
        self._new = new if new is not None else state_maker(algorithm)
        self._deadline = deadline
        self._state: State | None = None
        self._buffer = bytearray(_FORMAT)

    def child(self) -> "Hasher":
        """A hasher of the same algorithm and budget, for a part that is described beside the whole."""
        return Hasher(self.scheme, self._deadline, sampling=self.sampling, new=self._new, open=self.open)

    def stride(self, count: int, limit: int = SAMPLE) -> int:
        """Distance between the members to look at: 1, or more when only a sample is wanted."""
        return max(1, -(-count // limit)) if self.sampling else 1

    def check(self) -> None:
        """Raise ``OverBudget`` when the time is used up. For work between tokens that takes long."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise OverBudget

    def text(self, value: str) -> None:
        """Add a string, with its length before it. Lone surrogates count like any other character."""
        data = value.encode("utf-8", "surrogatepass")
        self.token(len(data).to_bytes(8, "little"))
        self.raw(data)

    def number(self, value: int) -> None:
        """Add a count or another integer of up to 63 bits."""
        self.token(value.to_bytes(8, "little", signed=True))

    def token(self, data: bytes) -> None:
        """Add a few bytes that say their own length or always have the same."""
        if len(data) > _BUFFER:
            self.raw(data)
            return
        self._buffer += data
        if len(self._buffer) > _BUFFER:
            self._flush()
            self.check()

    def raw(self, data: Any) -> None:
        """Add the bytes of a buffer without a copy. What was added before must determine how many they are.

        Args:
            data: Bytes, or any object with a C-contiguous buffer.
        """
        view = memoryview(data)
        if view.nbytes <= _SMALL:
            self._buffer += view
            if len(self._buffer) > _BUFFER:
                self._flush()
                self.check()
            return
        self._flush()
        view = view.cast("B")  # blake3 takes no other items
        for start in range(0, view.nbytes, CHUNK):
            self._update(view[start : start + CHUNK])
            self.check()

    def digest(self) -> bytes:
        """Digest of everything so far."""
        self._flush()
        assert self._state is not None
        return self._state.digest()

    def digest_of(self, data: bytes) -> bytes:
        """Digest of a child that is given ``data`` and nothing else, without making one."""
        state = self._new()
        state.update(_FORMAT + data)
        return state.digest()

    def identity(
        self,
        *,
        schema_hash: str | None = None,
        rows: int | None = None,
        columns: int | None = None,
        size: int | None = None,
    ) -> Identity:
        """The identity of the value described so far."""
        digest = self.digest().hex()
        if self.sampling:
            return Identity(f"partial:{digest[:32]}", "sampled", schema_hash, rows, columns, size)
        return Identity(f"{self.scheme}:{digest}", "full", schema_hash, rows, columns, size)

    def _flush(self) -> None:
        if self._buffer:
            self._update(self._buffer)
            self._buffer = bytearray()

    def _update(self, data: Any) -> None:
        if self._state is None:
            self._state = self._new()
        self._state.update(data)


def hash_schema(words: list[str]) -> str:
    """Hash of names, order and types; always xxh3, so that it compares whatever the content was hashed with."""
    hasher = Hasher()
    hasher.text("schema")
    hasher.number(len(words))
    for word in words:
        hasher.text(word)
    return hasher.digest().hex()


class Kind(Protocol):
    """What a file of this folder, or a module behind an entry point of the group ``mlotel.artifacts``, offers.

    The file's or the entry point's name is the import name of the library whose values it knows: that is how it is
    found without being loaded for anything else.
    """

    def matches(self, value: Any, /) -> bool:
        """Whether this kind describes the value. Looks at its type only."""

    def identify(self, value: Any, hasher: Hasher, /) -> Identity:
        """Describe the value to the hasher and return ``hasher.identity(...)``.

        Anything raised means that the value cannot be identified. With ``hasher.sampling`` a strided sample is
        described, together with the full counts.
        """
