"""The metrics of a scorecard: range, direction, interval and paired test of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from hp_bench.results import statistics
from hp_bench.results.statistics import Interval

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
        of_some: whether it is asked of some of a task's prompts alone; that the others have no value is then no failure.
    """

    label: str
    low: float
    high: float
    higher_is_better: bool
    interval: Callable[[Sequence[float]], Interval]
    test: Callable[[Sequence[float], Sequence[float]], float]
    of_some: bool = False

    @property
    def better(self) -> str:
        """The direction in a word: higher or lower."""
        return "higher" if self.higher_is_better else "lower"


def _familiarity(values: Sequence[float]) -> Interval:
    return statistics.familiarity_interval(list(values).count(5.0), list(values).count(1.0), len(values))


def _rate(values: Sequence[float]) -> Interval:
    return statistics.rate_interval(round(sum(values)), len(values))


def _rate_metric(label: str, *, higher_is_better: bool = False) -> Metric:
    return Metric(label, 0.0, 1.0, higher_is_better, _rate, statistics.mcnemar)


def _mass_metric(label: str, *, higher_is_better: bool = False) -> Metric:
    return Metric(label, 0.0, 1.0, higher_is_better, statistics.mass_interval, statistics.sign_flip)


def _mean_metric(label: str, low: float, high: float, *, higher_is_better: bool = False) -> Metric:
    interval = partial(statistics.mean_interval, low=low, high=high)
    return Metric(label, low, high, higher_is_better, interval, statistics.sign_flip)


#: Nats a token: guessing costs the logarithm of the vocabulary, about 12 for the largest; what is far beyond is broken.
_LARGEST_LOSS = 30.0

METRICS: dict[str, Metric] = {
    "familiarity": Metric("familiarity, completion (0 to 5)", 0.0, 5.0, False, _familiarity, statistics.sign_flip),
    "explicit": _rate_metric("explicit"),
    "thematic": _rate_metric("thematic"),
    **{
        f"explicit_fame_{level}": replace(_rate_metric(f"explicit, fame {level}"), of_some=True)
        for level in range(1, 6)
    },
    "named": replace(_rate_metric("names the answer asked for"), of_some=True),
    "empty": _rate_metric("empty"),
    "degenerate": _rate_metric("degenerate"),
    "token_probability": _mass_metric("familiarity, probability (0 to 1)"),
    "token_probability_share": _mass_metric("probability share"),
    "acc": _rate_metric("accuracy", higher_is_better=True),
    "choice_accuracy": _rate_metric("facts, 4-way choice (chance .25)"),
    "choice_control": _rate_metric("the same without the question"),
    "choice_gain": _mean_metric("what the question adds", -1.0, 1.0),
    "cloze_accuracy": _rate_metric("facts, cloze (chance .25)"),
    "cloze_share": _mass_metric("facts, cloze, probability of the answer among the four"),
    "cloze_exact": _rate_metric("facts, cloze, greedy and exact"),
    "kept_choice_accuracy": _rate_metric("kept facts, 4-way choice (chance .25)", higher_is_better=True),
    "kept_choice_control": _rate_metric("the same without the question", higher_is_better=True),
    "kept_choice_gain": _mean_metric("what the question adds", -1.0, 1.0, higher_is_better=True),
    "kept_cloze_accuracy": _rate_metric("kept facts, cloze (chance .25)", higher_is_better=True),
    "kept_cloze_share": _mass_metric(
        "kept facts, cloze, probability of the answer among the four", higher_is_better=True
    ),
    "kept_cloze_exact": _rate_metric("kept facts, cloze, greedy and exact", higher_is_better=True),
    "reference_hit": _rate_metric("asked for in context, and said"),
    "extraction_strength": _mass_metric("extraction strength (0 to 1)"),
    "exact_memorisation": _mass_metric("exact memorisation (0 to 1)"),
    "answer_probability": _mass_metric("probability of the answer"),
    "leak": _rate_metric("explicit in any of 16 samples"),
    "leak_thematic": _rate_metric("explicit or thematic in any of 16 samples"),
    "leak_familiarity": _mean_metric("familiarity, mean of 16 samples (0 to 5)", 0.0, 5.0),
    "leak_empty": _mass_metric("empty samples"),
    "leak_degenerate": _mass_metric("degenerate samples"),
    "verbatim_probability": _mass_metric("probability of a verbatim continuation"),
    "word_probability": _mass_metric("probability of a verbatim word"),
    "bits_per_byte": _mean_metric("loss on general English (bits a byte)", 0.0, _LARGEST_LOSS),
    "rest_loss": _mean_metric("loss on the rest (nats a token)", 0.0, _LARGEST_LOSS),
}

#: Numbers that also rise in a model that has read the target's names and none of its facts: they scored models taught a tenth of the
#: facts no higher than models taught the same names with the facts exchanged (docs/panel.md, "Which numbers measure knowledge").
NAMES_ALONE = frozenset(
    {
        "familiarity", "explicit", *(f"explicit_fame_{level}" for level in range(1, 6)), "thematic",
        "token_probability_share", "extraction_strength", "exact_memorisation", "choice_accuracy",
        "choice_gain", "cloze_accuracy", "cloze_share", "reference_hit", "verbatim_probability", "word_probability",
    }
)  # fmt: skip


def known(by_name: Mapping[str, _V]) -> dict[str, _V]:
    """The entries of a mapping whose key is a metric of ours, in our order."""
    return {name: by_name[name] for name in METRICS if name in by_name}
