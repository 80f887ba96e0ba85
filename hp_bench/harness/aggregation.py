"""What lm-eval's own table shows for our metrics: means over the scored prompts, with honest standard errors.

NaN stands for a prompt that could not be scored: it never enters a mean, and more than 1 % of them fails the run (`hp-bench`) or is
logged as an error (plain `lm_eval`). Full intervals are in the scorecards; a standard error is the sample's own, except where the sample
has no spread (0 of 300): there it is the exact interval's width over 2 x 1.96, because "0 +- 0" would be untrue.
"""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hp_bench.results.metrics import METRICS, Metric
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


def metric_list(names: Iterable[str]) -> list[dict[str, Any]]:
    """What lm-eval is told of a task's numbers, and of `unscored`: means with standard errors, in the direction of `metrics.toml`."""
    entries = []
    for name in (*names, "unscored"):
        metric = METRICS.get(name, Metric(name, "rate"))
        average = unscored_rate if name == "unscored" else mean
        for key, how in ((name, average), (f"{name}_stderr", stderr_of(metric))):
            entries.append({"metric": key, "aggregation": how, "higher_is_better": metric.higher_is_better})
    return entries


def stderr_of(metric: Metric) -> Callable[[Sequence[float]], float]:
    """A function from a metric's values to the standard error of their mean."""

    def stderr(values: Sequence[float]) -> float:
        scored = _scored(values)
        if not scored:
            return math.nan
        average, n = sum(scored) / len(scored), len(scored)
        sample = math.sqrt(sum((value - average) ** 2 for value in scored) / (n - 1) / n) if n > 1 else 0.0
        if sample:
            return sample
        interval = metric.interval(scored)
        return (interval.high - interval.low) / (2 * _Z)

    return stderr


def _scored(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values if not math.isnan(value)]
