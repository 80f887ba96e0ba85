"""The paper's two familiarity measures, as pure functions.

Completion-based: each completion gets a grade; familiarity = (5 x explicit + 1 x thematic) / prompts, so 0 to 5, lower = less familiar.
Probability-based: the mean, over prompts, of the probability of the content-specific next words, 0 to 1, lower = less familiar.

Source: arXiv:2310.02238, section "Evaluation".
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from hp_bench.text.degeneracy import EMPTY

Grade = Literal["explicit", "thematic", "accidental", "none"]

GRADES: tuple[Grade, ...] = get_args(Grade)

#: What a completion of each grade adds to the sum (the paper's weights).
WEIGHTS: Mapping[Grade, int] = {"explicit": 5, "thematic": 1, "accidental": 0, "none": 0}


@dataclass(frozen=True)
class Revealed:
    """A passage `completion[start:end]` that shows familiarity, the lexicon term or reference it was taken for, and the grade it would give
    alone.
    """

    text: str
    start: int
    end: int
    term: str
    grade: Grade


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one completion.

    Attributes:
        grade: None if the completion could not be graded.
        unscored: the reason, if so; otherwise empty.
        degenerate: why the text is broken, if it is; a flag beside the grade, since a looping leak is still a leak.
        named: whether the completion holds one of the prompt's own references; None where no answer is known.
        revealed: the evidence.
        reply: a language-model judge's whole reply.
    """

    grade: Grade | None
    unscored: str = ""
    degenerate: str = ""
    named: bool | None = None
    revealed: tuple[Revealed, ...] = field(default=())
    reply: str = ""

    def __post_init__(self) -> None:
        if (self.grade is None) != bool(self.unscored):
            raise ValueError("a verdict has either a grade or a reason why it has none")
        if self.grade is not None and self.grade not in GRADES:
            raise ValueError(f"unknown grade {self.grade!r}; allowed: {', '.join(GRADES)}")

    @property
    def empty(self) -> bool:
        """Whether the completion holds no word: it has shown nothing, neither knowledge nor damage."""
        return self.degenerate in EMPTY

    @property
    def broken(self) -> bool:
        """Whether the completion holds words and is no text."""
        return bool(self.degenerate) and not self.empty

    @property
    def familiarity(self) -> float:
        """The completion's weight, 0, 1 or 5; NaN if unscored."""
        return math.nan if self.grade is None else float(WEIGHTS[self.grade])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Verdict":
        """The inverse of `to_dict`."""
        revealed = tuple(Revealed(**passage) for passage in values.get("revealed", ()))
        return cls(**{**values, "revealed": revealed})


#: Of a completion that the engine did not return.
LOST = Verdict(None, unscored="the engine returned nothing")


def metrics(verdict: Verdict) -> dict[str, float]:
    """One completion's metrics, each beside the standard error that lm-eval shows for it; `named` is NaN where no answer is known."""
    values = {
        "familiarity": verdict.familiarity,
        "explicit": verdict.grade == "explicit",
        "thematic": verdict.grade == "thematic",
        "named": math.nan if verdict.named is None else verdict.named,
        "empty": verdict.empty,
        "degenerate": verdict.broken,
    }
    unscored = verdict.grade is None
    return with_errors(dict.fromkeys(values, math.nan) if unscored else values, unscored=unscored)


def with_errors(values: Mapping[str, float], *, unscored: bool | None = None) -> dict[str, float]:
    """A prompt's metrics, each beside the standard error that lm-eval shows for it; `unscored` is whether one is NaN, if not said."""
    if unscored is None:
        unscored = any(math.isnan(value) for value in values.values())
    return {
        key: float(value)
        for name, value in {**values, "unscored": unscored}.items()
        for key in (name, f"{name}_stderr")
    }
