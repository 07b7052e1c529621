"""Embeddings: eight numbers for each vector, and what these see."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mlotel.drift import Detector, Reference
from mlotel.drift._embedding import Axes

TOPICS, WIDTH = 8, 48


def vectors(rng, rows, weights=None, noise=1.0):
    centers = np.random.default_rng(99).normal(size=(TOPICS, WIDTH)) * 0.6 + 0.5
    topic = rng.choice(TOPICS, rows, p=weights)
    return centers[topic] + noise * rng.normal(size=(rows, WIDTH))


@pytest.fixture(scope="module")
def reference():
    return Reference.fit({"vector": vectors(np.random.default_rng(0), 30_000)})


def run(reference, checks, **law):
    rng = np.random.default_rng(1)
    detector = Detector(reference)
    alarms = set()
    for _ in range(checks):
        detector.update({"vector": vectors(rng, 1000, **law)})
        alarms |= set(detector.check().alarms)
    return alarms


def test_vectors_become_eight_numbers_of_one_weight(reference):
    """Norm, cosine and six projections share the weight of one column; axes and counts come from other rows."""
    assert reference.names == ("vector.norm", "vector.cosine", *(f"vector.pc{place}" for place in range(1, 7)))
    assert sum(profile.share for profile in reference.profiles) == pytest.approx(1)
    assert all(profile.rows == 15_000 for profile in reference.profiles)
    assert Detector(reference).n_features == 1


def test_axes_are_principal():
    """The projections are orthonormal, of falling variance, and those of numpy's own singular vectors."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(4000, 10)) * np.arange(10, 0, -1)
    axes = Axes.of(values)
    _, _, expected = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)

    assert axes.directions.T @ axes.directions == pytest.approx(np.eye(6), abs=1e-6)
    assert np.abs((expected[:6] * axes.directions.T).sum(axis=1)) == pytest.approx(np.ones(6), abs=1e-5)
    numbers = axes(values)
    assert numbers[:, 0] == pytest.approx(np.linalg.norm(values, axis=1))
    assert (np.diff(numbers[:, 2:].std(axis=0)) < 0).all()


def test_nothing_alarms_while_nothing_changes(reference):
    """Forty windows of the same law raise nothing."""
    assert run(reference, 40) == set()


def test_another_mix_of_topics_and_more_noise_are_found(reference):
    """A tenth of the rows that moves to another topic is found, and noise that grows by a tenth too."""
    weights = np.full(TOPICS, 1 / TOPICS)
    weights[[0, 1]] += [0.12, -0.12]

    assert run(reference, 12, weights=weights)
    assert run(reference, 6, noise=1.1)


@pytest.mark.parametrize("shape", ["array", "list", "polars", "arrow", "objects"])
def test_every_column_of_vectors_counts_the_same(reference, shape):
    """Vectors in arrays, lists, polars lists, arrow lists or object columns leave the same state."""
    values = vectors(np.random.default_rng(3), 600)
    objects = np.empty(600, object)
    objects[:] = list(values)
    table = {
        "array": {"vector": values},
        "list": {"vector": values.tolist()},
        "polars": pl.DataFrame({"vector": values.tolist()}),
        "arrow": pa.table({"vector": pa.array(values.tolist())}),
        "objects": {"vector": objects},
    }[shape]
    expected, found = Detector(reference), Detector(reference)
    expected.update({"vector": values})
    found.update(table)

    assert found.state() == expected.state()


def test_vectors_that_are_missing_or_of_another_width_are_said(reference):
    """None counts as missing; vectors of another width are a change of type."""
    detector = Detector(reference)
    values = vectors(np.random.default_rng(4), 600).tolist()
    detector.update({"vector": [None, *values[1:]]})
    detector.update({"vector": np.zeros((10, WIDTH - 1))})
    report = detector.check()

    assert report["vector.norm"].missing == pytest.approx(1 / 600)
    assert [(change.what, change.rows) for change in report.schema] == [("type", 10)]
