"""The file of a reference: JSON that people can read, and that gives back every number to the last bit.

Its last field is a digest of the others: a decision at a promised rate must not rest on a number that somebody changed.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from mlotel.drift._embedding import Axes
from mlotel.drift._fit import Fitted
from mlotel.drift._kinds import DECLARED, Role, Source
from mlotel.drift._profile import Integers, Profile
from mlotel.errors import InvalidArgumentError

if TYPE_CHECKING:
    from mlotel.drift.reference import Reference

FORMAT = "mlotel.reference"
VERSION = 1
READABLE_FROM = 1
"""Oldest version of this format whose readers understand what is written here."""

_PLAIN: dict[str, type | tuple[type, ...]] = {
    "name": str, "kind": str, "column": str, "part": int, "rows": int, "missing": int, "share": (int, float),
    "limit_rows": int, "uncertain": int, "center": (int, float), "scale": (int, float), "minimum": (int, float),
    "maximum": (int, float), "median": (int, float), "top": int, "design_effect": (int, float),
    "tolerance": (int, float),
}  # fmt: skip
_BROKEN = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def to_dict(reference: "Reference") -> dict[str, Any]:
    """A reference as plain values, for JSON."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "readable_from": READABLE_FROM,
        "rows": reference.rows,
        "model_id": reference.model_id,
        "model_given": reference.is_model_given,
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
    _check_format(plain, where)
    try:
        fitted = Fitted(
            sources=[_source(column) for column in plain["columns"]],
            profiles=[_profile(feature) for feature in plain["features"]],
            rows=int(plain["rows"]),
            proportions=plain["proportions"],
            baseline=plain["baseline"],
            notes=[str(note) for note in plain["notes"]],
        )
        _check(fitted)
        about = {name: plain.get(name) for name in ("model_id", "trace_id", "span_id")}
        if not all(value is None or isinstance(value, str) for value in about.values()):
            raise ValueError("an id that is no text")
        about["model_given"] = bool(plain.get("model_given", about["model_id"] is not None))
    except _BROKEN as error:
        raise InvalidArgumentError(
            f"{where} is damaged ({type(error).__name__}: {error}). Fit and save the reference again."
        ) from error
    return fitted, about


def _check_format(plain: Any, where: str) -> None:
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
        raise InvalidArgumentError(f"{where} is no reference of mlotel. Pass what Reference.save() wrote.")
    if type(plain.get("readable_from")) is not int or plain["readable_from"] > VERSION:
        raise InvalidArgumentError(
            f"{where} was written in version {plain.get('version')} of the format; this mlotel reads up to version "
            f"{VERSION}. Update mlotel, or fit and save the reference with this version."
        )


def _check(fitted: Fitted) -> None:
    """Refuse parts that do not make one reference."""
    if len({source.name for source in fitted.sources}) < len(fitted.sources):
        raise ValueError("two columns of one name")
    expected = [
        (source.name, place, name, kind)
        for source in fitted.sources
        for place, (name, kind) in enumerate(source.features())
    ]
    found = [(profile.column, profile.part, profile.name, profile.kind) for profile in fitted.profiles]
    if not found or found != expected:
        raise ValueError("its features are not those of its columns")
    if not all(profile.rows == profile.counts.sum() <= fitted.rows for profile in fitted.profiles):
        raise ValueError("features and reference differ in rows")
    for classes in fitted.proportions.values():
        if not all(0 <= share <= 1 for share in classes.values()):
            raise ValueError("shares of classes that are no shares")
    for about in fitted.baseline.values():
        if len(about["overall"]) != 3:
            raise ValueError("a metric without its sums")


def _source(plain: Mapping[str, Any]) -> Source:
    if plain["kind"] not in DECLARED:
        raise ValueError(f"a column of kind {plain['kind']!r}")
    if not isinstance(plain["name"], str) or plain["role"] not in get_args(Role):
        raise ValueError(f"a column {plain['name']!r} of role {plain['role']!r}")
    axes = Axes.from_dict(plain["axes"]) if "axes" in plain else None
    return Source(plain["name"], plain["kind"], axes, plain["role"])


