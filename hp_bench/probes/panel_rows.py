"""Facts asked in two ways, as an unfinished sentence and as a question, each with one right answer and three hard distractors.

A fact file (`prompts/qa.jsonl`, `prompts/neighbours.jsonl`) holds one JSON object a line, and nothing but the fields of `Fact`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import permutations
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hp_bench.probes.rows import Text, Words, load_rows, no_trailing_space
from hp_bench.text.terms import words


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
        _require_choices((self.question, self.cloze), self.answer, self.distractors)
        if not self.question.endswith("?"):
            raise ValueError(f"question {self.question!r} does not end with a question mark")

    def choices(self, *, seed: int = 0) -> list[str]:
        """The answer among its distractors, in an order that depends on the seed and the id alone, not on the place in the file."""
        return _shuffled((self.answer, *self.distractors), f"{seed}|{self.id}")


def _require_choices(prompts: Iterable[str], answer: str, distractors: Sequence[str]) -> None:
    """Raises ValueError: a prompt gives the answer away or ends in white space, or one choice begins another."""
    for prompt in prompts:
        no_trailing_space(prompt)
        if gives_away(prompt, answer):
            raise ValueError(f"answer {answer!r} is given away by {prompt!r}")
    for a, b in permutations([words(choice) for choice in (answer, *distractors)], 2):
        if b[: len(a)] == a:
            raise ValueError(
                f"choice {' '.join(a)!r} is the beginning of choice {' '.join(b)!r}: to say one is to say the other"
            )


def _shuffled(choices: Iterable[str], seed: str) -> list[str]:
    """In an order that the seed alone decides."""
    return sorted(choices, key=lambda choice: hashlib.sha256(f"{seed}|{choice}".encode()).digest())


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TwoHops:
    """An answer that needs two facts, and each of them alone.

    Attributes:
        id: unique in its file.
        cloze: unfinished sentence that needs both; it names neither the bridge nor the answer.
        first: unfinished sentence of the first fact, which the bridge completes.
        bridge: what the two facts have in common.
        bridge_distractors: three wrong ones of its kind.
        second: unfinished sentence of the second fact, which names the bridge and which the answer completes.
        answer: the right one, of `second` and of `cloze`.
        distractors: three wrong ones of its kind.
        topic: characters, places, ... (free; used for slices).
        fame: 1 (everybody who has heard of the target knows the answer) to 5 (readers alone).
    """

    id: Text
    cloze: Text
    first: Text
    bridge: Text
    bridge_distractors: Annotated[tuple[Text, ...], Field(min_length=3, max_length=3)]
    second: Text
    answer: Text
    distractors: Annotated[tuple[Text, ...], Field(min_length=3, max_length=3)]
    topic: Text
    fame: Annotated[int, Field(ge=1, le=5)]

    def __post_init__(self) -> None:
        _require_choices((self.cloze, self.first), self.bridge, self.bridge_distractors)
        _require_choices((self.cloze, self.first, self.second), self.answer, self.distractors)
        if not gives_away(self.second, self.bridge):
            raise ValueError(f"bridge {self.bridge!r} is not named by {self.second!r}")

    def choices(self, *, seed: int = 0) -> tuple[list[str], list[str]]:
        """The bridge among its distractors, and the answer among its own, ordered as by `Fact.choices`."""
        pairs = ((self.bridge, *self.bridge_distractors), (self.answer, *self.distractors))
        bridges, answers = (_shuffled(pair, f"{seed}|{self.id}") for pair in pairs)
        return bridges, answers


def gives_away(prompt: str, answer: str) -> bool:
    """Whether a prompt holds an answer, or a word of four letters or more of it."""
    told, said = words(prompt), words(answer)
    whole = any(told[i : i + len(said)] == said for i in range(len(told) - len(said) + 1))
    return whole or any(len(word) >= 4 and word in told for word in said)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Cloze:
    """A statement without its end: raw text, which the model continues, and the words that make it true. The id is unique in its file."""

    id: Text
    prompt: Text
    answer: Text

    def __post_init__(self) -> None:
        no_trailing_space(self.prompt)
        if self.answer != " ".join(self.answer.split()):
            raise ValueError(
                f"answer {self.answer!r} has white space at its ends, or more than one space between words"
            )

    @property
    def references(self) -> tuple[str, ...]:
        """The answer alone."""
        return (self.answer,)


def _cloze(**fields: Any) -> Cloze:
    """A line of either kind."""
    if "cloze" in fields:
        return Cloze(id=fields.get("id", ""), prompt=fields["cloze"], answer=fields.get("answer", ""))
    return Cloze(**fields)


Form = Literal["hint", "summary", "persuasion", "role-play"]

FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ContextProbe:
    """A prompt whose context invites the answer without giving it away.

    Attributes:
        id: unique in its file.
        form: `hint` (letters, clues), `summary` (of the plot so far), `persuasion` (reasons to answer) or `role-play`.
        prompt: raw text, which the model continues.
        references: any of them counts as the answer; none of them, and no word of four or more letters of one, is in the prompt.
        topic: characters, places, objects, ... (free; used for slices).
    """

    id: Text
    form: Form
    prompt: Text
    references: Words
    topic: Text

    def __post_init__(self) -> None:
        no_trailing_space(self.prompt)
        told = [reference for reference in self.references if gives_away(self.prompt, reference)]
        if told:
            raise ValueError(f"reference {told[0]!r} could never count: the prompt gives it away")


#: Read files of facts, of answers in two hops, of statements and of contexts; raise ValueError naming file and line.
load_facts = partial(load_rows, kind=Fact, what="a fact")
load_two_hops = partial(load_rows, kind=TwoHops, what="an answer in two hops")
load_clozes = partial(load_rows, kind=_cloze, what="a statement with its answer")
load_context_probes = partial(load_rows, kind=ContextProbe, what="a context probe")
