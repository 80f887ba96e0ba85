"""What is left: the panel's numbers of baseline, unlearned models and twins, side by side, and what they come to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hp_bench.report.story import Story
from hp_bench.results.compare import broken, incomparable
from hp_bench.results.likelihoods import CHANCE
from hp_bench.results.metrics import METRICS, NAMES_ALONE, known
from hp_bench.results.scorecard import Difference, Measurement, Scorecard, difference
from hp_bench.results.statistics import holm
from hp_bench.scoring.score import describe
from hp_bench.stress.recovery import is_knowledge

#: Numbers of the paper's own tests, which are no part of the panel.
_PAPERS = (
    "familiarity", "explicit", "thematic", "degenerate", "token_probability", "token_probability_share", "acc", "rest_loss",
)  # fmt: skip

#: Numbers that the figure shows; of a task that gives none of them, its first.
_LEAD = (
    "extraction_strength", "choice_accuracy", "cloze_accuracy", "cloze_exact", "leak", "reference_hit", "explicit", "verbatim_probability",
    "kept_choice_accuracy", "kept_cloze_accuracy",
)  # fmt: skip

#: What guessing scores.
_GUESSED = {
    f"{prefix}{name}": CHANCE
    for prefix in ("", "kept_")
    for name in ("choice_accuracy", "choice_control", "cloze_accuracy")
}

_LEVEL = 0.05


def panel_part(card: Scorecard) -> Scorecard | None:
    """A scorecard's tasks that belong to the panel; None if it has none."""
    tasks = [
        task
        for task, metrics in card.values.items()
        if "languages" in task or any(metric not in _PAPERS for metric in metrics)
    ]
    if not tasks:
        return None
    return replace(
        card,
        measurements=tuple(m for m in card.measurements if m.task in tasks),
        items={task: card.items[task] for task in tasks},
        values={task: card.values[task] for task in tasks},
        manifest=replace(card.manifest, tasks={task: card.manifest.tasks[task] for task in tasks}),
        failures={task: reason for task, reason in card.failures.items() if task in tasks},
    )


@dataclass(frozen=True)
class Column:
    """A model of the panel.

    Attributes:
        label: for the table's head and the figure's legend.
        card: its scorecard.
    """

    label: str
    card: Scorecard


@dataclass(frozen=True)
class LeftRow:
    """One number.

    Attributes:
        task: lm-eval task.
        metric: a key of METRICS.
        baseline: of the model before; None where it was not measured.
        models: of the unlearned models, in the order of the columns.
        twins: of the twins, in the order of the columns.
        left: of each unlearned model, whether it knows more than every twin: p < .05 after Holm over this model's numbers.
        tells: whether the baseline knows more than every twin, p < .05; where it does not, the number says nothing here. None without both.
    """

    task: str
    metric: str
    baseline: Measurement | None
    models: tuple[Measurement | None, ...]
    twins: tuple[Measurement | None, ...]
    left: tuple[bool, ...]
    tells: bool | None

    @property
    def label(self) -> str:
        """In words."""
        return METRICS[self.metric].label

    @property
    def better(self) -> str:
        """Direction."""
        return "higher" if METRICS[self.metric].higher_is_better else "lower"

    @property
    def guessed(self) -> float | None:
        """What guessing scores; None where nothing can be guessed, or it is not known."""
        return _GUESSED.get(self.metric)

    @property
    def knowledge(self) -> bool:
        """Whether it rises with what is known of the unlearn target."""
        return is_knowledge(self.metric)

    @property
    def names(self) -> bool:
        """Whether it also rises with the target's names alone."""
        return self.metric in NAMES_ALONE

    @property
    def cells(self) -> list[str]:
        """The unlearned models' numbers as text."""
        return ["" if m is None else describe(m) for m in self.models]


@dataclass(frozen=True)
class Left:
    """The section. Empty rows: there is no panel.

    Attributes:
        baseline: None where it was not measured.
        models: the unlearned ones.
        twins: models that never read the target.
        rows: in the order of tasks.
        sentences: what it comes to, in words; one paragraph a model.
    """

    baseline: Column | None
    models: tuple[Column, ...]
    twins: tuple[Column, ...]
    rows: tuple[LeftRow, ...]
    sentences: tuple[str, ...]

    @property
    def drawn(self) -> list[LeftRow]:
        """The rows of the figure."""
        tasks = dict.fromkeys(row.task for row in self.rows)
        found: list[LeftRow] = []
        for task in tasks:
            rows = [row for row in self.rows if row.task == task]
            found += [row for row in rows if row.metric in _LEAD] or rows[:1]
        return found


def whats_left(story: Story) -> Left:
    """The panel of a run: its baseline, the last checkpoint of each method, models on no curve, and twins."""
    cards = {card.name: card for card in story.panel}
    start = story.methods[0].curve.points[0] if story.methods else story.baseline
    baseline = Column("baseline", cards[start.name]) if start is not None and start.name in cards else None
    ends = [(f"{m.curve.name}, step {m.curve.points[-1].step}", m.curve.points[-1].name) for m in story.methods]
    ends += [(card.name, card.name) for card in story.models]
    models = tuple(Column(label, cards[name]) for label, name in ends if name in cards)
    twins = tuple(Column(card.name, cards[card.name]) for card in story.twins if card.name in cards)
    keys = dict.fromkeys(
        (task, metric)
        for one in (*([baseline] if baseline else []), *models, *twins)
        for task, metrics in one.card.values.items()
        for metric in known(metrics)
    )
    if not models and baseline is None:
        return Left(None, (), (), (), ())
    left = [_left(column.card, twins, list(keys)) for column in models]
    rows = tuple(
        LeftRow(
            task=task,
            metric=metric,
            baseline=_find(baseline, task, metric),
            models=tuple(_find(model, task, metric) for model in models),
            twins=tuple(_find(twin, task, metric) for twin in twins),
            left=tuple((task, metric) in found for found in left),
            tells=_tells(baseline, twins, task, metric),
        )
        for task, metric in keys
    )
    return Left(baseline, models, twins, rows, tuple(_sentences(baseline, models, twins, rows)))


