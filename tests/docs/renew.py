"""Writes what the blocks of the pages print now into the pages: ``python tests/docs/renew.py [PAGE ...]``.

Only output that differs in more than ids and times is replaced. Read the change before you commit it: a page that says
something else than yesterday is a change users see.
"""

import sys
import tempfile
from pathlib import Path

from doc_demo import COMMAND, demo
from doc_demo import comparable as demo_comparable
from doc_output import Comparable
from doc_pages import PAGES, ROOT, Played, play, steps_of
from doc_receivers import ADDRESSES, receivers


def renewed(page: Path, played: Played) -> str:
    """The page's text with the output of this run."""
    lines = page.read_text(encoding="utf-8").split("\n")
    said, printed = Comparable(), Comparable()
    changes: list[tuple[tuple[int, int], str]] = []
    for step, result in zip(played.steps, played.results, strict=False):
        if result.error or result.status:
            sys.exit(f"{step.place}: {step.code}\n{result.error}{result.output}\n{page.name} is left as it was.")
        if step.expected is None or said.text(step.expected) == printed.text(result.output):
            continue
        if step.span is None:
            print(f"{step.place}: prints, and has no text block:\n{result.output}", file=sys.stderr)
        else:
            changes.append((step.span, result.output))
    for (first, end), output in reversed(changes):
        lines[first - 1 : end - 1] = [line.rstrip() for line in output.splitlines()]
    return "\n".join(lines)


def main(names: list[str]) -> None:
    pages = [Path(name).resolve() for name in names] or PAGES
    for page in pages:
        if not steps_of(page):
            continue
        with tempfile.TemporaryDirectory() as folder, receivers() as there:
            played = play(page, Path(folder), {ADDRESSES["http"]: there.http, ADDRESSES["grpc"]: there.grpc})
            for step, result in zip(played.steps, played.results, strict=False):
                if step.code == COMMAND:
                    printed = demo(Path(folder) / "clone")
                    same = demo_comparable(step.expected or "") == demo_comparable(printed)
                    result.output = (step.expected or "") if same else printed
        text = renewed(page, played)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
