"""What went in and what came out of a component, in one line: as full as there is room for."""

from mlotel.terminal import wording
from mlotel.terminal.nodes import Artifact, Node
from mlotel.terminal.style import Line, Style

__all__ = ["flow"]

_TABLES = ("dataset", "features", "predictions", "labels")


def flow(node: Node, style: Style) -> list[Line]:
    """Forms of ``flights 336,776 rows → clean-flights 327,346 rows (−2.8 %)``, the fullest first.

    Each following form says less: no counts of what went in, fewer names, then only what came out.

    Returns:
        At least one line, empty when nothing was read or written.
    """
    if not node.inputs and not node.outputs:
        return [[]]
    change = _change(node, style)
    forms = []
    for inputs, outputs, with_counts in ((4, 4, True), (4, 4, False), (2, 2, False), (1, 1, False), (0, 1, False)):
        before = _names(node.inputs, style, inputs if node.outputs else max(inputs, 1), with_counts)
        after = _names(node.outputs, style, outputs, True)
        line: Line = [(f"{before} " if before else "", "dim")]
        if node.outputs:
            line += [(f"{style.glyphs.arrow} ", "dim"), (after, "")]
        if change:
            line.append((f" ({change})", "dim"))
        forms.append(line)
    return forms


def _names(artifacts: list[Artifact], style: Style, shown: int, with_counts: bool) -> str:
    if not artifacts or not shown:
        return ""
    if len(artifacts) == shown + 1 and shown > 2:
        shown += 1  # "+1" is no shorter than most names
    said = ", ".join(_one(artifact, style, with_counts) for artifact in artifacts[:shown])
    return f"{said}, +{len(artifacts) - shown}" if len(artifacts) > shown else said


def _one(artifact: Artifact, style: Style, with_counts: bool) -> str:
    said = style.clean(artifact.name, 100)
    if artifact.role == "mutated":
        said += " (changed in place)"
    if not with_counts:
        return said
    if artifact.rows is not None and artifact.type in (*_TABLES, ""):
        return f"{said} {wording.count(artifact.rows, 'row')}"
    if artifact.size is not None and artifact.type not in _TABLES:
        return f"{said} {wording.size(artifact.size)}"
    return said


def _change(node: Node, style: Style) -> str:
    """How many rows more or less came out, where one table became one table."""
    before = [artifact for artifact in node.inputs if artifact.rows is not None and artifact.type in _TABLES]
    after = [artifact for artifact in node.outputs if artifact.rows is not None and artifact.type in _TABLES]
    if len(before) != 1 or len(after) != 1:
        return ""
    return wording.share(before[0].rows or 0, after[0].rows or 0, style.glyphs)