def _profile(plain: Mapping[str, Any]) -> Profile:
    known = {name: plain[name] if kind is str else _parsed(plain[name]) for name, kind in _PLAIN.items()}
    for name, value in known.items():
        if not isinstance(value, _PLAIN[name]) or isinstance(value, bool):
            raise TypeError(f"{name} of {plain['name']!r} is {value!r}")
    missing = known.pop("missing")
    counts = np.array(plain["counts"], np.int64)
    limit = np.array(plain.get("limit_counts", plain["counts"]), np.int64)
    if counts.ndim != 1 or limit.shape != counts.shape or counts.size < 3:
        raise ValueError(f"the counts of {plain['name']!r} do not add up")
    sums_up = counts.sum() == known["rows"] and limit.sum() == known["limit_rows"] > 0 and counts[-1] == missing
    if not sums_up or (limit < 0).any() or (limit > counts).any():
        raise ValueError(f"the counts of {plain['name']!r} do not add up")
    is_usable = known["design_effect"] >= 1 and 0 <= known["tolerance"] < 1 and 0 < known["share"] <= 1
    if not is_usable or not 0 <= known["uncertain"] < 2**53 or not known["scale"] > 0:
        raise ValueError(f"settings of {plain['name']!r} are out of range")
    if "labels" in plain:
        labels = tuple(plain["labels"])
        if counts.size != known["top"] + 3 or len(labels) < known["top"] or not all(type(x) is str for x in labels):
            raise ValueError(f"the bins of {plain['name']!r} do not fit its labels")
        return Profile(**known, counts=counts, limit_counts=limit, labels=labels)
    edges = np.array([_parsed(edge) for edge in plain["edges"]], np.float64)
    late, deciles = (np.array(plain[name], np.int64) for name in ("late", "deciles"))
    sums = np.array([_parsed(number) for number in plain["sums"]], np.float64)
    if counts.size != edges.size + 2 or sums.shape != counts.shape or known["top"] or not (np.diff(edges) > 0).all():
        raise ValueError(f"the edges of {plain['name']!r} do not fit its counts")
    if not deciles.size or not all(_are_places(places, edges.size) for places in (late, deciles)):
        raise ValueError(f"the edges of {plain['name']!r} are not in order")
    second, third, fourth = (float(_parsed(number)) for number in plain["moments"])
    return Profile(
        **known, counts=counts, limit_counts=limit, edges=edges, late=tuple(late.tolist()), deciles=edges[deciles],
        sums=sums, moments=(second, third, fourth),
    )  # fmt: skip


def _are_places(places: Integers, among: int) -> bool:
    """Whether these are positions of edges, ascending."""
    return places.ndim == 1 and bool((np.diff(places, prepend=-1, append=among) > 0).all())


def _number(value: Any) -> Any:
    """JSON has no infinities."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(value: Any) -> Any:
    return float(value) if type(value) is str and value in ("inf", "-inf", "nan") else value


def digest_of(plain: Mapping[str, Any]) -> str:
    """Digest of all fields but the digest itself, however they are laid out."""
    text = json.dumps({key: value for key, value in plain.items() if key != "digest"}, sort_keys=True, allow_nan=False)
    return f"blake2b:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def text_of(reference: "Reference") -> str:
    """The file: one line for each field of each feature, so that differences can be seen in a diff."""
    plain = to_dict(reference)
    digest = digest_of(plain)
    lists = {name: plain.pop(name) for name in ("columns", "features")}
    lines = [f"{json.dumps(name)}: {_json(value)}" for name, value in plain.items()]
    for name, items in lists.items():
        each = (",\n  ".join(f"{json.dumps(key)}: {_json(value)}" for key, value in item.items()) for item in items)
        lines.append(f"{json.dumps(name)}: [\n " + ",\n ".join(f"{{{item}}}" for item in each) + "\n]")
    lines.append(f'"digest": {_json(digest)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def parse(text: str, where: str) -> tuple[Fitted, dict[str, Any]]:
    """A reference from the text of its file.

    Raises:
        InvalidArgumentError: If it is none, or one that this version cannot read.
    """
    try:
        plain = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
        found = digest_of(plain) if isinstance(plain, dict) else ""
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"{where} is no reference of mlotel, or not all of one. Pass what Reference.save() wrote."
        ) from error
    _check_format(plain, where)
    if plain.get("digest") != found:
        raise InvalidArgumentError(
            f"{where} is damaged, or was edited: its digest is {plain.get('digest')}, and that of what it holds is "
            f"{found}. Take the file that Reference.save() wrote, or fit and save the reference again."
        )
    return from_dict(plain, where)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key comes twice: which of both counts would be a guess."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that comes twice")
    return found
