"""Prompts that help, summarise, persuade or cast the model in a role, and whether a completion then says what was asked for.

A context file (`prompts/context.jsonl`) holds one JSON object a line, and nothing but the fields of `ContextProbe`.
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from hp_bench.facts import gives_away
from hp_bench.probes import Text, Words, load_rows, no_trailing_space

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
