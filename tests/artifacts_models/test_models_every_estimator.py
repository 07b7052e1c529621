"""Every estimator of scikit-learn is asked the same questions."""

import copy
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import pytest
from estimator_cases import INSENSITIVE, KEEPS_NOTHING, NOT_FITTED, every
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401 - here, not in the child

from mlotel import artifacts


@pytest.fixture(scope="module")
def attempts():
    """All estimators, fitted where some data suit them."""
    return every()


@pytest.fixture(scope="module")
def models(attempts):
    """All fitted estimators."""
    return {name: found for name, found in attempts.items() if found is not None}


@pytest.fixture(scope="module")
def ids(models):
    """Ids of the fitted ones."""
    return {name: artifacts.identify(found.one) for name, found in models.items()}


def differing(models, ids, change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [name for name, found in models.items() if artifacts.identify(change(found)) != ids[name]]


def test_every_estimator_was_fitted(attempts, models):
    """No estimator is left out but those that are listed."""
    assert {name for name, found in attempts.items() if found is None} <= NOT_FITTED
    assert len(models) > 150


def test_every_estimator_has_a_content_id(ids):
    """None of scikit-learn's own estimators holds anything unknown."""
    assert [name for name, identity in ids.items() if identity.scope != "full"] == []
    assert all(identity.id.startswith("xxh3:") for identity in ids.values())


def test_fits_with_the_same_seed_are_equal(models, ids):
    """The same data and the same random state give the same artifact."""
    assert differing(models, ids, lambda found: found.same) == []


def test_copies_are_equal(models, ids):
    """deepcopy and a pickle give the same artifact."""
    assert differing(models, ids, lambda found: copy.deepcopy(found.one)) == []
    assert differing(models, ids, lambda found: pickle.loads(pickle.dumps(found.one))) == []


def test_looking_does_not_change_an_estimator(models, ids):
    """Identifying twice gives the same id."""
    assert differing(models, ids, lambda found: found.one) == []


def test_other_data_make_another_artifact(models, ids):
    """What was fitted on changed data differs, but where fitting keeps nothing of the values."""
    same = {name for name, found in models.items() if artifacts.identify(found.other) == ids[name]}
    assert same <= set(INSENSITIVE)


def test_fitted_is_not_unfitted(models, ids):
    """Fitting makes another artifact of an estimator, and clones of one that is not fitted are equal."""
    bare = {name: artifacts.identify(found.bare) for name, found in models.items()}

    assert {name for name, identity in bare.items() if identity == ids[name]} <= KEEPS_NOTHING
    assert differing(models, bare, lambda found: clone(found.bare)) == []


def test_no_two_estimators_share_an_id(ids):
    """Different classes differ."""
    assert len({identity.id for identity in ids.values()}) == len(ids)


def test_joblib_and_another_process_agree(models, ids, tmp_path):
    """Models read from a joblib file by a process with another hash seed have the ids of those written."""
    path = tmp_path / "models.joblib"
    joblib.dump({name: found.one for name, found in models.items()}, path)
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    program = Path(__file__).with_name("estimator_cases.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, path],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )

    found = json.loads(done.stdout)
    assert {name for name in ids if found[name] != ids[name].id} == set()
