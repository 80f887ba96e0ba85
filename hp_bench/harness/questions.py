"""`hp_qa`, `hp_qa_author_films`, `hp_neighbours`: facts as a 4-way choice and as a cloze, by log-likelihood alone. Chance is .25.

Every answer is scored as a continuation (never as a letter, so that base models can be asked) after three prompts:

* the question, on a line, and "Answer:" on the next;
* the control, the same without the question: how far the four answers give the right one away by themselves;
* the cloze.
"""

import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.harness.packaged import PackagedTask
from hp_bench.probes.panel_rows import load_facts
from hp_bench.results.likelihoods import Preference, preference

log = logging.getLogger(__name__)

CONTROL = "Question:\nAnswer:"

Result = tuple[float, bool]


def question_prompt(question: str) -> str:
    """What the model reads before an answer."""
    return f"Question: {question}\nAnswer:"


class QuestionTask(PackagedTask):
    """`hp_qa`: facts of the unlearn target. Lower = less known.

    The order of the choices, which decides between equals only, comes from `choice_seed` of the metadata (default 0) and the fact's id.
    """

    PROMPTS = "qa.jsonl"
    PREFIX = ""  # of the metrics' names: a metric has one direction

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Facts as dicts, with their choices in the order asked."""
        seed = int(self.config.metadata.setdefault("choice_seed", 0))
        return [
            {**asdict(fact), "distractors": list(fact.distractors), "choices": fact.choices(seed=seed)}
            for fact in load_facts(path)
        ]

    def construct_requests(self, doc: dict[str, Any], ctx: str, **options: Any) -> list[Instance]:
        """Every choice after the question, then after the control, then after the cloze; the name is lm-eval's."""
        prompts = (question_prompt(doc["question"]), CONTROL, doc["cloze"])
        arguments = [(prompt, f" {choice}") for prompt in prompts for choice in doc["choices"]]
        return [
            Instance(
                request_type="loglikelihood", doc=doc, arguments=pair, idx=number, metadata=options.get("metadata")
            )
            for number, pair in enumerate(arguments)
        ]

    def process_results(self, doc: dict[str, Any], results: list[Result]) -> dict[str, float]:
        """A fact's metrics; all NaN, and logged, where log-likelihoods make no sense."""
        choices, answer = doc["choices"], doc["answer"]
        n = len(choices)
        try:
            asked, control, cloze = (
                preference([value for value, _ in results[start : start + n]], choices, answer)
                for start in range(0, 3 * n, n)
            )
        except ValueError as error:
            log.error("%s, prompt %s is unscored: %s", self.config.task, doc["id"], error)
            return self._named(dict.fromkeys(_values(*[Preference(False, 0.0)] * 3, exact=False), math.nan), 1.0)
        exact = results[2 * n + choices.index(answer)][1]
        return self._named(_values(asked, control, cloze, exact=exact), 0.0)

    def _named(self, values: dict[str, float], unscored: float) -> dict[str, float]:
        named = {**{f"{self.PREFIX}{name}": value for name, value in values.items()}, "unscored": unscored}
        return {
            key: value for name, value in named.items() for key, value in ((name, value), (f"{name}_stderr", value))
        }


class AuthorFilmsTask(QuestionTask):
    """`hp_qa_author_films`: the author, the editions and the films of the unlearn target. No part of it, so higher = better."""

    PROMPTS = "qa_author_films.jsonl"
    PREFIX = "kept_"


class NeighbourTask(QuestionTask):
    """`hp_neighbours`: what lies near the unlearn target and must not be forgotten. Higher = better."""

    PROMPTS = "neighbours.jsonl"
    PREFIX = "kept_"


def _values(asked: Preference, control: Preference, cloze: Preference, *, exact: bool) -> dict[str, float]:
    return {
        "choice_accuracy": float(asked.right),
        "choice_control": float(control.right),
        "choice_gain": float(asked.right) - float(control.right),
        "cloze_accuracy": float(cloze.right),
        "cloze_share": cloze.share,
        "cloze_exact": float(exact),
    }
