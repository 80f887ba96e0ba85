"""What is left: the panel's numbers of baseline, unlearned models and twins, side by side, and what they come to."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from hp_bench.report.story import Story
from hp_bench.results.compare import broken, incomparable
from hp_bench.results.metrics import METRICS, Metric, known
from hp_bench.results.scorecard import Measurement, Scorecard, difference
from hp_bench.results.statistics import holm

_LEVEL = 0.05


def panel_part(card: Scorecard) -> Scorecard | None:
    """A scorecard's tasks that belong to the panel; None if it has none."""
    by_task = card.values.items()
    tasks = [
        task for task, metrics in by_task if "languages" in task or any(METRICS[one].panel for one in known(metrics))
    ]
    return card.only(tasks) if tasks else None


class Column(NamedTuple):
    """A model of the panel; the label is for the table's head and the figure's legend."""

    label: str
    card: Scorecard


@dataclass(frozen=True)
class PanelRow:
    """One number.

    Attributes:
        task: lm-eval task.
        metric: a key of METRICS.
        baseline: of the model before; None where it was not measured.
        models: of the unlearned models, in the order of the columns.
        twins: of the twins, in the order of the columns.
        above: of each unlearned model, whether it knows more than every twin: p < .05 after Holm over this model's numbers.
        informative: whether the baseline knows more than every twin, p < .05; where it does not, the number says nothing here. None
            without both.
    """

    task: str
    metric: str
    baseline: Measurement | None
    models: tuple[Measurement | None, ...]
    twins: tuple[Measurement | None, ...]
    above: tuple[bool, ...]
    informative: bool | None

    @property
    def how(self) -> Metric:
        """How it is to be read."""
        return METRICS[self.metric]


@dataclass(frozen=True)
class PanelSection:
    """The section "What is left": baseline (None where it was not measured), unlearned models, twins (models that never read the target),
    and rows in the order of tasks (none: there is no panel).
    """

    baseline: Column | None = None
    models: tuple[Column, ...] = ()
    twins: tuple[Column, ...] = ()
    rows: tuple[PanelRow, ...] = ()

    @property
    def named(self) -> list[Column]:
        """Every model's label and scorecard, the baseline first."""
        return [*([self.baseline] if self.baseline else []), *self.models, *self.twins]

    @property
    def sentences(self) -> list[str]:
        """What it comes to, a paragraph a model."""
        return [_paragraph(self, number) for number in range(len(self.models))]

    @property
    def leading_rows(self) -> list[PanelRow]:
        """The rows of the figure."""
        by_task: dict[str, list[PanelRow]] = {}
        for row in self.rows:
            by_task.setdefault(row.task, []).append(row)
        return [r for rows in by_task.values() for r in [row for row in rows if row.how.lead] or rows[:1]]


def panel_section(story: Story) -> PanelSection:
    """The panel of a run: its baseline, the last checkpoint of each method, models on no curve, and twins."""
    cards = {card.name: card for card in story.panel}
    baseline = Column("baseline", cards[story.start.name]) if story.start and story.start.name in cards else None
    ends = [(f"{method.name}, step {method.points[-1].step}", method.points[-1].name) for method in story.methods]
    ends += [(card.name, card.name) for card in story.models]
    models = tuple(Column(label, cards[name]) for label, name in ends if name in cards)
    twins = tuple(Column(card.name, cards[card.name]) for card in story.twins if card.name in cards)
    if not models and baseline is None:
        return PanelSection()
    section = PanelSection(baseline, models, twins)
    keys = dict.fromkeys(
        (task, metric)
        for _, card in section.named
        for task, metrics in card.values.items()
        for metric in known(metrics)
        if not METRICS[metric].detail
    )
    above = [_above(column.card, twins, list(keys)) for column in models]
    rows = []
    for key in keys:
        p = _p_above(baseline.card, twins, *key) if baseline else None
        informative = None if p is None else p < _LEVEL
        own, others = (tuple(column.card.find(*key) for column in columns) for columns in (models, twins))
        before = baseline.card.find(*key) if baseline else None
        rows.append(PanelRow(*key, before, own, others, tuple(key in keys for keys in above), informative))
    return replace(section, rows=tuple(rows))


