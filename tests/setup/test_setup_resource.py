"""Who and where telemetry comes from: process, host, revision, CI run; and what stays out."""

import os
import platform
import shutil
import subprocess
import time

import pytest
from programs import run
from records import spooled

from mlotel._setup._ci import ci_facts
from mlotel._setup._resource import Facts
from mlotel._setup._vcs import public_url, vcs_facts, work_tree

GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder, *command):
    return subprocess.run(
        ["git", *command], cwd=folder, env={**os.environ, **GIT}, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit on a branch, and a remote with a password in it."""
    folder = tmp_path / "repository"
    (folder / "deep" / "er").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "feature/x")
    (folder / "train.py").write_text("pass\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:hush@example.org/team/flights.git?a=b")
    return folder


def settled(**arguments):
    facts = Facts(arguments.get("service_name"), arguments.get("redact"))
    facts.settle(5)
    return facts.attributes()


def test_clean_and_dirty_work_tree(repository):
    """Revision, branch, repository without credentials; dirty when a tracked file has changed, not for a new one."""
    (repository / "untracked.csv").write_text("1")
    clean = vcs_facts(repository / "deep" / "er", 5)
    (repository / "train.py").write_text("changed\n")
    dirty = vcs_facts(repository, 5)

    assert clean == {
        "vcs.ref.head.revision": git(repository, "rev-parse", "HEAD"),
        "vcs.ref.head.name": "feature/x",
        "vcs.repository.url.full": "https://example.org/team/flights",
        "ml.vcs.dirty": False,
    }
    assert dirty == {**clean, "ml.vcs.dirty": True}


def test_detached_head_has_no_branch(repository):
    """A checked-out commit is a revision without a name."""
    git(repository, "checkout", "-q", "--detach")

    assert "vcs.ref.head.name" not in vcs_facts(repository, 5)
    assert "vcs.ref.head.revision" in vcs_facts(repository, 5)


def test_looking_changes_nothing_and_runs_nothing_of_the_repository(repository, tmp_path):
    """No lock, no refreshed index, and no program that the repository's settings name."""
    git(repository, "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    before = (repository / ".git" / "index").stat().st_mtime_ns
    os.utime(repository / "train.py", (1, 1))  # git status would now refresh the index

    assert vcs_facts(repository, 5)["ml.vcs.dirty"] is False
    assert (repository / ".git" / "index").stat().st_mtime_ns == before
    assert not (tmp_path / "ran").exists()


def test_without_git_there_is_the_revision(repository, monkeypatch, tmp_path):
    """No git on the path, or one that hangs: revision and branch are known, all else is absent, within the limit."""
    assert work_tree([tmp_path]) is None
    assert work_tree([tmp_path, repository / "deep"]) == repository / "deep"

    known = {"vcs.ref.head.revision": git(repository, "rev-parse", "HEAD"), "vcs.ref.head.name": "feature/x"}
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    assert vcs_facts(repository / "deep") == known
    assert vcs_facts(tmp_path) == {}

    (empty / "git").write_text("#!/bin/sh\nexec /bin/sleep 20\n")
    (empty / "git").chmod(0o755)
    began = time.monotonic()
    assert vcs_facts(repository) == known
    assert time.monotonic() - began < 3.0


@pytest.fixture
def questions(monkeypatch, tmp_path):
    """What git is asked, by its commands, as a function; git answers as ever."""
    log, folder = tmp_path / "asked", tmp_path / "asks"
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which("git")} "$@"\n')
    (folder / "git").chmod(0o755)

    def asked(where):
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
            facts = vcs_facts(where, 20)
        lines = log.read_text().splitlines()
        log.unlink()
        return facts, any("rev-parse" in line for line in lines)

    return asked


def test_the_revision_is_read_wherever_git_keeps_it(repository, questions, tmp_path):
    """Packed branches, linked work trees, submodules and sha256: what git would say, without asking it for it."""
    git(repository, "pack-refs", "--all", "--prune")
    assert not (repository / ".git" / "refs" / "heads" / "feature" / "x").exists()
    git(repository, "worktree", "add", "-q", "-b", "beside", str(tmp_path / "beside"))
    (tmp_path / "beside" / "train.py").write_text("other\n")
    git(tmp_path / "beside", "commit", "-q", "-a", "-m", "second")
    git(tmp_path / "beside", "branch", "beside-not")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "beside"), "part")
    longer = tmp_path / "longer"
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", str(longer))
    git(longer, "commit", "-q", "--allow-empty", "-m", "first")

    for folder in (repository, repository / "deep", tmp_path / "beside", repository / "part", longer):
        facts, was_asked = questions(folder)
        assert not was_asked, folder
        assert facts["vcs.ref.head.revision"] == git(folder, "rev-parse", "HEAD")
        assert facts["vcs.ref.head.name"] == git(folder, "rev-parse", "--abbrev-ref", "HEAD")
        assert facts["ml.vcs.dirty"] is (folder in (repository, repository / "deep"))  # the submodule was added

    git(repository, "checkout", "-q", "--detach")
    facts, was_asked = questions(repository)
    assert (facts["vcs.ref.head.revision"], was_asked) == (git(repository, "rev-parse", "HEAD"), False)
    assert "vcs.ref.head.name" not in facts


