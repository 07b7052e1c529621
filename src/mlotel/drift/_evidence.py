"""The decision at one tolerance: a weighted e-CUSUM over sets of bins, directions and sizes of change.

For every feature f there are bets b, each on one set becoming more probable by one of six amounts. With G_b from minus
infinity, every window updates

    G_b <- max(G_b, ln pi_t) + l_t,b          ln M_f = ln sum_b w_b exp G_b

where ``l`` is the bet's log-likelihood ratio over the window and ``pi`` spends the error probability over the checks.
While every row's law, given the past, is within total variation ``tolerance`` of the law of the reference,

    P(some M_f ever reaches 1 / (a_seq w_f), or some limit of the reference is wrong)  <=  a_seq + a_ref  =  alpha

for ever, whatever the windows' sizes and whatever the dependence between features: products of factors with
conditional mean at most 1 are supermartingales, mixing over start times keeps them below one that starts at 1, and
Ville's inequality and a union over features do the rest.

Sources: Shin, Ramdas & Rinaldo, "E-detectors", NEJSDS 2023; Dandapanthula & Ramdas, "Multiple testing in multi-stream
sequential change detection", arXiv 2501.04130; Wang & Ramdas, "False discovery rate control with e-values", JRSS-B
2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlotel.drift._limits import log_spending, reach_of, upper_limit
from mlotel.drift._profile import Flags, Floats, Integers, Profile
from mlotel.drift._sets import Directions, directions

EFFECTS = (0.005, 0.0125, 0.03, 0.08, 0.2, 0.5)
_ROOM = 0.9  # of what is left above the limit; a bet on certainty would be lost by one row
_LEAST = 1e-4
_SHORT_OF = 1e-6  # of the threshold, in nats: what too few windows may reach together
_FLOOR = -60.0  # below the largest bet by this much a bet adds nothing; spares denormal numbers


@dataclass(frozen=True)
class Promise:
    """What a detector promises, and under which rules.

    Attributes:
        alpha: Chance of any false alarm, ever.
        min_windows: Windows that an alarm takes at least: none counts for more than its share of what is missing when
            a bet begins, and fewer together, on all bets at once, stay below the threshold.
        n_features: Features that share alpha, counting those of other detectors too.
        arl: None to spend alpha over all time; else the mean number of checks to a false alarm is at least this.
        trusts_reference: Take the shares of the reference for exact. Only to show what happens without its limits.
    """

    alpha: float = 0.01
    min_windows: int = 2
    n_features: int | None = None
    arl: float | None = None
    trusts_reference: bool = False


class Counter:
    """Adds up the rows in each set of all features, from counts in one flat array of bins."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.of = [directions(profile) for profile in profiles]
        starts = np.cumsum([0, *(profile.counts.size for profile in profiles)])
        self.bins = int(starts[-1])
        self.bin_starts = starts[:-1].astype(np.int64)
        runs = max(each.low.shape[1] for each in self.of)
        low = [np.pad(each.low, ((0, 0), (0, runs - each.low.shape[1]))) for each in self.of]
        high = [np.pad(each.high, ((0, 0), (0, runs - each.high.shape[1]))) for each in self.of]
        self._low = np.concatenate([part + start for part, start in zip(low, starts, strict=False)])
        self._high = np.concatenate([part + start for part, start in zip(high, starts, strict=False)])
        self.set_starts = np.cumsum([0, *(len(each.low) for each in self.of)])
        self._feature = np.repeat(np.arange(len(self.of)), np.diff(self.set_starts))

    def __call__(self, counts: NDArray[np.integer]) -> tuple[Floats, Floats, Floats]:
        """Rows of each feature; rows in each set, then in each complement; rows of the feature of each of these.

        Args:
            counts: ``(bins,)`` of one window, the features one after another.
        """
        running = np.concatenate([[0], np.cumsum(counts)])
        rows = np.add.reduceat(counts, self.bin_starts).astype(float)
        inside = (running[self._high] - running[self._low]).sum(axis=1).astype(float)
        of = rows[self._feature]
        return rows, np.concatenate([inside, of - inside]), np.concatenate([of, of])


