"""The grades that completions came with, on whatever scale -> how far the judge agrees with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hp_bench.judges.agreement import Agreement, agreement
from hp_bench.judges.completions import Sample
from hp_bench.judges.grades import GRADES, Grade, Verdict
from hp_bench.text.counted import counted

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
    return agreement(judge, theirs, ours, ids=places), counted(
        f"{{}} grade[|s] of its own, read as {read_as}", len(rows)
    )
