"""Intervals and tests for the numbers of a scorecard. Every interval is two-sided and, unless said otherwise, 95 %.

None of them has zero width: 0 revealing completions out of 300 prove a rate of at most 1.2 %, not of 0.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

CONFIDENCE = 0.95

_RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """A confidence interval; `low` <= estimate <= `high`."""

    low: float
    high: float


def rate_interval(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Clopper-Pearson interval of a rate, 0 to 1: never below its nominal coverage."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"successes must lie between 0 and n > 0, not {successes} of {n}")
    exact = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    return Interval(float(exact.low), float(exact.high))


@lru_cache(maxsize=4096)
def familiarity_interval(explicit: int, thematic: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Exact interval of completion-based familiarity, 0 to 5, from the counts of completions graded explicit, graded thematic, and scored.

    The sum 5 x explicit + thematic is tested against every familiarity theta; how theta splits into explicit and thematic is a
    nuisance, for which the least favourable split is taken. So coverage is at least nominal whatever the split.
    """
    if min(explicit, thematic) < 0 or explicit + thematic > n or n == 0:
        raise ValueError(f"counts must fit into n > 0, not explicit={explicit}, thematic={thematic}, n={n}")
    observed, tail = 5 * explicit + thematic, (1 - confidence) / 2

    def bound(*, upper: bool) -> float:
        def excess(theta: float) -> float:
            return _least_favourable(theta, observed, n, upper=upper) - tail

        return float(optimize.brentq(excess, 1e-12, 5 - 1e-12, xtol=1e-7))

    return Interval(0.0 if observed == 0 else bound(upper=True), 5.0 if observed == 5 * n else bound(upper=False))


def _least_favourable(theta: float, observed: int, n: int, *, upper: bool) -> float:
    """Largest probability, over the splits of theta, of a sum >= observed (`upper`) or <= observed."""
    lowest, highest = max(0.0, (theta - 1) / 4), min(1.0, theta / 5)
    grid = np.linspace(lowest, highest, 33)
    tails = _tail(grid, theta, observed, n, upper=upper)
    best = int(np.argmax(tails))
    near = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 17)
    return float(max(tails[best], _tail(near, theta, observed, n, upper=upper).max()))


def _tail(p_explicit: NDArray, theta: float, observed: int, n: int, *, upper: bool) -> NDArray:
    p_thematic = np.clip(theta - 5 * p_explicit, 0, 1 - p_explicit)
    rest = 1 - p_explicit
    conditional = np.divide(p_thematic, rest, out=np.zeros_like(rest), where=rest > 0)[:, None]
    explicit = np.arange(n + 1)[None, :]
    weights = stats.binom.pmf(explicit, n, p_explicit[:, None])
    used = weights.max(axis=0) > 1e-14
    explicit, weights = explicit[:, used], weights[:, used]
    needed = observed - 5 * explicit
    others = stats.binom(n - explicit, conditional)
    return (weights * (others.sf(needed - 1) if upper else others.cdf(needed))).sum(axis=1)


