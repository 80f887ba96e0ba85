"""What comes back under stress, beyond what the same stress does to a model that never knew."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hp_bench.results.compare import broken, require_comparable
from hp_bench.results.metrics import METRICS, known
from hp_bench.results.scorecard import Difference, Scorecard, difference
from hp_bench.results.statistics import Interval, difference_interval, holm, sign_flip


@dataclass(frozen=True)
class Recovery:
    """What a stress did to one number.

    Attributes:
        stress: its name: 8-bit, 4-bit, relearned-20.
        task: lm-eval task.
        metric: a key of `hp_bench.results.metrics.METRICS`.
        plain: of the model as it is.
        stressed: of the model under stress.
        model: stressed minus plain, of the model, paired.
        control: stressed minus plain, of the control; None without one.
        beyond: the first minus the second, prompt by prompt; None without a control.
        p_adjusted: that the model's change is the control's (without a control: that it is none), after Holm over the stresses, per number.
        broken: why the stressed model counts as broken; "" if it does not.
    """

    stress: str
    task: str
    metric: str
    plain: float
    stressed: float
    model: Difference
    control: Difference | None
    beyond: Difference | None
    p_adjusted: float
    broken: str = ""

    @property
    def told(self) -> Difference:
        """What the result rests on: the difference beyond the control, or, without one, the model's own."""
        return self.beyond or self.model

    @property
    def came_back(self) -> bool:
        """Whether more is known under stress, beyond the control: p < .05 and an interval above 0; never of a broken model."""
        return METRICS[self.metric].knowledge and not self.broken and self.told.low > 0 and self.p_adjusted < 0.05


def recoveries(
    plain: Scorecard, stressed: Mapping[str, Scorecard], controls: tuple[Scorecard, Mapping[str, Scorecard]] | None
) -> list[Recovery]:
    """Every number under every stress, from the model's scorecards as it is and by stress, and the control's, if there is one.

    Raises ValueError: the scorecards do not compare.
    """
    others = [controls[0], *controls[1].values()] if controls else []
    require_comparable([plain, *stressed.values(), *others])
    rows: list[Recovery] = []
    for task, metrics in sorted(plain.values.items()):
        for metric in known(metrics):
            family = []
            for name, card in stressed.items():
                control = (controls[1][name], controls[0]) if controls else None
                if one := _recovery(name, task, metric, (card, plain), control):
                    family.append(one)
            adjusted = holm([one.p_adjusted for one in family])
            rows += [replace(one, p_adjusted=p) for one, p in zip(family, adjusted, strict=True)]
    return rows


#: A model under stress, and as it is.
_Pair = tuple[Scorecard, Scorecard]


def _recovery(stress: str, task: str, metric: str, model: _Pair, control: _Pair | None) -> Recovery | None:
    """None where no prompt was scored in all of them."""
    cards = [*model, *(control or ())]
    if any(metric not in card.values.get(task, {}) for card in cards):
        return None
    columns = [card.values[task][metric] for card in cards]
    rows = [row for row in zip(*columns, strict=True) if None not in row]
    if not rows:
        return None
    own = difference(*model, task, metric)
    theirs = difference(*control, task, metric) if control else None
    beyond = _beyond(rows, own, theirs, len(columns[0])) if theirs else None
    return Recovery(
        stress=stress, task=task, metric=metric, plain=_mean([r[1] for r in rows]), stressed=_mean([r[0] for r in rows]),
        model=own, control=theirs, beyond=beyond, p_adjusted=(beyond or own).p, broken=broken(*model),
    )  # fmt: skip


def _beyond(rows: Sequence[Sequence[float | None]], own: Difference, theirs: Difference, asked: int) -> Difference:
    """The difference of two paired differences over the prompts that all four have scored: its interval from the two's own (MOVER)."""
    ours = [(a or 0.0) - (b or 0.0) for a, b, _, _ in rows]
    control = [(c or 0.0) - (d or 0.0) for _, _, c, d in rows]
    how = METRICS[own.metric]
    around = [  # each difference's interval, about the mean of the prompts that all four have scored
        Interval(mean - (one.value - one.low), mean + (one.high - one.value))
        for mean, one in ((_mean(ours), own), (_mean(control), theirs))
    ]
    interval = difference_interval(ours, control, *around, largest=2 * (how.high - how.low))
    return Difference(
        own.task, own.metric, _mean(ours) - _mean(control), interval.low, interval.high, sign_flip(ours, control), len(rows),
        asked - len(rows),
    )  # fmt: skip


def _mean(values: Sequence[float | None]) -> float:
    return math.fsum(value or 0.0 for value in values) / len(values)
