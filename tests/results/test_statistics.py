"""Intervals and tests, against closed forms, scipy, and every possible outcome written out."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import stats

from hp_bench.results.metrics import METRICS
from hp_bench.results.statistics import (
    Interval,
    average_interval,
    difference_interval,
    familiarity_interval,
    holm,
    mcnemar,
    mean_interval,
    rate_interval,
    sign_flip,
)

RNG = np.random.default_rng(0)


def test_a_rate_of_nothing_seen_is_bounded_as_by_the_closed_form():
    interval = rate_interval(0, 300)
    assert interval.low == 0
    assert interval.high == pytest.approx(1 - 0.025 ** (1 / 300), abs=1e-12)


@pytest.mark.parametrize("successes, n", [(0, 1), (1, 1), (3, 10), (150, 300), (299, 300)])
def test_a_rate_interval_is_clopper_and_pearsons(successes, n):
    interval = rate_interval(successes, n)
    assert interval.low == pytest.approx(stats.beta.ppf(0.025, successes, n - successes + 1) if successes else 0)
    assert interval.high == pytest.approx(stats.beta.ppf(0.975, successes + 1, n - successes) if successes < n else 1)


@pytest.mark.parametrize("successes, n", [(-1, 3), (4, 3), (0, 0)])
def test_a_rate_that_cannot_be_is_refused(successes, n):
    with pytest.raises(ValueError, match=rf"{successes} of {n}"):
        rate_interval(successes, n)


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_the_familiarity_interval_covers_at_95_percent_whatever_the_truth(n):
    """Coverage is exact: every outcome of n completions, with its probability, over a grid of true rates."""
    outcomes = [(e, t) for e in range(n + 1) for t in range(n + 1 - e)]
    intervals = [familiarity_interval(e, t, n) for e, t in outcomes]
    for explicit, thematic in product(np.linspace(0, 1, 26), repeat=2):
        if explicit + thematic > 1 + 1e-12:
            continue
        truth = 5 * explicit + thematic
        split = [explicit, thematic, max(0.0, 1 - explicit - thematic)]
        covered = sum(
            stats.multinomial.pmf([e, t, n - e - t], n, split)
            for (e, t), interval in zip(outcomes, intervals, strict=True)
            if interval.low - 1e-6 <= truth <= interval.high + 1e-6
        )
        assert covered >= 0.95, (explicit, thematic)


def test_the_familiarity_interval_of_no_revealing_completion_of_300_reaches_to_061():
    interval = familiarity_interval(0, 0, 300)
    assert interval.low == 0
    assert interval.high == pytest.approx(0.061, abs=5e-4)


def test_the_familiarity_interval_mirrors_a_rate_where_there_is_nothing_thematic():
    """With everything explicit the sum can only be reached by explicit completions."""
    assert familiarity_interval(300, 0, 300).high == 5
    assert familiarity_interval(300, 0, 300).low == pytest.approx(5 * rate_interval(300, 300).low, abs=0.01)


def test_more_familiarity_moves_the_interval_up():
    ladder = [
        familiarity_interval(e, t, 60) for e, t in ((0, 0), (0, 1), (0, 4), (1, 0), (2, 3), (10, 0), (59, 1), (60, 0))
    ]
    for lower, upper in pairwise(ladder):
        assert lower.low <= upper.low + 1e-6
        assert lower.high <= upper.high + 1e-6
    assert ladder[0].low < ladder[2].low < ladder[4].low < ladder[5].low < ladder[6].low
    assert ladder[0].high < ladder[2].high < ladder[4].high < ladder[5].high < ladder[6].high < ladder[7].high == 5


def test_more_prompts_make_the_familiarity_interval_narrower_and_more_confidence_wider():
    widths = [i.high - i.low for i in (familiarity_interval(n // 10, n // 20, n) for n in (20, 60, 300))]
    assert widths == sorted(widths, reverse=True)
    sure, narrow = familiarity_interval(3, 2, 40, confidence=0.99), familiarity_interval(3, 2, 40)
    assert sure.low < narrow.low < 17 / 40 < narrow.high < sure.high


@pytest.mark.parametrize("counts", [(-1, 0, 3), (2, 2, 3), (0, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="counts must fit"):
        familiarity_interval(*counts)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("filling", ["lowest", "highest", "one differs"])
def test_no_metric_has_an_interval_without_width(metric, n, filling):
    values = [metric.high if filling == "highest" else metric.low] * n
    values[0] = metric.high if filling == "one differs" else values[0]
    interval = metric.interval(values)
    assert metric.low <= interval.low <= np.mean(values) <= interval.high <= metric.high
    assert interval.high - interval.low > 0.01


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3], [0.3] * 30, [0.0] * 30, [1.0] * 30])
def test_a_mean_of_equal_values_is_bounded_by_what_may_be_unseen(values):
    unseen = 1 - 0.025 ** (1 / len(values))
    interval = mean_interval(values)
    assert interval.low == pytest.approx(values[0] * (1 - unseen))
    assert interval.high == pytest.approx(values[0] + unseen * (1 - values[0]))


def test_a_mean_interval_is_scipys_bca_and_the_same_every_time():
    values = RNG.beta(0.3, 2, 30)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert mean_interval(values) == mean_interval(values) == Interval(expected.low, expected.high)


def test_a_mean_interval_stays_in_the_range_and_around_the_mean():
    for size in (2, 3, 5, 30):
        values = RNG.beta(0.1, 1, size)
        interval = mean_interval(values)
        assert 0 <= interval.low <= values.mean() <= interval.high <= 1
        assert interval.low < interval.high


@pytest.mark.parametrize("values", [np.linspace(45, 55, 60), [50.1] * 3, [50.1], [-4.0, -3.0, -3.5], [-2.0] * 3])
def test_values_beyond_the_bounds_widen_them(values):
    """Else the interval would lie beside the mean, and a figure could not draw it."""
    interval = mean_interval(values, high=30.0)
    assert interval.low <= np.mean(values) <= interval.high and interval.low < interval.high
    other = mean_interval(np.zeros(len(values)), high=30.0)
    apart = difference_interval(values, np.linspace(0, 1, len(values)), interval, other, largest=30.0)
    assert apart.low <= np.mean(values) - np.linspace(0, 1, len(values)).mean() <= apart.high


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[1.0], [0.0, 1.0], [1e-300, 2e-300, 0.0], [0.1, 0.1, math.nextafter(0.1, 1)]])
def test_what_the_bootstrap_cannot_be_made_of_is_bounded_without_a_warning(values):
    """scipy's DegenerateDataWarning, and numpy's of a division, stood among the answers of a command."""
    found = mean_interval(values)
    assert found.low <= np.mean(values) <= found.high and found.low < found.high


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def rates(a, b) -> Interval:
    return difference_interval(a, b, rate_interval(sum(a), len(a)), rate_interval(sum(b), len(b)))


def test_a_difference_has_the_sign_of_its_means_and_turns_around_with_them():
    a, b = [1] * 60 + [0] * 40, [0] * 75 + [1] * 25
    forward, backward = rates(a, b), rates(b, a)
    assert 0 < forward.low < 0.35 < forward.high
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low))


def test_agreement_between_the_pairs_narrows_the_difference():
    a = [1] * 60 + [0] * 40
    together, apart = [1] * 50 + [0] * 50, [0] * 50 + [1] * 50
    near, far = rates(a, together), rates(a, apart)
    assert near.high - near.low < far.high - far.low
    assert near.low > 0 > far.low


def test_the_difference_of_unrelated_pairs_adds_the_squares_of_both_uncertainties():
    a, b = [1, 1, 0, 0] * 25, [1, 0, 1, 0] * 25
    half = 0.5 - rate_interval(50, 100).low
    assert tuple(vars(rates(a, b)).values()) == pytest.approx((-half * math.sqrt(2), half * math.sqrt(2)))


@pytest.mark.parametrize("values", [[0.0] * 30, [1.0] * 30, [0.0, 1.0] * 15, [0.2, 0.4] * 15])
def test_two_models_that_agree_everywhere_still_differ_by_what_is_unseen(values):
    interval = difference_interval(values, values, mean_interval(values), mean_interval(values))
    unseen = 1 - 0.025 ** (1 / 30)
    assert (interval.low, interval.high) == pytest.approx((-unseen, unseen))


def test_the_average_of_a_group_is_narrower_than_its_members_and_holds_their_mean():
    intervals = [rate_interval(k, 50) for k in (10, 20, 40)]
    average = average_interval([0.2, 0.4, 0.8], intervals)
    assert average.low < 1.4 / 3 < average.high
    assert average.high - average.low < min(i.high - i.low for i in intervals)
    assert average_interval([0.2], intervals[:1]) == pytest.approx(intervals[0])


@pytest.mark.parametrize("only_a, only_b", [(0, 0), (1, 0), (5, 5), (8, 1), (0, 12)])
def test_mcnemar_counts_every_way_the_unequal_pairs_could_have_fallen(only_a, only_b):
    a = [1] * only_a + [0] * only_b + [1, 0] * 10
    b = [0] * only_a + [1] * only_b + [1, 0] * 10
    n, extreme = only_a + only_b, max(only_a, only_b)
    expected = min(1.0, 2 * sum(math.comb(n, k) for k in range(extreme, n + 1)) / 2**n)
    assert mcnemar(a, b) == pytest.approx(expected)
    assert mcnemar(b, a) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_sign_flip_counts_every_choice_of_signs_for_few_pairs(n):
    a, b = RNG.choice([0, 1, 5], n).astype(float), RNG.choice([0, 1, 5], n).astype(float)
    moved = (a - b)[a != b]
    if moved.size == 0:
        moved = np.zeros(1)
    sums = np.array([np.dot(signs, moved) for signs in product([1, -1], repeat=len(moved))])
    above, below = (sums >= moved.sum() - 1e-9).mean(), (sums <= moved.sum() + 1e-9).mean()
    assert sign_flip(a, b) == pytest.approx(min(1.0, 2 * min(above, below)))
    assert sign_flip(b, a) == pytest.approx(sign_flip(a, b))


def test_sign_flip_finds_a_difference_is_repeatable_and_ignores_equal_pairs():
    a = RNG.beta(2, 5, 40)
    assert sign_flip(a, a) == sign_flip([1, 0, 0], [0, 0, 0]) == 1.0  # one pair alone proves nothing
    assert sign_flip(a, a + 0.01) < 0.001
    other = RNG.beta(2, 5, 40)
    assert sign_flip(a, other) == sign_flip(a, other) > 0.001
    assert sign_flip([*a, *a], [*other, *a]) == sign_flip(a, other)


@pytest.mark.parametrize(
    "values, adjusted",
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.04, 0.01, 0.01, 0.9], [0.08, 0.04, 0.04, 0.9]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_adjusts_by_rank_and_never_turns_the_order_around(values, adjusted):
    assert holm(values) == pytest.approx(adjusted)
