"""Which revision of which repository is running, and whether somebody has changed it.

The revision stands in files that are quickly read, so it is known without ``git`` and however long ``git status``
takes. Where they are not the plain files that git has kept for decades, ``git`` is asked for it too.

Source: gitrepository-layout(5), git-worktree(1).
"""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from mlotel.semconv import attributes as names

_TIME_LIMIT_S = 0.5
_COMMANDS = {
    "head": ("rev-parse", "HEAD", "--abbrev-ref", "HEAD"),
    "remotes": ("config", "--get-regexp", r"^remote\..*\.url$"),
    "changes": ("status", "--porcelain", "--untracked-files=no"),
}
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_PACKED = 64 << 20  # bytes of packed-refs: half a million branches and tags
# Set inside git's own hooks, where they would make every repository look like that one.
_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"}


def work_tree(folders: Iterable[Path]) -> Path | None:
    """The first of ``folders`` that lies in a work tree of git. Looks for ``.git`` and starts nothing."""
    return next((folder for folder in folders if _dot_git(folder) is not None), None)


def _dot_git(folder: Path) -> Path | None:
    """The nearest ``.git``, a folder or a file, in ``folder`` or above."""
    for candidate in (folder, *folder.parents):
        try:
            if (candidate / ".git").exists():
                return candidate / ".git"
        except OSError:
            break
    return None


def vcs_facts(folder: Path, time_limit_s: float = _TIME_LIMIT_S) -> dict[str, str | bool]:
    """Attributes of the repository around ``folder``.

    Args:
        folder: Any folder in the work tree.
        time_limit_s: Seconds that the commands have; they run side by side, take no lock and change nothing.

    Returns:
        Repository URL without credentials, branch, revision, and whether tracked files differ from it; what neither the
        files nor ``git`` said in time is absent.
    """
    head = _read_head(folder)
    said = _ask(folder, time_limit_s, [what for what in _COMMANDS if what != "head" or head is None])
    facts: dict[str, str | bool] = {}
    revision, branch, *_ = head or (*said.get("head", "").split(), "", "")
    if _HASH.fullmatch(revision):
        facts[names.VCS_REF_HEAD_REVISION] = revision
        if branch != "HEAD":  # which is what a detached head is called
            facts[names.VCS_REF_HEAD_NAME] = branch
    remotes = dict(line.split(None, 1) for line in said.get("remotes", "").splitlines() if " " in line)
    url = public_url(remotes.get("remote.origin.url") or next(iter(remotes.values()), ""))
    if url:
        facts[names.VCS_REPOSITORY_URL_FULL] = url
    if "changes" in said:
        facts[names.ML_VCS_DIRTY] = bool(said["changes"].strip())
    return facts


def public_url(remote: str) -> str | None:
    """A remote as a page: ``https``, without credentials, query and ``.git``; None for a path on this machine.

    Example:
        >>> public_url("git@example.org:team/flights.git")
        'https://example.org/team/flights'
        >>> public_url("https://token@example.org/team/flights.git?x=1")
        'https://example.org/team/flights'
    """
    short = re.fullmatch(r"(?:[^@/\s]+@)?([A-Za-z0-9.-]+\.[A-Za-z0-9-]+):(?!//)(\S+)", remote.strip())
    if short:
        remote = f"https://{short.group(1)}/{short.group(2)}"
    try:
        parts = urlsplit(remote.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("https", "http", "ssh", "git", "git+ssh"):
        return None
    if port and parts.scheme in ("http", "https"):  # the port of ssh is no port of the page
        host = f"{host}:{port}"
    scheme = "http" if parts.scheme == "http" else "https"
    return urlunsplit((scheme, host, parts.path.rstrip("/").removesuffix(".git"), "", ""))


def _read_head(folder: Path) -> tuple[str, str] | None:
    """Revision and branch, ``HEAD`` for none, as the files of the repository say; None where ``git`` must be asked."""
    if "GIT_CEILING_DIRECTORIES" in os.environ:  # git may not look as far up
        return None
    try:
        home = _dot_git(folder)
        if home is None or home.stat().st_dev != folder.stat().st_dev:  # nor does it look beyond a mount
            return None
        if home.is_file():  # of a linked work tree, or a submodule
            word, _, place = home.read_text(encoding="utf-8").rstrip("\n").partition(": ")
            if word != "gitdir" or not place:
                return None
            home = home.parent / place
        shared = home / "commondir"
        common = home / shared.read_text(encoding="utf-8").rstrip("\n") if shared.exists() else home
        head = home / "HEAD"
        if head.is_symlink() or not (common / "objects").is_dir():  # of old, a link to the branch
            return None
        text = head.read_text(encoding="utf-8").rstrip("\n")
        if _HASH.fullmatch(text):
            return text, "HEAD"
        word, _, ref = text.partition(": ")
        if word != "ref" or not ref.startswith("refs/heads/") or ".." in ref:
            return None
        revision = _revision_of(common, ref)
        return None if revision is None else (revision, ref.removeprefix("refs/heads/"))
    except (OSError, ValueError):  # not there, not ours to read, no text
        return None


def _revision_of(common: Path, ref: str) -> str | None:
    """What a branch points to; None where that is not plain, as in a repository whose branches are in a reftable."""
    loose = common / ref
    if loose.is_file():
        found = loose.read_text(encoding="utf-8").rstrip("\n")
    else:
        packed = common / "packed-refs"
        if packed.stat().st_size > _MAX_PACKED:
            return None
        before, _, _ = packed.read_bytes().partition(f" {ref}\n".encode())
        found = before[before.rfind(b"\n") + 1 :].decode()
    return found if _HASH.fullmatch(found) else None


def _ask(folder: Path, time_limit_s: float, questions: Iterable[str]) -> Mapping[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    deadline = time.monotonic() + time_limit_s
    running: dict[str, subprocess.Popen[str]] = {}
    said: dict[str, str] = {}
    try:
        for what in questions:
            running[what] = subprocess.Popen(
                # no index lock, and no program that a repository's own settings name
                ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *_COMMANDS[what]],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
        for what, process in running.items():
            output, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
            if process.returncode == 0:
                said[what] = output
    except (OSError, subprocess.SubprocessError, ValueError):  # no git, no time
        pass
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    return said
