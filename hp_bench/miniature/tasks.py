"""lm-eval tasks on a miniature, built in Python from its prompt files; none is found by name, since each belongs to one folder.

* hp_miniature_familiarity, hp_miniature_token_probability: the paper's two tests, in the miniature's language;
* hp_miniature_utility: general ability, accuracy;
* hp_miniature_rest: loss on text of the rest that no model has read.
"""

import math
from collections.abc import Sequence
from typing import Any

from hp_bench.harness.familiarity import FamiliarityTask
from hp_bench.harness.packaged import LikelihoodTask
from hp_bench.harness.token_probability import TokenProbabilityTask
from hp_bench.miniature.train import Miniature

VERSION = 2

_COMPLETION = {
    "output_type": "generate_until", "doc_to_text": "prompt", "doc_to_target": "references",
    "generation_kwargs": {"do_sample": False, "temperature": 0.0, "max_gen_toks": 40, "until": []},
}  # fmt: skip

_CHOICE = {
    "output_type": "multiple_choice", "doc_to_text": "prompt", "doc_to_choice": "choices", "doc_to_target": 0, "target_delimiter": " ",
}  # fmt: skip

_WHOLE_TEXT = {"output_type": "loglikelihood", "doc_to_text": "", "doc_to_target": "text", "target_delimiter": ""}


def miniature_tasks(miniature: Miniature) -> dict[str, Any]:
    """The tasks of a miniature, in the shape that lm-eval's `TaskManager.load` returns and `hp_bench.scoring.score.score_engine` takes."""
    files = {"prompts": str(miniature.prompts)}
    told = files | {"vocabulary": str(miniature.prompts / "vocabulary.txt")}
    revealing = ("familiarity", "explicit", "thematic", "named", "empty", "degenerate", "refused")
    probabilities = ("token_probability", "token_probability_share")
    tasks = {
        name: kind(_config(name, metrics, metadata, settings))
        for name, kind, metrics, metadata, settings in (
            ("hp_miniature_familiarity", FamiliarityTask, revealing, told, _COMPLETION),
            ("hp_miniature_token_probability", TokenProbabilityTask, probabilities, files, _CHOICE),
            ("hp_miniature_utility", UtilityTask, ("acc",), files, _CHOICE),
            ("hp_miniature_rest", RestTask, ("rest_loss",), files, _WHOLE_TEXT),
        )
    }
    return {"tasks": tasks, "groups": {}, "group_map": {}}


class UtilityTask(LikelihoodTask):
    """Multiple choice with one right answer; accuracy 0 to 1, higher = better."""

    PROMPTS = "utility.jsonl"

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> list[float]:
        """1 if the right answer is the likeliest."""
        likelihoods = [log_likelihood for log_likelihood, _ in results]
        return [likelihoods.index(max(likelihoods)) == doc["answer"]]


class RestTask(LikelihoodTask):
    """Mean negative log-likelihood of a text's tokens after BOS, nats per token, lower = better."""

    PROMPTS = "rest.jsonl"

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> list[float]:
        """One text's loss."""
        if not math.isfinite(results[0][0]):
            raise ValueError(f"its log-likelihood is {results[0][0]}")
        return [-results[0][0] / doc["tokens"]]


def _config(name: str, metrics: Sequence[str], metadata: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """What a task file in `tasks/` would hold."""
    return {
        "task": name,
        "test_split": "test",
        "process_results": "custom",  # the class's own; the word keeps lm-eval from looking our metrics up
        "num_fewshot": 0,
        "metrics": metrics,
        "metadata": {"version": VERSION, **metadata},
        **settings,
    }
