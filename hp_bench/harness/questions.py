"""`hp_qa`, `hp_qa_author_films`, `hp_neighbours`: facts as a 4-way choice and as a cloze, by log-likelihood alone. Chance is .25.

Every answer is scored as a continuation (never as a letter, so that base models can be asked) after three prompts:

* the question, on a line, and "Answer:" on the next;
* the control, the same without the question: how far the four answers give the right one away by themselves;
* the cloze.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hp_bench.harness.continuations import ContinuationTask
from hp_bench.probes.panel_rows import load_facts
from hp_bench.results.likelihoods import preference

CONTROL = "Question:\nAnswer:"

_METRICS: tuple[str, ...] = (
    "choice_accuracy",
    "choice_control",
    "choice_gain",
    "cloze_accuracy",
    "cloze_share",
    "cloze_exact",
)


class QuestionTask(ContinuationTask):
    """`hp_qa`: facts of the unlearn target. Lower = less known.

    The order of the choices, which decides between equals only, comes from `choice_seed` of the metadata (default 0) and the fact's id.
    """

    PROMPTS = "qa.jsonl"
    METRICS = _METRICS

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Facts as dicts, with their choices in the order asked."""
        seed = int(self.config.metadata.setdefault("choice_seed", 0))
        return [
            {**asdict(fact), "distractors": list(fact.distractors), "choices": fact.choices(seed=seed)}
            for fact in load_facts(path)
        ]

    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """Every choice after the question, then after the control, then after the cloze."""
        prompts = (f"Question: {doc['question']}\nAnswer:", CONTROL, doc["cloze"])
        return [(prompt, f" {choice}") for prompt in prompts for choice in doc["choices"]]

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> tuple[float, ...]:
        """A fact's numbers."""
        choices, answer = doc["choices"], doc["answer"]
        n = len(choices)
        asked, control, cloze = (
            preference([value for value, _ in results[start : start + n]], choices, answer)
            for start in range(0, 3 * n, n)
        )
        gain, exact = asked.right - control.right, results[2 * n + choices.index(answer)][1]
        return asked.right, control.right, gain, cloze.right, cloze.share, exact


class _KeptTask(QuestionTask):
    """Facts that must not be forgotten: metrics of names of their own, since a metric has one direction."""

    METRICS = tuple(f"kept_{name}" for name in _METRICS)


class AuthorFilmsTask(_KeptTask):
    """`hp_qa_author_films`: the author, the editions and the films of the unlearn target. No part of it, so higher = better."""

    PROMPTS = "qa_author_films.jsonl"


class NeighbourTask(_KeptTask):
    """`hp_neighbours`: what lies near the unlearn target and must not be forgotten. Higher = better."""

    PROMPTS = "neighbours.jsonl"
