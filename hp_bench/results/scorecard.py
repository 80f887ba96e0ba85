"""What is known of one model after scoring: measurements with intervals, the values behind them, and how they came about."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hp_bench.results.metrics import METRICS
from hp_bench.results.statistics import Interval, average_interval, difference_interval
from unlearn.files import write_json

FORMAT = 1

#: The task of completions that no task of ours asked for. Its items are called by their prompts, so that what two files share is paired.
ELSEWHERE = "completions"

#: A larger share of unscored prompts fails a run.
UNSCORED_LIMIT = 0.01


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        task: lm-eval task or group.
        metric: a key of `hp_bench.results.metrics.METRICS`.
        value: mean over the scored prompts; None if none was.
        low, high: the ends of the 95 % interval.
        n: scored prompts.
        unscored: prompts that could not be scored; they are not in `value`.
        degenerate: scored prompts whose completion is broken; None where there is no completion.
    """

    task: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int = 0
    degenerate: int | None = None

    @property
    def too_many_unscored(self) -> bool:
        """Whether more than 1 % of the prompts are unscored: then the run failed."""
        return self.unscored > UNSCORED_LIMIT * (self.n + self.unscored)

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        if self.low is None or self.high is None:
            raise ValueError(f"{self.task} {self.metric}: nothing was scored")
        return Interval(self.low, self.high)


@dataclass(frozen=True)
class TaskManifest:
    """How a task's numbers came about. Scorecards that differ in any of these are not comparable.

    Attributes:
        version: the task's version; rises whenever a number could change.
        n: prompts asked for.
        prompts_sha256: digest of the prompt file; "" where lm-eval's own data set is used.
        judge: name of the judge; "" where there is none.
        decoding: generation settings.
        chat_template: digest of the template applied; "" for raw text.
        num_fewshot: examples in the prompt.
        prompts_changed: what had to be changed in the user's prompt file; that the score is a quick one, of some of its prompts.
        tokens_sha256: digest of what was asked in the model's own tokens.
    """

    version: str
    n: int
    prompts_sha256: str = ""
    judge: str = ""
    decoding: str = ""
    chat_template: str = ""
    num_fewshot: int = 0
    prompts_changed: str = ""
    tokens_sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """Where a scorecard comes from.

    Attributes:
        model: folder or hub id.
        revision: of a hub id.
        fingerprint: short digest of the weight files; "" where there are none to read.
        engine: hf, vllm or endpoint.
        dtype: of the weights.
        device: the accelerator's name, or "cpu" and the number of threads, which moves completions in bfloat16; "" of a served model.
        tasks: one manifest a task.
        versions: of the libraries that can move a number.
        findings: what a reader of the numbers should know of how they came about, in sentences.
    """

    model: str
    engine: str
    dtype: str
    tasks: Mapping[str, TaskManifest]
    revision: str = ""
    fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[str] = field(default_factory=list)
    device: str = ""


@dataclass(frozen=True)
class Scorecard:
    """A model's measurements.

    Attributes:
        name: of the model, for tables: baseline, checkpoint-20, twin-1, ...
        step: optimiser steps since the baseline, if it is a checkpoint.
        measurements: in the order of tasks and metrics.
        items: task -> prompt ids.
        values: task -> metric -> one value a prompt (None: unscored), in the order of `items`: what paired tests need.
        manifest: provenance.
        failures: task -> why it has no measurements.
    """

    name: str
    measurements: tuple[Measurement, ...]
    items: Mapping[str, Sequence[str]]
    values: Mapping[str, Mapping[str, Sequence[float | None]]]
    manifest: Manifest
    step: int | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    def get(self, task: str, metric: str) -> Measurement:
        """A measurement. Raises KeyError: the scorecard has none of that name; the message lists what it has."""
        if measurement := self.find(task, metric):
            return measurement
        have = ", ".join(f"{m.task} {m.metric}" for m in self.measurements) or "nothing"
        raise KeyError(f"scorecard {self.name!r} has no {metric!r} of {task!r}; it has {have}")

    def find(self, task: str, metric: str) -> Measurement | None:
        """A measurement; None if the scorecard has none of that name."""
        return next((m for m in self.measurements if (m.task, m.metric) == (task, metric)), None)

    def only(self, tasks: Sequence[str]) -> "Scorecard":
        """The scorecard without its other tasks; groups stay."""
        return replace(
            self,
            measurements=tuple(m for m in self.measurements if m.task in tasks or m.task not in self.manifest.tasks),
            items={task: self.items[task] for task in tasks},
            values={task: self.values[task] for task in tasks},
            manifest=replace(self.manifest, tasks={task: self.manifest.tasks[task] for task in tasks}),
            failures={task: reason for task, reason in self.failures.items() if task in tasks},
        )

    @property
    def scored(self) -> bool:
        """Whether any prompt was."""
        return any(m.n for m in self.measurements)

    @property
    def failed(self) -> bool:
        """Whether the run failed: a task broke off, or more than 1 % of a task's prompts are unscored."""
        return bool(self.failures) or any(m.too_many_unscored for m in self.measurements)

    def save(self, path: Path | str) -> Path:
        """Writes JSON, under a temporary name first: a file that exists is whole."""
        write_json(path, {"format": FORMAT, **asdict(self)})
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> "Scorecard":
        """Reads what `save` wrote. Raises ValueError: the file is not a scorecard of this format."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise ValueError(f"another format than {FORMAT}")
            manifest = content.pop("manifest")
            tasks = {name: TaskManifest(**task) for name, task in manifest.pop("tasks").items()}
            measurements = tuple(Measurement(**m) for m in content.pop("measurements"))
            return cls(measurements=measurements, manifest=Manifest(tasks=tasks, **manifest), **content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{str(path)!r} is not a scorecard: {error}") from None


def measure(task: str, metric: str, values: Sequence[float | None], *, degenerate: int | None = None) -> Measurement:
    """A measurement from per-prompt values, None meaning unscored, or not asked where the number is of some prompts alone."""
    scored = [value for value in values if value is not None]
    unscored = len(values) - len(scored)
    if METRICS[metric].of_some:
        unscored, degenerate = (0 if scored else unscored), None
    if not scored:
        return Measurement(task, metric, None, None, None, 0, unscored, degenerate)
    mean, interval = math.fsum(scored) / len(scored), METRICS[metric].interval(scored)
    return Measurement(task, metric, mean, interval.low, interval.high, len(scored), unscored, degenerate)


def merged(cards: Sequence[Scorecard]) -> Scorecard:
    """One scorecard of several tasks of the same run."""
    first = cards[0]
    return replace(
        first,
        measurements=tuple(m for card in cards for m in card.measurements),
        items={task: ids for card in cards for task, ids in card.items.items()},
        values={task: values for card in cards for task, values in card.values.items()},
        manifest=replace(first.manifest, tasks={t: m for card in cards for t, m in card.manifest.tasks.items()}),
    )


def measure_group(group: str, metric: str, members: Sequence[Measurement]) -> Measurement:
    """The unweighted mean of a group's tasks."""
    n, unscored = sum(m.n for m in members), sum(m.unscored for m in members)
    scored = [(m.value, m.interval) for m in members if m.value is not None]
    if len(scored) < len(members):
        return Measurement(group, metric, None, None, None, n, unscored)
    values = [value for value, _ in scored]
    mean, interval = math.fsum(values) / len(values), average_interval(values, [i for _, i in scored])
    return Measurement(group, metric, mean, interval.low, interval.high, n, unscored)


