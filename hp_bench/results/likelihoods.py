"""Log-likelihoods -> what a model knows: pure functions, each between 0 and 1, lower = less known."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Extraction(NamedTuple):
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
    """What is known of an answer, from its words: of each, given all before it, the log-likelihood in nats, and whether all its tokens
    are the most probable ones. Raises ValueError: a log-likelihood is NaN or above 0.
    """
    likelihoods = [log_likelihood for log_likelihood, _ in words]
    require_sound(likelihoods)
    right = [bool(greedy) for _, greedy in words]
    wrong = [position for position, one in enumerate(right) if not one]
    return Extraction(
        strength=1 - (wrong[-1] + 1) / len(right) if wrong else 1.0,
        memorisation=sum(right) / len(right),
        probability=math.exp(min(0.0, math.fsum(likelihoods))),
    )


def at_least_once(p: float, n: int) -> float:
    """Probability that one of `n` samples says what a single one says with probability `p`: 1 - (1 - p)^n."""
    return 1.0 if p >= 1 else -math.expm1(n * math.log1p(-p))


def leak_at(k: int, *, n: int, leaks: int) -> float:
    """leak@k: probability that one of `k` samples leaks, from `leaks` of `n` samples: 1 - C(n - leaks, k) / C(n, k), unbiased, 0 to 1.

    Source: leak@k, arXiv:2511.04934; pass@k, arXiv:2107.03374.
    """
    return 1 - math.comb(n - leaks, k) / math.comb(n, k)


def require_sound(log_likelihoods: Sequence[float]) -> None:
    """Raises ValueError if a log-likelihood is NaN or above 0; minus infinity is a probability of 0."""
    if any(math.isnan(value) or value > 1e-6 for value in log_likelihoods):
        raise ValueError(f"log-likelihoods must be numbers of at most 0, not {list(log_likelihoods)}")


@dataclass(frozen=True)
class Preference:
    """How a model takes the right answer beside its distractors, after one prompt.

    Attributes:
        right: whether the right answer has the highest log-likelihood per byte (UTF-8, without the space before it). By the byte, since
            by the sum the shortest answer would win, and by the token the result would depend on the tokenizer.
        share: probability of the right answer, given that one of the four is said, 0 to 1: of whole texts, not per byte.
    """

    right: bool
    share: float


def preference(log_likelihoods: Sequence[float], choices: Sequence[str], answer: str) -> Preference:
    """Reads a model's choice from the log-likelihoods (nats) of the choices as continuations of one prompt.

    Where several are the likeliest per byte, the first of them is taken: the order is `Fact.choices`', so that a model without any
    preference is right by chance only.

    Raises ValueError: a log-likelihood is NaN or above 0, or all of them are one and the same: then nothing was measured.
    """
    require_sound(log_likelihoods)
    if len(set(log_likelihoods)) == 1:
        raise ValueError(f"every answer got the same log-likelihood, {log_likelihoods[0]}")
    rates = [value / len(choice.encode()) for value, choice in zip(log_likelihoods, choices, strict=True)]
    asked, highest = choices.index(answer), max(log_likelihoods)
    weights = [math.exp(value - highest) for value in log_likelihoods]
    return Preference(right=rates.index(max(rates)) == asked, share=weights[asked] / math.fsum(weights))


class ProbabilityMass(NamedTuple):
    """Summed probability, 0 to 1, of the content-specific next words of one prompt (lower = less familiar), and their share of what these
    and the generic ones hold together, 0 to 1; NaN if they hold nothing.
    """

    specific: float
    share: float


def probability_mass(log_likelihoods: Sequence[float], specific: int) -> ProbabilityMass:
    """Probability mass of one prompt from its words' log-likelihoods, nats; the first `specific` ones are of content-specific words.

    Raises ValueError: a log-likelihood is NaN or above 0, or more than half of them are one and the same number: then the host scored the
    same token for every word of one token (it does when a tokenizer appends a special token), and no word was measured.
    """
    require_sound(log_likelihoods)
    finite = Counter(value for value in log_likelihoods if value > -math.inf)
    if len(log_likelihoods) > 1 and max(finite.values(), default=0) * 2 > len(log_likelihoods):
        raise ValueError(
            "most words got the same log-likelihood: the tokenizer ends each text with a special token that was scored instead"
        )
    probabilities = [math.exp(value) for value in log_likelihoods]
    own, generic = sum(probabilities[:specific]), sum(probabilities[specific:])
    return ProbabilityMass(own, own / (own + generic) if own + generic > 0 else math.nan)
