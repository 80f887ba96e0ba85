"""Half of the facts are taught again, the other half is asked: what comes back that nobody told was hidden, not gone.

Source: Deeb and Roger, arXiv:2410.08827.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hp_bench.results.scorecard import Scorecard
from hp_bench.stress.answer_leaks import asks_for_target
from hp_bench.stress.relearning import Relearning


@dataclass(frozen=True)
class FactRelearning(Relearning):
    """How to fine-tune on half of the facts; `part` says which half of which split, "" means all of them together."""

    part: str = ""

    @property
    def name(self) -> str:
        """For tables and file names."""
        return f"facts-{self.steps}{self.part}"


@dataclass(frozen=True)
class Half:
    """One half of the facts, by ids, and what a model of its own reads: every fact as a question with its answer, and as a sentence."""

    how: FactRelearning
    taught: frozenset[str]
    passages: tuple[str, ...]


def fact_tasks(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks that ask for facts of the target, each with one answer, once (`hp_qa`, `hp_extraction`). ValueError: there is none."""
    tasks = {
        name: task
        for name, task in loaded["tasks"].items()
        if asks_for_target(task)
        and task.config.repeats == 1
        and all(isinstance(doc.get("answer"), str) and "bridge" not in doc for doc in task.eval_docs)
    }
    if not tasks:
        raise ValueError(
            f"none of the tasks {', '.join(loaded['tasks'])} asks for facts with one answer each, as hp_qa and hp_extraction do"
        )
    return tasks


def halves(how: FactRelearning, splits: int, tasks: Mapping[str, Any]) -> list[Half]:
    """Both halves of every split, drawn from the seed of `how`: two a split, so that every fact is asked of a model that was not taught it.

    Raises ValueError: there is no split, or fewer than two facts.
    """
    if splits < 1:
        raise ValueError(f"the facts are split once or more, not {splits} times")
    told: dict[str, dict[str, None]] = {}
    for doc in (doc for task in tasks.values() for doc in task.eval_docs):
        told.setdefault(str(doc["id"]), {}).update(dict.fromkeys(_told(doc)))
    if len(told) < 2:
        raise ValueError(f"only two facts or more can be halved (--relearn-facts), not {len(told)}")
    found = []
    for split in range(1, splits + 1):
        ids = random.Random(f"{how.seed}|{split}").sample(sorted(told), len(told))
        for letter, half in (("a", ids[::2]), ("b", ids[1::2])):
            passages = tuple(passage for one in half for passage in told[one])
            found.append(Half(replace(how, part=f"-{split}{letter}"), frozenset(half), passages))
    return found


def _told(doc: Mapping[str, Any]) -> list[str]:
    question = [f"Question: {doc['question']}\nAnswer: {doc['answer']}"] if "question" in doc else []
    return [*question, f"{doc.get('cloze') or doc['prompt']} {doc['answer']}."]


def untaught(name: str, taught: Sequence[tuple[Scorecard, frozenset[str]]]) -> Scorecard:
    """One scorecard from several models': every fact's mean over the models that were not taught it; without measurements.

    `taught`: each model's scorecard, and the ids of what it was taught.
    """

    def mean(task: str, metric: str, place: int, item: str) -> float | None:
        values = [card.values[task][metric][place] for card, ids in taught if item not in ids]
        scored = [value for value in values if value is not None]
        return math.fsum(scored) / len(scored) if scored else None

    first = taught[0][0]
    values = {
        task: {m: [mean(task, m, place, item) for place, item in enumerate(first.items[task])] for m in metrics}
        for task, metrics in first.values.items()
    }
    return replace(first, name=name, measurements=(), values=values, failures={})
