"""Facts asked in two ways, as an unfinished sentence and as a question, each with one right answer and three hard distractors.

A fact file (`prompts/qa.jsonl`, `prompts/neighbours.jsonl`) holds one JSON object a line, and nothing but the fields of `Fact`.
"""

import hashlib
from itertools import permutations
from pathlib import Path
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
        for prompt in (self.question, self.cloze):
            no_trailing_space(prompt)
            if gives_away(prompt, self.answer):
                raise ValueError(f"answer {self.answer!r} is given away by {prompt!r}")
        if not self.question.endswith("?"):
            raise ValueError(f"question {self.question!r} does not end with a question mark")
        said = [words(choice) for choice in (self.answer, *self.distractors)]
        for a, b in permutations(said, 2):
            if b[: len(a)] == a:
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


def load_clozes(path: Path | str) -> list[Cloze]:
    """Reads a file of statements. Raises ValueError naming file and line."""
    return load_rows(path, _cloze, "a statement with its answer")


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


def load_context_probes(path: Path | str) -> list[ContextProbe]:
    """Reads a context file. Raises ValueError naming file and line."""
    return load_rows(path, ContextProbe, "a context probe")
