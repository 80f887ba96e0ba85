"""Prompt files -> typed probes.

`familiarity.jsonl`: prompts that a model completes, with what a familiar model would reveal. `token_probability.jsonl`: unfinished
sentences with the next words that only a familiar model would say. Both hold one JSON object a line, and nothing but these fields.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hp_bench.text.records import read_rows
from hp_bench.text.terms import fold, words

Kind = Literal["partial", "overt", "covert"]

#: Levels of fame: who knows the answer, from everybody who has heard of the target to readers alone.
FAMES = (1, 2, 3, 4, 5)

#: Prompts of a quick score.
QUICK = 60

Text = Annotated[str, Field(min_length=1)]

Words = Annotated[tuple[Text, ...], Field(min_length=1)]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Probe:
    """A prompt of the completion-based familiarity test.

    Attributes:
        id: unique in its file.
        prompt: raw text, which the model continues.
        references: strings that a familiar model would reveal; none of them, and no word of four or more letters of one, is in the prompt.
        kind: `partial` information to complete, or an instruction that `overt`ly or `covert`ly invites familiarity.
        subtlety: 1 (names the main character) to 10 (a hint that only a reader would notice).
        topic: characters, places, objects, ... (free; used for slices).
        fame: 1 (everybody who has heard of the target knows the answer) to 5 (readers alone); None where nobody has said.
        form: paragraph, letter, dialogue, question, ... (free; used for slices).
    """

    id: Text
    prompt: Text
    references: Words
    kind: Kind
    subtlety: Annotated[int, Field(ge=1, le=10)]
    topic: str
    fame: Annotated[int, Field(ge=1, le=5)] | None = None
    form: str = ""

    def __post_init__(self) -> None:
        no_trailing_space(self.prompt)
        in_prompt = set(words(self.prompt))
        for reference in self.references:
            echoed = [word for word in words(reference) if len(word) >= 4 and word in in_prompt]
            if echoed:
                raise ValueError(f"reference {reference!r} could never count: {echoed} is in the prompt")


@dataclass(frozen=True, config=_STRICT)
class TokenProbe:
    """A prompt of the probability-based familiarity test.

    Attributes:
        id: unique in its file.
        prompt: unfinished sentence; the next word is scored.
        specific: content-specific next words: what only a familiar model would say.
        generic: generic next words, for the share.
    """

    id: Text
    prompt: Text
    specific: Words
    generic: Words

    def __post_init__(self) -> None:
        no_trailing_space(self.prompt)
        choices = [fold(word) for word in (*self.specific, *self.generic)]
        for a, b in permutations(choices, 2):
            if b.startswith(a):
                raise ValueError(f"{a!r} is a prefix of {b!r}: their probabilities would be counted twice")


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class WholeText:
    """A text whose loss is asked; the id is unique in its file, the form is free: letter, dialogue, ..."""

    id: Text
    text: Text
    form: str = ""


def quick_probes(probes: Sequence[Probe]) -> list[Probe]:
    """The prompts of a quick score: the same 60 every time, in the order of the file, as many of each fame as there can be."""
    turns: Counter[int | None] = Counter()
    ranked = []
    for place in random.Random(QUICK).sample(range(len(probes)), len(probes)):
        fame = probes[place].fame
        ranked.append((turns[fame], place))
        turns[fame] += 1
    return [probes[place] for place in sorted(place for _, place in sorted(ranked)[:QUICK])]


#: Of a prompt file: anything with an id.
_Row = TypeVar("_Row", bound=Any)


def load_rows(path: Path | str, kind: Callable[..., _Row], what: str) -> list[_Row]:
    """Reads a prompt file of any kind, as `read_rows`.

    Raises ValueError also if the file is empty or two lines have one id; the message names file and line.
    """
    probes = read_rows(path, kind, what)
    if not probes:
        raise ValueError(f"{str(path)!r} is empty")
    seen: dict[str, str] = {}
    for place, probe in probes.items():
        if probe.id in seen:
            raise ValueError(f"{path}, {place}: id {probe.id!r} is that of {seen[probe.id]} already")
        seen[probe.id] = place
    return list(probes.values())


#: Read a familiarity file, and a token-probability file; raise ValueError naming file and line.
load_probes = partial(load_rows, kind=Probe, what="a probe")
load_token_probes = partial(load_rows, kind=TokenProbe, what="a token probe")


def no_trailing_space(prompt: str) -> None:
    """Raises ValueError if a prompt ends in white space."""
    if prompt != prompt.rstrip():
        raise ValueError("a prompt may not end in white space: tokenisers would glue it to the next word")
