"""Who is nearest to the twins, and whether that is more than a tie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hp_bench.statistics import CONFIDENCE, Interval, mean_interval

#: Nats a token; for an interval's end where all texts agree.
_LARGEST = 30.0
_RESAMPLES = 9999


@dataclass(frozen=True)
class Lead:
    """The nearest row against another, on one kind of text.

    Attributes:
        text: target or rest.
        first: the row nearest to the twins there.
        other: another.
        difference: how much farther the other is: mean over texts and seeds of the paired difference of KL, nats a token.
        low: lower end of its 95 % interval (bootstrap over seeds, and over the texts of each).
        high: upper end.
        between_twins: KL of two twins there, mean over seeds.
    """

    text: str
    first: str
    other: str
    difference: float
    low: float
    high: float
    between_twins: float

    @property
    def tie(self) -> bool:
        """Whether the lead is no larger than what two twins differ by, or may be none at all."""
        return self.low <= 0 or self.difference <= self.between_twins


def leads(each: Mapping[str, Sequence[Sequence[float]]], text: str, between_twins: float) -> list[Lead]:
    """The nearest row on a kind of text against every other, the smallest lead first.

    Args:
        each: row -> for each seed KL(twin || model) of every text, nats a token; all rows on the same texts.
        text: target or rest.
        between_twins: KL of two twins there.
    """
    kl = {name: [np.asarray(one, dtype=np.float64) for one in seeds] for name, seeds in each.items()}
    if not kl:
        return []
    first = min(kl, key=lambda name: _mean(kl[name]))
    found = []
    for name, seeds in kl.items():
        if name != first:
            apart = [theirs - ours for theirs, ours in zip(seeds, kl[first], strict=True)]
            interval = _interval(apart)
            found.append(Lead(text, first, name, _mean(apart), interval.low, interval.high, between_twins))
    return sorted(found, key=lambda one: one.difference)


def _mean(seeds: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([one.mean() for one in seeds]))


def _interval(seeds: Sequence[NDArray[np.float64]]) -> Interval:
    """Percentile bootstrap in two stages: seeds are drawn, then texts of each seed drawn. A model is trained once a seed, so texts alone
    would not say what another seed brings. With three seeds the lower end is about the worst seed's own.
    """
    together = np.concatenate(seeds)
    if np.ptp(together) == 0:
        return mean_interval(together, low=-_LARGEST, high=_LARGEST)
    rng = np.random.default_rng(0)
    means = np.zeros(_RESAMPLES)
    for _ in seeds:
        drawn = rng.integers(len(seeds), size=_RESAMPLES)
        for number, values in enumerate(seeds):
            here = np.flatnonzero(drawn == number)
            means[here] += values[rng.integers(len(values), size=(len(here), len(values)))].mean(axis=1)
    low, high = np.quantile(means / len(seeds), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
