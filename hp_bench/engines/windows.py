"""Requests in a model's own tokens, and their answers on disk as they come, so that an interrupted book is gone on with."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from unlearn.files import write_text


@dataclass
class Window(Instance):
    """How likely are these tokens after those? For lm-eval's `_loglikelihood_tokens`, which every model with a tokenizer has.

    It takes (key, tokens given, tokens that follow), and this instance is such a triple. What `arguments` holds is for the samples.
    """

    given: list[int] = field(default_factory=list)
    following: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Digest of the tokens."""
        return hashlib.sha256(json.dumps([self.given, self.following]).encode()).hexdigest()

    def __getitem__(self, place: int) -> Any:
        return (self.key, self.given, self.following)[place]


class Journal:
    """A file of one model's answers to windows, a line each, written as they come; one of another model, or none, is begun anew.

    `model`: what tells the model's numbers apart.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._first = path, json.dumps(model)
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []  # the last may be torn
        same = lines[:1] == [self._first]
        self.answers = {key: (value, greedy) for key, value, greedy in map(json.loads, lines[1:] if same else ())}
        self._begun = False

    def add_partial(self, _: str, key: str, answer: tuple[float, bool]) -> None:
        """Keeps an answer; the name is that of lm-eval's cache hook."""
        if not self._begun:
            known = (json.dumps([key, *answer]) for key, answer in self.answers.items())
            write_text(self._path, "\n".join([self._first, *known, ""]))
            self._begun = True
        self.answers[key] = answer
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([key, *answer]) + "\n")
