"""All checks of one table, side by side."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlotel.quality._base import Result


@dataclass(frozen=True)
class Report:
    """Results of several checks of one table.

    Attributes:
        rows: Rows that were looked at.
        results: By name of the check.
    """

    rows: int
    results: Mapping[str, Result]

    def __getitem__(self, name: str) -> Result:
        return self.results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists and numbers."""
        return {"rows": self.rows, "results": {name: result.to_dict() for name, result in self.results.items()}}

    def __str__(self) -> str:
        head, body, whole = self._cells()
        lines = [[f"{self.rows:,} rows", *head], *body]
        widths = [max(len(line[place]) for line in lines) for place in range(len(head) + 1)]
        widths[0] = max(widths[0], len("all rows")) + 1
        texts = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        if whole:
            texts.append("all rows".ljust(widths[0]) + "  " + ", ".join(f"{name} {value}" for name, value in whole))
        return "\n".join(texts)

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        head, body, whole = self._cells()
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in body)
        titles = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *head])
        below = ", ".join(f"{name} {value}" for name, value in whole)
        return f"<table><caption>{self.rows:,} rows {html.escape(below)}</caption><tr>{titles}</tr>{rows}</table>"

    def _cells(self) -> tuple[list[str], list[list[str]], list[tuple[str, str]]]:
        """Names of the checks of columns, a line for each column, and the checks of whole rows."""
        whole = [(name, f"{result['rows']:.4g}") for name, result in self.results.items() if result.by == "whole"]
        head = [name for name in self.results if name not in dict(whole)]
        columns = dict.fromkeys(column for name in head for column in self.results[name])
        body = [[column, *(self._cell(name, column) for name in head)] for column in columns]
        return head, body, whole

    def _cell(self, name: str, column: str) -> str:
        values = self.results[name].values
        return f"{values[column]:.4g}" if column in values else ""
