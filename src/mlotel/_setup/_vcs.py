"""Which revision of which repository is running, and whether somebody has changed it: what ``git`` says."""

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
# Set inside git's own hooks, where they would make every repository look like that one.
_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"}


def work_tree(folders: Iterable[Path]) -> Path | None:
    """The first of ``folders`` that lies in a work tree of git. Looks for ``.git`` and starts nothing."""
    for folder in folders:
        for candidate in (folder, *folder.parents):
            try:
                if (candidate / ".git").exists():
                    return folder
            except OSError:
                break
    return None


def vcs_facts(folder: Path, time_limit_s: float = _TIME_LIMIT_S) -> dict[str, str | bool]:
    """Attributes of the repository around ``folder``.

    Args:
        folder: Any folder in the work tree.
        time_limit_s: Seconds that the commands have; they run side by side, take no lock and change nothing.

    Returns:
        Repository URL without credentials, branch, revision, and whether tracked files differ from it; what ``git`` did
        not say in time is absent.
    """
    said = _ask(folder, time_limit_s)
    facts: dict[str, str | bool] = {}
    revision, branch, *_ = (*said.get("head", "").split(), "", "")
    if re.fullmatch(r"[0-9a-f]{40,64}", revision):
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


def _ask(folder: Path, time_limit_s: float) -> Mapping[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    deadline = time.monotonic() + time_limit_s
    running: dict[str, subprocess.Popen[str]] = {}
    said: dict[str, str] = {}
    try:
        for what, command in _COMMANDS.items():
            running[what] = subprocess.Popen(
                # no index lock, and no program that a repository's own settings name
                ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *command],
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
