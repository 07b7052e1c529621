"""Whose a spool file is: its writer's while that lives, then that of whoever claims it first.

Where the file system has locks, a lock on the file says so, and ends with the process that holds it. Where it has none,
or where other machines may not see ours, the host and the process id in the file's name tell whether the writer lives,
and a file ``….claim-<host>-<pid>-<8 hex digits>`` beside it is the claim.
"""

import contextlib
import math
import os
import random
import re
import secrets
import socket
import stat
import time
from calendar import timegm
from collections.abc import Callable
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # its absence is asked for where it is used

CLAIM: Final = ".claim"
QUIET_S: Final = 3600.0
"""Seconds without a change after which a file is nobody's, where nothing else can tell."""

_CLOCK_SLACK_S = 5  # the system rounds, and counts from a moment that it knows to a second
_CLAIM_NAME: Final = re.compile(r"(?P<file>.+\.jsonl)\.claim-(?P<host>.+)-(?P<pid>[0-9]+)-[0-9a-f]{8}")
_TRIES = 6
_PATIENCE_S = 0.01
_FAR: Final = re.compile(r"nfs.*|cifs|smb.*|fuse\..*|9p|virtiofs|ceph|lustre|gpfs|beegfs|afs|gfs2?|ocfs2|vboxsf|prl_fs")


class InUseError(Exception):
    """The file's writer lives, or somebody else is sending it."""


def host_name() -> str:
    """This machine's name as it stands in file names."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname())[:64] or "host"


def flags(access: int) -> int:
    """Flags for ``os.open`` that keep links and pipes from being opened, as far as the system has them."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        access |= getattr(os, name, 0)
    return access


def is_ours(facts: os.stat_result) -> bool:
    """A regular file of this user. The superuser may send everybody's: it is asked to where others cannot."""
    if not stat.S_ISREG(facts.st_mode):
        return False
    user = os.geteuid() if hasattr(os, "geteuid") else None
    return user in (None, 0, facts.st_uid)


