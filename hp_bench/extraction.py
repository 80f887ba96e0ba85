"""How much of a text a model must be given before it says the rest by itself: pure functions over its most probable words.

All of them lie between 0 and 1, lower = less known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Extraction:
    """What a model knows of one answer.

    Attributes:
        strength: extraction strength, 1 - k/T: T words, of which the last T - k are all the model's most probable ones, and k is the
            smallest such number. 1: the prompt alone brings the whole answer; 0: not even its last word comes by itself.
        memorisation: exact memorisation, the share of the words that are the most probable ones, given all before them.
        probability: of the whole answer.
    """

    strength: float
    memorisation: float
    probability: float


def extraction(words: Sequence[tuple[float, bool]]) -> Extraction:
    """What is known of an answer, from its words.

    Args:
        words: of each word, given the prompt and the words before it: log-likelihood in nats, and whether all its tokens are the most
            probable ones; not empty.

    Raises:
        ValueError: a log-likelihood is NaN or above 0.
    """
    likelihoods = [log_likelihood for log_likelihood, _ in words]
    require_sound(likelihoods)
    right = [bool(greedy) for _, greedy in words]
    wrong = [place for place, one in enumerate(right) if not one]
    return Extraction(
        strength=1 - (wrong[-1] + 1) / len(right) if wrong else 1.0,
        memorisation=sum(right) / len(right),
        probability=math.exp(min(0.0, math.fsum(likelihoods))),
    )


def suffix_strength(given: Sequence[int], right: Sequence[bool], total: int) -> float:
    """Extraction strength where only some prefixes were tried: never above the true one, and less than one step of `given` below it.

    Args:
        given: how many words the model was given, rising.
        right: for each, whether all words that follow are the most probable ones.
        total: words in all.
    """
    return max((1 - k / total for k, one in zip(given, right, strict=True) if one), default=0.0)


def require_sound(log_likelihoods: Sequence[float]) -> None:
    """Raises ValueError if a log-likelihood is NaN or above 0; minus infinity is a probability of 0."""
    if any(math.isnan(value) or value > 1e-6 for value in log_likelihoods):
        raise ValueError(f"log-likelihoods must be numbers of at most 0, not {list(log_likelihoods)}")
