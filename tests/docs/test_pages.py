"""Everything that the pages show runs, and prints what they say."""

import difflib
import re

import pytest
from doc_demo import COMMAND
from doc_output import Comparable
from doc_pages import NOT_RUN, PAGES, ROOT, blocks_of, is_run, play, steps_of, unused_files
from doc_receivers import ADDRESSES, receivers


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_prints_what_it_says(page, tmp_path):
    """Each block of a page runs as it stands, in order, and prints what stands below it, ids and times aside."""
    with receivers() as there:
        played = play(page, tmp_path, {ADDRESSES["http"]: there.http, ADDRESSES["grpc"]: there.grpc})

    said, printed = Comparable(), Comparable()
    for step, result in zip(played.steps, played.results, strict=False):
        assert not result.error, f"{step.place}\n{result.error}{result.output}"
        assert result.status == 0, f"{step.place}: {step.code} ended with {result.status}:\n{result.output}"
        if step.expected is not None:
            wanted, found = said.text(step.expected), printed.text(result.output)
            changes = difflib.unified_diff(wanted.splitlines(), found.splitlines(), "the page", "the run", lineterm="")
            assert wanted == found, "\n".join([step.place, *changes, "", "printed:", result.output])
    assert len(played.results) == len(played.steps), f"{page.name} stopped early"

    for transport, address in ADDRESSES.items():
        if any(address in step.code for step in played.steps if is_run(step)):
            assert {signal for way, signal in there.received if way == transport} == {"traces", "metrics", "logs"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_on_a_page_is_left_out(page):
    """Saved files are used by a command below them, and only commands known not to be ours are not run."""
    steps = steps_of(page)

    assert unused_files(steps) == []
    assert all(step.code.split()[0] in NOT_RUN for step in steps if not is_run(step))
    shown = [step for step in steps if not is_run(step) and step.expected and step.code != COMMAND]
    assert [step.place for step in shown] == [], "output that nothing checks"


def test_every_make_target_on_the_pages_exists():
    """What the pages tell to make can be made."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
        for word in re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"))
    }

    assert named
    assert named - targets == set()


def test_links_between_pages_lead_somewhere():
    """A relative link names a file that exists, and a heading in it where it names one."""
    broken = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            name, _, heading = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (heading and heading not in _anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")

    assert broken == []


def _anchors(file):
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_pages_name_no_outside_images():
    """A page loads nothing from anywhere: no badge, no picture, no script."""
    loading = re.compile(r"!\[[^\]]*\]\(\w+://|<(?:img|script|link|iframe)\b")

    assert [str(page) for page in PAGES if loading.search(page.read_text(encoding="utf-8"))] == []


def test_every_block_has_a_language():
    """No block escapes the rules by having no language."""
    assert [block.place for page in PAGES for block in blocks_of(page) if not block.language] == []
