"""Levels of severity: the same counts at increasing tolerances, each at the full alpha.

A level is claimed only together with those below it. What they exclude is nested, so the chance of any false claim
stays alpha (fixed-sequence testing), and level ``k`` certifies that the total variation exceeds the ``k``-th tolerance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlotel.drift._evidence import Counter, Evidence, Promise
from mlotel.drift._profile import Flags, Floats, Integers, Profile

CLEAR_FACTOR = 3
"""An alarm stays for so many times as long as its change had lasted when it was found, and for one check more."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Where all features stand after one check.

    Attributes:
        level: ``(F,)`` consecutive levels, from the lowest, that are held.
        before: ``(F,)`` the same before this check.
        evidence: ``(F,)`` of the lowest level; 1 is an alarm.
        log_e: ``(F,)`` ln M of the lowest level.
        any_evidence: That some feature has changed, whichever.
        onset: ``(F,)`` checks since the change probably began, 1 for this one; 0 where no alarm is held.
        direction: ``(F,)`` which direction the evidence comes from.
    """

    level: Integers
    before: Integers
    evidence: Floats
    log_e: Floats
    any_evidence: float
    onset: Integers
    direction: Integers


class Ladder:
    """Evidence at each tolerance, and which alarms are held.

    Attributes:
        levels: Evidence, the lowest tolerance first.
        hold: ``(L, F)`` checks for which an alarm is held yet.
        age: ``(F,)`` onset of the alarm that is held at the lowest level; 0 for none.
        direction: ``(F,)`` what raised it.
    """

    def __init__(self, profiles: Sequence[Profile], promise: Promise, tolerances: Sequence[float]) -> None:
        self.counter = Counter(profiles)
        self.levels = [Evidence(profiles, self.counter, promise, tolerance) for tolerance in tolerances]
        self.hold = np.zeros((len(tolerances), len(profiles)), np.int64)
        self.age = np.zeros(len(profiles), np.int64)
        self.direction = np.zeros(len(profiles), np.int64)

    @property
    def level(self) -> Integers:
        """``(F,)`` consecutive levels, from the lowest, that are held."""
        return np.asarray(np.cumprod(self.hold > 0, axis=0).sum(axis=0), dtype=np.int64)

    @property
    def detectable(self) -> Floats:
        """``(F,)`` smallest change that the lowest level can certify."""
        return self.levels[0].detectable

    def step(self, counts: NDArray[np.integer]) -> Standing:
        """Take one window into account.

        Args:
            counts: ``(bins,)`` rows in each bin, the features one after another.
        """
        before = self.level
        rows, inside, of = self.counter(counts)
        has_rows = rows > 0
        fired = [self._step(place, has_rows, evidence, rows, inside, of) for place, evidence in enumerate(self.levels)]
        lowest = self.levels[0]
        standing_score, log_e, any_score = lowest.score, lowest.log_e.copy(), lowest.any_score
        onset, direction = lowest.onset()
        began = fired[0] & (self.age == 0)
        self.age = np.where(began, onset, self.age + (has_rows & (self.age > 0)))
        self.age[self.hold[0] == 0] = 0
        self.direction = np.where(began, direction, self.direction)
        for evidence, alarm in zip(self.levels, fired, strict=True):
            if alarm.any():
                evidence.reset(alarm)
        is_held = self.age > 0
        return Standing(
            self.level, before, standing_score, log_e, any_score, np.where(is_held, self.age, 0),
            np.where(is_held, self.direction, direction),
        )  # fmt: skip

    def _step(self, place: int, has_rows: Flags, evidence: Evidence, rows: Floats, inside: Floats, of: Floats) -> Flags:
        """One level; returns where it has fired. It is reset later, when everything was read."""
        evidence.step(rows, inside, of)
        fired = evidence.alarms & has_rows
        waited = np.maximum(self.hold[place] - has_rows, 0)
        if fired.any():
            waited = np.where(fired, CLEAR_FACTOR * evidence.onset()[0] + 1, waited)
        self.hold[place] = waited
        return fired
