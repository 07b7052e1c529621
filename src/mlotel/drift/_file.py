"""The file of a reference: JSON that people can read, and that gives back every number to the last bit."""

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlotel.drift._embedding import Axes
from mlotel.drift._fit import Fitted
from mlotel.drift._kinds import DECLARED, Source
from mlotel.drift._profile import Profile
from mlotel.errors import InvalidArgumentError

if TYPE_CHECKING:
    from mlotel.drift.reference import Reference

FORMAT = "mlotel.reference"
VERSION = 1
READABLE_FROM = 1
"""Oldest version of this format whose readers understand what is written here."""

_PLAIN = (
    "name", "kind", "column", "part", "rows", "missing", "share", "limit_rows", "uncertain", "center", "scale",
    "minimum", "maximum", "median", "top", "design_effect", "tolerance",
)  # fmt: skip


def to_dict(reference: "Reference") -> dict[str, Any]:
    """A reference as plain values, for JSON."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "readable_from": READABLE_FROM,
        "rows": reference.rows,
        "model_id": reference.model_id,
        "trace_id": reference.trace_id,
        "span_id": reference.span_id,
        "notes": list(reference.notes),
        "proportions": reference.proportions,
        "baseline": reference.baseline,
        "columns": [
            {
                "name": source.name,
                "kind": source.kind,
                "role": source.role,
                **({} if source.axes is None else {"axes": source.axes.to_dict()}),
            }
            for source in reference.sources
        ],
        "features": [_of_profile(profile) for profile in reference.profiles],
    }


def _of_profile(profile: Profile) -> dict[str, Any]:
    found: dict[str, Any] = {name: _number(getattr(profile, name)) for name in _PLAIN}
    found["counts"] = profile.counts.tolist()
    if profile.limit_rows < profile.rows or profile.uncertain:
        found["limit_counts"] = profile.limit_counts.tolist()
    if profile.edges is None or profile.deciles is None or profile.sums is None:
        found["labels"] = list(profile.labels or ())
        return found
    found["edges"] = [_number(edge) for edge in profile.edges.tolist()]
    found["late"] = list(profile.late)
    found["deciles"] = np.searchsorted(profile.edges, profile.deciles).tolist()
    found["sums"] = [_number(number) for number in profile.sums.tolist()]
    found["moments"] = [_number(number) for number in profile.moments]
    return found


def from_dict(plain: Any, where: str) -> tuple[Fitted, dict[str, Any]]:
    """What ``to_dict`` gave, and the fields about its origin.

    Raises:
        InvalidArgumentError: If it is no reference, or one that this version cannot read.
    """
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
        raise InvalidArgumentError(f"{where} is no reference of mlotel. Pass what Reference.save() wrote.")
    if not isinstance(plain.get("readable_from"), int) or plain["readable_from"] > VERSION:
        raise InvalidArgumentError(
            f"{where} was written in version {plain.get('version')} of the format; this mlotel reads up to version "
            f"{VERSION}. Update mlotel, or fit and save the reference with this version."
        )
    try:
        fitted = Fitted(
            sources=[_source(column) for column in plain["columns"]],
            profiles=[_profile(feature) for feature in plain["features"]],
            rows=int(plain["rows"]),
            proportions=plain["proportions"],
            baseline=plain["baseline"],
            notes=list(plain["notes"]),
        )
        about = {name: plain.get(name) for name in ("model_id", "trace_id", "span_id")}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InvalidArgumentError(
            f"{where} is damaged ({type(error).__name__}: {error}). Fit and save the reference again."
        ) from error
    return fitted, about


def _source(plain: Mapping[str, Any]) -> Source:
    if plain["kind"] not in DECLARED:
        raise ValueError(f"a column of kind {plain['kind']!r}")
    axes = Axes.from_dict(plain["axes"]) if "axes" in plain else None
    return Source(plain["name"], plain["kind"], axes, plain["role"])


def _profile(plain: Mapping[str, Any]) -> Profile:
    known = {name: _parsed(plain[name]) for name in _PLAIN if name != "missing"}
    counts = np.array(plain["counts"], np.int64)
    limit = np.array(plain.get("limit_counts", plain["counts"]), np.int64)
    if counts.ndim != 1 or limit.shape != counts.shape or counts.sum() != known["rows"]:
        raise ValueError(f"the counts of {plain['name']!r} do not add up")
    if "labels" in plain:
        labels = tuple(plain["labels"])
        if counts.size != known["top"] + 3 or len(labels) < known["top"]:
            raise ValueError(f"the bins of {plain['name']!r} do not fit its labels")
        return Profile(**known, counts=counts, limit_counts=limit, labels=labels)
    edges = np.array([_parsed(edge) for edge in plain["edges"]], np.float64)
    if counts.size != edges.size + 2 or (np.diff(edges) <= 0).any():
        raise ValueError(f"the edges of {plain['name']!r} do not fit its counts")
    return Profile(
        **known, counts=counts, limit_counts=limit, edges=edges, late=tuple(plain["late"]),
        deciles=edges[np.array(plain["deciles"], np.int64)],
        sums=np.array([_parsed(number) for number in plain["sums"]], np.float64),
        moments=tuple(_parsed(number) for number in plain["moments"]),
    )  # fmt: skip


def _number(value: Any) -> Any:
    """JSON has no infinities."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(value: Any) -> Any:
    return float(value) if value in ("inf", "-inf", "nan") else value


def text_of(reference: "Reference") -> str:
    """The file: one line for each field of each feature, so that differences can be seen in a diff."""
    plain = to_dict(reference)
    lists = {name: plain.pop(name) for name in ("columns", "features")}
    lines = [f"{json.dumps(name)}: {_json(value)}" for name, value in plain.items()]
    for name, items in lists.items():
        each = (",\n  ".join(f"{json.dumps(key)}: {_json(value)}" for key, value in item.items()) for item in items)
        lines.append(f"{json.dumps(name)}: [\n " + ",\n ".join(f"{{{item}}}" for item in each) + "\n]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def parse(text: str, where: str) -> tuple[Fitted, dict[str, Any]]:
    """A reference from the text of its file.

    Raises:
        InvalidArgumentError: If it is none, or one that this version cannot read.
    """
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise InvalidArgumentError(f"{where} is no reference of mlotel. Pass what Reference.save() wrote.") from error
    return from_dict(plain, where)
