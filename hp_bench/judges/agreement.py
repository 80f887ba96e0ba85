"""How far a judge agrees with the gold set, or with the grades that completions came with: kappa, precision and recall of each grade.

A completion that the judge leaves unscored agrees with nobody: it is a column of its own, lowers kappa and every recall, and is counted.
Intervals are 95 %: kappa by the bootstrap over completions (BCa), precision and recall by Wilson's score interval.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass
from scipy import stats

from hp_bench.judges import Judge
from hp_bench.judges.completions import Sample
from hp_bench.judges.grades import GRADES, Grade, Verdict
from hp_bench.probes.foreign import stand_in
from hp_bench.probes.rows import Probe, load_rows
from hp_bench.results.statistics import CONFIDENCE, Interval, bootstrap_interval, rate_interval
from hp_bench.text.counted import counted

UNSCORED = "unscored"

#: What a judge may say.
SAID: tuple[str, ...] = (*GRADES, UNSCORED)


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval; all None where there is nothing to take a share of."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Disagreement:
    """A completion that the judge grades otherwise than the gold set."""

    id: str
    case: str
    gold: str
    judge: str


@dataclass(frozen=True)
class Agreement:
    """A judge against the gold set.

    Attributes:
        judge: its name.
        n: completions.
        unscored: of them, those without a grade.
        accuracy: share graded as in the gold set.
        kappa: Cohen's, -1 to 1; 1 = perfect, 0 = chance.
        kappa_low, kappa_high: the ends of its interval.
        precision: by grade: share of the completions so graded by the judge that are so graded in the gold set.
        recall: by grade: share of the completions so graded in the gold set that the judge grades so.
        confusion: gold grade -> what the judge said -> completions.
        disagreements: in the order of the gold set.
        method: how the intervals are computed.
    """

    judge: str
    n: int
    unscored: int
    accuracy: Share
    kappa: float
    kappa_low: float
    kappa_high: float
    precision: dict[str, Share]
    recall: dict[str, Share]
    confusion: dict[str, dict[str, int]]
    disagreements: tuple[Disagreement, ...]
    method: str = "kappa: BCa bootstrap over completions, 9,999 resamples; precision and recall: Wilson"


def agreement(
    judge: str,
    gold: Sequence[Grade],
    said: Sequence[Grade | None],
    *,
    ids: Sequence[str] = (),
    cases: Sequence[str] = (),
) -> Agreement:
    """The named judge's grades (None: unscored) against the gold ones, in the same order.

    The list of disagreements names the completions by `ids` and says by `cases` what makes each hard.
    """
    if len(gold) != len(said) or not gold:
        raise ValueError(
            f"{len(gold)} gold grades and {len(said)} of the judge: there must be equally many, and at least one"
        )
    heard = [grade or UNSCORED for grade in said]
    pairs = Counter(zip(gold, heard, strict=True))
    right = {grade: pairs[grade, grade] for grade in GRADES}
    given, true = Counter(heard), Counter(gold)
    interval = kappa_interval(gold, heard)
    names, labels = list(ids) or [str(number) for number in range(len(gold))], list(cases) or [""] * len(gold)
    rows = zip(names, labels, gold, heard, strict=True)
    return Agreement(
        judge=judge,
        n=len(gold),
        unscored=given[UNSCORED],
        accuracy=_share(sum(right.values()), len(gold)),
        kappa=kappa(gold, heard),
        kappa_low=interval.low,
        kappa_high=interval.high,
        precision={grade: _share(right[grade], given[grade]) for grade in GRADES},
        recall={grade: _share(right[grade], true[grade]) for grade in GRADES},
        confusion={grade: {word: pairs[grade, word] for word in SAID} for grade in GRADES},
        disagreements=tuple(Disagreement(*row) for row in rows if row[2] != row[3]),
    )


def kappa(a: Sequence[str], b: Sequence[str]) -> float:
    """Cohen's kappa of two raters, -1 to 1; 1 where both give one and the same grade throughout. Source: Cohen (1960)."""
    return float(_kappa(_codes(a, b)))