class Evidence:
    """Bets of all features at one tolerance, and where they stand.

    Attributes:
        t: ``(F,)`` windows since the start of each feature's epoch.
        log_e: ``(F,)`` ln M of the last window.
        threshold: ``(F,)`` what it must reach for an alarm.
        detectable: ``(F,)`` smallest change of probability that can be certified.
        gains, starts: State of the bets, flat: G, and the window in which the present run of each began.
    """

    def __init__(self, profiles: Sequence[Profile], counter: Counter, promise: Promise, tolerance: float) -> None:
        self._min_windows = promise.min_windows
        self._is_for_ever = promise.arl is None
        total = promise.n_features or len({profile.column for profile in profiles})
        share = np.array([profile.share for profile in profiles]) / total
        a_reference = 0.0 if promise.trusts_reference else promise.alpha / 2
        a_sequence = promise.alpha - a_reference
        self.log_weight = np.log(share)
        self.threshold = (
            reach_of(a_sequence) - self.log_weight if promise.arl is None else np.log(promise.arl) - self.log_weight
        )
        self.any_threshold = reach_of(a_sequence) if promise.arl is None else float(np.log(promise.arl))
        sets = int(counter.set_starts[-1])
        parts = []
        self.detectable = np.ones(len(profiles))
        for place, (profile, of) in enumerate(zip(profiles, counter.of, strict=True)):
            first, size = int(counter.set_starts[place]), len(of.low)
            highest = ceiling(
                of,
                profile,
                max(tolerance, profile.tolerance),
                None if promise.trusts_reference else a_reference * share[place],
            )
            self.detectable[place] = smallest_change(of.share, highest)
            where = np.concatenate([np.arange(first, first + size), sets + np.arange(first, first + size)])
            parts.append(_bets(highest, where, profile.design_effect))
        self._up, self._down, self._direction = (np.concatenate([part[i] for part in parts]) for i in range(3))
        sizes = [len(part[0]) for part in parts]
        self._first = np.cumsum([0, *sizes])[:-1]
        self._feature = np.repeat(np.arange(len(profiles)), sizes)
        self._log_bet = -np.log(np.array(sizes, float))
        self.t = np.zeros(len(profiles), np.int64)
        self.gains = np.full(len(self._up), -np.inf)
        self.starts: NDArray[np.int32] = np.zeros(len(self._up), np.int32)
        self.log_e = np.full(len(profiles), -np.inf)
        self._most = np.full(len(self._up), np.inf)  # gain of one window, fixed when the present run of a bet begins

    def restore(self, t: Integers, gains: Floats, starts: NDArray[np.int32], log_e: Floats) -> None:
        """Go on from arrays that were saved."""
        self.t, self.gains, self.starts, self.log_e = t, gains, starts, log_e
        self._most = self._most_from(self._fresh(starts), self.threshold[self._feature], self._log_bet[self._feature])

    def _fresh(self, check: NDArray[np.integer]) -> Floats:
        """What a bet begins with at each check, counted from 1: the logarithm of the share of alpha for it."""
        return log_spending(np.maximum(check, 1)) if self._is_for_ever else np.zeros(len(check))

    def _most_from(self, fresh: Floats, threshold: Floats, log_bet: Floats) -> Floats:
        """What one window may add to a bet that began with ``fresh``.

        Counted from where the run began: one that began early, at a large share of alpha, and has learned nothing
        from windows of few rows since, is nearer to the threshold than a new one.
        """
        if self._min_windows == 1:
            return np.full(len(fresh), np.inf)
        alone = (threshold - fresh - log_bet) / self._min_windows
        together = (threshold - _SHORT_OF - fresh) / (self._min_windows - 1)
        return np.asarray(np.minimum(alone, together))

    def step(self, rows: Floats, inside: Floats, of: Floats) -> Floats:
        """Take one window into account, as ``Counter`` gives it; features without rows stand still.

        Returns:
            ``(F,)`` ln M.
        """
        has_rows = rows > 0
        self.t += has_rows
        fresh = self._fresh(self.t)
        most = self._most_from(fresh, self.threshold, self._log_bet)
        fresh = np.where(has_rows, fresh, -np.inf)
        hits, all_rows = inside[self._direction], of[self._direction]
        gain = hits * self._up
        all_rows -= hits
        all_rows *= self._down
        gain += all_rows
        base = fresh[self._feature]
        begins = self.gains <= base
        if not has_rows.all():
            begins &= has_rows[self._feature]
        np.copyto(self.starts, self.t[self._feature], where=begins, casting="unsafe")
        if self._min_windows > 1:
            np.copyto(self._most, most[self._feature], where=begins)
            np.minimum(gain, self._most, out=gain)
        np.maximum(self.gains, base, out=self.gains)
        self.gains += gain
        self._mix()
        return self.log_e

    def _mix(self) -> None:
        best = np.maximum.reduceat(self.gains, self._first)
        known = np.where(np.isfinite(best), best, 0.0)
        relative = np.maximum(self.gains - known[self._feature], _FLOOR)
        mixed = np.log(np.add.reduceat(np.exp(relative, out=relative), self._first))
        self.log_e = np.where(np.isfinite(best), known + self._log_bet + mixed, -np.inf)

    @property
    def alarms(self) -> Flags:
        """``(F,)`` whether the last window brought the evidence to the threshold."""
        return np.asarray(self.log_e >= self.threshold)

    @property
    def score(self) -> Floats:
        """``(F,)`` evidence as a share of what an alarm takes; 0 before the first window."""
        return np.where(np.isfinite(self.log_e), self.log_e / self.threshold, 0.0)

    @property
    def any_score(self) -> float:
        """Evidence that some feature has changed, whichever, as a share of what that takes."""
        values = self.log_e + self.log_weight
        best = float(values.max())
        if not np.isfinite(best):
            return 0.0
        return float(best + np.log(np.exp(values - best).sum())) / self.any_threshold

    def onset(self) -> tuple[Integers, Integers]:
        """``(F,)`` windows since the change probably began, 1 for this one, and the direction that says so.

        Directions count from 0 over all sets and then all complements, as ``Counter`` orders them.
        """
        place = np.array([
            first + int(self.gains[first:last].argmax())
            for first, last in zip(self._first, [*self._first[1:], len(self.gains)], strict=True)
        ])  # fmt: skip
        return self.t - self.starts[place] + 1, self._direction[place]

    def reset(self, features: Flags) -> None:
        """Begin a new epoch, with a new alpha, for some features."""
        self.t[features] = 0
        bets = features[self._feature]
        self.gains[bets] = -np.inf
        self.starts[bets] = 0


