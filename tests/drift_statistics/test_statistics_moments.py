"""Moments of one sample are scipy's, and merging pieces is as good as having them in one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statistics_cases import flights, generator

from mlotel.drift import statistics
from mlotel.drift.statistics._moments import Moments
from mlotel.errors import EmptySampleError, InvalidTypeError

SAMPLES = {
    "normal": generator().normal(3, 2, 5000),
    "lognormal": generator().lognormal(size=5000),
    "few": np.array([1.0, 2.0, 4.0]),
    "offset": 1.6e9 + np.round(generator().gamma(2, size=5000) * 4096) / 4096,
    "integers": generator().poisson(4, 3000),
    "air_time": flights()[0]["air_time"].to_numpy(),
    "dep_delay": flights()[1]["dep_delay"].to_numpy(),
    "distance": flights()[1]["distance"].to_numpy(),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_they_are_scipys(name):
    """Mean, median, spread, skewness, kurtosis and ends agree with numpy and scipy to 1e-9, drawn or real."""
    sample = SAMPLES[name]
    kept = sample[np.isfinite(sample)].astype(float)
    found = statistics.describe(sample)

    assert found.rows == kept.size
    assert found.mean == pytest.approx(kept.mean(), rel=1e-12)
    assert found.median == np.median(kept)
    assert (found.min, found.max) == (kept.min(), kept.max())
    centred = kept - np.median(kept)  # scipy loses digits at an offset that ours must not lose
    assert found.std == pytest.approx(centred.std(), rel=1e-9)
    assert found.skewness == pytest.approx(stats.skew(centred), rel=1e-9)
    assert found.kurtosis == pytest.approx(stats.kurtosis(centred), rel=1e-9)


def test_times_are_seconds():
    """The mean of times is seconds since 1970, their spread is in seconds, whatever the unit of the column."""
    stamps = pd.Series(pd.date_range("2013-07-01", periods=5, freq="1h", tz="America/New_York"))
    found = statistics.describe(stamps)

    assert found.median == found.mean == stamps[2].timestamp()
    assert found.max - found.min == 4 * 3600
    assert found.std == pytest.approx(3600 * np.sqrt(2))


def test_equal_values_have_no_shape():
    """Skewness and kurtosis of a constant are unknown, even where rounding leaves a spread."""
    found = statistics.describe([0.1] * 10)

    assert found.mean == found.median == found.min == found.max == 0.1
    assert found.std == pytest.approx(0, abs=1e-16)
    assert np.isnan([found.skewness, found.kurtosis]).all()


def test_what_cannot_be_described():
    """Samples without a finite value, and text, are errors that say what to do."""
    with pytest.raises(
        EmptySampleError, match=r"Cannot describe the sample: it has 0 finite values out of 2\. Pass at"
    ):
        statistics.describe([None, float("inf")])
    with pytest.raises(InvalidTypeError, match="Cannot describe the sample: it holds text or labels"):
        statistics.describe(["AA"])


FIELDS = ("rows", "mean", "m2", "m3", "m4", "minimum", "maximum")


@pytest.mark.parametrize("name", ["normal", "lognormal", "offset", "dep_delay"])
@pytest.mark.parametrize("pieces", [1, 7, 300])
def test_merged_pieces_are_the_whole(name, pieces):
    """However a sample is cut, merging gives its moments to 1e-9, pieces without rows included."""
    sample = SAMPLES[name]
    columns = np.stack([sample, sample[::-1] * 2], axis=1)
    columns -= np.nanmedian(columns, axis=0)  # merging wants values near 0
    merged = Moments.nothing(2)
    for piece in np.array_split(columns, pieces):
        merged = merged.merge(Moments.of(piece)).merge(Moments.nothing(2))
    whole = Moments.of(columns)

    for field in FIELDS:
        np.testing.assert_allclose(getattr(merged, field), getattr(whole, field), rtol=1e-9, err_msg=field)
    np.testing.assert_allclose(
        merged.skewness, stats.skew(columns - np.nanmedian(columns, 0), nan_policy="omit"), rtol=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), max_size=30), st.lists(st.floats(-1e3, 1e3), max_size=30))
def test_merging_is_the_moments_of_both(first, second):
    """For any two samples, empty ones too, the merge is what their rows together have."""
    a, b = (np.array(sample)[:, None] for sample in (first, second))
    merged, whole = Moments.of(a).merge(Moments.of(b)), Moments.of(np.concatenate([a, b]))

    for field in FIELDS:
        np.testing.assert_allclose(getattr(merged, field), getattr(whole, field), rtol=1e-7, atol=1e-4, err_msg=field)


def test_an_offset_costs_one_batch_no_digits():
    """Values around 1.6e9 in one piece have the moments of the same values around 0, though their mean is rounded."""
    offset = SAMPLES["offset"]
    near, far = Moments.of((offset - 1.6e9)[:, None]), Moments.of(offset[:, None])

    for field in ("m2", "m3", "m4"):
        np.testing.assert_allclose(getattr(far, field), getattr(near, field), rtol=1e-9, err_msg=field)


def test_no_rows_are_no_warning():
    """Moments of nothing are NaN where there is nothing to say."""
    nothing = Moments.of(np.full((3, 1), np.nan))

    assert nothing.rows[0] == 0
    assert np.isnan([nothing.std[0], nothing.skewness[0], nothing.kurtosis[0]]).all()
    assert (nothing.minimum[0], nothing.maximum[0]) == (np.inf, -np.inf)
