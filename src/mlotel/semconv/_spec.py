"""What the registry says about a metric."""

from typing import Literal, NamedTuple, TypeAlias

Instrument: TypeAlias = Literal["counter", "updowncounter", "histogram", "gauge"]


class MetricSpec(NamedTuple):
    """A metric as the registry defines it.

    Attributes:
        name: Name on the wire.
        instrument: Kind of instrument.
        unit: Unit in UCUM: ``s``, ``By``, or a word in braces that is only for people.
        brief: One sentence that says what is measured.
        attributes: Keys that a point may carry, and no others.
        bounds: Rising upper limits of the buckets of a histogram, in ``unit``; empty where it has none.
        exponential: Whether a histogram has exponential buckets in place of fixed ones.

    Example:
        >>> from mlotel.semconv.metrics import ML_DATA_ROWS
        >>> ML_DATA_ROWS.name, ML_DATA_ROWS.unit
        ('ml.data.rows', '{row}')
    """

    name: str
    instrument: Instrument
    unit: str
    brief: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    exponential: bool = False