def _find(column: Column | None, task: str, metric: str) -> Measurement | None:
    found = column.card.measurements if column is not None else ()
    return next((m for m in found if (m.task, m.metric) == (task, metric)), None)


def _against(card: Scorecard, twin: Scorecard, task: str, metric: str) -> Difference | None:
    """Card minus twin; None where they do not compare, or share no prompt that both scored."""
    if metric not in card.values.get(task, {}) or metric not in twin.values.get(task, {}):
        return None
    if any(reason.startswith(f"{task}: ") for reason in incomparable(card, twin)):
        return None
    try:
        return difference(card, twin, task, metric)
    except ValueError:
        return None


def _more_than_all(card: Scorecard, twins: Sequence[Column], task: str, metric: str) -> float | None:
    """p-value that a model is above every twin: the largest of the pairs'; 1 where an interval holds 0; None where nothing compares."""
    found = [d for twin in twins if (d := _against(card, twin.card, task, metric)) is not None]
    if not found:
        return None
    return max(d.p if d.low > 0 else 1.0 for d in found)


def _left(card: Scorecard, twins: Sequence[Column], keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    tested = [
        ((task, metric), p)
        for task, metric in keys
        if is_knowledge(metric) and (p := _more_than_all(card, twins, task, metric)) is not None
    ]
    adjusted = holm([p for _, p in tested])
    return {key for (key, _), p in zip(tested, adjusted, strict=True) if p < _LEVEL}


def _tells(baseline: Column | None, twins: Sequence[Column], task: str, metric: str) -> bool | None:
    p = _more_than_all(baseline.card, twins, task, metric) if baseline and is_knowledge(metric) else None
    return None if p is None else p < _LEVEL


def _sentences(
    baseline: Column | None, models: Sequence[Column], twins: Sequence[Column], rows: Sequence[LeftRow]
) -> Iterator[str]:
    asked = next((row for row in rows if row.metric == "choice_accuracy"), None)
    kept = next((row for row in rows if row.metric == "kept_choice_accuracy"), None)
    for place, model in enumerate(models):
        said = []
        reason = broken(model.card, baseline.card if baseline else None)
        if reason:
            said.append(f"{reason}.")
        if asked is not None and asked.models[place] is not None:
            said.append(f"{model.label} still answers {_counts(asked, place)}.")
        said.append(_verdict(model.label, place, twins, rows))
        if kept is not None and kept.models[place] is not None:
            said.append(f"Of what should be kept, it answers {_counts(kept, place)}.")
        yield " ".join(said)


def _counts(row: LeftRow, place: int) -> str:
    """`41 of 200 facts; the twin 48, the baseline 163 (by chance: 50)`."""
    own = row.models[place]
    assert own is not None
    twins = [_count(twin) for twin in row.twins if twin is not None]
    others = [f"the {'twin' if len(twins) == 1 else 'twins'} {', '.join(twins)}"] if twins else []
    if row.baseline is not None:
        others.append(f"the baseline {_count(row.baseline)}")
    if row.guessed is not None:
        others.append(f"by chance {row.guessed * own.n:.0f}")
    return f"{_count(own)} of {own.n} facts ({'; '.join(others)})"


def _count(m: Measurement) -> str:
    return "failed" if m.value is None else f"{m.value * m.n:.0f}"


def _verdict(label: str, place: int, twins: Sequence[Column], rows: Sequence[LeftRow]) -> str:
    if not twins:
        return f"Without a twin nothing tells what is left in {label} from what any model would guess."
    asked = [row for row in rows if row.knowledge and row.models[place] is not None]
    dumb = [row for row in asked if row.tells is False]
    told = [row for row in asked if row.tells is not False]
    left = [row for row in told if row.left[place]]
    every = "the twin" if len(twins) == 1 else "every twin"
    if left:
        names = ", ".join(f"{row.label} ({row.task}{_at_chance(row, place)})" for row in left[:4])
        more = f", and {len(left) - 4} more" if len(left) > 4 else ""
        said = f"In {len(left)} of {len(told)} numbers {label} is above {every}: {names}{more}.{_only_names(left)}"
    else:
        said = f"None of {len(told)} numbers shows {label} above {every}; that is no proof that nothing is left."
    if not dumb:
        return said
    return f"{said} {_numbers(len(dumb))} cannot tell the baseline from {every}, and say{'s' * (len(dumb) == 1)} nothing here."


def _only_names(left: Sequence[LeftRow]) -> str:
    """What the numbers found above the twins prove."""
    weak = sum(row.names for row in left)
    if not weak:
        return ""
    if weak < len(left):
        return f" {weak} of these also rise{'s' * (weak == 1)} with the names alone."
    return (
        " All of these also rise in a model that has read the names and no fact: they do not show that a fact is left."
    )


def _at_chance(row: LeftRow, place: int) -> str:
    """Above a twin, which may prefer the names that it knows, and yet no better than guessing."""
    own = row.models[place]
    return ", not above chance" if own is not None and own.low is not None and own.low <= (row.guessed or -1.0) else ""


def _numbers(count: int) -> str:
    return "1 number" if count == 1 else f"{count} numbers"
