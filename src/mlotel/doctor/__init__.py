"""``mlotel doctor``: is my telemetry arriving, and if not, why?

A file of this folder looks at one thing and ends with ``SECTION = Section(…)``. Sections see settings, endpoints and
folders from outside, as another process would; nothing here records, and nothing is changed.

>>> import tempfile
>>> from pathlib import Path
>>> from mlotel.doctor import Case, examine
>>> found = examine(Case((Path(tempfile.mkdtemp()),)), only=("lineage",))
>>> [(section.title, results[0].subject) for section, results in found.items()]
[('Lineage index', 'index')]
"""

import contextlib
import threading
import time
from collections.abc import Collection, Mapping

from mlotel import _guard, _plugins
from mlotel.doctor._base import Case, Result, Section, Verdict, routes, worst

__all__ = ["Case", "Result", "Section", "Verdict", "examine", "routes", "worst"]

FOLDER = "doctor"
_PATIENCE_S = 4.0
"""Beyond the time that an endpoint has: for the tries that tell causes apart."""


def examine(case: Case, only: Collection[str] = ()) -> Mapping[Section, list[Result]]:
    """Look at everything, all sections at once.

    Args:
        case: What to look at.
        only: Names of the sections; none means all.

    Returns:
        The results, a section each, in the order to show them. A section that fails, or takes too long, says so.
    """
    names = [name for name in _plugins.names(FOLDER) if not only or name in only]
    sections = sorted((_plugins.load(FOLDER, name).SECTION for name in names), key=lambda section: section.place)
    with contextlib.suppress(Exception):  # each section says so itself
        _ = case.refusal  # loads what they share, once and not from several threads
    found: dict[Section, list[Result]] = {}
    threads = [
        threading.Thread(target=_look, args=(section, case, found), name=f"doctor-{section.title}", daemon=True)
        for section in sections
    ]
    deadline = time.monotonic() + case.timeout_s + _PATIENCE_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = [Result("fail", "examination", "it took too long and was given up", "Try again with a longer --timeout.")]
    return {section: found.get(section, late) for section in sections}


def _look(section: Section, case: Case, found: dict[Section, list[Result]]) -> None:
    try:
        found[section] = section.look(case)
    except Exception as error:  # junk in a variable can keep OpenTelemetry itself from being imported
        said = case.hide(f"{type(error).__name__}: {_guard.describe_error(error)}".rstrip(": "))
        remedy = "Look at the findings under Settings first." if section.place > 1 else ""
        found[section] = [Result("fail", "examination", f"it failed ({said})", remedy)]