def test_git_is_asked_where_its_files_are_not_plain(repository, questions, tmp_path):
    """A branch that stands for another, a HEAD that is a link, another format, a branch without a commit."""
    revision = git(repository, "rev-parse", "HEAD")
    head = repository / ".git" / "HEAD"

    git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/feature/x")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/alias")
    facts, was_asked = questions(repository)
    assert (facts["vcs.ref.head.revision"], was_asked) == (revision, True)

    head.unlink()
    head.symlink_to("refs/heads/feature/x")
    facts, was_asked = questions(repository)
    assert (facts["vcs.ref.head.revision"], facts["vcs.ref.head.name"], was_asked) == (revision, "feature/x", True)

    head.unlink()
    for content in (
        "ref: refs/heads/.invalid\n",
        "ref: refs/heads/not-yet\n",
        "ref: refs/heads/../config\n",
        "?\n",
        "",
    ):
        head.write_text(content)
        facts, was_asked = questions(repository)
        assert was_asked, content
        assert "vcs.ref.head.revision" not in facts

    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / ".git").write_text("not a place\n")
    facts, was_asked = questions(tmp_path / "odd")
    assert (facts, was_asked) == ({}, True)


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("git@github.com:team/flights.git", "https://github.com/team/flights"),
        ("ssh://git@example.org:2222/team/flights.git", "https://example.org/team/flights"),
        ("http://user:pw@example.org:8080/flights?token=1#x", "http://example.org:8080/flights"),
        ("/srv/git/flights.git", None),
        ("file:///srv/git/flights.git", None),
        ("C:\\repositories\\flights", None),
        ("", None),
    ],
)
def test_remotes_become_pages_without_secrets(remote, url):
    """A remote is shown as the page of the repository; a path on the machine is not shown."""
    assert public_url(remote) == url


def test_ci_facts():
    """Name, run and page of the pipeline, for services that say so; nothing elsewhere."""
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKFLOW": "nightly",
        "GITHUB_RUN_ID": "17",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "team/flights",
        "GITHUB_REF_NAME": "main",
        "GITHUB_SHA": "c0ffee",
    }
    jenkins = {
        "JENKINS_URL": "https://ci/",
        "JOB_NAME": "j",
        "BUILD_NUMBER": "2",
        "BUILD_URL": "https://me:pw@ci/j/2?x",
    }

    assert ci_facts(github) == {
        "cicd.pipeline.name": "nightly",
        "cicd.pipeline.run.id": "17",
        "cicd.pipeline.run.url.full": "https://github.com/team/flights/actions/runs/17",
        "vcs.ref.head.name": "main",
        "vcs.ref.head.revision": "c0ffee",
    }
    assert ci_facts(jenkins) == {
        "cicd.pipeline.name": "j",
        "cicd.pipeline.run.id": "2",
        "cicd.pipeline.run.url.full": "https://ci/j/2",
    }
    assert ci_facts({"GITHUB_WORKFLOW": "not in CI"}) == ci_facts({"GITLAB_CI": "false"}) == {}


