"""Reads the code blocks of the Markdown pages, and runs them as a reader would.

What a block is follows from its language:

- ``python``: runs in the page's namespace. One whose first line is ``# NAME.py`` is saved under that name instead, for
  a command further down.
- ``text``: what the ``python`` block before it prints, standard error included. A ``python`` block without one prints
  nothing.
- ``console``: lines that begin with ``$ `` are commands, the lines below each are what it prints on a terminal of 100
  columns. Commands that are not ours are not run: ``NOT_RUN`` says which, and why.
- ``yaml``: must be YAML. One whose first line is ``# NAME.yaml`` is saved under that name.
- ``{name}``: a directive of the documentation builder.

Any other language fails the test. The blocks of one page run in one process, in a folder of their own, so that
``configure()`` is the real one and pages do not see each other. That is why no library does it: sybil,
pytest-markdown-docs and their like run blocks inside the process of the tests, and compare no output of commands.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLAYER = Path(__file__).with_name("doc_player.py")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
TIME_LIMIT_S = 480
HERE = "/home/ana/flights"
"""What the working folder is called on the pages."""
HOST = "laptop"
"""What the machine is called there."""

NOT_RUN = {
    "make": "sets up environments and runs this suite",
    "pip": "changes the environment",
    "git": "needs the network",
    "otelcol": "is the user's collector; test_collector_config.py asks it where there is one",
    "otelcol-contrib": "likewise",
    "docker": "is the user's",
}
"""First words of commands that pages may show without their being run."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^`\n]*)$")
_FILE = re.compile(r"^# (?P<name>[\w.-]+\.(?:py|yaml|yml))$")
_ASSIGNMENTS = re.compile(r"^(?:[A-Z_][A-Z0-9_]*=\S*\s+)*")


@dataclass
class Block:
    """A fenced block.

    Attributes:
        page: The file it stands in.
        line: Line of its first line of content, from 1.
        language: The word after the fence.
        text: Content, with a line end after each line.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """``docs/concepts.md:12``, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """Name under which the block is saved, if it says one."""
        found = _FILE.match(self.text.split("\n", 1)[0])
        return found["name"] if found and self.language in ("python", "yaml") else None


@dataclass
class Step:
    """One thing to run, and what it must print.

    Attributes:
        kind: ``python``, ``command`` or ``save``.
        code: Python code, a command line, or the content of a file.
        place: File and line.
        line: Line in the page.
        expected: What it prints; None when it is a file.
        name: Of the file.
        span: Lines of the page that ``expected`` stands on, first and one past the last, from 1.
    """

    kind: str
    code: str
    place: str
    line: int
    expected: str | None = None
    name: str | None = None
    span: tuple[int, int] | None = None


@dataclass
class Result:
    """What became of one step: what it printed, its exit status, and the traceback when Python code failed."""

    output: str = ""
    status: int = 0
    error: str = ""


@dataclass
class Played:
    """Steps with their results; there are fewer results when one failed."""

    steps: list[Step]
    results: list[Result] = field(default_factory=list)


class PageError(Exception):
    """A page breaks one of the rules above."""


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    start, lines = 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), start=1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence is not None:
                opened, start, lines = fence, number + 1, []
        elif fence is not None and fence["fence"].startswith(opened["fence"]) and not fence["language"].strip():
            found.append(Block(page, start, opened["language"].strip(), "".join(f"{text}\n" for text in lines)))
            opened = None
        else:
            lines.append(line.removeprefix(opened["indent"]))
    if opened is not None:
        raise PageError(f"{page.relative_to(ROOT)}:{start - 1}: this block is never closed")
    return found


def steps_of(page: Path) -> list[Step]:
    """What there is to run on a page, with the output that stands below it."""
    steps: list[Step] = []
    before: Step | None = None
    for block in blocks_of(page):
        last, before = before, None
        if block.language.startswith("{"):
            continue
        if block.file_name is not None:
            steps.append(Step("save", block.text, block.place, block.line, name=block.file_name))
        elif block.language == "python":
            before = Step("python", block.text, block.place, block.line, expected="")
            steps.append(before)
        elif block.language == "text":
            if last is None:
                raise PageError(f"{block.place}: output of what? A text block stands below a python block")
            last.expected, last.span = block.text, (block.line, block.line + block.text.count("\n"))
        elif block.language == "console":
            steps.extend(_commands(block))
        elif block.language != "yaml":
            raise PageError(f"{block.place}: no rule for blocks of {block.language or 'no language'}")
    return steps


