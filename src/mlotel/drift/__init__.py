"""Drift: how far current data are from the data that a model was trained on.

>>> from mlotel import drift
>>> drift.ks([1, 2, 3, 4], [3, 4, 4, 4])
0.5
>>> drift.wasserstein([0, 1, 3], [5, 6, 8])
5.0

A ``Detector`` compares rows with a ``Reference`` again and again, and bounds the chance of any false alarm for ever.

Each statistic takes two raw samples, the reference first. ``mlotel.drift.statistics`` knows them by name, with their
noise and p-values.
"""

from typing import TYPE_CHECKING, Any

from mlotel.drift import statistics as statistics
from mlotel.drift.detector import Detector as Detector
from mlotel.drift.reference import Reference as Reference
from mlotel.drift.report import FeatureReport as FeatureReport
from mlotel.drift.report import Report as Report
from mlotel.drift.report import SchemaChange as SchemaChange

if TYPE_CHECKING:
    from mlotel.drift.statistics.chi2 import chi2 as chi2
    from mlotel.drift.statistics.cramers_v import cramers_v as cramers_v
    from mlotel.drift.statistics.hellinger import hellinger as hellinger
    from mlotel.drift.statistics.js import js as js
    from mlotel.drift.statistics.ks import ks as ks
    from mlotel.drift.statistics.psi import psi as psi
    from mlotel.drift.statistics.tvd import tvd as tvd
    from mlotel.drift.statistics.wasserstein import wasserstein as wasserstein

_STATISTICS = frozenset({"chi2", "cramers_v", "hellinger", "js", "ks", "psi", "tvd", "wasserstein"})

__all__ = [
    "Detector",
    "FeatureReport",
    "Reference",
    "Report",
    "SchemaChange",
    "chi2",
    "cramers_v",
    "hellinger",
    "js",
    "ks",
    "psi",
    "statistics",
    "tvd",
    "wasserstein",
]


def __getattr__(name: str) -> Any:
    """Each statistic is loaded when it is first used."""
    if name in _STATISTICS:
        found = statistics.get(name).compute
    else:
        raise AttributeError(f"module 'mlotel.drift' has no attribute {name!r}")
    globals()[name] = found  # so that the next use is a plain look-up
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
