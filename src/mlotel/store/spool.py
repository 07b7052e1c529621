"""Reads spool files: OTLP/JSON, one export request a line.

A line is read once and forgotten, so memory does not grow with the folder. Lines that cannot matter are passed over
without being decoded, and files are offered newest first, so that a question about the latest runs stops early.
"""

import json
import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlotel.errors import NotFoundError
from mlotel.store.otlp import Record, records
from mlotel.types import SpanRecord

__all__ = ["FileGroup", "Spool", "default_folders"]

MAX_LINE = 64 * 1024 * 1024  # bytes, of a spool file's largest size; a longer line is no batch of ours
_MAX_BAD = 100_000  # places of unreadable lines remembered; beyond that the count is a lower bound


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files of one writer: the parts that follow each other when a file is full.

    Attributes:
        files: In the order they were written.
        changed_ns: When the last one was written, by the file system's clock.
    """

    files: tuple[Path, ...]
    changed_ns: int


def default_folders(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Folders that recording writes to when nothing else is said, in the order they are looked at.

    Args:
        environment: Variables to go by; those of the process by default.

    Returns:
        ``MLOTEL_SPOOL`` if set, else ``.mlotel/spool`` in the working folder; then the one in the user's state folder,
        for users who have a home.

    Example:
        >>> [folder.as_posix() for folder in default_folders({"XDG_STATE_HOME": "/home/ana/.state"})]
        ['.mlotel/spool', '/home/ana/.state/mlotel/spool']
    """
    variables = os.environ if environment is None else environment
    state = variables.get("XDG_STATE_HOME", "")
    first = Path(variables.get("MLOTEL_SPOOL") or ".mlotel/spool")
    try:
        # The specification of XDG_STATE_HOME says that a relative path is to be ignored.
        home = Path(state) if Path(state).is_absolute() else Path("~/.local/state").expanduser()
    except RuntimeError:  # no HOME, and nobody by this user id: so it is in some containers
        return [first]
    return [first, home / "mlotel" / "spool"]


class Spool:
    """Spool files of one folder, or one file.

    Args:
        path: A spool folder, the ``.mlotel`` folder around it, or a file.

    Attributes:
        path: The folder or file that is read.
        duplicates: Spans that were there a second time, and were left out.
        unreadable_files: Files that could not be opened.

    Raises:
        NotFoundError: When ``path`` does not exist, or is neither folder nor regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            mode = self.path.stat().st_mode
        except (OSError, ValueError) as error:
            reason = "there is no such file or folder" if isinstance(error, FileNotFoundError) else str(error)
            raise NotFoundError(f"Cannot read {str(path)!r}: {reason}.") from error
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise NotFoundError(f"Cannot read {str(path)!r}: it is neither a folder nor a file.")
        if stat.S_ISDIR(mode) and (self.path / "spool").is_dir():
            self.path = self.path / "spool"
        self.duplicates = 0
        self.unreadable_files: set[Path] = set()
        self._bad: set[tuple[Path, int, int]] = set()

    @property
    def skipped(self) -> int:
        """Lines that are torn or no OTLP/JSON, and single records in others; counted once, however often read."""
        return len(self._bad)

    def groups(self) -> list[FileGroup]:
        """Files to read, those changed last first. Files that vanish meanwhile are left out."""
        found: dict[str, list[tuple[Path, int]]] = {}
        try:
            paths = sorted(self.path.glob("*.jsonl")) if self.path.is_dir() else [self.path]
        except OSError:
            self.unreadable_files.add(self.path)
            return []
        for path in paths:
            try:
                facts = path.stat()
            except OSError:
                continue  # rotated away since the folder was listed
            if stat.S_ISREG(facts.st_mode):  # opening a named pipe would wait for ever
                # ``….<part>.jsonl``, and ``….<part>.pending.jsonl`` for what waits for an endpoint
                writer = path.name.removesuffix(".jsonl").removesuffix(".pending").rpartition(".")[0] or path.name
                found.setdefault(writer, []).append((path, facts.st_mtime_ns))
        groups = [
            FileGroup(tuple(path for path, _ in parts), max(changed for _, changed in parts))
            for parts in found.values()
        ]
        return sorted(groups, key=lambda group: group.changed_ns, reverse=True)

    def read(
        self,
        groups: Iterable[FileGroup],
        *,
        holds: Callable[[bytes], bool] | None = None,
        traces: Container[str] | None = None,
    ) -> Iterator[Record]:
        """Spans and ``ml.*`` events of ``groups``; each span once.

        Args:
            groups: What ``groups()`` gave, or a part of it.
            holds: Says whether a line can matter; the others are not decoded. Metrics never are.
            traces: Trace ids to keep; None keeps all.

        Yields:
            Records in the order they were written, file by file.
        """
        seen: set[bytes] = set()
        for group in groups:
            for path in group.files:
                yield from self._file(path, holds, traces, seen)

    def _file(
        self, path: Path, holds: Callable[[bytes], bool] | None, traces: Container[str] | None, seen: set[bytes]
    ) -> Iterator[Record]:
        try:
            for number, line in _lines(path):
                text = line.strip()
                if not text:
                    continue
                if text[:1] != b"{" or text[-1:] != b"}":
                    self._skip(path, number)
                elif not text.startswith(b'{"resourceMetrics"') and (holds is None or holds(text)):
                    yield from self._line(path, number, text, traces, seen)
        except FileNotFoundError:
            return  # rotated away since the folder was listed
        except OSError:
            self.unreadable_files.add(path)

    def _line(
        self, path: Path, number: int, text: bytes, traces: Container[str] | None, seen: set[bytes]
    ) -> Iterator[Record]:
        try:
            found = list(records(json.loads(text), traces=traces))
        except (ValueError, RecursionError):
            self._skip(path, number)
            return
        for index, record in enumerate(found):
            if record is None:
                self._skip(path, number, index)
            elif isinstance(record, SpanRecord):
                key = bytes.fromhex(record.trace_id + record.span_id)
                if key in seen:
                    self.duplicates += 1
                else:
                    seen.add(key)
                    yield record
            else:
                yield record

    def _skip(self, path: Path, line: int, index: int = -1) -> None:
        if len(self._bad) < _MAX_BAD:
            self._bad.add((path, line, index))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of ``path``. A line longer than any batch comes as its beginning, which cannot be decoded."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                line = line[:1]
            yield number, line
