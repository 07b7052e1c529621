"""The spool's folder: where it is, who writes in it."""

import contextlib
import errno
import os
import time
from pathlib import Path

from mlotel import _guard

try:
    import fcntl
except ImportError:  # not on Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]  # its absence is asked for where it is used

_LOCK_PATIENCE_S = 0.2


def state_folder() -> Path | None:
    """The user's own folder; None for a user without a home, as in some containers."""
    configured = os.environ.get("XDG_STATE_HOME", "")
    # The XDG rules: a relative path is to be ignored.
    try:
        base = Path(configured) if Path(configured).is_absolute() else Path("~/.local/state").expanduser()
    except RuntimeError:
        return None
    return base / "mlotel" / "spool"


def replay_folders(folder: Path) -> list[Path]:
    """Where processes that were to write to ``folder`` have left their records: there, or in the user's own folder."""
    own = state_folder()
    place = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    return [folder] if own is None or own == folder or os.access(place, os.W_OK) else [folder, own]


def prepare(folder: Path) -> None:
    """Make ``folder`` with what is missing above it, for the owner only, and keep it out of version control."""
    missing = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.append(path)
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not missing and os.name == "posix" and folder.stat().st_mode & 0o077:
        _guard.say_once(
            ("spool mode", str(folder)),
            "Others on this machine can look into %s, where records are kept; the files in it are for you only. Close "
            "it: chmod 700 %s",
            folder,
            folder,
        )
    ignore = folder.parent / ".gitignore"
    if folder.parent.name == ".mlotel" and not ignore.exists():
        with contextlib.suppress(OSError):  # the folder above may belong to somebody else; records matter more
            ignore.write_text("*\n")


def sync_folder(folder: Path) -> None:
    """See to it that the name of a new file survives a loss of power, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(descriptor: int) -> None:
    """Tell other processes that the file is being written, until it is closed or this process ends.

    Whoever looks whether a new file is in use holds its lock for a moment: that is waited for. It may be gone after.
    """
    if fcntl is None:
        return
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() >= deadline:
                return  # a file system without locks
        else:
            return
        time.sleep(0.002)
