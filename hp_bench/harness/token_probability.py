"""`hp_token_probability`: probability of the next words that only a familiar model would say. Lower = less familiar.

P(word) is the probability that the continuation begins with the word, under the tokenizer's canonical encoding of prompt and word
together, the white space between them included; for a word of several tokens it is their product.

Source: arXiv:2310.02238, probability-based evaluation.
"""

from pathlib import Path
from typing import Any

from hp_bench.harness.packaged import LikelihoodTask
from hp_bench.probes.rows import load_token_probes
from hp_bench.results.likelihoods import probability_mass


class TokenProbabilityTask(LikelihoodTask):
    """The probability-based familiarity test as an lm-eval task: every word is a choice, scored by log-likelihood."""

    PROMPTS = "token_probability.jsonl"

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Token probes as dicts; `choices` holds the specific words, then the generic ones."""
        return [
            {"id": p.id, "prompt": p.prompt, "choices": [*p.specific, *p.generic], "specific": len(p.specific)}
            for p in load_token_probes(path)
        ]

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> tuple[float, float]:
        """A prompt's probability mass and share."""
        return probability_mass([log_likelihood for log_likelihood, _ in results], doc["specific"])