def lock(descriptor: int) -> bool:
    """Lock the file until its descriptor is closed.

    Returns:
        Whether the file system has locks.

    Raises:
        InUseError: If somebody else has locked it.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InUseError("another process writes or sends it") from None
    except OSError:
        return False
    return True


def is_kept(host: str, pid: int, start: str) -> bool:
    """Whether the process that wrote a file lives here, and counts what becomes of its records itself.

    Args:
        host: The host in the file's name.
        pid: The process id in it.
        start: The UTC time in it, ``20260105T120000``. A process that began later has the id of one that ended.
    """
    if host != host_name() or pid == os.getpid() or not _is_alive(pid):
        return False
    begun = _begun(pid)
    return begun is None or begun <= timegm(time.strptime(start, "%Y%m%dT%H%M%S")) + _CLOCK_SLACK_S


def is_writing(path: Path, host: str, pid: int, facts: os.stat_result, is_open: Callable[[Path], bool] | None) -> bool:
    """Whether a file may still be written, where no lock can tell: by its name and its age.

    Args:
        path: The file.
        host: The host in its name.
        pid: The process id in its name.
        facts: Of the file.
        is_open: Tells of a file that bears this process's id whether this process writes it.
    """
    if host != host_name() or os.name == "nt":  # where asking a process whether it lives would interrupt it
        return has_changed(facts)
    if pid == os.getpid():
        return is_open(path) if is_open is not None else _is_last_part(path)
    return _is_alive(pid)


def remove_unless_in_use(path: Path, host: str, pid: int, is_open: Callable[[Path], bool]) -> bool:
    """Remove a spool file that nobody writes or sends, holding its lock while doing so.

    Args:
        path: The file.
        host: The host in its name.
        pid: The process id in its name.
        is_open: Says of a file that bears this process's id whether this process writes it.

    Returns:
        Whether it is gone.
    """
    try:
        descriptor = os.open(path, flags(os.O_RDONLY))
    except FileNotFoundError:
        return True
    except OSError:  # somebody else's, in a folder that is shared
        return False
    try:
        facts = os.fstat(descriptor)
        if not lock(descriptor) and is_writing(path, host, pid, facts, is_open):
            return False
        if os.name == "nt":  # where a file that is open cannot be removed
            os.close(descriptor)
            descriptor = -1
        path.unlink(missing_ok=True)
    except (InUseError, OSError):
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return True


def is_there(host: str, pid: int) -> bool:
    """Whether a process lives here; of other hosts nothing is known."""
    return host == host_name() and _is_alive(pid)


def is_gone(host: str, pid: int) -> bool:
    """Whether a process lived here and has ended; of other hosts nothing is known."""
    return host == host_name() and os.name != "nt" and not _is_alive(pid)


def has_changed(facts: os.stat_result) -> bool:
    """Whether the file changed a short time ago; also where a clock is so wrong that it has yet to change."""
    return time.time() - facts.st_mtime < QUIET_S


def is_far(folder: Path) -> bool:
    """Whether the folder is on a file system that other machines may have mounted, as far as the system says."""
    try:
        device = folder.stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():  # 36 35 98:0 /root /mounted-at rw,noatime shared:1 - ext3 /dev/root rw
        fields, _, rest = line.partition(" - ")
        if fields.split(" ")[2:3] == [wanted]:
            return _FAR.fullmatch(rest.split(" ")[0]) is not None
    return False


def claim(path: Path) -> Path:
    """Make the file that claims ``path``; who removes it gives the claim up.

    Everybody makes a claim under a name of its own and then looks for others: of two who do so at once at least one
    sees the other, and steps back. A name is never used twice, so a claim that is found stale can safely be removed.

    Raises:
        InUseError: If a living process has claimed it.
        OSError: If it cannot be made.
    """
    rivals: list[str] = []
    for attempt in range(1, _TRIES + 1):
        mine = path.with_name(f"{path.name}{CLAIM}-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}")
        os.close(os.open(mine, flags(os.O_WRONLY | os.O_CREAT | os.O_EXCL), 0o600))
        try:
            rivals = _living_claims(path, mine)
        except BaseException:
            remove(mine)
            raise
        if not rivals:
            return mine
        remove(mine)
        time.sleep(random.uniform(0, attempt * _PATIENCE_S))
    raise InUseError(f"{', '.join(rivals)} has claimed it")


def _living_claims(path: Path, mine: Path) -> list[str]:
    """Who else claims ``path``; claims of processes that have ended are removed."""
    rivals = []
    for entry in os.scandir(path.parent):
        found = _CLAIM_NAME.fullmatch(entry.name)
        if found is None or found["file"] != path.name or entry.name == mine.name:
            continue
        try:
            is_stale = _is_stale(found["host"], int(found["pid"]), entry.stat(follow_symlinks=False))
        except FileNotFoundError:  # given up since the folder was listed
            continue
        if is_stale:
            remove(path.with_name(entry.name))
        else:
            rivals.append(f"process {found['pid']} on {found['host']}")
    return rivals


def _is_stale(host: str, pid: int, facts: os.stat_result) -> bool:
    if host != host_name() or os.name == "nt":
        return not has_changed(facts)
    return pid != os.getpid() and not _is_alive(pid)


def read_small(path: Path) -> bytes:
    """The first 65,536 bytes of a regular file."""
    descriptor = os.open(path, flags(os.O_RDONLY))
    try:
        return os.read(descriptor, 65_536) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, or leave it where that is not possible."""
    with contextlib.suppress(OSError):
        path.unlink()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it lives, and is somebody else's
        return True
    return True


def _begun(pid: int) -> float | None:
    """When a process began, in seconds since 1970; None where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):  # it has ended, and its parent has not asked how
            return math.inf
        booted = re.search(rb"^btime ([0-9]+)$", Path("/proc/stat").read_bytes(), re.MULTILINE)
        if booted is None:
            return None
        return int(booted[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22, counted after the name
    except (OSError, ValueError, IndexError):
        return None


def _is_last_part(path: Path) -> bool:
    stem, _, part = path.name.removesuffix(".jsonl").removesuffix(".pending").rpartition(".")
    others = [other.name.removeprefix(f"{stem}.").partition(".")[0] for other in path.parent.glob(f"{stem}.*.jsonl")]
    return not any(other.isdigit() and int(other) > int(part) for other in others)
