"""How the knowledge of who made an artifact travels with it: inside the file, beside it, or in a local index.

Inside, a stamp stands in the metadata that the format provides: Parquet, Arrow and Feather, safetensors, ONNX, PNG.
It vouches for the *content* (the id of the table, the arrays, the model), since it cannot hold the hash of the file it
is in, and for the rest of the file: libraries store much in another form than it had in memory. Beside, in
``<file>.mlotel.json``, it can vouch for the file's bytes. A stamp is a claim: ``verify`` says whether it still holds.

>>> import tempfile
>>> from pathlib import Path
>>> import pandas as pd
>>> from mlotel import artifacts
>>> from mlotel.artifacts import carriers
>>> flights = pd.DataFrame({"delay": [3.0, 11.0]})
>>> path = Path(tempfile.mkdtemp()) / "flights.parquet"
>>> flights.to_parquet(path)
>>> made = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
>>> ids = {"content_id": artifacts.identify(flights).id, "data_id": carriers.data_id(path)}
>>> carriers.embed(path, carriers.Stamp(made, component="clean", **ids))
True
>>> path = path.rename(path.with_name("moved.parquet"))
>>> stamp, evidence = carriers.stamp_of(path)
>>> evidence, stamp.component
('embedded', 'clean')
>>> carriers.verify(stamp, content=artifacts.identify(flights)).status
'matches'
>>> carriers.verify(stamp, content=artifacts.identify(flights.head(1)), path=path).status  # the file it is from
'matches'
>>> flights.head(1).to_parquet(path)
>>> carriers.verify(stamp, path=path).status
'stale'

A format of another distribution joins by the entry-point group ``mlotel.artifacts.carriers``, under the suffix of its
files: ``zarr``. It offers ``read`` and ``write`` as the files of this folder do, and, if it can, ``data_id``.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, Protocol, TypeAlias, cast

from mlotel import _guard, _plugins
from mlotel.artifacts.carriers import sidecar
from mlotel.artifacts.carriers._base import KEY, MAX_BYTES, Reason, Stamp, count, ignored, with_stamp
from mlotel.artifacts.carriers._files import AnyPath
from mlotel.artifacts.evidence import Evidence
from mlotel.errors import MlotelError
from mlotel.types import Identity

__all__ = [
    "KEY",
    "MAX_BYTES",
    "Reason",
    "Stamp",
    "Verdict",
    "count",
    "data_id",
    "embed",
    "format_of",
    "ignored",
    "stamp_of",
    "stamps",
    "verify",
    "with_stamp",
]

FOLDER = "artifacts.carriers"

_NAMED_OTHERWISE = {"pq": "parquet", "feather": "arrow", "ipc": "arrow", "arrows": "arrow"}
_WORD = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")

Status: TypeAlias = Literal["matches", "stale", "unknown"]


class Format(Protocol):
    """What a file of this folder, or a module behind an entry point, offers."""

    def read(self, path: AnyPath, /) -> Stamp | None:
        """The stamp in a file, or None; counts what it has to ignore, and never raises."""

    def write(self, path: AnyPath, stamp: Stamp, /) -> bool:
        """Put a stamp into a file and say whether it is there; otherwise the file is as it was."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a stamp still vouches for what was found.

    Attributes:
        status: ``matches``: content or file are what the stamp says; ``stale``: they are something else;
            ``unknown``: nothing is known that could be compared.
        artifact_id: The id that matched.
        reason: A sentence that says why it does not match.
    """

    status: Status
    artifact_id: str | None = None
    reason: str | None = None


def format_of(path: AnyPath) -> str | None:
    """Which of the formats a file has, by its suffix; None for a format that carries no stamp.

    Args:
        path: The file; it need not exist.

    Example:
        >>> format_of("flights.pq"), format_of("flights.csv")
        ('parquet', None)
    """
    suffix = PurePath(os.fsdecode(path)).suffix[1:].lower()
    name = _NAMED_OTHERWISE.get(suffix, suffix)
    return name if _WORD.fullmatch(name) and _plugins.has(FOLDER, name) else None


def stamps(path: AnyPath) -> Iterator[tuple[Stamp, Evidence]]:
    """Every stamp that comes with a file, the most trusted first, and how it was found. Never raises.

    A file that a program rewrote together with its metadata bears a stale stamp inside, and may have a good one beside.

    Args:
        path: The file, or a folder; it need not exist.
    """
    for read, evidence in ((_embedded, "embedded"), (sidecar.read, "sidecar")):
        stamp = None
        with _guard.guard("read the stamp of a file"):
            stamp = read(path)
        if stamp is not None:
            yield stamp, cast("Evidence", evidence)


def stamp_of(path: AnyPath) -> tuple[Stamp, Evidence] | None:
    """The stamp inside a file, else the one beside it; None where there is neither. Never raises.

    Args:
        path: The file, or a folder; it need not exist.

    Returns:
        The stamp, and ``embedded`` or ``sidecar``.
    """
    return next(stamps(path), None)


def embed(path: AnyPath, stamp: Stamp) -> bool:
    """Put a stamp into a file that was written already, in place of an earlier one. Never raises.

    The file is replaced in one step by a copy with the same data, mode, owner, extended attributes and modification
    time. A symbolic link stays one. A copy takes as long as copying does: where a library can write the stamp with
    the data (``with_stamp``), let it.

    Args:
        path: The file.
        stamp: What to put in; its ``file_id`` is left out.

    Returns:
        Whether the stamp is in the file now. Otherwise the file is as it was: it is of no format that carries stamps,
        has several names (hard links), must not be written, or changed meanwhile.
    """
    name = format_of(path)
    if name is None:
        return False
    with _guard.guard("write a stamp into a file"):
        return _load(name).write(path, stamp) is True
    return False


def data_id(path: AnyPath, *, scheme: str = "xxh3") -> str | None:
    """Digest of all of a file but the stamp, for formats that carry stamps. Never raises.

    Args:
        path: The file.
        scheme: Which hash: ``xxh3``, ``blake3``, ``sha256``.

    Returns:
        The digest, the same before and after ``embed``; None where it cannot be had, or not within two seconds.
    """
    name = format_of(path)
    if name is None:
        return None
    with _guard.guard("hash a file without its stamp"):
        digest = getattr(_load(name), "data_id", None)
        return None if digest is None else cast("str | None", digest(path, scheme))
    return None


def verify(
    stamp: Stamp, *, file: Identity | None = None, content: Identity | None = None, path: AnyPath | None = None
) -> Verdict:
    """Whether a stamp vouches for what was found.

    One of the ids is enough: a file that was written anew with the same table in it still holds that table, and of a
    file whose bytes are those that were written, it does not matter how much of it was read, or what a library makes
    of it.

    Args:
        stamp: The claim.
        file: Identity of the file's bytes, where known.
        content: Identity of what was read from it, where known.
        path: The file. Without it a stamp's ``data_id`` does not count. It is read once more where the two ids leave
            open whether it is the one that was written, but not when there was no time to hash all of it before.

    Returns:
        ``stale`` only when an id was compared and no other could still match.
    """
    differences: list[str] = []
    open_questions: list[str] = []
    for subject, claimed, found in (("file", stamp.file_id, file), ("content", stamp.content_id, content)):
        if claimed is None:
            continue
        if found is None:
            open_questions.append(f"The id of the {subject} is not known yet.")
        elif found.scope != "full":
            open_questions.append(f"The {subject} has no id that counts every byte.")
        elif found.id == claimed:
            return Verdict("matches", claimed)
        elif found.id.partition(":")[0] != claimed.partition(":")[0]:
            open_questions.append(
                f"The {subject} was identified with {found.id.partition(':')[0]}, and the stamp names an id of "
                f"{claimed.partition(':')[0]}."
            )
        else:
            differences.append(
                f"The {subject} is not what {stamp.component or 'its producer'} wrote: its id is {_short(found.id)}, "
                f"not {_short(claimed)}.{_on_columns(stamp, found) if subject == 'content' else ''}"
            )
    if stamp.data_id is not None and path is not None:
        is_long = file is not None and file.scope != "full"
        data = None if is_long else data_id(path, scheme=stamp.data_id.partition(":")[0])
        if data is None:
            open_questions.append("The file without its stamp has no id that counts every byte.")
        elif data == stamp.data_id:
            return Verdict("matches", file.id if file else stamp.content_id or data)
        else:
            open_questions.clear()  # what was read cannot be compared, and the file is another one
            if not differences:
                differences.append(
                    f"The file is not the one that {stamp.component or 'its producer'} wrote: without its stamp it has "
                    f"the digest {_short(data)}, not {_short(stamp.data_id)}."
                )
    if open_questions or not differences:
        return Verdict("unknown", reason=open_questions[-1] if open_questions else "There is nothing to compare.")
    return Verdict("stale", reason=differences[-1])


def _on_columns(stamp: Stamp, content: Identity) -> str:
    """What may explain a difference without anybody's meddling: libraries differ in what they keep as a column."""
    if stamp.schema_hash is None or content.schema_hash in (None, stamp.schema_hash):
        return ""
    return " Its columns or their types are not those that were written, or another library reads them otherwise."


def _embedded(path: AnyPath) -> Stamp | None:
    name = format_of(path)
    if name is None:
        return None
    stamp = _load(name).read(path)
    if stamp is not None and type(stamp) is not Stamp:
        count(name, "foreign")
        return None
    return stamp


def _load(name: str) -> Format:
    try:
        return cast("Format", _plugins.load(FOLDER, name))
    except MlotelError:  # a broken plugin of another distribution, reported by now
        return _Nothing()


class _Nothing:
    def read(self, path: AnyPath, /) -> None:
        """Find nothing."""

    def write(self, path: AnyPath, stamp: Stamp, /) -> bool:
        """Write nothing."""
        return False


def _short(artifact_id: str) -> str:
    scheme, _, digits = artifact_id.partition(":")
    return f"{scheme}:{digits[:6]}…"
