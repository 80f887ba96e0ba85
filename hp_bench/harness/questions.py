"""`hp_qa`, `hp_qa_author_films`, `hp_neighbours`, `hp_two_hops`: facts as a 4-way choice and a cloze, by log-likelihood. Chance is .25.

In the first three every answer is scored as a continuation (never as a letter, so that base models can be asked) after three prompts:

* the question, on a line, and "Answer:" on the next;
* the control, the same without the question: how far the four answers give the right one away by themselves;
* the cloze.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hp_bench.harness.packaged import ContinuationTask
from hp_bench.probes.panel_rows import load_facts, load_two_hops
from hp_bench.results.likelihoods import preference

CONTROL = "Question:\nAnswer:"


class QuestionTask(ContinuationTask):
    """`hp_qa`: facts of the unlearn target. Lower = less known. `hp_qa_author_films`, `hp_neighbours`: facts near it that must not be
    forgotten. Higher = better; their metrics have names of their own, since a metric has one direction.

    The order of the choices, which decides between equals only, comes from `choice_seed` of the metadata (default 0) and the fact's id.
    """

    PROMPTS = "qa.jsonl"

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
        """A fact's: accuracy of the choice, of its control, and the gain; of the cloze accuracy, share and exactness."""
        choices, answer = doc["choices"], doc["answer"]
        n = len(choices)
        asked, control, cloze = (
            preference([value for value, _ in results[start : start + n]], choices, answer)
            for start in range(0, 3 * n, n)
        )
        gain, exact = asked.right - control.right, results[2 * n + choices.index(answer)][1]
        return asked.right, control.right, gain, cloze.right, cloze.share, exact


class TwoHopsTask(ContinuationTask):
    """`hp_two_hops`: answers that need two facts, and each fact alone as its control, all as clozes. Lower = less known."""

    PROMPTS = "two_hops.jsonl"

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Rows as dicts, with the choices of both facts in the order asked, as in `QuestionTask`."""
        seed = int(self.config.metadata.setdefault("choice_seed", 0))
        rows = [(row, row.choices(seed=seed)) for row in load_two_hops(path)]
        return [{**asdict(row), "bridges": bridges, "choices": choices} for row, (bridges, choices) in rows]

    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """Every answer after the cloze, after the control and after the second fact; every bridge after the first fact."""
        asked = [(prompt, choice) for prompt in (doc["cloze"], CONTROL, doc["second"]) for choice in doc["choices"]]
        return [(prompt, f" {choice}") for prompt, choice in (*asked, *((doc["first"], one) for one in doc["bridges"]))]

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> tuple[float, ...]:
        """A row's: accuracy, its control, each fact alone, both joined (NaN where one of them alone is wrong), and exactness."""
        choices, values = doc["choices"], [value for value, _ in results]
        asked, control, second = (preference(values[i : i + 4], choices, doc["answer"]).right for i in (0, 4, 8))
        first = preference(values[12:], doc["bridges"], doc["bridge"]).right
        joined = asked if first and second else math.nan
        return asked, control, first, second, joined, results[choices.index(doc["answer"])][1]
