"""Runs the steps of one page: ``python notebook.py PLAN ANSWERS``. ``doc_pages`` copies and starts it.

Standard library only. Python code runs in one namespace, commands run on a terminal of their own. One line of JSON says
what became of each step; after a step that failed nothing more is run.
"""

import contextlib
import errno
import fcntl
import json
import linecache
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

ROWS, COLUMNS = 50, 100
TIME_LIMIT_S = 240


@contextlib.contextmanager
def printed() -> Iterator[list[str]]:
    """Collects what is written to standard output and standard error meanwhile, by child processes too."""
    collected: list[str] = []
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        sys.stderr.flush()
        kept = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield collected
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
            file.seek(0)
            collected.append(file.read().decode("utf-8", "replace"))


def run_python(code: str, page: str, line: int, namespace: dict[str, object]) -> dict[str, object]:
    """Run ``code`` as if it stood on ``line`` of ``page``."""
    error = ""
    with printed() as output:
        try:
            exec(compile("\n" * (line - 1) + code, page, "exec"), namespace)
        except BaseException:
            error = traceback.format_exc()
    return {"output": output[0], "status": int(bool(error)), "error": error}


def run_command(command: str, columns: int = COLUMNS) -> dict[str, object]:
    """Run ``command`` in a shell, on a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    output, deadline, error = b"", time.monotonic() + TIME_LIMIT_S, ""
    while True:
        if not select.select([master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            os.killpg(process.pid, signal.SIGKILL)
            error = f"{command!r} took longer than {TIME_LIMIT_S} s"
            break
        try:
            piece = os.read(master, 65_536)
        except OSError as ended:  # Linux reports the end of a terminal as an I/O error
            if ended.errno != errno.EIO:
                raise
            break
        if not piece:
            break
        output += piece
    os.close(master)
    status = process.wait()
    return {"output": output.decode("utf-8", "replace").replace("\r\n", "\n"), "status": status, "error": error}


def main(plan_file: str, answers_file: str) -> None:
    """Run the plan."""
    plan = json.loads(Path(plan_file).read_text(encoding="utf-8"))
    linecache.getlines(plan["page"])  # so that tracebacks show the lines of the page
    namespace: dict[str, object] = {"__name__": "__main__"}
    with Path(answers_file).open("w", encoding="utf-8") as answers:
        for step in plan["steps"]:
            if step["kind"] == "save":
                Path(step["name"]).write_text(step["code"], encoding="utf-8")
                answer: dict[str, object] = {}
            elif step["kind"] == "command":
                answer = run_command(step["code"])
            else:
                answer = run_python(step["code"], plan["page"], step["line"], namespace)
            print(json.dumps(answer), file=answers, flush=True)
            if answer.get("error"):
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
