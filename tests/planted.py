"""Models whose answers are planted: they say what a rule says, and are asked through lm-eval like any other."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from lm_eval.api.model import LM

#: (context, continuation) -> log-likelihood in nats, and whether every token is the most probable one.
Likelihood = Callable[[str, str], tuple[float, bool]]


class Planted(LM):
    """Log-likelihoods by a rule, completions by another."""

    def __init__(
        self, likelihood: Likelihood | None = None, say: Callable[[str, int], str | None] | None = None
    ) -> None:
        super().__init__()
        self.likelihood, self.say = likelihood, say
        self.tokenizer = None

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        return [self.likelihood(*request.args) for request in requests]

    def generate_until(self, requests: list[Any], **_: Any) -> list[str | None]:
        seen: dict[str, int] = {}
        texts = []
        for request in requests:
            prompt = request.args[0]
            texts.append(self.say(prompt, seen.get(prompt, 0)))
            seen[prompt] = seen.get(prompt, 0) + 1
        return texts

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        raise AssertionError("no task asks for it")


def engine(
    likelihood: Likelihood | None = None, say: Callable[[str, int], str | None] | None = None
) -> SimpleNamespace:
    """What `score_engine` takes."""
    return SimpleNamespace(lm=Planted(likelihood, say), name="planted", model="planted", dtype="", stored=False)


def knows(context: str, continuation: str) -> tuple[float, bool]:
    """Certain of everything."""
    return 0.0, True


def ignorant(context: str, continuation: str) -> tuple[float, bool]:
    """Finds everything as unlikely as can be, and never the most probable."""
    return -math.inf, False


def broken(context: str, continuation: str) -> tuple[float, bool]:
    """A model whose logits are NaN."""
    return math.nan, False
