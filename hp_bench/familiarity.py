"""The paper's two familiarity measures, as pure functions.

Completion-based: each completion gets a grade; familiarity = (5 x explicit + 1 x thematic) / prompts, so 0 to 5, lower = less familiar.
Probability-based: the mean, over prompts, of the probability of the content-specific next words, 0 to 1, lower = less familiar.

Source: arXiv:2310.02238, section "Evaluation".
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Grade = Literal["explicit", "thematic", "accidental", "none"]
GRADES: tuple[Grade, ...] = get_args(Grade)

#: What a completion of each grade adds to the sum (the paper's weights).
WEIGHTS: Mapping[Grade, int] = {"explicit": 5, "thematic": 1, "accidental": 0, "none": 0}


@dataclass(frozen=True)
class Revealed:
    """A passage of a completion that shows familiarity.

    Attributes:
        text: the passage as it stands in the completion.
        start: its first character in the completion.
        end: one past its last.
        term: the lexicon term or reference it was taken for.
        grade: what it would give alone.
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
        revealed: the evidence.
        reply: a language-model judge's whole reply.
    """

    grade: Grade | None
    unscored: str = ""
    degenerate: str = ""
    revealed: tuple[Revealed, ...] = field(default=())
    reply: str = ""

    def __post_init__(self) -> None:
        if (self.grade is None) != bool(self.unscored):
            raise ValueError("a verdict has either a grade or a reason why it has none")
        if self.grade is not None and self.grade not in GRADES:
            raise ValueError(f"unknown grade {self.grade!r}; allowed: {', '.join(GRADES)}")

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


def familiarity(grades: Sequence[Grade]) -> float:
    """Completion-based familiarity of a model, 0 to 5; lower = less familiar.

    Args:
        grades: one per scored prompt; not empty.
    """
    if not grades:
        raise ValueError("no grades: familiarity of nothing is undefined")
    return sum(WEIGHTS[grade] for grade in grades) / len(grades)


@dataclass(frozen=True)
class ProbabilityMass:
    """Next-word probabilities of one prompt.

    Attributes:
        specific: summed probability of the content-specific words, 0 to 1; lower = less familiar.
        generic: the same of the generic words.
    """

    specific: float
    generic: float

    @property
    def share(self) -> float:
        """Content-specific share of what the two lists hold together, 0 to 1; NaN if they hold nothing."""
        total = self.specific + self.generic
        return self.specific / total if total > 0 else math.nan


def probability_mass(log_likelihoods: Sequence[float], specific: int) -> ProbabilityMass:
    """Probability mass of one prompt from its words' log-likelihoods.

    Args:
        log_likelihoods: natural logarithms, first those of the content-specific words, then those of the generic ones.
        specific: how many of them are content-specific.

    Raises:
        ValueError: a log-likelihood is NaN or above 0, or more than half of them are one and the same number: then the host scored the
            same token for every word of one token (it does when a tokenizer appends a special token), and no word was measured.
    """
    if any(math.isnan(value) or value > 1e-6 for value in log_likelihoods):
        raise ValueError(f"log-likelihoods must be numbers of at most 0, not {list(log_likelihoods)}")
    finite = Counter(value for value in log_likelihoods if value > -math.inf)
    if len(log_likelihoods) > 1 and max(finite.values(), default=0) * 2 > len(log_likelihoods):
        raise ValueError(
            "most words got the same log-likelihood: the tokenizer ends each text with a special token that was scored instead"
        )
    probabilities = [math.exp(value) for value in log_likelihoods]
    return ProbabilityMass(specific=sum(probabilities[:specific]), generic=sum(probabilities[specific:]))
