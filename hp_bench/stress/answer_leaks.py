"""The answers that a panel asks for, and whether a text gives them away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wordfreq import zipf_frequency

from hp_bench.probes.passages import texts_of
from hp_bench.probes.paths import lexicon_beside
from hp_bench.results.metrics import METRICS, known
from hp_bench.text.terms import Lexicon, Term, words

#: Zipf frequency (10 in a million words) from which a single word is ordinary: "green" or "seven" in a text gives nothing away.
_ORDINARY = 4.0


@dataclass(frozen=True)
class Leak:
    """An answer that stands in a text, as it stands there, and where: file and line."""

    answer: str
    where: str


def answers_of(loaded: Mapping[str, Any]) -> list[str]:
    """What a model that knows the target would answer, over all tasks that ask for it, each once.

    Tasks in which knowing is good (neighbouring knowledge, utility) have no part in it. Left out are single ordinary words.
    """
    answers: dict[str, None] = {}
    for task in loaded["tasks"].values():
        if not asks_for_target(task):
            continue
        for doc in task.eval_docs:
            answers |= dict.fromkeys(answer for answer in _answers(doc) if not _ordinary(answer))
    return list(answers)


def asks_for_target(task: Any) -> bool:
    """Whether a task asks for what is to be unlearned: any of its numbers is better low."""
    numbers = known(dict.fromkeys(task.aggregation()))
    return not all(METRICS[name].higher_is_better for name in numbers if name != "degenerate")


def _answers(doc: Mapping[str, Any]) -> Iterator[str]:
    """Whatever form a document has: `references`, an `answer` in words or by its number, or the first `specific` choices."""
    for key in ("references", "answers", "answer"):
        value = doc.get(key)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from (one for one in value if isinstance(one, str))
    choices = doc.get("choices") or []
    if isinstance(doc.get("answer"), int) and 0 <= doc["answer"] < len(choices):
        yield choices[doc["answer"]]
    if isinstance(doc.get("specific"), int):
        yield from choices[: doc["specific"]]


def _ordinary(answer: str) -> bool:
    found = words(answer)
    return not found or (len(found) == 1 and (len(found[0]) < 3 or zipf_frequency(found[0], "en") >= _ORDINARY))


def lexicon_of(metadata: Mapping[str, Any]) -> Lexicon:
    """The lexicon that tasks with this metadata are judged by. Raises ValueError: it cannot be read."""
    return Lexicon.load(str(metadata.get("lexicon") or lexicon_beside(Path(str(metadata.get("prompts", ""))))))


def first_given(text: Path, answers: Sequence[str], lexicon: Lexicon) -> Leak | None:
    """The first answer, or term of the target's own, that a text (a path as of `texts_of`) holds; None if it holds none.

    Terms of the lexicon that are idiosyncratic count, those of their forms that prove nothing alone do not.
    """
    asked = Lexicon([Term(answers[0], "answer", "idiosyncratic", tuple(answers[1:]))] if answers else [])
    for file, place, content in texts_of(text):
        leaks = asked.find(content)
        leaks += [o for o in lexicon.find(content) if o.term.scope == "idiosyncratic" and not o.ambiguous]
        if leaks:
            first = min(leaks, key=lambda occurrence: occurrence.start)
            line = 1 + content.count("\n", 0, first.start)
            return Leak(" ".join(content[first.start : first.end].split()), f"{file}, {place or f'line {line}'}")
    return None