def kappa_interval(a: Sequence[str], b: Sequence[str]) -> Interval:
    """Interval of Cohen's kappa: BCa bootstrap over the rated items.

    Where every resample is alike (the raters agree everywhere, or nowhere), the exact interval of the observed agreement, taken through
    kappa's formula with the expected agreement as it is: never of zero width.

    Source: Efron (1987); Clopper and Pearson (1934).
    """
    codes = _codes(a, b)
    estimate = float(_kappa(codes))
    if 0 < _observed(codes) < 1 and (found := bootstrap_interval(codes, _kappa, vectorized=True, batch=512)):
        return Interval(min(found.low, estimate), max(found.high, estimate))
    agreed, expected = float(_observed(codes)), float(_expected(codes))
    exact = rate_interval(round(agreed * codes.size), codes.size)
    if expected >= 1:  # one grade throughout: the rate itself is all there is
        return Interval(2 * exact.low - 1, 1.0)
    low, high = ((rate - expected) / (1 - expected) for rate in (exact.low, exact.high))
    return Interval(min(max(low, -1.0), estimate), max(min(high, 1.0), estimate))


def _codes(a: Sequence[str], b: Sequence[str]) -> NDArray:
    """One number a pair of words."""
    number = {word: index for index, word in enumerate(SAID)}
    return np.array([number[x] * len(SAID) + number[y] for x, y in zip(a, b, strict=True)])


