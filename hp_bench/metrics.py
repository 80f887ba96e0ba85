"""The metrics of a scorecard: range, direction, interval and paired test of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hp_bench import statistics
from hp_bench.statistics import Interval

_V = TypeVar("_V")


@dataclass(frozen=True)
class Metric:
    """How one number of a scorecard is to be read and computed from its per-prompt values.

    Attributes:
        label: for tables and figures.
        low: smallest possible value.
        high: largest.
        higher_is_better: direction; familiarity is better low.
        interval: 95 % interval of the mean of per-prompt values.
        test: p-value that two models' paired values have equal means.
    """

    label: str
    low: float
    high: float
    higher_is_better: bool
    interval: Callable[[Sequence[float]], Interval]
    test: Callable[[Sequence[float], Sequence[float]], float]


def _familiarity(values: Sequence[float]) -> Interval:
    return statistics.familiarity_interval(list(values).count(5.0), list(values).count(1.0), len(values))


def _rate(values: Sequence[float]) -> Interval:
    return statistics.rate_interval(round(sum(values)), len(values))


def _rate_metric(label: str, *, higher_is_better: bool = False) -> Metric:
    return Metric(label, 0.0, 1.0, higher_is_better, _rate, statistics.mcnemar)


def _mass_metric(label: str) -> Metric:
    return Metric(label, 0.0, 1.0, False, statistics.mass_interval, statistics.sign_flip)


#: Nats a token: guessing costs the logarithm of the vocabulary, about 12 for the largest; what is far beyond is broken.
_LARGEST_LOSS = 30.0


def _loss(values: Sequence[float]) -> Interval:
    return statistics.mean_interval(values, high=_LARGEST_LOSS)


METRICS: dict[str, Metric] = {
    "familiarity": Metric("familiarity, completion (0 to 5)", 0.0, 5.0, False, _familiarity, statistics.sign_flip),
    "explicit": _rate_metric("explicit"),
    "thematic": _rate_metric("thematic"),
    "degenerate": _rate_metric("degenerate"),
    "token_probability": _mass_metric("familiarity, probability (0 to 1)"),
    "token_probability_share": _mass_metric("probability share"),
    "acc": _rate_metric("accuracy", higher_is_better=True),
    "rest_loss": Metric("loss on the rest (nats a token)", 0.0, _LARGEST_LOSS, False, _loss, statistics.sign_flip),
}


def known(found: Mapping[str, _V]) -> dict[str, _V]:
    """The entries of a mapping whose key is a metric of ours, in our order."""
    return {name: found[name] for name in METRICS if name in found}