def _p_above(card: Scorecard, twins: Sequence[Column], task: str, metric: str) -> float | None:
    """p-value that a model knows more than every twin: the largest of the pairs'; 1 where an interval holds 0. None where nothing
    compares: a number that is none of knowledge, other prompts, or no prompt that both scored.
    """
    p_values = []
    for twin in twins if METRICS[metric].knowledge else ():
        shared = all(metric in one.values.get(task, {}) for one in (card, twin.card))
        if shared and not any(reason.startswith(f"{task}: ") for reason in incomparable(card, twin.card)):
            with suppress(ValueError):
                d = difference(card, twin.card, task, metric)
                p_values.append(d.p if d.low > 0 else 1.0)
    return max(p_values, default=None)


def _above(card: Scorecard, twins: Sequence[Column], keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    tested = {key: p for key in keys if (p := _p_above(card, twins, *key)) is not None}
    return {key for key, p in zip(tested, holm(list(tested.values())), strict=True) if p < _LEVEL}


def _paragraph(section: PanelSection, number: int) -> str:
    """What the panel says of the model of that number."""
    label, card = section.models[number]
    counts = {row.metric: _counts(row, number) for row in reversed(section.rows) if row.models[number] is not None}
    reason = broken(card, section.baseline.card if section.baseline else None)
    said = [f"{reason}." * bool(reason)]
    if "choice_accuracy" in counts:
        said.append(f"{label} still answers {counts['choice_accuracy']}.")
    said.append(_verdict(label, number, section))
    if "kept_choice_accuracy" in counts:
        said.append(f"Of what should be kept, it answers {counts['kept_choice_accuracy']}.")
    return " ".join(filter(None, said))


def _counts(row: PanelRow, number: int) -> str:
    """`41 of 200 facts (the twin 48; the baseline 163; by chance 50)`, of the model of that number."""
    own = row.models[number]
    assert own is not None
    twins = [_count(twin) for twin in row.twins if twin is not None]
    others = [f"the {'twin' if len(twins) == 1 else 'twins'} {', '.join(twins)}"] if twins else []
    if row.baseline is not None:
        others.append(f"the baseline {_count(row.baseline)}")
    if row.how.chance is not None:
        others.append(f"by chance {row.how.chance * own.n:.0f}")
    return f"{_count(own)} of {own.n} facts ({'; '.join(others)})"


def _count(m: Measurement) -> str:
    return "failed" if m.value is None else f"{m.value * m.n:.0f}"


def _verdict(label: str, number: int, section: PanelSection) -> str:
    if not section.twins:
        return f"Without a twin nothing tells what is left in {label} from what any model would guess."
    asked = [row for row in section.rows if row.how.knowledge and row.models[number] is not None]
    told = [row for row in asked if row.informative is not False]
    above = [row for row in told if row.above[number]]
    every, silent = "the twin" if len(section.twins) == 1 else "every twin", len(asked) - len(told)
    if above:
        names = ", ".join(f"{row.how.label} ({row.task}{_at_chance(row, number)})" for row in above[:4])
        more = f", and {len(above) - 4} more" if len(above) > 4 else ""
        said = f"In {len(above)} of {len(told)} numbers {label} is above {every}: {names}{more}.{names_alone(above)}"
    else:
        said = f"None of {len(told)} numbers shows {label} above {every}; that is no proof that nothing is left."
    if silent:
        numbers, s = ("1 number", "s") if silent == 1 else (f"{silent} numbers", "")
        said += f" {numbers} cannot tell the baseline from {every}, and say{s} nothing here."
    return said


def names_alone(above: Sequence[PanelRow]) -> str:
    """What the numbers found above the twins do not prove, as a sentence; "" if all of them are of facts."""
    weak = sum(row.how.names_alone for row in above)
    if weak and weak == len(above):
        return " All of these also rise in a model that has read the names and no fact: they do not show that a fact is left."
    return f" {weak} of these also rise{'s' * (weak == 1)} with the names alone." if weak else ""


def _at_chance(row: PanelRow, number: int) -> str:
    """Above a twin, which may prefer the names that it knows, and yet no better than guessing."""
    own = row.models[number]
    below = own is not None and own.low is not None and own.low <= (row.how.chance or -1.0)
    return ", not above chance" * below