@dataclass(frozen=True)
class Difference:
    """A paired comparison, `a` minus `b`, over the prompts that both models have scored.

    Attributes:
        task, metric: as in `Measurement`.
        value: mean of a - b.
        low, high: the ends of its 95 % interval.
        p: p-value that the two are equal (exact McNemar for rates, sign-flip permutation otherwise).
        n: pairs.
        unpaired: prompts left out because either model has no score there.
    """

    task: str
    metric: str
    value: float
    low: float
    high: float
    p: float
    n: int
    unpaired: int


def difference(a: Scorecard, b: Scorecard, task: str, metric: str) -> Difference:
    """Paired difference of two scorecards in one metric.

    Raises ValueError: they were not asked the same prompts (completions made elsewhere may have been), or no prompt is scored in both.
    """
    if task != ELSEWHERE and list(a.items[task]) != list(b.items[task]):
        raise ValueError(f"{a.name} and {b.name} were asked different prompts in {task}")
    pairs = scored_pairs(a, b, task, metric)
    if not pairs:
        raise ValueError(f"{a.name} and {b.name} have no prompt of {task} that both scored")
    ours, theirs = [x for x, _ in pairs], [y for _, y in pairs]
    how, n = METRICS[metric], len(pairs)
    interval = difference_interval(ours, theirs, how.interval(ours), how.interval(theirs), largest=how.high - how.low)
    value = math.fsum(ours) / n - math.fsum(theirs) / n
    p = how.test(ours, theirs)
    return Difference(
        task, metric, value, interval.low, interval.high, p, n, len({*_prompts(a, task), *_prompts(b, task)}) - n
    )


def scored_pairs(a: Scorecard, b: Scorecard, task: str, metric: str) -> list[tuple[float, float]]:
    """The values of the prompts that both have scored, in the order of `a`; none where either has no such number."""
    ours, theirs = (
        dict(zip(_prompts(card, task), card.values.get(task, {}).get(metric, ()), strict=False)) for card in (a, b)
    )
    both = ((value, theirs.get(prompt)) for prompt, value in ours.items())
    return [(x, y) for x, y in both if x is not None and y is not None]


def _prompts(card: Scorecard, task: str) -> Sequence[str | int]:
    """What tells a task's prompts apart: their places, as a task has them in one order; of completions made elsewhere their ids."""
    items = card.items.get(task, ())
    return items if task == ELSEWHERE else range(len(items))


def plain(value: float | None) -> float | None:
    """A float for JSON: NaN and None become None."""
    return None if value is None or math.isnan(value) else float(value)


def to_json(*cards: Scorecard) -> list[dict[str, Any]]:
    """What `--json` prints: measurements and manifest, without the per-prompt values."""
    return [{k: v for k, v in asdict(card).items() if k not in ("items", "values")} for card in cards]


def failures(cards: Sequence[Scorecard]) -> list[str]:
    """A sentence for every model that could not be loaded, every task that broke off, and every one with more than 1 % unscored."""
    said = []
    for card in cards:
        reasons = set(card.failures.values())
        if len(reasons) == 1 and set(card.failures) == set(card.manifest.tasks):
            said.append(f"{card.name}: {next(iter(reasons))}")
        else:
            said += [f"{card.name}, {task}: {reason}" for task, reason in card.failures.items()]
    for card in cards:
        few = dict.fromkeys(m.task for m in card.measurements if m.too_many_unscored)
        for task in few:
            if task in card.manifest.tasks and task not in card.failures:
                m = next(m for m in card.measurements if m.task == task)
                said.append(f"{card.name}, {task}: {m.unscored} of {m.n + m.unscored} prompts could not be scored")
    return said
