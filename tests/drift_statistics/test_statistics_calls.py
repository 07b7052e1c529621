"""What users call, and what they are told when they call it wrongly."""

import subprocess
import sys
import types

import numpy as np
import pytest
from statistics_cases import generator

from mlotel import drift
from mlotel.drift import statistics
from mlotel.errors import InvalidArgumentError, InvalidTypeError, NotFoundError

NAMES = ["chi2", "cramers_v", "hellinger", "js", "ks", "psi", "tvd", "wasserstein"]


def test_the_statistics():
    """These eight are there, by name and as functions of mlotel.drift."""
    assert set(statistics.names()) >= set(NAMES)
    assert set(dir(drift)) >= set(NAMES)
    for name in NAMES:
        function = getattr(drift, name)
        assert function is statistics.get(name).compute
        assert function.__name__ == name
        assert not isinstance(function, types.ModuleType)


def test_functions_stay_what_they_are_after_every_module_is_imported():
    """Importing the file of a statistic does not put the module in the place of the function."""
    from mlotel.drift.statistics import ks as module

    assert isinstance(module, types.ModuleType)
    assert callable(drift.ks)
    assert drift.ks is module.ks


def test_only_what_is_used_is_loaded():
    """One statistic loads one file, and no scipy before a p-value is asked for."""
    program = (
        "import sys\nfrom mlotel import drift\n"
        "assert 'mlotel.drift.statistics.js' not in sys.modules\n"
        "drift.ks([1], [2]), drift.chi2(['a'], ['b'])\n"
        "assert 'mlotel.drift.statistics.js' not in sys.modules\n"
        "assert not {'scipy', 'pandas', 'polars', 'pyarrow', 'opentelemetry'} & set(sys.modules)\n"
        "drift.statistics.p_value('ks', [1, 2], [2, 3])\n"
        "assert 'scipy.stats' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_unknown_names():
    """A name that is not there is an error that proposes the nearest, or an AttributeError of the module."""
    with pytest.raises(NotFoundError, match=r"no plugin 'hellinge'\. Did you mean 'hellinger'\? There are: chi2"):
        statistics.get("hellinge")
    with pytest.raises(LookupError, match="no plugin 'kl'"):
        statistics.noise("kl", [1], [1])
    with pytest.raises(AttributeError, match=r"module 'mlotel\.drift' has no attribute 'kl'"):
        drift.kl  # noqa: B018 - raises


def test_a_plugin_that_has_no_statistic(tmp_path, monkeypatch):
    """Another distribution's module without STATISTIC is an error that says what is absent."""
    information = tmp_path / "odd-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[mlotel.drift.statistics]\nodd = odd_statistic\n")
    (tmp_path / "odd_statistic.py").write_text("STATISTIC = max\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert "odd" in statistics.names()
    with pytest.raises(InvalidTypeError, match=r"plugin 'odd' of mlotel\.drift\.statistics has no STATISTIC"):
        statistics.get("odd")


@pytest.mark.parametrize("bins", [1, 0, -3, True, [], [2, 1], [1, 1], [0, np.inf], [np.nan], [None]])
def test_bins_that_cannot_be(bins):
    """Fewer than two bins, or edges that do not ascend, are an error that shows them."""
    with pytest.raises(InvalidArgumentError, match=r"Got bins="):
        drift.psi([1, 2, 3], [1, 2, 3], bins=bins)


@pytest.mark.parametrize("bins", ["ten", [object()], 3.5, None])
def test_bins_of_a_wrong_type(bins):
    """Something else is a TypeError that says what to pass."""
    with pytest.raises(InvalidTypeError, match=r"Got bins=.*Pass a number of bins, 2 or more, or a list"):
        drift.js([1, 2, 3], [1, 2, 3], bins=bins)


def test_edges_for_labels_are_refused():
    """Text has no edges; saying so beats ignoring them."""
    with pytest.raises(InvalidArgumentError, match=r"edges in bins= for text or labels.*Leave bins= out"):
        drift.tvd(["a"], ["b"], bins=[1.0])
    assert drift.tvd(["a"], ["b"], bins=5) == 1


def test_edges_for_times_are_seconds():
    """Given edges of times are seconds since 1970, as times are numbers everywhere here."""
    days = np.arange("2013-07-01", "2013-07-11", dtype="M8[D]")
    edge = days[5].astype("M8[s]").astype(int)

    assert drift.tvd(days, days[:5], bins=[int(edge)]) == pytest.approx(0.5)
    assert drift.tvd(days.astype("M8[ns]"), days[:5], bins=[float(edge)]) == pytest.approx(0.5)


def test_data_come_first_and_options_by_name():
    """Reference and current are positional, options are not."""
    with pytest.raises(TypeError):
        drift.psi([1], [2], 5)
    assert drift.psi(reference=[1, 2], current=[1, 2]) == 0


def test_several_columns_at_once_are_refused():
    """An array of two columns is no sample."""
    with pytest.raises(InvalidArgumentError, match=r"Cannot read reference: got an array of 5 × 2\. Pass one column"):
        drift.ks(np.zeros((5, 2)), np.zeros(5))


def test_more_bins_see_more():
    """A change inside a tenth is seen by finer bins."""
    reference = generator().uniform(size=20_000)
    current = np.floor(reference * 10) / 10 + (reference * 10 % 1) ** 2 / 10

    assert drift.tvd(reference, current, bins=np.arange(1, 10) / 10) < 0.001
    assert drift.tvd(reference, current, bins=np.arange(1, 100) / 100) > 0.1
