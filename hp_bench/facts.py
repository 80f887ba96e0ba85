"""Facts asked in two ways, as an unfinished sentence and as a question, each with one right answer and three hard distractors.

A fact file (`prompts/qa.jsonl`, `prompts/neighbours.jsonl`) holds one JSON object a line, and nothing but the fields of `Fact`.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hp_bench.lexicon import words
from hp_bench.probes import Text, load_rows, no_trailing_space

#: What guessing scores: one answer in four is right.
CHANCE = 0.25


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fact:
    """Something to know.

    Attributes:
        id: unique in its file.
        question: ends with a question mark.
        cloze: the same as an unfinished sentence, which the answer completes.
        answer: the right one; neither it nor a word of four letters or more of it is in the question or the cloze.
        distractors: three wrong answers of the same kind.
        topic: characters, places, chess, ... (free; used for slices).
    """

    id: Text
    question: Text
    cloze: Text
    answer: Text
    distractors: Annotated[tuple[Text, ...], Field(min_length=3, max_length=3)]
    topic: Text

    def __post_init__(self) -> None:
        for prompt in (self.question, self.cloze):
            no_trailing_space(prompt)
            if gives_away(prompt, self.answer):
                raise ValueError(f"answer {self.answer!r} is given away by {prompt!r}")
        if not self.question.endswith("?"):
            raise ValueError(f"question {self.question!r} does not end with a question mark")
        said = [words(choice) for choice in (self.answer, *self.distractors)]
        for i, a in enumerate(said):
            for j, b in enumerate(said):
                if i != j and b[: len(a)] == a:
                    raise ValueError(
                        f"choice {' '.join(a)!r} is the beginning of choice {' '.join(b)!r}: to say one is to say the other"
                    )

    def choices(self, *, seed: int = 0) -> list[str]:
        """The answer among its distractors, in an order that depends on the seed and the id alone, not on the place in the file."""
        return sorted(
            (self.answer, *self.distractors),
            key=lambda choice: hashlib.sha256(f"{seed}|{self.id}|{choice}".encode()).digest(),
        )


def load_facts(path: Path | str) -> list[Fact]:
    """Reads a fact file. Raises ValueError naming file and line."""
    return load_rows(path, Fact, "a fact")


def gives_away(prompt: str, answer: str) -> bool:
    """Whether a prompt holds an answer, or a word of four letters or more of it."""
    told, said = words(prompt), words(answer)
    whole = any(told[i : i + len(said)] == said for i in range(len(told) - len(said) + 1))
    return whole or any(len(word) >= 4 and word in told for word in said)


@plain_dataclass(frozen=True)
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

    Raises:
        ValueError: a log-likelihood is NaN or above 0, or all of them are one and the same: then nothing was measured.
    """
    if any(math.isnan(value) or value > 1e-6 for value in log_likelihoods):
        raise ValueError(f"log-likelihoods must be numbers of at most 0, not {list(log_likelihoods)}")
    if len(set(log_likelihoods)) == 1:
        raise ValueError(f"every answer got the same log-likelihood, {log_likelihoods[0]}")
    rates = [value / len(choice.encode()) for value, choice in zip(log_likelihoods, choices, strict=True)]
    place, highest = choices.index(answer), max(log_likelihoods)
    weights = [math.exp(value - highest) for value in log_likelihoods]
    return Preference(right=rates.index(max(rates)) == place, share=weights[place] / math.fsum(weights))
