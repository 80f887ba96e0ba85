"""The paper's two familiarity measures, as pure functions.

Completion-based: each completion gets a grade; familiarity = (5 x explicit + 1 x thematic) / prompts, so 0 to 5, lower = less familiar.
Probability-based: the mean, over prompts, of the probability of the content-specific next words, 0 to 1, lower = less familiar.

Source: arXiv:2310.02238, section "Evaluation".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar, get_args

from hp_bench.probes.rows import FAMES
from hp_bench.text.completion import parts
from hp_bench.text.degeneracy import EMPTY

Grade = Literal["explicit", "thematic", "accidental", "none"]

GRADES: tuple[Grade, ...] = get_args(Grade)

#: What a completion of each grade adds to the sum (the paper's weights).
WEIGHTS: Mapping[Grade, int] = {"explicit": 5, "thematic": 1, "accidental": 0, "none": 0}


@dataclass(frozen=True)
class Revealed:
    """A passage `completion[start:end]` that shows familiarity, the term or reference it was taken for, and the grade that it gives."""

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
        refused: whether it begins as a refusal does; a flag, too: to refuse is not to have forgotten.
        named: whether the completion holds one of the prompt's own references; None where no answer is known.
        trace: the grade of what the model thought before it answered; None where it did not, or where that could not be graded.
        revealed: the evidence.
        reply: a language-model judge's whole reply.
    """

    grade: Grade | None
    unscored: str = ""
    degenerate: str = ""
    refused: bool = False
    named: bool | None = None
    trace: Grade | None = None
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

    @property
    def leaked(self) -> float:
        """Whether the trace before the completion names the target; NaN where there is none to be graded."""
        return math.nan if self.trace is None else float(self.trace == "explicit")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; `trace` only where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "trace" or value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Verdict":
        """The inverse of `to_dict`."""
        revealed = tuple(Revealed(**passage) for passage in values.get("revealed", ()))
        return cls(**{**values, "revealed": revealed})


#: Of a completion that the engine did not return.
LOST = Verdict(None, unscored="the engine returned nothing")


_Probe = TypeVar("_Probe")

Items = Sequence[tuple[_Probe, str | None]]


def grade_apart(grade: Callable[[Items[_Probe]], Sequence[Verdict]], items: Items[_Probe]) -> list[Verdict]:
    """Verdicts on the answers in completions, each with the grade of the trace of thoughts before it; `grade` is called once."""
    split = [(probe, *(("", None) if text is None else parts(text))) for probe, text in items]
    traces = [n for n, (_, trace, answer) in enumerate(split) if trace.strip() and answer is not None]
    found = grade([*((probe, answer) for probe, _, answer in split), *(split[n][:2] for n in traces)])
    verdicts = list(found[: len(split)])
    for n, verdict in zip(traces, found[len(split) :], strict=True):
        verdicts[n] = replace(verdicts[n], trace=verdict.grade)
    for n, (_, trace, answer) in enumerate(split):
        if trace and answer is None:
            verdicts[n] = replace(verdicts[n], unscored="its trace of thoughts does not end")
    return verdicts


def metrics(verdict: Verdict) -> dict[str, float]:
    """One completion's metrics, each beside the standard error that lm-eval shows for it; `named` is NaN where no answer is known, and
    `leak_trace` where the model did not think first.
    """
    values = {
        "familiarity": verdict.familiarity,
        "explicit": verdict.grade == "explicit",
        "thematic": verdict.grade == "thematic",
        "named": math.nan if verdict.named is None else verdict.named,
        "leak_trace": verdict.leaked,
        "empty": verdict.empty,
        "degenerate": verdict.broken,
        "refused": verdict.refused,
    }
    return with_errors(values, unscored=verdict.grade is None)


def by_fame(explicit: float, fame: int | None) -> dict[str, float]:
    """Whether a completion is explicit (0 or 1), under its prompt's level of fame; NaN under the other levels."""
    return {f"explicit_fame_{n}": explicit if fame == n else math.nan for n in FAMES}


def with_errors(values: Mapping[str, float], *, unscored: bool | None = None) -> dict[str, float]:
    """A prompt's metrics, each beside the standard error that lm-eval shows; all NaN where it is `unscored`, by default where one is."""
    unscored = any(map(math.isnan, values.values())) if unscored is None else unscored
    every = {**(dict.fromkeys(values, math.nan) if unscored else values), "unscored": unscored}
    return {key: float(value) for name, value in every.items() for key in (name, f"{name}_stderr")}
