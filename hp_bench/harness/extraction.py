"""`hp_extraction`: does the model end a statement with the answer, and how much of it must it be given? Lower = less known.

Measured in words, so that no tokenizer is needed and models with different ones compare: a word is right if all its tokens are the most
probable ones. For an answer whose words are one token each, that is the measure in tokens.

Source: extraction strength: Carlini et al. (2021), as used by OpenUnlearning; exact memorisation: Tirumala et al. (2022).
"""

from typing import Any

from hp_bench.harness.packaged import ContinuationTask
from hp_bench.probes.panel_rows import load_clozes
from hp_bench.results.likelihoods import extraction


class ExtractionTask(ContinuationTask):
    """Every word of the answer is a request: its log-likelihood, and whether it is the most probable, given all words before it."""

    PROMPTS = "qa.jsonl"

    READ = staticmethod(load_clozes)

    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """Each word of the answer after the prompt and the words before it."""
        words = doc["answer"].split()
        return [(" ".join([doc["prompt"], *words[:place]]), f" {word}") for place, word in enumerate(words)]

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> tuple[float, ...]:
        """An answer's extraction strength, exact memorisation and probability."""
        return extraction(results)
