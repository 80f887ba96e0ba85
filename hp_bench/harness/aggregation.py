"""What lm-eval's own table shows for our metrics: means over the scored prompts, with honest standard errors.

NaN stands for a prompt that could not be scored: it never enters a mean, and more than 1 % of them fails the run (`hp-bench`) or is
logged as an error (plain `lm_eval`). Full intervals are in the scorecards; a standard error is the sample's own, except where the sample
has no spread (0 of 300): there it is the exact interval's width over 2 x 1.96, because "0 +- 0" would be untrue.
"""

import logging
import math
from collections.abc import Callable, Sequence

from hp_bench.results import statistics
from hp_bench.results.scorecard import UNSCORED_LIMIT

log = logging.getLogger(__name__)

_Z = 1.959964


def mean(values: Sequence[float]) -> float:
    """Mean over the scored prompts; NaN if none was scored."""
    scored = _scored(values)
    return sum(scored) / len(scored) if scored else math.nan


def unscored_rate(values: Sequence[float]) -> float:
    """Share of the prompts that could not be scored, 0 to 1; above 1 % it is an error in the log."""
    rate = sum(values) / len(values)
    if rate > UNSCORED_LIMIT:
        log.error(
            "%d of %d prompts could not be scored: do not use these numbers; mend what the errors above say, and run it again",
            round(sum(values)),
            len(values),
        )
    return rate


def familiarity_stderr(values: Sequence[float]) -> float:
    """Standard error of completion-based familiarity, 0 to 5."""
    return _stderr(values, lambda s: statistics.familiarity_interval(s.count(5.0), s.count(1.0), len(s)))


def rate_stderr(values: Sequence[float]) -> float:
    """Standard error of a rate of 0/1 values."""
    return _stderr(values, lambda scored: statistics.rate_interval(round(sum(scored)), len(scored)))


def mass_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean of probabilities."""
    return _stderr(values, statistics.mean_interval)


def gain_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean of values from -1 to 1."""
    return _stderr(values, lambda scored: statistics.mean_interval(scored, low=-1.0, high=1.0))


def weight_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean of familiarities that are means themselves, 0 to 5."""
    return _stderr(values, lambda scored: statistics.mean_interval(scored, high=5.0))


def words_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean number of words, 0 to 150."""
    return _stderr(values, lambda scored: statistics.mean_interval(scored, high=150.0))


def _scored(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values if not math.isnan(value)]


def _stderr(values: Sequence[float], interval_of: Callable[[list[float]], statistics.Interval]) -> float:
    scored = _scored(values)
    if not scored:
        return math.nan
    average, n = sum(scored) / len(scored), len(scored)
    sample = math.sqrt(sum((value - average) ** 2 for value in scored) / (n - 1) / n) if n > 1 else 0.0
    if sample:
        return sample
    interval = interval_of(scored)
    return (interval.high - interval.low) / (2 * _Z)
