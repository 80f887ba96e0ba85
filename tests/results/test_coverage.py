"""Do 95 % intervals cover the truth in 95 % of the runs? Exactly where every outcome can be counted, else by simulation.

At true rates 0, .01, .1, .5 with 30 and 300 prompts, for every interval in use: rates, familiarity, probability mass, paired differences.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest
from scipy import stats

from hp_bench.results import statistics
from hp_bench.results.metrics import METRICS
from hp_bench.results.statistics import (
    difference_interval,
    familiarity_interval,
    mass_interval,
    mean_interval,
    rate_interval,
)

RATES = [0.0, 0.01, 0.1, 0.5]
SIZES = [30, 300]
RARE = 1e-6


@pytest.mark.parametrize("rate, n", product(RATES, SIZES))
def test_rates_are_covered(rate, n):
    """Exact: every number of successes with its probability."""
    seen = [k for k in range(n + 1) if stats.binom.pmf(k, n, rate) > RARE]
    intervals = {k: rate_interval(k, n) for k in seen}
    covered = sum(stats.binom.pmf(k, n, rate) for k, i in intervals.items() if i.low <= rate <= i.high)
    assert covered >= 0.95


def coverage_of_familiarity(explicit: float, thematic: float, n: int) -> float:
    """Exact: the sums 5 x explicit + thematic with their probabilities; bounds rise with the sum, so two bisections find those that cover."""
    truth = 5 * explicit + thematic
    one = np.array([1 - explicit - thematic, thematic, 0, 0, 0, explicit])
    probability = np.array([1.0])
    for _ in range(n):
        probability = np.convolve(probability, one)
    sums = [s for s in range(5 * n + 1) if s // 5 + s % 5 <= n]

    def first(condition) -> int:
        low, high = 0, len(sums)
        while low < high:
            middle = (low + high) // 2
            found = condition(familiarity_interval(sums[middle] // 5, sums[middle] % 5, n))
            low, high = (low, middle) if found else (middle + 1, high)
        return low

    covering = sums[first(lambda i: i.high >= truth - 1e-6) : first(lambda i: i.low > truth + 1e-6)]
    return float(sum(probability[s] for s in covering))


@pytest.mark.parametrize("explicit, thematic", [(0.0, 0.0), (0.01, 0.0), (0.1, 0.1), (0.5, 0.0)])
def test_familiarity_is_covered_with_30_prompts(explicit, thematic):
    assert coverage_of_familiarity(explicit, thematic, 30) >= 0.95 - 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("explicit, thematic", list(product(RATES, [0.0, 0.1])))
@pytest.mark.parametrize("n", SIZES)
def test_familiarity_is_covered(explicit, thematic, n):
    assert coverage_of_familiarity(explicit, thematic, n) >= 0.95 - 1e-6


def masses(rng: np.random.Generator, mean: float, spread: float, shape: tuple[int, int]) -> np.ndarray:
    """Probability masses of a mean: a beta distribution; a spread of .5 gives nearly all of them at 0 or 1, of 20 most near the mean."""
    return rng.beta(mean * spread, (1 - mean) * spread, shape) if mean else np.zeros(shape)


def share_covered(intervals, truth: float) -> float:
    return float(np.mean([i.low - 1e-9 <= truth <= i.high + 1e-9 for i in intervals]))


def least(runs: int, nominal: float = 0.95) -> float:
    """What a nominal coverage may look like in so many runs: three standard errors below."""
    return nominal - 3 * float(np.sqrt(nominal * (1 - nominal) / runs))


def test_a_mass_near_0_is_covered_where_the_bootstrap_alone_is_not(monkeypatch):
    """30 prompts that all lie near 0, although a few of all the possible ones reveal much."""
    monkeypatch.setattr(statistics, "_RESAMPLES", 499)
    values = masses(np.random.default_rng(1), 0.01, 2, (120, 30))
    assert share_covered([mean_interval(v) for v in values], 0.01) < 0.85
    assert share_covered([mass_interval(v) for v in values], 0.01) > least(120)


@pytest.mark.slow
@pytest.mark.parametrize("mean", RATES)
@pytest.mark.parametrize("spread", [0.5, 2, 20])
@pytest.mark.parametrize("n, runs", [(30, 300), (300, 100)])
def test_masses_are_covered(monkeypatch, mean, spread, n, runs):
    """With 30 spread-out values the bootstrap is a little narrow (93 to 94 %): Student's t would be wider by 4 %."""
    monkeypatch.setattr(statistics, "_RESAMPLES", 999)
    values = masses(np.random.default_rng(2), mean, spread, (runs, n))
    assert share_covered([METRICS["token_probability"].interval(v) for v in values], mean) >= least(runs, 0.935)


def pairs(rng: np.random.Generator, first: float, second: float, same: float, shape: tuple[int, int]):
    """Two models' rates: a share of the prompts is answered alike as far as the rates allow, the others independently."""
    x = rng.random(shape) < first
    kept = x & (rng.random(shape) < (second / first if first else 1))
    y = np.where(rng.random(shape) < same, kept, rng.random(shape) < second)
    return x.astype(float), y.astype(float)


@pytest.mark.parametrize("first, second", [(0.0, 0.0), (0.01, 0.01), (0.1, 0.0), (0.1, 0.01), (0.5, 0.1), (0.5, 0.5)])
@pytest.mark.parametrize("same", [0.0, 0.8])
def test_paired_differences_of_rates_are_covered(first, second, same):
    known = cache(rate_interval)
    for n, runs in ((30, 200), (300, 60)):
        x, y = pairs(np.random.default_rng(3), first, second, same, (runs, n))
        intervals = [
            difference_interval(a, b, known(int(a.sum()), n), known(int(b.sum()), n)) for a, b in zip(x, y, strict=True)
        ]
        assert share_covered(intervals, first - second) >= least(runs)


@pytest.mark.slow
@pytest.mark.parametrize("first, second", [(0.0, 0.0), (0.1, 0.01), (0.5, 0.1), (0.5, 0.5)])
@pytest.mark.parametrize("metric", ["familiarity", "token_probability"])
def test_paired_differences_of_familiarity_and_mass_are_covered(monkeypatch, metric, first, second):
    monkeypatch.setattr(statistics, "_RESAMPLES", 999)
    how, n, runs = METRICS[metric], 30, 300
    x, y = pairs(np.random.default_rng(4), first, second, 0.5, (runs, n))
    scale = 5.0 if metric == "familiarity" else 0.8
    intervals = [
        difference_interval(scale * a, scale * b, how.interval(scale * a), how.interval(scale * b), largest=how.high)
        for a, b in zip(x, y, strict=True)
    ]
    assert share_covered(intervals, scale * (first - second)) >= least(runs, 0.935)