def ceiling(of: Directions, profile: Profile, tolerance: float, alpha: float | None) -> Floats:
    """``(2 S,)`` what the probability of each direction can be while nothing has changed.

    Args:
        of: The directions.
        profile: The feature.
        tolerance: Total variation that counts as nothing.
        alpha: Chance that any of these is too low; None to take the reference for exact.
    """
    if alpha is None:
        highest = of.share
    else:
        effect = profile.design_effect
        highest = upper_limit(of.counts / effect, of.rows / effect, alpha / of.share.size)
    return np.clip(highest + tolerance, 1e-6, 1.0)


def smallest_change(share: Floats, highest: Floats) -> float:
    """Change of probability that no sample of any size can certify less than: the least gap among central sets.

    Where there is no central set, as with a rare category, among all.
    """
    can_grow = highest < 1 - _LEAST
    central = can_grow & (share > 0.3) & (share < 0.7)
    among = central if central.any() else can_grow
    return float((highest - share)[among].min()) if among.any() else 1.0


def _bets(highest: Floats, where: Integers, design_effect: float) -> tuple[Floats, Floats, Integers]:
    """Live bets of one feature: gain of a row inside, gain of a row outside, direction."""
    room = _ROOM * (1 - highest)
    effects = np.tile(EFFECTS, (len(highest), 1))
    over = effects > room[:, None]
    first = over & (np.cumsum(over, axis=1) == 1)  # the first that does not fit shrinks, larger ones go
    effects = np.where(first, room[:, None], effects)
    live = (~over | first) & (effects > _LEAST)
    if not live.any():  # nothing can be certified: one bet that never gains
        return np.zeros(1), np.zeros(1), where[:1]
    before = np.broadcast_to(highest[:, None], effects.shape)[live]
    after = np.minimum(before + effects[live], 1 - 1e-9)
    direction = np.broadcast_to(where[:, None], effects.shape)[live]
    return np.log(after / before) / design_effect, np.log((1 - after) / (1 - before)) / design_effect, direction


def e_bh(log_e: Floats, level: float) -> Integers:
    """Features whose evidence stands at a false discovery rate of ``level``: e-BH of Wang & Ramdas."""
    order = np.argsort(-log_e, kind="stable")
    ranks = np.arange(1, len(log_e) + 1)
    enough = np.flatnonzero(log_e[order] >= np.log(len(log_e) / (level * ranks)))
    return order[: enough[-1] + 1] if enough.size else order[:0]