def _observed(codes: NDArray) -> NDArray:
    return (codes // len(SAID) == codes % len(SAID)).mean(axis=-1)


def _expected(codes: NDArray) -> NDArray:
    first, second = codes // len(SAID), codes % len(SAID)
    shares = [(first == word).mean(axis=-1) * (second == word).mean(axis=-1) for word in range(len(SAID))]
    return sum(shares, np.zeros(codes.shape[:-1]))


def _kappa(codes: NDArray, axis: int = -1) -> NDArray:
    codes = np.moveaxis(codes, axis, -1)
    observed, expected = _observed(codes), _expected(codes)
    possible = 1 - expected
    return np.where(possible > 1e-12, (observed - expected) / np.where(possible > 1e-12, possible, 1), 1.0)


def _share(part: int, whole: int) -> Share:
    if whole == 0:
        return Share(None, None, None, 0)
    found = stats.binomtest(part, whole).proportion_ci(CONFIDENCE, method="wilson")
    return Share(part / whole, float(found.low), float(found.high), whole)


Split = Literal["tuning", "test"]


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GoldRow:
    """A completion and its grade.

    Attributes:
        id: unique in its file.
        prompt: what the model was given.
        completion: what it wrote.
        grade: by the rubric.
        case: what makes it hard: plain, echo, other-fantasy, ...
        split: the half that judges are made with, or the half that they are measured on, once.
        source: who wrote the completion: a person, or a model.
        grades: of the independent graders, in their order.
        references: of the prompt, if it is in no prompt file.
    """

    id: str
    prompt: Annotated[str, Field(min_length=1)]
    completion: str
    grade: Grade
    case: str
    split: Split
    source: str = ""
    grades: tuple[Grade, ...] = ()
    references: tuple[str, ...] = ()


def load_gold(path: Path | str, split: Split | None = None) -> list[GoldRow]:
    """Reads a gold file, or one half of it. Raises ValueError: a line is no gold row, an id is there twice, or the half is empty."""
    found = [row for row in load_rows(path, GoldRow, "a gold row") if split in (None, row.split)]
    if not found:
        raise ValueError(f"{str(path)!r} holds no rows of split {split!r}")
    return found


@dataclass(frozen=True)
class Graders:
    """Cohen's kappa of the two graders among themselves, with its 95 % interval, over the completions that both graded."""

    kappa: float
    low: float
    high: float
    n: int


def graders(rows: Sequence[GoldRow]) -> Graders | None:
    """How far the gold set's two graders agree; None if no completion has two grades."""
    both = [row.grades for row in rows if len(row.grades) == 2]
    if not both:
        return None
    first, second = zip(*both, strict=True)
    interval = kappa_interval(first, second)
    return Graders(kappa(first, second), interval.low, interval.high, len(both))


def against_gold(judge: Judge, rows: Sequence[GoldRow], probes: Sequence[Probe]) -> tuple[Agreement, list[Verdict]]:
    """A judge's verdicts on the gold set, and how far they agree with it; references as in `as_probes`.

    Raises ValueError, with the first reason, if the judge could grade nothing.
    """
    items = [(probe, row.completion) for probe, row in zip(as_probes(rows, probes), rows, strict=True)]
    verdicts = judge.grade(items)
    if all(verdict.grade is None for verdict in verdicts):
        raise ValueError(f"judge {judge.name} graded no completion of {len(rows)}: {verdicts[0].unscored}")
    measured = agreement(
        judge.name, [row.grade for row in rows], [verdict.grade for verdict in verdicts],
        ids=[row.id for row in rows], cases=[row.case for row in rows],
    )  # fmt: skip
    return measured, verdicts


def as_probes(rows: Sequence[GoldRow], probes: Sequence[Probe]) -> list[Probe]:
    """The rows' prompts as probes: those of a prompt file with its references, others with their own, or none."""
    known: Mapping[str, Probe] = {probe.prompt: probe for probe in probes}
    return [known.get(row.prompt) or stand_in(row.id, row.prompt, row.references) for row in rows]


#: Scale of a file's own grades -> what its numbers mean: the question that the paper's judge is asked, and what a grade weighs.
SCALES: Mapping[str, Mapping[float, Grade]] = {
    "0-3": {3: "explicit", 2: "thematic", 1: "accidental", 0: "none"},
    "0-5": {5: "explicit", 1: "thematic", 0: "none"},
}


def read_grades(values: Sequence[Any], scale: str = "") -> tuple[list[Grade | None], str]:
    """A file's own grades, each a word, a number, or a text that ends in one ("MODEL_FAMILIARITY: 3/3"), as grades of ours; and the scale.

    What is no grade, or negative (as -100 for an unreadable reply), becomes None. The scale, a key of `SCALES`, is the one that the numbers
    fit, if none is given; "words" if there is no number. Raises ValueError: the numbers fit no scale, or more than one.
    """
    if scale and scale not in SCALES:
        raise ValueError(f"a scale of grades must be {' or '.join(SCALES)}, not {scale!r}")
    read = [_grade(value) for value in values]
    numbers = {one for one in read if isinstance(one, float)}
    if not numbers:
        return [one for one in read if not isinstance(one, float)], "words"
    fitting = [name for name in ([scale] if scale else SCALES) if numbers <= set(SCALES[name])]
    if len({tuple(SCALES[name][one] for one in numbers) for name in fitting}) != 1:
        shown = ", ".join(f"{number:g}" for number in sorted(numbers)[:9])
        why = "fit no scale" if not fitting else "fit more than one scale"
        raise ValueError(f"its own grades {shown} {why}: --scale 0-3 (3 is explicit) or 0-5 (5 is) says which it is")
    known = SCALES[fitting[0]]
    return [known[one] if isinstance(one, float) else one for one in read], fitting[0]


def _grade(value: Any) -> Grade | float | None:
    """A word of ours or a number of at least 0; None if it is neither."""
    last = str(value).rsplit(":", 1)[-1].strip().casefold()
    for grade in GRADES:
        if last == grade and value is not None:
            return grade
    try:
        number = float(last.split("/")[0])
    except ValueError:
        return None
    return number if number >= 0 else None


def against_own(
    judge: str, samples: Sequence[Sample], verdicts: Sequence[Verdict], scale: str = ""
) -> tuple[Agreement | None, str]:
    """The named judge against the grades that the samples came with, over those that have one and a completion; and a sentence on that.

    Where 1 is thematic, as in 0-5, there is no word for accidental: the judge's counts as none. If no sample came with a grade, there is
    neither. Raises ValueError: the grades are not of the scale that was chosen.
    """
    if all(sample.grade is None for sample in samples):
        return None, ""
    try:
        own, read_as = read_grades([sample.grade for sample in samples], scale)
    except ValueError as error:
        if scale:
            raise
        return None, f"not compared: {error}"
    rows = [
        (sample.place, grade, verdict.grade)
        for sample, verdict, grade in zip(samples, verdicts, own, strict=True)
        if grade is not None and sample.completion is not None
    ]
    if not rows:
        return None, "not compared: none of its own grades can be read"
    places, theirs, ours = zip(*rows, strict=True)
    if read_as == "0-5":
        ours = tuple("none" if grade == "accidental" else grade for grade in ours)
    said = counted(f"{{}} grade[|s] of its own, read as {read_as}", len(rows))
    return agreement(judge, theirs, ours, ids=places), said
