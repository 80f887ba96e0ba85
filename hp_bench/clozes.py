"""Facts as unfinished statements: a prompt, and the short answer that a familiar model ends it with.

A file holds one JSON object a line: `{id, prompt, answer}`, or a line of `prompts/qa.jsonl`, whose `cloze` is the prompt and whose other
fields are not read here.
"""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from hp_bench.probes import Text, load_rows, no_trailing_space


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Cloze:
    """A statement without its end.

    Attributes:
        id: unique in its file.
        prompt: raw text, which the model continues.
        answer: the words that make the statement true.
    """

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
    def words(self) -> list[str]:
        """The answer's words: what stands between white space."""
        return self.answer.split()


def load_clozes(path: Path | str) -> list[Cloze]:
    """Reads a file of statements. Raises ValueError naming file and line."""
    return load_rows(path, _cloze, "a statement with its answer")


def _cloze(**fields: Any) -> Cloze:
    """A line of either kind."""
    if "cloze" in fields:
        return Cloze(id=fields.get("id", ""), prompt=fields["cloze"], answer=fields.get("answer", ""))
    return Cloze(**fields)
