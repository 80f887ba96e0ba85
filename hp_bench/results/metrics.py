"""The metrics of a scorecard: range, direction, interval and paired test of each."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from hp_bench.results import statistics
from hp_bench.results.statistics import Interval

_V = TypeVar("_V")


@dataclass(frozen=True)
class Metric:
    """How one number of a scorecard is to be read and computed from its per-prompt values; a line of `metrics.toml`.

    Attributes:
        label: for tables and figures.
        kind: of the per-prompt values: 0 or 1 (rate; a share where those of several models are averaged), a probability (mass), any number
            (mean), or 0, 1 or 5 (familiarity).
        low, high: smallest and largest possible value.
        higher_is_better: direction; familiarity is better low.
        knowledge: whether it rises with what is known of the unlearn target.
        names_alone: whether it also rises in a model that has read the target's names and none of its facts.
        of_some: whether it is asked of some of a task's prompts alone; that the others have no value is then no failure.
        panel: whether it belongs to the panel, rather than to the paper's own two tests or beside them.
        lead: whether the panel's figure shows it; of a task that has no such number, the first is shown.
        detail: whether it is another reading of a number that is there already: in tables, and not tested on its own in the panel.
        chance: what guessing scores; None where nothing can be guessed, or it is not known.
    """

    label: str
    kind: Literal["rate", "mass", "mean", "familiarity"]
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = False
    knowledge: bool = True
    names_alone: bool = False
    of_some: bool = False
    panel: bool = True
    lead: bool = False
    detail: bool = False
    chance: float | None = None

    @property
    def better(self) -> str:
        """The direction in a word: higher or lower."""
        return "higher" if self.higher_is_better else "lower"

    def interval(self, values: Sequence[float]) -> Interval:
        """95 % interval of the mean of per-prompt values."""
        if self.kind == "familiarity":
            counts = list(values)
            if {*values} <= {0.0, 1.0, 5.0}:
                return statistics.familiarity_interval(counts.count(5.0), counts.count(1.0), len(counts))
            share = statistics.mass_interval([value / self.high for value in values])  # means of several completions
            return Interval(share.low * self.high, share.high * self.high)
        if self.kind == "rate":
            return statistics.rate_interval(round(sum(values)), len(values))
        if self.kind == "mass":
            return statistics.mass_interval(values)
        return statistics.mean_interval(values, low=self.low, high=self.high)

    def test(self, a: Sequence[float], b: Sequence[float]) -> float:
        """p-value that two models' paired values have equal means."""
        exact = self.kind == "rate" and {*a, *b} <= {0.0, 1.0}
        return (statistics.mcnemar if exact else statistics.sign_flip)(a, b)


_TABLE = Path(__file__).with_name("metrics.toml").read_text(encoding="utf-8")

METRICS: dict[str, Metric] = {name: Metric(**row) for name, row in tomllib.loads(_TABLE).items()}


def known(by_name: Mapping[str, _V]) -> dict[str, _V]:
    """The entries of a mapping whose key is a metric of ours, in our order."""
    return {name: by_name[name] for name in METRICS if name in by_name}