def mean_interval(values: ArrayLike, *, low: float = 0.0, high: float = 1.0) -> Interval:
    """Interval of the mean of values that lie in [low, high]: bias-corrected and accelerated bootstrap over the values.

    Values beyond these bounds widen them, so that the interval always holds the mean.

    Where the bootstrap has nothing to go by (all values equal, or one value), the bound that needs no spread: with 95 %
    confidence no more than `1 - .025 ** (1 / n)` of the population differs from what was seen, by at most the range.

    Source: Efron (1987), Better Bootstrap Confidence Intervals; scipy.stats.bootstrap.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("no values: the mean of nothing has no interval")
    mean = float(np.clip(data.mean(), data.min(), data.max()))  # a sum of equal values may be rounded past them
    low, high = min(low, float(data.min())), max(high, float(data.max()))
    if interval := bootstrap_interval(data, np.mean):
        return Interval(float(np.clip(interval.low, low, mean)), float(np.clip(interval.high, mean, high)))
    unseen = _unseen(data.size)
    return Interval(mean - unseen * (mean - low), mean + unseen * (high - mean))


def bootstrap_interval(data: NDArray, statistic: Callable[..., Any], **options: Any) -> Interval | None:
    """Interval of a statistic of some values: bias-corrected and accelerated bootstrap; None where it has nothing to go by.

    Source: Efron (1987), Better Bootstrap Confidence Intervals; scipy.stats.bootstrap, whose `options` may be given.
    """
    if data.size < 2 or np.ptp(data) == 0:
        return None
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has nothing to go by
        found = stats.bootstrap(
            (data,), statistic, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, method="BCa", rng=rng, **options
        ).confidence_interval  # fmt: skip
    return Interval(float(found.low), float(found.high)) if -math.inf < found.low < found.high < math.inf else None


def _unseen(n: int) -> float:
    """The largest share of a population of which n draws may show nothing."""
    return 1 - ((1 - CONFIDENCE) / 2) ** (1 / n)


def mass_interval(values: ArrayLike) -> Interval:
    """Interval of a mean of probabilities, 0 to 1: the bootstrap's, widened to what so few prompts can exclude.

    Probability masses are skewed: 30 prompts can all lie near 0 although one prompt in 50 would reveal everything, and then a bootstrap
    knows nothing of it (measured at a true mean of .01 and n = 30: it covers 48 to 88 %, not 95 %). So neither bound is nearer to the mean
    than the bound of `mean_interval` that needs no spread.
    """
    data = np.asarray(values, dtype=np.float64)
    bootstrap = mean_interval(data)
    mean, unseen = float(data.mean()), _unseen(data.size)
    return Interval(min(bootstrap.low, mean - unseen * mean), max(bootstrap.high, mean + unseen * (1 - mean)))


def difference_interval(
    a: ArrayLike, b: ArrayLike, interval_a: Interval, interval_b: Interval, *, largest: float = 1.0
) -> Interval:
    """Interval of mean(a) - mean(b) over pairs, from the two means' own intervals and the pairs' correlation.

    Where all pairs differ by the same, the correlation would leave no width: there the bound of `mean_interval` that needs no spread.
    `largest`: by how much a pair can differ, either way.

    Source: Newcombe (1998), method 10; Zou and Donner (2008), MOVER.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if np.ptp(x - y) == 0:
        return mean_interval(x - y, low=-largest, high=largest)
    mean_a, mean_b = float(x.mean()), float(y.mean())
    spread = x.std() * y.std()
    correlation = float(np.clip(((x - mean_a) * (y - mean_b)).mean() / spread, -1, 1)) if spread > 0 else 0.0
    below_a, above_a = mean_a - interval_a.low, interval_a.high - mean_a
    below_b, above_b = mean_b - interval_b.low, interval_b.high - mean_b
    low = below_a**2 + above_b**2 - 2 * correlation * below_a * above_b
    high = above_a**2 + below_b**2 - 2 * correlation * above_a * below_b
    difference = mean_a - mean_b
    return Interval(difference - math.sqrt(max(low, 0.0)), difference + math.sqrt(max(high, 0.0)))


def average_interval(means: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the unweighted average of independent means (a group of tasks), from their own intervals (MOVER)."""
    average, count = float(np.mean(means)), len(means)
    below = math.sqrt(sum((m - i.low) ** 2 for m, i in zip(means, intervals, strict=True))) / count
    above = math.sqrt(sum((i.high - m) ** 2 for m, i in zip(means, intervals, strict=True))) / count
    return Interval(average - below, average + above)


def mcnemar(a: ArrayLike, b: ArrayLike) -> float:
    """Exact two-sided p-value that two paired rates are equal; 1 where no pair differs."""
    x, y = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    only_a, only_b = int((x & ~y).sum()), int((~x & y).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def sign_flip(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided p-value that two paired means are equal: permutation of the pairs' signs (exact for few pairs, else 9,999 draws)."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    moved = x != y
    if moved.sum() < 2:  # either sign of a single pair is as extreme as the other
        return 1.0
    test = stats.permutation_test(
        (x[moved], y[moved]), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=_RESAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values over a family of tests, in the order given. Source: Holm (1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
