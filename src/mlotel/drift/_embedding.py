"""Embeddings as eight numbers: norm, cosine to the centroid, and six principal projections.

A change that none of these sees is not found: a shift of every vector by a small step in a direction of little
variance, for example.
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlotel.drift._profile import Floats
from mlotel.errors import InvalidArgumentError

PROJECTIONS = 6


@dataclass(frozen=True, eq=False)
class Axes:
    """Axes that were found on one part of a reference and are used on everything else.

    Attributes:
        center: ``(d,)`` mean.
        directions: ``(d, m)`` orthonormal, of decreasing variance; both in single precision, as they are saved.
    """

    center: Floats
    directions: Floats

    @classmethod
    def of(cls, vectors: Floats) -> "Axes":
        """Axes of ``(n, d)`` vectors.

        Raises:
            InvalidArgumentError: If none of them is finite.
        """
        finite = vectors[np.isfinite(vectors).all(axis=1)]
        if not finite.size:
            raise InvalidArgumentError("Got embeddings without one finite vector. Drop the column, or fill it.")
        center = finite.mean(axis=0)
        # The right singular vectors by the smaller of both products, whichever side is longer.
        away = finite - center
        values, found = np.linalg.eigh(away.T @ away) if away.shape[1] <= 4096 else _by_rows(away)
        order = np.argsort(-values, kind="stable")[: min(PROJECTIONS, *away.shape)]
        directions = found[:, order]
        # Signs are arbitrary; the same vectors shall give the same axes.
        signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
        return cls(_single(center), _single(directions * np.where(signs == 0, 1, signs)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers."""
        return "norm", "cosine", *(f"pc{place + 1}" for place in range(self.directions.shape[1]))

    @property
    def width(self) -> int:
        """Numbers of one vector."""
        return int(self.center.size)

    def __call__(self, vectors: Floats) -> Floats:
        """``(n, 2 + m)`` numbers of ``(n, d)`` vectors; NaN for vectors that are not finite.

        Row by row the same to the last bit, however many come together: a product of matrices would not be.
        """
        rows = np.ascontiguousarray(vectors)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            cosine = _along(rows, self.center) / (norm * np.linalg.norm(self.center))
            cosine = np.where(np.isnan(norm), np.nan, np.where(np.isfinite(cosine), cosine, 0.0))
            away = rows - self.center
            return np.column_stack([norm, cosine, *(_along(away, direction) for direction in self.directions.T)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers in single precision, base64."""
        return {"center": _packed(self.center), "directions": _packed(self.directions.T)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Axes":
        """What ``to_dict`` gave."""
        center = _unpacked(plain["center"])
        return cls(center, _unpacked(plain["directions"]).reshape(-1, center.size).T)


def _by_rows(away: Floats) -> tuple[Floats, Floats]:
    _, values, found = np.linalg.svd(away[:8192], full_matrices=False)
    return values, found.T


def _along(rows: Floats, direction: Floats) -> Floats:
    found: Floats = np.einsum("ij,j->i", rows, np.ascontiguousarray(direction))
    return found


def _single(values: Floats) -> Floats:
    return values.astype(np.float32).astype(np.float64)


def _packed(values: Floats) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _unpacked(text: str) -> Floats:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float64)