def _commands(block: Block) -> Iterator[Step]:
    step: Step | None = None
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if line.startswith("$ "):
            if step is not None:
                yield step
            step = Step("command", line[2:], block.place, number, expected="", span=(number + 1, number + 1))
        elif step is None or step.expected is None or step.span is None:
            raise PageError(f"{block.place}: a console block begins with '$ ' and a command")
        else:
            step.expected += f"{line}\n"
            step.span = (step.span[0], number + 1)
    if step is not None:
        yield step


def is_run(step: Step) -> bool:
    """Whether a step is run at all."""
    return step.kind != "command" or _word(step.code) not in NOT_RUN


def _word(command: str) -> str:
    return _ASSIGNMENTS.sub("", command).split(None, 1)[0]


def unused_files(steps: Sequence[Step]) -> list[str]:
    """Saved Python files that no command and no file on the page names: a block that nothing runs proves nothing."""
    return [
        f"{step.place}: {step.name}"
        for step in steps
        if str(step.name).endswith(".py") and not any(str(step.name) in other.code for other in steps)
    ]


def play(page: Path, folder: Path, replaced: Mapping[str, str] | None = None) -> Played:
    """Run a page.

    Args:
        page: The file.
        folder: Empty; gets the page's working folder and the player.
        replaced: Addresses on the page and what takes their place, both ways, such as
            ``{"localhost:4318": "localhost:50123"}``.
    """
    steps = steps_of(page)
    work, home = folder / "work", folder / "player"
    work.mkdir(parents=True)
    home.mkdir()
    if any("examples/flights/" in step.code for step in steps if is_run(step)):
        left = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "examples" / "flights", work / "examples" / "flights", ignore=left)
    there = dict(replaced or {})
    # A copy elsewhere: mlotel says which repository the running script lies in, and that would be this one.
    player = home / "notebook.py"
    player.write_bytes(PLAYER.read_bytes())
    wanted: list[dict[str, Any]] = [
        {"kind": step.kind, "code": _swapped(step.code, there), "line": step.line, "name": step.name}
        for step in steps
        if is_run(step)
    ]
    plan, answers = home / "plan.json", home / "answers.jsonl"
    plan.write_text(json.dumps({"page": str(page), "steps": wanted}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(player), str(plan), str(answers)],
        cwd=work,
        env=environment() | {"XDG_STATE_HOME": str(folder / "state")},  # pages do not see each other's lineage
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    if done.returncode != 0 or done.stdout or done.stderr:
        raise PageError(f"{page.name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    back = {value: key for key, value in there.items()} | {str(work): HERE, str(work.resolve()): HERE}
    back[f"//{socket.gethostname()}/"] = f"//{HOST}/"
    results = iter([Result(**json.loads(line)) for line in answers.read_text(encoding="utf-8").splitlines()])
    played = Played(steps)
    for step in steps:
        result = Result(step.expected or "") if not is_run(step) else next(results, None)
        if result is None:
            break
        result.output = _swapped(result.output, back)
        played.results.append(result)
    return played


def _swapped(text: str, pairs: Mapping[str, str]) -> str:
    for old, new in sorted(pairs.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(old, new)
    return text


def on_terminal(command: str, folder: Path, columns: int) -> str:
    """What ``command`` prints on a terminal of so many columns."""
    program = f"import json, doc_player; print(json.dumps(doc_player.run_command({command!r}, {columns})))"
    here = {"PYTHONPATH": f"{PLAYER.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment() | here,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=True,
    )
    answer = json.loads(done.stdout)
    if answer["status"] or answer["error"]:
        raise PageError(f"{command} ended with {answer['status']}: {answer['error']}{answer['output']}")
    return str(answer["output"])


def environment() -> dict[str, str]:
    """That of the tests, with the commands of this environment in front, in plain UTF-8."""
    left_out = ("COLUMNS", "FORCE_COLOR", "PYTEST_ADDOPTS")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"NO_COLOR": "1", "PYTHONUTF8": "1", "TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1"}