def test_process_and_host(monkeypatch):
    """Process, runtime and host by OpenTelemetry's names; nothing of the command line."""
    monkeypatch.setattr("sys.argv", ["train.py", "--password=hush"])
    found = settled(service_name="flights")

    assert found["service.name"] == "flights"
    assert found["process.pid"] == os.getpid()
    assert found["process.runtime.name"] == "cpython"
    assert found["process.runtime.version"] == platform.python_version()
    assert found["host.name"] == platform.node()
    assert found["os.type"] == "linux"
    assert found["host.arch"] in ("amd64", "arm64") or found["host.arch"] == platform.machine().lower()
    assert len(found["service.instance.id"]) == 36
    assert not any(name.startswith("process.command") for name in found)
    assert "hush" not in str(found)


def test_environment_wins_over_what_was_found_and_arguments_over_both(monkeypatch):
    """OTEL_RESOURCE_ATTRIBUTES over detected facts, OTEL_SERVICE_NAME over its service.name, service_name= over all."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=my%20host,service.name=listed,team=blue")
    assert {key: settled()[key] for key in ("host.name", "service.name", "team")} == {
        "host.name": "my host", "service.name": "listed", "team": "blue",
    }  # fmt: skip
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    assert settled()["service.name"] == "named"
    assert settled(service_name="argued")["service.name"] == "argued"


@pytest.mark.lenient
def test_redact_sees_the_resource_too():
    """Every text of the resource goes through redact; one that redact fails on does not leave."""

    def redact(text):
        if text == platform.node():
            raise ValueError("no")
        return text.replace("flights", "***")

    found = settled(service_name="flights", redact=redact)

    assert found["service.name"] == "***"
    assert found["host.name"] == "[redacted]"  # what it failed on


def test_the_script_names_the_service_and_its_repository(repository):
    """A script run from elsewhere: its own name, and the repository that it lies in; on every signal."""
    (repository / "train.py").write_text("pass\n")
    program = run(
        """
        telemetry = configure(spool=os.environ["SPOOL"])
        work()
        telemetry.flush()
        from pathlib import Path
        show(lines=[Path(telemetry.spool_file).read_text()])
        show(resource=dict(telemetry.resource))
        """,
        folder=str(repository),
        file="train.py",
        environment={"SPOOL": str(repository / "spool")},
    )

    resource = program.shown["resource"]
    assert resource["service.name"] == "train"
    assert resource["vcs.ref.head.name"] == "feature/x"
    assert resource["ml.vcs.dirty"] is True  # the script itself was written over
    [text] = program.shown["lines"]
    assert len(text.splitlines()) >= 3
    assert all('"vcs.ref.head.revision"' in line for line in text.splitlines())


def test_the_first_delivery_waits_for_what_git_says(repository, tmp_path):
    """A git that takes its time: the very first record has the revision all the same."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(f'#!/bin/sh\nsleep 0.2\nexec {shutil.which("git")} "$@"\n')
    (tmp_path / "bin" / "git").chmod(0o755)
    run(
        "telemetry = configure()\nrecord()\ntelemetry.flush()",
        folder=str(repository),
        environment={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
    )

    [span] = spooled(repository / ".mlotel" / "spool")["traces"]
    assert span["resource"]["vcs.ref.head.revision"] == git(repository, "rev-parse", "HEAD")


def test_configure_does_not_wait_for_git(repository, tmp_path):
    """With a git that hangs, configure() returns at once, and the first delivery waits no longer than its limit."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexec sleep 20\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    program = run(
        """
        from mlotel._setup import _assemble  # what takes time is the import of the SDK
        began = time.monotonic()
        telemetry = configure()
        show(configure_s=time.monotonic() - began)
        event()
        began = time.monotonic()
        show(flush=counts(telemetry.flush()), flush_s=time.monotonic() - began)
        """,
        folder=str(repository),
        environment={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
    )

    assert program.shown["configure_s"] < 0.45  # what git may take
    assert program.shown["flush"]["spooled"]["logs"] == 1
    assert program.shown["flush_s"] < 2.5
