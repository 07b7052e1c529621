"""What the programs that write files of the repository share: writing them, or saying how they are out of step."""

import difflib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bring_into_step(wanted: Mapping[str, str], source: str, *, check: bool) -> int:
    """Write the files that differ from what they should be, or only print how they differ.

    Args:
        wanted: Text by name of the file, as seen from the root.
        source: What the text was made from, for the head of a difference.
        check: Write nothing.

    Returns:
        The exit status: 1 when ``check`` found a difference.
    """
    out_of_step = False
    for name, text in wanted.items():
        path = ROOT / name
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        if found == text:
            continue
        out_of_step = True
        if check:
            print(*difflib.unified_diff(found.splitlines(), text.splitlines(), name, source, lineterm=""), sep="\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return int(check and out_of_step)
