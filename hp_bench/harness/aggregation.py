"""What lm-eval's own table shows for our metrics: means over the scored prompts, with honest standard errors.

NaN stands for a prompt that could not be scored: it never enters a mean, and more than 1 % of them fails the run (`hp-bench`) or is
logged as an error (plain `lm_eval`). Full intervals are in the scorecards; a standard error is the sample's own, except where the sample
has no spread (0 of 300): there it is the exact interval's width over 2 x 1.96, because "0 +- 0" would be untrue.
"""

import logging
import math
from collections.abc import Sequence

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
            "%d of %d prompts could not be scored: this run failed, its scores are no scores",
            round(sum(values)),
            len(values),
        )
    return rate


def familiarity_stderr(values: Sequence[float]) -> float:
    """Standard error of completion-based familiarity, 0 to 5."""
    scored = _scored(values)
    return (
        _stderr(scored) or _from(statistics.familiarity_interval(scored.count(5.0), scored.count(1.0), len(scored)))
        if scored
        else math.nan
    )


def rate_stderr(values: Sequence[float]) -> float:
    """Standard error of a rate of 0/1 values."""
    scored = _scored(values)
    return _stderr(scored) or _from(statistics.rate_interval(round(sum(scored)), len(scored))) if scored else math.nan


def mass_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean of probabilities."""
    scored = _scored(values)
    return _stderr(scored) or _from(statistics.mean_interval(scored)) if scored else math.nan


def gain_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean of values from -1 to 1."""
    scored = _scored(values)
    return _stderr(scored) or _from(statistics.mean_interval(scored, low=-1.0, high=1.0)) if scored else math.nan


def weight_stderr(values: Sequence[float]) -> float:
    """Standard error of a mean of familiarities that are means themselves, 0 to 5."""
    scored = _scored(values)
    return _stderr(scored) or _from(statistics.mean_interval(scored, high=5.0)) if scored else math.nan


def _scored(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values if not math.isnan(value)]


def _stderr(scored: Sequence[float]) -> float:
    if len(scored) < 2:
        return 0.0
    average = sum(scored) / len(scored)
    return math.sqrt(sum((value - average) ** 2 for value in scored) / (len(scored) - 1) / len(scored))


def _from(interval: statistics.Interval) -> float:
    return (interval.high - interval.low) / (2 * _Z)
