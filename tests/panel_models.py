"""Models made of rules, to lm-eval's interface: what they know is known, so that the panel's numbers can be foretold."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

LogLikelihood = Callable[[str, str], float]


class RuledModel(LM):
    """Answers by rules.

    Args:
        log_likelihood: (context, continuation) -> nats; greedy where it is above -1.
        completion: prompt -> text; None is what a failed engine returns.
    """

    def __init__(
        self, log_likelihood: LogLikelihood | None = None, completion: Callable[[str], str | None] | None = None
    ) -> None:
        super().__init__()
        self._log_likelihood = log_likelihood or (lambda context, continuation: guess(context, continuation))
        self._completion = completion or (lambda prompt: " and so on.")

    def loglikelihood(self, requests: list[Instance], **_: Any) -> list[tuple[float, bool]]:
        values = [self._log_likelihood(*request.args) for request in requests]
        return [(value, value > -1) for value in values]

    def generate_until(self, requests: list[Instance], **_: Any) -> list[Any]:
        return [self._completion(request.args[0]) for request in requests]

    def loglikelihood_rolling(self, requests: list[Instance], **_: Any) -> list[Any]:
        raise AssertionError("no task asks for it")


def guess(context: str, continuation: str) -> float:
    """No knowledge: so many nats a byte, by a digest of both texts."""
    digest = hashlib.sha256(f"{context}|{continuation}".encode()).digest()
    return -(1 + digest[0] / 256) * len(continuation.strip().encode())


def knowing(answers: dict[str, str]) -> LogLikelihood:
    """Knows the right continuation of some contexts, and guesses after all others."""

    def log_likelihood(context: str, continuation: str) -> float:
        return -0.1 if answers.get(context) == continuation.strip() else guess(context, continuation)

    return log_likelihood


def indifferent(context: str, continuation: str) -> float:
    """Every byte is as likely as any other."""
    return -2.0 * len(continuation.strip().encode())


def silent(context: str, continuation: str) -> float:
    """An engine that returns no number."""
    return math.nan
